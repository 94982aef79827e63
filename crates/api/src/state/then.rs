//! One aggregate at one moment: what showing it would have answered.

use domain::claim::{self, Claimable as _, InstanceNames};
use domain::{Event, InstanceId, Name, Recorded, TokenId, instance, token};
use serde::Serialize;
use serde_json::Value;
use store::{Past, PastError, Place};
use uuid::Uuid;
use views::{Instances, Tokens, View};

use super::at::At;
use crate::app::App;
use crate::error::Error;
use crate::instances::InstanceDocument;
use crate::tokens::TokenDocument;

/// A kind of aggregate that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Instance,
    Token,
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

impl Kind {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        match text {
            instance::NAME => Ok(Kind::Instance),
            token::NAME => Ok(Kind::Token),
            _ => Err(Error::UnknownAggregate(text.to_owned())),
        }
    }

    /// The id of what a client means: an id, or for an instance the name that it had at the first of these moments at
    /// which anybody had it.
    pub(super) async fn find(self, app: &App, reference: &str, moments: &[At]) -> Result<Uuid, Error> {
        if let Ok(id) = reference.parse::<Uuid>() {
            return Ok(id);
        }
        match self {
            Kind::Instance => named(app, reference, moments).await,
            Kind::Token => Err(Error::NeverExisted(reference.to_owned())),
        }
    }
}

async fn named(app: &App, name: &str, moments: &[At]) -> Result<Uuid, Error> {
    let never = || Error::NeverExisted(name.to_owned());
    let name: Name = name.parse().map_err(|_| never())?;
    let mut then = Then::Never;
    for at in moments {
        let past =
            app.store.fold_until(InstanceNames::NAME, &name, at.through, None, |_, claim| holder(claim));
        match past.await? {
            Past { folded: Some(InstanceId(id)), .. } => return Ok(id),
            Past { first, last, .. } => then = Then::missing(first, last),
        }
    }
    then.into_document(name.as_str()).and(Err(never()))
}

fn holder(claim: &Recorded) -> Option<InstanceId> {
    let Event::InstanceName { event, .. } = &claim.event else { return None };
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
    }
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
