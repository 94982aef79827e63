//! The settings of an instance that change nothing about what runs: what people note down, what is recorded,
//! and how it is probed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthCheck, Logging};

/// The longest notes, in characters.
pub const NOTES_CHARS_MAX: usize = 4000;
/// The longest icon: an address, or a small picture as a `data:` address.
pub const ICON_BYTES_MAX: usize = 32 * 1024;
pub const LABELS_MAX: usize = 64;

/// Labels, notes, icon, how much of the calls is recorded, and how the instance is probed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Empty, or what people should know.
    #[serde(default)]
    pub notes: String,
    /// Empty, or the address of a picture.
    #[serde(default)]
    pub icon: String,
    #[serde(default)]
    pub logging: Logging,
    #[serde(default)]
    pub health_check: HealthCheck,
}
