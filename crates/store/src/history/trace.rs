//! What led to an event, and what it led to.

use std::collections::BTreeSet;

use super::{ALL_EVENTS, PAGE_EVENTS};
use crate::connection::Store;
use crate::error::Unavailable;
use crate::stored_event::StoredEvent;

/// How far is looked.
#[derive(Clone, Copy, Debug)]
pub struct TraceLimits {
    /// How many causes upwards.
    pub causes_max: usize,
    /// How many events after the event are looked at for what it led to: the log has no index by cause.
    pub look_ahead_events: u64,
    /// How many consequences are kept.
    pub consequences_max: usize,
}

/// An event among those that it hangs together with.
#[derive(Clone, Debug)]
pub struct Trace {
    pub event: StoredEvent,
    /// The event that led to its command, and the one that led to that, up to the root, which comes first.
    pub causes: Vec<StoredEvent>,
    /// Whether the first of the causes has no event before it.
    pub causes_complete: bool,
    /// The other events of the same command.
    pub same_command: Vec<StoredEvent>,
    /// What it led to, in the order of the log, each with the sequence of its cause, which comes before it.
    pub consequences: Vec<(u64, StoredEvent)>,
    /// The last event that was looked at for consequences.
    pub looked_through: u64,
    /// The last event of the log.
    pub last_event: u64,
}

impl Store {
    /// An event with its causes and consequences; none if the log has no such event.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn trace(&self, sequence: u64, limits: TraceLimits) -> Result<Option<Trace>, Unavailable> {
        let Some(event) = self.event(sequence).await? else { return Ok(None) };
        let (causes, causes_complete) = self.causes(&event, limits.causes_max).await?;
        let same_command = self.same_command(&event).await?;
        let last_event = self.last_event().await?.max(sequence);
        let (consequences, looked_through) = self.consequences(&event, last_event, limits).await?;
        Ok(Some(Trace {
            event,
            causes,
            causes_complete,
            same_command,
            consequences,
            looked_through,
            last_event,
        }))
    }

    async fn causes(
        &self,
        event: &StoredEvent,
        causes_max: usize,
    ) -> Result<(Vec<StoredEvent>, bool), Unavailable> {
        let mut causes: Vec<StoredEvent> = vec![];
        loop {
            let below = causes.last().unwrap_or(event);
            // A cause lies before what it led to; anything else is no cause, and could make the chain a circle.
            let Some(cause) = below.caused_by().filter(|cause| *cause < below.sequence) else {
                causes.reverse();
                return Ok((causes, true));
            };
            match self.event(cause).await? {
                Some(cause) if causes.len() < causes_max => causes.push(cause),
                Some(_) | None => {
                    causes.reverse();
                    return Ok((causes, false));
                }
            }
        }
    }

    /// The events of a command lie side by side: they are appended as one batch.
    async fn same_command(&self, event: &StoredEvent) -> Result<Vec<StoredEvent>, Unavailable> {
        let Some(command) = event.command_id() else { return Ok(vec![]) };
        let is_same = |other: &StoredEvent| other.command_id() == Some(command);
        let mut found = vec![];
        let mut end = event.sequence;
        while end > 1 {
            let begin = end.saturating_sub(NEIGHBOURS).max(1);
            let wanted = usize::try_from(end - begin).unwrap_or(PAGE_EVENTS);
            let page = self.event_page(ALL_EVENTS, begin, wanted).await?.events;
            let before: Vec<_> =
                page.into_iter().filter(|other| other.sequence < end).rev().take_while(is_same).collect();
            let whole = before.len() == wanted;
            found.extend(before);
            if !whole {
                break;
            }
            end = begin;
        }
        found.reverse();
        let mut next = event.sequence + 1;
        loop {
            let wanted = usize::try_from(NEIGHBOURS).unwrap_or(PAGE_EVENTS);
            let page = self.event_page(ALL_EVENTS, next, wanted).await?;
            let after: Vec<_> = page.events.into_iter().take_while(is_same).collect();
            let whole = after.len() == wanted;
            next += NEIGHBOURS;
            found.extend(after);
            if !whole || !page.more {
                return Ok(found);
            }
        }
    }

    async fn consequences(
        &self,
        event: &StoredEvent,
        last_event: u64,
        limits: TraceLimits,
    ) -> Result<(Vec<(u64, StoredEvent)>, u64), Unavailable> {
        let end = event.sequence.saturating_add(limits.look_ahead_events).min(last_event);
        let (mut known, mut found) = (BTreeSet::from([event.sequence]), vec![]);
        let mut looked_through = event.sequence;
        while looked_through < end {
            let wanted = usize::try_from(end - looked_through).unwrap_or(PAGE_EVENTS).min(PAGE_EVENTS);
            let page = self.event_page(ALL_EVENTS, looked_through + 1, wanted).await?;
            if page.events.is_empty() {
                break;
            }
            for other in page.events {
                looked_through = other.sequence;
                let Some(cause) = other.caused_by().filter(|cause| known.contains(cause)) else { continue };
                known.insert(other.sequence);
                found.push((cause, other));
                if found.len() >= limits.consequences_max {
                    return Ok((found, looked_through));
                }
            }
        }
        Ok((found, looked_through))
    }
}

/// How many events beside an event are read at once to find those of its command.
const NEIGHBOURS: u64 = 16;
