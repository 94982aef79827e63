//! The revisions of the Model Context Protocol, and the two eras they fall into.
//!
//! Source: modelcontextprotocol.io/specification, one page of changes per revision. Gateway, bridge and worker decide
//! by these values, and no other code spells a revision.

use std::fmt;
use std::str::FromStr;

/// A published revision, in the order of publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// HTTP+SSE; sessions are SSE connections.
    V2024_11_05,
    /// Streamable HTTP, and the only revision with batches.
    V2025_03_26,
    /// Batches removed; every request after initialisation names its revision.
    V2025_06_18,
    /// A foreign `Origin` is 403; SSE streams open with a priming event.
    V2025_11_25,
    /// Stateless: no `initialize`, no sessions, no requests from the server.
    V2026_07_28,
}

/// How a revision keeps state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize` opens a session that the client names on every later request.
    Sessions,
    /// Every request carries all that the server needs.
    Stateless,
}

/// The text names no published revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known revision of the Model Context Protocol; known ones are {}", KnownRevisions)]
pub struct UnknownRevision;

impl Revision {
    /// All revisions, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// The newest revision with sessions: what our own client offers.
    pub const LATEST_WITH_SESSIONS: Self = Self::V2025_11_25;

    /// The newest revision without them.
    pub const LATEST_STATELESS: Self = Self::V2026_07_28;

    /// The date that names the revision on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era the revision belongs to.
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Sessions,
            Self::V2026_07_28 => Era::Stateless,
        }
    }

    /// Whether a body may be an array of messages.
    pub const fn allows_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// Whether an SSE stream opens with an event that has an id and no data, for a client to resume from.
    pub const fn primes_streams(self) -> bool {
        matches!(self, Self::V2025_11_25)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Revision {
    type Err = UnknownRevision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text).ok_or(UnknownRevision)
    }
}

struct KnownRevisions;

impl fmt::Display for KnownRevisions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&Revision::ALL.map(Revision::as_str).join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_back_from_its_name() {
        for revision in Revision::ALL {
            assert_eq!(revision.as_str().parse(), Ok(revision));
        }
        assert_eq!("2025-11-26".parse::<Revision>(), Err(UnknownRevision));
    }

    #[test]
    fn revisions_are_ordered_by_date() {
        assert!(Revision::ALL.is_sorted());
        assert!(Revision::ALL.map(Revision::as_str).is_sorted());
    }
}
