//! What a projector says of its view while it folds: the gauges that the folds move, and the report made of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::ProjectError;
use crate::connection::Store;
use crate::error::Unavailable;
use crate::view_status::{Folding, LastError, Report, ViewState};

/// How far apart reports are.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// How far one fold has come.
pub(super) struct Gauge {
    pub(super) generation: u64,
    began: Instant,
    began_at_position: u64,
    position: AtomicU64,
    rows: AtomicU64,
}

impl Gauge {
    pub(super) fn new(generation: u64, position: u64, rows: usize) -> Arc<Self> {
        let gauge = Gauge {
            generation,
            began: Instant::now(),
            began_at_position: position,
            position: AtomicU64::new(position),
            rows: AtomicU64::new(rows as u64),
        };
        Arc::new(gauge)
    }

    pub(super) fn set(&self, position: u64, rows: usize) {
        self.position.store(position, Ordering::Relaxed);
        self.rows.store(rows as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Folding {
        let position = self.position.load(Ordering::Relaxed);
        let folded = position.saturating_sub(self.began_at_position);
        Folding {
            generation: self.generation,
            position,
            began_at_position: self.began_at_position,
            rows: self.rows.load(Ordering::Relaxed),
            events_per_second: folded as f64 / self.began.elapsed().as_secs_f64().max(f64::EPSILON),
        }
    }
}

/// What is known of a view that is being folded.
pub(super) struct Monitor {
    store: Store,
    view: &'static str,
    version: u16,
    known: Mutex<Known>,
}

struct Known {
    state: ViewState,
    serving: Option<Arc<Gauge>>,
    rebuild: Option<Arc<Gauge>>,
    last_error: Option<LastError>,
}

impl Monitor {
    /// Begins with the last error that there was: it may be what a person is looking for.
    pub(super) async fn open(store: &Store, view: &'static str, version: u16) -> Result<Self, Unavailable> {
        let last_error = store.view_report(view).await?.and_then(|report| report.last_error);
        let known = Known { state: ViewState::CatchingUp, serving: None, rebuild: None, last_error };
        Ok(Monitor { store: store.clone(), view, version, known: Mutex::new(known) })
    }

    pub(super) fn catching_up(&self, serving: Arc<Gauge>) {
        let mut known = self.known.lock();
        known.state = ViewState::CatchingUp;
        known.serving = Some(serving);
    }

    pub(super) fn current(&self) {
        self.known.lock().state = ViewState::Current;
    }

    pub(super) fn rebuilding(&self, rebuild: Arc<Gauge>) {
        self.known.lock().rebuild = Some(rebuild);
    }

    pub(super) fn switched(&self) {
        let mut known = self.known.lock();
        known.serving = known.rebuild.take();
    }

    pub(super) fn failed(&self, error: &ProjectError) {
        let mut known = self.known.lock();
        known.last_error = Some(match error {
            ProjectError::Unavailable(error) => LastError::new(error),
            ProjectError::Unreadable(error) => LastError::unreadable(error),
        });
    }

    /// Reports again and again, for as long as it is asked.
    pub(super) async fn report_on(&self) -> std::convert::Infallible {
        loop {
            self.report().await;
            tokio::time::sleep(REPORT_INTERVAL).await;
        }
    }

    /// The last report of a projection that has ended.
    pub(super) async fn report_end(&self, error: &ProjectError) {
        self.failed(error);
        self.known.lock().state = match error {
            ProjectError::Unavailable(_) => ViewState::Interrupted,
            ProjectError::Unreadable(_) => ViewState::Stopped,
        };
        self.report().await;
    }

    async fn report(&self) {
        let report = {
            let known = self.known.lock();
            Report {
                state: known.state,
                projector: self.store.holder().to_owned(),
                version: self.version,
                serving: known.serving.as_ref().map(|gauge| gauge.read()),
                rebuild: known.rebuild.as_ref().map(|gauge| gauge.read()),
                last_error: known.last_error.clone(),
                at: Timestamp::now(),
            }
        };
        if let Err(error) = self.store.report_view(self.view, &report).await {
            tracing::debug!(error = &error as &dyn std::error::Error, view = self.view, "report on a view");
        }
    }
}
