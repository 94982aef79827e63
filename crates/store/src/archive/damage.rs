//! What can be wrong with a file, and where.

use std::io;

use super::{FORM, RECORD_BYTES_MAX};

/// Where a file is not what it should be, and how.
#[derive(Debug, thiserror::Error)]
#[error("record {record}, at byte {byte}{}: {damage}", after(*sequence))]
pub struct ArchiveError {
    /// Counted from 1.
    pub record: u64,
    /// Where the record begins.
    pub byte: u64,
    /// The last event before it.
    pub sequence: Option<u64>,
    #[source]
    pub damage: Damage,
}

fn after(sequence: Option<u64>) -> String {
    sequence.map(|sequence| format!(" after event {sequence}")).unwrap_or_default()
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    #[error("this is no file of exported events")]
    Foreign,
    #[error(
        "the file has form {0}, and this program knows forms up to {FORM}: import it with a newer mcpcan"
    )]
    NewerForm(u32),
    #[error("the file ends too early: its footer is absent")]
    Truncated,
    #[error("the record cannot be read: {0}")]
    Malformed(String),
    #[error("the record is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
    #[error("{found} was not expected here")]
    OutOfPlace { found: &'static str },
    #[error("event {expected} was expected, event {found} is there")]
    Sequence { expected: u64, found: u64 },
    #[error("`{0}` is no subject of an event")]
    Subject(String),
    #[error("a header field has a name or a value that none can have")]
    HeaderField,
    #[error("the digest of the records since the last checkpoint is not the one that is written here")]
    ChunkDigest,
    #[error("the digest of the file is not the one that is written in its footer")]
    FileDigest,
    #[error("the footer counts {counted} {what}, the file has {found}")]
    Count { what: &'static str, counted: u64, found: u64 },
    #[error("the header promises events up to {promised}, the file ends with {found}")]
    Range { promised: u64, found: u64 },
    #[error("the event cannot be read by this program: {0}")]
    Unreadable(String),
    #[error("`{0}` is no owner of a key")]
    Owner(String),
}
