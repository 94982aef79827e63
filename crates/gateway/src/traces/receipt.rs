//! Whether a trace event has arrived, for calls of instances that answer nothing before it has (`strict`).

use std::time::Duration;

use tokio::sync::oneshot;

/// How long an answer waits until its trace event is acknowledged.
const RECEIPT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Given back when the stream has acknowledged an event; dropped when it goes to the spool or is lost.
#[derive(Debug)]
pub(crate) struct Acknowledge(oneshot::Sender<()>);

/// What waits for it.
#[derive(Debug)]
pub(crate) struct Receipt(oneshot::Receiver<()>);

/// Both ends.
pub(crate) fn receipt() -> (Acknowledge, Receipt) {
    let (sender, receiver) = oneshot::channel();
    (Acknowledge(sender), Receipt(receiver))
}

impl Acknowledge {
    pub(super) fn acknowledge(self) {
        // Whoever waited may have gone.
        let _ = self.0.send(());
    }
}

impl Receipt {
    /// Whether the event is safe. What has gone to the spool may arrive later, but this call will not hear of it.
    pub(crate) async fn arrives(self) -> bool {
        matches!(tokio::time::timeout(RECEIPT_WAIT_MAX, self.0).await, Ok(Ok(())))
    }
}
