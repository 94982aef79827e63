//! A client's body on its way to the upstream, and what becomes of one that nobody wants.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use crate::exchange::Exchange;
use crate::refusal::Refusal;

/// How much of a body that nobody wants any more is read and thrown away, so that a client that is still sending reads
/// the answer instead of a reset connection.
const DISCARD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long that may take.
const DISCARD_WAIT_MAX: Duration = Duration::from_secs(5);

/// A client's body on its way to the upstream.
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    bytes_left: u64,
    exchange: Arc<Exchange>,
}

/// Why a client's body did not get through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("the body is longer than allowed")]
    TooLarge,
    #[error("read the client's body")]
    Read(#[source] hyper::Error),
}

impl RequestBody {
    /// A body of at most `bytes_max`; none where the method has none.
    pub(crate) fn new(body: Option<Incoming>, bytes_max: u64, exchange: Arc<Exchange>) -> Self {
        Self { body, bytes_left: bytes_max, exchange }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = match ready!(Pin::new(&mut *body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.exchange.refuse_body(Refusal::BodyIncomplete);
                return Poll::Ready(Some(Err(RequestBodyError::Read(error))));
            }
            None => {
                self.exchange.passed_on();
                return Poll::Ready(None);
            }
        };
        let ended = body.is_end_stream();
        if let Some(data) = frame.data_ref() {
            let Some(bytes_left) = self.bytes_left.checked_sub(data.len() as u64) else {
                self.exchange.refuse_body(Refusal::BodyTooLarge);
                return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
            };
            self.bytes_left = bytes_left;
            self.exchange.request_data(data);
        }
        if ended {
            self.exchange.passed_on();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            discard(body);
        }
    }
}

/// Takes in the rest of a body, within bounds, while the answer goes out.
pub(crate) fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    let reading = async move {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // Without a runtime there is no connection either.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(tokio::time::timeout(DISCARD_WAIT_MAX, reading));
    }
}
