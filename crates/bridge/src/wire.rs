//! The pipes of a running child, and who owns them.
//!
//! A child is started before it is known what for: the one that was asked which eras it speaks serves the first client.
//! So the tasks in [`pump`] move lines between the pipes and an [`Owner`], who may change until the first message.

mod pump;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use mcp::scan::Scanner;
use tokio::sync::{Notify, mpsc};

use crate::child::{Child, Exit, SpawnError};
use crate::meter::Meter;
use crate::report::Report;
use crate::serve::Bridge;

/// Whoever takes what a child says.
pub(crate) trait Owner {
    /// Takes a line that the child wrote on stdout.
    fn deliver(self: Rc<Self>, line: &Bytes, report: &Report);

    /// Takes what could be read of a line that was too long to be kept.
    fn deliver_too_long(&self, scanned: Scanner, bytes: u64, report: &Report);

    /// Whether so much waits for clients that the child must not say more. Drops what nobody waits for.
    fn is_full(&self) -> bool;

    /// What is counted for [`is_full`](Self::is_full).
    fn outgoing(&self) -> &Meter;

    /// The child is gone, or takes and gives nothing more.
    fn ended(self: Rc<Self>, bridge: &Bridge, ending: Ending);
}

pub(crate) struct Wire {
    /// Gone when the child is to end: it then sees the end of its stdin.
    stdin: RefCell<Option<mpsc::UnboundedSender<Bytes>>>,
    /// Messages for the child. Their number is not bounded, their bytes are: whoever sends looks at [`Wire::waiting_bytes`].
    incoming: Meter,
    owner: RefCell<Option<Rc<dyn Owner>>>,
    over: Cell<Option<Ending>>,
    over_signal: Notify,
}

/// Why nothing more comes of a child, or of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The child is gone.
    Exited(Exit),
    /// The child takes or gives nothing more.
    PipeClosed,
    /// The client ended it, or left before it began.
    Deleted,
    /// `initialize` was refused by the server, or took too long.
    NotInitialized,
    /// Nobody used it.
    Idle,
    /// Its client reads too slowly.
    Clogged,
    /// The bridge ends.
    ShuttingDown,
}

/// What is over takes no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl Wire {
    /// Starts a child, which nobody owns yet.
    pub(crate) fn start(bridge: &Rc<Bridge>) -> Result<Rc<Self>, SpawnError> {
        let child = Child::spawn(&bridge.config, bridge.open_files)?;
        let (stdin, messages) = mpsc::unbounded_channel();
        let wire = Rc::new(Self {
            stdin: RefCell::new(Some(stdin)),
            incoming: Meter::default(),
            owner: RefCell::new(None),
            over: Cell::new(None),
            over_signal: Notify::new(),
        });
        pump::start(bridge, &wire, child, messages);
        Ok(wire)
    }

    /// From now on this one takes what the child says.
    pub(crate) fn give_to(&self, owner: Rc<dyn Owner>) {
        *self.owner.borrow_mut() = Some(owner);
    }

    /// Gives the child messages, in order, without waiting until it reads them.
    pub(crate) fn send(&self, lines: impl IntoIterator<Item = Bytes>) -> Result<(), Over> {
        let stdin = self.stdin.borrow();
        let stdin = stdin.as_ref().ok_or(Over)?;
        lines.into_iter().try_for_each(|line| stdin.send(self.incoming.hold(line)).map_err(|_| Over))
    }

    /// Bytes that wait for the child to read them.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.incoming.bytes()
    }

    pub(crate) fn over(&self) -> Option<Ending> {
        self.over.get()
    }

    /// Ends the child: it is told by the end of its stdin, and not so gently if it does not listen.
    pub(crate) fn end(&self, ending: Ending) {
        if self.over.get().is_none() {
            self.over.set(Some(ending));
            self.stdin.take();
            self.over_signal.notify_one();
        }
    }

    fn owner(&self) -> Option<Rc<dyn Owner>> {
        self.owner.borrow().clone()
    }
}

/// A message of a body as one line, without a copy if it is one already.
pub(crate) fn line_of(body: &Bytes, raw: &str) -> Bytes {
    match mcp::message::line(raw) {
        Cow::Borrowed(raw) => body.slice_ref(raw.as_bytes()),
        Cow::Owned(line) => line.into(),
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(exit) => write!(formatter, "the server {exit}"),
            Self::PipeClosed => formatter.write_str("the server closed its connection"),
            Self::Deleted => formatter.write_str("the client ended the session"),
            Self::NotInitialized => formatter.write_str("the server was not initialised"),
            Self::Idle => formatter.write_str("the session was not used"),
            Self::Clogged => formatter.write_str("the session's client read too slowly"),
            Self::ShuttingDown => formatter.write_str("the server is being stopped"),
        }
    }
}
