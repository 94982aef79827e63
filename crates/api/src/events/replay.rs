//! Events once more, to a subject of NATS, at a rate.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::pace::Pace;
use store::{Events, ReplayName};
use tokio::time::Instant;

use super::document::{EventDocument, Shown};
use super::selection::{SelectEvents, Selection};
use crate::app::App;
use crate::error::Error;
use crate::extract::{Json, Query};
use crate::frames::{Frames, Step};
use crate::violation::Violations;

/// The most events a second that can be asked for.
const RATE_MAX: u32 = 100_000;
/// How often it is said how far a replay is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The body of `POST /events/replay`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayEvents {
    /// The events go to the subject `replay.<subject>`.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    subject: String,
    /// At most so many events a second; as fast as it goes, if nothing is said.
    #[serde(default)]
    #[schemars(range(min = 1, max = RATE_MAX))]
    rate: Option<u32>,
}

/// How far a replay is.
#[derive(Debug, Serialize)]
struct ReplayProgress {
    published: u64,
    /// The replay goes on, or would go on, with this event.
    next_sequence: u64,
}

/// `POST /events/replay`: ends when everything was published, or the client goes.
pub(crate) async fn replay_events(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<SelectEvents>,
    Json(request): Json<ReplayEvents>,
) -> Result<Response, Error> {
    let Selection { tail, limit, shown } = query.check(&headers, &app.directory)?;
    let mut violations = Violations::default();
    let name = request.subject.parse::<ReplayName>();
    if let Err(error) = &name {
        violations.add_at(&["subject"], error.to_string());
    }
    let rate = request.rate.map(NonZeroU32::new);
    if rate.is_some_and(|rate| rate.is_none_or(|rate| rate.get() > RATE_MAX)) {
        violations.add_at(&["rate"], format!("a whole number from 1 to {RATE_MAX} was expected"));
    }
    violations.into_result()?;
    let name = name.expect("its violation was noted");
    let frames = Frames::new(&app, "replaying events")?;
    let events = app.store.tail(&tail).await?;
    let pace = rate.flatten().map(Pace::new);
    let replay = Replay { app, events, name, shown, left: limit, pace, published: 0, told: Instant::now() };
    Ok(frames.answer(replay, Replay::step))
}

struct Replay {
    app: App,
    events: Events,
    name: ReplayName,
    shown: Shown,
    /// How many events may follow; none if there is no limit.
    left: Option<u64>,
    pace: Option<Pace>,
    published: u64,
    /// When it was last said how far it is.
    told: Instant,
}

impl Replay {
    /// Publishes until there is something to say.
    async fn step(mut self) -> Step<Self> {
        loop {
            if self.left == Some(0) {
                return self.end().await;
            }
            let due = self.told + PROGRESS_INTERVAL;
            let event = tokio::select! {
                event = self.events.next() => event,
                () = tokio::time::sleep_until(due) => {
                    self.told = Instant::now();
                    return Step::progress(&self.progress(), self);
                }
            };
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => return self.end().await,
                Err(error) => return Step::unreadable(&error),
            };
            if let Some(pace) = &mut self.pace {
                pace.wait().await;
            }
            let published = match self.shown {
                Shown::Raw => self.app.store.replay_stored(&self.name, &event).await,
                Shown::Masked => match event.recorded() {
                    Ok(recorded) => {
                        let document = EventDocument::new(&recorded, Shown::Masked);
                        let json = serde_json::to_vec(&document).expect("an event can be written as JSON");
                        self.app.store.replay_document(&self.name, &event, json).await
                    }
                    Err(error) => return Step::unreadable(&error),
                },
            };
            if let Err(error) = published {
                return Step::problem(&Error::StoreUnavailable(error));
            }
            self.published += 1;
            self.left = self.left.map(|left| left - 1);
        }
    }

    async fn end(self) -> Step<Self> {
        match self.app.store.flush().await {
            Ok(()) => Step::last(&self.progress()),
            Err(error) => Step::problem(&Error::StoreUnavailable(error)),
        }
    }

    fn progress(&self) -> ReplayProgress {
        ReplayProgress { published: self.published, next_sequence: self.events.position() }
    }
}
