//! The rules of instances in given/when/then form.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ReplicaId;
use crate::decider::testing::given;

const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));

fn hosted() -> Access {
    Access::Hosted(Hosted {
        transport: HostedTransport::Stdio,
        command: CommandLine { program: "npx".to_owned(), args: vec!["-y".to_owned(), "server".to_owned()] },
        env: BTreeMap::new(),
    })
}

fn proxied() -> Access {
    Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    })
}

fn created(access: Access) -> Event {
    Event::Created(Created { name: "everything".parse().unwrap(), access })
}

fn create() -> Command {
    Command::Create { name: "everything".parse().unwrap(), access: hosted() }
}

fn starting(replica: ReplicaId, generation: u64) -> Event {
    Event::ReplicaStarting(ReplicaStarting { replica, generation })
}

fn handshaking(replica: ReplicaId) -> Event {
    Event::ReplicaHandshaking(ReplicaHandshaking { replica })
}

fn server() -> ServerInfo {
    ServerInfo { name: "s".to_owned(), version: "1".to_owned(), protocol_version: "2025-11-25".to_owned() }
}

fn ready(replica: ReplicaId) -> Event {
    Event::ReplicaReady(ReplicaReady {
        replica,
        endpoint: "http://127.0.0.1:1/mcp".to_owned(),
        credential: None,
        server: server(),
    })
}

fn report(replica: ReplicaId, generation: u64, fact: Fact) -> Command {
    Command::Report { replica, generation, fact }
}

fn report_ready(replica: ReplicaId, generation: u64) -> Command {
    let fact =
        Fact::Ready { endpoint: "http://127.0.0.1:1/mcp".to_owned(), credential: None, server: server() };
    report(replica, generation, fact)
}

fn failed() -> Fact {
    Fact::Failed { reason: FailureReason::Exited, detail: "exit code 1".to_owned() }
}

#[test]
fn creating_makes_an_instance_that_is_wanted_to_run() {
    given::<InstanceDecider>([]).when(create()).then([created(hosted())]);
}

#[test]
fn an_instance_is_created_once() {
    given::<InstanceDecider>([created(hosted())]).when(create()).then_refused(Refusal::Exists);
}

#[test]
fn starting_what_runs_and_stopping_what_stands_changes_nothing() {
    given::<InstanceDecider>([created(hosted())]).when(Command::Start).then([]);
    given::<InstanceDecider>([created(hosted()), Event::Stopped(Stopped {})]).when(Command::Stop).then([]);
}

#[test]
fn every_start_and_restart_opens_a_generation() {
    given::<InstanceDecider>([created(hosted())])
        .when(Command::Restart)
        .then([Event::Restarted(Restarted { generation: 2 })]);
    given::<InstanceDecider>([
        created(hosted()),
        Event::Restarted(Restarted { generation: 2 }),
        Event::Stopped(Stopped {}),
    ])
    .when(Command::Start)
    .then([Event::Started(Started { generation: 3 })]);
}

#[test]
fn restarting_a_stopped_instance_starts_it() {
    given::<InstanceDecider>([created(hosted()), Event::Stopped(Stopped {})])
        .when(Command::Restart)
        .then([Event::Started(Started { generation: 2 })]);
}

#[test]
fn a_deleted_instance_stays_deleted() {
    let past = [created(hosted()), Event::Deleted(Deleted {})];
    given::<InstanceDecider>(past.clone()).when(Command::Start).then_refused(Refusal::Deleted);
    given::<InstanceDecider>(past.clone()).when(create()).then_refused(Refusal::Deleted);
    given::<InstanceDecider>(past).when(Command::Delete).then([]);
}

#[test]
fn an_unknown_instance_is_not_found() {
    for command in [Command::Start, Command::Stop, Command::Restart, Command::Delete] {
        given::<InstanceDecider>([]).when(command).then_refused(Refusal::NotFound);
    }
}

#[test]
fn a_replica_comes_up_step_by_step() {
    given::<InstanceDecider>([created(hosted())])
        .when(report(FIRST, 1, Fact::Starting))
        .then([starting(FIRST, 1)]);
    given::<InstanceDecider>([created(hosted()), starting(FIRST, 1)])
        .when(report(FIRST, 1, Fact::Handshaking))
        .then([handshaking(FIRST)]);
    given::<InstanceDecider>([created(hosted()), starting(FIRST, 1), handshaking(FIRST)])
        .when(report_ready(FIRST, 1))
        .then([ready(FIRST)]);
}

