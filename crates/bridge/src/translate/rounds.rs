//! Calls that are held at an older server while their client finds the answers (2026-07-28, Multi Round-Trip Requests).
//!
//! `requestState` is an id that cannot be guessed: the state is the held call itself. It is good once, for the same client
//! and the same request, and for [`HOLD_MAX`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use mcp::message::{self, Request, code};
use mcp::splice;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::exchange::{Exchange, Question};
use crate::link::{Link, Pending};
use crate::placement::Key;
use crate::random;
use crate::serve::Bridge;
use crate::stream::Stream;

/// Calls that are held at a time.
const HELD_MAX: usize = 1024;
/// Time for a server to ask more than one thing: what it asks at once comes in one round.
const GATHER_TIME: Duration = Duration::from_millis(10);
/// Time a client has to come again.
const HOLD_MAX: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Rounds {
    held: RefCell<HashMap<String, Held>>,
}

struct Held {
    link: Rc<Link>,
    number: u64,
    exchange: Rc<Exchange>,
    questions: Vec<Question>,
    until: Instant,
}

/// A held call that goes on.
pub(crate) struct Resumed {
    pub(crate) stream: Rc<Stream>,
    /// The round that has begun, and may be over already.
    pub(crate) pending: Pending,
}

/// A request does not go on with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotResumed {
    #[error("the requestState is not one of this request, or is over: send the request without it")]
    Unknown,
    #[error("the server holds too many bytes that it has not read")]
    Clogged,
}

impl Rounds {
    /// The server has asked something about a call. Lets the client know soon, with what is asked beside it.
    pub(crate) fn asked(bridge: Rc<Bridge>, link: Rc<Link>, number: u64, exchange: Rc<Exchange>) {
        spawn_local(async move {
            sleep(GATHER_TIME).await;
            bridge.rounds.ask(&link, number, &exchange);
        });
    }

    /// Lets the client of a call know what the server has asked, and holds the call if there was something.
    fn ask(&self, link: &Rc<Link>, number: u64, exchange: &Rc<Exchange>) {
        let state = random::id();
        if let Some(questions) = exchange.ask(&state) {
            self.hold(
                state,
                Held { link: link.clone(), number, exchange: exchange.clone(), questions, until: until() },
            );
        }
    }

    /// Goes on with the call that a request of this client names, giving the server the answers.
    pub(crate) fn resume(
        &self,
        key: &Key,
        request: &Request<'_>,
        state: &str,
    ) -> Result<Resumed, NotResumed> {
        let held = self.take(key, request, state)?;
        let params = request.params.map(|params| params.get()).unwrap_or_default();
        let stream = held.link.stream();
        let answer = |question: &Question| {
            let place = splice::find(params, &["inputResponses", &question.key])?;
            Some(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, question.id, &params[place]))
        };
        let answers: Option<Vec<_>> = held.questions.iter().map(answer).collect();
        let (link, number, exchange) = (held.link.clone(), held.number, held.exchange.clone());
        exchange.next_round(request, stream.clone());
        let pending = Pending::in_round(&link, number, &exchange);
        match answers {
            Some(answers) => {
                let lines = answers.into_iter().map(crate::link::line);
                link.tell(lines);
                self.ask(&link, number, &exchange);
            }
            None => {
                // What is missing is asked for again, in the same words.
                let state = random::id();
                exchange.ask_again(&state, &held.questions);
                self.hold(state, Held { until: until(), ..held });
            }
        }
        Ok(Resumed { stream, pending })
    }

    /// Gives up the calls that nobody has come back for.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut held = self.held.borrow_mut();
        let over: Vec<_> = held.extract_if(|_, held| held.until <= now || held.link.is_over()).collect();
        drop(held);
        over.into_iter().for_each(|(_, held)| held.give_up());
    }

    fn hold(&self, state: String, held: Held) {
        let oldest = {
            let all = self.held.borrow();
            let oldest = || all.iter().min_by_key(|(_, held)| held.until).map(|(state, _)| state.clone());
            if all.len() >= HELD_MAX { oldest() } else { None }
        };
        if let Some(oldest) = oldest.and_then(|state| self.held.borrow_mut().remove(&state)) {
            oldest.give_up();
        }
        self.held.borrow_mut().insert(state, held);
    }

    fn take(&self, key: &Key, request: &Request<'_>, state: &str) -> Result<Held, NotResumed> {
        let mut all = self.held.borrow_mut();
        let held = all.get(state).ok_or(NotResumed::Unknown)?;
        let same = held.link.key().is_of_same_client(key) && held.exchange.is_about(request);
        if !same || held.link.is_over() {
            return Err(NotResumed::Unknown);
        }
        if held.link.is_clogged() {
            return Err(NotResumed::Clogged);
        }
        all.remove(state).ok_or(NotResumed::Unknown)
    }
}

impl Held {
    fn give_up(self) {
        self.link.cancel(self.number);
        let refusals = self.questions.iter().map(|question| {
            message::error(Some(&question.id), code::INTERNAL_ERROR, "the client did not answer", None).into()
        });
        self.link.tell(refusals);
    }
}

fn until() -> Instant {
    Instant::now() + HOLD_MAX
}
