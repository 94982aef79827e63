//! A file of exported events on its way into the log: kept until all of it has come, checked to its end, compared with
//! what is here, and only then handed to the decider, chunk by chunk.

mod pieces;
mod upload;

use axum::extract::State;
use axum::response::Response;
use domain::{Refusal, import};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::archive::{EventRecord, Summary};
use store::{Chunk, Compared, Outcome, StoredEvent};
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::selection::flag;
use crate::app::App;
use crate::command::Caller;
use crate::error::Error;
use crate::extract::Query;
use crate::frames::{Frames, Step};
use crate::violation::Violations;
use pieces::{Piece, Spooled};

pub(crate) use upload::Upload;

/// How long a decider may take for a chunk, waiting for commands in flight included.
const CHUNK_WAIT: std::time::Duration = std::time::Duration::from_secs(60);
/// How long the views may take to show what was imported before it is said that they are not there yet.
const VIEWS_WAIT: std::time::Duration = std::time::Duration::from_secs(600);
/// How often it is said how far the views are.
const VIEWS_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
/// How many steps may wait for a slow client. The import waits for nobody: more are left out.
const STEPS_MAX: usize = 16;

/// The query of `POST /events/import`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportEvents {
    /// `true` to check the file and compare it with the log, and to change nothing.
    #[schemars(with = "Option<bool>")]
    dry_run: Option<String>,
}

/// `POST /events/import`
pub(crate) async fn import_events(
    State(app): State<App>,
    Query(query): Query<ImportEvents>,
    caller: Caller,
    Upload(body): Upload,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let dry_run = flag("dry_run", query.dry_run.as_deref(), &mut violations);
    violations.into_result()?;
    let only = app.imports.clone().try_lock_owned().map_err(|_| Error::ImportRunning)?;
    let frames = Frames::new(&app, "importing events")?;
    let spooled = upload::spool(body).await?;
    let checked = check(&app, &spooled).await?;
    let (steps, receiver) = mpsc::channel(STEPS_MAX);
    // The import goes on when the client has gone: a part of a log is worse than all of it.
    tokio::spawn(run(Import { app, caller, spooled, checked, dry_run, _only: only }, steps));
    Ok(frames.answer(receiver, next_step))
}

