//! Loading one aggregate: its events in pages, or, where there are many, a snapshot and the events after it.

use async_nats::HeaderMap;
use domain::{CommandId, ImpossibleEvent};

use super::snapshot::{self, Mark, Snapshot};
use crate::connection::Store;
use crate::direct_get::batch_from;
use crate::envelope;
use crate::error::{During, Unavailable, Unreadable};
use crate::role::Role;
use crate::subject::{self, header};
use crate::upcast::Stored;

/// How many events are read before a snapshot is asked for: most aggregates have fewer and cost one request.
const FIRST_PAGE_EVENTS: usize = 256;
/// How many events one further request for an aggregate's past brings.
const PAGE_EVENTS: usize = 1000;
/// How many events are folded beyond the snapshot in the bucket before a new one is written.
const SNAPSHOT_EVENTS: usize = 256;

/// An aggregate as the log tells it.
#[derive(Clone, Debug)]
pub struct Aggregate<D: Stored> {
    pub state: D::State,
    /// The sequence of its last event; 0 when it has none.
    pub last_sequence: u64,
    /// The sequence of the last event that the asked-for command led to, if it was carried out before.
    pub done_by_command: Option<u64>,
}

/// Why an aggregate could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("event {sequence} on {subject} contradicts the events before it")]
    Corrupt {
        subject: String,
        sequence: u64,
        #[source]
        source: ImpossibleEvent,
    },
}

impl Store {
    /// Loads an aggregate and looks whether a command was carried out on it before.
    ///
    /// # Errors
    /// NATS did not answer, or the aggregate's log cannot be read.
    pub async fn load<D: Stored>(&self, id: &D::Id, command: CommandId) -> Result<Aggregate<D>, LoadError> {
        let mut fold = Fold::<D>::new(subject::event(D::NAME, id), command);
        let key = snapshot::key::<D>(id);
        let remembered = match self.memory.recall::<D>(&fold.subject) {
            Some(remembered) => self.page_after(&mut fold, &remembered).await?,
            None => None,
        };
        let mut page = match remembered {
            Some(page) => page,
            None => self.first_page(&mut fold, &key).await?,
        };
        loop {
            fold.take(&page.messages)?;
            if !page.more {
                break;
            }
            page = self.page(&fold.subject, fold.aggregate.last_sequence + 1, PAGE_EVENTS).await?;
        }
        self.keep(&mut fold, &key).await?;
        Ok(fold.aggregate)
    }

    /// An aggregate as this process remembers it, if it does. Others may have appended to it since, so nothing may be
    /// answered from it: it is for those who append, and who load it when they meet a conflict or have nothing to
    /// append.
    pub fn recall<D: Stored>(&self, id: &D::Id, command: CommandId) -> Option<Aggregate<D>> {
        let remembered = self.memory.recall::<D>(&subject::event(D::NAME, id))?;
        // A snapshot is due, or the command may be carried out already: reading tells.
        if remembered.unsaved >= SNAPSHOT_EVENTS || remembered.may_hold(command) {
            return None;
        }
        let (state, last_sequence) = (remembered.state.clone(), remembered.mark.sequence);
        Some(Aggregate { state, last_sequence, done_by_command: None })
    }

    /// Remembers what a command has appended to an aggregate, so that the next one need not read it. `sequence` is that
    /// of the last event.
    pub fn remember<D: Stored>(
        &self,
        id: &D::Id,
        before: &Aggregate<D>,
        events: &[D::Event],
        sequence: u64,
        command: CommandId,
    ) {
        let subject = subject::event(D::NAME, id);
        let known = self.memory.recall::<D>(&subject);
        let (mut commands, unsaved) = match known.filter(|known| known.mark.sequence == before.last_sequence)
        {
            Some(known) => (known.commands.clone(), known.unsaved),
            None if before.last_sequence == 0 => Default::default(),
            None => return,
        };
        commands.push(command);
        let state = events.iter().try_fold(before.state.clone(), D::evolve);
        if let Ok(state) = state {
            let (mark, unsaved) = (Mark::appended(sequence, command), unsaved + events.len());
            self.memory.remember(&subject, Snapshot::<D> { mark, state, commands, unsaved });
        }
    }

    /// The first events, or, where these are not all, what comes after the snapshot in the bucket.
    async fn first_page<D: Stored>(&self, fold: &mut Fold<D>, key: &str) -> Result<Page, LoadError> {
        let first = self.page(&fold.subject, 1, FIRST_PAGE_EVENTS).await?;
        if first.more
            && let Some(stored) = snapshot::read::<D>(self.snapshots_bucket().await?, key).await?
            && let Some(page) = self.page_after(fold, &stored).await?
        {
            return Ok(page);
        }
        Ok(first)
    }

    /// Jumps to a snapshot and reads what comes after it, if the snapshot holds. The event that it names is read too,
    /// to see that it is the one; and if the command's own events may be among those that it stands for, all are read.
    async fn page_after<D: Stored>(
        &self,
        fold: &mut Fold<D>,
        snapshot: &Snapshot<D>,
    ) -> Result<Option<Page>, LoadError> {
        if snapshot.may_hold(fold.command) {
            return Ok(None);
        }
        let mut page = self.page(&fold.subject, snapshot.mark.sequence, PAGE_EVENTS).await?;
        if !page.messages.first().is_some_and(|first| snapshot.mark.is_of(first)) {
            return Ok(None);
        }
        fold.jump(snapshot, &page.messages.remove(0));
        Ok(Some(page))
    }

