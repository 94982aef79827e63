//! Whether trace events have arrived, for calls of instances that answer nothing before they have (`strict`).

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::oneshot;

/// How long an answer waits until its trace events are acknowledged.
const RECEIPT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Given back when the stream has acknowledged an event; dropped when it goes to the spool or is lost.
#[derive(Debug)]
pub(crate) struct Acknowledge(oneshot::Sender<()>);

/// What waits for those that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Receipt(Vec<oneshot::Receiver<()>>);

impl Acknowledge {
    pub(super) fn acknowledge(self) {
        // Whoever waited may have gone.
        let _ = self.0.send(());
    }
}

impl Receipt {
    /// Waits for another event too.
    pub(crate) fn ask(&mut self) -> Acknowledge {
        let (sender, receiver) = oneshot::channel();
        self.0.push(receiver);
        Acknowledge(sender)
    }

    /// Whether the events are safe. What has gone to the spool may arrive later, but this call will not hear of it.
    pub(crate) async fn arrives(self) -> bool {
        matches!(tokio::time::timeout(RECEIPT_WAIT_MAX, try_join_all(self.0)).await, Ok(Ok(_)))
    }
}
