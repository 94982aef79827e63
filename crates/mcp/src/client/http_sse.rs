//! A session over HTTP+SSE (2024-11-05, Transports): waits for the address for messages and initialises. Letting go ends
//! the session.

use std::collections::VecDeque;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use reqwest::{Response, Url};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::timeout;

use super::answer::{self, Incoming};
use super::{Dialer, Error, Limits, client_info, kept_secret, parsed, posted, send};
use crate::message::{self, Id};
use crate::protocol::Revision;
use crate::sse::{self, Decoder, Event};

/// An initialised session: the stream that the server answers on, and where it takes messages.
pub struct HttpSse {
    dialer: Dialer,
    headers: HeaderMap,
    limits: Limits,
    stream: Stream,
    messages: Url,
    next_id: u64,
}

struct Stream {
    response: Response,
    decoder: Decoder,
    events: VecDeque<Event>,
    bytes_left: usize,
}

impl HttpSse {
    /// Opens a session.
    ///
    /// # Errors
    /// The server did not answer in time, or not as the revision demands.
    pub async fn open(dialer: &Dialer, url: &str, headers: HeaderMap, limits: Limits) -> Result<Self, Error> {
        let (url, headers) = (parsed(url)?, kept_secret(headers));
        let request =
            dialer.http.get(url.clone()).headers(headers.clone()).header(ACCEPT, sse::CONTENT_TYPE).send();
        // The stream has no end: only its beginning is waited for.
        let what = "the event stream";
        let begun = async { request.await.map_err(|error| Error::of_transport(error, what, limits.request)) };
        let response = within(limits.request, what, begun).await?;
        let mut stream = Stream::of(answer::checked(response).await?, limits.response_bytes)?;
        let messages = within(limits.request, "the address for messages", stream.endpoint(&url)).await?;
        let mut session = Self { dialer: dialer.clone(), headers, limits, stream, messages, next_id: 1 };
        let params = to_raw_value(&serde_json::json!({
            "protocolVersion": Revision::V2024_11_05.as_str(),
            "capabilities": {},
            "clientInfo": client_info(),
        }))
        .expect("a JSON value always serialises");
        session.ask("initialize", Some(&params), limits.initialize).await?;
        session.post(message::notification("notifications/initialized", None), limits.request).await?;
        Ok(session)
    }

    /// Calls `method` and waits for its result.
    ///
    /// # Errors
    /// The server did not answer in time, or not as the revision demands.
    pub async fn request(&mut self, method: &str, params: Option<&RawValue>) -> Result<Box<RawValue>, Error> {
        self.ask(method, params, self.limits.request).await
    }

    async fn ask(
        &mut self,
        method: &str,
        params: Option<&RawValue>,
        limit: Duration,
    ) -> Result<Box<RawValue>, Error> {
        let number = self.next_id;
        self.next_id += 1;
        let id = to_raw_value(&number).expect("an integer always serialises");
        self.post(message::request(&id, method, params), limit).await?;
        let id = Id::Integer(number.into());
        let answered = async {
            loop {
                let event = self.stream.next().await?;
                match answer::incoming(&event.data, &id)? {
                    Incoming::Answer(result) => return result,
                    Incoming::Request(request) => self.post(request.refusal(), limit).await?,
                    Incoming::Other => {}
                }
            }
        };
        within(limit, method, answered).await
    }

    async fn post(&self, body: Vec<u8>, limit: Duration) -> Result<(), Error> {
        let request = posted(&self.dialer.http, self.messages.clone(), &self.headers, body);
        answer::checked(send(request, "a message", limit).await?).await.map(drop)
    }
}

impl Stream {
    fn of(response: Response, bytes_max: usize) -> Result<Self, Error> {
        let status = response.status();
        if status != StatusCode::OK || !answer::is_event_stream(&response) {
            return Err(Error::Protocol("what should be an event stream is none".into()));
        }
        let decoder = Decoder::with_limit(bytes_max);
        Ok(Self { response, decoder, events: VecDeque::new(), bytes_left: bytes_max })
    }

    /// Where the server takes messages. Another origin is refused: the headers are for this one.
    async fn endpoint(&mut self, url: &Url) -> Result<Url, Error> {
        loop {
            let event = self.next().await?;
            if event.event.as_deref() != Some("endpoint") {
                continue;
            }
            let address = std::str::from_utf8(&event.data).ok().and_then(|text| url.join(text.trim()).ok());
            let address = address.filter(|address| address.origin() == url.origin());
            return address.ok_or_else(|| {
                Error::Protocol("the server names an address for messages that is not its own".into())
            });
        }
    }

    async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let chunk =
                self.response.chunk().await.map_err(|error| Error::Unreachable(error.without_url()))?;
            let chunk = chunk.ok_or_else(|| Error::Protocol("the event stream ended".into()))?;
            let left = self.bytes_left.checked_sub(chunk.len());
            self.bytes_left =
                left.ok_or_else(|| Error::Protocol("the answer is larger than this client reads".into()))?;
            let mut complete = Vec::new();
            self.decoder.feed(&chunk, &mut complete).map_err(|error| Error::Protocol(error.to_string()))?;
            self.events.extend(complete);
        }
    }
}

async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Error::Timeout { what: what.into(), limit }))
}
