//! The faults: one part after the other is killed at a seeded moment and started again after a seeded pause.

use std::time::{Duration, Instant};

use harness::Deployment;

use crate::random::Random;

/// The name of the part that is no process of mcpcan.
const NATS: &str = "nats-server";
/// Between two faults.
const CALM: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(2500));
/// How long a part stays dead.
const DEATH: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(1200));

/// Kills and restarts until `until`; afterwards everything runs again. Gives what was done.
///
/// # Panics
/// A part ended by itself: a fault of its neighbours must not end a process.
pub(crate) async fn run(deployment: &mut Deployment, random: &mut Random, until: Instant) -> Vec<String> {
    let started = Instant::now();
    let mut parts = deployment.parts();
    // Everything hangs on it, so it dies as often as all others together do in a third of the time.
    let share = parts.len().div_ceil(3);
    parts.extend(std::iter::repeat_n(NATS.to_owned(), share));
    let mut done = vec![];
    loop {
        tokio::time::sleep(random.between(CALM.0, CALM.1)).await;
        if Instant::now() >= until {
            break;
        }
        let (name, pause) = (random.one_of(&parts).clone(), random.between(DEATH.0, DEATH.1));
        done.push(format!(
            "{:.1} s: {name} killed for {} ms",
            started.elapsed().as_secs_f64(),
            pause.as_millis()
        ));
        let ended = deployment.ended();
        assert!(ended.is_empty(), "parts that nobody killed have ended: {}", ended.join("\n"));
        if name == NATS {
            deployment.server.kill();
            tokio::time::sleep(pause).await;
            deployment.server.restart().await;
        } else {
            deployment.kill(&name).await;
            tokio::time::sleep(pause).await;
            deployment.restart(&name);
        }
    }
    done
}
