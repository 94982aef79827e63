//! Typed ids. They are made at the edges (UUID version 7, so that they sort by time) and only compared here.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

id!(
    /// An instance: one hosted, proxied or directly listed MCP server.
    InstanceId
);
id!(
    /// A replica: one running copy of a hosted instance.
    ReplicaId
);
id!(
    /// A token: a credential for one instance.
    TokenId
);
id!(
    /// A template: the settings of instances that are yet to be created.
    TemplateId
);
id!(
    /// A command. Derived from the client's idempotency key, so that the same key is the same command.
    CommandId
);
