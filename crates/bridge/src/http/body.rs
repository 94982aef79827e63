//! Bodies: of requests, which are read as a whole, and of answers, which are bytes that are there or events as they come.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Refusal;
use super::events::Events;
use crate::meter::Counted;
use crate::serve::Bridge;
use crate::stream::Stream;

/// Time a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Bodies of the largest size that are received or worked on at a time, or as many more of a smaller size.
const RECEIVED_MAX: usize = 8;

/// Bytes of an answer that a connection may hold while its client does not read.
const SHORT_BYTES_MAX: usize = 64 * 1024;

pub(crate) enum Body {
    Full(Bytes),
    /// The only answer on a stream, whose client is given up if it does not read it and others need the memory.
    Answer {
        stream: Rc<Stream>,
        sent: usize,
        length: usize,
    },
    Events(Events),
}

/// The client did not read an answer in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client read its answer too slowly")]
pub(crate) struct GivenUp;

impl Body {
    pub(super) fn empty() -> Self {
        Self::Full(Bytes::new())
    }

    /// The only answer on a stream. One that is short is taken from it at once.
    pub(super) fn answer(stream: Rc<Stream>) -> Self {
        let length = stream.kept().0;
        if length > SHORT_BYTES_MAX {
            return Self::Answer { stream, sent: 0, length };
        }
        Self::Full(stream.take_answers().pop_front().unwrap_or_default())
    }

    pub(super) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(bytes.into())
    }
}

/// Receives a whole body, which counts until the second value is dropped.
pub(super) async fn read(bridge: &Bridge, body: Incoming) -> Result<(Bytes, Counted), Refusal> {
    match timeout(BODY_TIMEOUT, received(bridge, body)).await {
        Ok(received) => received,
        Err(_) => Err(Refusal::BodyTooSlow),
    }
}

async fn received(bridge: &Bridge, mut body: Incoming) -> Result<(Bytes, Counted), Refusal> {
    let bytes_max = bridge.config.body_bytes_max;
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::TooLarge { bytes_max });
    }
    let (mut whole, mut counted) = (BytesMut::new(), bridge.received.count(0));
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(|_| Refusal::BodyIncomplete)?.into_data() else { continue };
        if whole.len() + part.len() > bytes_max {
            return Err(Refusal::TooLarge { bytes_max });
        }
        counted.grow(part.len());
        if bridge.received.bytes() > bytes_max.saturating_mul(RECEIVED_MAX) {
            return Err(Refusal::TooManyBodies);
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok((part, counted));
        }
        whole.extend_from_slice(&part);
    }
    Ok((whole.freeze(), counted))
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Answer { sent, length, .. } if sent == length => Poll::Ready(None),
            Self::Answer { stream, sent, .. } => Poll::Ready(Some(match stream.part_of_answer(*sent) {
                Some(part) => {
                    *sent += part.len();
                    Ok(Frame::data(part))
                }
                None => Err(GivenUp),
            })),
            Self::Events(events) => events.poll_chunk(context).map(|chunk| Some(Ok(Frame::data(chunk?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Answer { sent, length, .. } => sent == length,
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Answer { sent, length, .. } => SizeHint::with_exact((length - sent) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
