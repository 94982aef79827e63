//! Makes what is on the cluster equal to what should be: looks, plans, acts, again and again.
//!
//! It takes no input and holds no plan. A change of the view or of the cluster, the end of something it began, or the
//! timer wake it; then it looks at everything anew. What it remembers between two looks only spares work: how long to
//! leave alone what failed, and what was told. Whoever takes over without that memory does the right thing as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::instance::{Access, Fact, FailureReason};
use domain::{InstanceId, ReplicaId};
use service::{CancellationToken, ReadyFlag};
use store::{Follower, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use views::{InstanceRow, Instances};

use super::carry_out::{Undone, carry_out};
use super::cluster::Cluster;
use super::follow::{self, Source};
use super::plan::{Action, plan};
use super::seen::Seen;
use super::setback::Setbacks;
use super::shake::{Shaken, shake_hands};
use super::steps::{Step, Told, steps};
use super::trouble::{quota, stand_in};
use super::watching::Watching;
use crate::report::{Subject, report};

/// How long nothing may happen before everything is looked at anyway.
const RESYNC_INTERVAL: Duration = Duration::from_secs(30);
/// How many instances are acted on at the same time: an API server serves others, too.
const ACTS_AT_ONCE: usize = 16;
/// How long to wait at a time for the view to catch up.
const VIEW_WAIT_MAX: Duration = Duration::from_secs(10);

/// The loop and what it remembers between two looks.
pub(crate) struct Reconciler {
    store: Store,
    cluster: Cluster,
    view: Follower<Instances>,
    watching: Arc<Watching>,
    /// The instances that are being acted on.
    acting: BTreeSet<InstanceId>,
    acts: Arc<Semaphore>,
    act_setbacks: Setbacks<InstanceId>,
    /// What is wrong with an instance as a whole.
    troubles: BTreeMap<InstanceId, (FailureReason, String)>,
    /// The replicas about which something is being told. Cancelling one gives up its handshake.
    telling: BTreeMap<ReplicaId, CancellationToken>,
    told: Told,
    shake_setbacks: Setbacks<ReplicaId>,
    /// The replicas whose log is followed. Cancelling one says that it is at its end.
    followed: BTreeMap<ReplicaId, CancellationToken>,
    tasks: JoinSet<Done>,
}

/// The end of something that was begun.
enum Done {
    Acted(InstanceId, Result<(), Undone>),
    Told(ReplicaId, Option<(FailureReason, String)>),
    Shaken(ReplicaId, Shaken),
    Followed(ReplicaId),
}

impl Reconciler {
    pub(crate) fn new(store: Store, cluster: Cluster, view: Follower<Instances>) -> Reconciler {
        let watching = Arc::new(Watching::start(&cluster));
        Reconciler {
            store,
            cluster,
            view,
            watching,
            acting: BTreeSet::new(),
            acts: Arc::new(Semaphore::new(ACTS_AT_ONCE)),
            act_setbacks: Setbacks::default(),
            troubles: BTreeMap::new(),
            telling: BTreeMap::new(),
            told: Told::new(),
            shake_setbacks: Setbacks::default(),
            followed: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until it is dropped. What runs on the cluster goes on meanwhile and afterwards.
    ///
    /// # Errors
    /// The view cannot be followed, or a task of ours panicked.
    pub(crate) async fn run(mut self, ready: &ReadyFlag) -> anyhow::Result<()> {
        let mut view_changes = self.view.changes();
        let mut cluster_changes = self.watching.changes();
        self.wait_for_all(&mut cluster_changes).await?;
        loop {
            view_changes.mark_unchanged();
            cluster_changes.mark_unchanged();
            self.look();
            ready.set(true);
            let now = Instant::now();
            let rested =
                [self.act_setbacks.next(now), self.shake_setbacks.next(now)].into_iter().flatten().min();
            let resync_at = now + RESYNC_INTERVAL;
            tokio::select! {
                changed = view_changes.changed() => changed.context("follow the view")?,
                changed = cluster_changes.changed() => changed.context("watch the cluster")?,
                Some(done) = self.tasks.join_next() => self.take(done.context("act on the cluster")?),
                () = tokio::time::sleep_until(rested.map_or(resync_at, |rested| rested.min(resync_at))) => {}
            }
        }
    }

    /// Waits until the view holds all that had happened before this worker came, and all of the cluster was seen.
    async fn wait_for_all(
        &self,
        cluster_changes: &mut tokio::sync::watch::Receiver<usize>,
    ) -> anyhow::Result<()> {
        let last = self.store.last_event().await.context("ask where the log ends")?;
        while let Err(error) = self.view.reached(last, VIEW_WAIT_MAX).await {
            tracing::warn!(%error, "waiting for the view");
        }
        while !self.watching.is_complete() {
            cluster_changes.changed().await.context("watch the cluster")?;
        }
        Ok(())
    }

    /// Looks at everything and begins what is to be done.
    fn look(&mut self) {
        let rows = self.view.rows();
        let rows: BTreeMap<InstanceId, &InstanceRow> =
            rows.iter().map(|row| (row.id, row.as_ref())).collect();
        let seen = self.watching.seen();
        self.forget(&rows, &seen);
        self.act(&rows, &seen);
        for row in rows.values() {
            for step in steps(row, &seen, &self.told) {
                self.step(row, step);
            }
            self.tell_trouble(row, &seen);
        }
        self.follow_logs(&seen);
    }

    /// Drops what nobody needs to remember any more.
    fn forget(&mut self, rows: &BTreeMap<InstanceId, &InstanceRow>, seen: &Seen) {
        let pods: BTreeSet<ReplicaId> = seen.pods.keys().map(|(_, replica)| *replica).collect();
        let troubles: BTreeSet<ReplicaId> =
            self.troubles.keys().filter_map(|id| rows.get(id)).map(|row| stand_in(row)).collect();
        self.troubles.retain(|instance, _| rows.contains_key(instance));
        self.act_setbacks
            .retain(|instance| rows.contains_key(instance) || seen.objects_of(*instance).next().is_some());
        self.told.retain(|replica, _| pods.contains(replica) || troubles.contains(replica));
        self.shake_setbacks.retain(|replica| pods.contains(replica));
        for (replica, end) in &self.telling {
            if !seen.endpoints.contains_key(replica) {
                end.cancel();
            }
        }
        for (replica, gone) in &self.followed {
            if !pods.contains(replica) {
                gone.cancel();
            }
        }
    }

    fn act(&mut self, rows: &BTreeMap<InstanceId, &InstanceRow>, seen: &Seen) {
        let plan = plan(&self.cluster.pods, rows, seen);
        self.troubles.retain(|_, (reason, _)| *reason != FailureReason::Unsupported);
        let unsupported =
            |impossible: super::manifest::Impossible| (FailureReason::Unsupported, impossible.0);
        self.troubles.extend(plan.impossible.into_iter().map(|(id, why)| (id, unsupported(why))));
        let mut by_instance = BTreeMap::<InstanceId, Vec<Action>>::new();
        for action in plan.actions {
            by_instance.entry(action.instance()).or_default().push(action);
        }
        let now = Instant::now();
        for (instance, actions) in by_instance {
            if self.act_setbacks.rests(&instance, now) || !self.acting.insert(instance) {
                continue;
            }
            let hosted = match rows.get(&instance).map(|row| &row.access) {
                Some(Access::Hosted(hosted)) => Some(hosted.clone()),
                Some(Access::Proxy(_) | Access::Direct(_)) | None => None,
            };
            let (store, cluster) = (self.store.clone(), self.cluster.clone());
            let (watching, acts) = (Arc::clone(&self.watching), Arc::clone(&self.acts));
            self.tasks.spawn(async move {
                let _act = acts.acquire().await.expect("the semaphore is never closed");
                Done::Acted(instance, carry_out(&store, &cluster, &watching, hosted.as_ref(), actions).await)
            });
        }
    }

    fn step(&mut self, row: &InstanceRow, step: Step) {
        match step {
            Step::Tell { replica, generation, facts } => self.tell(row, replica, generation, facts),
            Step::ShakeHands { replica, generation, address, is_known } => {
                if self.telling.contains_key(&replica) || self.shake_setbacks.rests(&replica, Instant::now())
                {
                    return;
                }
                let end = CancellationToken::new();
                self.telling.insert(replica, end.clone());
                let subject = Subject { instance: row.id, replica, generation, cause: row.sequence };
                let (store, cluster, view) = (self.store.clone(), self.cluster.clone(), self.view.clone());
                self.tasks.spawn(async move {
                    let shaken = tokio::select! {
                        shaken = shake_hands(&store, &cluster, subject, address, is_known) => shaken,
                        () = end.cancelled() => Shaken::NotAsked(anyhow::anyhow!("its pod is not ready any more")),
                    };
                    if let Shaken::Ready { sequence } | Shaken::Failed { sequence, .. } = shaken {
                        await_view(&view, sequence).await;
                    }
                    Done::Shaken(replica, shaken)
                });
            }
        }
    }

    fn tell(&mut self, row: &InstanceRow, replica: ReplicaId, generation: u64, facts: Vec<Fact>) {
        if self.telling.contains_key(&replica) {
            return;
        }
        self.telling.insert(replica, CancellationToken::new());
        let subject = Subject { instance: row.id, replica, generation, cause: row.sequence };
        let (store, view) = (self.store.clone(), self.view.clone());
        self.tasks.spawn(async move {
            let failure = facts.iter().find_map(|fact| match fact {
                Fact::Failed { reason, detail } => Some((*reason, detail.clone())),
                Fact::Starting | Fact::Handshaking | Fact::Ready { .. } | Fact::Stopped => None,
            });
            for fact in facts {
                match report(&store, subject, fact).await {
                    Ok(sequence) => await_view(&view, sequence).await,
                    Err(unwanted) => {
                        tracing::info!(reason = %unwanted, %replica, "what became of a replica is of no interest");
                        break;
                    }
                }
            }
            Done::Told(replica, failure)
        });
    }

    /// What is wrong with an instance as a whole has no pod to be told of: a replica that never comes stands in.
    fn tell_trouble(&mut self, row: &InstanceRow, seen: &Seen) {
        let trouble = self.troubles.get(&row.id).cloned().or_else(|| quota(row, seen));
        let Some((reason, detail)) = trouble.filter(|_| row.wanted) else { return };
        let replica = stand_in(row);
        if self.told.get(&replica) == Some(&(reason, detail.clone())) {
            return;
        }
        self.tell(row, replica, row.generation, vec![Fact::Starting, Fact::Failed { reason, detail }]);
    }

    fn follow_logs(&mut self, seen: &Seen) {
        for ((instance, replica), pod) in &seen.pods {
            if !pod.has_run || self.followed.contains_key(replica) {
                continue;
            }
            let gone = CancellationToken::new();
            self.followed.insert(*replica, gone.clone());
            let source = Source { instance: *instance, replica: *replica, pod: pod.name.clone() };
            let (store, cluster, replica) = (self.store.clone(), self.cluster.clone(), *replica);
            self.tasks.spawn(async move {
                follow::follow(store, cluster, source, gone).await;
                Done::Followed(replica)
            });
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Acted(instance, acted) => {
                self.acting.remove(&instance);
                match acted {
                    Ok(()) => {
                        self.act_setbacks.clear(&instance);
                        self.troubles.remove(&instance);
                    }
                    Err(Undone::Failed(reason, detail)) => {
                        tracing::warn!(%instance, reason = reason.as_str(), detail, "the cluster refuses an instance");
                        self.act_setbacks.add(instance, Instant::now());
                        self.troubles.insert(instance, (reason, detail));
                    }
                    Err(Undone::Later(error)) => {
                        let error = error.as_ref() as &dyn std::error::Error;
                        tracing::warn!(%instance, error, "act on the cluster; trying again");
                        self.act_setbacks.add(instance, Instant::now());
                    }
                }
            }
            Done::Told(replica, failure) => {
                self.telling.remove(&replica);
                self.told.extend(failure.map(|failure| (replica, failure)));
            }
            Done::Shaken(replica, shaken) => self.take_shaken(replica, shaken),
            Done::Followed(replica) => {
                self.followed.remove(&replica);
            }
        }
    }

    fn take_shaken(&mut self, replica: ReplicaId, shaken: Shaken) {
        self.telling.remove(&replica);
        match shaken {
            Shaken::Ready { .. } => {
                self.shake_setbacks.clear(&replica);
                self.told.remove(&replica);
            }
            Shaken::Failed { reason, detail, .. } => {
                self.shake_setbacks.add(replica, Instant::now());
                self.told.insert(replica, (reason, detail));
            }
            // A newer row comes, which tells why.
            Shaken::Unwanted => self.shake_setbacks.add(replica, Instant::now()),
            Shaken::NotAsked(error) => {
                tracing::info!(%replica, error = %format!("{error:#}"), "a replica could not be asked; trying again");
                self.shake_setbacks.add(replica, Instant::now());
            }
        }
    }
}

/// Then the next look finds it told.
async fn await_view(view: &Follower<Instances>, sequence: u64) {
    if let Err(error) = view.reached(sequence, VIEW_WAIT_MAX).await {
        tracing::warn!(%error, "the view does not tell yet what was reported");
    }
}
