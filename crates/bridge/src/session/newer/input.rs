//! Calls that a server without sessions answers with questions (2026-07-28, Multi Round-Trip Requests): the client is asked
//! on the stream of its call, and with its answers the call is made again.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use mcp::message::{self, Body, Id, Message, Outcome, Request, Response};
use mcp::splice::{self, Edits};
use memchr::memmem;

use super::Newer;
use crate::link::Link;
use crate::meter::{Counted, Meter};
use crate::session::Session;

/// Times that a server may ask for input before it answers one call.
const ROUNDS_MAX: u32 = 32;
/// Why a call ends of which too much is said.
const TOO_MUCH: &str = "the session holds too many bytes of questions and answers about its calls";

/// A call that may be asked about, and is then made again.
pub(super) struct Repeatable {
    /// The client's request.
    request: Bytes,
    state: Option<String>,
    answers: BTreeMap<String, String>,
    unanswered: usize,
    rounds: u32,
    /// What was said about it since it was last made.
    counted: Vec<Counted>,
}

impl Session {
    /// The answer of the server to a call of the client, or its questions.
    pub(crate) fn answer_from_newer(self: &Rc<Self>, newer: &Newer, id: &Id, answer: Bytes) {
        let asks = memmem::find(&answer, b"input_required").is_some();
        let response = match message::parse(&answer) {
            Ok(Body::One(Message::Response(response))) if asks => response,
            _ => return self.conclude(newer, id, answer),
        };
        let text = response.raw;
        let kind = splice::find(text, &["result", "resultType"]).map(|place| &text[place]);
        if kind != Some(r#""input_required""#) {
            return self.conclude(newer, id, answer);
        }
        if let Err(text) = self.ask_client(newer, id, text) {
            newer.forget(id);
            self.fail(id, text);
        }
    }

    /// An answer of the client to a question of the server.
    pub(in crate::session) fn answered_by_client(
        self: &Rc<Self>,
        newer: &Newer,
        link: &Rc<Link>,
        response: &Response<'_>,
    ) {
        let key = serde_json::from_str::<String>(response.id.get()).ok();
        let Some((id, name)) = key.and_then(|key| newer.questions.borrow_mut().remove(&key)) else { return };
        let result = match response.outcome {
            Outcome::Result(result) => result,
            Outcome::Error(error) => {
                // 2026-07-28 has no way to say so to the server: the call ends with it.
                newer.forget(&id);
                self.fail_with(&id, error);
                return;
            }
        };
        if newer.said.bytes() > self.bytes_max {
            newer.forget(&id);
            self.fail(&id, TOO_MUCH);
            return;
        }
        let complete = {
            let mut calls = newer.calls.borrow_mut();
            let Some(call) = calls.get_mut(&id) else { return };
            call.counted.push(newer.said.count(result.get().len()));
            call.answers.insert(name, result.get().to_owned());
            call.unanswered = call.unanswered.saturating_sub(1);
            call.unanswered == 0
        };
        if complete {
            self.ask_newer_again(newer, link, id);
        }
    }

    fn conclude(&self, newer: &Newer, id: &Id, answer: Bytes) {
        newer.forget(id);
        self.answer(id, answer);
    }

    fn ask_newer_again(self: &Rc<Self>, newer: &Newer, link: &Rc<Link>, id: Id) {
        let (text, more) = {
            let calls = newer.calls.borrow();
            let Some(call) = calls.get(&id) else { return };
            (call.request.clone(), call.input())
        };
        if let Ok(Body::One(Message::Request(request))) = message::parse(&text) {
            self.ask_newer(newer, link, id, &request, more);
        }
    }

    /// Asks the client what a result asks for; says why, if it must not be asked.
    fn ask_client(self: &Rc<Self>, newer: &Newer, id: &Id, text: &str) -> Result<(), &'static str> {
        let mut calls = newer.calls.borrow_mut();
        let call = calls.get_mut(id).ok_or("the server asked for input where it must not")?;
        call.next_round()?;
        if newer.said.bytes() > self.bytes_max {
            return Err(TOO_MUCH);
        }
        // The state, and the names of the questions.
        call.counted.push(newer.said.count(text.len()));
        call.state = splice::find(text, &["result", "requestState"]).map(|place| text[place].to_owned());
        let questions = newer.questions_of(text).ok_or("the server asked for input that is no request")?;
        call.unanswered = questions.len();
        drop(calls);
        if questions.is_empty() {
            self.retry_soon(id.clone());
        }
        for (key, name, request) in questions {
            newer.questions.borrow_mut().insert(key, (id.clone(), name));
            self.put(id, request);
        }
        Ok(())
    }

    /// The server only wants the request again, with its state.
    fn retry_soon(self: &Rc<Self>, id: Id) {
        let session = self.clone();
        tokio::task::spawn_local(async move {
            let Some((shared, newer)) = session.newer() else { return };
            match shared.current_link() {
                Some(link) => session.ask_newer_again(newer, &link, id),
                None => {
                    newer.forget(&id);
                    session.fail(&id, "the server has ended");
                }
            }
        });
    }
}

impl Newer {
    /// The requests that the client gets for what a result asks for, each with its key here and its name there.
    fn questions_of(&self, text: &str) -> Option<Vec<(String, String, Bytes)>> {
        let Some(requests) = splice::find(text, &["result", "inputRequests"]) else { return Some(vec![]) };
        let question = |member: splice::Member| {
            let (name, request) = (serde_json::from_str(&text[member.key]).ok()?, &text[member.value]);
            if !request.starts_with('{') {
                return None;
            }
            self.asked.set(self.asked.get() + 1);
            let key = format!("mcpcan-{}", self.asked.get());
            let mut edits = Edits::of(request);
            edits.insert(&(0..request.len()), format!(r#""jsonrpc":"2.0","id":"{key}""#));
            Some((key, name, crate::link::line(edits.apply())))
        };
        splice::Members::of(text, requests)?.map(question).collect()
    }
}

impl Repeatable {
    /// A call whose request counts there.
    pub(super) fn of(request: &Request<'_>, noted: &Meter) -> Self {
        let request = noted.hold(Bytes::copy_from_slice(request.raw.as_bytes()));
        let (answers, counted) = (BTreeMap::new(), Vec::new());
        Self { request, state: None, answers, unanswered: 0, rounds: 0, counted }
    }

    fn next_round(&mut self) -> Result<(), &'static str> {
        self.rounds += 1;
        self.answers.clear();
        self.counted.clear();
        if self.rounds > ROUNDS_MAX { Err("the server asked for input again and again") } else { Ok(()) }
    }

    /// The members that the request is made again with.
    fn input(&self) -> Option<String> {
        let mut members = Vec::new();
        if !self.answers.is_empty() {
            let answers = self.answers.iter().map(|(name, answer)| {
                let name = serde_json::Value::from(name.as_str());
                format!("{name}:{answer}")
            });
            members.push(format!("\"inputResponses\":{{{}}}", answers.collect::<Vec<_>>().join(",")));
        }
        if let Some(state) = &self.state {
            members.push(format!("\"requestState\":{state}"));
        }
        (!members.is_empty()).then(|| members.join(","))
    }
}
