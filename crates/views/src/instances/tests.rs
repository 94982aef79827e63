//! Events in, row out.

use std::collections::BTreeMap;

use domain::instance::{
    AccessChanged, CommandLine, Deleted, Dimension, Edited, Health, HealthChanged, HealthStatus, Hosted,
    Remote, RemoteTransport, Renamed, ReplicaFailed, ReplicaHandshaking, ReplicaReady, ReplicaStarting,
    ReplicaStopped, Restarted, Scaled, Source, Started, Stopped,
};

use super::*;
use crate::testing::{fold, recorded};

const ID: InstanceId = InstanceId(Uuid::from_u128(7));
const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));

fn hosted_access() -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}

fn proxied_access() -> Access {
    Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    })
}

fn created(name: &str, access: Access) -> Event {
    let profile = Profile::default();
    Event::Created(Created { name: name.parse().unwrap(), access, profile, template: None })
}

fn hosted() -> Event {
    created("everything", hosted_access())
}

fn proxied() -> Event {
    created("remote", proxied_access())
}

fn starting(replica: ReplicaId, generation: u64) -> Event {
    Event::ReplicaStarting(ReplicaStarting { replica, generation })
}

fn ready(replica: ReplicaId, endpoint: &str) -> Event {
    let server = ServerInfo {
        name: "s".to_owned(),
        version: "1".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        revisions: vec![],
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
        |row: InstanceRow| row.ready_replicas().filter_map(|replica| replica.url.clone()).collect::<Vec<_>>();
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
    assert_eq!((row.revision, row.sequence), (3, 5));
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

#[test]
fn a_row_shows_what_was_changed_last_and_counts_only_wishes() {
    let profile = Profile { notes: "ours".to_owned(), ..Profile::default() };
    let mut scaled = hosted_access();
    scaled.scale(3);
    let row = row([
        hosted(),
        Event::Renamed(Renamed { from: "everything".parse().unwrap(), to: "all".parse().unwrap() }),
        Event::Edited(Edited { access: hosted_access(), profile: profile.clone(), generation: 2 }),
        starting(FIRST, 2),
        Event::Scaled(Scaled { replicas: 3 }),
    ])
    .unwrap();
    assert_eq!((row.name.as_str(), &row.access, &row.profile), ("all", &scaled, &profile));
    assert_eq!((row.generation, row.revision, row.sequence), (2, 4, 5));
}

#[test]
fn an_edit_forgives_a_failure_only_if_something_else_runs_from_then_on() {
    let edited = |generation| {
        let profile = Profile::default();
        Event::Edited(Edited { access: hosted_access(), profile, generation })
    };
    let past = [hosted(), starting(FIRST, 1), failed(FIRST)];
    assert_eq!(phase(past.clone().into_iter().chain([edited(1)])), Phase::Failed);
    assert_eq!(phase(past.into_iter().chain([edited(2)])), Phase::Starting);
}

#[test]
fn what_is_no_longer_hosted_has_no_replica_to_call() {
    let changed = Event::AccessChanged(AccessChanged { access: proxied_access(), generation: 2 });
    let row = row([hosted(), starting(FIRST, 1), ready(FIRST, "http://127.0.0.1:1/mcp"), changed]).unwrap();
    assert_eq!((row.ready_replicas().count(), row.phase), (0, Phase::Configured));
    assert_eq!(row.replicas.len(), 1, "it is still to be ended");
}

fn health(status: HealthStatus) -> Event {
    let ready = Dimension::Ready;
    let health =
        Health { status, container: ready, service: ready, mcp: ready, unsteady: false, problem: None };
    Event::HealthChanged(HealthChanged { health })
}

#[test]
fn a_condition_tells_what_probes_see_and_else_what_runs() {
    let status = |events: &[Event]| {
        let row = row(events.iter().cloned()).unwrap();
        row.condition()
            .map(|condition| (condition.status, condition.container, condition.trouble.map(|it| it.class)))
    };
    let mut events = vec![hosted()];
    assert_eq!(status(&events), Some((None, Dimension::NotReady, None)));
    events.extend([starting(FIRST, 1), ready(FIRST, "http://127.0.0.1:1/mcp")]);
    assert_eq!(status(&events), Some((None, Dimension::Ready, None)));
    events.push(health(HealthStatus::Unhealthy));
    assert_eq!(status(&events), Some((Some(HealthStatus::Unhealthy), Dimension::Ready, None)));
    events.push(failed(FIRST));
    let failure = Some((Some(HealthStatus::Unhealthy), Dimension::NotReady, Some("exited")));
    assert_eq!(status(&events), failure, "what was seen of a replica that is gone says nothing");
    events.push(Event::Stopped(Stopped {}));
    assert_eq!(status(&events), None);
    assert_eq!(status(&[proxied()]), Some((None, Dimension::NotApplicable, None)));
    assert_eq!(status(&[proxied(), health(HealthStatus::Healthy)]).unwrap().0, Some(HealthStatus::Healthy));
}
