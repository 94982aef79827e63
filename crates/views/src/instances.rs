//! The instances that exist, what is wanted of them, and how they are: the list that people see, the routes of the
//! gateway, and the wishes that the worker compares with what runs.

use domain::instance::{Access, Authorization, Created, Event, FailureReason, Health, Profile, ServerInfo};
use domain::{InstanceId, Name, Recorded, ReplicaId, Sealed, TemplateId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::View;

mod condition;

pub use condition::{Condition, Trouble};

/// The view.
pub struct Instances;

/// One instance that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRow {
    pub id: InstanceId,
    pub name: Name,
    pub access: Access,
    pub profile: Profile,
    /// Whose access tokens are accepted beside the instance's own tokens.
    pub authorization: Option<Authorization>,
    /// The template that it was created from.
    pub template: Option<TemplateId>,
    /// Whether the instance is wanted to run.
    pub wanted: bool,
    pub generation: u64,
    pub phase: Phase,
    /// The replicas that have started and not ended, oldest first.
    pub replicas: Vec<Endpoint>,
    /// Why the last replica failed; gone once one is ready again.
    pub failure: Option<Failure>,
    /// What probes see; none before the first of them.
    pub seen: Option<Seen>,
    /// What the server said of itself in the last handshake.
    pub server: Option<ServerInfo>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Counts what people have changed: what `If-Match` is compared with.
    pub revision: u64,
    /// The sequence of the last event that this row holds.
    pub sequence: u64,
}

/// How an instance is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Wanted to run; no replica has answered a handshake yet.
    Starting,
    /// Serves calls, but not yet with as many replicas as are wanted, or with those of an older generation.
    Updating,
    /// As many replicas as are wanted have answered a handshake, all of the wanted generation.
    Ready,
    /// Wanted to run, but the last replica failed; the worker tries again.
    Failed,
    /// Wanted to stand still; a replica has not ended yet.
    Stopping,
    Stopped,
    /// Runs elsewhere: nothing is known but its configuration.
    Configured,
}

/// A replica and, once it has answered a handshake, its address and what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub replica: ReplicaId,
    pub generation: u64,
    pub url: Option<String>,
    /// Sealed under the instance's key.
    pub credential: Option<Sealed>,
}

/// Why a replica failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub replica: ReplicaId,
    pub reason: FailureReason,
    pub detail: String,
    pub at: Timestamp,
}

/// What probes see, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub health: Health,
    pub since: Timestamp,
}

impl InstanceRow {
    /// The replicas that may be called, newest generation first.
    pub fn ready_replicas(&self) -> impl Iterator<Item = &Endpoint> {
        let runs = self.wanted && self.access.is_hosted();
        self.replicas.iter().rev().filter(move |replica| runs && replica.url.is_some())
    }

    fn phase(&self) -> Phase {
        match (self.wanted, self.access.is_hosted()) {
            (false, _) if self.replicas.is_empty() => Phase::Stopped,
            (false, _) => Phase::Stopping,
            (true, false) => Phase::Configured,
            (true, true) if self.is_complete() => Phase::Ready,
            (true, true) if self.is_ready() => Phase::Updating,
            // A lost replica says something about its worker, nothing about the server: another one is on its way.
            (true, true)
                if self.failure.as_ref().is_some_and(|failure| failure.reason != FailureReason::Lost) =>
            {
                Phase::Failed
            }
            (true, true) => Phase::Starting,
        }
    }

    /// What failed in an older generation says nothing about a new one.
    fn renew(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            (self.failure, self.seen) = (None, None);
        }
    }

    fn end_replica(&mut self, replica: ReplicaId) {
        let was_ready = self.is_ready();
        self.replicas.retain(|known| known.replica != replica);
        // What was seen of replicas that are gone says nothing.
        if was_ready && !self.is_ready() {
            self.seen = None;
        }
    }

    /// Whether as many replicas as are wanted have answered a handshake.
    fn is_complete(&self) -> bool {
        let wanted = self.access.hosted().map_or(0, |hosted| usize::from(hosted.replicas));
        let current = self.replicas.iter().filter(|replica| replica.generation == self.generation);
        current.filter(|replica| replica.url.is_some()).count() >= wanted
    }

    /// Whether a replica has answered a handshake and not ended.
    fn is_ready(&self) -> bool {
        self.replicas.iter().any(|replica| replica.url.is_some())
    }
}

