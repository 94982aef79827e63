//! The two errors that every operation of this crate shares: NATS could not do it, or what lies there cannot be read.

type Source = Box<dyn std::error::Error + Send + Sync>;

/// NATS could not be asked, or did not answer as it should. Trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub struct Unavailable {
    /// What was being done, as a verb phrase: `publish command`.
    pub operation: &'static str,
    #[source]
    source: Source,
}

impl Unavailable {
    pub(crate) fn new(operation: &'static str, source: impl Into<Source>) -> Self {
        Unavailable { operation, source: source.into() }
    }
}

/// What was read is none of ours, or of a version that this program does not know. Trying again does not help.
#[derive(Debug, thiserror::Error)]
#[error("message {sequence} on {subject} cannot be read")]
pub struct Unreadable {
    pub subject: String,
    pub sequence: u64,
    #[source]
    source: Source,
}

impl Unreadable {
    pub(crate) fn new(subject: &str, sequence: u64, source: impl Into<Source>) -> Self {
        Unreadable { subject: subject.to_owned(), sequence, source: source.into() }
    }
}

/// What a stream of messages gave, where its end is an error as well.
pub(crate) fn given<T, E: Into<Source>>(
    next: Option<Result<T, E>>,
    operation: &'static str,
) -> Result<T, Unavailable> {
    next.ok_or("the consumer has ended").during(operation)?.during(operation)
}

/// Names the operation that failed.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, Unavailable>;
}

impl<T, E: Into<Source>> During<T> for Result<T, E> {
    fn during(self, operation: &'static str) -> Result<T, Unavailable> {
        self.map_err(|source| Unavailable::new(operation, source))
    }
}
