//! How far a sink is: counted while it works, told as metrics and to whoever asks for the platform's status.

use std::convert::Infallible;

use jiff::Timestamp;
use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;
use store::{Batch, DataStream, SAY_INTERVAL, SinkReport, Store};

/// The numbers of one sink, since this process has the lease.
pub(super) struct Progress {
    stream: DataStream,
    numbers: Mutex<Numbers>,
}

struct Numbers {
    rows: u64,
    batches: u64,
    batch_rows: u64,
    /// Of the batch that is being inserted.
    rows_so_far: u64,
    dead_letters: u64,
    /// The sequence up to which everything has arrived.
    arrived: u64,
    /// When the stream took the last message that has arrived.
    stored_at: Option<Timestamp>,
    /// Since when there is something that has not arrived, as far as anybody has looked.
    behind_since: Option<Timestamp>,
}

impl Progress {
    pub(super) fn new(stream: DataStream, arrived: u64) -> Self {
        let numbers = Numbers {
            rows: 0,
            batches: 0,
            batch_rows: 0,
            rows_so_far: 0,
            dead_letters: 0,
            arrived,
            stored_at: None,
            behind_since: None,
        };
        Self { stream, numbers: Mutex::new(numbers) }
    }

    /// ClickHouse has taken rows of the batch at hand.
    pub(super) fn inserted(&self, rows: usize) {
        self.numbers.lock().rows_so_far += rows as u64;
        counter!("mcpcan_sink_rows_total", "stream" => self.stream.name()).increment(rows as u64);
    }

    /// A message went to the dead letters.
    pub(super) fn buried(&self) {
        self.numbers.lock().dead_letters += 1;
        counter!("mcpcan_sink_dead_letters_total", "stream" => self.stream.name()).increment(1);
    }

    /// A batch has arrived as a whole, but for what went to the dead letters.
    pub(super) fn arrived(&self, batch: &Batch) {
        let mut numbers = self.numbers.lock();
        numbers.batch_rows = std::mem::take(&mut numbers.rows_so_far);
        numbers.rows += numbers.batch_rows;
        numbers.batches += 1;
        numbers.arrived = batch.last_sequence;
        numbers.stored_at = batch.last_stored_at;
        let stream = self.stream.name();
        counter!("mcpcan_sink_batches_total", "stream" => stream).increment(1);
        histogram!("mcpcan_sink_batch_rows", "stream" => stream).record(numbers.batch_rows as f64);
    }

    /// Tells every few seconds how far the sink is, for as long as it is polled.
    pub(super) async fn keep_saying(&self, store: &Store) -> Infallible {
        let mut moments = tokio::time::interval(SAY_INTERVAL);
        loop {
            moments.tick().await;
            match store.last_message(self.stream).await {
                Ok(last) => {
                    let report = self.numbers.lock().report(last, Timestamp::now());
                    let stream = self.stream.name();
                    gauge!("mcpcan_sink_lag_messages", "stream" => stream).set(report.lag_messages as f64);
                    gauge!("mcpcan_sink_lag_seconds", "stream" => stream).set(report.lag_seconds);
                    store.say_sink(self.stream, &report).await;
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "look how far the sink is");
                }
            }
        }
    }
}

impl Numbers {
    /// What is to be said when the stream ends with `last`.
    fn report(&mut self, last: u64, now: Timestamp) -> SinkReport {
        let lag_messages = last.saturating_sub(self.arrived);
        self.behind_since = (lag_messages > 0).then(|| self.behind_since.unwrap_or(now));
        // What waits came after the last that has arrived, and not before anybody saw it wait.
        let waits_since = self.behind_since.map(|since| self.stored_at.map_or(since, |at| since.max(at)));
        let lag_seconds = waits_since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
        let Numbers { rows, batches, batch_rows, dead_letters, .. } = *self;
        SinkReport { rows, batches, batch_rows, dead_letters, lag_messages, lag_seconds, at: now }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_waits_is_counted_and_timed_from_when_it_was_seen_to_wait() {
        let progress = Progress::new(DataStream::Traces, 10);
        let mut numbers = progress.numbers.lock();
        let at = |seconds| Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
        let lag = |numbers: &mut Numbers, last, now| {
            let report = numbers.report(last, at(now));
            (report.lag_messages, report.lag_seconds)
        };
        assert_eq!(lag(&mut numbers, 10, 100), (0, 0.0));
        assert_eq!(lag(&mut numbers, 12, 102), (2, 0.0));
        assert_eq!(lag(&mut numbers, 12, 104), (2, 2.0));
        // A sink that is always a little behind is not more and more so.
        (numbers.arrived, numbers.stored_at) = (14, Some(at(105)));
        assert_eq!(lag(&mut numbers, 15, 106), (1, 1.0));
        numbers.arrived = 15;
        assert_eq!(lag(&mut numbers, 15, 108), (0, 0.0));
    }
}
