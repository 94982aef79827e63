//! Follows an instance until what was wished for is so, showing each step. The events alone decide: the view that the
//! api answers from may be a moment behind them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::Goal;
use crate::events::{Event, EventStream};
use crate::failure::Failure;
use crate::logs;
use crate::output::{Progress, field};
use crate::rest::Rest;

/// How many lines of a server's output are shown when it failed.
const LOG_LINES: usize = 20;
/// How long the output may take to arrive.
const OUTPUT_WAIT: Duration = Duration::from_secs(4);
/// After how long without a new line the output is taken for complete.
const OUTPUT_QUIET: Duration = Duration::from_secs(1);
/// How long the api's view may take to show the last event.
const VIEW_WAIT: Duration = Duration::from_secs(5);
/// How often the view is asked meanwhile.
const VIEW_INTERVAL: Duration = Duration::from_millis(50);

/// What a replica goes through until it can be called, in this order.
const STEPS: [&str; 3] = ["starting", "handshake", "ready"];

/// What is known of the instance while it is followed.
#[derive(Debug, Deserialize)]
struct Watch {
    name: String,
    generation: u64,
    sequence: u64,
    /// The replicas that started and did not end.
    replicas: Vec<Replica>,
    /// How many are wanted.
    #[serde(default)]
    replicas_wanted: usize,
    /// Why the last replica of this generation failed, while nothing has come up since.
    failure: Option<ReplicaFailure>,
    /// Whether a process has run since, which may have written something.
    #[serde(skip)]
    ran: bool,
    /// How many of [`STEPS`] were shown.
    #[serde(skip)]
    steps: usize,
}

#[derive(Debug, Deserialize)]
struct Replica {
    id: String,
    generation: u64,
    ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ReplicaFailure {
    reason: String,
    detail: String,
}

/// What an event means for somebody who waits.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Shown(&'static str),
    /// A replica of the generation that is waited for has gone through so many of [`STEPS`].
    Reached(usize),
    Failed(ReplicaFailure),
    Gone,
    Nothing,
}

/// Waits until the goal is reached; returns the instance as it is then.
pub(super) async fn follow(
    rest: &Rest,
    accepted: &Value,
    goal: Goal,
    patience: Duration,
) -> Result<Value, Failure> {
    let mut watch: Watch = serde_json::from_value(accepted.clone())
        .map_err(|error| anyhow::Error::from(error).context("read the api's answer"))?;
    let mut progress = Progress::new();
    let started = Instant::now();
    let walked = timeout_at(started + patience, walk(rest, &mut watch, goal, &mut progress, accepted)).await;
    progress.end()?;
    match walked {
        Ok(Ok(())) => shown(rest, accepted, watch.sequence).await,
        Ok(Err(Stop::Failure(failure))) => Err(failure),
        Ok(Err(Stop::Replica(ReplicaFailure { reason, detail }))) => {
            let why = format!("{} failed ({reason}): {detail}", watch.name);
            let why = if watch.ran { with_output(rest, accepted, why).await } else { why };
            Err(Failure::Failed(anyhow::anyhow!(
                "{why}\nit stays and is tried again: `mcpcan instance edit {0}` mends it, `mcpcan instance delete {0}` removes it",
                watch.name
            )))
        }
        Err(_) => {
            let why = format!(
                "{} is not there after {} s; it goes on trying, see `mcpcan instance show {0}`",
                watch.name,
                patience.as_secs()
            );
            Err(Failure::Failed(anyhow::anyhow!(with_output(rest, accepted, why).await)))
        }
    }
}

/// Why the walk ended early.
enum Stop {
    Failure(Failure),
    Replica(ReplicaFailure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Stop::Failure(error.into())
    }
}

async fn walk(
    rest: &Rest,
    watch: &mut Watch,
    goal: Goal,
    progress: &mut Progress,
    accepted: &Value,
) -> Result<(), Stop> {
    progress.step(&format!("{}: accepted", watch.name))?;
    if watch.reached(goal) {
        return Ok(());
    }
    if goal != Goal::Stopped {
        watch.show_up_to(watch.implied(), progress)?;
    }
    if let Some(failure) = watch.failure.take().filter(|_| goal != Goal::Stopped) {
        watch.ran = true;
        return Err(Stop::Replica(failure));
    }
    let query = [("id", field(accepted, "/id")), ("from", (watch.sequence + 1).to_string())];
    let mut events = EventStream::open(rest, &query).await?;
    loop {
        let event: Event =
            serde_json::from_value(events.next().await?).map_err(|error| Failure::Failed(error.into()))?;
        match watch.take(&event, goal) {
            Step::Shown(step) => progress.step(&format!("{}: {step}", watch.name))?,
            Step::Reached(steps) => watch.show_up_to(steps, progress)?,
            Step::Failed(failure) => return Err(Stop::Replica(failure)),
            Step::Gone => {
                return Err(Failure::Refused(format!("{} was deleted meanwhile", watch.name)).into());
            }
            Step::Nothing => {}
        }
        if watch.reached(goal) {
            return Ok(());
        }
    }
}

