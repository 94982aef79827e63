//! Probes: asks every instance again and again how it is, and tells the log what has changed.
//!
//! Of all workers one probes; the others stand by. `target` says what is asked of an instance, `schedule` and `rounds`
//! when and how many at a time, `ask` does it, `class` names what is wrong, and `damping` says what of it is told. What
//! is told is a command like any other report. The first probe follows at once when an instance is new, when it is
//! reached otherwise than before, and when a replica has become ready.

mod ask;
mod class;
mod conversation;
mod damping;
mod rounds;
mod samples;
mod schedule;
mod target;
mod tools;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::instance::{Command, Health, HealthStatus};
use domain::{Actor, InstanceId};
use jiff::Timestamp;
use mcp::protocol::Era;
use service::{CancellationToken, ReadyFlag};
use store::{Follower, Given, Outcome, ProbeRequest, ProbeRequests, Probed, Store, Task};
use tracing::Instrument as _;
use uuid::Uuid;
use views::{InstanceRow, Instances};

use crate::ROLE;
use ask::{Asked, Asker};
use damping::{Damper, Verdict};
use rounds::Rounds;
use samples::Samples;
use target::{Target, target};

/// How long to wait before asking for the lease again after NATS was away.
const LEASE_RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How many rounds in a row are light after a handshake, where one costs the start of a process (a server over stdio that
/// has one for each session): a second of a processor for each instance every half minute would be too much to pay.
const LIGHT_ROUNDS: u8 = 9;
/// How many may wait for a probe of one instance.
const WAITING_MAX: usize = 64;
/// How long a report waits for its outcome. One that has none is made up for by the next sample.
const OUTCOME_MAX: Duration = Duration::from_secs(10);

/// Probes until shutdown, whenever no other worker does.
///
/// # Errors
/// A probe panicked, or the certificates of the operating system cannot be used.
pub(crate) async fn run(
    store: Store,
    view: Follower<Instances>,
    private_upstreams: bool,
    ready: &ReadyFlag,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let samples = Samples::open(store.clone());
    let asker = Arc::new(Asker::new(store.clone(), private_upstreams).context("prepare to probe")?);
    loop {
        let lease = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            lease = store.lease(Task::Probes, || ready.set(true)) => lease,
        };
        match lease {
            Ok(mut lease) => {
                ready.set(true);
                let requests = match store.probe_requests().await {
                    Ok(requests) => requests,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "hear requests for probes again"
                        );
                        lease.release().await;
                        continue;
                    }
                };
                let prober = Prober::new(store.clone(), view.clone(), Arc::clone(&asker), samples.clone());
                tokio::select! {
                    () = shutdown.cancelled() => {
                        lease.release().await;
                        return Ok(());
                    }
                    failed = prober.go_on(requests) => return failed.map(|never| match never {}),
                    lost = lease.keep() => {
                        tracing::warn!(error = &lost as &dyn std::error::Error, "another worker may probe");
                    }
                }
            }
            Err(error) => {
                ready.set(false);
                tracing::warn!(error = &error as &dyn std::error::Error, "ask for the lease of probes again");
                tokio::time::sleep(LEASE_RETRY_PAUSE).await;
            }
        }
    }
}

struct Prober {
    store: Store,
    view: Follower<Instances>,
    asker: Arc<Asker>,
    samples: Samples,
    rounds: Rounds<Step>,
    watched: HashMap<InstanceId, Watched>,
}

/// What is remembered of an instance from one probe to the next.
struct Watched {
    target: Target,
    damper: Damper,
    /// What a server elsewhere was found to speak.
    era: Option<Era>,
    /// The sequence of what was told last: an older row does not know of it.
    told_at: u64,
    /// How many rounds may be light before the next handshake.
    light_left: u8,
    /// Who wants to hear of the next probe.
    waiting: Vec<ProbeRequest>,
    /// How many of them wanted the probe that is under way.
    heard: usize,
}

