//! The bound on what one session holds: `--session-bytes-max`, over messages both ways, what is kept for a client to
//! resume, and what is remembered of calls.
//!
//! It is looked at before a message is taken, so one message each way may exceed it, and its copy on the way out. What is
//! only kept is dropped first. Then new calls are refused, and the child is not read until its client has read.

use std::rc::Rc;

use super::{Server, Session};
use crate::stream::Stream;

impl Session {
    /// Whether another call may be made.
    pub(super) fn has_room(&self) -> bool {
        self.make_room();
        self.held_bytes() <= self.bytes_max
    }

    /// Whether so much waits for the child to read that it gets no message of any kind.
    pub(crate) fn is_clogged(&self) -> bool {
        match &self.server {
            Server::Own(wire) => wire.waiting_bytes() > self.bytes_max,
            Server::Shared(shared) => shared.current_link().is_some_and(|link| link.is_clogged()),
        }
    }

    /// Whether so much waits for the client that no more may come.
    pub(super) fn is_flooded(&self) -> bool {
        if self.outgoing.bytes() > self.bytes_max {
            self.make_room();
        }
        self.outgoing.bytes() > self.bytes_max
    }

    fn held_bytes(&self) -> usize {
        let elsewhere = match &self.server {
            Server::Own(wire) => wire.waiting_bytes(),
            // What waits for a shared child is bounded there.
            Server::Shared(_) => self.newer().map_or(0, |(_, newer)| newer.held_bytes()),
        };
        elsewhere + self.outgoing.bytes() + self.noted.bytes()
    }

    /// Drops what nobody waits for, the oldest first, until the session holds no more than it may.
    fn make_room(&self) {
        if self.held_bytes() <= self.bytes_max {
            return;
        }
        let mut streams = self.streams.borrow_mut();
        let mut kept: Vec<Rc<Stream>> = streams.by_number.values().cloned().collect();
        for stream in &kept {
            if self.held_bytes() <= self.bytes_max {
                return;
            }
            if stream.is_finished() && !stream.is_connected() {
                streams.by_number.remove(&stream.number());
                stream.forget_all();
            }
        }
        drop(streams);
        kept.extend(self.abandoned_streams());
        for stream in kept {
            if self.held_bytes() <= self.bytes_max {
                return;
            }
            if stream.is_connected() {
                stream.forget_sent();
            } else {
                stream.forget_all();
            }
        }
    }
}
