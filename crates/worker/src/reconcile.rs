//! Makes what runs equal to what should run: looks, plans, acts, again and again.
//!
//! It takes no input. A change of the view, the end of something it began, or the timer wake it; then it looks at
//! everything anew. Each replica lives in a task of its own ([`Local::live`]); this loop only starts and ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::instance::{Access, Fact, FailureReason, InstanceDecider, State};
use domain::{CommandId, InstanceId, ReplicaId};
use service::{CancellationToken, ReadyFlag};
use store::{Follower, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;
use views::{InstanceRow, Instances};

use crate::hold::{self, Hold};
use crate::local::{Ended, How, Local, Replica};
use crate::plan::{Action, Observed, Plan, RETIREMENT, Snapshot, Stage, plan};
use crate::report::{Subject, report};

/// How long nothing may happen before everything is looked at anyway.
const RESYNC_INTERVAL: Duration = Duration::from_secs(30);
/// How long all replicas together may take to end at shutdown: longer than the bounds of one replica's end together.
const SHUTDOWN_MAX: Duration = Duration::from_secs(40);

/// How long to wait at a time for the view to catch up.
const VIEW_WAIT_MAX: Duration = Duration::from_secs(10);

/// The loop and what it remembers between two looks.
pub(crate) struct Reconciler {
    store: Store,
    local: Arc<Local>,
    view: Follower<Instances>,
    started: Instant,
    observed: BTreeMap<ReplicaId, Observed>,
    /// Cancelling one ends its replica.
    ends: BTreeMap<ReplicaId, CancellationToken>,
    holds: BTreeMap<InstanceId, Hold>,
    directories: BTreeSet<InstanceId>,
    tasks: JoinSet<Done>,
}

/// The end of something that was begun.
enum Done {
    Lived { subject: Subject, ended: Ended },
    Disowned { replica: ReplicaId, sequence: u64 },
    Cleared { instance: InstanceId },
}

impl Reconciler {
    pub(crate) fn new(store: Store, local: Local, view: Follower<Instances>) -> Reconciler {
        Reconciler {
            store,
            local: Arc::new(local),
            view,
            started: Instant::now(),
            observed: BTreeMap::new(),
            ends: BTreeMap::new(),
            holds: BTreeMap::new(),
            directories: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until shutdown; then ends every replica.
    ///
    /// # Errors
    /// A task of ours panicked: nothing is known about its replica any more.
    pub(crate) async fn run(mut self, shutdown: CancellationToken, ready: &ReadyFlag) -> anyhow::Result<()> {
        if !self.view_is_current(&shutdown).await? {
            return Ok(());
        }
        let mut changes = self.view.changes();
        let mut resync_at = Instant::now();
        loop {
            if Instant::now() >= resync_at {
                self.list_directories().await;
                resync_at = Instant::now() + RESYNC_INTERVAL;
            }
            changes.mark_unchanged();
            let wake_at = self.act().map_or(resync_at, |wake_at| resync_at.min(self.started + wake_at));
            // Replicas of an earlier life are reported as lost by now: no address in the view is a dead one.
            if !self.is_disowning() {
                ready.set(true);
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = changes.changed() => changed.context("follow the view")?,
                Some(done) = self.tasks.join_next() => self.take(done.context("run a replica")?),
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        ready.set(false);
        self.end_all().await;
        Ok(())
    }

    /// Waits until the view holds all that had happened before this worker came; false if shutdown came first. What
    /// an outdated view wants would only be started to be ended again.
    async fn view_is_current(&self, shutdown: &CancellationToken) -> anyhow::Result<bool> {
        let last = self.store.last_event().await.context("ask where the log ends")?;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(false),
                reached = self.view.reached(last, VIEW_WAIT_MAX) => match reached {
                    Ok(()) => return Ok(true),
                    Err(error) => tracing::warn!(%error, "waiting for the view"),
                }
            }
        }
    }

    /// What cannot be listed now is listed next time.
    async fn list_directories(&mut self) {
        match self.local.directories().await {
            Ok(directories) => {
                // Those of replicas that have just been started may not be there yet.
                let started = self.observed.values().map(|observed| observed.instance);
                self.directories = directories.into_iter().chain(started).collect();
            }
            Err(error) => tracing::warn!(%error, "list working directories"),
        }
    }

    /// Looks at everything, plans and begins what is to be done. Gives the time to look again.
    fn act(&mut self) -> Option<Duration> {
        let rows = self.view.rows();
        let rows: BTreeMap<InstanceId, &InstanceRow> =
            rows.iter().map(|row| (row.id, row.as_ref())).collect();
        self.forget(&rows);
        let Plan { actions, mut wake_at } = plan(&Snapshot {
            rows: &rows,
            observed: &self.observed,
            holds: &self.holds,
            directories: &self.directories,
            now: self.started.elapsed(),
        });
        for action in actions {
            match action {
                Action::Start { instance, generation, sequence } => {
                    // Only an instance with a row is started, and only a hosted one.
                    if let Some(Access::Hosted(hosted)) = rows.get(&instance).map(|row| &row.access) {
                        let replica = ReplicaId(Uuid::now_v7());
                        let subject = Subject { instance, replica, generation, cause: sequence };
                        let is_last = hold::is_last_attempt(self.holds.get(&instance), generation);
                        self.start(Replica { subject, hosted: hosted.clone(), is_last });
                    }
                }
                Action::Retire { replica } => {
                    tracing::info!(%replica, "replica serves what it has begun, and ends then");
                    let until = self.started.elapsed() + RETIREMENT;
                    if let Some(observed) = self.observed.get_mut(&replica) {
                        observed.stage = Stage::Retiring { until };
                    }
                    wake_at = Some(wake_at.map_or(until, |earlier| earlier.min(until)));
                }
                Action::End { replica, why } => {
                    tracing::info!(%replica, ?why, "replica has to end");
                    self.end(replica);
                }
                Action::Disown { instance, replica, generation } => {
                    let cause = rows.get(&instance).map_or(0, |row| row.sequence);
                    self.disown(Subject { instance, replica, generation, cause });
                }
                Action::Clear { instance } => self.clear(instance),
            }
        }
        wake_at
    }

    /// Drops what nobody needs to remember any more.
    fn forget(&mut self, rows: &BTreeMap<InstanceId, &InstanceRow>) {
        let position = self.view.position();
        self.observed.retain(|replica, observed| {
            let is_listed = || {
                let row = rows.get(&observed.instance);
                row.is_some_and(|row| row.replicas.iter().any(|known| known.replica == *replica))
            };
            match observed.stage {
                Stage::Running | Stage::Retiring { .. } | Stage::Ending => true,
                Stage::Ended { sequence } => position < sequence || is_listed(),
            }
        });
        self.holds.retain(|instance, _| rows.contains_key(instance));
    }

    fn start(&mut self, replica: Replica) {
        let Subject { instance, replica: id, generation, .. } = replica.subject;
        let end = CancellationToken::new();
        self.observed.insert(id, Observed { instance, generation, stage: Stage::Running });
        self.ends.insert(id, end.clone());
        self.directories.insert(instance);
        let local = Arc::clone(&self.local);
        let live = async move {
            let ended = local.live(&replica, &end).await;
            Done::Lived { subject: replica.subject, ended }
        };
        self.tasks
            .spawn(live.instrument(tracing::info_span!("replica", %instance, replica = %id, generation)));
    }

    fn end(&mut self, replica: ReplicaId) {
        if let Some(observed) = self.observed.get_mut(&replica) {
            observed.stage = Stage::Ending;
        }
        if let Some(end) = self.ends.get(&replica) {
            end.cancel();
        }
    }

    /// Reports a replica of an earlier life as lost. Whatever ran of it was swept before the first look.
    fn disown(&mut self, subject: Subject) {
        let Subject { instance, replica, generation, .. } = subject;
        self.observed.insert(replica, Observed { instance, generation, stage: Stage::Ending });
        let (store, view) = (self.store.clone(), self.view.clone());
        let disown = async move {
            tracing::info!("replica of an earlier life is lost");
            let detail = "the worker that ran it went away".to_owned();
            let reported =
                report(&store, subject, Fact::Failed { reason: FailureReason::Lost, detail }).await;
            let sequence = reported.unwrap_or_else(|reason| {
                tracing::info!(%reason, "lost replica is of no interest");
                0
            });
            // Then no reader of the view takes it for alive.
            if let Err(error) = view.reached(sequence, VIEW_WAIT_MAX).await {
                tracing::warn!(%error, "the view does not tell yet that a replica is lost");
            }
            Done::Disowned { replica, sequence }
        };
        self.tasks.spawn(disown.instrument(tracing::info_span!("replica", %instance, %replica, generation)));
    }

    /// Removes a working directory. A view can lack a row for other reasons than that the instance was deleted, and
    /// a user's files are not removed on a maybe: the log has the last word.
    fn clear(&mut self, instance: InstanceId) {
        self.directories.remove(&instance);
        let (store, local) = (self.store.clone(), Arc::clone(&self.local));
        self.tasks.spawn(async move {
            match store.load::<InstanceDecider>(&instance, CommandId(Uuid::nil())).await {
                Ok(aggregate) if aggregate.state == State::Deleted => {
                    if let Err(error) = local.remove_directory(instance).await {
                        tracing::warn!(%instance, %error, "remove the working directory of a deleted instance");
                    }
                }
                Ok(_) => tracing::debug!(%instance, "keep the working directory: the instance is not deleted"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(%instance, error, "ask the log whether an instance is deleted");
                }
            }
            Done::Cleared { instance }
        });
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Lived { subject, ended } => {
                self.set_ended(subject.replica, ended.sequence);
                let now = self.started.elapsed();
                let hold = match ended.how {
                    How::Told => return,
                    How::Unwanted => Hold::Behind { sequence: subject.cause },
                    How::Unsupported => Hold::Unsupported { generation: subject.generation },
                    How::Failed { ready_for } => {
                        let before = self.holds.get(&subject.instance);
                        hold::after_failure(before, subject.generation, ready_for, now)
                    }
                };
                self.holds.insert(subject.instance, hold);
            }
            Done::Disowned { replica, sequence } => self.set_ended(replica, sequence),
            Done::Cleared { instance } => tracing::debug!(%instance, "working directory is looked after"),
        }
    }

    fn set_ended(&mut self, replica: ReplicaId, sequence: u64) {
        self.ends.remove(&replica);
        if let Some(observed) = self.observed.get_mut(&replica) {
            observed.stage = Stage::Ended { sequence };
        }
    }

    /// Whether replicas of an earlier life still wait for their report: these alone have no token.
    fn is_disowning(&self) -> bool {
        let pending = |(replica, observed): (&ReplicaId, &Observed)| {
            observed.stage == Stage::Ending && !self.ends.contains_key(replica)
        };
        self.observed.iter().any(pending)
    }

    /// Ends all replicas at the same time. What is wanted stays wanted: the next life starts them again.
    async fn end_all(mut self) {
        for end in self.ends.values() {
            end.cancel();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, all).await.is_err() {
            tracing::error!("replicas did not end in time");
        }
        self.tasks.shutdown().await;
        self.local.sweep().await;
    }
}
