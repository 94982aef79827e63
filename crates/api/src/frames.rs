//! Answers that go on: server-sent events, a bounded number of streams, and how each of them ends.
//!
//! An event that is not of the log has a name: `progress`, `end` after the last one, and `problem` with a problem
//! document where the stream cannot go on. Nothing is skipped silently. A client that takes nothing for [`PATIENCE`] is
//! cut off with such a problem behind what it has not taken yet.

use std::fmt::Display;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use service::CancellationToken;
use store::Unreadable;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::app::App;
use crate::error::Error;

/// How many event streams one replica keeps open.
pub(crate) const TAILS_MAX: usize = 256;

/// How many frames wait for a client that takes them slowly.
const FRAMES_MAX: usize = 16;

/// How long a client may take none of the frames that wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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
    /// What a client that has seen nothing yet goes on after.
    id: Option<String>,
}

/// What a stream gives next, and what it goes on with.
pub(crate) struct Step<S>(Result<Event, axum::Error>, Option<S>);

impl<S> Step<S> {
    /// An event of the log, or a row; the client goes on after `id`.
    pub(crate) fn event(id: impl Display, document: &impl Serialize, next: S) -> Self {
        Step(Event::default().id(id.to_string()).json_data(document), Some(next))
    }

    /// Something that is to be known about the stream, which goes on.
    pub(crate) fn notice(name: &'static str, document: &impl Serialize, next: S) -> Self {
        Step(Event::default().event(name).json_data(document), Some(next))
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
        Ok(Frames { permit, shutdown: app.shutdown.clone(), greeting, id: None })
    }

    /// A client that breaks off before it has seen any frame goes on after this id.
    pub(crate) fn after(self, id: Option<impl Display>) -> Self {
        Frames { id: id.map(|id| id.to_string()), ..self }
    }

    /// Streams what `step` makes of the state, until it ends, the client goes or the api does.
    pub(crate) fn answer<S, F>(self, state: S, step: fn(S) -> F) -> Response
    where
        S: Send + 'static,
        F: Future<Output = Step<S>> + Send + 'static,
    {
        let Frames { permit, shutdown, greeting, id } = self;
        let opening = Event::default().retry(RECONNECT_DELAY).comment(greeting);
        let opening = id.into_iter().fold(opening, Event::id);
        let (frames, taken) = mpsc::channel(FRAMES_MAX);
        // The permit is given back when the stream ends, also while a client has not taken the rest of it.
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = pump(state, step, frames) => {}
            }
            drop(permit);
        });
        let frames = stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken)));
        let frames = stream::iter([Ok(opening)]).chain(frames);
        let sse = Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL));
        ([UNBUFFERED], sse).into_response()
    }
}

/// Hands out what `step` makes of the state, until it ends or the client goes; a client that does not take it is cut off.
async fn pump<S, F>(state: S, step: fn(S) -> F, frames: mpsc::Sender<Result<Event, axum::Error>>)
where
    F: Future<Output = Step<S>>,
{
    // Room for the last words is kept from the beginning: it is there when there is no other.
    let Ok(last_words) = frames.clone().try_reserve_owned() else { return };
    let mut state = Some(state);
    while let Some(current) = state.take() {
        let Step(frame, next) = tokio::select! {
            () = frames.closed() => return,
            step = step(current) => step,
        };
        match frames.send_timeout(frame, PATIENCE).await {
            Ok(()) => state = next,
            Err(SendTimeoutError::Closed(_)) => return,
            Err(SendTimeoutError::Timeout(_)) => {
                let Step(problem, _) = Step::<S>::problem(&Error::ClientTooSlow);
                last_words.send(problem);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off_with_a_last_word() {
        async fn count(number: u32) -> Step<u32> {
            Step::event(number, &number, number + 1)
        }
        let (frames, mut taken) = mpsc::channel(FRAMES_MAX);
        // The clock is stopped and goes on as soon as nothing else can.
        pump(0, count, frames).await;
        let mut found = vec![];
        while let Some(frame) = taken.recv().await {
            found.push(format!("{:?}", frame.unwrap()));
        }
        assert_eq!(found.len(), FRAMES_MAX);
        assert!(found[0].contains("id: 0"), "{}", found[0]);
        let last = &found[FRAMES_MAX - 1];
        assert!(last.contains("event: problem") && last.contains("client_too_slow"), "{last}");
    }
}
