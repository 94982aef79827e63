//! The whole log, and what it amounts to: everything that the suite compares with is folded from here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use domain::instance::{self, InstanceDecider};
use domain::token::{self, TokenDecider};
use domain::{CommandId, Decider, Event, InstanceId, Recorded, TokenId};
use store::{End, Filter, Start, Store, Stored, Tail};
use uuid::Uuid;
use views::View;

/// How long a view may take to show the last event.
const VIEW_WAIT: Duration = Duration::from_secs(60);

/// Every event, in order.
pub(crate) struct Log(Vec<Recorded>);

impl Log {
    pub(crate) async fn read(store: &Store) -> Self {
        let last = store.last_event().await.expect("the log has an end");
        let tail =
            Tail { start: Start::Beginning, end: Some(End::Sequence(last)), filter: Filter::default() };
        let mut events = store.tail(&tail).await.expect("the log can be read");
        let mut log = vec![];
        while let Some(recorded) = events.next_recorded().await.expect("every event can be read") {
            log.push(recorded);
        }
        Log(log)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.0.last().map_or(0, |recorded| recorded.sequence)
    }

    /// The events that each request led to.
    pub(crate) fn by_cause(&self) -> HashMap<&str, Vec<&Recorded>> {
        let mut causes = HashMap::<_, Vec<_>>::new();
        for recorded in &self.0 {
            causes.entry(recorded.metadata.causation_id.as_str()).or_default().push(recorded);
        }
        causes
    }

    /// Every aggregate's state. Two instances that hold one name at a time are an error, and so is an event that its
    /// aggregate's past makes impossible.
    pub(crate) fn fold(&self) -> States {
        let mut states = States::default();
        for recorded in &self.0 {
            match &recorded.event {
                Event::Instance { id, event } => evolve::<InstanceDecider>(&mut states.instances, *id, event),
                Event::Token { id, event } => evolve::<TokenDecider>(&mut states.tokens, *id, event),
                Event::InstanceName { .. }
                | Event::Credential { .. }
                | Event::Template { .. }
                | Event::TemplateName { .. }
                | Event::RetentionPlan { .. } => {}
            }
            states.check_names(recorded);
        }
        states
    }

    /// The rows of a view, folded by nothing but its definition.
    pub(crate) fn rows<V: View>(&self) -> BTreeMap<Uuid, V::Row> {
        let mut rows = BTreeMap::new();
        for recorded in &self.0 {
            let Some(key) = V::key(recorded) else { continue };
            if let Some(row) = V::apply(rows.remove(&key), recorded) {
                rows.insert(key, row);
            }
        }
        rows
    }

    /// Compares the bucket of a view with the fold.
    pub(crate) async fn is_shown_by<V: View>(&self, store: &Store)
    where
        V::Row: Debug,
    {
        let view = store.follow::<V>(|_, _| {}).await.expect("the view can be followed");
        view.reached(self.last_sequence(), VIEW_WAIT).await.expect("the view shows the last event");
        let rows: BTreeMap<Uuid, V::Row> = self.rows::<V>();
        assert_eq!(view.rows().len(), rows.len(), "{}: as many rows as the fold has", V::NAME);
        for (id, row) in rows {
            assert_eq!(view.get(id).as_deref(), Some(&row), "{}: row {id} is what the fold says", V::NAME);
        }
    }
}

/// What the log amounts to.
#[derive(Default)]
pub(crate) struct States {
    pub(crate) instances: HashMap<InstanceId, instance::State>,
    pub(crate) tokens: HashMap<TokenId, token::State>,
}

impl States {
    fn check_names(&self, recorded: &Recorded) {
        let (Event::Instance { event: instance::Event::Created(_), .. }
        | Event::Instance { event: instance::Event::Renamed(_), .. }) = &recorded.event
        else {
            return;
        };
        let mut names = BTreeSet::new();
        for live in self.instances.values().filter_map(instance::State::live) {
            assert!(names.insert(&live.name), "two instances hold {} after {recorded:?}", live.name);
        }
    }

    /// Active tokens of instances that were deleted: what a reaction has to end.
    pub(crate) fn orphans(&self) -> Vec<TokenId> {
        let is_orphan = |state: &token::State| match state {
            token::State::Active(active) => {
                self.instances.get(&active.instance).is_none_or(|instance| instance.live().is_none())
            }
            token::State::Absent | token::State::Revoked | token::State::Expired => false,
        };
        self.tokens.iter().filter(|(_, state)| is_orphan(state)).map(|(id, _)| *id).collect()
    }

    /// Loads every aggregate as a decider does, and compares.
    pub(crate) async fn are_loaded_by(&self, store: &Store) {
        are_loaded::<InstanceDecider>(store, &self.instances).await;
        are_loaded::<TokenDecider>(store, &self.tokens).await;
    }
}

fn evolve<D: Decider>(states: &mut HashMap<D::Id, D::State>, id: D::Id, event: &D::Event)
where
    D::Id: Eq + std::hash::Hash,
{
    let state = states.remove(&id).unwrap_or_default();
    let state = D::evolve(state, event).unwrap_or_else(|error| panic!("{} {id}: {error}", D::NAME));
    states.insert(id, state);
}

async fn are_loaded<D: Stored>(store: &Store, states: &HashMap<D::Id, D::State>)
where
    D::State: PartialEq + Debug,
{
    for (id, state) in states {
        let loaded =
            store.load::<D>(id, CommandId(Uuid::nil())).await.expect("every aggregate can be loaded");
        assert_eq!(loaded.state, *state, "{} {id}", D::NAME);
    }
}