    /// Remembers what was loaded, and stores a snapshot of it when the last one is a long way back. A snapshot is only a
    /// shorter way: when it cannot be written, the aggregate is the same.
    async fn keep<D: Stored>(&self, fold: &mut Fold<D>, key: &str) -> Result<(), LoadError> {
        // Nobody else may write what the decider decides on.
        if fold.unsaved >= SNAPSHOT_EVENTS
            && self.role.is_none_or(|role| role == Role::Decider)
            && let Some(snapshot) = fold.snapshot()
        {
            snapshot::write(self.snapshots_bucket().await?, key, &snapshot).await;
            fold.unsaved = 0;
        }
        if let Some(snapshot) = fold.snapshot() {
            self.memory.remember(&fold.subject, snapshot);
        }
        Ok(())
    }

    /// The next events of a subject.
    async fn page(&self, subject: &str, from: u64, events_max: usize) -> Result<Page, Unavailable> {
        const OPERATION: &str = "load events";
        let request = batch_from(from, subject, events_max);
        let page = self.direct_get(subject::EVENTS, &request, OPERATION).await?;
        let messages = page.messages.into_iter().map(StoredMessage::read);
        Ok(Page { messages: messages.collect::<Result<_, _>>().during(OPERATION)?, more: page.more })
    }
}

/// Events of one subject, in order.
struct Page {
    messages: Vec<StoredMessage>,
    /// Whether there are more.
    more: bool,
}

/// A message as direct get returns it.
pub(super) struct StoredMessage {
    pub(super) sequence: u64,
    pub(super) headers: HeaderMap,
    payload: bytes::Bytes,
}

impl StoredMessage {
    fn read(message: async_nats::Message) -> Result<Self, envelope::HeaderError> {
        let headers = message.headers.unwrap_or_default();
        let sequence = envelope::parse(&headers, "Nats-Sequence")?;
        Ok(StoredMessage { sequence, headers, payload: message.payload })
    }
}

/// An aggregate that is being loaded.
struct Fold<D: Stored> {
    subject: String,
    /// The command that is looked for.
    command: CommandId,
    aggregate: Aggregate<D>,
    /// Every command that led to an event so far, in a short form.
    commands: snapshot::Commands,
    /// Names the last event.
    mark: Option<Mark>,
    /// How many events were folded since the snapshot in the bucket.
    unsaved: usize,
}

impl<D: Stored> Fold<D> {
    fn new(subject: String, command: CommandId) -> Self {
        let aggregate =
            Aggregate::<D> { state: D::State::default(), last_sequence: 0, done_by_command: None };
        Fold { subject, command, aggregate, commands: snapshot::Commands::default(), mark: None, unsaved: 0 }
    }

    fn take(&mut self, page: &[StoredMessage]) -> Result<(), LoadError> {
        page.iter().try_for_each(|message| self.take_one(message))
    }

    fn take_one(&mut self, message: &StoredMessage) -> Result<(), LoadError> {
        let sequence = message.sequence;
        let unreadable = |source| Unreadable::new(&self.subject, sequence, source);
        let header_error = |error| Unreadable::new(&self.subject, sequence, error);
        let name = envelope::text(&message.headers, header::EVENT).map_err(header_error)?;
        let version = envelope::parse(&message.headers, header::VERSION).map_err(header_error)?;
        let event = D::read(name, version, &message.payload).map_err(|error| unreadable(Box::new(error)))?;
        let by: CommandId = envelope::parse(&message.headers, header::COMMAND_ID).map_err(header_error)?;
        let state = std::mem::take(&mut self.aggregate.state);
        self.aggregate.state = D::evolve(state, &event).map_err(|source| LoadError::Corrupt {
            subject: self.subject.clone(),
            sequence,
            source,
        })?;
        self.aggregate.last_sequence = sequence;
        self.commands.push(by);
        self.mark = Mark::of(message, by);
        self.unsaved += 1;
        if by == self.command {
            self.aggregate.done_by_command = Some(sequence);
        }
        Ok(())
    }

    /// Puts a snapshot in the place of all events that were folded so far, and of those up to its own, which is `last`.
    fn jump(&mut self, snapshot: &Snapshot<D>, last: &StoredMessage) {
        self.aggregate.state = snapshot.state.clone();
        self.aggregate.last_sequence = snapshot.mark.sequence;
        self.commands = snapshot.commands.clone();
        self.mark = Mark::of(last, snapshot.mark.command);
        self.unsaved = snapshot.unsaved;
    }

    fn snapshot(&self) -> Option<Snapshot<D>> {
        let (mark, state) = (self.mark.clone()?, self.aggregate.state.clone());
        Some(Snapshot { mark, state, commands: self.commands.clone(), unsaved: self.unsaved })
    }
}
