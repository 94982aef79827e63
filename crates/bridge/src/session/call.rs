//! Calls that wait for an answer of the child.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mcp::message::{self, Id, Notification, Request, code};
use mcp::splice;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::Session;
use crate::meter::Counted;
use crate::stream::Stream;
use crate::wire::Ending;

/// Calls of one session at a time.
const CALLS_MAX: usize = 1024;
/// Time a server has to answer a call that was cancelled; it need not answer at all.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Calls {
    by_id: HashMap<Id, Call>,
    by_token: HashMap<Id, Id>,
}

struct Call {
    /// The id as the client wrote it.
    raw_id: Box<RawValue>,
    progress_token: Option<Id>,
    /// No longer counted when a message is to be given to the only call in flight.
    cancelled: bool,
    /// The number by which a shared child knows the call.
    number: Option<u64>,
    batch: Rc<Batch>,
    /// What of this is as long as the client likes.
    _counted: Counted,
}

/// The calls of one POST, which share its stream.
struct Batch {
    stream: Rc<Stream>,
    unanswered: Cell<usize>,
    /// Whether nothing comes on the stream after the last answer.
    ends: bool,
}

/// Why a call cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallRefused {
    /// A call with the same id waits, or comes twice in a batch.
    IdInUse,
    /// There are [`CALLS_MAX`] already.
    TooMany,
    /// The session holds too many bytes of messages.
    Full,
    /// The session is over.
    Over,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ProgressParams<'a> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: &'a RawValue,
}

impl Session {
    /// Notes the calls of one POST, before they are sent to the child. Their answers come on the stream.
    pub(crate) fn call(&self, requests: &[&Request<'_>]) -> Result<Rc<Stream>, CallRefused> {
        if self.over().is_some() {
            return Err(CallRefused::Over);
        }
        if !self.has_room() {
            return Err(CallRefused::Full);
        }
        let stream = self.one_stream.get().cloned().unwrap_or_else(|| self.new_stream());
        let mut calls = self.calls.borrow_mut();
        if calls.by_id.len() + requests.len() > CALLS_MAX {
            return Err(CallRefused::TooMany);
        }
        let (unanswered, ends) = (requests.len().into(), !self.is_one_stream());
        let batch = Rc::new(Batch { stream: stream.clone(), unanswered, ends });
        for (at, request) in requests.iter().enumerate() {
            let id = Id::read(request.id).expect("a request has an id that can be read");
            if calls.by_id.contains_key(&id) {
                for earlier in &requests[..at] {
                    Id::read(earlier.id).and_then(|id| calls.remove(&id));
                }
                return Err(CallRefused::IdInUse);
            }
            let (token, token_bytes) = progress_token(request.params).unzip();
            if let Some(token) = &token {
                calls.by_token.insert(token.clone(), id.clone());
            }
            // Both are kept as they were written or in a form of that size, and as keys once more.
            let counted = self.noted.count(2 * (request.id.get().len() + token_bytes.unwrap_or_default()));
            let call = Call {
                raw_id: request.id.to_owned(),
                progress_token: token,
                cancelled: false,
                number: None,
                batch: batch.clone(),
                _counted: counted,
            };
            calls.by_id.insert(id, call);
        }
        drop(calls);
        Ok(stream)
    }

    /// Gives an answer to the POST that waits for it; `false` if none does.
    pub(crate) fn answer(&self, id: &Id, message: Bytes) -> bool {
        let Some(call) = self.calls.borrow_mut().remove(id) else { return false };
        self.used();
        self.answered.set(true);
        call.answer(message);
        true
    }

    /// Puts a message of the server on the stream of a call, if it still waits.
    pub(super) fn put(&self, id: &Id, message: Bytes) {
        let stream = self.calls.borrow().by_id.get(id).map(|call| call.batch.stream.clone());
        if let Some(stream) = stream {
            stream.put(message);
        }
    }

    /// Notes by which number a shared child knows a call.
    pub(super) fn numbered(&self, id: &Id, number: u64) {
        if let Some(call) = self.calls.borrow_mut().by_id.get_mut(id) {
            call.number = Some(number);
        }
    }

    /// The number by which a shared child knows a call.
    pub(super) fn number(&self, id: &Id) -> Option<u64> {
        self.calls.borrow().by_id.get(id)?.number
    }

    /// Whether a call still waits, and its client has not given it up.
    pub(super) fn wants(&self, id: &Id) -> bool {
        self.calls.borrow().by_id.get(id).is_some_and(|call| !call.cancelled)
    }

    /// The numbers of all calls that wait for a shared child.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.calls.borrow().by_id.values().filter_map(|call| call.number).collect()
    }

