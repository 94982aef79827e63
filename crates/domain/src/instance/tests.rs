//! The rules of instances in given/when/then form.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::decider::testing::given;
use crate::{ReplicaId, Sealed};

const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));

fn hosted() -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec!["-y".to_owned(), "server".to_owned()] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}

fn proxied() -> Access {
    Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    })
}

fn created(access: Access) -> Event {
    let name = "everything".parse().unwrap();
    Event::Created(Created { name, access, profile: Profile::default(), template: None })
}

fn create() -> Command {
    create_with(hosted())
}

fn create_with(access: Access) -> Command {
    let name = "everything".parse().unwrap();
    Command::Create { name, access, profile: Profile::default(), template: None }
}

fn edit(change: impl FnOnce(&mut Edit)) -> Command {
    let mut edit = Edit::default();
    change(&mut edit);
    Command::Edit(Box::new(edit))
}

/// The hosted access mode with a change in it.
fn hosted_with(change: impl FnOnce(&mut Hosted)) -> Access {
    let Access::Hosted(mut hosted) = hosted() else { unreachable!("it is hosted") };
    change(&mut hosted);
    Access::Hosted(hosted)
}

fn starting(replica: ReplicaId, generation: u64) -> Event {
    Event::ReplicaStarting(ReplicaStarting { replica, generation })
}

fn handshaking(replica: ReplicaId) -> Event {
    Event::ReplicaHandshaking(ReplicaHandshaking { replica })
}

