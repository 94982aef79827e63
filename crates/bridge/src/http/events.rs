//! A stream of a session as the body of an answer, with comments that keep a quiet connection open.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::Response;
use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use mcp::sse;
use tokio::time::{Instant, Interval, interval_at};

use super::body::Body;
use crate::link::Pending;
use crate::session::Connection;
use crate::sessions::Opening;
use crate::stream::{Next, Stream};
use crate::translate::Listener;

/// Time without an event after which a comment is sent. Proxies often close connections that were quiet for a minute.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(25);
/// Tells nginx and its kin not to hold events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) struct Events {
    source: Source,
    keep_alive: Interval,
}

/// Where events come from.
enum Source {
    /// A stream of a session.
    Session(Connection),
    /// The only stream of a session, which ends with it.
    OneStream { first: Option<Bytes>, connection: Connection, _opening: Opening },
    /// A call without one, which ends with this answer.
    Call { stream: Rc<Stream>, connection: u64, _kept: Kept },
}

/// What ends when the client has left.
enum Kept {
    Call { _pending: Pending },
    Listener { _listener: Rc<Listener> },
}

/// Answers with the stream of a connection.
pub(super) fn response(connection: Connection) -> Response<Body> {
    of(Source::Session(connection))
}

/// Answers with the only stream of a session, which begins with these bytes.
pub(super) fn of_one_stream(first: Bytes, connection: Connection, opening: Opening) -> Response<Body> {
    of(Source::OneStream { first: Some(first), connection, _opening: opening })
}

/// Answers with the stream of a call, which is cancelled if the client leaves before its end.
pub(super) fn of_call(stream: Rc<Stream>, pending: Pending) -> Response<Body> {
    without_session(stream, Kept::Call { _pending: pending })
}

/// Answers with what a client listens to, until it leaves.
pub(super) fn of_listener(stream: Rc<Stream>, listener: Rc<Listener>) -> Response<Body> {
    without_session(stream, Kept::Listener { _listener: listener })
}

fn without_session(stream: Rc<Stream>, kept: Kept) -> Response<Body> {
    let connection = stream.connect(None).expect("a connection from here on misses nothing");
    of(Source::Call { stream, connection, _kept: kept })
}

fn of(source: Source) -> Response<Body> {
    let keep_alive = interval_at(Instant::now() + KEEP_ALIVE_INTERVAL, KEEP_ALIVE_INTERVAL);
    let mut response = Response::new(Body::Events(Events { source, keep_alive }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

impl Events {
    /// The next bytes to send; `None` at the end of the stream.
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = match &mut self.source {
            Source::Session(connection) => connection.poll_next(context),
            Source::OneStream { first, connection, .. } => match first.take() {
                Some(first) => Poll::Ready(Next::Chunk(first)),
                None => connection.poll_next(context),
            },
            Source::Call { stream, connection, .. } => stream.poll_next(*connection, context),
        };
        match next {
            Poll::Ready(Next::Chunk(chunk)) => {
                self.keep_alive.reset();
                Poll::Ready(Some(chunk))
            }
            Poll::Ready(Next::End) => Poll::Ready(None),
            Poll::Ready(Next::Lost) => {
                tracing::warn!("a client read its stream too slowly and has lost events");
                Poll::Ready(None)
            }
            Poll::Pending => self.keep_alive.poll_tick(context).map(|_| {
                let mut comment = BytesMut::new();
                sse::comment("", &mut comment);
                Some(comment.freeze())
            }),
        }
    }
}
