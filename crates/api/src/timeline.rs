//! The timeline of an instance: who changed what, what the runtime did and what probes saw, newest first.

mod words;

use std::cmp::Reverse;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Event, Recorded};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::Filter;

use crate::app::App;
use crate::error::Error;
use crate::events::{EventDocument, Shown};
use crate::extract::{Path, Query};
use crate::paging::{ListQuery, Window};
pub(crate) use words::Source;

/// One thing that happened to an instance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TimelineEntry {
    sequence: u64,
    at: Timestamp,
    /// Who: an administrator, or a role of the platform.
    actor: String,
    source: Source,
    /// What happened, for a person.
    text: String,
    /// What its reason means and what to look at, where something went wrong.
    #[serde(flatten)]
    advice: Option<domain::instance::Advice>,
    /// The event, with what is sealed masked.
    event: serde_json::Value,
}

/// `GET /instances/{instance}/timeline`
pub(crate) async fn show_timeline(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Error> {
    let window: Window<Reverse<u64>> = query.window()?;
    let row = app.directory.find_instance(&reference)?;
    let id = row.id.to_string().parse().expect("an id is a token of a subject");
    let aggregate = "instance".parse().expect("the name is a token of a subject");
    let filter = Filter { aggregate: Some(aggregate), id: Some(id), ..Filter::default() };
    let (before, wanted) = (window.after().map(|Reverse(before)| before), window.limit() + 1);
    let events = app.store.newest_events(&filter, before, wanted).await?;
    let events = events.iter().map(store::StoredEvent::recorded).collect::<Result<Vec<_>, _>>();
    let events = events.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an event of a timeline cannot be read");
        Error::LogUnreadable
    })?;
    let page = window.page(events.iter(), |event| Reverse(event.sequence), entry);
    Ok(axum::Json(page).into_response())
}

fn entry(recorded: &Recorded) -> TimelineEntry {
    let (source, text, advice) = match &recorded.event {
        Event::Instance { event, .. } => words::of(event),
        // The filter lets no others pass.
        other => (Source::Platform, other.name().to_owned(), None),
    };
    let event = serde_json::to_value(EventDocument::new(recorded, Shown::Masked)).unwrap_or_default();
    TimelineEntry {
        sequence: recorded.sequence,
        at: recorded.metadata.at,
        actor: recorded.metadata.actor.to_string(),
        source,
        text,
        advice,
        event,
    }
}
