//! One call of a client of 2026-07-28 at an older server, over all the rounds that it takes.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use bytes::Bytes;
use mcp::message::{self, Notification, Request, Response, code};
use mcp::splice;
use serde_json::value::{RawValue, to_raw_value};

use super::{QUESTIONS, result};
use crate::link::{Introduction, meta};
use crate::meter::{Counted, Meter};
use crate::stream::Stream;

/// Methods that may be answered with questions.
const ROUNDS: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];
/// The levels of log messages, in the order of how bad they are (RFC 5424).
pub(crate) const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

pub(crate) struct Exchange {
    server: Rc<Introduction>,
    method: String,
    /// What the call is about, as a hash: a client that comes again must ask for the same.
    subject: u64,
    hasher: RandomState,
    /// Counts what is as long as client and server like.
    noted: Meter,
    _method: Counted,
    round: RefCell<Round>,
    rounds: Cell<u64>,
    /// What the server has asked and the client has not been told.
    unasked: RefCell<Vec<Question>>,
}

/// One request of the client, until its answer.
struct Round {
    id: Box<RawValue>,
    token: Option<Box<RawValue>>,
    logs: Option<usize>,
    /// Gone once it is answered.
    stream: Option<Rc<Stream>>,
    _counted: Counted,
}

/// A request of the server to its client.
pub(crate) struct Question {
    /// The id that the server gave it.
    pub(super) id: Box<RawValue>,
    /// The name that the client knows it by.
    pub(super) key: String,
    /// Method and parameters, as the server wrote them.
    request: String,
    _counted: Counted,
}

/// What is to be done about a question.
pub(crate) enum Asked {
    /// The client is told so, when it can be.
    Passed,
    /// The client has not declared that it can be asked that.
    Undeclared(&'static str),
    /// Nobody can be asked that here.
    Unknown,
}

impl Exchange {
    /// A call whose answer goes on a stream, and whose memory counts there.
    pub(crate) fn begin(
        server: Rc<Introduction>,
        request: &Request<'_>,
        stream: Rc<Stream>,
        noted: &Meter,
    ) -> Rc<Self> {
        let hasher = RandomState::new();
        Rc::new(Self {
            server,
            method: request.method.as_ref().to_owned(),
            subject: hasher.hash_one(subject(request)),
            hasher,
            noted: noted.clone(),
            _method: noted.count(request.method.len()),
            round: RefCell::new(Round::of(request, stream, noted)),
            rounds: Cell::new(0),
            unasked: RefCell::default(),
        })
    }

    /// Which round this is: what belongs to an earlier one means nothing any more.
    pub(crate) fn round(&self) -> u64 {
        self.rounds.get()
    }

    /// Whether a request asks for the same.
    pub(super) fn is_about(&self, request: &Request<'_>) -> bool {
        self.method == request.method && self.subject == self.hasher.hash_one(subject(request))
    }

    /// The client has come again.
    pub(super) fn next_round(&self, request: &Request<'_>, stream: Rc<Stream>) {
        *self.round.borrow_mut() = Round::of(request, stream, &self.noted);
        self.rounds.set(self.rounds.get() + 1);
    }

    /// Whether what comes of it goes on this stream.
    pub(crate) fn is_on(&self, stream: &Rc<Stream>) -> bool {
        self.round.borrow().stream.as_ref().is_some_and(|own| Rc::ptr_eq(own, stream))
    }

    pub(crate) fn answer(&self, response: &Response<'_>) {
        let mut round = self.round.borrow_mut();
        if let Some(stream) = round.stream.take() {
            stream.answer(result::answer(response, &round.id, &self.method, &self.server).into());
            stream.finish();
        }
    }

    /// Ends the call with an error of the bridge's own.
    pub(crate) fn fail(&self, code: i64, text: &str, data: Option<&RawValue>) {
        let mut round = self.round.borrow_mut();
        if let Some(stream) = round.stream.take() {
            stream.answer(message::error(Some(&round.id), code, text, data).into());
            stream.finish();
        }
    }

    /// Passes on how far the server is.
    pub(crate) fn progress(&self, text: &str, place: std::ops::Range<usize>) {
        let round = self.round.borrow();
        if let (Some(stream), Some(token)) = (&round.stream, &round.token) {
            let mut edits = splice::Edits::of(text);
            edits.replace(place, token.get());
            stream.put(edits.apply().into());
        }
    }

