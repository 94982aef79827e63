//! Which stream a message of the child goes on.
//!
//! stdio does not say what a message belongs to, except for answers and progress. "The server MUST send each of its
//! messages on only one of the connected streams" (2025-11-25, Transports): answers and progress go to their call; what
//! tells of lists and resources belongs to no call and goes to the GET stream; anything else goes to the only call in
//! flight, and to the GET stream when there is none or more than one.

use std::rc::Rc;

use bytes::Bytes;
use mcp::message::{self, Body, Id, Message, Response};
use mcp::scan::Scanner;

use super::Session;
use crate::broken;
use crate::changes::is_change;
use crate::meter::Meter;
use crate::report::Report;
use crate::serve::Bridge;
use crate::stream::Stream;
use crate::wire::{Ending, Owner};

impl Owner for Session {
    fn deliver(self: Rc<Self>, line: &Bytes, report: &Report) {
        let messages = match message::parse(line) {
            Ok(Body::One(message)) => return self.route(&message, line),
            Ok(Body::Batch(messages)) => messages,
            Err(error) => {
                if let Some((id, text)) = broken::line(line, &error, report) {
                    self.fail(&id, &text);
                }
                return;
            }
        };
        for message in &messages {
            self.route(message, line);
        }
    }

    fn deliver_too_long(&self, scanned: Scanner, bytes: u64, report: &Report) {
        let (id, text) = broken::too_long(scanned, bytes, report);
        if let Some(id) = id {
            self.fail(&id, &text);
        }
    }

    fn is_full(&self) -> bool {
        self.is_flooded()
    }

    fn outgoing(&self) -> &Meter {
        &self.outgoing
    }

    fn ended(self: Rc<Self>, bridge: &Bridge, ending: Ending) {
        self.end(ending);
        bridge.sessions.remove(&self);
        bridge.pool.look_again();
    }
}

impl Session {
    fn route(&self, message: &Message<'_>, line: &Bytes) {
        match message {
            Message::Response(response) => self.route_answer(response, line),
            Message::Notification(notification) => {
                let stream = match &*notification.method {
                    "notifications/progress" => self.progress_stream(notification.params),
                    method if is_change(method) => Some(self.listener()),
                    _ => None,
                };
                stream.unwrap_or_else(|| self.uncorrelated()).put(part(line, notification.raw));
            }
            Message::Request(request) => self.uncorrelated().put(part(line, request.raw)),
        }
    }

    fn route_answer(&self, response: &Response<'_>, line: &Bytes) {
        let known = Id::read(response.id).is_some_and(|id| self.answer(&id, part(line, response.raw)));
        if !known {
            let bytes = response.raw.len();
            tracing::warn!(session = self.id(), bytes, "the server answered a call that does not wait");
        }
    }

    fn uncorrelated(&self) -> Rc<Stream> {
        self.only_stream().unwrap_or_else(|| self.listener())
    }
}

/// The part of the line that holds a message, without copying it.
fn part(line: &Bytes, message: &str) -> Bytes {
    line.slice_ref(message.as_bytes())
}
