//! Every view is a fold of the log: after any interleaving of aggregates, and however often events are delivered again,
//! it shows what the deciders' own states say.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use domain::instance::{self, Access, CommandLine, Fact, FailureReason, Hosted, InstanceDecider, Remote};
use domain::instance::{Edit, Profile, RemoteTransport, ServerInfo, Source};
use domain::retention_plan::{self, Days, RetentionPlanDecider};
use domain::template::{self, TemplateDecider};
use domain::token::{self, Kind, TokenDecider};
use domain::{Actor, CommandId, Decider, Digest, Event, InstanceId, Metadata, Recorded, ReplicaId};
use domain::{Sealed, TemplateId, TokenId};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;
use views::{Instances, RetentionPlans, Templates, Tokens, View};

/// How many aggregates of each kind commands are given to: few, so that they meet.
const AGGREGATES: u128 = 3;

/// A command for one of a few aggregates.
#[derive(Clone, Debug)]
enum Wish {
    Instance(InstanceId, instance::Command),
    Token(TokenId, token::Command),
    Template(TemplateId, template::Command),
    RetentionPlan(InstanceId, retention_plan::Command),
}

/// What a log amounts to, by the deciders' own account.
#[derive(Default)]
struct States {
    instances: HashMap<InstanceId, instance::State>,
    tokens: HashMap<TokenId, token::State>,
    templates: HashMap<TemplateId, template::State>,
    plans: HashMap<InstanceId, retention_plan::State>,
}

fn hosted() -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}

fn proxied() -> Access {
    Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    })
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let server = ServerInfo {
        name: "s".to_owned(),
        version: "1".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        revisions: vec![],
    };
    prop_oneof![
        Just(Fact::Starting),
        Just(Fact::Handshaking),
        Just(Fact::Ready { endpoint: "http://127.0.0.1:1/mcp".to_owned(), credential: None, server }),
        Just(Fact::Failed { reason: FailureReason::Exited, detail: "exit code 1".to_owned() }),
        Just(Fact::Stopped),
    ]
}

fn any_instance_command() -> impl Strategy<Value = instance::Command> {
    use instance::Command;
    let access = prop_oneof![Just(hosted()), Just(proxied())];
    let name = prop_oneof![Just("everything"), Just("other")].prop_map(|name| name.parse().unwrap());
    prop_oneof![
        3 => (name.clone(), access.clone()).prop_map(|(name, access)| Command::create(name, access)),
        1 => access.prop_map(|access| Command::ChangeAccess { access }),
        1 => name.prop_map(|name| Command::Rename { name }),
        1 => (0..4_u16).prop_map(|replicas| Command::Scale { replicas }),
        1 => any::<bool>().prop_map(|is_set| Command::ChangeAuthorization {
            authorization: is_set.then(|| instance::Authorization {
                issuer: "https://issuer.example".to_owned(),
                audience: "everything".to_owned(),
                scopes: BTreeSet::new(),
                jwks_url: None,
            }),
        }),
        1 => Just(Command::Start),
        1 => Just(Command::Stop),
        1 => Just(Command::Restart),
        1 => Just(Command::Delete),
        4 => (1..3_u128, 1..4_u64, any_fact()).prop_map(|(replica, generation, fact)| Command::Report {
            replica: ReplicaId(Uuid::from_u128(replica)),
            generation,
            fact,
        }),
    ]
}

fn any_token_command() -> impl Strategy<Value = token::Command> {
    use token::Command;
    let credential = any::<u8>().prop_map(|number| {
        (Digest(format!("d{number}")), format!("mcpcan_…{number}"), Sealed(format!("s{number}")))
    });
    let instance = (0..AGGREGATES).prop_map(|number| InstanceId(Uuid::from_u128(number)));
    prop_oneof![
        3 => (instance, credential.clone()).prop_map(|(instance, (digest, masked, sealed))| Command::Issue {
            instance,
            kind: Kind::Bearer,
            label: "dev".to_owned(),
            digest,
            masked,
            sealed,
            expiry: Default::default(),
            headers: BTreeMap::new(),
            passthrough: BTreeSet::new(),
        }),
        2 => any::<u8>().prop_map(|number| Command::Edit {
            label: Some(format!("label {number}")),
            expiry: None,
            headers: BTreeMap::new(),
            passthrough: None,
        }),
        2 => (credential, any::<bool>()).prop_map(|((digest, masked, sealed), overlaps)| Command::Rotate {
            digest,
            masked,
            sealed,
            previous_until: overlaps.then_some(Timestamp::MAX),
        }),
        1 => Just(Command::Revoke),
        1 => Just(Command::Expire { now: Timestamp::MAX }),
    ]
}

