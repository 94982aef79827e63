//! What has to be done in every state that a cluster can be found in.

use std::fmt::Write as _;

use domain::ReplicaId;
use domain::instance::{Access, CommandLine, Remote, RemoteTransport, Source};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use views::Phase;

use super::*;
use crate::kubernetes::condition::Condition;
use crate::kubernetes::seen::SeenPod;

const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0xa));

fn hosted() -> Hosted {
    let command = CommandLine { program: "npx".to_owned(), args: vec!["server".to_owned()] };
    Hosted::new(Source::Command(command), BTreeMap::new())
}

fn row(generation: u64) -> InstanceRow {
    InstanceRow {
        id: INSTANCE,
        name: "weather".parse().unwrap(),
        access: Access::Hosted(hosted()),
        profile: domain::instance::Profile::default(),
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
        revision: 0,
        sequence: 1,
    }
}

fn planned(row: Option<&InstanceRow>, seen: &Seen) -> Plan {
    plan(&Pods::default(), &row.into_iter().map(|row| (row.id, row)).collect(), seen)
}

/// What a cluster does with an action: it adds what it always adds.
fn act(seen: &mut Seen, action: &Action, number: u64) {
    let mut put = |kind: Kind, name: &str, instance, generation, mut body: Value| {
        body["status"] = json!({"observedGeneration": number});
        let key = (instance, kind, name.to_owned());
        let uid = seen.objects.get(&key).map_or(format!("uid-{number}"), |object| object.uid.clone());
        seen.objects.insert(key, Arc::new(SeenObject { generation, uid, leaving: false, body }));
    };
    match action {
        Action::MakeSecret { instance, generation } => {
            let name = naming::secret_name(*instance, *generation);
            put(Kind::Secret, &name, *instance, Some(*generation), json!({}));
        }
        Action::Apply { instance, object } => {
            put(object.kind, &object.name, *instance, None, object.body.clone());
        }
        Action::Delete { instance, kind, name, .. } => {
            seen.objects.remove(&(*instance, *kind, name.clone()));
        }
        Action::Bury { instance } => {
            for action in removal(seen, *instance) {
                act(seen, &action, number);
            }
        }
    }
}

/// Acts on one action at a time, as workers would that die after each; says what was done until nothing was left.
fn settle(row: Option<&InstanceRow>, seen: &mut Seen) -> String {
    let mut text = String::new();
    for number in 100..200 {
        let plan = planned(row, seen);
        let Some(action) = plan.actions.first() else { return text };
        match action {
            Action::MakeSecret { generation, .. } => {
                writeln!(text, "make the secret of generation {generation}")
            }
            Action::Apply { object, .. } => {
                let replicas =
                    object.body["spec"].get("replicas").map(|replicas| format!(" with {replicas}"));
                let owned = object.body["metadata"].get("ownerReferences").map_or("", |_| ", owned");
                writeln!(text, "apply {:?}{}{owned}", object.kind, replicas.unwrap_or_default())
            }
            Action::Delete { kind, name, .. } => {
                writeln!(
                    text,
                    "delete {kind:?} {}",
                    name.trim_start_matches("mcpcan-").trim_start_matches('0')
                )
            }
            Action::Bury { .. } => writeln!(text, "bury"),
        }
        .unwrap();
        let action = action.clone();
        act(seen, &action, number);
    }
    panic!("it never settles:\n{text}");
}

#[track_caller]
fn check(row: Option<&InstanceRow>, seen: &mut Seen, expected: Expect) {
    expected.assert_eq(&settle(row, seen));
    assert_eq!(planned(row, seen), Plan::default(), "what is settled stays settled");
}

fn settled(generation: u64) -> Seen {
    let mut seen = Seen::default();
    settle(Some(&row(generation)), &mut seen);
    seen
}

fn pod(generation: u64) -> SeenPod {
    let condition = Condition::Running;
    SeenPod { generation, name: "p".to_owned(), condition, restarts: 0, has_run: true }
}

#[test]
fn an_instance_comes_to_a_bare_cluster_in_an_order_in_which_nothing_fails() {
    check(
        Some(&row(1)),
        &mut Seen::default(),
        expect![[r#"
        make the secret of generation 1
        apply Service
        apply NetworkPolicy
        apply Deployment with 1
        apply Service, owned
        apply NetworkPolicy, owned
    "#]],
    );
}

#[test]
fn a_restart_keeps_the_secret_that_old_pods_read_until_they_are_gone() {
    let mut seen = settled(1);
    seen.pods.insert((INSTANCE, ReplicaId(Uuid::from_u128(1))), pod(1));
    check(
        Some(&row(2)),
        &mut seen,
        expect![[r#"
        make the secret of generation 2
        apply Deployment with 1
    "#]],
    );
    seen.pods.clear();
    check(
        Some(&row(2)),
        &mut seen,
        expect![[r#"
        delete Secret a-1
    "#]],
    );
}

#[test]
fn what_stands_still_keeps_a_deployment_of_none_and_no_secret() {
    let mut stopped = row(1);
    stopped.wanted = false;
    check(
        Some(&stopped),
        &mut settled(1),
        expect![[r#"
        apply Deployment with 0
        delete Secret a-1
    "#]],
    );
    check(Some(&stopped), &mut Seen::default(), expect![[""]]);
}

#[test]
fn drift_is_repaired_and_the_work_of_others_is_left_alone() {
    let mut seen = settled(1);
    let deployment = (INSTANCE, Kind::Deployment, naming::object_name(INSTANCE));
    let changed = Arc::make_mut(seen.objects.get_mut(&deployment).unwrap());
    changed.body["spec"]["replicas"] = json!(5);
    changed.body["metadata"]["labels"]["team"] = json!("blue");
    check(
        Some(&row(1)),
        &mut seen,
        expect![[r#"
        apply Deployment with 1
    "#]],
    );
    seen.objects.remove(&deployment);
    check(
        Some(&row(1)),
        &mut seen,
        expect![[r#"
        apply Deployment with 1
        apply Service, owned
        apply NetworkPolicy, owned
    "#]],
    );
}

#[test]
fn a_deleted_instance_is_buried_and_one_that_moves_elsewhere_is_removed() {
    check(
        None,
        &mut settled(1),
        expect![[r#"
        bury
    "#]],
    );
    let mut elsewhere = row(2);
    let url = "https://example.com/mcp".to_owned();
    let remote = Remote { transport: RemoteTransport::StreamableHttp, url, headers: BTreeMap::new() };
    elsewhere.access = Access::Proxy(remote);
    check(
        Some(&elsewhere),
        &mut settled(1),
        expect![[r#"
        delete Secret a-1
        delete Service a
        delete NetworkPolicy a
        delete Deployment a
    "#]],
    );
}

#[test]
fn what_cannot_run_is_said_and_touches_nothing() {
    let mut impossible = row(2);
    let source = Source::Image { image: "a:1".to_owned(), command: None };
    impossible.access = Access::Hosted(Hosted::new(source, BTreeMap::new()));
    let plan = planned(Some(&impossible), &settled(1));
    assert!(plan.impossible.contains_key(&INSTANCE));
    assert!(!plan.actions.iter().any(|action| matches!(action, Action::Apply { .. })));
}
