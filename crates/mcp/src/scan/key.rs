//! The keys that are looked for.

use super::Text;

/// A key of a message, or of an object in it that is looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Key {
    Method,
    Id,
    Params,
    Result,
    Error,
    Name,
    Uri,
    ProtocolVersion,
    Code,
    IsError,
    #[default]
    Other,
}

impl Key {
    /// Whether it is looked for in a message.
    pub(super) fn of_message(self) -> bool {
        matches!(self, Self::Method | Self::Id | Self::Params | Self::Result | Self::Error)
    }

    /// Whether it is looked for in the value of this member.
    pub(super) fn inside(self, member: Self) -> bool {
        match self {
            Self::Name | Self::Uri => member == Self::Params,
            Self::ProtocolVersion => matches!(member, Self::Params | Self::Result),
            Self::Code => member == Self::Error,
            Self::IsError => member == Self::Result,
            Self::Method | Self::Id | Self::Params | Self::Result | Self::Error | Self::Other => false,
        }
    }

    /// The key with this name.
    pub(super) fn named(text: &Text) -> Option<Self> {
        if text.truncated {
            return None;
        }
        Some(match text.text.as_str() {
            "method" => Self::Method,
            "id" => Self::Id,
            "params" => Self::Params,
            "result" => Self::Result,
            "error" => Self::Error,
            "name" => Self::Name,
            "uri" => Self::Uri,
            "protocolVersion" => Self::ProtocolVersion,
            "code" => Self::Code,
            "isError" => Self::IsError,
            _ => return None,
        })
    }
}
