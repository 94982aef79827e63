//! What is told of pods in every state, by what the log knows already.

use domain::InstanceId;
use domain::instance::{Access, CommandLine, Hosted, Profile, Source};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use uuid::Uuid;
use views::Phase;

use super::*;

const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0xa));
const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));

fn row(replicas: &[(ReplicaId, u64, bool)]) -> InstanceRow {
    let command = CommandLine { program: "npx".to_owned(), args: vec![] };
    let hosted = Hosted { replicas: 2, ..Hosted::new(Source::Command(command), BTreeMap::new()) };
    let known = replicas.iter().map(|(replica, generation, ready)| Endpoint {
        replica: *replica,
        generation: *generation,
        url: ready.then(|| "http://10.0.0.1:8080/mcp".to_owned()),
        credential: None,
    });
    InstanceRow {
        id: INSTANCE,
        name: "weather".parse().unwrap(),
        access: Access::Hosted(hosted),
        profile: Profile::default(),
        authorization: None,
        template: None,
        wanted: true,
        generation: 2,
        phase: Phase::Starting,
        replicas: known.collect(),
        failure: None,
        seen: None,
        server: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        revision: 0,
        sequence: 1,
    }
}

/// Pods by their condition, and whether they may be called.
fn seen(pods: &[(ReplicaId, u64, Condition, bool)]) -> Seen {
    let mut seen = Seen::default();
    for (replica, generation, condition, ready) in pods {
        let (name, condition) = ("p".to_owned(), condition.clone());
        let pod = SeenPod { generation: *generation, name, condition, restarts: 0, has_run: true };
        seen.pods.insert((INSTANCE, *replica), pod);
        if *ready {
            seen.endpoints.insert(*replica, "10.0.0.1:8080".parse().unwrap());
        }
    }
    seen
}

fn failed(reason: FailureReason) -> Condition {
    Condition::Failed(reason, "why".to_owned())
}

#[track_caller]
fn check(row: &InstanceRow, seen: &Seen, told: &[(ReplicaId, FailureReason)], expected: Expect) {
    let told = told.iter().map(|(replica, reason)| (*replica, (*reason, "why".to_owned()))).collect();
    let lines = steps(row, seen, &told).into_iter().map(|step| match step {
        Step::Tell { replica, facts, .. } => {
            let facts = facts.iter().map(|fact| match fact {
                Fact::Failed { reason, .. } => reason.as_str().to_owned(),
                other => format!("{other:?}").to_lowercase(),
            });
            format!("{:x}: {}\n", replica.0.as_u128(), facts.collect::<Vec<_>>().join(", "))
        }
        Step::ShakeHands { replica, is_known, .. } => {
            let new = if is_known { "" } else { " and call it started" };
            format!("{:x}: shake hands{new}\n", replica.0.as_u128())
        }
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn a_pod_on_its_way_is_told_once_and_asked_when_it_may_be_called() {
    let coming = seen(&[(FIRST, 2, Condition::Coming, false)]);
    check(
        &row(&[]),
        &coming,
        &[],
        expect![[r#"
        1: starting
    "#]],
    );
    check(&row(&[(FIRST, 2, false)]), &coming, &[], expect![[""]]);
    let callable = seen(&[(FIRST, 2, Condition::Running, true)]);
    check(
        &row(&[(FIRST, 2, false)]),
        &callable,
        &[],
        expect![[r#"
        1: shake hands
    "#]],
    );
    check(
        &row(&[]),
        &callable,
        &[],
        expect![[r#"
        1: shake hands and call it started
    "#]],
    );
    check(&row(&[(FIRST, 2, true)]), &callable, &[], expect![[""]]);
}

#[test]
fn a_failure_is_told_once_for_each_reason_and_recovery_when_it_has_come() {
    use FailureReason::{CrashLoop, Exited};
    let crashing = seen(&[(FIRST, 2, failed(Exited), false), (SECOND, 2, failed(Exited), false)]);
    check(
        &row(&[(FIRST, 2, true)]),
        &crashing,
        &[],
        expect![[r#"
        1: exited
        2: starting, exited
    "#]],
    );
    check(&row(&[]), &crashing, &[(FIRST, Exited), (SECOND, Exited)], expect![[""]]);
    check(
        &row(&[]),
        &seen(&[(FIRST, 2, failed(CrashLoop), false)]),
        &[(FIRST, Exited)],
        expect![[r#"
        1: starting, crash_loop
    "#]],
    );
    // Started once more; whether it lasts is not known yet.
    check(&row(&[]), &seen(&[(FIRST, 2, Condition::Running, false)]), &[(FIRST, CrashLoop)], expect![[""]]);
    check(
        &row(&[]),
        &seen(&[(FIRST, 2, Condition::Running, true)]),
        &[(FIRST, CrashLoop)],
        expect![[r#"
        1: shake hands and call it started
    "#]],
    );
}

#[test]
fn the_old_serve_until_they_leave() {
    let rolling = seen(&[(FIRST, 1, Condition::Running, true), (SECOND, 2, Condition::Coming, false)]);
    check(
        &row(&[(FIRST, 1, true)]),
        &rolling,
        &[],
        expect![[r#"
        2: starting
    "#]],
    );
    let leaving = |serves| {
        seen(&[(FIRST, 1, Condition::Leaving { serves }, false), (SECOND, 2, Condition::Running, true)])
    };
    // The new one has not been asked yet: until then the old one is all there is.
    check(
        &row(&[(FIRST, 1, true), (SECOND, 2, false)]),
        &leaving(true),
        &[],
        expect![[r#"
        2: shake hands
    "#]],
    );
    check(
        &row(&[(FIRST, 1, true), (SECOND, 2, false)]),
        &leaving(false),
        &[],
        expect![[r#"
        1: stopped
        2: shake hands
    "#]],
    );
    check(
        &row(&[(FIRST, 1, true), (SECOND, 2, true)]),
        &leaving(true),
        &[],
        expect![[r#"
        1: stopped
    "#]],
    );
}

#[test]
fn a_replica_without_a_pod_is_lost_if_it_is_missed_and_else_has_stopped() {
    check(
        &row(&[(FIRST, 2, true)]),
        &seen(&[]),
        &[],
        expect![[r#"
        1: lost
    "#]],
    );
    check(
        &row(&[(FIRST, 1, true)]),
        &seen(&[]),
        &[],
        expect![[r#"
        1: stopped
    "#]],
    );
    let mut stopped = row(&[(FIRST, 2, true)]);
    stopped.wanted = false;
    check(
        &stopped,
        &seen(&[]),
        &[],
        expect![[r#"
        1: stopped
    "#]],
    );
}
