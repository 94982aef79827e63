//! An event exactly as the log holds it: its bytes, its header fields, and when it was stored.

use async_nats::jetstream;
use bytes::Bytes;
use domain::Recorded;
use jiff::Timestamp;

use crate::envelope::{self, Fields, HeaderError};
use crate::error::Unreadable;
use crate::subject::{self, header};
use crate::upcast::{self, Stored};

/// What the header fields of JetStream itself begin with. They say how a message was published, not what it is.
const TRANSPORT_PREFIX: &str = "Nats-";

type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    pub sequence: u64,
    pub subject: String,
    /// The header fields of ours, by name.
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
    /// When the log stored it; of an imported event, when the log that it comes from did.
    pub stored_at: Timestamp,
    /// Whether it was imported from another log.
    pub imported: bool,
}

impl StoredEvent {
    /// A message as direct get returns it.
    pub(crate) fn of_direct_get(message: async_nats::Message) -> Result<Self, ReadError> {
        let headers = message.headers.as_ref().ok_or(HeaderError::Absent("Nats-Sequence"))?;
        let sequence = envelope::parse(headers, "Nats-Sequence")?;
        let subject = envelope::text(headers, "Nats-Subject")?.to_owned();
        let time = envelope::parse(headers, "Nats-Time-Stamp")?;
        Self::new(sequence, subject, headers, message.payload.clone(), time)
    }

    /// A message as a consumer delivers it.
    pub(crate) fn of_consumer(message: &jetstream::Message) -> Result<Self, ReadError> {
        let info = message.info()?;
        let time = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos())?;
        let none = async_nats::HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        Self::new(info.stream_sequence, message.subject.to_string(), headers, message.payload.clone(), time)
    }

    fn new(
        sequence: u64,
        subject: String,
        headers: &async_nats::HeaderMap,
        payload: Bytes,
        time: Timestamp,
    ) -> Result<Self, ReadError> {
        let imported = headers.get(header::STORED_AT).is_some();
        let stored_at = if imported { envelope::parse(headers, header::STORED_AT)? } else { time };
        let mut ours: Vec<(String, String)> = Vec::new();
        for (name, values) in headers.iter() {
            let name: &str = name.as_ref();
            if !name.starts_with(TRANSPORT_PREFIX) && name != header::STORED_AT {
                ours.extend(values.iter().map(|value| (name.to_owned(), value.as_str().to_owned())));
            }
        }
        ours.sort();
        Ok(StoredEvent { sequence, subject, headers: ours, payload, stored_at, imported })
    }

    /// What happened, in words of the domain.
    ///
    /// # Errors
    /// It is of a form that this program does not know.
    pub fn recorded(&self) -> Result<Recorded, Unreadable> {
        read(self.sequence, &self.subject, self, &self.payload)
    }

    /// What happened, as an event of this aggregate.
    pub(crate) fn of<D: Stored>(&self) -> Result<D::Event, Unreadable> {
        let unreadable = |source: ReadError| Unreadable::new(&self.subject, self.sequence, source);
        let name = envelope::text(self, header::EVENT).map_err(|error| unreadable(error.into()))?;
        let version = envelope::parse(self, header::VERSION).map_err(|error| unreadable(error.into()))?;
        D::read(name, version, &self.payload).map_err(|error| unreadable(error.into()))
    }

    /// The header fields as NATS wants them.
    pub(crate) fn header_map(&self) -> Result<async_nats::HeaderMap, ReadError> {
        let mut headers = async_nats::HeaderMap::new();
        for (name, value) in &self.headers {
            let name = async_nats::HeaderName::try_from(name.as_str())?;
            headers.append(name, value.parse::<async_nats::HeaderValue>()?);
        }
        Ok(headers)
    }

    /// A header field of ours.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The event's wire name, as far as it says one.
    pub fn name(&self) -> Option<&str> {
        self.header(header::EVENT)
    }

    /// In which form its payload is.
    pub fn version(&self) -> Option<&str> {
        self.header(header::VERSION)
    }

    /// The command that led to it.
    pub(crate) fn command_id(&self) -> Option<&str> {
        self.header(header::COMMAND_ID)
    }

    /// The sequence of the event that led to its command, if it was one.
    pub(crate) fn caused_by(&self) -> Option<u64> {
        self.header(header::CAUSATION_ID)?.strip_prefix(subject::CAUSED_BY_EVENT)?.parse().ok()
    }

    /// The bytes of its payload and of its header fields.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// What a message of EVENTS says happened, in words of the domain.
pub(crate) fn read(
    sequence: u64,
    subject: &str,
    headers: &impl Fields,
    payload: &[u8],
) -> Result<Recorded, Unreadable> {
    let read = || -> Result<Recorded, ReadError> {
        let (aggregate, id) = subject::parse_event(subject).ok_or("the subject is no event's")?;
        let name = envelope::text(headers, header::EVENT)?;
        let version = envelope::parse(headers, header::VERSION)?;
        let metadata = envelope::read_metadata(headers)?;
        let event = upcast::read_any(aggregate, id, name, version, payload)?;
        Ok(Recorded { sequence, metadata, event })
    };
    read().map_err(|error| Unreadable::new(subject, sequence, error))
}

impl Fields for StoredEvent {
    fn field(&self, name: &str) -> Option<&str> {
        self.header(name)
    }
}
