//! Refusals that a caller can act on.

use serde::{Deserialize, Serialize};

use crate::instance;

/// Why a command for a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    #[error("the template exists already")]
    Exists,
    #[error("there is no such template")]
    NotFound,
    #[error("the template was deleted")]
    Deleted,
    /// No instance could have such settings.
    #[error("{refusal}")]
    Settings { refusal: instance::Refusal },
}
