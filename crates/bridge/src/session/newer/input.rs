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
use crate::session::Session;

/// Times that a server may ask for input before it answers one call.
const ROUNDS_MAX: u32 = 32;

/// A call that may be asked about.
pub(super) struct Round {
    /// The client's request.
    request: String,
    state: Option<String>,
    answers: BTreeMap<String, String>,
    unanswered: usize,
    rounds: u32,
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
        if !self.ask_client(newer, id, text) {
            let text = "the server asked for input again and again, or where it must not";
            newer.forget(id);
            self.fail(id, text);
        }
    }

    /// An answer of the client to a question of the server.
    pub(in crate::session) async fn answered_by_client(
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
        let complete = {
            let mut calls = newer.calls.borrow_mut();
            let Some(round) = calls.get_mut(&id) else { return };
            round.answers.insert(name, result.get().to_owned());
            round.unanswered = round.unanswered.saturating_sub(1);
            round.unanswered == 0
        };
        if complete {
            self.ask_newer_again(newer, link, id).await;
        }
    }

    fn conclude(&self, newer: &Newer, id: &Id, answer: Bytes) {
        newer.forget(id);
        self.answer(id, answer);
    }

    async fn ask_newer_again(self: &Rc<Self>, newer: &Newer, link: &Rc<Link>, id: Id) {
        let (text, more) = {
            let calls = newer.calls.borrow();
            let Some(round) = calls.get(&id) else { return };
            (round.request.clone(), round.input())
        };
        if let Ok(Body::One(Message::Request(request))) = message::parse(text.as_bytes()) {
            self.ask_newer(newer, link, id, &request, more).await;
        }
    }

    /// Asks the client what a result asks for; `false` if it must not be asked.
    fn ask_client(self: &Rc<Self>, newer: &Newer, id: &Id, text: &str) -> bool {
        let mut calls = newer.calls.borrow_mut();
        let Some(round) = calls.get_mut(id) else { return false };
        round.rounds += 1;
        round.answers.clear();
        round.state = splice::find(text, &["result", "requestState"]).map(|place| text[place].to_owned());
        if round.rounds > ROUNDS_MAX {
            return false;
        }
        let requests = splice::find(text, &["result", "inputRequests"]);
        let requests = requests.and_then(|place| splice::Members::of(text, place));
        let mut questions = Vec::new();
        for member in requests.into_iter().flatten() {
            let (Ok(name), request) =
                (serde_json::from_str::<String>(&text[member.key]), &text[member.value])
            else {
                return false;
            };
            if !request.starts_with('{') {
                return false;
            }
            newer.asked.set(newer.asked.get() + 1);
            let key = format!("mcpcan-{}", newer.asked.get());
            let mut edits = Edits::of(request);
            edits.insert(&(0..request.len()), format!(r#""jsonrpc":"2.0","id":"{key}""#));
            questions.push((key, name, crate::link::line(edits.apply())));
        }
        round.unanswered = questions.len();
        drop(calls);
        if questions.is_empty() {
            self.retry_soon(id.clone());
        }
        for (key, name, request) in questions {
            newer.questions.borrow_mut().insert(key, (id.clone(), name));
            self.put(id, request);
        }
        true
    }

    /// The server only wants the request again, with its state.
    fn retry_soon(self: &Rc<Self>, id: Id) {
        let session = self.clone();
        tokio::task::spawn_local(async move {
            if let Some((shared, newer)) = session.newer()
                && let Some(link) = shared.current_link()
            {
                session.ask_newer_again(newer, &link, id).await;
            }
        });
    }
}

impl Round {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let request = request.raw.to_owned();
        Self { request, state: None, answers: BTreeMap::new(), unanswered: 0, rounds: 0 }
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