    /// Passes on what belongs to the call but names none. Log messages only if the client has asked for them, which
    /// older servers do not know.
    pub(crate) fn notify(&self, notification: &Notification<'_>) {
        let round = self.round.borrow();
        let Some(stream) = &round.stream else { return };
        let wanted = notification.method != "notifications/message"
            || round.logs.is_some_and(|least| level(notification) >= Some(least));
        if wanted {
            stream.put(Bytes::copy_from_slice(notification.raw.as_bytes()));
        }
    }

    /// The server asks the client something.
    pub(crate) fn asked(&self, request: &Request<'_>, capabilities: &str) -> Asked {
        let Some((_, capability)) = QUESTIONS.iter().find(|(method, _)| *method == request.method) else {
            return Asked::Unknown;
        };
        if !ROUNDS.contains(&&*self.method) {
            return Asked::Unknown;
        }
        if splice::find(capabilities, &[capability]).is_none() {
            return Asked::Undeclared(capability);
        }
        let method = to_raw_value(&*request.method).map(|method| method.to_string()).unwrap_or_default();
        let request_text = match request.params {
            Some(params) => format!(r#"{{"method":{method},"params":{}}}"#, params.get()),
            None => format!(r#"{{"method":{method}}}"#),
        };
        let mut unasked = self.unasked.borrow_mut();
        let key = format!("{}-{}", self.round() + 1, unasked.len() + 1);
        let (id, counted) = (request.id.to_owned(), self.noted.count(request.raw.len()));
        unasked.push(Question { id, key, request: request_text, _counted: counted });
        Asked::Passed
    }

    /// Asks the client what the server has asked meanwhile, if the client waits. Gives the questions.
    pub(super) fn ask(&self, state: &str) -> Option<Vec<Question>> {
        let questions = std::mem::take(&mut *self.unasked.borrow_mut());
        if questions.is_empty() {
            return None;
        }
        if self.round.borrow().stream.is_none() {
            *self.unasked.borrow_mut() = questions;
            return None;
        }
        self.ask_again(state, &questions);
        Some(questions)
    }

    /// Ends the round with questions.
    pub(super) fn ask_again(&self, state: &str, questions: &[Question]) {
        let requests: Vec<_> =
            questions.iter().map(|question| format!("\"{}\":{}", question.key, question.request)).collect();
        let mut round = self.round.borrow_mut();
        let Some(stream) = round.stream.take() else { return };
        let (id, requests) = (round.id.get(), requests.join(","));
        let server = self.server.member(&["serverInfo"]);
        let server = server.map(|info| format!(r#","_meta":{{"{}":{info}}}"#, meta::SERVER_INFO));
        let answer = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{{requests}}},"requestState":"{state}"{}}}}}"#,
            server.unwrap_or_default()
        );
        self.rounds.set(self.rounds.get() + 1);
        stream.answer(answer.into());
        stream.finish();
    }

    /// What the client has to declare so that it can be asked something.
    pub(crate) fn undeclared(&self, capability: &str) {
        let data = format!(r#"{{"requiredCapabilities":{{"{capability}":{{}}}}}}"#);
        let data = RawValue::from_string(data).ok();
        let text = format!("the server asks for {capability}, which the client has not declared");
        self.fail(code::MISSING_CLIENT_CAPABILITY, &text, data.as_deref());
    }
}

impl Round {
    fn of(request: &Request<'_>, stream: Rc<Stream>, noted: &Meter) -> Self {
        let params = request.params.map(|params| params.get()).unwrap_or_default();
        let in_meta = |key| splice::find(params, &["_meta", key]).map(|place| params[place].to_owned());
        let token = in_meta("progressToken").and_then(|token| RawValue::from_string(token).ok());
        let logs = in_meta(meta::LOG_LEVEL).and_then(|level| serde_json::from_str::<String>(&level).ok());
        let logs = logs.and_then(|name| LEVELS.iter().position(|level| *level == name));
        let id = request.id.to_owned();
        let bytes = id.get().len() + token.as_ref().map_or(0, |token| token.get().len());
        Self { id, token, logs, stream: Some(stream), _counted: noted.count(bytes) }
    }
}

/// What a request is about: its parameters without what is of one round.
fn subject<'a>(request: &Request<'a>) -> [Option<&'a str>; 3] {
    let params = request.params.map(|params| params.get()).unwrap_or_default();
    ["name", "uri", "arguments"].map(|key| splice::find(params, &[key]).map(|place| &params[place]))
}

fn level(notification: &Notification<'_>) -> Option<usize> {
    let params = notification.params?.get();
    let level = &params[splice::find(params, &["level"])?];
    let level: String = serde_json::from_str(level).ok()?;
    LEVELS.iter().position(|known| *known == level)
}
