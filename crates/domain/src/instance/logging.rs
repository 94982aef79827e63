//! How much of the calls to an instance is recorded, and whether an answer waits until it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the access log gets of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Logging {
    #[serde(default)]
    pub capture: Capture,
    /// Whether the gateway holds an answer back until the bus has acknowledged the row of its request.
    #[serde(default)]
    pub strict: bool,
}

impl Logging {
    /// Whether nobody has asked for anything else than the default.
    pub fn is_default(&self) -> bool {
        *self == Logging::default()
    }
}

/// How much of a call its rows hold. Every call has its rows, whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Who called what and what came of it: no header fields, no names of cookies and form fields, no bodies.
    Off,
    /// Header fields and the names of cookies and form fields too.
    #[default]
    Metadata,
    /// The beginnings of requests and answers too, with what is known to be secret masked.
    Bodies,
}

impl Capture {
    /// The word as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Capture::Off => "off",
            Capture::Metadata => "metadata",
            Capture::Bodies => "bodies",
        }
    }
}
