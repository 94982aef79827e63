//! The bound on what a shared child holds: `--session-bytes-max`, over messages both ways and what is remembered of calls.
//!
//! It is looked at before a message is taken, so one message each way may exceed it. Beyond it new calls are refused, and
//! the child is not read until clients have read. Those that do not are cut off, so that the others need not wait for
//! them.

use std::rc::Rc;

use super::Link;
use crate::meter::Meter;
use crate::stream::Stream;

impl Link {
    /// Whether another call may be made.
    pub(crate) fn has_room(&self) -> bool {
        self.make_room();
        self.wire.waiting_bytes() + self.outgoing.bytes() + self.noted.bytes() <= self.bytes_max
    }

    /// Whether so much waits for the child to read that it gets no message of any kind.
    pub(crate) fn is_clogged(&self) -> bool {
        self.wire.waiting_bytes() > self.bytes_max
    }

    /// Whether so much waits for clients that no more may come.
    pub(super) fn is_flooded(&self) -> bool {
        self.make_room();
        self.outgoing.bytes() > self.bytes_max
    }

    /// What counts beside messages.
    pub(crate) fn noted(&self) -> &Meter {
        &self.noted
    }

    /// Cuts off clients that read too slowly, before they take everybody's memory: all that take nothing, and of those
    /// that wait for their answer the one with the most to read before it.
    pub(super) fn make_room(&self) {
        if self.outgoing.bytes() <= self.bytes_max {
            return;
        }
        let streams: Vec<_> = self.streams.borrow().iter().filter_map(std::rc::Weak::upgrade).collect();
        streams.iter().filter(|stream| stream.is_stalled()).for_each(|stream| self.cut_off(stream));
        // What answers take that are being read makes no stream too slow.
        if streams.iter().map(|stream| stream.said()).sum::<usize>() > self.bytes_max
            && let Some(slowest) = streams.iter().max_by_key(|stream| stream.said())
        {
            self.cut_off(slowest);
        }
    }

    fn cut_off(&self, stream: &Rc<Stream>) {
        tracing::warn!(bytes = stream.kept().0, "a client read its stream too slowly and is cut off");
        stream.cut_off();
        let number = self.calls.borrow().of_stream(stream);
        number.into_iter().for_each(|number| self.cancel(number));
    }
}