impl Watch {
    fn reached(&self, goal: Goal) -> bool {
        match goal {
            Goal::Ready => {
                let ready = |known: &&Replica| known.ready && known.generation >= self.generation;
                let is_older = |known: &Replica| known.generation < self.generation;
                self.replicas.iter().filter(ready).count() >= self.replicas_wanted.max(1)
                    && !self.replicas.iter().any(is_older)
            }
            Goal::Replicas(wanted) => {
                let ready = |known: &&Replica| known.ready && known.generation >= self.generation;
                self.replicas.len() == wanted && self.replicas.iter().filter(ready).count() == wanted
            }
            Goal::Stopped => self.replicas.is_empty(),
        }
    }

    /// How many of the steps lie behind the api's answer: it may have been given after the first events.
    fn implied(&self) -> usize {
        usize::from(self.replicas.iter().any(|known| known.generation >= self.generation))
    }

    /// Shows the steps up to this one that were not shown yet.
    fn show_up_to(&mut self, steps: usize, progress: &mut Progress) -> std::io::Result<()> {
        for step in STEPS.iter().take(steps).skip(self.steps) {
            progress.step(&format!("{}: {step}", self.name))?;
        }
        self.steps = self.steps.max(steps);
        Ok(())
    }

    /// The step that a replica has reached, if it is one of those that are waited for.
    fn step_of(&self, replica: &str, steps: usize) -> Step {
        let awaited = |known: &Replica| known.id == replica && known.generation >= self.generation;
        if self.replicas.iter().any(awaited) { Step::Reached(steps) } else { Step::Nothing }
    }

    fn take(&mut self, event: &Event, goal: Goal) -> Step {
        self.sequence = event.sequence;
        let replica = field(&event.data, "/replica");
        match event.name.as_str() {
            "instance.replica_starting" => {
                let generation = event.data.get("generation").and_then(Value::as_u64).unwrap_or_default();
                self.replicas.push(Replica { id: replica.clone(), generation, ready: false });
                self.step_of(&replica, 1)
            }
            "instance.replica_handshaking" => {
                self.ran = true;
                self.step_of(&replica, 2)
            }
            "instance.replica_ready" => {
                for known in self.replicas.iter_mut().filter(|known| known.id == replica) {
                    known.ready = true;
                }
                self.step_of(&replica, 3)
            }
            "instance.replica_failed" => {
                let current = self.end(&replica).is_none_or(|generation| generation >= self.generation);
                if goal == Goal::Stopped || !current {
                    return Step::Shown("stopping");
                }
                let (reason, detail) = (field(&event.data, "/reason"), field(&event.data, "/detail"));
                Step::Failed(ReplicaFailure { reason, detail })
            }
            "instance.replica_stopped" => {
                self.end(&replica);
                Step::Shown("stopping")
            }
            "instance.deleted" => Step::Gone,
            _ => Step::Nothing,
        }
    }

    /// Forgets a replica; returns its generation.
    fn end(&mut self, replica: &str) -> Option<u64> {
        let at = self.replicas.iter().position(|known| known.id == replica)?;
        Some(self.replicas.remove(at).generation)
    }
}

/// The instance, once the api shows it at this sequence.
async fn shown(rest: &Rest, accepted: &Value, sequence: u64) -> Result<Value, Failure> {
    let deadline = Instant::now() + VIEW_WAIT;
    loop {
        let instance = rest.get(&["instances", &field(accepted, "/id")], &[]).await?;
        let reached = instance.get("sequence").and_then(Value::as_u64).is_some_and(|at| at >= sequence);
        if reached || Instant::now() >= deadline {
            return Ok(instance);
        }
        sleep(VIEW_INTERVAL).await;
    }
}

/// Adds the last lines that the server wrote; that there are none must not hide the reason.
async fn with_output(rest: &Rest, accepted: &Value, why: String) -> String {
    match settled_output(rest, &field(accepted, "/id")).await {
        Ok(lines) if !lines.is_empty() => format!("{why}\nits last lines:\n  {}", lines.join("\n  ")),
        Ok(_) => format!("{why}\nit wrote nothing"),
        Err(failure) => format!("{why}\n(its output cannot be shown: {failure})"),
    }
}

/// The last lines. They travel another way than the event that told of the failure, and may arrive after it: what is
/// there counts once nothing has come for a while.
async fn settled_output(rest: &Rest, instance: &str) -> Result<Vec<String>, Failure> {
    let deadline = Instant::now() + OUTPUT_WAIT;
    let mut lines = logs::tail(rest, instance, LOG_LINES).await?;
    while Instant::now() < deadline {
        sleep(OUTPUT_QUIET).await;
        let later = logs::tail(rest, instance, LOG_LINES).await?;
        if later == lines && !lines.is_empty() {
            break;
        }
        lines = later;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
