//! What people note down about an instance. It changes nothing about what runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest notes, in characters.
pub const NOTES_CHARS_MAX: usize = 4000;
/// The longest icon: an address, or a small picture as a `data:` address.
pub const ICON_BYTES_MAX: usize = 32 * 1024;
pub const LABELS_MAX: usize = 64;

/// Labels, notes and icon.
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
}
