//! How a pod is, in the words of the platform.
//!
//! The phase of a pod tells little: it says `Pending` of an image that cannot be pulled and of a pod that no node can
//! take, and `Running` of a server that crashes again and again. What counts is in the states of its containers.
//! Messages of Kubernetes are passed on, output of the server never is: it may hold secrets.

use domain::instance::FailureReason;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus,
};

/// The exit code of a bridge that does not find the server's program, as shells have it.
const PROGRAM_NOT_FOUND: i32 = 127;
/// The longest message of Kubernetes that is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// On its way.
    Coming,
    /// Its server runs.
    Running,
    /// It cannot go on as it is. Kubernetes tries again, and it may recover.
    Failed(FailureReason, String),
    /// It was told to end. What becomes of its containers now says nothing, but that it serves while one runs.
    Leaving { serves: bool },
}

pub(crate) fn condition(pod: &Pod) -> Condition {
    let is_leaving = pod.metadata.deletion_timestamp.is_some();
    let Some(status) = &pod.status else {
        return if is_leaving { Condition::Leaving { serves: false } } else { Condition::Coming };
    };
    let servers = status.container_statuses.iter().flatten();
    let runs = |status: &ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    let is_running = servers.clone().next().is_some() && servers.clone().all(runs);
    if is_leaving {
        return Condition::Leaving { serves: is_running };
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let failure =
        given_up(status).or_else(|| unschedulable(status)).or_else(|| containers.clone().find_map(stuck));
    if let Some((reason, detail)) = failure {
        return Condition::Failed(reason, detail);
    }
    if is_running { Condition::Running } else { Condition::Coming }
}

/// A pod that Kubernetes has given up: evicted, or its node was lost. Another one comes in its place.
fn given_up(status: &PodStatus) -> Option<(FailureReason, String)> {
    if status.phase.as_deref() != Some("Failed") {
        return None;
    }
    let reason = status.reason.as_deref().unwrap_or("no reason was given");
    let message = status.message.as_deref().map(|message| format!(": {}", bounded(message)));
    let detail = format!("Kubernetes gave the pod up ({reason}){}", message.unwrap_or_default());
    Some((FailureReason::Evicted, detail))
}

fn unschedulable(status: &PodStatus) -> Option<(FailureReason, String)> {
    let is_in_the_way = |condition: &&PodCondition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    };
    let message =
        status.conditions.iter().flatten().find(is_in_the_way)?.message.as_deref().unwrap_or_default();
    // A claim that is being bound is in nobody's way for long.
    if message.contains("unbound immediate PersistentVolumeClaims") {
        return None;
    }
    Some((FailureReason::Unschedulable, format!("no node can take the pod: {}", bounded(message))))
}

/// What is in the way of a container.
fn stuck(status: &ContainerStatus) -> Option<(FailureReason, String)> {
    let state = status.state.as_ref()?;
    if let Some(ended) = state.terminated.as_ref().filter(|ended| ended.exit_code != 0) {
        return Some(ended_badly(status, ended, false));
    }
    let waiting = state.waiting.as_ref()?;
    let message = waiting.message.as_deref().map(bounded).unwrap_or_default();
    match waiting.reason.as_deref().unwrap_or_default() {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable" => {
            let detail = format!("the image {} cannot be pulled: {message}", status.image);
            Some((FailureReason::ImageUnavailable, detail))
        }
        "CreateContainerConfigError" => {
            Some((FailureReason::ConfigMissing, format!("the container cannot be configured: {message}")))
        }
        "CreateContainerError" => {
            Some((FailureReason::SpawnFailed, format!("the container cannot be created: {message}")))
        }
        "RunContainerError" => Some(
            last_end(status)
                .map_or_else(|| not_startable(&message), |ended| ended_badly(status, ended, true)),
        ),
        "CrashLoopBackOff" => Some(last_end(status).map_or_else(
            || (FailureReason::CrashLoop, "the server's container ends again and again".to_owned()),
            |ended| ended_badly(status, ended, true),
        )),
        // It is being created, or waits for the containers before it.
        _ => None,
    }
}

fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.last_state.as_ref().and_then(|state: &ContainerState| state.terminated.as_ref())
}

/// Why a container ended. `again` tells that Kubernetes waits before it tries once more.
fn ended_badly(
    status: &ContainerStatus,
    ended: &ContainerStateTerminated,
    again: bool,
) -> (FailureReason, String) {
    match (ended.reason.as_deref(), ended.exit_code) {
        (Some("OOMKilled"), _) => {
            let limits = status.resources.as_ref().and_then(|resources| resources.limits.as_ref());
            let limit = limits.and_then(|limits| limits.get("memory"));
            let limit = limit.map(|limit| format!(", which is {}", limit.0)).unwrap_or_default();
            (FailureReason::OutOfMemory, format!("the server used more memory than its limit{limit}"))
        }
        (Some("StartError"), _) => {
            not_startable(ended.message.as_deref().map(bounded).as_deref().unwrap_or_default())
        }
        (_, PROGRAM_NOT_FOUND) => {
            (FailureReason::ProgramNotFound, "the image does not have the server's program".to_owned())
        }
        (_, code) if again => {
            let detail = format!("the server's container ends again and again, last with exit code {code}");
            (FailureReason::CrashLoop, detail)
        }
        (_, code) => (FailureReason::Exited, format!("the server's container ended with exit code {code}")),
    }
}

fn not_startable(message: &str) -> (FailureReason, String) {
    (FailureReason::ProgramNotFound, format!("the container cannot be started: {message}"))
}

fn bounded(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
