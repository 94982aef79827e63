//! Reads the answer to one request, as JSON or as an event stream, up to a bound.

use std::collections::VecDeque;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use reqwest::Response;
use serde_json::value::RawValue;

use super::Error;
use crate::message::{self, Body, Id, Message, Outcome};
use crate::sse::{self, Decoder, Event};

/// Bytes of an error body that are kept for the reader.
const EXCERPT_BYTES_MAX: usize = 500;

/// The answer to the request `id`, as far as it has come.
pub(super) struct Answer {
    response: Response,
    id: Id,
    bytes_left: usize,
    form: Form,
    result: Option<Result<Box<RawValue>, Error>>,
}

enum Form {
    Json(Vec<u8>),
    Stream { decoder: Decoder, events: VecDeque<Event> },
}

/// A request that the server sent before its answer.
pub(super) struct ServerRequest {
    id: Box<RawValue>,
    ping: bool,
}

impl ServerRequest {
    /// The response to it: this client answers pings and has no other capability.
    pub(super) fn refusal(&self) -> Vec<u8> {
        if self.ping {
            let empty = RawValue::from_string("{}".into()).expect("`{}` is JSON");
            return message::result(&self.id, &empty);
        }
        let text = "this client has not declared the capability";
        message::error(Some(&self.id), message::code::METHOD_NOT_FOUND, text, None)
    }
}

impl Answer {
    pub(super) fn new(response: Response, id: u64, bytes_max: usize) -> Result<Self, Error> {
        let essence = media_type(&response);
        let form = if essence.eq_ignore_ascii_case("application/json") {
            Form::Json(Vec::new())
        } else if essence.eq_ignore_ascii_case(sse::CONTENT_TYPE) {
            Form::Stream { decoder: Decoder::with_limit(bytes_max), events: VecDeque::new() }
        } else {
            let status = response.status().as_u16();
            return Err(Error::Protocol(format!(
                "a request was answered with status {status} and content type {essence:?}, neither JSON nor events"
            )));
        };
        Ok(Self { response, id: Id::Integer(id.into()), bytes_left: bytes_max, form, result: None })
    }

    /// Reads on until the server wants something (`Some`) or the answer is there (`None`).
    pub(super) async fn next_request(
        &mut self,
        what: &str,
        timeout: Duration,
    ) -> Result<Option<ServerRequest>, Error> {
        loop {
            while let Form::Stream { events, .. } = &mut self.form
                && let Some(event) = events.pop_front()
            {
                let request = if event.data.is_empty() { None } else { self.take(&event.data)? };
                if request.is_some() || self.result.is_some() {
                    return Ok(request);
                }
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|error| Error::of_transport(error, what, timeout))? {
                Some(chunk) => self.feed(&chunk)?,
                None => {
                    if let Form::Json(body) = &mut self.form {
                        let body = std::mem::take(body);
                        self.take(&body)?;
                    }
                    if self.result.is_none() {
                        return Err(Error::Protocol(format!("the answer to {what} is missing")));
                    }
                    return Ok(None);
                }
            }
        }
    }

    pub(super) fn into_result(self) -> Result<Box<RawValue>, Error> {
        self.result.unwrap_or_else(|| Err(Error::Protocol("the answer is missing".into())))
    }

    fn feed(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(chunk.len())
            .ok_or_else(|| Error::Protocol("the answer is larger than this client reads".into()))?;
        match &mut self.form {
            Form::Json(body) => body.extend_from_slice(chunk),
            Form::Stream { decoder, events } => {
                let mut complete = Vec::new();
                decoder.feed(chunk, &mut complete).map_err(|error| Error::Protocol(error.to_string()))?;
                events.extend(complete);
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<ServerRequest>, Error> {
        let body = message::parse(bytes).map_err(|error| Error::Protocol(error.to_string()))?;
        let messages = match body {
            Body::One(message) => vec![message],
            Body::Batch(messages) => messages,
        };
        let mut wanted = None;
        for message in messages {
            match meaning(message, &self.id) {
                Incoming::Request(request) => wanted = Some(request),
                Incoming::Answer(result) => self.result = Some(result),
                Incoming::Other => {}
            }
        }
        Ok(wanted)
    }
}

/// What a message of the server means to who waits for the answer to one request.
pub(super) enum Incoming {
    Answer(Result<Box<RawValue>, Error>),
    Request(ServerRequest),
    Other,
}

/// Reads one message of a stream, for who waits for the answer to the request `id`.
pub(super) fn incoming(bytes: &[u8], id: &Id) -> Result<Incoming, Error> {
    match message::parse(bytes).map_err(|error| Error::Protocol(error.to_string()))? {
        Body::One(message) => Ok(meaning(message, id)),
        Body::Batch(_) => Err(Error::Protocol("the revision knows no batches".into())),
    }
}

fn meaning(message: Message<'_>, id: &Id) -> Incoming {
    match message {
        Message::Request(request) => {
            let ping = request.method == "ping";
            Incoming::Request(ServerRequest { id: request.id.to_owned(), ping })
        }
        Message::Response(response) if Id::read(response.id).as_ref() == Some(id) => {
            Incoming::Answer(outcome(response.outcome))
        }
        Message::Response(_) | Message::Notification(_) => Incoming::Other,
    }
}

fn media_type(response: &Response) -> String {
    let named = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    named.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn is_event_stream(response: &Response) -> bool {
    media_type(response) == sse::CONTENT_TYPE
}

fn outcome(outcome: Outcome<'_>) -> Result<Box<RawValue>, Error> {
    match outcome {
        Outcome::Result(result) => Ok(result.to_owned()),
        Outcome::Error(_) => Err(match outcome.error() {
            Some(error) => Error::Rpc { code: error.code, message: error.message, data: error.data },
            None => Error::Protocol("the error of a response has no code".into()),
        }),
    }
}

/// The response, if its status is a success; else its status with the beginning of its body.
pub(super) async fn checked(mut response: Response) -> Result<Response, Error> {
    if response.status().is_success() {
        return Ok(response);
    }
    let code = response.status().as_u16();
    let mut body = Vec::new();
    // A body that breaks off or is too long still says something by its beginning.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > EXCERPT_BYTES_MAX {
            break;
        }
    }
    body.truncate(EXCERPT_BYTES_MAX);
    let body = String::from_utf8_lossy(&body).replace(['\r', '\n'], " ");
    Err(Error::Status { code, body: body.trim().to_owned() })
}
