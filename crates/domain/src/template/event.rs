//! What happens to a template. These forms are a contract: they lie in logs for ever.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::instance::{Access, Profile};
use crate::{InstanceId, Name};

/// An event of one template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", content = "data")]
pub enum Event {
    #[serde(rename = "template.created")]
    Created(Created),
    #[serde(rename = "template.renamed")]
    Renamed(Renamed),
    #[serde(rename = "template.edited")]
    Edited(Edited),
    #[serde(rename = "template.deleted")]
    Deleted(Deleted),
}

impl Event {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Created(_) => "template.created",
            Event::Renamed(_) => "template.renamed",
            Event::Edited(_) => "template.edited",
            Event::Deleted(_) => "template.deleted",
        }
    }
}

/// `template.created`: instances can be created from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub name: Name,
    /// Secrets are sealed under the template's own key.
    pub access: Access,
    pub profile: Profile,
    /// The instance that the settings were taken from.
    pub from: Option<InstanceId>,
}

/// `template.renamed`: people call it something else; the old name is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Renamed {
    pub from: Name,
    pub to: Name,
}

/// `template.edited`: the settings as they are from now on, all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    pub access: Access,
    pub profile: Profile,
}

/// `template.deleted`: the template is gone for good, and so is the key of its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {}
