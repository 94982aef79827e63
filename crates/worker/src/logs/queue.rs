//! The bounded queue between the readers of a replica's output and the pump that publishes it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access_log::Stream;
use jiff::Timestamp;
use tokio::sync::Notify;

/// The longest line that is kept, in bytes; the rest is cut off and said so.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024;
/// How many lines of one replica wait at most.
const QUEUE_LINES_MAX: usize = 4096;
/// How many bytes of one replica's lines wait at most.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most lines in one message.
const BATCH_LINES_MAX: usize = 512;
/// The most bytes of text in one message: far below what a NATS message may hold.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// A line on its way to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueuedLine {
    pub(crate) time: Timestamp,
    pub(crate) stream: Stream,
    pub(crate) text: String,
}

/// Lines in order. Where some had to be dropped, one entry stands for all of them.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// A batch was taken out.
    taken: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// How many lines were handed out and not acknowledged since.
    in_hand: u64,
    closed: bool,
}

enum Entry {
    Line(QueuedLine),
    Dropped { since: Timestamp, stream: Stream, count: u64 },
}

impl Queue {
    /// Takes a line, or counts it as dropped.
    pub(crate) fn push(&self, time: Timestamp, stream: Stream, text: String) {
        let text = cut(text);
        let mut state = self.lock();
        let fits = state.entries.len() < QUEUE_LINES_MAX && state.bytes + text.len() <= QUEUE_BYTES_MAX;
        // The place of what is dropped is behind everything that waits: one entry above the bound.
        match state.entries.back_mut() {
            _ if fits => {
                state.bytes += text.len();
                state.entries.push_back(Entry::Line(QueuedLine { time, stream, text }));
            }
            Some(Entry::Dropped { count, .. }) => *count += 1,
            Some(Entry::Line(_)) | None => {
                state.entries.push_back(Entry::Dropped { since: time, stream, count: 1 });
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing is pushed any more: what waits is handed out without delay, and then the queue ends.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next lines, or none when the queue is closed and empty. Lines that trickle in are gathered for `delay`.
    /// Only one task may wait here.
    pub(crate) async fn next_batch(&self, delay: Duration) -> Option<Vec<QueuedLine>> {
        self.until(|state| state.closed || !state.entries.is_empty()).await;
        // Running out of time is the ordinary way for a batch to become complete.
        let _ = tokio::time::timeout(delay, self.until(State::is_batch_complete)).await;
        let batch = self.lock().take_batch();
        self.taken.notify_one();
        (!batch.is_empty()).then_some(batch)
    }

    /// Waits until half of the queue is free. Only one task may wait here.
    pub(crate) async fn has_room(&self) {
        let has_room =
            |state: &State| state.entries.len() < QUEUE_LINES_MAX / 2 && state.bytes < QUEUE_BYTES_MAX / 2;
        while !has_room(&self.lock()) {
            self.taken.notified().await;
        }
    }

    /// What was handed out last has arrived.
    pub(crate) fn acknowledge(&self) {
        self.lock().in_hand = 0;
    }

    /// How many lines have not arrived: they wait, were dropped without a word so far, or are on their way.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let state = self.lock();
        state.in_hand + state.entries.iter().map(Entry::lines).sum::<u64>()
    }

    async fn until(&self, condition: impl Fn(&State) -> bool) {
        // A change between the look and the wait is kept by `Notify` as a permit.
        while !condition(&self.lock()) {
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_batch_complete(&self) -> bool {
        self.closed || self.entries.len() >= BATCH_LINES_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    fn take_batch(&mut self) -> Vec<QueuedLine> {
        let (mut batch, mut bytes) = (vec![], 0);
        while batch.len() < BATCH_LINES_MAX && bytes < BATCH_BYTES_MAX {
            let Some(entry) = self.entries.pop_front() else { break };
            if let Entry::Line(line) = &entry {
                self.bytes -= line.text.len();
            }
            self.in_hand += entry.lines();
            let line = QueuedLine::from(entry);
            bytes += line.text.len();
            batch.push(line);
        }
        batch
    }
}

impl Entry {
    fn lines(&self) -> u64 {
        match self {
            Entry::Line(_) => 1,
            Entry::Dropped { count, .. } => *count,
        }
    }
}

impl From<Entry> for QueuedLine {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Line(line) => line,
            Entry::Dropped { since, stream, count } => {
                let text = format!("[mcpcan] lines dropped here, faster than the log takes them: {count}");
                QueuedLine { time: since, stream, text }
            }
        }
    }
}

/// The text within the bound of a line.
fn cut(mut text: String) -> String {
    if text.len() > LINE_BYTES_MAX {
        let whole = text.len();
        let kept = text.floor_char_boundary(LINE_BYTES_MAX);
        text.truncate(kept);
        text.push_str(&format!(" [mcpcan: {} bytes cut]", whole - kept));
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test runs: what is handed out earlier was complete.
    const FOR_EVER: Duration = Duration::from_secs(3600);

    fn push(queue: &Queue, text: impl Into<String>) {
        queue.push(Timestamp::UNIX_EPOCH, Stream::Stderr, text.into());
    }

    async fn batch(queue: &Queue) -> Vec<String> {
        queue.next_batch(FOR_EVER).await.unwrap_or_default().into_iter().map(|line| line.text).collect()
    }

    #[tokio::test]
    async fn a_closed_queue_hands_out_what_waits_and_ends() {
        let queue = Queue::default();
        push(&queue, "one");
        push(&queue, "two");
        queue.close();
        assert_eq!(batch(&queue).await, ["one", "two"]);
        assert_eq!(queue.next_batch(FOR_EVER).await, None);
    }

    #[tokio::test]
    async fn a_batch_goes_out_when_it_is_full_and_holds_no_more_than_its_bounds() {
        let queue = Queue::default();
        for number in 0..BATCH_LINES_MAX + 1 {
            push(&queue, number.to_string());
        }
        assert_eq!(batch(&queue).await.len(), BATCH_LINES_MAX);
        for _ in 0..BATCH_BYTES_MAX / LINE_BYTES_MAX + 2 {
            push(&queue, "x".repeat(LINE_BYTES_MAX));
        }
        assert!(
            batch(&queue).await.iter().map(String::len).sum::<usize>() <= BATCH_BYTES_MAX + LINE_BYTES_MAX
        );
    }

    #[tokio::test]
    async fn a_lonely_line_goes_out_after_the_delay() {
        let queue = Queue::default();
        push(&queue, "lonely");
        let batch = queue.next_batch(Duration::from_millis(1)).await.unwrap();
        assert_eq!(batch[0].text, "lonely");
    }

    #[tokio::test]
    async fn a_line_counts_until_it_has_arrived() {
        let queue = Queue::default();
        for number in 0..QUEUE_LINES_MAX + 5 {
            push(&queue, format!("line {number}"));
        }
        let all = QUEUE_LINES_MAX as u64 + 5;
        assert_eq!(queue.unacknowledged(), all);
        let handed_out = batch(&queue).await.len() as u64;
        assert_eq!(queue.unacknowledged(), all);
        queue.acknowledge();
        assert_eq!(queue.unacknowledged(), all - handed_out);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_in_its_place() {
        let queue = Queue::default();
        for number in 0..QUEUE_LINES_MAX + 5 {
            push(&queue, format!("line {number}"));
        }
        let mut all = batch(&queue).await;
        push(&queue, "after");
        queue.close();
        while let Some(batch) = queue.next_batch(FOR_EVER).await {
            all.extend(batch.into_iter().map(|line| line.text));
        }
        let last = QUEUE_LINES_MAX - 1;
        assert_eq!(all.len(), QUEUE_LINES_MAX + 2);
        assert_eq!(all[last], format!("line {last}"));
        assert_eq!(all[last + 1], "[mcpcan] lines dropped here, faster than the log takes them: 5");
        assert_eq!(all[last + 2], "after");
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_says_so() {
        let text = cut(format!("x{}", "é".repeat(LINE_BYTES_MAX)));
        assert!(text.ends_with("éé [mcpcan: 16386 bytes cut]"), "{}", &text[text.len() - 40..]);
        assert_eq!(cut("short".to_owned()), "short");
    }
}
