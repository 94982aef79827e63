//! The headers of commands and events: who, when, why, and in which form.

use std::error::Error;
use std::str::FromStr;

use async_nats::HeaderMap;
use domain::{CommandId, Metadata};

use crate::subject::header;

/// A header field is absent or cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("header {0} is absent")]
    Absent(&'static str),
    #[error("header {name} cannot be read")]
    Malformed {
        name: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

pub(crate) fn write_metadata(headers: &mut HeaderMap, metadata: &Metadata) {
    headers.insert(header::COMMAND_ID, metadata.command_id.to_string());
    headers.insert(header::CAUSATION_ID, metadata.causation_id.as_str());
    headers.insert(header::ACTOR, metadata.actor.to_string());
    headers.insert(header::TIME, metadata.at.to_string());
    if let Some(traceparent) = &metadata.traceparent {
        headers.insert(header::TRACEPARENT, traceparent.as_str());
    }
}

/// Header fields by name, wherever they lie.
pub(crate) trait Fields {
    fn field(&self, name: &str) -> Option<&str>;
}

impl Fields for HeaderMap {
    fn field(&self, name: &str) -> Option<&str> {
        self.get(name).map(async_nats::HeaderValue::as_str)
    }
}

pub(crate) fn read_metadata(headers: &impl Fields) -> Result<Metadata, HeaderError> {
    Ok(Metadata {
        at: parse(headers, header::TIME)?,
        command_id: parse::<CommandId>(headers, header::COMMAND_ID)?,
        causation_id: text(headers, header::CAUSATION_ID)?.to_owned(),
        actor: parse(headers, header::ACTOR)?,
        traceparent: headers.field(header::TRACEPARENT).map(str::to_owned),
    })
}

pub(crate) fn text<'a>(headers: &'a impl Fields, name: &'static str) -> Result<&'a str, HeaderError> {
    headers.field(name).ok_or(HeaderError::Absent(name))
}

pub(crate) fn parse<T>(headers: &impl Fields, name: &'static str) -> Result<T, HeaderError>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    text(headers, name)?
        .parse()
        .map_err(|source: T::Err| HeaderError::Malformed { name, source: source.into() })
}
