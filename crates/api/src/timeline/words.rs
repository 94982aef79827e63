//! Events of an instance in words.

use domain::instance::{Access, Advice, Edited, Event, Health};
use domain::{ReplicaId, instance};
use schemars::JsonSchema;
use serde::Serialize;

/// Whose doing something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Somebody wished it.
    Wish,
    /// What runs the server reported it.
    Runtime,
    /// Probes saw it.
    Probe,
    /// The platform itself.
    Platform,
}

/// Whose doing an event is, what happened, and what to look at if something went wrong.
pub(crate) fn of(event: &Event) -> (Source, String, Option<Advice>) {
    let wish = |text: String| (Source::Wish, text, None);
    let runtime = |text: String| (Source::Runtime, text, None);
    match event {
        Event::Created(created) => wish(format!("created as {}, {}", created.name, reached(&created.access))),
        Event::Renamed(renamed) => wish(format!("renamed from {} to {}", renamed.from, renamed.to)),
        Event::Edited(Edited { generation, .. }) => {
            wish(format!("settings changed; generation {generation}"))
        }
        Event::AccessChanged(changed) => {
            wish(format!("{} from now on; generation {}", reached(&changed.access), changed.generation))
        }
        Event::AuthorizationChanged(changed) => wish(match &changed.authorization {
            Some(authorization) => format!("access tokens of {} are accepted", authorization.issuer),
            None => "access tokens are accepted no longer".to_owned(),
        }),
        Event::Scaled(scaled) => wish(format!("scaled to {} replicas", scaled.replicas)),
        Event::Started(started) => wish(format!("started; generation {}", started.generation)),
        Event::Stopped(_) => wish("stopped".to_owned()),
        Event::Restarted(restarted) => wish(format!("restarted; generation {}", restarted.generation)),
        Event::Deleted(_) => wish("deleted".to_owned()),
        Event::ReplicaStarting(starting) => runtime(format!(
            "replica {} of generation {} is being started",
            short(starting.replica),
            starting.generation
        )),
        Event::ReplicaHandshaking(handshaking) => {
            runtime(format!("replica {} runs and is asked to shake hands", short(handshaking.replica)))
        }
        Event::ReplicaReady(ready) => {
            let server = &ready.server;
            let (name, version) = (&server.name, &server.version);
            runtime(format!(
                "replica {} is ready: {name} {version}, {}",
                short(ready.replica),
                speaks(server)
            ))
        }
        Event::ReplicaFailed(failed) => {
            let text = format!(
                "replica {} failed ({}): {}",
                short(failed.replica),
                failed.reason.as_str(),
                failed.detail
            );
            (Source::Runtime, text, Some(failed.reason.advice()))
        }
        Event::ReplicaStopped(stopped) => runtime(format!("replica {} has ended", short(stopped.replica))),
        Event::HealthChanged(changed) => seen(&changed.health),
    }
}

fn seen(health: &Health) -> (Source, String, Option<Advice>) {
    let mut text = health.status.as_str().to_owned();
    if health.unsteady {
        text.push_str(", unsteady");
    }
    let Some(problem) = &health.problem else { return (Source::Probe, text, None) };
    let text = format!("{text} ({}): {}", problem.class.as_str(), problem.detail);
    (Source::Probe, text, Some(problem.class.advice()))
}

fn reached(access: &Access) -> &'static str {
    match access {
        Access::Hosted(_) => "hosted here",
        Access::Proxy(_) => "proxied to a server elsewhere",
        Access::Direct(_) => "listed for clients that go there themselves",
    }
}

fn speaks(server: &instance::ServerInfo) -> String {
    match server.revisions.is_empty() {
        true => format!("speaks {}", server.protocol_version),
        false => format!("speaks {}", server.revisions.join(" and ")),
    }
}

/// The random end of an id is enough to tell replicas apart.
fn short(replica: ReplicaId) -> String {
    let text = replica.0.simple().to_string();
    text[text.len() - 8..].to_owned()
}

#[cfg(test)]
mod tests {
    use domain::instance::{FailureReason, ReplicaFailed};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_failure_says_what_to_check() {
        let (source, text, advice) = of(&Event::ReplicaFailed(ReplicaFailed {
            replica: ReplicaId(Uuid::from_u128(0xabcd)),
            reason: FailureReason::Exited,
            detail: "the server ended with exit code 1".to_owned(),
        }));
        assert_eq!(source, Source::Runtime);
        assert_eq!(text, "replica 0000abcd failed (exited): the server ended with exit code 1");
        assert!(advice.unwrap().check.contains("log"));
    }
}
