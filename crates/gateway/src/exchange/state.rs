//! What is known of an exchange so far.

use std::sync::Arc;

use mcp::scan::{Scanner, Text};

use super::End;
use super::answer_scan::AnswerScan;
use crate::refusal::Refusal;
use crate::routes::Destination;
use crate::traces::{Answer, Body, Head, Receipt, Rpc};

pub(super) struct State {
    pub(super) is_get: bool,
    pub(super) request: Option<Scanner>,
    pub(super) request_body: Option<Body>,
    pub(super) request_bytes: u64,
    /// What was found in the request, and after how many bytes.
    pub(super) rpc: (Arc<Rpc>, u64),
    pub(super) destination: Option<Arc<Destination>>,
    pub(super) answer: AnswerScan,
    pub(super) answer_says: Answer,
    pub(super) answer_head: Option<Arc<Head>>,
    pub(super) answer_body: Option<Body>,
    pub(super) response_bytes: u64,
    pub(super) first_byte_ns: u64,
    /// Why the request's body was cut off, if it was.
    pub(super) body_refusal: Option<Refusal>,
    pub(super) passed_on: bool,
    pub(super) finished: bool,
    /// Of the events that nobody has waited for yet, where answers wait for them.
    pub(super) receipt: Option<Receipt>,
}

impl State {
    pub(super) fn new(is_get: bool, request: Option<Scanner>, request_body: Option<Body>) -> Self {
        Self {
            is_get,
            request,
            request_body,
            request_bytes: 0,
            rpc: (Arc::default(), 0),
            destination: None,
            answer: AnswerScan::Opaque,
            answer_says: Answer::default(),
            answer_head: None,
            answer_body: None,
            response_bytes: 0,
            first_byte_ns: 0,
            body_refusal: None,
            passed_on: false,
            finished: false,
            receipt: None,
        }
    }

    /// What the scanner has found in the request.
    pub(super) fn read_request(&mut self) -> Arc<Rpc> {
        let (known, bytes) = &mut self.rpc;
        if *bytes != self.request_bytes
            && let Some(scanner) = &self.request
        {
            let summary = scanner.summary();
            *known = Arc::new(Rpc {
                method: text(summary.method.as_ref()),
                id: text(summary.id.as_ref()),
                target: text(summary.target()),
                protocol_version: text(summary.protocol_version.as_ref()),
            });
            *bytes = self.request_bytes;
        }
        known.clone()
    }

    /// An end that comes after the answer to a call breaks nothing off: a client may go as soon as it has read it.
    pub(super) fn as_seen(&self, end: End) -> End {
        match end {
            End::ClientGone | End::CutOff(_) | End::Lost(_) if !self.is_get && self.answer.is_answered() => {
                End::Complete
            }
            end => end,
        }
    }
}

fn text(found: Option<&Text>) -> String {
    found.map(|found| found.text.clone()).unwrap_or_default()
}