/// A part of a probe has ended.
enum Step {
    /// None if the platform was in no state to ask.
    Asked(Option<Asked>),
    Told {
        before: Option<Health>,
        health: Health,
        /// None if the log has not taken it.
        sequence: Option<u64>,
    },
}

impl Prober {
    fn new(store: Store, view: Follower<Instances>, asker: Arc<Asker>, samples: Samples) -> Prober {
        Prober { store, view, asker, samples, rounds: Rounds::new(), watched: HashMap::new() }
    }

    async fn go_on(mut self, mut requests: ProbeRequests) -> anyhow::Result<std::convert::Infallible> {
        let mut changes = self.view.changes();
        self.look();
        loop {
            self.rounds.begin(|id| begin(&self.asker, self.watched.get_mut(&id)?));
            tokio::select! {
                changed = changes.changed() => {
                    changed.context("follow the view")?;
                    self.look();
                }
                Some(request) = requests.next() => self.hurry(request),
                ended = self.rounds.next() => {
                    if let Some((id, step)) = ended.context("probe an instance")? {
                        self.take(id, step);
                    }
                }
            }
        }
    }

    /// Takes over what the view says now.
    fn look(&mut self) {
        let now = self.rounds.now();
        let rows = self.view.rows();
        let targets: HashMap<InstanceId, (Target, Arc<InstanceRow>)> =
            rows.into_iter().filter_map(|row| Some((row.id, (target(&row)?, row)))).collect();
        self.watched.retain(|id, _| targets.contains_key(id));
        self.rounds.schedule.retain(|id| targets.contains_key(id));
        for (id, (target, row)) in targets {
            self.rounds.schedule.put(id, target.interval, now);
            match self.watched.get_mut(&id) {
                Some(watched) if watched.target == target => {}
                Some(watched) => {
                    let is_reached_otherwise = watched.target.places != target.places;
                    if is_reached_otherwise {
                        watched.era = None;
                    }
                    watched.target = target;
                    watched.light_left = 0;
                    self.rounds.schedule.hurry(id, now);
                }
                None => {
                    let damper = Damper::default();
                    self.watched.insert(
                        id,
                        Watched {
                            target,
                            damper,
                            era: None,
                            told_at: 0,
                            light_left: 0,
                            waiting: vec![],
                            heard: 0,
                        },
                    );
                    // What is known waits for its turn, or every start of a worker would ask everybody at once.
                    if row.seen.is_none() {
                        self.rounds.schedule.hurry(id, now);
                    }
                }
            }
        }
    }

    /// Somebody waits for a probe that begins from now on.
    fn hurry(&mut self, request: ProbeRequest) {
        let id = request.instance;
        // Who asks about what is not probed hears nothing, and knows it from the row.
        if let Some(watched) = self.watched.get_mut(&id)
            && watched.waiting.len() < WAITING_MAX
        {
            watched.waiting.push(request);
            self.rounds.schedule.hurry(id, self.rounds.now());
        }
    }

    fn take(&mut self, id: InstanceId, step: Step) {
        let now = self.rounds.now();
        let pause = match step {
            Step::Asked(None) => None,
            Step::Asked(Some(asked)) => match self.weigh(id, asked) {
                Verdict::Same => None,
                Verdict::Confirm(pause) => pause,
                Verdict::Tell(health) => return self.tell(id, health),
            },
            Step::Told { before, health, sequence } => {
                if let (Some(watched), Some(sequence)) = (self.watched.get_mut(&id), sequence) {
                    watched.damper.told(before.map(|before| before.status), health.status, now);
                    watched.told_at = sequence;
                }
                None
            }
        };
        self.rounds.schedule.done(id, pause, now);
    }

