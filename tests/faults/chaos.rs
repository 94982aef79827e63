//! The faults: one part after the other is killed at a seeded moment and started again after a seeded pause.

use std::fmt;
use std::time::{Duration, Instant};

use harness::Deployment;

use crate::access_log::Clickhouse;
use crate::random::Random;

/// The names of the parts that are no processes of mcpcan.
pub(crate) const NATS: &str = "nats-server";
pub(crate) const CLICKHOUSE: &str = "clickhouse";
/// Between two faults.
const CALM: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(2500));
/// How long a part stays dead.
const DEATH: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(1200));

/// What can be killed.
pub(crate) struct Targets<'a> {
    pub(crate) deployment: &'a mut Deployment,
    /// Each as often as it is to die beside the others.
    pub(crate) names: Vec<String>,
    /// The one that is killed, if one of the names is its.
    pub(crate) clickhouse: Option<&'a mut Clickhouse>,
}

/// One part that was dead for a while.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) killed: Instant,
    pub(crate) restarted: Instant,
    after: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, dead) = (self.after.as_secs_f64(), self.restarted - self.killed);
        write!(formatter, "{after:.1} s: {} killed for {} ms", self.name, dead.as_millis())
    }
}

/// Kills and restarts until `until`; afterwards everything runs again. Gives what was done.
///
/// # Panics
/// A part ended by itself: a fault of its neighbours must not end a process.
pub(crate) async fn run(targets: &mut Targets<'_>, random: &mut Random, until: Instant) -> Vec<Fault> {
    let started = Instant::now();
    let mut done = vec![];
    loop {
        tokio::time::sleep(random.between(CALM.0, CALM.1)).await;
        if Instant::now() >= until {
            break;
        }
        let (name, pause) = (random.one_of(&targets.names).clone(), random.between(DEATH.0, DEATH.1));
        let ended = targets.deployment.ended();
        assert!(ended.is_empty(), "parts that nobody killed have ended: {}", ended.join("\n"));
        let after = started.elapsed();
        targets.kill(&name).await;
        let killed = Instant::now();
        tokio::time::sleep(pause).await;
        targets.restart(&name).await;
        done.push(Fault { name, killed, restarted: Instant::now(), after });
    }
    done
}

impl Targets<'_> {
    async fn kill(&mut self, name: &str) {
        match name {
            NATS => self.deployment.server.kill(),
            CLICKHOUSE => self.clickhouse().kill(),
            part => self.deployment.kill(part).await,
        }
    }

    async fn restart(&mut self, name: &str) {
        match name {
            NATS => self.deployment.server.restart().await,
            CLICKHOUSE => self.clickhouse().restart(),
            part => self.deployment.restart(part),
        }
    }

    fn clickhouse(&mut self) -> &mut Clickhouse {
        self.clickhouse.as_deref_mut().expect("there is a ClickHouse if it is among the names")
    }
}
