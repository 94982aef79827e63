//! What a caller keeps of a child, and what happens when it lets go.

use std::rc::Rc;

use super::Link;
use crate::translate::Exchange;

/// Keeps a child for a caller who is about to call.
pub(crate) struct Lease(Rc<Link>);

/// A call that is given up when this is dropped before its answer has come: in the era without sessions, a client
/// cancels by leaving.
pub(crate) struct Pending {
    link: Rc<Link>,
    number: u64,
    /// The call that is given up, and only if it is still in this round.
    round: Option<(Rc<Exchange>, u64)>,
}

/// A question of the bridge, which is forgotten when nobody waits for the answer any more.
pub(super) struct Asked<'a> {
    pub(super) link: &'a Link,
    pub(super) number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.link.calls.borrow_mut().remove(self.number);
    }
}

impl Lease {
    pub(crate) fn of(link: &Rc<Link>) -> Self {
        link.leases.set(link.leases.get() + 1);
        Self(link.clone())
    }

    pub(crate) fn link(&self) -> &Rc<Link> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.leases.set(self.0.leases.get() - 1);
    }
}

impl Pending {
    pub(crate) fn new(link: &Rc<Link>, number: u64) -> Self {
        Self { link: link.clone(), number, round: None }
    }

    /// What is given up is a round of an exchange.
    pub(crate) fn in_round(link: &Rc<Link>, number: u64, exchange: &Rc<Exchange>) -> Self {
        Self { link: link.clone(), number, round: Some((exchange.clone(), exchange.round())) }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let passed = self.round.as_ref().is_some_and(|(exchange, round)| exchange.round() != *round);
        if !passed {
            self.link.cancel(self.number);
        }
    }
}
