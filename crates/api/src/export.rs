//! Log rows as files, written while they are read: run by run in the order of time, so that an export which breaks off
//! goes on after its last row, and none holds more than one run.
//!
//! A run is read to its end before any of it is written: an error can only come between two runs, and breaks the answer
//! off, which no client takes for its end. Parquet has its index at the end and is written by ClickHouse itself.

mod write;

use std::borrow::Cow;

use ::access_log::export::{EXPORT_TIME_MAX, InvalidPosition, MAX_ROWS_PER_EXPORTED_RUN, Parquet};
use ::access_log::{Client, Exported, Position, Run};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::download::Download;
use crate::error::Error;
use crate::moment::TIME_PATTERN;
use crate::violation::{Place, Violations};

pub(crate) use write::Format;

use write::Writable;

/// Rows of one file, at most; more are exported part by part, by `since` and `until`.
pub(crate) const ROWS_MAX: u64 = 50_000_000;

/// Rows of one Parquet file, at most: whoever reads it needs its index, which is at its end.
pub(crate) const PARQUET_ROWS_MAX: u64 = 1_000_000;

/// The first stretch of time that is asked for.
const STRETCH: SignedDuration = SignedDuration::from_hours(1);

/// No stretch is longer: what lies further apart is asked for one after the other.
const STRETCH_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);

/// How many rows there were when the export began.
pub(crate) const ROW_COUNT: HeaderName = HeaderName::from_static("x-row-count");

/// The parameters of every export beside those that choose rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SelectFile {
    /// Go on after the row with this time and place, `TIME/PLACE`: without the heading that a file begins with. Not for
    /// Parquet.
    #[schemars(with = "Option<PositionText>")]
    after: Option<String>,
}

/// The form of a position in a request.
struct PositionText;

impl JsonSchema for PositionText {
    fn schema_name() -> Cow<'static, str> {
        "Position".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The time and the place of a row.",
            "type": "string",
            "pattern": format!("^{TIME_PATTERN}/[0-9]{{1,18}}-[0-9]{{1,9}}$"),
            "examples": ["2026-01-31T14:05:00Z/1024-0"],
        })
    }
}

impl SelectFile {
    /// Where to go on. What cannot go on says so.
    pub(crate) fn check(&self, format: Format, violations: &mut Violations) -> Option<Position> {
        let mut refuse = |detail: String| violations.add(Place::Parameter("after".to_owned()), detail);
        match self.after.as_deref()?.parse() {
            Ok(_) if format == Format::Parquet => {
                refuse("a Parquet file is written whole: leave `after` out".to_owned());
                None
            }
            Ok(position) => Some(position),
            Err(InvalidPosition) => {
                refuse(InvalidPosition.to_string());
                None
            }
        }
    }
}

/// Answers with a file of this name.
///
/// # Errors
/// ClickHouse does not answer, there are more rows than a file may have, or too many exports and streams are open.
pub(crate) async fn answer<R: Writable>(
    app: &App,
    name: &str,
    filter: R::Filter,
    format: Format,
    after: Option<Position>,
) -> Result<Response, Error> {
    let download = Download::new(app)?;
    let (since, until) = R::span(&filter);
    let until = until.unwrap_or_else(Timestamp::now);
    let since = after.map(|after| after.time).into_iter().chain(since).max();
    let filter = R::between(&filter, since, Some(until));
    let size = R::size(&app.access_log, &filter).await?;
    let rows_max = if format == Format::Parquet { PARQUET_ROWS_MAX } else { ROWS_MAX };
    if size.rows > rows_max {
        return Err(Error::ExportTooLarge { rows: size.rows, rows_max });
    }
    let deadline = Instant::now() + EXPORT_TIME_MAX;
    let body = if format == Format::Parquet {
        let file = R::parquet(&app.access_log, &filter)?;
        download.body((file, deadline), hand_on)
    } else {
        let first = size.first_at.map(|time| Position { time, place: ::access_log::Place::default() });
        let next = after.map(|Position { time, place }| Position { time, place: place.next() });
        let exporting = Exporting::<R> {
            client: app.access_log.clone(),
            filter,
            next: next.or(first),
            until,
            stretch: STRETCH,
            deadline,
            heading: after.is_none().then(|| R::heading(format)),
            format,
        };
        download.body(exporting, Exporting::step)
    };
    let file = format!("attachment; filename=\"{name}.{}\"", format.ending());
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, file)];
    let mut response = (headers, body).into_response();
    response.headers_mut().insert(ROW_COUNT, HeaderValue::from(size.rows));
    Ok(response)
}

/// A file that is being written.
struct Exporting<R: Exported> {
    client: Client,
    filter: R::Filter,
    /// The first position that was not looked at; none when there is nothing.
    next: Option<Position>,
    until: Timestamp,
    stretch: SignedDuration,
    deadline: Instant,
    heading: Option<Bytes>,
    format: Format,
}

/// Why an export breaks off.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error(transparent)]
    AccessLog(#[from] ::access_log::Error),
    #[error("the export takes longer than {} hours", EXPORT_TIME_MAX.as_secs() / 3600)]
    TooLong,
}

/// The next bytes of a file that ClickHouse writes.
async fn hand_on(
    (mut file, deadline): (Parquet, Instant),
) -> Result<Option<(Bytes, (Parquet, Instant))>, BrokenOff> {
    let next = timeout_at(deadline, file.next()).await.map_err(|_| BrokenOff::TooLong);
    let piece = next.and_then(|next| next.map_err(BrokenOff::from)).inspect_err(log)?;
    Ok(piece.map(|piece| (piece, (file, deadline))))
}

impl<R: Writable> Exporting<R> {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, BrokenOff> {
        if let Some(heading) = self.heading.take().filter(|heading| !heading.is_empty()) {
            return Ok(Some((heading, self)));
        }
        while let Some(next) = self.next.filter(|next| next.time < self.until) {
            if Instant::now() >= self.deadline {
                log(&BrokenOff::TooLong);
                return Err(BrokenOff::TooLong);
            }
            let rows = self.run(next).await.inspect_err(log)?;
            if !rows.is_empty() {
                let written = R::write(&rows, self.format);
                return Ok(Some((written, self)));
            }
        }
        Ok(None)
    }

    /// The rows of the next stretch, which is made such that it has about one run.
    async fn run(&mut self, next: Position) -> Result<Vec<R>, ::access_log::Error> {
        let end = next.time.checked_add(self.stretch).unwrap_or(self.until).min(self.until);
        let filter = R::between(&self.filter, Some(next.time), Some(end));
        let Run { rows, more } = R::run_from(&self.client, &filter, next).await?;
        let run = usize::try_from(MAX_ROWS_PER_EXPORTED_RUN).unwrap_or(usize::MAX);
        match rows.last() {
            Some(last) if more => {
                let Position { time, place } = last.position();
                self.next = Some(Position { time, place: place.next() });
                self.stretch /= 2;
            }
            Some(_) | None => {
                self.next = Some(Position { time: end, place: ::access_log::Place::default() });
                if rows.len() < run / 2 {
                    self.stretch = (self.stretch * 2).min(STRETCH_MAX);
                }
            }
        }
        self.stretch = self.stretch.max(SignedDuration::from_millis(1));
        Ok(rows)
    }
}

fn log(error: &impl std::error::Error) {
    tracing::warn!(error = %error, "export broken off");
}
