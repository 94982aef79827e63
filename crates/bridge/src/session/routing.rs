//! Which stream a message of the child goes on.
//!
//! stdio does not say what a message belongs to, except for answers and progress. "The server MUST send each of its
//! messages on only one of the connected streams" (2025-11-25, Transports): answers and progress go to their call; what
//! tells of lists and resources belongs to no call and goes to the GET stream; anything else goes to the only call in
//! flight, and to the GET stream when there is none or more than one.

use std::rc::Rc;

use bytes::Bytes;
use mcp::message::{self, Body, Id, Message, ParseError, Response};
use mcp::scan::{Scanner, Summary};
use memchr::memmem;
use serde_json::value::RawValue;

use super::{Session, Stream};
use crate::report::{Report, Source};
use crate::serve::chain;

impl Session {
    /// Takes a line that the child wrote on stdout.
    pub(super) fn deliver(&self, line: &Bytes, report: &Report) {
        let messages = match message::parse(line) {
            Ok(Body::One(message)) => return self.route(&message, line),
            Ok(Body::Batch(messages)) => messages,
            Err(error) => return self.deliver_broken(line, &error, report),
        };
        for message in &messages {
            self.route(message, line);
        }
    }

    /// Takes a line that cannot be read. What was meant as a message is not logged, since it may hold what is not for the
    /// log; the call it would have answered fails. Anything else is a line of the log.
    fn deliver_broken(&self, line: &Bytes, error: &ParseError, report: &Report) {
        let mut scanner = Scanner::new();
        scanner.feed(line);
        let summary = scanner.into_summary();
        let answers = summary.id.is_some() && (summary.result || summary.error);
        let message = summary.messages > 0 && memmem::find(line, b"\"jsonrpc\"").is_some();
        if !answers && !message {
            return report.line(Source::Stdout, line);
        }
        let text =
            format!("a message of the server, of {} bytes, is not valid: {}", line.len(), chain(error));
        report.note(&text);
        self.fail_answered(summary, &text);
    }

    /// Concludes a line that was too long to be kept: the call it would have answered fails, and no other.
    pub(super) fn deliver_too_long(&self, scanned: Scanner, bytes: u64, report: &Report) {
        let text = format!("a message of the server has {bytes} bytes, more than are allowed");
        report.note(&text);
        self.fail_answered(scanned.into_summary(), &text);
    }

    /// Fails the call that a message answers, going by what could be read of it.
    fn fail_answered(&self, summary: Summary, text: &str) {
        let id = summary.id.filter(|id| summary.method.is_none() && !id.truncated);
        let id = id.and_then(|id| RawValue::from_string(id.text).ok());
        if let Some(id) = id.and_then(|id| Id::read(&id)) {
            self.fail(&id, text);
        }
    }

    fn route(&self, message: &Message<'_>, line: &Bytes) {
        match message {
            Message::Response(response) => self.route_answer(response, line),
            Message::Notification(notification) => {
                let stream = match &*notification.method {
                    "notifications/progress" => self.progress_stream(notification.params),
                    "notifications/tools/list_changed"
                    | "notifications/prompts/list_changed"
                    | "notifications/resources/list_changed"
                    | "notifications/resources/updated" => Some(self.listener()),
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