    /// Answers a call with an error of our own; `false` if it does not wait.
    pub(super) fn fail(&self, id: &Id, text: &str) -> bool {
        let Some(call) = self.calls.borrow_mut().remove(id) else { return false };
        call.fail(text);
        true
    }

    /// Answers a call with an error object that somebody else wrote; `false` if it does not wait.
    pub(super) fn fail_with(&self, id: &Id, error: &RawValue) -> bool {
        let Some(call) = self.calls.borrow_mut().remove(id) else { return false };
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, call.raw_id);
        call.answer(answer.into());
        true
    }

    /// Whether the call of that POST still waits, and not another one to which the client gave its id afterwards.
    fn waits(&self, id: &Id, batch: &Weak<Batch>) -> bool {
        let calls = self.calls.borrow();
        calls.by_id.get(id).is_some_and(|call| batch.as_ptr() == Rc::as_ptr(&call.batch))
    }

    /// The streams of calls whose client has left before they were opened: nobody can ever read them.
    pub(super) fn abandoned_streams(&self) -> Vec<Rc<Stream>> {
        let calls = self.calls.borrow();
        let streams = calls.by_id.values().map(|call| &call.batch.stream);
        streams.filter(|stream| Rc::strong_count(stream) == 1).cloned().collect()
    }

    pub(super) fn fail_calls(&self, ending: &Ending) {
        for call in self.calls.take().by_id.into_values() {
            call.fail(&format!("{ending} before it answered"));
        }
    }

    /// The stream of the call that a `notifications/progress` is about.
    pub(super) fn progress_stream(&self, params: Option<&RawValue>) -> Option<Rc<Stream>> {
        let params: ProgressParams<'_> = serde_json::from_str(params?.get()).ok()?;
        let token = Id::read(params.progress_token)?;
        let calls = self.calls.borrow();
        calls.by_token.get(&token).and_then(|id| calls.by_id.get(id)).map(|call| call.batch.stream.clone())
    }

    /// The stream of the only POST in flight.
    pub(super) fn only_stream(&self) -> Option<Rc<Stream>> {
        let calls = self.calls.borrow();
        let mut batches = calls.by_id.values().filter(|call| !call.cancelled).map(|call| &call.batch);
        let first = batches.next()?;
        batches.all(|batch| Rc::ptr_eq(batch, first)).then(|| first.stream.clone())
    }

    /// Notes that the client gave up a call. The server may still answer, but need not: then the call ends here.
    pub(crate) fn cancelled(self: &Rc<Self>, notification: &Notification<'_>) {
        let Some(id) = cancelled_id(notification) else { return };
        let batch = match self.calls.borrow_mut().by_id.get_mut(&id) {
            Some(call) if !call.cancelled => {
                call.cancelled = true;
                Rc::downgrade(&call.batch)
            }
            _ => return,
        };
        let session = Rc::downgrade(self);
        let deadline = Instant::now() + CANCEL_GRACE;
        tokio::task::spawn_local(async move {
            sleep_until(deadline).await;
            if let Some(session) = session.upgrade()
                && session.waits(&id, &batch)
            {
                session.fail(&id, "the call was cancelled");
            }
        });
    }
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn remove(&mut self, id: &Id) -> Option<Call> {
        let call = self.by_id.remove(id)?;
        if let Some(token) = &call.progress_token {
            self.by_token.remove(token);
        }
        Some(call)
    }
}

impl Call {
    fn answer(self, message: Bytes) {
        let Batch { stream, unanswered, ends } = &*self.batch;
        stream.answer(message);
        unanswered.set(unanswered.get() - 1);
        if unanswered.get() == 0 && *ends {
            stream.finish();
        }
    }

    fn fail(self, text: &str) {
        let error = message::error(Some(&self.raw_id), code::SERVER_ERROR, text, None);
        self.answer(error.into());
    }
}

/// The call that a client gives up.
pub(super) fn cancelled_id(notification: &Notification<'_>) -> Option<Id> {
    let params = notification.params?.get();
    Id::read_text(&params[splice::find(params, &["requestId"])?])
}

/// The progress token of a call, and how long it is as written. The search saves a second reading of large parameters, which rarely have one.
fn progress_token(params: Option<&RawValue>) -> Option<(Id, usize)> {
    let params = params?.get();
    memmem::find(params.as_bytes(), b"\"progressToken\"")?;
    let params: CallParams<'_> = serde_json::from_str(params).ok()?;
    let token = params.meta?.progress_token?;
    Id::read(token).map(|read| (read, token.get().len()))
}
