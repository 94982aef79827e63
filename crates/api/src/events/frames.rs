//! Answers that go on: server-sent events, a bounded number of streams, and how each of them ends.
//!
//! An event that is not of the log has a name: `progress`, `end` after the last one, and `problem` with a problem
//! document where the stream cannot go on. Nothing is skipped silently.

use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use service::CancellationToken;
use store::Unreadable;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::error::Error;

/// How many event streams one replica keeps open.
pub(crate) const TAILS_MAX: usize = 256;

/// How often a comment keeps a silent stream from being taken for dead.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// After how long a client whose stream broke should come again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// What proxies like nginx understand as: pass this on as it comes.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The right to one stream.
pub(crate) struct Frames {
    permit: OwnedSemaphorePermit,
    shutdown: CancellationToken,
    greeting: &'static str,
}

/// What a stream gives next, and what it goes on with.
pub(crate) struct Step<S>(Result<Event, axum::Error>, Option<S>);

impl<S> Step<S> {
    /// An event of the log.
    pub(crate) fn event(sequence: u64, document: &impl Serialize, next: S) -> Self {
        Step(Event::default().id(sequence.to_string()).json_data(document), Some(next))
    }

    /// How far long work has come; nothing while that is not known.
    pub(crate) fn progress(document: &impl Serialize, next: S) -> Self {
        Step(Event::default().event("progress").json_data(document), Some(next))
    }

    /// The end of what was asked for: why there is no more, and where it would go on.
    pub(crate) fn end(reason: &'static str, next_sequence: u64) -> Self {
        Self::last(&json!({ "reason": reason, "next_sequence": next_sequence }))
    }

    /// The end, with what became of it.
    pub(crate) fn last(document: &impl Serialize) -> Self {
        Step(Event::default().event("end").json_data(document), None)
    }

    pub(crate) fn problem(error: &Error) -> Self {
        Step(Ok(Event::default().event("problem").data(error.problem().to_json())), None)
    }

    pub(crate) fn unreadable(error: &Unreadable) -> Self {
        tracing::error!(error = error as &dyn std::error::Error, "event cannot be read, stream ended");
        Self::problem(&Error::LogUnreadable)
    }
}

impl Frames {
    /// # Errors
    /// There are too many streams.
    pub(crate) fn new(app: &App, greeting: &'static str) -> Result<Self, Error> {
        let permit = app.tails.clone().try_acquire_owned().map_err(|_| Error::TooManyTails)?;
        Ok(Frames { permit, shutdown: app.shutdown.clone(), greeting })
    }

    /// Streams what `step` makes of the state, until it ends, the client goes or the api does.
    pub(crate) fn answer<S, F>(self, state: S, step: fn(S) -> F) -> Response
    where
        S: Send + 'static,
        F: Future<Output = Step<S>> + Send + 'static,
    {
        let Frames { permit, shutdown, greeting } = self;
        let opening = Event::default().retry(RECONNECT_DELAY).comment(greeting);
        // The permit is given back when the stream ends.
        let frames = stream::unfold((Some(state), permit), move |(state, permit)| async move {
            let Step(frame, next) = step(state?).await;
            Some((frame, (next, permit)))
        });
        let frames = stream::iter([Ok(opening)]).chain(frames).take_until(shutdown.cancelled_owned());
        let sse = Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL));
        ([UNBUFFERED], sse).into_response()
    }
}
