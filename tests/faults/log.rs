//! The whole log, and what it amounts to: everything that the suite compares with is folded from here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use domain::claim::{self, ClaimDecider, CredentialId, Credentials, InstanceNames, TemplateNames};
use domain::instance::{self, InstanceDecider};
use domain::retention_plan::{self, RetentionPlanDecider};
use domain::template::{self, TemplateDecider};
use domain::token::{self, TokenDecider};
use domain::{CommandId, Decider, Event, InstanceId, Name, Recorded, Sealed, TemplateId, TokenId};
use store::{End, Filter, Start, Store, Stored, Tail};
use uuid::Uuid;
use views::{Instances, Templates, TokenState, Tokens, View};

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

    /// Every aggregate's state. An event that its aggregate's past makes impossible is an error: a name or a credential
    /// that is claimed by a second one is.
    pub(crate) fn fold(&self) -> States {
        let mut states = States::default();
        for recorded in &self.0 {
            states.evolve(&recorded.event);
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

    /// Opens every secret of what is there.
    pub(crate) async fn is_opened_by(&self, store: &Store) {
        let mut secrets: Vec<(Uuid, Sealed)> = vec![];
        let all = |id: Uuid, sealed: &BTreeMap<String, Sealed>| {
            sealed.values().map(|sealed| (id, sealed.clone())).collect::<Vec<_>>()
        };
        for (id, row) in self.rows::<Instances>() {
            secrets.extend(all(id, row.access.secrets()));
        }
        for (id, row) in self.rows::<Templates>() {
            secrets.extend(all(id, row.access.secrets()));
        }
        for (id, row) in self.rows::<Tokens>() {
            if let TokenState::Active { sealed, .. } = row.state {
                secrets.push((id, sealed));
            }
        }
        for (owner, sealed) in secrets {
            let opened = store.vault().open(owner, &sealed).await;
            assert!(opened.is_ok(), "a secret of {owner}, which is there, does not open: {opened:?}");
        }
    }
}

/// What the log amounts to.
#[derive(Default)]
pub(crate) struct States {
    instances: HashMap<InstanceId, instance::State>,
    instance_names: HashMap<Name, claim::State<InstanceId>>,
    tokens: HashMap<TokenId, token::State>,
    credentials: HashMap<CredentialId, claim::State<TokenId>>,
    templates: HashMap<TemplateId, template::State>,
    template_names: HashMap<Name, claim::State<TemplateId>>,
    plans: HashMap<InstanceId, retention_plan::State>,
}

impl States {
    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Instance { id, event } => evolve::<InstanceDecider>(&mut self.instances, *id, event),
            Event::InstanceName { id, event } => {
                evolve::<ClaimDecider<InstanceNames>>(&mut self.instance_names, id.clone(), event);
            }
            Event::Token { id, event } => evolve::<TokenDecider>(&mut self.tokens, *id, event),
            Event::Credential { id, event } => {
                evolve::<ClaimDecider<Credentials>>(&mut self.credentials, id.clone(), event);
            }
            Event::Template { id, event } => evolve::<TemplateDecider>(&mut self.templates, *id, event),
            Event::TemplateName { id, event } => {
                evolve::<ClaimDecider<TemplateNames>>(&mut self.template_names, id.clone(), event);
            }
            Event::RetentionPlan { id, event } => evolve::<RetentionPlanDecider>(&mut self.plans, *id, event),
        }
    }

    /// No two of a kind have one name, by their own account and not only by that of the claims.
    fn check_names(&self, recorded: &Recorded) {
        let mut names = BTreeSet::new();
        match &recorded.event {
            Event::Instance { event: instance::Event::Created(_) | instance::Event::Renamed(_), .. } => {
                for live in self.instances.values().filter_map(instance::State::live) {
                    assert!(names.insert(&live.name), "two instances are {} after {recorded:?}", live.name);
                }
            }
            Event::Template { event: template::Event::Created(_) | template::Event::Renamed(_), .. } => {
                for active in self.templates.values().filter_map(template::State::active) {
                    assert!(
                        names.insert(&active.name),
                        "two templates are {} after {recorded:?}",
                        active.name
                    );
                }
            }
            _ => {}
        }
    }

    pub(crate) fn is_instance_gone(&self, id: InstanceId) -> bool {
        self.instances.get(&id).is_none_or(|instance| instance.live().is_none())
    }

    pub(crate) fn is_template_gone(&self, id: TemplateId) -> bool {
        self.templates.get(&id).is_none_or(|template| template.active().is_none())
    }

    /// Whether a token has ended, or its instance has.
    pub(crate) fn is_token_gone(&self, id: TokenId) -> bool {
        let active = self.tokens.get(&id).and_then(token::State::active);
        active.is_none_or(|active| self.is_instance_gone(active.instance))
    }

    /// Active tokens of instances that were deleted: what a reaction has to end.
    pub(crate) fn orphans(&self) -> Vec<TokenId> {
        let is_orphan = |state: &token::State| {
            state.active().is_some_and(|active| self.is_instance_gone(active.instance))
        };
        self.tokens.iter().filter(|(_, state)| is_orphan(state)).map(|(id, _)| *id).collect()
    }

    /// Loads every aggregate as a decider does, and compares.
    pub(crate) async fn are_loaded_by(&self, store: &Store) {
        are_loaded::<InstanceDecider>(store, &self.instances).await;
        are_loaded::<ClaimDecider<InstanceNames>>(store, &self.instance_names).await;
        are_loaded::<TokenDecider>(store, &self.tokens).await;
        are_loaded::<ClaimDecider<Credentials>>(store, &self.credentials).await;
        are_loaded::<TemplateDecider>(store, &self.templates).await;
        are_loaded::<ClaimDecider<TemplateNames>>(store, &self.template_names).await;
        are_loaded::<RetentionPlanDecider>(store, &self.plans).await;
    }
}

fn evolve<D: Decider>(states: &mut HashMap<D::Id, D::State>, id: D::Id, event: &D::Event)
where
    D::Id: Clone + Eq + Hash,
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
