//! One aggregate at one moment: what showing it would have answered.

use domain::claim::{self, Claimable, InstanceNames, TemplateNames};
use domain::{
    Event, InstanceId, Name, Recorded, TemplateId, TokenId, instance, retention_plan, template, token,
};
use serde::Serialize;
use serde_json::Value;
use store::{Past, PastError, Place};
use uuid::Uuid;
use views::{Instances, RetentionPlanRow, RetentionPlans, Templates, Tokens, View};

use super::at::At;
use crate::app::App;
use crate::error::Error;
use crate::instances::InstanceDocument;
use crate::retention::RetentionDocument;
use crate::templates::TemplateDocument;
use crate::tokens::TokenDocument;

/// A kind of aggregate that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Instance,
    Token,
    Template,
    RetentionPlan,
}

/// How it was.
#[derive(Debug)]
pub(super) enum Then {
    Existed(Value),
    /// Its first event came later.
    NotYet(Place),
    /// The event before the moment that ended it.
    Gone(Place),
    Never,
}

/// The kinds, as paths have them.
pub(crate) const KINDS: [&str; 4] = [instance::NAME, token::NAME, template::NAME, retention_plan::NAME];

impl Kind {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        match text {
            instance::NAME => Ok(Kind::Instance),
            token::NAME => Ok(Kind::Token),
            template::NAME => Ok(Kind::Template),
            retention_plan::NAME => Ok(Kind::RetentionPlan),
            _ => Err(Error::UnknownAggregate(text.to_owned())),
        }
    }

    /// The id of what a client means: an id, or the name that it had at the first of these moments at which anybody
    /// had it. A plan goes by its instance.
    pub(super) async fn find(self, app: &App, reference: &str, moments: &[At]) -> Result<Uuid, Error> {
        if let Ok(id) = reference.parse::<Uuid>() {
            return Ok(id);
        }
        match self {
            Kind::Instance | Kind::RetentionPlan => named(app, InstanceNames::NAME, reference, moments).await,
            Kind::Template => named(app, TemplateNames::NAME, reference, moments).await,
            Kind::Token => Err(Error::NeverExisted(reference.to_owned())),
        }
    }
}

async fn named(app: &App, names: &str, name: &str, moments: &[At]) -> Result<Uuid, Error> {
    let never = || Error::NeverExisted(name.to_owned());
    let name: Name = name.parse().map_err(|_| never())?;
    let mut then = Then::Never;
    for at in moments {
        let past = app.store.fold_until(names, &name, at.through, None, |_, claim| holder(claim));
        match past.await? {
            Past { folded: Some(id), .. } => return Ok(id),
            Past { first, last, .. } => then = Then::missing(first, last),
        }
    }
    then.into_document(name.as_str()).and(Err(never()))
}

fn holder(claim: &Recorded) -> Option<Uuid> {
    match &claim.event {
        Event::InstanceName { event, .. } => claimed_by(event).map(|InstanceId(id)| id),
        Event::TemplateName { event, .. } => claimed_by(event).map(|TemplateId(id)| id),
        Event::Instance { .. }
        | Event::Token { .. }
        | Event::Credential { .. }
        | Event::Template { .. }
        | Event::RetentionPlan { .. } => None,
    }
}

fn claimed_by<C: Claimable>(event: &claim::Event<C>) -> Option<C::Holder> {
    match event {
        claim::Event::Claimed(claimed) => Some(claimed.holder),
        claim::Event::Released(_) => None,
    }
}

/// Folds the aggregate's own events up to the moment.
pub(super) async fn tell(app: &App, kind: Kind, id: &Uuid, at: At) -> Result<Then, Error> {
    match kind {
        Kind::Instance => {
            let past = row::<Instances>(app, instance::NAME, InstanceId(*id), at).await?;
            Ok(Then::new(past, |row| value(&InstanceDocument::new(row, &app.config.gateway_url))))
        }
        Kind::Token => {
            let past = row::<Tokens>(app, token::NAME, TokenId(*id), at).await?;
            Ok(Then::new(past, |row| value(&TokenDocument::new(row))))
        }
        Kind::Template => {
            let past = row::<Templates>(app, template::NAME, TemplateId(*id), at).await?;
            Ok(Then::new(past, |row| value(&TemplateDocument::new(row))))
        }
        Kind::RetentionPlan => tell_plan(app, InstanceId(*id), at).await,
    }
}

/// Where nobody has said anything the default holds, for as long as there is the instance.
async fn tell_plan(app: &App, instance: InstanceId, at: At) -> Result<Then, Error> {
    let document = |plan: Option<&RetentionPlanRow>| value(&RetentionDocument::new(instance, plan));
    let past = row::<RetentionPlans>(app, retention_plan::NAME, instance, at).await?;
    if past.folded.is_some() {
        return Ok(Then::new(past, |plan| document(Some(plan))));
    }
    let past = row::<Instances>(app, instance::NAME, instance, at).await?;
    Ok(Then::new(past, |_| document(None)))
}

async fn row<V: View>(
    app: &App,
    aggregate: &str,
    id: impl std::fmt::Display,
    at: At,
) -> Result<Past<Option<V::Row>>, PastError> {
    app.store.row_at::<V>(aggregate, id, at.through).await
}

impl Then {
    fn new<R>(past: Past<Option<R>>, document: impl FnOnce(&R) -> Value) -> Self {
        match &past.folded {
            Some(row) => Then::Existed(document(row)),
            None => Then::missing(past.first, past.last),
        }
    }

    /// Why there was nothing.
    fn missing(first: Option<Place>, last: Option<Place>) -> Self {
        match (first, last) {
            (_, Some(last)) => Then::Gone(last),
            (Some(first), None) => Then::NotYet(first),
            (None, None) => Then::Never,
        }
    }

    /// # Errors
    /// It did not exist then: why not.
    pub(super) fn into_document(self, reference: &str) -> Result<Value, Error> {
        let reference = reference.to_owned();
        match self {
            Then::Existed(document) => Ok(document),
            Then::NotYet(first) => Err(Error::DidNotExistYet { reference, first }),
            Then::Gone(last) => Err(Error::WasGone { reference, last }),
            Then::Never => Err(Error::NeverExisted(reference)),
        }
    }

    /// The document, or null where there was none.
    pub(super) fn into_value(self) -> Value {
        match self {
            Then::Existed(document) => document,
            Then::NotYet(_) | Then::Gone(_) | Then::Never => Value::Null,
        }
    }
}

fn value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).expect("a document can be written as JSON")
}