fn any_template_command() -> impl Strategy<Value = template::Command> {
    use template::Command;
    let access = prop_oneof![Just(hosted()), Just(proxied())];
    let name = prop_oneof![Just("base"), Just("other")].prop_map(|name| name.parse().unwrap());
    let edit = any::<u8>().prop_map(|notes| Edit { notes: Some(format!("{notes}")), ..Edit::default() });
    prop_oneof![
        3 => (name.clone(), access).prop_map(|(name, access)| Command::Create {
            name,
            access,
            profile: Profile::default(),
            from: None,
        }),
        2 => name.prop_map(|name| Command::Rename { name }),
        3 => edit.prop_map(|edit| Command::Edit(Box::new(edit))),
        1 => Just(Command::Delete),
    ]
}

fn any_plan_command() -> impl Strategy<Value = retention_plan::Command> {
    use retention_plan::Command;
    prop_oneof![
        3 => (1..4_u16, 1..4_u16).prop_map(|(access_log, container_log)| Command::Set {
            days: Days { access_log, container_log },
        }),
        1 => Just(Command::Reset),
    ]
}

fn any_wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => (0..AGGREGATES, any_instance_command())
            .prop_map(|(id, command)| Wish::Instance(InstanceId(Uuid::from_u128(id)), command)),
        1 => (0..AGGREGATES, any_token_command())
            .prop_map(|(id, command)| Wish::Token(TokenId(Uuid::from_u128(id)), command)),
        1 => (0..AGGREGATES, any_template_command())
            .prop_map(|(id, command)| Wish::Template(TemplateId(Uuid::from_u128(id)), command)),
        1 => (0..AGGREGATES, any_plan_command())
            .prop_map(|(id, command)| Wish::RetentionPlan(InstanceId(Uuid::from_u128(id)), command)),
    ]
}

/// Decides all wishes in their order: the log, and the states that led to it.
fn decide_all(wishes: Vec<Wish>) -> (Vec<Recorded>, States) {
    let (mut log, mut states) = (vec![], States::default());
    for wish in wishes {
        let events: Vec<_> = match wish {
            Wish::Instance(id, command) => decide::<InstanceDecider>(&mut states.instances, id, command)
                .into_iter()
                .map(|event| Event::Instance { id, event })
                .collect(),
            Wish::Token(id, command) => decide::<TokenDecider>(&mut states.tokens, id, command)
                .into_iter()
                .map(|event| Event::Token { id, event })
                .collect(),
            Wish::Template(id, command) => decide::<TemplateDecider>(&mut states.templates, id, command)
                .into_iter()
                .map(|event| Event::Template { id, event })
                .collect(),
            Wish::RetentionPlan(id, command) => {
                decide::<RetentionPlanDecider>(&mut states.plans, id, command)
                    .into_iter()
                    .map(|event| Event::RetentionPlan { id, event })
                    .collect()
            }
        };
        for event in events {
            log.push(recorded(log.len(), event));
        }
    }
    (log, states)
}

fn decide<D: Decider>(states: &mut HashMap<D::Id, D::State>, id: D::Id, command: D::Command) -> Vec<D::Event>
where
    D::Id: Eq + Hash,
{
    let state = states.entry(id).or_default();
    let Ok(events) = D::decide(state, command) else { return vec![] };
    for event in &events {
        *state = D::evolve(std::mem::take(state), event).expect("what was decided can happen");
    }
    events
}

fn recorded(before: usize, event: Event) -> Recorded {
    let sequence = u64::try_from(before).unwrap() + 1;
    let metadata = Metadata {
        at: Timestamp::from_second(1_800_000_000 + i64::try_from(sequence).unwrap()).unwrap(),
        command_id: CommandId(Uuid::from_u128(u128::from(sequence))),
        causation_id: format!("request:{sequence}"),
        actor: Actor::Admin,
        traceparent: None,
    };
    Recorded { sequence, metadata, event }
}

