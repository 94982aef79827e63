//! What can be wished of a template.

use serde::{Deserialize, Serialize};

use crate::instance::{Access, Edit, Profile};
use crate::{InstanceId, Name};

/// A command for one template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a command lives for one decision, and is one of few at a time"
)]
pub enum Command {
    Create {
        name: Name,
        access: Access,
        #[serde(default)]
        profile: Profile,
        /// The instance that the settings were taken from.
        #[serde(default)]
        from: Option<InstanceId>,
    },
    Rename {
        name: Name,
    },
    Edit(Box<Edit>),
    Delete,
}

impl Command {
    /// The command's name as operators see it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Create { .. } => "template.create",
            Command::Rename { .. } => "template.rename",
            Command::Edit(_) => "template.edit",
            Command::Delete => "template.delete",
        }
    }
}
