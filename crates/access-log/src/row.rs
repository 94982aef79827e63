//! How the records lie in their tables: column names and types, in the tables' order.
//!
//! The client library compares these structs with the table at every first insert and every read, so a migration that
//! forgets this file fails at once and by name.

use clickhouse::Row;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::record::{ContainerLine, Fields, Level, Place, Stream, TraceEvent, TraceRecord};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// One row of `access_log`, borrowing its text from a record or from the network buffer.
#[derive(Row, Serialize, Deserialize)]
pub(crate) struct TraceRow<'a> {
    time: i64,
    level: i8,
    event: &'a str,
    trace_id: &'a str,
    span_id: &'a str,
    parent_span_id: &'a str,
    #[serde(with = "clickhouse::serde::uuid")]
    instance_id: Uuid,
    instance_name: &'a str,
    #[serde(with = "clickhouse::serde::uuid")]
    replica_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    token_id: Uuid,
    token_label: &'a str,
    token_header: &'a str,
    gateway_id: &'a str,
    session_id: &'a str,
    protocol_version: &'a str,
    http_method: &'a str,
    path: &'a str,
    rpc_method: &'a str,
    rpc_id: &'a str,
    tool: &'a str,
    status: u16,
    rpc_error_code: i32,
    is_error: bool,
    latency_ns: u64,
    first_byte_ns: u64,
    request_bytes: u64,
    response_bytes: u64,
    client_address: &'a str,
    user_agent: &'a str,
    content_type: &'a str,
    error_class: &'a str,
    error: &'a str,
    #[serde(borrow)]
    headers: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    response_headers: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    cookies: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    form: Vec<(&'a str, &'a str)>,
    body: &'a str,
    is_body_cut: bool,
    sequence: u64,
    index: u32,
    /// In seconds since 1970.
    expires_at: u32,
}

/// One row of `container_log`.
#[derive(Row, Serialize, Deserialize)]
pub(crate) struct LineRow<'a> {
    time: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    instance_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    replica_id: Uuid,
    stream: i8,
    level: i8,
    module: &'a str,
    text: &'a str,
    sequence: u64,
    index: u32,
    /// In seconds since 1970.
    expires_at: u32,
}

impl<'a> TraceRow<'a> {
    pub(crate) fn of(record: &'a TraceRecord, days: u16) -> Result<Self, Error> {
        Ok(Self {
            time: nanoseconds(record.time).map_err(|source| Error::Rejected {
                operation: "insert traces",
                code: None,
                source: source.into(),
            })?,
            level: level_number(record.level),
            event: record.event.as_str(),
            trace_id: &record.trace_id,
            span_id: &record.span_id,
            parent_span_id: &record.parent_span_id,
            instance_id: record.instance_id,
            instance_name: &record.instance_name,
            replica_id: record.replica_id,
            token_id: record.token_id,
            token_label: &record.token_label,
            token_header: &record.token_header,
            gateway_id: &record.gateway_id,
            session_id: &record.session_id,
            protocol_version: &record.protocol_version,
            http_method: &record.http_method,
            path: &record.path,
            rpc_method: &record.rpc_method,
            rpc_id: &record.rpc_id,
            tool: &record.tool,
            status: record.status,
            rpc_error_code: record.rpc_error_code,
            is_error: record.is_error,
            latency_ns: record.latency_ns,
            first_byte_ns: record.first_byte_ns,
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            client_address: &record.client_address,
            user_agent: &record.user_agent,
            content_type: &record.content_type,
            error_class: &record.error_class,
            error: &record.error,
            headers: pairs(&record.headers),
            response_headers: pairs(&record.response_headers),
            cookies: pairs(&record.cookies),
            form: pairs(&record.form),
            body: &record.body,
            is_body_cut: record.is_body_cut,
            sequence: record.place.sequence,
            index: record.place.index,
            expires_at: expires_at(record.time, days),
        })
    }

