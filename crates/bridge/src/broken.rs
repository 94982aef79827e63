//! Lines of a child that are no message: what is logged of them, and which call fails for them.

use bytes::Bytes;
use mcp::message::{self, Id, ParseError};
use mcp::scan::{Scanner, Summary};
use memchr::memmem;

use crate::report::{Report, Source};
use crate::serve::chain;

/// Takes a line that cannot be read. What was meant as a message is not logged, since it may hold what is not for the
/// log; gives the call that it would have answered, and why that fails. Anything else is a line of the log.
pub(crate) fn line(line: &Bytes, error: &ParseError, report: &Report) -> Option<(Id, String)> {
    let mut scanner = Scanner::new();
    scanner.feed(line);
    let summary = scanner.into_summary();
    let answers = summary.id.is_some() && (summary.result || summary.error);
    let message = summary.messages > 0 && memmem::find(line, b"\"jsonrpc\"").is_some();
    if !answers && !message {
        report.line(Source::Stdout, line);
        return None;
    }
    let text = format!("a message of the server, of {} bytes, is not valid: {}", line.len(), chain(error));
    report.note(&text);
    answered(summary).map(|id| (id, text))
}

/// Takes a line that a child wrote for nobody: it is for the log, unless it was meant as a message.
pub(crate) fn unowned(text: &Bytes, report: &Report) {
    if let Err(error) = message::parse(text) {
        line(text, &error, report);
    }
}

/// Takes what could be read of a line that was too long to be kept: the call it would have answered fails, and no other.
pub(crate) fn too_long(scanned: Scanner, bytes: u64, report: &Report) -> (Option<Id>, String) {
    let text = format!("a message of the server has {bytes} bytes, more than are allowed");
    report.note(&text);
    (answered(scanned.into_summary()), text)
}

/// The call that a message answers, going by what could be read of it.
fn answered(summary: Summary) -> Option<Id> {
    let id = summary.id.filter(|id| summary.method.is_none() && !id.truncated)?;
    Id::read_text(&id.text)
}
