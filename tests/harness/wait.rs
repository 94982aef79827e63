//! Waiting on a condition with a deadline: the only form of waiting that the tests know.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks until there is something, and returns it with the time that took.
///
/// # Panics
/// There is nothing at the deadline; the message says what was waited for.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return (found, started.elapsed());
        }
        assert!(started.elapsed() < deadline, "waited {} s for this in vain: {what}", deadline.as_secs());
        sleep(INTERVAL).await;
    }
}