    /// What follows from a sample.
    fn weigh(&mut self, id: InstanceId, asked: Asked) -> Verdict {
        let now = self.rounds.now();
        let (Some(watched), Some(row)) = (self.watched.get_mut(&id), self.view.get(id.0)) else {
            return Verdict::Same;
        };
        self.samples.push(id, &asked);
        let status = asked.health.status.as_str();
        tracing::debug!(instance = %id, status, asked.asked, asked.answered, took = ?asked.took, "probed");
        watched.era = watched.era.or(asked.era);
        for request in watched.waiting.drain(..watched.heard.min(watched.waiting.len())) {
            tokio::spawn(answer(request, asked.clone()));
        }
        if asked.light && asked.health.status == HealthStatus::Healthy {
            watched.light_left = watched.light_left.saturating_sub(1);
            return Verdict::Same;
        }
        // Whatever is not well is looked at closely until it is.
        let is_well = asked.health.status == HealthStatus::Healthy;
        watched.light_left = if is_well { LIGHT_ROUNDS } else { 0 };
        if asked.light {
            return Verdict::Confirm(Some(damping::CONFIRM_PAUSE));
        }
        // What was asked may be gone by now, and a row that lags says less than what was told.
        if watched.target.places.is_empty() || asked.asked == 0 || row.sequence < watched.told_at {
            return Verdict::Same;
        }
        watched.damper.observe(row.seen.as_ref().map(|seen| &seen.health), asked.health, now)
    }

    /// Tells the log. The instance counts as being probed until then.
    fn tell(&mut self, id: InstanceId, health: Health) {
        let (Some(watched), Some(row)) = (self.watched.get(&id), self.view.get(id.0)) else {
            return self.rounds.schedule.done(id, None, self.rounds.now());
        };
        let (store, generation) = (self.store.clone(), watched.target.generation);
        let before = row.seen.as_ref().map(|seen| seen.health.clone());
        let cause = row.sequence;
        let tell = async move {
            let sequence = tell(&store, id, generation, health.clone(), cause).await;
            Step::Told { before, health, sequence }
        };
        self.rounds.go_on(id, tell.instrument(tracing::info_span!("health", instance = %id)));
    }
}

async fn answer(request: ProbeRequest, asked: Asked) {
    let Asked { health, asked, answered, took, .. } = asked;
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    request.answer(&Probed { health, asked, answered, took_ms }).await;
}

fn begin(asker: &Arc<Asker>, watched: &mut Watched) -> Option<impl Future<Output = Step> + Send + use<>> {
    watched.heard = watched.waiting.len();
    let light = watched.light_left > 0 && watched.heard == 0 && watched.target.may_be_light();
    let (asker, mut target) = (Arc::clone(asker), watched.target.clone());
    for place in &mut target.places {
        place.era = place.era.or(watched.era);
    }
    Some(async move { Step::Asked(asker.ask(&target, light).await) })
}

/// Sends the report. Gives the sequence at which the log has it.
async fn tell(store: &Store, id: InstanceId, generation: u64, health: Health, cause: u64) -> Option<u64> {
    let status = health.status.as_str();
    let class = health.problem.as_ref().map(|problem| problem.class.as_str());
    let command = domain::Command::Instance { id, command: Command::ReportHealth { generation, health } };
    let (actor, cause) = (Actor::Role(ROLE.to_owned()), Given::caused_by_event(cause));
    let given = Given::new(domain::CommandId(Uuid::now_v7()), actor, cause, Timestamp::now());
    match store.send(&command, &given, OUTCOME_MAX).await {
        Ok(Outcome::Done { sequence }) => {
            tracing::info!(status, problem = class, "health has changed");
            Some(sequence)
        }
        Ok(Outcome::Refused { refusal }) => {
            // It was stopped, restarted or deleted meanwhile: the next row says so.
            tracing::debug!(%refusal, "health is of no interest");
            None
        }
        Ok(Outcome::Failed { reason }) => {
            tracing::warn!(reason, "health cannot be told");
            None
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "tell health; the next sample does it again"
            );
            None
        }
    }
}