impl View for Instances {
    const NAME: &'static str = "instances";
    const VERSION: u16 = 6;

    type Row = InstanceRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        let domain::Event::Instance { id, .. } = &recorded.event else { return None };
        Some(id.0)
    }

    fn apply(row: Option<InstanceRow>, recorded: &Recorded) -> Option<InstanceRow> {
        let domain::Event::Instance { id, event } = &recorded.event else { return row };
        if row.as_ref().is_some_and(|row| recorded.sequence <= row.sequence) {
            return row;
        }
        let mut row = match (event, row) {
            (Event::Created(created), None) => new_row(*id, created, recorded),
            (_, row) => row?,
        };
        row.sequence = recorded.sequence;
        row.revision += u64::from(event.is_wish());
        row.updated_at = recorded.metadata.at;
        change(row, event, recorded.metadata.at)
    }
}

fn new_row(id: InstanceId, created: &Created, recorded: &Recorded) -> InstanceRow {
    InstanceRow {
        id,
        name: created.name.clone(),
        access: created.access.clone(),
        profile: created.profile.clone(),
        authorization: None,
        template: created.template,
        wanted: true,
        generation: 1,
        phase: Phase::Starting,
        replicas: vec![],
        failure: None,
        seen: None,
        server: None,
        created_at: recorded.metadata.at,
        updated_at: recorded.metadata.at,
        revision: 0,
        sequence: recorded.sequence,
    }
}

fn change(mut row: InstanceRow, event: &Event, at: Timestamp) -> Option<InstanceRow> {
    match event {
        Event::Created(_) | Event::ReplicaHandshaking(_) => {}
        Event::Renamed(renamed) => row.name = renamed.to.clone(),
        Event::Edited(edited) => {
            row.access = edited.access.clone();
            row.profile = edited.profile.clone();
            row.renew(edited.generation);
        }
        Event::AccessChanged(changed) => {
            row.access = changed.access.clone();
            row.renew(changed.generation);
            row.seen = None;
            if !row.access.is_hosted() {
                (row.failure, row.server) = (None, None);
            }
        }
        Event::AuthorizationChanged(changed) => row.authorization.clone_from(&changed.authorization),
        Event::Scaled(scaled) => row.access.scale(scaled.replicas),
        Event::Started(started) => {
            row.wanted = true;
            row.renew(started.generation);
        }
        Event::Restarted(restarted) => row.renew(restarted.generation),
        Event::Stopped(_) => (row.wanted, row.seen) = (false, None),
        Event::Deleted(_) => return None,
        Event::ReplicaStarting(starting) => {
            let replica = starting.replica;
            row.replicas.push(Endpoint {
                replica,
                generation: starting.generation,
                url: None,
                credential: None,
            });
        }
        Event::ReplicaReady(ready) => {
            for replica in row.replicas.iter_mut().filter(|known| known.replica == ready.replica) {
                replica.url = Some(ready.endpoint.clone());
                replica.credential.clone_from(&ready.credential);
            }
            row.failure = None;
            row.server = Some(ready.server.clone());
        }
        Event::ReplicaFailed(failed) => {
            row.end_replica(failed.replica);
            row.failure = Some(Failure {
                replica: failed.replica,
                reason: failed.reason,
                detail: failed.detail.clone(),
                at,
            });
        }
        Event::ReplicaStopped(stopped) => row.end_replica(stopped.replica),
        Event::HealthChanged(changed) => {
            let since = match row.seen.take() {
                Some(seen) if seen.health.status == changed.health.status => seen.since,
                _ => at,
            };
            row.seen = Some(Seen { health: changed.health.clone(), since });
        }
    }
    row.phase = row.phase();
    Some(row)
}

#[cfg(test)]
mod tests;