fn server() -> ServerInfo {
    ServerInfo {
        name: "s".to_owned(),
        version: "1".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        revisions: vec![],
    }
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
fn an_issuer_is_named_once_and_taken_away() {
    let authorization = || Authorization {
        issuer: "https://issuer.example".to_owned(),
        audience: "everything".to_owned(),
        scopes: Default::default(),
        jwks_url: None,
    };
    let change = |authorization| Command::ChangeAuthorization { authorization };
    let changed = |authorization| Event::AuthorizationChanged(AuthorizationChanged { authorization });
    let past = [created(proxied()), changed(Some(authorization()))];
    given::<InstanceDecider>([created(proxied())])
        .when(change(Some(authorization())))
        .then([changed(Some(authorization()))]);
    given::<InstanceDecider>(past.clone()).when(change(Some(authorization()))).then([]);
    given::<InstanceDecider>(past).when(change(None)).then([changed(None)]);
    given::<InstanceDecider>([created(proxied())]).when(change(None)).then([]);
    given::<InstanceDecider>([]).when(change(None)).then_refused(Refusal::NotFound);
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
fn names_are_claimed_and_released_with_what_they_belong_to() {
    use claim::Command::{Claim, Release};
    let holder = InstanceId(Uuid::from_u128(7));
    let name = |text: &str| text.parse::<Name>().unwrap();
    let running = InstanceDecider::evolve(State::Absent, &created(hosted())).unwrap();
    let renamed = Event::Renamed(Renamed { from: name("everything"), to: name("other") });

    let claims = name_claims(holder, &State::Absent, &created(hosted()));
    assert_eq!(claims, [(name("everything"), Claim { holder })]);
    let claims = name_claims(holder, &running, &renamed);
    assert_eq!(claims, [(name("other"), Claim { holder }), (name("everything"), Release { holder })]);
    let claims = name_claims(holder, &running, &Event::Deleted(Deleted {}));
    assert_eq!(claims, [(name("everything"), Release { holder })]);
}

#[test]
fn renaming_to_the_same_name_changes_nothing() {
    let rename = |name: &str| Command::Rename { name: name.parse().unwrap() };
    given::<InstanceDecider>([created(hosted())]).when(rename("everything")).then([]);
    let renamed = Renamed { from: "everything".parse().unwrap(), to: "other".parse().unwrap() };
    given::<InstanceDecider>([created(hosted())]).when(rename("other")).then([Event::Renamed(renamed)]);
    given::<InstanceDecider>([]).when(rename("other")).then_refused(Refusal::NotFound);
}

#[test]
fn an_edit_changes_what_it_names_and_replaces_what_runs() {
    let sealed = Sealed("s1".to_owned());
    let with_env = hosted_with(|hosted| drop(hosted.env.insert("KEY".to_owned(), sealed.clone())));
    let set = |value: Option<Sealed>| edit(|edit| drop(edit.env.insert("KEY".to_owned(), value.clone())));
    let edited = |access: &Access, generation| {
        Event::Edited(Edited { access: access.clone(), profile: Profile::default(), generation })
    };
    given::<InstanceDecider>([created(hosted())])
        .when(set(Some(sealed.clone())))
        .then([edited(&with_env, 2)]);
    given::<InstanceDecider>([created(with_env.clone())]).when(set(Some(sealed.clone()))).then([]);
    given::<InstanceDecider>([created(with_env.clone())]).when(set(None)).then([edited(&hosted(), 2)]);
    // What stands still gets its generation when it starts.
    given::<InstanceDecider>([created(hosted()), Event::Stopped(Stopped {})])
        .when(set(Some(sealed.clone())))
        .then([edited(&with_env, 1)]);
}

#[test]
fn notes_labels_and_logging_replace_nothing_that_runs() {
    let profile = Profile {
        labels: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
        notes: "ask before stopping".to_owned(),
        icon: String::new(),
        logging: Logging { capture: Capture::Bodies, strict: true },
        health_check: HealthCheck { interval_seconds: 60, tools: BTreeSet::from(["echo".to_owned()]) },
    };
    given::<InstanceDecider>([created(hosted())])
        .when(edit(|edit| {
            edit.labels.insert("team".to_owned(), Some("a".to_owned()));
            edit.notes = Some("ask before stopping".to_owned());
            (edit.capture, edit.strict) = (Some(Capture::Bodies), Some(true));
            edit.check_interval_seconds = Some(60);
            edit.check_tools = Some(BTreeSet::from(["echo".to_owned()]));
        }))
        .then([Event::Edited(Edited { access: hosted(), profile, generation: 1 })]);
}

#[test]
fn a_direct_instance_has_no_logging() {
    let refusal =
        |setting: &str| Refusal::NotOfMode { setting: setting.to_owned(), mode: "direct".to_owned() };
    let Access::Proxy(remote) = proxied() else { unreachable!("it is proxied") };
    given::<InstanceDecider>([created(Access::Direct(remote))])
        .when(edit(|edit| edit.capture = Some(Capture::Off)))
        .then_refused(refusal("logging"));
}

#[test]
fn a_command_line_can_be_edited_in_part() {
    let arguments = vec!["--verbose".to_owned()];
    let change = |edit: &mut Edit| edit.args = Some(arguments.clone());
    let command = CommandLine { program: "npx".to_owned(), args: arguments.clone() };
    let access = hosted_with(|hosted| hosted.source = Source::Command(command));
    given::<InstanceDecider>([created(hosted())]).when(edit(change)).then([Event::Edited(Edited {
        access,
        profile: Profile::default(),
        generation: 2,
    })]);

    let source = Source::Image { image: "example.com/server:1".to_owned(), command: None };
    let image = hosted_with(|hosted| hosted.source = source);
    given::<InstanceDecider>([created(image)]).when(edit(change)).then_refused(Refusal::NoCommand);
}

#[test]
fn an_image_and_a_command_are_changed_one_without_the_other() {
    let image = || "example.com/server:1".to_owned();
    let npx = || CommandLine { program: "npx".to_owned(), args: vec!["-y".to_owned(), "server".to_owned()] };
    let of = |source: Source| created(hosted_with(|hosted| hosted.source = source));
    let leads = |before: Source, change: fn(&mut Edit), after: Source| {
        given::<InstanceDecider>([of(before)]).when(edit(change)).then([Event::Edited(Edited {
            access: hosted_with(|hosted| hosted.source = after),
            profile: Profile::default(),
            generation: 2,
        })]);
    };
    let (bare, with) = (
        Source::Image { image: image(), command: None },
        Source::Image { image: image(), command: Some(npx()) },
    );
    let set_image = |edit: &mut Edit| edit.image = Some(Change::Set("example.com/server:1".to_owned()));
    leads(Source::Command(npx()), set_image, with.clone());
    leads(with.clone(), |edit| edit.image = Some(Change::Clear), Source::Command(npx()));
    leads(with, |edit| edit.program = Some(Change::Clear), bare.clone());
    let other = CommandLine { program: "serve".to_owned(), args: vec![] };
    let set_program = |edit: &mut Edit| edit.program = Some(Change::Set("serve".to_owned()));
    leads(bare.clone(), set_program, Source::Image { image: image(), command: Some(other) });

    let refused = |before: Source, change: fn(&mut Edit)| {
        given::<InstanceDecider>([of(before)]).when(edit(change)).then_refused(Refusal::NothingToRun);
    };
    refused(bare, |edit| edit.image = Some(Change::Clear));
    refused(Source::Command(npx()), |edit| edit.program = Some(Change::Clear));
}

#[test]
fn resources_are_changed_one_by_one_and_nobody_asks_for_more_than_may_be_used() {
    let limited = || hosted_with(|hosted| hosted.resources.set(Resource::CpuLimitMillis, Some(500)));
    let request =
        |millis| edit(move |edit| edit.resources.extend([(Resource::CpuRequestMillis, Some(millis))]));
    let mut both = limited();
    if let Access::Hosted(hosted) = &mut both {
        hosted.resources.set(Resource::CpuRequestMillis, Some(500));
    }
    let edited = Edited { access: both, profile: Profile::default(), generation: 2 };
    given::<InstanceDecider>([created(limited())]).when(request(500)).then([Event::Edited(edited)]);
    given::<InstanceDecider>([created(limited())])
        .when(request(501))
        .then_refused(Refusal::RequestAboveLimit);
}

#[test]
fn whom_a_process_serves_is_a_setting_of_what_runs() {
    let shared = || edit(|edit| edit.process = Some(Process::Shared));
    let after = hosted_with(|hosted| hosted.process = Process::Shared);
    let edited = Edited { access: after, profile: Profile::default(), generation: 2 };
    given::<InstanceDecider>([created(hosted())]).when(shared()).then([Event::Edited(edited)]);
    given::<InstanceDecider>([created(proxied())])
        .when(shared())
        .then_refused(Refusal::NotOfMode { setting: "process".to_owned(), mode: "proxy".to_owned() });
}

#[test]
fn an_edit_names_only_what_the_access_mode_has() {
    let refusal =
        |setting: &str, mode: &str| Refusal::NotOfMode { setting: setting.to_owned(), mode: mode.to_owned() };
    given::<InstanceDecider>([created(hosted())])
        .when(edit(|edit| edit.url = Some("https://example.com".to_owned())))
        .then_refused(refusal("url", "hosted"));
    given::<InstanceDecider>([created(proxied())])
        .when(edit(|edit| edit.program = Some(Change::Set("npx".to_owned()))))
        .then_refused(refusal("command", "proxy"));
}

#[test]
fn edits_do_not_add_up_beyond_what_an_event_can_hold() {
    let full = hosted_with(|hosted| {
        hosted.env = (0..access::SECRETS_MAX).map(|i| (format!("K{i}"), Sealed("s".to_owned()))).collect();
    });
    let one_more = edit(|edit| drop(edit.env.insert("ONE_MORE".to_owned(), Some(Sealed("s".to_owned())))));
    given::<InstanceDecider>([created(full)]).when(one_more).then_refused(Refusal::TooMany {
        what: "variables or header fields".to_owned(),
        max: access::SECRETS_MAX,
    });
    let huge = Sealed("s".repeat(crate::sealed::SEALED_BYTES_MAX + 1));
    given::<InstanceDecider>([created(hosted())])
        .when(edit(|edit| drop(edit.env.insert("KEY".to_owned(), Some(huge)))))
        .then_refused(Refusal::TooLarge { max: crate::sealed::SEALED_BYTES_MAX });
}

#[test]
fn scaling_replaces_nothing_and_has_bounds() {
    let scale = |replicas| Command::Scale { replicas };
    given::<InstanceDecider>([created(hosted())])
        .when(scale(3))
        .then([Event::Scaled(Scaled { replicas: 3 })]);
    given::<InstanceDecider>([created(hosted())]).when(scale(1)).then([]);
    for replicas in [0, access::REPLICAS_MAX + 1] {
        given::<InstanceDecider>([created(hosted())])
            .when(scale(replicas))
            .then_refused(Refusal::Replicas { max: access::REPLICAS_MAX });
    }
    given::<InstanceDecider>([created(proxied())]).when(scale(2)).then_refused(Refusal::NoReplicas);
}

#[test]
fn replicas_of_what_is_no_longer_hosted_have_to_end_and_may_say_so() {
    let changed = Event::AccessChanged(AccessChanged { access: proxied(), generation: 2 });
    given::<InstanceDecider>([created(hosted())])
        .when(Command::ChangeAccess { access: proxied() })
        .then([changed.clone()]);
    let past = [created(hosted()), starting(FIRST, 1), changed];
    given::<InstanceDecider>(past.clone()).when(report_ready(FIRST, 1)).then_refused(Refusal::NotHosted);
    given::<InstanceDecider>(past)
        .when(report(FIRST, 1, Fact::Stopped))
        .then([Event::ReplicaStopped(ReplicaStopped { replica: FIRST })]);
}

fn healthy() -> Health {
    let ready = Dimension::Ready;
    let status = HealthStatus::Healthy;
    Health { status, container: ready, service: ready, mcp: ready, unsteady: false, problem: None }
}

fn hanging() -> Health {
    let detail = "no answer to ping within 5 s".to_owned();
    let problem = Some(Problem { class: ProblemClass::AnswerTimeout, detail });
    Health { status: HealthStatus::Unhealthy, mcp: Dimension::NotReady, problem, ..healthy() }
}

fn seen(health: Health) -> Event {
    Event::HealthChanged(HealthChanged { health })
}

#[test]
fn only_what_probes_see_otherwise_than_before_is_told() {
    let see = |generation, health| Command::ReportHealth { generation, health };
    let past = [created(hosted()), starting(FIRST, 1), ready(FIRST)];
    given::<InstanceDecider>(past.clone()).when(see(1, healthy())).then([seen(healthy())]);
    let past = past.into_iter().chain([seen(healthy())]).collect::<Vec<_>>();
    given::<InstanceDecider>(past.clone()).when(see(1, healthy())).then([]);
    given::<InstanceDecider>(past.clone()).when(see(1, hanging())).then([seen(hanging())]);
    given::<InstanceDecider>(past)
        .when(see(2, healthy()))
        .then_refused(Refusal::Superseded { reported: 2, wanted: 1 });
}

#[test]
fn what_probes_have_seen_is_forgotten_with_what_they_saw() {
    let see = || Command::ReportHealth { generation: 1, health: healthy() };
    let past = [created(hosted()), starting(FIRST, 1), ready(FIRST), seen(healthy())];
    let failed = Event::ReplicaFailed(ReplicaFailed {
        replica: FIRST,
        reason: FailureReason::Exited,
        detail: "it ended".to_owned(),
    });
    let gone: Vec<_> = past.iter().cloned().chain([failed]).collect();
    given::<InstanceDecider>(gone.clone()).when(see()).then_refused(Refusal::NoReadyReplica);
    let back: Vec<_> = gone.into_iter().chain([starting(SECOND, 1), ready(SECOND)]).collect();
    given::<InstanceDecider>(back).when(see()).then([seen(healthy())]);
    let stopped: Vec<_> = past.into_iter().chain([Event::Stopped(Stopped {})]).collect();
    given::<InstanceDecider>(stopped).when(see()).then_refused(Refusal::NotRunning);
}

#[test]
fn a_proxied_instance_is_probed_and_a_direct_one_is_not() {
    let see = || Command::ReportHealth { generation: 1, health: healthy() };
    given::<InstanceDecider>([created(proxied())]).when(see()).then([seen(healthy())]);
    let Access::Proxy(remote) = proxied() else { unreachable!("it is proxied") };
    given::<InstanceDecider>([created(Access::Direct(remote.clone()))])
        .when(see())
        .then_refused(Refusal::NotProbed);
    given::<InstanceDecider>([created(Access::Direct(remote))])
        .when(edit(|edit| edit.check_interval_seconds = Some(60)))
        .then_refused(Refusal::NotOfMode { setting: "health check".to_owned(), mode: "direct".to_owned() });
}

#[test]
fn a_revision_counts_what_people_change() {
    let past = [created(hosted()), starting(FIRST, 1), ready(FIRST), Event::Stopped(Stopped {})];
    let state = past.iter().fold(State::Absent, |state, event| {
        InstanceDecider::evolve(state, event).expect("the past is possible")
    });
    assert_eq!(InstanceDecider::revision(&state), 2);
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
    let health = prop_oneof![Just(healthy()), Just(hanging())];
    prop_oneof![
        access.clone().prop_map(create_with),
        access.prop_map(|access| Command::ChangeAccess { access }),
        prop_oneof![Just("everything"), Just("other")]
            .prop_map(|name| Command::Rename { name: name.parse().unwrap() }),
        (0..4_u16).prop_map(|replicas| Command::Scale { replicas }),
        prop_oneof![Just(None), Just(Some(Sealed("s1".to_owned())))]
            .prop_map(|value| edit(|edit| drop(edit.env.insert("KEY".to_owned(), value)))),
        Just(Command::Start),
        Just(Command::Stop),
        Just(Command::Restart),
        Just(Command::Delete),
        (1..4_u64, health).prop_map(|(generation, health)| Command::ReportHealth { generation, health }),
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
