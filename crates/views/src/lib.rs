//! The read models: row types and the pure fold from events to rows.
//!
//! A view is named after what its reader sees. Each row carries the sequence of the last event it holds, so that
//! folding an event twice changes nothing. This crate does no IO: `projector` runs the folds, `store` keeps and
//! follows the rows, `api`, `gateway` and `worker` read them.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod instances;
mod retention_plans;
mod templates;
mod tokens;

pub use instances::{Condition, Endpoint, Failure, InstanceRow, Instances, Phase, Seen, Trouble};
pub use retention_plans::{RetentionPlanRow, RetentionPlans};
pub use templates::{TemplateRow, Templates};
pub use tokens::{Expiries, Expiring, TokenRow, TokenState, Tokens};

use domain::Recorded;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A read model: a set of rows by id, folded from the event log.
pub trait View: Send + Sync + 'static {
    /// The view's name, which is also the name of its bucket.
    const NAME: &'static str;

    /// The form of the rows. Whoever changes what a row holds, or how it is folded, raises it: rows of another form
    /// are not read, and the view rebuilds itself while the old form serves those who know it.
    const VERSION: u16;

    type Row: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The id of the row that an event concerns, or none if this view does not care.
    fn key(recorded: &Recorded) -> Option<Uuid>;

    /// The row after an event; none when there is no such row any more.
    fn apply(row: Option<Self::Row>, recorded: &Recorded) -> Option<Self::Row>;
}

#[cfg(test)]
mod testing;
