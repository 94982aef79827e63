//! How the platform is: which roles can do their work, and how far log rows have come on their way.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::{GatewayReport, ProcessReport, RolesStatus, Said, SinkReport};
use uuid::Uuid;

use crate::app::App;
use crate::error::Error;

/// `GET /status`
pub(crate) async fn show_status(State(app): State<App>) -> Result<Response, Error> {
    let status = app.store.roles_status().await?;
    Ok(axum::Json(StatusDocument::new(status)).into_response())
}

/// How the platform is, as its processes say every two seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusDocument {
    /// Whether every role of every process that says something can do its work.
    ready: bool,
    /// Whoever has gone is shown as silent, and no more after a minute.
    processes: Vec<ProcessDocument>,
    /// How far the sinks are that carry log rows into their tables.
    sinks: Vec<SinkDocument>,
    /// What gateways know of the rows that they hand on.
    gateways: Vec<GatewayDocument>,
}

/// A process of the platform.
#[derive(Debug, Serialize, JsonSchema)]
struct ProcessDocument {
    /// The role as which it is known, and a name of its own.
    name: String,
    /// Whether each role in it can do its work.
    roles: BTreeMap<String, bool>,
    /// It has said nothing for a while.
    silent: bool,
    reported_at: Timestamp,
}

/// A sink of one stream of log rows. Counts are since its projector has taken over.
#[derive(Debug, Serialize, JsonSchema)]
struct SinkDocument {
    /// `TRACES` carries the access log, `LOGS` the container log.
    stream: String,
    /// Messages, each with many rows, that are not in the table yet.
    lag_messages: u64,
    /// For how long the oldest of them has waited, at most.
    lag_seconds: f64,
    rows: u64,
    batches: u64,
    /// Rows of the last batch.
    batch_rows: u64,
    /// Messages that could not be read or that ClickHouse refused.
    dead_letters: u64,
    silent: bool,
    reported_at: Timestamp,
}

/// A gateway's rows of the access log. Counts are since its start.
#[derive(Debug, Serialize, JsonSchema)]
struct GatewayDocument {
    id: String,
    /// Rows that the stream has acknowledged.
    rows: u64,
    batches: u64,
    /// What waits on the gateway's disk, in bytes.
    spool_bytes: u64,
    /// Rows that were dropped because a bound was reached.
    dropped: u64,
    /// The same by instance; the nil id stands for requests to no instance.
    dropped_by_instance: BTreeMap<Uuid, u64>,
    silent: bool,
    reported_at: Timestamp,
}

impl StatusDocument {
    fn new(status: RolesStatus) -> Self {
        let RolesStatus { processes, gateways, sinks } = status;
        let heard: Vec<_> = processes.values().filter(|said| !said.is_silent).collect();
        Self {
            ready: !heard.is_empty()
                && heard.iter().all(|said| said.report.roles.values().all(|ready| *ready)),
            processes: processes.into_iter().map(|(name, said)| process(name, said)).collect(),
            sinks: sinks.into_iter().map(|(stream, said)| sink(stream, said)).collect(),
            gateways: gateways.into_iter().map(|(id, said)| gateway(id, said)).collect(),
        }
    }
}

fn process(name: String, said: Said<ProcessReport>) -> ProcessDocument {
    let ProcessReport { roles, at } = said.report;
    ProcessDocument { name, roles, silent: said.is_silent, reported_at: at }
}

fn sink(stream: String, said: Said<SinkReport>) -> SinkDocument {
    let SinkReport { rows, batches, batch_rows, dead_letters, lag_messages, lag_seconds, at } = said.report;
    let (silent, reported_at) = (said.is_silent, at);
    SinkDocument {
        stream,
        lag_messages,
        lag_seconds,
        rows,
        batches,
        batch_rows,
        dead_letters,
        silent,
        reported_at,
    }
}

fn gateway(id: String, said: Said<GatewayReport>) -> GatewayDocument {
    let GatewayReport { rows, batches, spool_bytes, dropped, at } = said.report;
    GatewayDocument {
        id,
        rows,
        batches,
        spool_bytes,
        dropped: dropped.values().sum(),
        dropped_by_instance: dropped,
        silent: said.is_silent,
        reported_at: at,
    }
}