#[test]
fn a_report_that_is_known_already_changes_nothing() {
    let past = [created(hosted()), starting(FIRST, 1), ready(FIRST)];
    given::<InstanceDecider>(past.clone()).when(report(FIRST, 1, Fact::Starting)).then([]);
    given::<InstanceDecider>(past.clone()).when(report(FIRST, 1, Fact::Handshaking)).then([]);
    given::<InstanceDecider>(past.clone()).when(report_ready(FIRST, 1)).then([]);
    given::<InstanceDecider>(past).when(report(SECOND, 1, Fact::Stopped)).then([]);
}

#[test]
fn progress_of_an_old_generation_is_refused() {
    given::<InstanceDecider>([
        created(hosted()),
        starting(FIRST, 1),
        Event::Restarted(Restarted { generation: 2 }),
    ])
    .when(report_ready(FIRST, 1))
    .then_refused(Refusal::Superseded { reported: 1, wanted: 2 });
}

#[test]
fn the_end_of_an_old_replica_is_a_fact_whatever_is_wanted() {
    given::<InstanceDecider>([created(hosted()), starting(FIRST, 1), Event::Stopped(Stopped {})])
        .when(report(FIRST, 1, Fact::Stopped))
        .then([Event::ReplicaStopped(ReplicaStopped { replica: FIRST })]);
}

#[test]
fn a_stopped_instance_gets_no_replica() {
    given::<InstanceDecider>([created(hosted()), Event::Stopped(Stopped {})])
        .when(report(FIRST, 1, Fact::Starting))
        .then_refused(Refusal::NotRunning);
}

#[test]
fn only_replicas_that_started_become_ready() {
    given::<InstanceDecider>([created(hosted())])
        .when(report_ready(FIRST, 1))
        .then_refused(Refusal::UnknownReplica);
}

#[test]
fn what_the_platform_does_not_run_has_no_replicas() {
    given::<InstanceDecider>([created(proxied())])
        .when(report(FIRST, 1, Fact::Starting))
        .then_refused(Refusal::NotHosted);
}

#[test]
fn creating_claims_the_name_and_deleting_releases_it() {
    use crate::instance_name::Command as NameCommand;
    let id = InstanceId(Uuid::from_u128(7));
    let (name, claim) = name_command(id, &State::Absent, &created(hosted())).unwrap();
    assert_eq!((name.as_str(), claim), ("everything", NameCommand::Claim { instance: id }));

    let running = InstanceDecider::evolve(State::Absent, &created(hosted())).unwrap();
    let (name, release) = name_command(id, &running, &Event::Deleted(Deleted {})).unwrap();
    assert_eq!((name.as_str(), release), ("everything", NameCommand::Release { instance: id }));
}

fn any_command() -> impl Strategy<Value = Command> {
    let replica = prop_oneof![Just(FIRST), Just(SECOND)];
    let fact = prop_oneof![
        Just(Fact::Starting),
        Just(Fact::Handshaking),
        Just(Fact::Ready {
            endpoint: "http://127.0.0.1:1/mcp".to_owned(),
            credential: None,
            server: server()
        }),
        Just(failed()),
        Just(Fact::Stopped),
    ];
    let access = prop_oneof![Just(hosted()), Just(proxied())];
    prop_oneof![
        access.prop_map(|access| Command::Create { name: "everything".parse().unwrap(), access }),
        Just(Command::Start),
        Just(Command::Stop),
        Just(Command::Restart),
        Just(Command::Delete),
        (replica, 1..4_u64, fact).prop_map(|(replica, generation, fact)| Command::Report {
            replica,
            generation,
            fact
        }),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_leads_to_an_impossible_event(
        commands in proptest::collection::vec(any_command(), 0..60)
    ) {
        let mut state = State::default();
        for command in commands {
            let Ok(events) = InstanceDecider::decide(&state, command.clone()) else { continue };
            for event in events {
                state = InstanceDecider::evolve(state, &event)?;
            }
            // A wish that has been granted is true: the same command again gives nothing, or opens a generation.
            if !matches!(command, Command::Restart | Command::Create { .. }) {
                prop_assert_eq!(InstanceDecider::decide(&state, command), Ok(vec![]));
            }
        }
    }
}
