//! Snapshot in, actions out.

use std::fmt::Write as _;

use domain::instance::{Access, CommandLine, Hosted, Profile, Remote, RemoteTransport, Source};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use uuid::Uuid;
use views::{Endpoint, Phase};

use super::*;

const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0xa));
const OTHER: InstanceId = InstanceId(Uuid::from_u128(0xb));
const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));
const THIRD: ReplicaId = ReplicaId(Uuid::from_u128(3));
const ENDED: Stage = Stage::Ended { sequence: 10 };

/// A world to plan for. The fields say what is; `check` says what is to be done about it.
#[derive(Default)]
struct World {
    rows: Vec<InstanceRow>,
    observed: Vec<(ReplicaId, Observed)>,
    holds: Vec<(InstanceId, Hold)>,
    directories: Vec<InstanceId>,
    now_s: u64,
}

fn check(world: World, expected: Expect) {
    let snapshot = Snapshot {
        rows: &world.rows.iter().map(|row| (row.id, row)).collect(),
        observed: &world.observed.into_iter().collect(),
        holds: &world.holds.into_iter().collect(),
        directories: &world.directories.into_iter().collect(),
        now: Duration::from_secs(world.now_s),
    };
    expected.assert_eq(&render(&plan(&snapshot)));
}

/// One line for each action, with the last hexadecimal digit of each id.
fn render(plan: &Plan) -> String {
    let mut text = String::new();
    for action in &plan.actions {
        match action {
            Action::Start { instance, generation, sequence } => {
                writeln!(text, "start {} generation {generation} at {sequence}", short(instance.0))
            }
            Action::Retire { replica } => writeln!(text, "retire {}", short(replica.0)),
            Action::End { replica, why } => writeln!(text, "end {} {why:?}", short(replica.0)),
            Action::Disown { instance, replica, generation } => {
                writeln!(text, "disown {}/{} generation {generation}", short(instance.0), short(replica.0))
            }
            Action::Clear { instance } => writeln!(text, "clear {}", short(instance.0)),
        }
        .unwrap();
    }
    if let Some(wake_at) = plan.wake_at {
        writeln!(text, "wake at {} s", wake_at.as_secs()).unwrap();
    }
    text
}

fn short(id: Uuid) -> String {
    format!("{:x}", id.as_u128())
}

fn hosted() -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}

fn proxied() -> Access {
    let url = "https://example.com/mcp".to_owned();
    Access::Proxy(Remote { transport: RemoteTransport::StreamableHttp, url, headers: BTreeMap::new() })
}

/// A hosted instance that is wanted, in this generation, as the log stood at this sequence.
fn wanted(id: InstanceId, generation: u64, sequence: u64) -> InstanceRow {
    InstanceRow {
        id,
        name: "everything".parse().unwrap(),
        access: hosted(),
        profile: Profile::default(),
        authorization: None,
        template: None,
        wanted: true,
        generation,
        phase: Phase::Starting,
        replicas: vec![],
        failure: None,
        seen: None,
        server: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        revision: 1,
        sequence,
    }
}

fn scaled(mut row: InstanceRow, replicas: u16) -> InstanceRow {
    row.access.scale(replicas);
    row
}

fn listing(mut row: InstanceRow, replica: ReplicaId, generation: u64) -> InstanceRow {
    row.replicas.push(Endpoint { replica, generation, url: None, credential: None });
    row
}

fn replica(replica: ReplicaId, generation: u64, stage: Stage) -> (ReplicaId, Observed) {
    (replica, Observed { instance: INSTANCE, generation, stage })
}

