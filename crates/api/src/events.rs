//! Domain events as they come, as server-sent events (the `text/event-stream` format of the HTML standard).

mod document;

use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::{instance, instance_name, token};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use store::{Events, Start, Tail, Unreadable};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::app::App;
use crate::directory::Directory;
use crate::error::Error;
use crate::extract::Query;
use crate::violation::{Place, Violations};
use document::EventDocument;

/// How many event streams one replica keeps open.
pub(crate) const TAILS_MAX: usize = 256;

/// How often a comment keeps a silent stream from being taken for dead.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// After how long a client whose stream broke should come again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What proxies like nginx understand as: pass this on as it comes.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The aggregates whose events can be followed.
const AGGREGATES: [&str; 3] = [instance::NAME, instance_name::NAME, token::NAME];

/// The query of `GET /events`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TailEvents {
    /// A sequence, `new` or `beginning`; `new` if nothing is said. The header `Last-Event-ID` goes before it.
    #[schemars(regex(pattern = "^(new|beginning|[0-9]{1,18})$"))]
    from: Option<String>,
    /// Only events of this kind of aggregate.
    #[schemars(extend("enum" = AGGREGATES))]
    aggregate: Option<String>,
    /// The id of an aggregate; an instance also by name.
    id: Option<String>,
}

/// `GET /events`
pub(crate) async fn tail_events(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<TailEvents>,
) -> Result<Response, Error> {
    let tail = query.check(&headers, &app.directory)?;
    let permit = app.tails.clone().try_acquire_owned().map_err(|_| Error::TooManyTails)?;
    let events = app.store.tail(&tail).await?;
    let stream = frames(events, permit).take_until(app.shutdown.clone().cancelled_owned());
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL));
    Ok(([UNBUFFERED], sse).into_response())
}

impl TailEvents {
    fn check(self, headers: &HeaderMap, directory: &Directory) -> Result<Tail, Error> {
        let mut violations = Violations::default();
        let mut tail =
            Tail { start: start(self.from.as_deref(), headers, &mut violations), aggregate: None, id: None };
        if let Some(aggregate) = self.aggregate.as_deref() {
            match aggregate.parse() {
                Ok(name) if AGGREGATES.contains(&aggregate) => tail.aggregate = Some(name),
                Ok(_) | Err(_) => violations.add(
                    Place::Parameter("aggregate".to_owned()),
                    format!("one of {} was expected", AGGREGATES.map(|name| format!("`{name}`")).join(", ")),
                ),
            }
        }
        violations.into_result()?;
        if let Some(id) = self.id {
            let id = aggregate_id(self.aggregate.as_deref(), id, directory)?;
            tail.id = Some(id.parse().expect("names and ids have only letters, digits and hyphens"));
        }
        Ok(tail)
    }
}

fn start(from: Option<&str>, headers: &HeaderMap, violations: &mut Violations) -> Start {
    if let Some(last) = headers.get(LAST_EVENT_ID) {
        let last: Option<u64> = last.to_str().ok().and_then(|last| last.parse().ok());
        return match last.and_then(|last| last.checked_add(1)) {
            Some(next) => Start::Sequence(next),
            None => {
                let place = Place::Header(LAST_EVENT_ID.to_string());
                violations.add(place, "the sequence of an event was expected");
                Start::New
            }
        };
    }
    match from {
        None | Some("new") => Start::New,
        Some("beginning") => Start::Beginning,
        Some(sequence) => match sequence.parse() {
            Ok(sequence) => Start::Sequence(sequence),
            Err(_) => {
                let place = Place::Parameter("from".to_owned());
                violations.add(place, "a sequence, `new` or `beginning` was expected");
                Start::New
            }
        },
    }
}

/// The id as it stands in the log. A name alone means the instance, unless names themselves are asked for.
fn aggregate_id(aggregate: Option<&str>, id: String, directory: &Directory) -> Result<String, Error> {
    if aggregate == Some(instance_name::NAME) {
        return match id.parse::<instance_name::InstanceName>() {
            Ok(_) => Ok(id),
            Err(_) => Err(Error::InstanceNotFound(id)),
        };
    }
    if let Ok(id) = id.parse::<Uuid>() {
        return Ok(id.to_string());
    }
    directory.instance_id(&id).map(|id| id.to_string())
}

/// An open stream.
struct Open {
    events: Events,
    /// Given back when the stream ends.
    _permit: OwnedSemaphorePermit,
}

/// The events as frames. One that cannot be read ends the stream with a problem: it is never skipped silently.
fn frames(events: Events, permit: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, axum::Error>> {
    let opening = Event::default().retry(RECONNECT_DELAY).comment("following the log");
    let frames = stream::unfold(Some(Open { events, _permit: permit }), |open| async {
        let mut open = open?;
        match open.events.next().await {
            Ok(recorded) => {
                let frame = Event::default().id(recorded.sequence.to_string());
                Some((frame.json_data(EventDocument::new(&recorded)), Some(open)))
            }
            Err(error) => Some((Ok(unreadable(&error)), None)),
        }
    });
    stream::iter([Ok(opening)]).chain(frames)
}

fn unreadable(error: &Unreadable) -> Event {
    tracing::error!(error = error as &dyn std::error::Error, "event cannot be read, stream ended");
    Event::default().event("problem").data(Error::LogUnreadable.problem().to_json())
}
