//! The log as a file, streamed as it is read.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use store::archive::{ArchiveWriter, EventRecord, Format, Header};
use store::{End, Start, Store, Unavailable};

use super::selection::{self, flag};
use crate::app::App;
use crate::download::Download;
use crate::error::Error;
use crate::extract::Query;
use crate::violation::{Place, Violations};

/// How many events are read at once.
const PAGE_EVENTS: usize = 500;

/// The query of `GET /events/export`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportEvents {
    /// How the file is written; MessagePack if nothing is said.
    #[schemars(extend("enum" = ["msgpack", "jsonl"]))]
    format: Option<String>,
    /// A sequence, `beginning`, or a moment; the beginning if nothing is said.
    #[schemars(schema_with = "selection::start_schema")]
    from: Option<String>,
    /// The last sequence, or a moment before which the events were stored; `now` if nothing is said.
    #[schemars(schema_with = "selection::end_schema")]
    until: Option<String>,
    /// `true` to leave out the keys of secrets: what is sealed stays closed for ever where the file is imported.
    #[schemars(with = "Option<bool>")]
    without_keys: Option<String>,
}

/// `GET /events/export`
pub(crate) async fn export_events(
    State(app): State<App>,
    Query(query): Query<ExportEvents>,
) -> Result<Response, Error> {
    let (mut violations, now) = (Violations::default(), Timestamp::now());
    let format = format(query.format.as_deref(), &mut violations);
    let from = query.from.as_deref().unwrap_or("beginning");
    let start = selection::start(Some(from), now, &mut violations);
    let end = query.until.as_deref().and_then(|until| selection::end(until, now, &mut violations));
    let without_keys = flag("without_keys", query.without_keys.as_deref(), &mut violations);
    violations.into_result()?;
    let download = Download::new(&app)?;
    let (first, last) = range(&app.store, start, end).await?;
    let header = Header::new(
        first,
        last,
        app.store.log_created_at().await?,
        app.store.vault().fingerprint().to_owned(),
        !without_keys,
    );
    let writer = ArchiveWriter::new(format, header);
    let stage = if without_keys { Stage::Events(first) } else { Stage::Keys(1) };
    let store = app.store.clone();
    let exporting = Exporting { store, writer, first, last, stage };
    let body = download.body(Some(exporting), Exporting::step);
    let (media_type, ending) = media_type(format);
    let file = format!("attachment; filename=\"mcpcan-events-{first}-{last}.{ending}\"");
    Ok(([(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, file)], body).into_response())
}

fn format(text: Option<&str>, violations: &mut Violations) -> Format {
    match text {
        None | Some("msgpack") => Format::MessagePack,
        Some("jsonl") => Format::JsonLines,
        Some(_) => {
            violations.add(Place::Parameter("format".to_owned()), "`msgpack` or `jsonl` was expected");
            Format::MessagePack
        }
    }
}

fn media_type(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::MessagePack => ("application/vnd.msgpack", "msgpack"),
        Format::JsonLines => ("application/jsonl", "jsonl"),
    }
}

/// The first and the last sequence; one before the first if there is no event.
async fn range(store: &Store, start: Start, end: Option<End>) -> Result<(u64, u64), Error> {
    let end_of_log = store.last_event().await?;
    let last = match end {
        None => end_of_log,
        Some(End::Sequence(sequence)) => sequence.min(end_of_log),
        Some(End::Time(time)) => store.sequence_at(time).await?.saturating_sub(1),
    };
    let first = match start {
        Start::Beginning => 1,
        Start::Sequence(sequence) => sequence.max(1),
        Start::Time(time) => store.sequence_at(time).await?,
        Start::New => end_of_log + 1,
    };
    let first = first.min(end_of_log + 1);
    Ok((first, last.max(first - 1)))
}

/// A file that is being written.
struct Exporting {
    store: Store,
    writer: ArchiveWriter,
    first: u64,
    last: u64,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Stage {
    /// Keys, from this place in their bucket on.
    Keys(u64),
    /// Events, from this sequence on.
    Events(u64),
}

impl Exporting {
    /// The next part of the file. An error breaks the answer off, which no client takes for its end.
    async fn step(exporting: Option<Self>) -> Result<Option<(Bytes, Option<Self>)>, Unavailable> {
        let Some(mut exporting) = exporting else { return Ok(None) };
        match exporting.stage {
            Stage::Keys(from) => {
                let page = exporting.store.wrapped_keys(from).await.inspect_err(log)?;
                page.keys.into_iter().for_each(|key| exporting.writer.key(key));
                exporting.stage = match page.next {
                    Some(next) => Stage::Keys(next),
                    None => {
                        exporting.writer.end_keys();
                        Stage::Events(exporting.first)
                    }
                };
            }
            Stage::Events(from) if from > exporting.last => {
                return Ok(Some((exporting.writer.finish().into(), None)));
            }
            Stage::Events(from) => {
                let left = usize::try_from(exporting.last - from + 1).unwrap_or(PAGE_EVENTS);
                let events = exporting.store.events_from(from, left.min(PAGE_EVENTS)).await;
                for event in events.inspect_err(log)? {
                    exporting.stage = Stage::Events(event.sequence + 1);
                    exporting.writer.event(EventRecord::from(event));
                }
            }
        }
        Ok(Some((exporting.writer.take().into(), Some(exporting))))
    }
}

fn log(error: &Unavailable) {
    tracing::warn!(error = error as &dyn std::error::Error, "export broken off");
}
