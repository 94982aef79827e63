//! The calls of a shared child that wait for an answer, by the number that the child knows them by.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use mcp::message::{self, code};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::{Asker, Link, Outgoing};
use crate::meter::{Counted, Meter};
use crate::stream::Stream;
use crate::translate::Exchange;

#[derive(Default)]
pub(super) struct Calls {
    by_number: HashMap<u64, Call>,
    last: u64,
}

pub(super) struct Call {
    pub(super) asker: Asker,
    /// The id as the caller wrote it.
    pub(super) id: Box<RawValue>,
    /// The progress token as the caller wrote it.
    pub(super) token: Option<Box<RawValue>>,
    /// Whether the caller wants to read what the server logs meanwhile.
    pub(super) logs: bool,
    /// Whether it never ends by itself.
    pub(super) listens: bool,
    /// What of this is as long as the caller likes.
    _counted: Option<Counted>,
}

impl Calls {
    pub(super) fn add(&mut self, call: Call) -> u64 {
        self.last += 1;
        self.by_number.insert(self.last, call);
        self.last
    }

    pub(super) fn get(&self, number: u64) -> Option<&Call> {
        self.by_number.get(&number)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Call> {
        self.by_number.remove(&number)
    }

    /// The number and the call of the only exchange in flight.
    pub(super) fn only_exchange(&self) -> Option<(u64, Rc<Exchange>)> {
        let of_clients = |(_, call): &(&u64, &Call)| !matches!(call.asker, Asker::Bridge(_));
        let mut calls = self.by_number.iter().filter(of_clients);
        let (Some((number, call)), None) = (calls.next(), calls.next()) else { return None };
        if let Asker::Exchange(exchange) = &call.asker { Some((*number, exchange.clone())) } else { None }
    }

    /// The call whose answer goes on a stream.
    pub(super) fn of_stream(&self, stream: &Rc<Stream>) -> Option<u64> {
        let of_it = |call: &Call| match &call.asker {
            Asker::Post(other) => Rc::ptr_eq(other, stream),
            Asker::Exchange(exchange) => exchange.is_on(stream),
            Asker::Session(..) | Asker::Listener(_) | Asker::Bridge(_) => false,
        };
        self.by_number.iter().find(|(_, call)| of_it(call)).map(|(number, _)| *number)
    }

    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The only call in flight of those that can be meant.
    pub(super) fn only(&self, meant: impl Fn(&Call) -> bool) -> Option<&Call> {
        let mut calls = self.by_number.values().filter(|call| meant(call));
        let only = calls.next()?;
        calls.next().is_none().then_some(only)
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Call> {
        std::mem::take(&mut self.by_number).into_values()
    }
}

impl Call {
    pub(super) fn of(request: &Outgoing<'_>, asker: Asker, noted: &Meter) -> Self {
        let (id, token) = (request.id().to_owned(), request.token());
        let bytes = id.get().len() + token.as_ref().map_or(0, |token| token.get().len());
        let counted = Some(noted.count(bytes));
        Self { asker, id, token, logs: request.logs(), listens: request.listens(), _counted: counted }
    }

    pub(super) fn of_the_bridge(sender: oneshot::Sender<Bytes>) -> Self {
        let id = RawValue::NULL.to_owned();
        let asker = Asker::Bridge(sender);
        Self { asker, id, token: None, logs: false, listens: false, _counted: None }
    }

    /// Gives the caller the answer, which bears its own id.
    pub(super) fn answer(self, message: Bytes) {
        match self.asker {
            Asker::Post(stream) => {
                stream.answer(message);
                stream.finish();
            }
            Asker::Session(session, id) => {
                if let Some(session) = session.upgrade() {
                    session.answer_shared(&id, message);
                }
            }
            // An exchange is answered in its own words, and to listen has no end for a session.
            Asker::Exchange(_) | Asker::Listener(_) => {}
            // Whoever asked may have stopped waiting.
            Asker::Bridge(sender) => drop(sender.send(message)),
        }
    }

    /// Gives the caller a message that comes before the answer.
    pub(super) fn notify(&self, method: &str, message: Bytes) {
        match &self.asker {
            Asker::Post(stream) => stream.put(message),
            Asker::Session(session, id) => {
                if let Some(session) = session.upgrade() {
                    session.notify(id, message);
                }
            }
            Asker::Listener(session) => {
                if let Some(session) = session.upgrade() {
                    session.told(method, message);
                }
            }
            Asker::Exchange(_) | Asker::Bridge(_) => {}
        }
    }

    /// Answers with an error in the bridge's name.
    pub(super) fn fail(self, link: &Link, text: &str) {
        if let Asker::Exchange(exchange) = &self.asker {
            return exchange.fail(code::INTERNAL_ERROR, text, None);
        }
        let code = if link.is_stateless() { code::INTERNAL_ERROR } else { code::SERVER_ERROR };
        let error = message::error(Some(&self.id), code, text, None);
        self.answer(error.into());
    }
}