    pub(crate) fn into_record(self) -> Result<TraceRecord, Error> {
        Ok(TraceRecord {
            place: Place { sequence: self.sequence, index: self.index },
            time: timestamp(self.time)?,
            level: level_from_number(self.level)?,
            event: self
                .event
                .parse::<TraceEvent>()
                .map_err(|source| Error::Corrupt { field: "event", source: source.into() })?,
            trace_id: self.trace_id.to_owned(),
            span_id: self.span_id.to_owned(),
            parent_span_id: self.parent_span_id.to_owned(),
            instance_id: self.instance_id,
            instance_name: self.instance_name.to_owned(),
            replica_id: self.replica_id,
            token_id: self.token_id,
            token_label: self.token_label.to_owned(),
            token_header: self.token_header.to_owned(),
            gateway_id: self.gateway_id.to_owned(),
            session_id: self.session_id.to_owned(),
            protocol_version: self.protocol_version.to_owned(),
            http_method: self.http_method.to_owned(),
            path: self.path.to_owned(),
            rpc_method: self.rpc_method.to_owned(),
            rpc_id: self.rpc_id.to_owned(),
            tool: self.tool.to_owned(),
            status: self.status,
            rpc_error_code: self.rpc_error_code,
            is_error: self.is_error,
            latency_ns: self.latency_ns,
            first_byte_ns: self.first_byte_ns,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            client_address: self.client_address.to_owned(),
            user_agent: self.user_agent.to_owned(),
            content_type: self.content_type.to_owned(),
            error_class: self.error_class.to_owned(),
            error: self.error.to_owned(),
            headers: fields(&self.headers),
            response_headers: fields(&self.response_headers),
            cookies: fields(&self.cookies),
            form: fields(&self.form),
            body: self.body.to_owned(),
            is_body_cut: self.is_body_cut,
        })
    }
}

impl<'a> LineRow<'a> {
    pub(crate) fn of(line: &'a ContainerLine, days: u16) -> Result<Self, Error> {
        Ok(Self {
            time: nanoseconds(line.time).map_err(|source| Error::Rejected {
                operation: "insert lines",
                code: None,
                source: source.into(),
            })?,
            instance_id: line.instance_id,
            replica_id: line.replica_id,
            stream: stream_number(line.stream),
            level: line.level.map_or(NO_LEVEL, level_number),
            module: &line.module,
            text: &line.text,
            sequence: line.place.sequence,
            index: line.place.index,
            expires_at: expires_at(line.time, days),
        })
    }

    pub(crate) fn into_line(self) -> Result<ContainerLine, Error> {
        Ok(ContainerLine {
            place: Place { sequence: self.sequence, index: self.index },
            time: timestamp(self.time)?,
            instance_id: self.instance_id,
            replica_id: self.replica_id,
            stream: stream_from_number(self.stream)?,
            level: (self.level != NO_LEVEL).then(|| level_from_number(self.level)).transpose()?,
            module: self.module.to_owned(),
            text: self.text.to_owned(),
        })
    }
}

/// A moment that the column type `DateTime64(9)` cannot hold (before 1900 or after 2262).
#[derive(Debug, thiserror::Error)]
#[error("the time {0} does not fit into nanoseconds")]
pub(crate) struct TimeOutOfRange(Timestamp);

/// A number that no value of the column's `Enum8` has.
#[derive(Debug, thiserror::Error)]
#[error("the number {0} stands for no value")]
struct UnknownNumber(i8);

pub(crate) fn nanoseconds(time: Timestamp) -> Result<i64, TimeOutOfRange> {
    i64::try_from(time.as_nanosecond()).map_err(|_| TimeOutOfRange(time))
}

/// When a row may go. What the column type `DateTime` cannot hold (after 2106) is kept as long as it can say.
fn expires_at(time: Timestamp, days: u16) -> u32 {
    let expires_at = time.as_second().saturating_add(i64::from(days) * SECONDS_PER_DAY);
    u32::try_from(expires_at.max(0)).unwrap_or(u32::MAX)
}

pub(crate) fn timestamp(nanoseconds: i64) -> Result<Timestamp, Error> {
    Timestamp::from_nanosecond(nanoseconds.into())
        .map_err(|source| Error::Corrupt { field: "time", source: source.into() })
}

fn pairs(fields: &Fields) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

// The numbers are the ones of the `Enum8` types in the migrations.

/// Of a line that names no level.
const NO_LEVEL: i8 = 0;

fn level_number(level: Level) -> i8 {
    match level {
        Level::Trace => 1,
        Level::Debug => 2,
        Level::Info => 3,
        Level::Warn => 4,
        Level::Error => 5,
    }
}

fn level_from_number(number: i8) -> Result<Level, Error> {
    Level::ALL
        .into_iter()
        .find(|level| level_number(*level) == number)
        .ok_or_else(|| Error::Corrupt { field: "level", source: UnknownNumber(number).into() })
}

fn stream_number(stream: Stream) -> i8 {
    match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    }
}

fn stream_from_number(number: i8) -> Result<Stream, Error> {
    Stream::ALL
        .into_iter()
        .find(|stream| stream_number(*stream) == number)
        .ok_or_else(|| Error::Corrupt { field: "stream", source: UnknownNumber(number).into() })
}
