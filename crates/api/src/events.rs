//! Domain events as they come, as server-sent events (the `text/event-stream` format of the HTML standard).

mod document;
mod export;
mod import;
mod replay;
mod selection;
mod show;
mod undo;
mod verify;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::app::App;
use crate::error::Error;
use crate::extract::Query;
use crate::frames::{Frames, Step};
use selection::{SelectEvents, Selection};

pub(crate) use document::{EventDocument, Shown};
pub(crate) use export::export_events;
pub(crate) use import::{Upload, import_events};
pub(crate) use replay::replay_events;
pub(crate) use show::{TraceDocument, show_event};
pub(crate) use undo::{UndoneDocument, undo_event};
pub(crate) use verify::{VerificationDocument, VerifyProgressDocument, verify_events};

/// `GET /events`
pub(crate) async fn tail_events(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<SelectEvents>,
) -> Result<Response, Error> {
    let Selection { tail, limit, shown } = query.check(&headers, &app.directory)?;
    let frames = Frames::new(&app, "following the log")?;
    let events = app.store.tail(&tail).await?;
    Ok(frames.answer(Tailing { events, left: limit, shown }, Tailing::step))
}

/// An open stream.
struct Tailing {
    events: store::Events,
    /// How many events may follow; none if there is no limit.
    left: Option<u64>,
    shown: Shown,
}

impl Tailing {
    async fn step(mut self) -> Step<Self> {
        if self.left == Some(0) {
            return Step::end("limit", self.events.position());
        }
        let event = match self.events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Step::end("until", self.events.position()),
            Err(error) => return Step::unreadable(&error),
        };
        match event.recorded() {
            Ok(recorded) => {
                self.left = self.left.map(|left| left - 1);
                let document = EventDocument::new(&recorded, self.shown);
                Step::event(recorded.sequence, &document, self)
            }
            Err(error) => Step::unreadable(&error),
        }
    }
}
