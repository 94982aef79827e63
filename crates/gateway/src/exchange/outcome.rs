//! What a call came to, in the words of the log: event, level, and the class of what went wrong. Pure.
//!
//! **Error classes**, the words to count by, are a fixed set. Empty: nothing went wrong. The code of a refusal
//! (`refusal.rs`), such as `token_invalid` or `upstream_unreachable`: the gateway answered in its own name. And of what the
//! upstream answered or the client did:
//!
//! | class | what went wrong |
//! |---|---|
//! | `rpc_error` | the answer was a JSON-RPC error; its code is in `rpc_error_code` |
//! | `tool_error` | the result says that the tool has failed (`isError`) |
//! | `upstream_status` | the upstream answered with a status of 400 or above and said no more |
//! | `upstream_broke_off` | the upstream ended in the middle of its answer |
//! | `client_gone` | the client went away before the end of the answer |
//! | `cut_off` | the gateway broke the call off: a token or an instance ended, the upstream was silent, a shutdown |
//!
//! **Levels** follow what somebody looks for. `error`: the upstream or the platform failed. `warn`: the call did not do
//! what was asked for. `info`: it did. What clients say on their own and often is below: lists and other inquiries are
//! `debug`, pings and notifications `trace`. What goes wrong is never below `warn`, whatever the method.

use access_log::{Level, TraceEvent};
use http::StatusCode;
use mcp::scan::Summary;

use super::End;
use crate::traces::Answer;

/// What one event says of the call.
pub(super) struct Outcome {
    pub(super) event: TraceEvent,
    pub(super) level: Level,
    pub(super) class: &'static str,
    pub(super) error: String,
}

impl Outcome {
    /// The level, with what is routine set apart.
    pub(super) fn level_of(&self, rpc_method: &str) -> Level {
        match rpc_method {
            _ if self.level != Level::Info => self.level,
            "ping" => Level::Trace,
            method if method.starts_with("notifications/") => Level::Trace,
            "initialize" | "server/discover" | "logging/setLevel" | "completion/complete" => Level::Debug,
            method if method.ends_with("/list") => Level::Debug,
            _ => Level::Info,
        }
    }
}

/// What the answering message says.
pub(super) fn of_message(summary: &Summary) -> Answer {
    let code = summary.error_code.filter(|_| summary.error);
    Answer {
        // Codes are small by definition (JSON-RPC 2.0 section 5.1); what is none of them is told by the error's words.
        rpc_error_code: code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default(),
        is_error: !summary.error && summary.is_error,
        // What was agreed on counts, not what the client asked for.
        protocol_version: summary.protocol_version.as_ref().map(|version| version.text.clone()),
        ..Answer::default()
    }
}

/// The outcome of a call that has ended.
pub(super) fn of(end: &End, is_get: bool, answer: &Answer, message: Option<&Summary>) -> Outcome {
    let is_stream = is_get && answer.status == 200;
    let outcome = |event, level, class, error: &str| Outcome { event, level, class, error: error.to_owned() };
    match end {
        End::Complete => complete(is_get, answer, message),
        End::Refused(refusal, detail) => {
            let event = match refusal.status() {
                StatusCode::TOO_MANY_REQUESTS => TraceEvent::RateLimited,
                _ if refusal.is_about_credentials() => TraceEvent::AuthFailed,
                _ => TraceEvent::Error,
            };
            let class = refusal.code();
            let level = level(refusal.status().as_u16(), class);
            match detail {
                Some(detail) => outcome(event, level, class, &format!("{class}: {refusal}: {detail}")),
                None => outcome(event, level, class, &format!("{class}: {refusal}")),
            }
        }
        End::Broken(detail) => {
            let error = format!("the upstream broke off: {detail}");
            outcome(TraceEvent::Error, Level::Error, "upstream_broke_off", &error)
        }
        // A client ends a GET stream by going away: there is no other way.
        End::ClientGone if is_stream => outcome(TraceEvent::SseEnd, Level::Info, "", ""),
        End::ClientGone => outcome(TraceEvent::Error, Level::Warn, "client_gone", "the client went away"),
        End::CutOff(why) | End::Lost(why) if is_stream => outcome(TraceEvent::SseEnd, Level::Info, "", why),
        End::CutOff(why) | End::Lost(why) => outcome(TraceEvent::Error, Level::Warn, "cut_off", why),
    }
}

fn complete(is_get: bool, answer: &Answer, message: Option<&Summary>) -> Outcome {
    let (class, error) = match message {
        Some(Summary { error: true, error_code: Some(code), .. }) => {
            ("rpc_error", format!("json-rpc error {code}"))
        }
        Some(Summary { error: true, .. }) => ("rpc_error", "json-rpc error".to_owned()),
        Some(Summary { is_error: true, .. }) => ("tool_error", "the tool reported an error".to_owned()),
        _ if answer.status >= 400 => {
            ("upstream_status", format!("the upstream answered with status {}", answer.status))
        }
        _ => ("", String::new()),
    };
    let event = if is_get && answer.status == 200 { TraceEvent::SseEnd } else { TraceEvent::Response };
    // A server without a stream of its own says 405 to every client that asks for one.
    if is_get && answer.status == StatusCode::METHOD_NOT_ALLOWED.as_u16() {
        return Outcome { event, level: Level::Debug, class: "", error: String::new() };
    }
    Outcome { event, level: level(answer.status, class), class, error }
}

fn level(status: u16, class: &str) -> Level {
    match status {
        500.. => Level::Error,
        400.. => Level::Warn,
        _ if class.is_empty() => Level::Info,
        _ => Level::Warn,
    }
}
