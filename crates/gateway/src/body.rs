//! The two bodies of an exchange. Each passes its frames on as they come, shows them to the exchange, and holds none.
//! The client's is in [`request`].

mod request;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::endpoint::{EndpointError, Rewriter};
use crate::exchange::{End, Exchange};
use crate::lease::Ending;
use crate::limits::OpenRequest;
use crate::refusal::JSON_RPC_CODE;
use crate::routes::InFlight;
use crate::traces::Receipt;
pub(crate) use request::{RequestBody, discard};

/// What the gateway answers with.
pub(crate) type Answer = Either<Full<Bytes>, AnswerBody>;

/// Ends an exchange when it is dropped before anybody else has: the client went away.
pub(crate) struct Open {
    pub(crate) exchange: Arc<Exchange>,
    /// Counts at its destination until then.
    pub(crate) _in_flight: InFlight,
    /// And at its token.
    pub(crate) _open_request: OpenRequest,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.exchange.finish(End::ClientGone);
    }
}

/// An upstream's body on its way to the client.
pub(crate) struct AnswerBody {
    body: Incoming,
    form: Form,
    ending: Ending,
    silence: Silence,
    ended: bool,
    /// Whether what has come so far ends with a whole event.
    between_events: bool,
    open: Open,
    /// Of a stream of HTTP+SSE.
    http_sse: Option<Box<HttpSse>>,
    /// What waits until the record of the answer is safe: the end, and the last bytes before it.
    held: Option<Box<Held>>,
}

struct Held {
    receipt: Pin<Box<dyn Future<Output = bool> + Send>>,
    last: Next,
}

/// What the client gets next of an answer, if anything.
type Next = Option<Result<Frame<Bytes>, AnswerBodyError>>;

/// What an upstream has said already, and what rewrites the rest.
struct HttpSse {
    first: Option<Bytes>,
    rewriter: Rewriter,
}

/// Notices that nothing has come for too long. It costs nothing while something comes.
struct Silence {
    max: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether something has come since the timer was set.
    broken: bool,
}

impl Silence {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let max = self.max;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(max)));
        if std::mem::take(&mut self.broken) {
            timer.as_mut().reset(Instant::now() + max);
        }
        timer.as_mut().poll(context)
    }
}

/// What an end before the upstream's looks like to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Every event is whole: the body just ends.
    Events,
    /// Half a body must not pass for a whole one: the connection breaks off.
    Whole,
}

/// Why an answer's body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerBodyError {
    #[error("read the upstream's body")]
    Read(#[source] hyper::Error),
    #[error("the gateway has ended the answer")]
    Ended,
    #[error("the record of the answer is not safe")]
    NotRecorded,
}

impl AnswerBody {
    /// The body of an answer. It ends when the upstream ends it, and before that when `ending` says so or nothing has come
    /// for `silence_max`.
    pub(crate) fn new(body: Incoming, form: Form, ending: Ending, silence_max: Duration, open: Open) -> Self {
        let silence = Silence { max: silence_max, timer: None, broken: false };
        let ended = body.is_end_stream();
        let this = Self {
            ended,
            between_events: true,
            body,
            form,
            ending,
            silence,
            open,
            http_sse: None,
            held: None,
        };
        if this.ended {
            this.open.exchange.finish(End::Complete);
        }
        this
    }

    /// A stream of HTTP+SSE: what has been read of it already comes first, and the rest goes through `rewriter`.
    pub(crate) fn beginning_with(self, first: Bytes, rewriter: Rewriter) -> Self {
        self.open.exchange.answer_data(&first);
        Self { http_sse: Some(Box::new(HttpSse { first: Some(first), rewriter })), ..self }
    }

    /// What the client gets of a frame; none while an event is held.
    fn rewritten(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, EndpointError> {
        let (Some(stream), Some(data)) = (&mut self.http_sse, frame.data_ref()) else {
            return Ok(Some(frame));
        };
        let mut out = BytesMut::with_capacity(data.len());
        stream.rewriter.feed(data, &mut out)?;
        Ok((!out.is_empty()).then(|| Frame::data(out.freeze())))
    }

    /// What goes on of a frame.
    fn passed(&mut self, frame: Frame<Bytes>, context: &mut Context<'_>) -> Poll<Next> {
        if let Some(data) = frame.data_ref() {
            self.open.exchange.answer_data(data);
            self.between_events = data.ends_with(b"\n\n") || data.ends_with(b"\r\n\r\n");
        }
        // A body of known length is not asked again after its last byte.
        match self.body.is_end_stream() {
            true => self.end(End::Complete, Some(Ok(frame)), context),
            false => Poll::Ready(Some(Ok(frame))),
        }
    }

    /// What an answer that has no body waits for.
    pub(crate) fn take_receipt(&self) -> Option<Receipt> {
        if self.ended { self.open.exchange.take_receipt() } else { None }
    }

    /// Ends with these last bytes, or with why there are no more; where answers wait, once the record is safe.
    fn end(&mut self, end: End, last: Next, context: &mut Context<'_>) -> Poll<Next> {
        self.ended = true;
        self.open.exchange.finish(end);
        let Some(receipt) = self.open.exchange.take_receipt() else { return Poll::Ready(last) };
        self.held = Some(Box::new(Held { receipt: Box::pin(receipt.arrives()), last }));
        self.poll_held(context)
    }

    /// What was held, once the record is safe.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let Some(held) = &mut self.held else { return Poll::Ready(None) };
        let is_safe = ready!(held.receipt.as_mut().poll(context));
        let last = self.held.take().and_then(|held| held.last);
        Poll::Ready(if is_safe { last } else { Some(Err(AnswerBodyError::NotRecorded)) })
    }

    /// Ends before the upstream does; gives what comes instead of the next frame.
    fn break_off(&mut self, end: End, context: &mut Context<'_>) -> Poll<Next> {
        let last = match self.form {
            Form::Events => self.farewell(&end).map(|event| Ok(Frame::data(event))),
            Form::Whole => Some(Err(AnswerBodyError::Ended)),
        };
        self.end(end, last, context)
    }

    /// The answer to a call that will get no other: a client would wait for it until its own patience is over. It is
    /// left out where it would stand inside an event, or make a body of known length longer.
    fn farewell(&self, end: &End) -> Option<Bytes> {
        let End::Lost(why) = end else { return None };
        if !self.between_events || self.http_sse.is_some() || self.size_hint().exact().is_some() {
            return None;
        }
        let id = self.open.exchange.unanswered()?;
        let error = format!(r#"{{"code":{JSON_RPC_CODE},"message":"{why}"}}"#);
        Some(format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n\n").into())
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Next> {
        if self.ended {
            return self.poll_held(context);
        }
        if let Poll::Ready(end) = self.ending.as_mut().poll(context) {
            return self.break_off(end, context);
        }
        if let Some(first) = self.http_sse.as_mut().and_then(|stream| stream.first.take()) {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(context) else {
                ready!(self.silence.poll(context));
                let end = End::CutOff("the upstream was silent for too long");
                return self.break_off(end, context);
            };
            self.silence.broken = true;
            let frame = match next {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let end = End::Broken(error.to_string());
                    return self.end(end, Some(Err(AnswerBodyError::Read(error))), context);
                }
                None => return self.end(End::Complete, None, context),
            };
            match self.rewritten(frame) {
                Ok(Some(frame)) => return self.passed(frame, context),
                Ok(None) => {}
                Err(error) => return self.end(End::Broken(error.to_string()), None, context),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.held.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.http_sse {
            // Another address is of another length.
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}