/// Folds the log from the first event to the last. `again` tells after which event a projector died, and how far back
/// the position lay that it had written: from there on events are delivered again, to the rows that are there.
fn fold<V: View>(log: &[Recorded], again: &[(usize, usize)]) -> BTreeMap<Uuid, V::Row> {
    let mut rows = BTreeMap::new();
    let mut deliver = |recorded: &Recorded| {
        if let Some(key) = V::key(recorded)
            && let Some(row) = V::apply(rows.remove(&key), recorded)
        {
            rows.insert(key, row);
        }
    };
    for (index, recorded) in log.iter().enumerate() {
        deliver(recorded);
        for (_, back) in again.iter().filter(|(after, _)| *after == index) {
            log[index.saturating_sub(*back)..=index].iter().for_each(&mut deliver);
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn events_that_are_delivered_again_change_nothing(
        wishes in vec(any_wish(), 0..80),
        again in vec((0..80_usize, 0..80_usize), 0..6),
    ) {
        let (log, _) = decide_all(wishes);
        prop_assert!(fold::<Instances>(&log, &again) == fold::<Instances>(&log, &[]));
        prop_assert!(fold::<Tokens>(&log, &again) == fold::<Tokens>(&log, &[]));
        prop_assert!(fold::<Templates>(&log, &again) == fold::<Templates>(&log, &[]));
        prop_assert!(fold::<RetentionPlans>(&log, &again) == fold::<RetentionPlans>(&log, &[]));
    }

    #[test]
    fn a_row_depends_on_the_events_of_its_own_aggregate_only(wishes in vec(any_wish(), 0..80)) {
        let (log, _) = decide_all(wishes);
        // One aggregate after the other instead of all mixed: another interleaving of the same events.
        let mut sorted = log.clone();
        sorted.sort_by_key(|recorded| recorded.event.aggregate_id());
        prop_assert!(fold::<Instances>(&sorted, &[]) == fold::<Instances>(&log, &[]));
        prop_assert!(fold::<Tokens>(&sorted, &[]) == fold::<Tokens>(&log, &[]));
        prop_assert!(fold::<Templates>(&sorted, &[]) == fold::<Templates>(&log, &[]));
        prop_assert!(fold::<RetentionPlans>(&sorted, &[]) == fold::<RetentionPlans>(&log, &[]));
    }

    #[test]
    fn a_view_shows_what_the_deciders_know(wishes in vec(any_wish(), 0..80)) {
        let (log, states) = decide_all(wishes);
        let rows = fold::<Instances>(&log, &[]);
        let lives = states.instances.values().filter(|state| state.live().is_some()).count();
        prop_assert_eq!(rows.len(), lives);
        for (id, state) in &states.instances {
            let Some(live) = state.live() else { continue };
            let row = &rows[&id.0];
            prop_assert_eq!((&row.name, &row.access), (&live.name, &live.access));
            prop_assert_eq!((row.generation, row.revision), (live.generation, live.revision));
            prop_assert_eq!(row.wanted, matches!(state, instance::State::Running(_)));
            let shown: BTreeSet<_> = row.replicas.iter().map(|known| known.replica).collect();
            prop_assert_eq!(shown, live.replicas.keys().copied().collect());
        }
        for (id, row) in fold::<Tokens>(&log, &[]) {
            let active = states.tokens[&TokenId(id)].active();
            prop_assert_eq!(row.digest(), active.map(|active| &active.digest));
            if let Some(active) = active {
                prop_assert_eq!((&row.label, row.revision), (&active.label, active.revision));
            }
        }
    }

    #[test]
    fn templates_and_plans_are_shown_as_the_deciders_know_them(wishes in vec(any_wish(), 0..80)) {
        let (log, states) = decide_all(wishes);
        let rows = fold::<Templates>(&log, &[]);
        let lives = states.templates.values().filter(|state| state.active().is_some()).count();
        prop_assert_eq!(rows.len(), lives);
        for (id, row) in rows {
            let active = states.templates[&TemplateId(id)].active().unwrap();
            prop_assert_eq!((&row.name, &row.access), (&active.name, &active.access));
            prop_assert_eq!((&row.profile, row.revision), (&active.profile, active.revision));
        }
        let rows = fold::<RetentionPlans>(&log, &[]);
        for (id, plan) in &states.plans {
            // Who only resets what nobody has set has said nothing.
            let shown = rows.get(&id.0).map_or((None, 0), |row| (row.days, row.revision));
            prop_assert_eq!(shown, (plan.days, plan.revision));
        }
    }
}
