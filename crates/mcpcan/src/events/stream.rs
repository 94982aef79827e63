//! The reader of the api's event streams, which the progress of `instance create` uses too.

use std::collections::VecDeque;

use anyhow::Context;
use mcp::sse::Decoder;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, Problem};
use crate::output::Progress;
use crate::rest::Rest;

/// Larger than any event that the log takes.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What every event document has. The rest is in the document itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) data: Value,
}

/// What a stream gives.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// An event of the log.
    Event(Value),
    /// Rows that may be missing before the next one.
    Gap(Value),
    /// How far long work has come.
    Progress(Value),
    /// Nothing more comes of what was asked for: why, or what became of it.
    End(Value),
}

/// The frames of one request, in order.
pub(crate) struct EventStream {
    response: reqwest::Response,
    decoder: Decoder,
    decoded: VecDeque<mcp::sse::Event>,
    /// The id of the last event that was taken from `decoded`.
    seen: Option<String>,
}

impl EventStream {
    pub(crate) async fn open(rest: &Rest, query: &[(&str, String)]) -> Result<Self, Failure> {
        Ok(Self::new(rest.open(&["events"], query).await?))
    }

    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, decoder: Decoder::with_limit(EVENT_BYTES_MAX), decoded: VecDeque::new(), seen: None }
    }

    /// The next event's document, of a stream that has no end.
    pub(crate) async fn next(&mut self) -> Result<Value, Failure> {
        match self.next_frame().await? {
            Frame::Event(document) => Ok(document),
            Frame::Gap(_) | Frame::Progress(_) | Frame::End(_) => {
                Err(ended(anyhow::anyhow!("the api ended it")))
            }
        }
    }

    /// Reads to the end, showing how far the work has come, and gives what became of it.
    pub(crate) async fn finish(mut self, told: impl Fn(&Value) -> String) -> Result<Value, Failure> {
        let mut progress = Progress::new();
        loop {
            match self.next_frame().await? {
                Frame::Progress(step) => progress.step(&told(&step))?,
                Frame::Event(_) | Frame::Gap(_) => {}
                Frame::End(document) => return Ok(document),
            }
        }
    }

    /// The id after which the stream goes on for whoever has seen the frames so far.
    pub(crate) fn last_id(&self) -> Option<String> {
        let last = Some(self.decoder.last_event_id()).filter(|last| !last.is_empty());
        if self.decoded.is_empty() { last.map(str::to_owned) } else { self.seen.clone() }
    }

    pub(crate) async fn next_frame(&mut self) -> Result<Frame, Failure> {
        loop {
            if let Some(event) = self.decoded.pop_front() {
                self.seen = event.id.clone().or(self.seen.take());
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

/// One frame. What ends a stream before its time comes as a problem.
fn read(event: &mcp::sse::Event) -> Result<Frame, Failure> {
    let document = || serde_json::from_slice(&event.data).context("read an event");
    match event.event.as_deref() {
        Some("problem") => {
            let problem: Problem = serde_json::from_slice(&event.data).context("read a problem")?;
            Err(Failure::Problem(problem))
        }
        Some("end") => Ok(Frame::End(document()?)),
        Some("gap") => Ok(Frame::Gap(document()?)),
        Some("progress") => Ok(Frame::Progress(document()?)),
        Some(_) | None => Ok(Frame::Event(document()?)),
    }
}

fn ended(source: anyhow::Error) -> Failure {
    Failure::unreachable("the rest of the event stream", source)
}
