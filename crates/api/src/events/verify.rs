//! Comparing the log with its hash chain.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::{Finding, Unavailable, Verification, VerifyProgress};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::error::Error;
use crate::frames::{Frames, Step};

/// How often it is told how far a verification has come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// `GET /events/verify`
pub(crate) async fn verify_events(State(app): State<App>) -> Result<Response, Error> {
    let frames = Frames::new(&app, "comparing the log with its hash chain")?;
    let (told, progress) = watch::channel(VerifyProgress::default());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let tell = |progress| {
            told.send_replace(progress);
        };
        app.store.verify(tell).await
    });
    Ok(frames.answer(Verifying { progress, task }, Verifying::step))
}

/// A verification that is under way. Dropping it ends it.
struct Verifying {
    progress: watch::Receiver<VerifyProgress>,
    task: JoinSet<Result<Verification, Unavailable>>,
}

impl Verifying {
    async fn step(mut self) -> Step<Self> {
        tokio::select! {
            biased;
            ended = self.task.join_next() => match ended {
                Some(Ok(Ok(verification))) => return Step::last(&VerificationDocument::new(verification)),
                Some(Ok(Err(error))) => return Step::problem(&Error::StoreUnavailable(error)),
                Some(Err(_)) | None => return Step::problem(&Error::Panicked),
            },
            () = tokio::time::sleep(PROGRESS_INTERVAL) => {}
        }
        let progress = *self.progress.borrow_and_update();
        let VerifyProgress { position, last_sequence, findings } = progress;
        let document = VerifyProgressDocument { position, last_sequence, findings };
        Step::progress(&document, self)
    }
}

/// How far a verification has come.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerifyProgressDocument {
    /// The sequence of the event that was compared last.
    position: u64,
    /// The sequence of the last event that will be compared.
    last_sequence: u64,
    /// How many findings there are so far.
    findings: usize,
}

/// What a verification has found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerificationDocument {
    /// Whether every event that was linked is where it was and what it was.
    intact: bool,
    /// How many events are where they were and what they were.
    confirmed: u64,
    /// How many events are so new that they were not linked yet.
    not_linked: u64,
    /// What is not as it was, in the order of the log.
    findings: Vec<FindingDocument>,
    /// Whether the comparison ended early because there were so many findings.
    broken_off: bool,
    /// When the chain was begun; none when there is none yet.
    began_at: Option<Timestamp>,
    /// The last event that there was when the chain was begun.
    began_with_sequence: u64,
    /// The sequence of the last event that is linked.
    head_sequence: u64,
    /// The last link of the chain: written down elsewhere, it shows later whether log and chain were set back together.
    head: Option<String>,
}

/// Something in the log is not as it was linked.
#[derive(Debug, Serialize, JsonSchema)]
struct FindingDocument {
    finding: FindingKind,
    /// The event: its place in the log now if it is there, and when it was linked otherwise.
    sequence: u64,
    subject: Option<String>,
    /// The event's name.
    event: Option<String>,
    /// A sentence for people.
    detail: String,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FindingKind {
    /// It holds something else than was linked.
    Changed,
    /// It is not in the log any more.
    Missing,
    /// It was linked at another place.
    Reordered,
    /// It was never linked, but those after it were.
    Unaccounted,
    /// The log ends before it, though it was linked.
    Truncated,
    /// From here on the log has been moved.
    Moved,
    /// What the chain has recorded of it was changed or is gone.
    Record,
}

impl VerificationDocument {
    fn new(verification: Verification) -> Self {
        let Verification { confirmed, not_linked, findings, broken_off, began_at, .. } = verification;
        VerificationDocument {
            intact: findings.is_empty(),
            confirmed,
            not_linked,
            findings: findings.into_iter().map(FindingDocument::new).collect(),
            broken_off,
            began_at,
            began_with_sequence: verification.began_with_sequence,
            head_sequence: verification.head_sequence,
            head: verification.head,
        }
    }
}

impl FindingDocument {
    fn new(found: Finding) -> Self {
        let detail = found.to_string();
        let (finding, sequence, named) = match found {
            Finding::Changed { sequence, subject, event } => {
                (FindingKind::Changed, sequence, Some((subject, event)))
            }
            Finding::Missing { sequence, subject, event } => {
                (FindingKind::Missing, sequence, Some((subject, event)))
            }
            Finding::Reordered { sequence, subject, event, .. } => {
                (FindingKind::Reordered, sequence, Some((subject, event)))
            }
            Finding::Unaccounted { sequence, subject, event } => {
                (FindingKind::Unaccounted, sequence, Some((subject, event)))
            }
            Finding::Truncated { sequence, subject, event, .. } => {
                (FindingKind::Truncated, sequence, Some((subject, event)))
            }
            Finding::Moved { sequence, subject, event, .. } => {
                (FindingKind::Moved, sequence, Some((subject, event)))
            }
            Finding::Record { sequence, .. } => (FindingKind::Record, sequence, None),
        };
        let (subject, event) = named.unzip();
        FindingDocument { finding, sequence, subject, event, detail }
    }
}
