//! Looks into an answer's bytes as they pass: a JSON body, or the events of a stream. Holds a few short texts.

use mcp::scan::{Scanner, Summary};
use mcp::sse::{Piece, Splitter};

use crate::traces::{Body, BodyKind, Prefix};

/// The scan of one answer.
#[derive(Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "most answers are JSON, and each has exactly one scan")]
pub(crate) enum AnswerScan {
    /// Of another form, or encoded: not looked into.
    #[default]
    Opaque,
    Json(Scanner),
    Events(Box<EventScan>),
}

/// The scan of an event stream: each event's data is a message of its own.
#[derive(Debug, Default)]
pub(crate) struct EventScan {
    splitter: Splitter,
    message: Message,
}

#[derive(Debug, Default)]
struct Message {
    scanner: Scanner,
    has_data: bool,
    /// The last message that answers a request: neither a notification nor a request of the server.
    answer: Option<Summary>,
    kept: Option<Kept>,
}

/// What is kept of messages, if anything is: of the one that passes, and of the one that was the answer.
#[derive(Debug, Default)]
struct Kept {
    passing: Prefix,
    answer: Option<Prefix>,
}

impl AnswerScan {
    /// The scan of an event stream, which may keep the beginning of the answering message.
    pub(crate) fn events(keeps: bool) -> Self {
        let mut events = Box::<EventScan>::default();
        events.message.kept = keeps.then(Kept::default);
        Self::Events(events)
    }

    /// What was kept of the answering message of an event stream: its data, without the form of the stream around it.
    pub(crate) fn take_message(&mut self) -> Option<Body> {
        let Self::Events(events) = self else { return None };
        let prefix = events.message.kept.as_mut()?.answer.take()?;
        Some(Body { kind: BodyKind::Text, prefix })
    }

    /// Reads the next bytes of the body.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        match self {
            Self::Opaque => {}
            Self::Json(scanner) => scanner.feed(chunk),
            Self::Events(events) => {
                let EventScan { splitter, message } = &mut **events;
                splitter.feed(chunk, |piece| message.take(piece));
            }
        }
    }

    /// What the answer says, as far as it has been read.
    pub(crate) fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Opaque => None,
            Self::Json(scanner) => Some(scanner.summary()),
            Self::Events(events) => events.message.answer.as_ref(),
        }
    }

    /// Whether the client has been given what it asked for, though the body may go on.
    pub(crate) fn is_answered(&self) -> bool {
        let answers = |summary: &Summary| summary.result || summary.error;
        match self {
            Self::Opaque => false,
            Self::Json(scanner) => scanner.summary().complete && answers(scanner.summary()),
            Self::Events(events) => events.message.answer.is_some(),
        }
    }
}

impl Message {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            // The lines of one event's data are joined by line feeds (WHATWG HTML section 9.2.6).
            Piece::DataLine if self.has_data => self.feed(b"\n"),
            Piece::DataLine => self.has_data = true,
            Piece::Data(bytes) => self.feed(bytes),
            Piece::End => {
                let summary = std::mem::take(&mut self.scanner).into_summary();
                let kept = self.kept.as_mut().map(|kept| std::mem::take(&mut kept.passing));
                self.has_data = false;
                if summary.method.is_none() && (summary.result || summary.error) {
                    self.answer = Some(summary);
                    if let Some(known) = &mut self.kept {
                        known.answer = kept;
                    }
                }
            }
            Piece::Event(_) | Piece::Id(_) | Piece::Retry(_) | Piece::FieldTooLong => {}
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes);
        if let Some(kept) = &mut self.kept {
            kept.passing.feed(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&str]) -> AnswerScan {
        let mut scan = AnswerScan::events(false);
        for chunk in chunks {
            scan.feed(chunk.as_bytes());
        }
        scan
    }

    #[test]
    fn the_answer_is_found_among_the_events() {
        let scan = events(&[
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":7,\ndata: \"err",
            "or\":{\"code\":-32602,\"message\":\"no\"}}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\"}\n\n",
        ]);
        assert_eq!(scan.summary().and_then(|summary| summary.error_code), Some(-32602));
    }

    #[test]
    fn an_event_that_has_not_ended_is_no_answer() {
        assert_eq!(events(&["data: {\"id\":7,\"result\":{}}\n"]).summary(), None);
    }

    #[test]
    fn a_call_is_answered_by_a_whole_message() {
        assert!(!events(&["data: {\"method\":\"notifications/progress\"}\n\n"]).is_answered());
        assert!(events(&["data: {\"id\":7,\"result\":{}}\n\n", "data: {\"met"]).is_answered());
        let mut json = AnswerScan::Json(Scanner::new());
        json.feed(b"{\"id\":7,\"result\":{\"content\":[");
        assert!(!json.is_answered());
        json.feed(b"]}}");
        assert!(json.is_answered());
    }
}
