//! Events in, row out.

use std::collections::BTreeMap;

use domain::instance::{
    CommandLine, Created, Deleted, Hosted, HostedTransport, Remote, RemoteTransport, ReplicaFailed,
    ReplicaHandshaking, ReplicaReady, ReplicaStarting, ReplicaStopped, Restarted, Started, Stopped,
};

use super::*;
use crate::testing::{fold, recorded};

const ID: InstanceId = InstanceId(Uuid::from_u128(7));
const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));

fn hosted() -> Event {
    let command = CommandLine { program: "npx".to_owned(), args: vec![] };
    let access = Access::Hosted(Hosted { transport: HostedTransport::Stdio, command, env: BTreeMap::new() });
    Event::Created(Created { name: "everything".parse().unwrap(), access })
}

fn proxied() -> Event {
    let access = Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    });
    Event::Created(Created { name: "remote".parse().unwrap(), access })
}

fn starting(replica: ReplicaId, generation: u64) -> Event {
    Event::ReplicaStarting(ReplicaStarting { replica, generation })
}

fn ready(replica: ReplicaId, endpoint: &str) -> Event {
    let server = ServerInfo {
        name: "s".to_owned(),
        version: "1".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
    };
    Event::ReplicaReady(ReplicaReady { replica, endpoint: endpoint.to_owned(), credential: None, server })
}

fn failed(replica: ReplicaId) -> Event {
    failed_because(replica, FailureReason::Exited)
}

fn failed_because(replica: ReplicaId, reason: FailureReason) -> Event {
    let detail = "exit code 1".to_owned();
    Event::ReplicaFailed(ReplicaFailed { replica, reason, detail })
}

fn row(events: impl IntoIterator<Item = Event>) -> Option<InstanceRow> {
    let events = events.into_iter().map(|event| domain::Event::Instance { id: ID, event });
    fold::<Instances>(&recorded(events))
}

fn phase(events: impl IntoIterator<Item = Event>) -> Phase {
    row(events).unwrap().phase
}

#[test]
fn the_phase_follows_the_replica() {
    let handshaking = || Event::ReplicaHandshaking(ReplicaHandshaking { replica: FIRST });
    assert_eq!(phase([hosted()]), Phase::Starting);
    assert_eq!(phase([hosted(), starting(FIRST, 1), handshaking()]), Phase::Starting);
    assert_eq!(phase([hosted(), starting(FIRST, 1), ready(FIRST, "a")]), Phase::Ready);
    assert_eq!(phase([hosted(), starting(FIRST, 1), failed(FIRST)]), Phase::Failed);
    let lost = failed_because(FIRST, FailureReason::Lost);
    assert_eq!(phase([hosted(), starting(FIRST, 1), ready(FIRST, "a"), lost]), Phase::Starting);
    assert_eq!(phase([hosted(), starting(FIRST, 1), Event::Stopped(Stopped {})]), Phase::Stopping);
    assert_eq!(phase([hosted(), Event::Stopped(Stopped {})]), Phase::Stopped);
    assert_eq!(phase([proxied()]), Phase::Configured);
}

#[test]
fn only_ready_replicas_of_a_wanted_instance_are_called_newest_first() {
    let log = [
        hosted(),
        starting(FIRST, 1),
        ready(FIRST, "http://127.0.0.1:1/mcp"),
        Event::Restarted(Restarted { generation: 2 }),
        starting(SECOND, 2),
    ];
    let endpoints =
        |row: InstanceRow| row.ready_endpoints().map(|(url, _)| url.to_owned()).collect::<Vec<_>>();
    assert_eq!(endpoints(row(log.clone()).unwrap()), ["http://127.0.0.1:1/mcp"]);
    let log = log.into_iter().chain([ready(SECOND, "http://127.0.0.1:2/mcp")]).collect::<Vec<_>>();
    assert_eq!(endpoints(row(log.clone()).unwrap()), ["http://127.0.0.1:2/mcp", "http://127.0.0.1:1/mcp"]);
    let log = log.into_iter().chain([Event::Stopped(Stopped {})]);
    assert!(endpoints(row(log).unwrap()).is_empty());
}

#[test]
fn a_failure_is_shown_until_a_replica_is_ready_again() {
    let log = [hosted(), starting(FIRST, 1), failed(FIRST), starting(SECOND, 1)];
    let failure = row(log.clone()).unwrap().failure.unwrap();
    assert_eq!((failure.replica, failure.reason), (FIRST, FailureReason::Exited));
    assert_eq!(row(log.into_iter().chain([ready(SECOND, "b")])).unwrap().failure, None);
}

#[test]
fn starting_again_opens_a_new_generation_and_forgets_the_failure() {
    let log = [
        hosted(),
        starting(FIRST, 1),
        failed(FIRST),
        Event::Stopped(Stopped {}),
        Event::Started(Started { generation: 2 }),
    ];
    let row = row(log).unwrap();
    assert_eq!((row.wanted, row.generation, row.phase), (true, 2, Phase::Starting));
    assert_eq!((row.revision, row.sequence), (5, 5));
}

#[test]
fn a_replica_that_ended_is_not_listed() {
    let ended = Event::ReplicaStopped(ReplicaStopped { replica: FIRST });
    assert_eq!(row([hosted(), starting(FIRST, 1), ended]).unwrap().replicas, []);
}

#[test]
fn a_deleted_instance_has_no_row() {
    assert_eq!(row([hosted(), Event::Deleted(Deleted {})]), None);
}
