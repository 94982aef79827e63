//! The views as the api needs them: followed in memory, found by id, by name and by instance.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use domain::{Command, InstanceId, Name, TemplateId, TokenId};
use parking_lot::RwLock;
use store::{Follower, NotReached, Store, Unavailable};
use uuid::Uuid;
use views::{
    InstanceRow, Instances, RetentionPlanRow, RetentionPlans, TemplateRow, Templates, TokenRow, TokenState,
    Tokens, View,
};

use crate::error::Error;

/// What the api knows of the world.
pub(crate) struct Directory {
    instances: Named<Instances>,
    tokens: Follower<Tokens>,
    templates: Named<Templates>,
    plans: Follower<RetentionPlans>,
    tokens_of: Arc<RwLock<Index<InstanceId>>>,
}

impl Directory {
    /// Follows the views; returns when what there is has been read.
    pub(crate) async fn follow(store: &Store) -> Result<Self, Unavailable> {
        let tokens_of = Arc::<RwLock<Index<_>>>::default();
        let index = tokens_of.clone();
        let tokens =
            store.follow::<Tokens>(move |id, row| index.write().set(id, row.map(|row| row.instance))).await?;
        Ok(Directory {
            instances: Named::follow(store, |row: &InstanceRow| &row.name).await?,
            tokens,
            templates: Named::follow(store, |row: &TemplateRow| &row.name).await?,
            plans: store.follow::<RetentionPlans>(|_, _| {}).await?,
            tokens_of,
        })
    }

    /// Whether the views follow the log, or lag only for a moment.
    pub(crate) fn is_current(&self) -> bool {
        self.instances.rows.is_current()
            && self.tokens.is_current()
            && self.templates.rows.is_current()
            && self.plans.is_current()
    }

    /// Waits until what a command has done by `sequence` shows, `wait` at most: its aggregate has one view.
    pub(crate) async fn shows(
        &self,
        command: &Command,
        sequence: u64,
        wait: Duration,
    ) -> Result<(), NotReached> {
        match command {
            Command::Instance { .. } => self.instances.rows.reached(sequence, wait).await,
            Command::Token { .. } => self.tokens.reached(sequence, wait).await,
            Command::Template { .. } => self.templates.rows.reached(sequence, wait).await,
            Command::RetentionPlan { .. } => self.plans.reached(sequence, wait).await,
        }
    }

    /// Waits until every event up to `sequence` shows, `wait` at most.
    pub(crate) async fn reached(&self, sequence: u64, wait: Duration) -> Result<(), NotReached> {
        tokio::try_join!(
            self.instances.rows.reached(sequence, wait),
            self.tokens.reached(sequence, wait),
            self.templates.rows.reached(sequence, wait),
            self.plans.reached(sequence, wait),
        )
        .map(drop)
    }

    /// The revision that is shown of what a command is for, if it is shown.
    pub(crate) fn revision(&self, command: &Command) -> Option<u64> {
        match command {
            Command::Instance { id, .. } => self.instance(*id).map(|row| row.revision),
            Command::Token { id, .. } => self.token(*id).map(|row| row.revision),
            Command::Template { id, .. } => self.template(*id).map(|row| row.revision),
            Command::RetentionPlan { id, .. } => Some(self.plan(*id).map_or(0, |row| row.revision)),
        }
    }

    /// Every instance, by name.
    pub(crate) fn instances(&self) -> Vec<Arc<InstanceRow>> {
        self.instances.sorted()
    }

    pub(crate) fn instance(&self, id: InstanceId) -> Option<Arc<InstanceRow>> {
        self.instances.rows.get(id.0)
    }

    /// The instance that a client means: by id or by name.
    pub(crate) fn find_instance(&self, reference: &str) -> Result<Arc<InstanceRow>, Error> {
        self.instance_id(reference)
            .ok()
            .and_then(|id| self.instance(id))
            .ok_or_else(|| Error::InstanceNotFound(reference.to_owned()))
    }

    /// The id of the instance that a client means. An id needs no instance that shows already: what comes of it is
    /// for the decider to say.
    pub(crate) fn instance_id(&self, reference: &str) -> Result<InstanceId, Error> {
        let id = self.instances.id(reference).map(InstanceId);
        id.ok_or_else(|| Error::InstanceNotFound(reference.to_owned()))
    }

    /// Every template, by name.
    pub(crate) fn templates(&self) -> Vec<Arc<TemplateRow>> {
        self.templates.sorted()
    }

    pub(crate) fn template(&self, id: TemplateId) -> Option<Arc<TemplateRow>> {
        self.templates.rows.get(id.0)
    }

    /// The template that a client means: by id or by name.
    pub(crate) fn find_template(&self, reference: &str) -> Result<Arc<TemplateRow>, Error> {
        self.template_id(reference)
            .ok()
            .and_then(|id| self.template(id))
            .ok_or_else(|| Error::TemplateNotFound(reference.to_owned()))
    }

