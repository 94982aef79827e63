//! What is wrong with an instance as a whole, and not with a pod of it.

use domain::ReplicaId;
use domain::instance::FailureReason;
use uuid::Uuid;
use views::InstanceRow;

use super::kind::Kind;
use super::naming;
use super::seen::Seen;

/// The replica that stands in for those that a generation cannot have.
pub(crate) fn stand_in(row: &InstanceRow) -> ReplicaId {
    ReplicaId(Uuid::new_v5(&row.id.0, &row.generation.to_be_bytes()))
}

/// Why the cluster makes no pods of a Deployment.
pub(crate) fn quota(row: &InstanceRow, seen: &Seen) -> Option<(FailureReason, String)> {
    let deployment = seen.objects.get(&(row.id, Kind::Deployment, naming::object_name(row.id)))?;
    let conditions = deployment.body["status"]["conditions"].as_array()?;
    let failed = conditions
        .iter()
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True")?;
    let message = failed["message"].as_str().unwrap_or_default().to_owned();
    let reason = if message.contains("exceeded quota") {
        FailureReason::QuotaExceeded
    } else {
        FailureReason::Rejected
    };
    // Its pods come and go, and so would the names in the message: the same trouble has the same words.
    let detail = message.split_once("forbidden: ").map_or(message.as_str(), |(_, why)| why);
    Some((reason, format!("the cluster makes no pods for it: {detail}")))
}
