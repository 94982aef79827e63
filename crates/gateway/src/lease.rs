//! What an open exchange hangs on: its token, its instance, and the gateway itself. When one of them goes, the
//! exchange is ended, not asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::exchange::End;
use crate::refusal::Refusal;
use crate::routes::Route;
use crate::tokens::Grant;

/// Resolves when the body of an answer has to end.
pub(crate) type Ending = Pin<Box<dyn Future<Output = End> + Send>>;

/// The two steps in which the gateway ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing {
    /// Nothing new is accepted; streams that would go on for ever end.
    pub(crate) draining: CancellationToken,
    /// The time of grace is over; calls end as well.
    pub(crate) closing: CancellationToken,
}

/// What an exchange hangs on.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) grant: Arc<Grant>,
    pub(crate) route: Arc<Route>,
    pub(crate) closing: Closing,
}

impl Lease {
    /// Waits until the exchange has lost what it hangs on; says what to tell a client that has no answer yet.
    pub(crate) async fn lost(&self) -> Refusal {
        tokio::select! {
            biased;
            () = self.grant.life.ended.cancelled() => self.grant.life.refusal(),
            () = self.grant.over() => Refusal::TokenExpired,
            () = self.route.ended.cancelled() => Refusal::InstanceStopped,
            () = self.closing.closing.cancelled() => Refusal::ShuttingDown,
        }
    }

    /// When the event stream that answers a GET has to end.
    pub(crate) fn ending_of_stream(self) -> Ending {
        Box::pin(async move {
            tokio::select! {
                biased;
                refusal = self.lost() => cut_off(refusal),
                // It would go on for ever, so its end loses nothing: the client opens another one elsewhere.
                () = self.closing.draining.cancelled() => End::Complete,
            }
        })
    }

    /// When the answer to anything else has to end, though its upstream has more to say.
    pub(crate) fn ending_of_answer(self) -> Ending {
        Box::pin(async move { cut_off(self.lost().await) })
    }
}

fn cut_off(refusal: Refusal) -> End {
    match refusal {
        Refusal::TokenInvalid => End::Lost("the token was revoked or rotated"),
        Refusal::TokenExpired => End::Lost("the token has expired"),
        // Another gateway can go on with what this one breaks off.
        Refusal::ShuttingDown => End::CutOff("the gateway is shutting down"),
        _ => End::Lost("the instance was stopped or deleted"),
    }
}
