//! How the views are, and asking for a rebuild.
//!
//! The bucket `views` has two keys for each view: `<view>.report`, written by the projector that folds it, and
//! `<view>.wanted`, the generation that somebody asked for. A generation that is wanted and newer than the one that
//! is served is being rebuilt; asking again then changes nothing, and neither does a crash on either side.

use std::time::Duration;

use async_nats::jetstream::kv;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bucket;
use crate::codec;
use crate::connection::Store;
use crate::error::{During, Unavailable, Unreadable};
use crate::lease::Task;

/// What is done here, in errors.
const READ: &str = "look at a view's status";

/// How old a report may be before nobody is taken to fold the view: several times as long as reports are apart.
const REPORT_AGE_MAX: Duration = Duration::from_secs(10);

/// What the projector of a view says, about once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub state: ViewState,
    /// Who folds the view: the name of the connection and a random part.
    pub projector: String,
    /// The form of rows that it writes.
    pub version: u16,
    /// The generation that is served.
    pub serving: Option<Folding>,
    /// The generation that is to be served next.
    pub rebuild: Option<Folding>,
    /// What was last in the way, also when it is over.
    pub last_error: Option<LastError>,
    pub at: Timestamp,
}

/// What a projector does with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewState {
    /// It folds what there was before it came.
    CatchingUp,
    /// It folds what comes.
    Current,
    /// It has met an event that it cannot read, and goes on once it can.
    Stopped,
    /// NATS was away, or another projector has written; it tries again.
    Interrupted,
}

/// How far a generation has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Folding {
    pub generation: u64,
    pub position: u64,
    /// Where it was when this projector began with it.
    pub began_at_position: u64,
    pub rows: u64,
    /// Since this projector began with it.
    pub events_per_second: f64,
}

/// What was in the way of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    pub at: Timestamp,
    /// The event that could not be read, if that was it.
    pub sequence: Option<u64>,
    pub subject: Option<String>,
    /// The error with its causes.
    pub detail: String,
}

impl LastError {
    pub(crate) fn unreadable(error: &Unreadable) -> Self {
        let (sequence, subject) = (Some(error.sequence), Some(error.subject.clone()));
        LastError { sequence, subject, ..LastError::new(error) }
    }

    pub(crate) fn new(error: &dyn std::error::Error) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail.push_str(&format!(": {error}"));
            cause = error.source();
        }
        LastError { at: Timestamp::now(), sequence: None, subject: None, detail }
    }
}

/// How a view is.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewStatus {
    pub view: &'static str,
    /// The generation that is served; none before the first.
    pub generation: Option<u64>,
    /// The form of the rows that are served.
    pub version: Option<u16>,
    /// The sequence up to which what is served holds every event.
    pub position: u64,
    /// The sequence of the last event that there is.
    pub last_sequence: u64,
    /// The generation that somebody asked for, if it is not served yet.
    pub wanted: Option<u64>,
    /// Who holds the view's lease.
    pub holder: Option<String>,
    /// What its projector says; none when none has ever said anything.
    pub report: Option<Report>,
    /// No projector has said anything for a while.
    pub unattended: bool,
}

/// A rebuild that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The generation that will be served.
    pub generation: u64,
    /// Whether this request began it; it was asked for before otherwise.
    pub began: bool,
}

impl Store {
    /// How a view is.
    ///
    /// # Errors
    /// NATS did not answer, or what lies there cannot be read.
    pub async fn view_status(&self, view: &'static str) -> Result<ViewStatus, Unavailable> {
        let bucket = self.view_bucket(view).await?;
        let live = bucket.live().await?.map(|(live, _)| live);
        let reached = match live {
            Some(live) => bucket.reached(live.generation).await?,
            None => None,
        };
        let generation = live.map(|live| live.generation);
        let report = self.view_report(view).await?;
        let wanted = self.wanted_generation(view).await?.map(|(wanted, _)| wanted);
        let old =
            |report: &Report| Timestamp::now().duration_since(report.at).unsigned_abs() > REPORT_AGE_MAX;
        Ok(ViewStatus {
            view,
            generation,
            version: live.map(|live| live.version),
            position: reached.map_or(0, |(reached, _)| reached.position),
            last_sequence: self.last_event().await?,
            wanted: wanted.filter(|wanted| generation.is_none_or(|served| *wanted > served)),
            holder: self.lease_holder(Task::View(view)).await?,
            unattended: report.as_ref().is_none_or(old),
            report,
        })
    }

    /// Asks for a view to be folded anew beside what is served.
    ///
    /// # Errors
    /// NATS did not answer, or what lies there cannot be read.
    pub async fn rebuild_view(&self, view: &'static str) -> Result<Rebuild, Unavailable> {
        const OPERATION: &str = "ask for a rebuild";
        let (views, key) = (self.views_bucket().await?, wanted_key(view));
        loop {
            let live = self.view_bucket(view).await?.live().await?;
            let served = live.map_or(0, |(live, _)| live.generation);
            let wanted = self.wanted_generation(view).await?;
            if let Some((generation, _)) = wanted.filter(|(wanted, _)| *wanted > served) {
                return Ok(Rebuild { generation, began: false });
            }
            let (generation, revision) = (served + 1, wanted.map_or(0, |(_, revision)| revision));
            match views.update(&key, codec::encode(&generation).into(), revision).await {
                // Somebody else has asked in between.
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {}
                asked => return asked.during(OPERATION).map(|_| Rebuild { generation, began: true }),
            }
        }
    }

    /// The generation that somebody asked for, with the revision of the question.
    pub(crate) async fn wanted_generation(&self, view: &str) -> Result<Option<(u64, u64)>, Unavailable> {
        bucket::read_key(self.views_bucket().await?, &wanted_key(view), READ).await
    }

    /// What the last projector said of a view.
    pub(crate) async fn view_report(&self, view: &str) -> Result<Option<Report>, Unavailable> {
        let report = bucket::read_key(self.views_bucket().await?, &report_key(view), READ).await?;
        Ok(report.map(|(report, _)| report))
    }

    pub(crate) async fn report_view(&self, view: &str, report: &Report) -> Result<(), Unavailable> {
        let put = self.views_bucket().await?.put(report_key(view), codec::encode(report).into()).await;
        put.during("report on a view").map(drop)
    }
}

fn report_key(view: &str) -> String {
    format!("{view}.report")
}

fn wanted_key(view: &str) -> String {
    format!("{view}.wanted")
}