/// How far an import is.
#[derive(Debug)]
enum Progress {
    Step { phase: &'static str, sequence: u64, last: u64 },
    Done(Imported),
    Failed(Error),
}

/// What became of an import.
#[derive(Debug, Serialize)]
struct Imported {
    dry_run: bool,
    first: u64,
    last: u64,
    events: u64,
    /// Those that the log had already.
    present: u64,
    appended: u64,
    keys: u64,
    /// Those that were not here yet. A key that was shredded here stays shredded.
    keys_added: u64,
    blake3: String,
}

async fn next_step(mut steps: mpsc::Receiver<Progress>) -> Step<mpsc::Receiver<Progress>> {
    match steps.recv().await {
        Some(Progress::Step { phase, sequence, last }) => {
            let step = serde_json::json!({ "phase": phase, "sequence": sequence, "last": last });
            Step::progress(&step, steps)
        }
        Some(Progress::Done(imported)) => Step::last(&imported),
        Some(Progress::Failed(error)) => Step::problem(&error),
        None => Step::problem(&Error::Panicked),
    }
}

/// A file that can be imported.
struct Checked {
    summary: Summary,
    /// So many of its events, from the first on, the log has already.
    present: u64,
}

/// Reads the whole file before anything of it counts.
async fn check(app: &App, spooled: &Spooled) -> Result<Checked, Error> {
    let mut pieces = spooled.read().await?;
    let (mut present, mut is_beyond) = (0, false);
    loop {
        match pieces.next().await? {
            Piece::Keys(_) => {}
            Piece::Events(events) => {
                if !is_beyond {
                    let found = compare(app, &events).await?;
                    is_beyond = found < events.len();
                    present += found as u64;
                }
            }
            Piece::End(summary) => {
                let other_key = summary.header.master_key != app.store.vault().fingerprint();
                if summary.header.with_keys && other_key {
                    return Err(Error::OtherMasterKey);
                }
                return Ok(Checked { summary, present });
            }
        }
    }
}

async fn compare(app: &App, events: &[EventRecord]) -> Result<usize, Error> {
    let refused = |refusal| Err(Error::Refused(Refusal::Import(refusal)));
    match app.store.compare(events).await? {
        Compared::Present(present) => Ok(present),
        Compared::Differs { sequence } => refused(import::Refusal::Differs { sequence }),
        Compared::Gap { expected, found } => refused(import::Refusal::Gap { expected, found }),
    }
}

struct Import {
    app: App,
    caller: Caller,
    spooled: Spooled,
    checked: Checked,
    dry_run: bool,
    /// Given back at the end.
    _only: OwnedMutexGuard<()>,
}

async fn run(import: Import, steps: mpsc::Sender<Progress>) {
    let last = match import.append(&steps).await {
        Ok(imported) => Progress::Done(imported),
        Err(error) => Progress::Failed(error),
    };
    // A client that has gone wants to know nothing more.
    let _ = steps.send(last).await;
}

impl Import {
    async fn append(&self, steps: &mpsc::Sender<Progress>) -> Result<Imported, Error> {
        let Checked { summary, present } = &self.checked;
        let mut imported = Imported {
            dry_run: self.dry_run,
            first: summary.header.first,
            last: summary.header.last,
            events: summary.events,
            present: *present,
            appended: summary.events - present,
            keys: summary.keys,
            keys_added: 0,
            blake3: summary.blake3.clone(),
        };
        if self.dry_run {
            return Ok(imported);
        }
        let mut pieces = self.spooled.read().await?;
        let first_missing = summary.header.first + present;
        loop {
            match pieces.next().await? {
                Piece::Keys(keys) => {
                    for key in keys {
                        imported.keys_added += u64::from(self.app.store.keep_key(key).await?);
                    }
                }
                Piece::Events(mut events) => {
                    events.retain(|event| event.sequence >= first_missing);
                    self.send(events, steps).await?;
                }
                Piece::End(_) => break,
            }
        }
        self.show(steps).await?;
        Ok(imported)
    }

    async fn send(&self, events: Vec<EventRecord>, steps: &mpsc::Sender<Progress>) -> Result<(), Error> {
        let Some(sequence) = events.last().map(|event| event.sequence) else { return Ok(()) };
        let last = self.checked.summary.header.last;
        let chunk = Chunk { events, is_last: sequence == last };
        let given = self.caller.given_part();
        match self.app.store.send_chunk(&chunk, &given, CHUNK_WAIT).await? {
            Outcome::Done { .. } => {}
            Outcome::Refused { refusal } => return Err(Error::Refused(refusal)),
            Outcome::Failed { reason } => {
                tracing::error!(reason, "chunk of an import cannot be decided");
                return Err(Error::LogUnreadable);
            }
        }
        let _ = steps.try_send(Progress::Step { phase: "events", sequence, last });
        Ok(())
    }

    /// Waits until the views show what was imported.
    async fn show(&self, steps: &mpsc::Sender<Progress>) -> Result<(), Error> {
        let last = self.checked.summary.header.last;
        let deadline = tokio::time::Instant::now() + VIEWS_WAIT;
        loop {
            match self.app.directory.reached(last, VIEWS_INTERVAL).await {
                Ok(()) => return Ok(()),
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error.into()),
                Err(error) => {
                    let sequence = error.position;
                    let _ = steps.try_send(Progress::Step { phase: "views", sequence, last });
                }
            }
        }
    }
}

/// Whether this program can read an event: what it cannot read would stop every view.
fn is_readable(event: &EventRecord) -> Result<(), String> {
    StoredEvent::from(event.clone()).recorded().map(drop).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        source.unwrap_or_else(|| error.to_string())
    })
}
