//! Events of another log on their way into this one. No rule decides them: they happened. They are appended only
//! where they stood, and only to a log that says the same up to there.

use serde::{Deserialize, Serialize};

/// Why events are not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    #[error(
        "this log has another event {sequence} than the file: events are imported into an empty system, or into one \
         whose log begins with the same events"
    )]
    Differs { sequence: u64 },
    #[error(
        "the file begins with event {found}, but this log ends before event {expected}: a part is missing"
    )]
    Gap { expected: u64, found: u64 },
    #[error("commands are being carried out and do not come to an end: try again in a moment")]
    Busy,
}
