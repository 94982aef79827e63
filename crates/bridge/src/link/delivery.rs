//! Whom a message of a shared child belongs to.

use std::rc::Rc;

use bytes::Bytes;
use mcp::message::{self, Body, Id, Message, Notification, Request, Response, code};
use mcp::scan::Scanner;
use tokio::time::Instant;

use super::calls::Call;
use super::rewrite::{self, meta};
use super::{Asker, Link};
use crate::broken;
use crate::changes::is_change;
use crate::meter::Meter;
use crate::report::Report;
use crate::serve::Bridge;
use crate::translate::{Asked, Rounds};
use crate::wire::{Ending, Owner};

impl Owner for Link {
    fn deliver(self: Rc<Self>, line: &Bytes, report: &Report) {
        let messages = match message::parse(line) {
            Ok(Body::One(message)) => return self.route(&message),
            Ok(Body::Batch(messages)) => messages,
            Err(error) => {
                if let Some((id, text)) = broken::line(line, &error, report) {
                    self.fail(id, &text);
                }
                return;
            }
        };
        for message in &messages {
            self.route(message);
        }
    }

    fn deliver_too_long(&self, scanned: Scanner, bytes: u64, report: &Report) {
        let (id, text) = broken::too_long(scanned, bytes, report);
        if let Some(id) = id {
            self.fail(id, &text);
        }
    }

    /// Not for long: one client that does not read must not keep the others from being answered. It is cut off instead.
    fn is_full(&self) -> bool {
        self.is_flooded()
    }

    fn outgoing(&self) -> &Meter {
        &self.outgoing
    }

    fn ended(self: Rc<Self>, bridge: &Bridge, ending: Ending) {
        let calls: Vec<_> = self.calls.borrow_mut().take().collect();
        for call in calls {
            call.fail(&self, &format!("{ending} before it answered"));
        }
        self.not_introduced(ending);
        bridge.listeners.ended(&self);
        bridge.links.forget(bridge, &self, ending);
    }
}

impl Link {
    fn route(self: &Rc<Self>, message: &Message<'_>) {
        match message {
            Message::Response(response) => self.route_answer(response),
            Message::Notification(notification) => self.route_notification(notification),
            Message::Request(request) => self.route_request(request),
        }
    }

    fn route_answer(&self, response: &Response<'_>) {
        let number = Id::read(response.id).and_then(rewrite::number);
        let call = number.and_then(|number| self.calls.borrow_mut().remove(number));
        let Some(call) = call else {
            self.given_up.borrow_mut().retain(|(given_up, _)| Some(*given_up) != number);
            tracing::debug!(bytes = response.raw.len(), "the server answered a call that does not wait");
            return;
        };
        self.proven.set(true);
        self.last_used.set(Instant::now());
        let message = match &call.asker {
            Asker::Exchange(exchange) => return exchange.answer(response),
            Asker::Bridge(_) => Bytes::copy_from_slice(response.raw.as_bytes()),
            Asker::Post(_) | Asker::Session(..) | Asker::Listener(_) => {
                rewrite::answer(response, &call.id, call.listens)
            }
        };
        call.answer(message);
    }

    fn route_notification(&self, notification: &Notification<'_>) {
        self.make_room();
        let (text, method) = (notification.raw, &*notification.method);
        let calls = self.calls.borrow();
        if method == "notifications/tools/list_changed" {
            self.forget_parameters();
        }
        if method == "notifications/progress" {
            let Some((number, place)) = rewrite::number_at(text, &["params", "progressToken"]) else {
                return;
            };
            match calls.get(number) {
                Some(Call { asker: Asker::Exchange(exchange), .. }) => exchange.progress(text, place),
                Some(call) => {
                    if let Some(token) = &call.token {
                        call.notify(method, rewrite::with(text, place, token));
                    }
                }
                None => {}
            }
            return;
        }
        if let Some((number, place)) = rewrite::number_at(text, &["params", "_meta", meta::SUBSCRIPTION]) {
            if let Some(call) = calls.get(number).filter(|call| call.listens) {
                call.notify(method, rewrite::with(text, place, &call.id));
            }
            return;
        }
        drop(calls);
        if method == "notifications/cancelled" {
            return self.subscription_ended(text);
        }
        if !self.is_stateless() && is_change(method) {
            if let Some(bridge) = self.bridge.upgrade() {
                bridge.listeners.changed(&self.key, notification);
            }
            return;
        }
        self.route_uncorrelated(notification);
    }

