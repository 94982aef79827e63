//! `events tail`, and the reader of the api's event stream, which the progress of `instance create` uses too.

use std::collections::VecDeque;

use anyhow::Context;
use clap::Subcommand;
use mcp::sse::Decoder;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, Problem};
use crate::output::{Output, field, printable};
use crate::rest::Rest;

/// Larger than any event that the log takes.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print domain events as they come, until Ctrl-C.
    Tail {
        /// Where to begin: a sequence, `beginning`, or `new`.
        #[arg(long, value_name = "SEQUENCE", default_value = "new")]
        from: String,
        /// Only events of this aggregate: instance, instance_name, token.
        #[arg(long)]
        aggregate: Option<String>,
        /// Only events of the aggregate with this id; an instance also by name.
        #[arg(long)]
        id: Option<String>,
        /// Stop after so many events.
        #[arg(long, value_name = "COUNT")]
        limit: Option<u64>,
    },
}

/// What every event document has. The rest is in the document itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) data: Value,
}

/// The events of one request, in order.
pub(crate) struct EventStream {
    response: reqwest::Response,
    decoder: Decoder,
    decoded: VecDeque<mcp::sse::Event>,
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Command::Tail { from, aggregate, id, limit } = command;
    let query = [("from", Some(from)), ("aggregate", aggregate), ("id", id)];
    let query: Vec<_> = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let mut events = EventStream::open(rest, &query).await?;
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 {
        let document = events.next().await?;
        output.streamed(&document, || line(&document))?;
        left -= 1;
    }
    Ok(())
}

fn line(event: &Value) -> String {
    let [sequence, at, name, id, data] =
        ["/sequence", "/at", "/name", "/id", "/data"].map(|pointer| printable(&field(event, pointer)));
    format!("{sequence:>8}  {at:<30}  {name:<28}  {id:<36}  {data}")
}

impl EventStream {
    pub(crate) async fn open(rest: &Rest, query: &[(&str, String)]) -> Result<Self, Failure> {
        let response = rest.open(&["events"], query).await?;
        Ok(Self { response, decoder: Decoder::with_limit(EVENT_BYTES_MAX), decoded: VecDeque::new() })
    }

    /// The next event's document.
    pub(crate) async fn next(&mut self) -> Result<Value, Failure> {
        loop {
            if let Some(event) = self.decoded.pop_front() {
                return read(&event);
            }
            let chunk = self.response.chunk().await.map_err(|error| ended(error.without_url().into()))?;
            let chunk = chunk.ok_or_else(|| ended(anyhow::anyhow!("the api ended it")))?;
            let mut decoded = vec![];
            self.decoder.feed(&chunk, &mut decoded).context("read the event stream")?;
            self.decoded.extend(decoded);
        }
    }
}

/// An event's document. An event that the api cannot read itself comes as a problem, and ends the stream.
fn read(event: &mcp::sse::Event) -> Result<Value, Failure> {
    if event.event.as_deref() == Some("problem") {
        let problem: Problem = serde_json::from_slice(&event.data).context("read a problem")?;
        return Err(Failure::Problem(problem));
    }
    Ok(serde_json::from_slice(&event.data).context("read an event")?)
}

fn ended(source: anyhow::Error) -> Failure {
    Failure::unreachable("the rest of the event stream", source)
}
