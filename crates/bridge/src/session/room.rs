//! The bound on what one session holds: `--session-bytes-max`, over messages both ways and what is kept for a client to
//! resume.
//!
//! It is looked at before a message is taken, so one message each way may exceed it, and its copy on the way out. What is
//! only kept is dropped first. Then new calls are refused, and the child is not read until its client has read.

use std::rc::Rc;

use super::{Session, Stream};

impl Session {
    /// Whether another call may be made.
    pub(super) fn has_room(&self) -> bool {
        self.make_room();
        self.held_bytes() <= self.bytes_max
    }

    /// Whether so much waits for the child to read that it gets no message of any kind.
    pub(crate) fn is_clogged(&self) -> bool {
        self.waiting_bytes() > self.bytes_max
    }

    /// Whether so much waits for the client that no more may come.
    pub(super) fn is_flooded(&self) -> bool {
        if self.outgoing.bytes() > self.bytes_max {
            self.make_room();
        }
        self.outgoing.bytes() > self.bytes_max
    }

    fn held_bytes(&self) -> usize {
        self.waiting_bytes() + self.outgoing.bytes()
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