    /// A server ends a subscription with a cancellation or with a result (2026-07-28 says both): clients get the result.
    fn subscription_ended(&self, text: &str) {
        let number = rewrite::number_at(text, &["params", "requestId"]).map(|(number, _)| number);
        let mut calls = self.calls.borrow_mut();
        let Some(number) = number.filter(|number| calls.get(*number).is_some_and(|call| call.listens)) else {
            return;
        };
        let Some(call) = calls.remove(number) else { return };
        drop(calls);
        let end = rewrite::end_of_subscription(&call.id);
        call.answer(end);
    }

    /// stdio does not say which call a log line or an unknown notification belongs to. It goes to the only call that it
    /// can belong to, and otherwise to nobody: what a server still says of a call that was given up must not reach
    /// another client.
    fn route_uncorrelated(&self, notification: &Notification<'_>) {
        let log = notification.method == "notifications/message";
        let calls = self.calls.borrow();
        let meant = match (self.is_stateless(), log) {
            _ if self.is_in_doubt() => None,
            (true, true) => calls.only(|call| call.logs),
            (true, false) => calls.only(|call| !call.listens),
            (false, _) if self.serves_one_client() => calls.only(|_| true),
            (false, _) => None,
        };
        match meant {
            Some(Call { asker: Asker::Exchange(exchange), .. }) => exchange.notify(notification),
            Some(call) => {
                call.notify(&notification.method, Bytes::copy_from_slice(notification.raw.as_bytes()))
            }
            None => {
                tracing::debug!(
                    method = &*notification.method,
                    "a notification of the server belongs to no call"
                );
            }
        }
    }

    /// A question of the server is for its client, if there is one and it is clear which call it is about.
    fn route_request(self: &Rc<Self>, request: &Request<'_>) {
        let answer = match &*request.method {
            "ping" => rewrite::empty_result(request.id),
            _ if self.ask_client(request) => return,
            _ => {
                let text = "no client of this server can be asked that";
                message::error(Some(request.id), code::METHOD_NOT_FOUND, text, None).into()
            }
        };
        if self.is_clogged() {
            tracing::warn!("a server that does not read asks for more answers, and gets none");
            return;
        }
        self.tell([answer]);
    }

    /// Asks the client of the only call in flight; `false` if it cannot be asked.
    fn ask_client(self: &Rc<Self>, request: &Request<'_>) -> bool {
        // It could be about a call that was given up.
        let is_clear = self.serves_one_client() && !self.is_in_doubt();
        let exchange = if is_clear { self.calls.borrow().only_exchange() } else { None };
        let (Some((number, exchange)), Some(bridge)) = (exchange, self.bridge.upgrade()) else {
            return false;
        };
        if self.noted.bytes() > self.bytes_max {
            return false;
        }
        match exchange.asked(request, &self.key.capabilities) {
            Asked::Passed => {
                Rounds::asked(bridge, self.clone(), number, exchange);
                true
            }
            Asked::Undeclared(capability) => {
                exchange.undeclared(capability);
                self.cancel(number);
                false
            }
            Asked::Unknown => false,
        }
    }

    fn fail(&self, id: Id, text: &str) {
        let call = rewrite::number(id).and_then(|number| self.calls.borrow_mut().remove(number));
        if let Some(call) = call {
            call.fail(self, text);
        }
    }
}