#[test]
fn a_wanted_instance_without_a_replica_is_started() {
    let rows = vec![wanted(INSTANCE, 1, 5), wanted(OTHER, 3, 9)];
    check(
        World { rows, ..World::default() },
        expect![[r#"
            start a generation 1 at 5
            start b generation 3 at 9
        "#]],
    );
}

#[test]
fn what_runs_as_wanted_is_left_alone() {
    let rows = vec![listing(wanted(INSTANCE, 1, 6), FIRST, 1)];
    let observed = vec![replica(FIRST, 1, Stage::Running)];
    check(World { rows, observed, ..World::default() }, expect![""]);
}

#[test]
fn a_replica_that_the_view_has_not_heard_of_yet_is_enough() {
    let (rows, observed) = (vec![wanted(INSTANCE, 1, 5)], vec![replica(FIRST, 1, Stage::Running)]);
    check(World { rows, observed, ..World::default() }, expect![""]);
}

#[test]
fn only_hosted_instances_are_run() {
    let rows = vec![InstanceRow { access: proxied(), ..wanted(INSTANCE, 1, 5) }];
    check(World { rows, ..World::default() }, expect![""]);
}

#[test]
fn a_stopped_instance_is_ended_and_not_started() {
    let rows = vec![InstanceRow { wanted: false, ..listing(wanted(INSTANCE, 1, 7), FIRST, 1) }];
    let observed = vec![replica(FIRST, 1, Stage::Running)];
    check(
        World { rows: rows.clone(), observed, ..World::default() },
        expect![[r#"
            end 1 Stopped
        "#]],
    );
    let observed = vec![replica(FIRST, 1, ENDED)];
    check(World { rows, observed, ..World::default() }, expect![""]);
}

#[test]
fn a_restart_ends_the_old_before_it_starts_the_new() {
    let rows = vec![listing(wanted(INSTANCE, 2, 7), FIRST, 1)];
    let with =
        |stage| World { rows: rows.clone(), observed: vec![replica(FIRST, 1, stage)], ..World::default() };
    check(
        with(Stage::Running),
        expect![[r#"
            end 1 Superseded
        "#]],
    );
    check(with(Stage::Ending), expect![""]);
    check(
        with(ENDED),
        expect![[r#"
            start a generation 2 at 7
        "#]],
    );
}

#[test]
fn a_view_that_shows_an_older_generation_ends_nothing() {
    let rows = vec![wanted(INSTANCE, 1, 7)];
    let observed = vec![replica(FIRST, 2, Stage::Running)];
    check(World { rows, observed, ..World::default() }, expect![""]);
}

#[test]
fn a_deleted_instance_is_ended_and_then_cleared() {
    let with = |stage| World {
        observed: vec![replica(FIRST, 1, stage)],
        directories: vec![INSTANCE],
        ..World::default()
    };
    check(
        with(Stage::Running),
        expect![[r#"
            end 1 Gone
        "#]],
    );
    check(with(Stage::Ending), expect![""]);
    check(
        with(ENDED),
        expect![[r#"
            clear a
        "#]],
    );
}

#[test]
fn the_directory_of_an_instance_that_exists_is_kept() {
    let rows = vec![InstanceRow { wanted: false, ..wanted(INSTANCE, 1, 7) }];
    check(World { rows, directories: vec![INSTANCE], ..World::default() }, expect![""]);
}

#[test]
fn a_replica_that_nobody_runs_is_disowned_before_a_new_one_starts() {
    let rows = vec![listing(wanted(INSTANCE, 1, 6), FIRST, 1)];
    check(
        World { rows: rows.clone(), ..World::default() },
        expect![[r#"
            disown a/1 generation 1
        "#]],
    );
    let observed = vec![replica(FIRST, 1, Stage::Ending)];
    check(World { rows: rows.clone(), observed, ..World::default() }, expect![""]);
    let observed = vec![replica(FIRST, 1, ENDED)];
    check(
        World { rows, observed, ..World::default() },
        expect![[r#"
            start a generation 1 at 6
        "#]],
    );
}

#[test]
fn a_stopped_instance_does_not_keep_replicas_that_nobody_runs() {
    let row = listing(listing(wanted(INSTANCE, 2, 6), FIRST, 1), SECOND, 2);
    check(
        World { rows: vec![InstanceRow { wanted: false, ..row }], ..World::default() },
        expect![[r#"
            disown a/1 generation 1
            disown a/2 generation 2
        "#]],
    );
}

#[test]
fn after_a_failure_the_start_waits() {
    let hold = |instance, seconds| {
        let not_before = Duration::from_secs(seconds);
        (instance, Hold::Setback { generation: 1, failures: 3, proven: false, not_before })
    };
    let at = |now_s| World {
        rows: vec![wanted(INSTANCE, 1, 6), wanted(OTHER, 1, 8)],
        holds: vec![hold(INSTANCE, 30), hold(OTHER, 20)],
        now_s,
        ..World::default()
    };
    check(
        at(10),
        expect![[r#"
            wake at 20 s
        "#]],
    );
    check(
        at(20),
        expect![[r#"
            start b generation 1 at 8
            wake at 30 s
        "#]],
    );
}

#[test]
fn a_setback_of_an_older_generation_holds_nothing_up() {
    let not_before = Duration::from_secs(60);
    let holds = vec![(INSTANCE, Hold::Setback { generation: 1, failures: 9, proven: false, not_before })];
    check(
        World { rows: vec![wanted(INSTANCE, 2, 8)], holds, ..World::default() },
        expect![[r#"
            start a generation 2 at 8
        "#]],
    );
}

#[test]
fn after_a_refusal_a_newer_row_is_awaited() {
    let at = |sequence| World {
        rows: vec![wanted(INSTANCE, 1, sequence)],
        holds: vec![(INSTANCE, Hold::Behind { sequence: 6 })],
        ..World::default()
    };
    check(at(6), expect![""]);
    check(
        at(7),
        expect![[r#"
            start a generation 1 at 7
        "#]],
    );
}

#[test]
fn as_many_replicas_are_started_as_are_missing() {
    let rows = vec![scaled(listing(wanted(INSTANCE, 1, 7), FIRST, 1), 3)];
    let observed = vec![replica(FIRST, 1, Stage::Running)];
    check(
        World { rows: rows.clone(), observed, ..World::default() },
        expect![[r#"
            start a generation 1 at 7
            start a generation 1 at 7
        "#]],
    );
    let observed = [FIRST, SECOND, THIRD].map(|id| replica(id, 1, Stage::Running)).to_vec();
    check(World { rows, observed, ..World::default() }, expect![""]);
}

#[test]
fn the_newest_replicas_go_first_when_fewer_are_wanted() {
    let rows = vec![scaled(wanted(INSTANCE, 1, 9), 1)];
    let with = |stages: [Stage; 3]| World {
        rows: rows.clone(),
        observed: [FIRST, SECOND, THIRD]
            .into_iter()
            .zip(stages)
            .map(|(id, stage)| replica(id, 1, stage))
            .collect(),
        ..World::default()
    };
    check(
        with([Stage::Running; 3]),
        expect![[r#"
            end 3 Surplus
            end 2 Surplus
        "#]],
    );
    check(
        with([Stage::Running, Stage::Running, Stage::Ending]),
        expect![[r#"
        end 2 Surplus
    "#]],
    );
    check(with([Stage::Running, Stage::Ending, Stage::Ending]), expect![""]);
}

#[test]
fn nothing_is_started_while_something_of_the_instance_ends() {
    let rows = vec![scaled(wanted(INSTANCE, 1, 9), 3)];
    let with = |stage| World {
        rows: rows.clone(),
        observed: vec![replica(FIRST, 1, Stage::Running), replica(SECOND, 1, stage)],
        ..World::default()
    };
    check(with(Stage::Ending), expect![""]);
    check(
        with(ENDED),
        expect![[r#"
            start a generation 1 at 9
            start a generation 1 at 9
        "#]],
    );
}

/// The row as the view has it once these replicas are ready.
fn serving(row: InstanceRow, replicas: &[(ReplicaId, u64)]) -> InstanceRow {
    replicas.iter().fold(row, |row, (replica, generation)| {
        let mut row = listing(row, *replica, *generation);
        row.replicas.last_mut().expect("it was listed").url = Some("http://127.0.0.1:1/mcp".to_owned());
        row
    })
}

const OLD: [(ReplicaId, u64); 2] = [(FIRST, 1), (SECOND, 1)];
const FOURTH: ReplicaId = ReplicaId(Uuid::from_u128(4));

#[test]
fn several_replicas_are_replaced_in_turn_and_never_are_fewer_ready_than_wanted() {
    let row = |ready: &[(ReplicaId, u64)]| serving(scaled(wanted(INSTANCE, 2, 9), 2), ready);
    let with = |ready: &[(ReplicaId, u64)], observed: Vec<(ReplicaId, Observed)>| World {
        rows: vec![row(ready)],
        observed,
        now_s: 20,
        ..World::default()
    };
    let (old, new) = (|id| replica(id, 1, Stage::Running), |id| replica(id, 2, Stage::Running));
    let retiring = |seconds| Stage::Retiring { until: Duration::from_secs(seconds) };
    check(
        with(&OLD, vec![old(FIRST), old(SECOND)]),
        expect![[r#"
            start a generation 2 at 9
        "#]],
    );
    let begun = serving(row(&OLD), &[]);
    let begun = listing(begun, THIRD, 2);
    let observed = vec![old(FIRST), old(SECOND), new(THIRD)];
    check(World { rows: vec![begun], observed: observed.clone(), ..World::default() }, expect![""]);
    let ready = [OLD[0], OLD[1], (THIRD, 2)];
    check(
        with(&ready, observed),
        expect![[r#"
            retire 1
        "#]],
    );
    check(
        with(&ready, vec![replica(FIRST, 1, retiring(25)), old(SECOND), new(THIRD)]),
        expect![[r#"
            wake at 25 s
        "#]],
    );
    check(
        with(&ready, vec![replica(FIRST, 1, retiring(20)), old(SECOND), new(THIRD)]),
        expect![[r#"
            end 1 Superseded
        "#]],
    );
    check(
        with(&ready[1..], vec![replica(FIRST, 1, ENDED), old(SECOND), new(THIRD)]),
        expect![[r#"
            start a generation 2 at 9
        "#]],
    );
    let ready = [OLD[1], (THIRD, 2), (FOURTH, 2)];
    check(
        with(&ready, vec![old(SECOND), new(THIRD), new(FOURTH)]),
        expect![[r#"
            retire 2
        "#]],
    );
    check(
        with(&ready, vec![replica(SECOND, 1, retiring(30)), new(THIRD), new(FOURTH)]),
        expect![[r#"
            wake at 30 s
        "#]],
    );
}

#[test]
fn a_new_generation_that_does_not_come_up_leaves_the_old_one_serving() {
    let rows = vec![serving(scaled(wanted(INSTANCE, 2, 9), 2), &OLD)];
    let observed = vec![replica(FIRST, 1, Stage::Running), replica(SECOND, 1, Stage::Running)];
    let holds = vec![(INSTANCE, Hold::GivenUp { generation: 2 })];
    check(World { rows: rows.clone(), observed: observed.clone(), holds, ..World::default() }, expect![""]);
    let stopped = vec![InstanceRow { wanted: false, ..rows[0].clone() }];
    check(
        World { rows: stopped, observed, ..World::default() },
        expect![[r#"
            end 2 Stopped
            end 1 Stopped
        "#]],
    );
}

#[test]
fn what_was_given_up_is_started_by_another_generation_only() {
    let holds = || vec![(INSTANCE, Hold::GivenUp { generation: 1 })];
    check(World { rows: vec![wanted(INSTANCE, 1, 5)], holds: holds(), ..World::default() }, expect![""]);
    check(
        World { rows: vec![wanted(INSTANCE, 2, 6)], holds: holds(), ..World::default() },
        expect![[r#"
            start a generation 2 at 6
        "#]],
    );
}

#[test]
fn after_a_failure_replicas_come_back_one_by_one() {
    let setback =
        Hold::Setback { generation: 1, failures: 1, proven: false, not_before: Duration::from_secs(5) };
    let with = |url: Option<&str>, now_s| {
        let mut row = listing(scaled(wanted(INSTANCE, 1, 9), 3), FIRST, 1);
        row.replicas[0].url = url.map(str::to_owned);
        World {
            rows: vec![row],
            observed: vec![replica(FIRST, 1, Stage::Running)],
            holds: vec![(INSTANCE, setback)],
            now_s,
            ..World::default()
        }
    };
    check(
        with(Some("http://127.0.0.1:1/mcp"), 4),
        expect![[r#"
        wake at 5 s
    "#]],
    );
    check(with(None, 5), expect![""]);
    check(
        with(Some("http://127.0.0.1:1/mcp"), 5),
        expect![[r#"
            start a generation 1 at 9
        "#]],
    );
}

#[test]
fn a_server_that_runs_elsewhere_from_now_on_is_ended_here() {
    let rows = vec![InstanceRow { access: proxied(), ..wanted(INSTANCE, 2, 9) }];
    let observed = vec![replica(FIRST, 1, Stage::Running), replica(SECOND, 1, Stage::Running)];
    check(
        World { rows, observed, ..World::default() },
        expect![[r#"
            end 2 Elsewhere
            end 1 Elsewhere
        "#]],
    );
}

#[test]
fn what_cannot_be_run_is_not_tried_again_until_its_settings_change() {
    let at = |generation| World {
        rows: vec![wanted(INSTANCE, generation, 9)],
        holds: vec![(INSTANCE, Hold::Unsupported { generation: 1 })],
        now_s: 10_000,
        ..World::default()
    };
    check(at(1), expect![""]);
    check(
        at(2),
        expect![[r#"
            start a generation 2 at 9
        "#]],
    );
}