    /// The id of the template that a client means, as [`Self::instance_id`].
    pub(crate) fn template_id(&self, reference: &str) -> Result<TemplateId, Error> {
        let id = self.templates.id(reference).map(TemplateId);
        id.ok_or_else(|| Error::TemplateNotFound(reference.to_owned()))
    }

    /// What somebody has said of how long the rows of an instance are kept.
    pub(crate) fn plan(&self, instance: InstanceId) -> Option<Arc<RetentionPlanRow>> {
        self.plans.get(instance.0)
    }

    pub(crate) fn token(&self, id: TokenId) -> Option<Arc<TokenRow>> {
        self.tokens.get(id.0)
    }

    /// The tokens of an instance, oldest first.
    pub(crate) fn tokens_of(&self, instance: InstanceId) -> Vec<Arc<TokenRow>> {
        let ids = self.tokens_of.read().ids(&instance);
        let mut rows: Vec<_> = ids.into_iter().filter_map(|id| self.tokens.get(id)).collect();
        rows.sort_unstable_by_key(|row| (row.issued_at, row.id));
        rows
    }

    /// The token of an instance that a client means: by id, or by a label that only one has. Among tokens with the
    /// same label an active one is meant.
    pub(crate) fn find_token(&self, instance: InstanceId, reference: &str) -> Result<Arc<TokenRow>, Error> {
        let rows = self.tokens_of(instance);
        let not_found = || Error::TokenNotFound(reference.to_owned());
        if let Ok(id) = reference.parse::<TokenId>() {
            return rows.into_iter().find(|row| row.id == id).ok_or_else(not_found);
        }
        let labelled: Vec<_> = rows.into_iter().filter(|row| row.label == reference).collect();
        let active: Vec<_> = labelled.iter().filter(|row| is_active(row)).cloned().collect();
        match if active.is_empty() { labelled } else { active }.as_slice() {
            [] => Err(not_found()),
            [row] => Ok(row.clone()),
            several => Err(Error::AmbiguousLabel {
                label: reference.to_owned(),
                ids: several.iter().map(|row| row.id).collect(),
            }),
        }
    }
}

pub(crate) fn is_active(row: &TokenRow) -> bool {
    match row.state {
        TokenState::Active { .. } => true,
        TokenState::Revoked { .. } | TokenState::Expired { .. } => false,
    }
}

/// Rows that are found by id and by name.
struct Named<V: View> {
    rows: Follower<V>,
    ids: Arc<RwLock<Index<Name>>>,
    name_of: fn(&V::Row) -> &Name,
}

impl<V: View> Named<V> {
    async fn follow(store: &Store, name_of: fn(&V::Row) -> &Name) -> Result<Self, Unavailable> {
        let ids = Arc::<RwLock<Index<_>>>::default();
        let index = ids.clone();
        let on_change = move |id, row: Option<&Arc<V::Row>>| {
            index.write().set(id, row.map(|row| name_of(row).clone()));
        };
        Ok(Named { rows: store.follow::<V>(on_change).await?, ids, name_of })
    }

    /// The id that a client means, or that of the row with the name.
    fn id(&self, reference: &str) -> Option<Uuid> {
        if let Ok(id) = reference.parse() {
            return Some(id);
        }
        let name = reference.parse::<Name>().ok()?;
        let ids = self.ids.read().ids(&name);
        ids.into_iter().find(|id| self.rows.get(*id).is_some_and(|row| *(self.name_of)(&row) == name))
    }

    /// Every row, by name.
    fn sorted(&self) -> Vec<Arc<V::Row>> {
        let mut rows = self.rows.rows();
        rows.sort_unstable_by(|one, other| (self.name_of)(one).cmp((self.name_of)(other)));
        rows
    }
}

/// The ids of rows by a property of theirs that may change.
struct Index<K> {
    ids: HashMap<K, BTreeSet<Uuid>>,
    keys: HashMap<Uuid, K>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Index { ids: HashMap::new(), keys: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    fn set(&mut self, id: Uuid, key: Option<K>) {
        if self.keys.get(&id) == key.as_ref() {
            return;
        }
        if let Some(old) = self.keys.remove(&id)
            && let Some(ids) = self.ids.get_mut(&old)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.ids.remove(&old);
            }
        }
        if let Some(key) = key {
            self.keys.insert(id, key.clone());
            self.ids.entry(key).or_default().insert(id);
        }
    }

    fn ids(&self, key: &K) -> Vec<Uuid> {
        self.ids.get(key).into_iter().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_follows_its_rows() {
        let mut index = Index::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        index.set(one, Some("a"));
        index.set(other, Some("a"));
        assert_eq!(index.ids(&"a"), [one, other]);
        index.set(one, Some("b"));
        assert_eq!((index.ids(&"a"), index.ids(&"b")), (vec![other], vec![one]));
        index.set(one, None);
        index.set(other, None);
        assert!(index.ids.is_empty() && index.keys.is_empty(), "nothing is left of rows that are gone");
    }
}
