//! One event with what led to it and what it led to.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{CommandId, Recorded};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{StoredEvent, Trace, TraceLimits};

use super::document::{EventDocument, Shown, masked_id};
use super::selection::flag;
use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::paging::bounded;
use crate::violation::Violations;

/// How many events after the event are looked at for what it led to, unless the request says otherwise.
const LOOK_AHEAD_DEFAULT: u32 = 10_000;
/// The most that are looked at.
const LOOK_AHEAD_MAX: u32 = 1_000_000;
/// How many causes upwards are shown.
const CAUSES_MAX: usize = 100;
/// How many consequences are shown.
const CONSEQUENCES_MAX: usize = 1000;

/// The query of `GET /events/{sequence}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowEvent {
    /// How many events after the event are looked at for what it led to.
    #[schemars(with = "Option<u32>", range(min = 1, max = LOOK_AHEAD_MAX))]
    look_ahead: Option<String>,
    /// `true` for the event as it is stored: sealed secrets and digests are not masked.
    #[schemars(with = "Option<bool>")]
    raw: Option<String>,
}

/// `GET /events/{sequence}`
pub(crate) async fn show_event(
    State(app): State<App>,
    Path(sequence): Path<String>,
    Query(query): Query<ShowEvent>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let look_ahead = query.look_ahead.as_deref();
    let look_ahead = bounded("look_ahead", look_ahead, LOOK_AHEAD_DEFAULT, LOOK_AHEAD_MAX, &mut violations);
    let shown = if flag("raw", query.raw.as_deref(), &mut violations) { Shown::Raw } else { Shown::Masked };
    violations.into_result()?;
    let number = parse_sequence(&sequence)?;
    let limits = TraceLimits {
        causes_max: CAUSES_MAX,
        look_ahead_events: u64::from(look_ahead),
        consequences_max: CONSEQUENCES_MAX,
    };
    let trace = app.store.trace(number, limits).await?.ok_or(Error::EventNotFound(sequence))?;
    Ok(axum::Json(TraceDocument::new(&trace, shown)?).into_response())
}

/// The sequence in a path.
pub(crate) fn parse_sequence(text: &str) -> Result<u64, Error> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| Error::EventNotFound(text.to_owned()))
}

/// An event among those that it hangs together with.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TraceDocument {
    event: serde_json::Value,
    /// The version of the form in which it is stored.
    version: Option<String>,
    /// When the log stored it; `at` of the event is when its command was given.
    stored_at: Timestamp,
    /// The bytes of its payload and header fields.
    bytes: usize,
    /// Whether it was imported from another log.
    imported: bool,
    /// What led to the command, the root first.
    causes: Vec<Related>,
    /// Whether there is no event before the first of the causes.
    causes_complete: bool,
    /// The other events of the same command.
    same_command: Vec<Related>,
    /// What it led to, and what that led to, in the order of the log.
    consequences: Vec<Consequence>,
    /// The last event that was looked at for consequences.
    looked_through: u64,
    /// Whether there can be no others: everything up to the end of the log was looked at.
    consequences_complete: bool,
}

/// An event in short.
#[derive(Debug, Serialize, JsonSchema)]
struct Related {
    sequence: u64,
    at: Timestamp,
    aggregate: &'static str,
    id: String,
    name: &'static str,
    actor: String,
    command_id: CommandId,
    causation_id: String,
}

/// An event that another led to.
#[derive(Debug, Serialize, JsonSchema)]
struct Consequence {
    /// The sequence of the event that led to it: the one that was asked for, or a consequence before it.
    cause: u64,
    #[serde(flatten)]
    event: Related,
}

impl TraceDocument {
    fn new(trace: &Trace, shown: Shown) -> Result<Self, Error> {
        let recorded = read(&trace.event)?;
        let document = EventDocument::new(&recorded, shown);
        let consequences = trace.consequences.iter().map(|(cause, event)| {
            read(event).map(|recorded| Consequence { cause: *cause, event: Related::new(&recorded) })
        });
        Ok(TraceDocument {
            event: serde_json::to_value(document).expect("an event can be written as JSON"),
            version: trace.event.version().map(str::to_owned),
            stored_at: trace.event.stored_at,
            bytes: trace.event.bytes(),
            imported: trace.event.imported,
            causes: related(&trace.causes)?,
            causes_complete: trace.causes_complete,
            same_command: related(&trace.same_command)?,
            consequences: consequences.collect::<Result<_, _>>()?,
            looked_through: trace.looked_through,
            consequences_complete: trace.looked_through >= trace.last_event,
        })
    }
}

impl Related {
    fn new(recorded: &Recorded) -> Self {
        Related {
            sequence: recorded.sequence,
            at: recorded.metadata.at,
            aggregate: recorded.event.aggregate(),
            id: masked_id(&recorded.event),
            name: recorded.event.name(),
            actor: recorded.metadata.actor.to_string(),
            command_id: recorded.metadata.command_id,
            causation_id: recorded.metadata.causation_id.clone(),
        }
    }
}

fn related(events: &[StoredEvent]) -> Result<Vec<Related>, Error> {
    events.iter().map(|event| read(event).map(|recorded| Related::new(&recorded))).collect()
}

/// An event in words of the domain.
pub(super) fn read(event: &StoredEvent) -> Result<Recorded, Error> {
    event.recorded().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "event cannot be read");
        Error::LogUnreadable
    })
}
