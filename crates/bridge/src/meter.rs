//! Counts the bytes that a session, a shared child or the bridge itself holds for others, in queues of its own and in those
//! of connections.
//!
//! A message is counted from [`Meter::hold`] until the last handle to it is gone, wherever that is: what a connection
//! has not sent yet counts, too. The counter is atomic only because the owner of [`Bytes`] must be `Send`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

/// Counted for each message beside its text: what it takes to queue and to own it. Without it, very small messages would
/// take many times what is counted.
const OVERHEAD_BYTES: usize = 128;

/// One kind of memory, of one owner. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Held>);

#[derive(Default)]
struct Held {
    bytes: AtomicUsize,
    freed: Notify,
}

/// Bytes that count until this is dropped.
pub(crate) struct Counted {
    bytes: usize,
    held: Arc<Held>,
}

struct Message {
    bytes: Bytes,
    _counted: Counted,
}

impl Meter {
    /// The same bytes, counted.
    pub(crate) fn hold(&self, bytes: Bytes) -> Bytes {
        let counted = self.count(bytes.len());
        Bytes::from_owner(Message { bytes, _counted: counted })
    }

    /// Counts so many bytes that are kept in another form than that of a message.
    pub(crate) fn count(&self, bytes: usize) -> Counted {
        let mut counted = Counted { bytes: 0, held: self.0.clone() };
        counted.grow(bytes + OVERHEAD_BYTES);
        counted
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Waits until something is freed, or returns at once if something was since the last wait. One may wait at a time.
    pub(crate) async fn freed(&self) {
        self.0.freed.notified().await;
    }
}

impl Counted {
    /// Counts more.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.held.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_until_its_last_handle_is_gone() {
        let meter = Meter::default();
        let message = meter.clone().hold(Bytes::from_static(b"12345"));
        let part = message.slice(1..3);
        drop(message);
        assert_eq!((&part[..], meter.bytes()), (&b"23"[..], 5 + OVERHEAD_BYTES));
        drop(part);
        assert_eq!(meter.bytes(), 0);
    }
}
