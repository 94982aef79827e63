//! Compares what the chain has recorded with what the log holds. Pure: the two come in piece by piece, findings go out.
//!
//! Both are lists of digests that do not depend on the place, so that an event that is missing does not make all that
//! follow it look changed: where the two differ, each looks for its next event in a window of the other.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::{Digest, Entry, FINDINGS_MAX};

/// How far an event may have been moved and still be found.
pub(super) const WINDOW: usize = 512;

/// Something in the log is not as it was linked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The event at this place holds something else than was linked.
    #[error("event {sequence} ({event} on {subject}) was changed")]
    Changed { sequence: u64, subject: String, event: String },
    /// The event that was linked is not in the log; what was after it has moved up.
    #[error("event {sequence} ({event} on {subject}) is missing")]
    Missing { sequence: u64, subject: String, event: String },
    /// The event was linked at another place.
    #[error("event {sequence} ({event} on {subject}) stands at {found_at} now")]
    Reordered { sequence: u64, subject: String, event: String, found_at: u64 },
    /// The event was never linked, but those after it were.
    #[error("event {sequence} ({event} on {subject}) was put among those that were linked")]
    Unaccounted { sequence: u64, subject: String, event: String },
    /// The log ends before what was linked last: these events are gone, and the first of them is named.
    #[error(
        "the log is cut off: events {sequence} to {last_sequence} are missing, the first of them {event} on {subject}"
    )]
    Truncated { sequence: u64, last_sequence: u64, subject: String, event: String },
    /// The event is the one that was linked, under another sequence: from here on the log has been moved.
    #[error("event {sequence} ({event} on {subject}) was event {was}: the log was moved")]
    Moved { sequence: u64, was: u64, subject: String, event: String },
    /// What the chain has recorded of these events was changed or is gone, so that they cannot be checked.
    #[error("events {sequence} to {last_sequence} cannot be checked: {detail}")]
    Record { sequence: u64, last_sequence: u64, detail: &'static str },
}

/// What the log holds.
struct Found {
    entry: Entry,
    /// It has been found in the place of an earlier one.
    taken: bool,
}

/// What the chain has recorded.
enum Recorded {
    Event(Entry),
    /// The record of the event at this sequence is gone: whatever stands there cannot be checked.
    Lost(u64),
}

/// The two lists, as far as they have been read and not been compared.
#[derive(Default)]
pub(super) struct Comparison {
    recorded: VecDeque<Recorded>,
    found: VecDeque<Found>,
    /// By how much events have moved up, because others are missing, or down.
    moved: i128,
    /// How many events are what was linked.
    pub(super) confirmed: u64,
    pub(super) findings: Vec<Finding>,
}

impl Comparison {
    pub(super) fn record(&mut self, entries: Vec<Entry>) {
        self.recorded.extend(entries.into_iter().map(Recorded::Event));
    }

    /// The records from one sequence to another are gone.
    pub(super) fn record_lost(&mut self, sequences: RangeInclusive<u64>) {
        self.recorded.extend(sequences.map(Recorded::Lost));
    }

    pub(super) fn find(&mut self, entry: Entry) {
        self.found.push_back(Found { entry, taken: false });
    }

    pub(super) fn recorded(&self) -> usize {
        self.recorded.len()
    }

    pub(super) fn found(&self) -> usize {
        self.found.len()
    }

    /// Compares for as long as both windows are full.
    pub(super) fn advance(&mut self) {
        while self.recorded.len() > WINDOW && self.found.len() > WINDOW && self.findings.len() < FINDINGS_MAX
        {
            self.compare_first();
        }
    }

    /// Compares what is left of the records: nothing more comes of either. What is left of the log then was not linked
    /// yet, and its number is given back.
    pub(super) fn finish(&mut self) -> u64 {
        while !self.recorded.is_empty() && !self.found.is_empty() {
            self.compare_first();
        }
        let mut left = self.recorded.iter().filter_map(|recorded| match recorded {
            Recorded::Event(entry) => Some(entry),
            Recorded::Lost(_) => None,
        });
        if let Some(Entry { sequence, subject, event, .. }) = left.next().cloned() {
            let last_sequence = left.next_back().map_or(sequence, |last| last.sequence);
            self.findings.push(Finding::Truncated { sequence, last_sequence, subject, event });
        }
        self.found.iter().filter(|found| !found.taken).count() as u64
    }

    fn compare_first(&mut self) {
        let Some(found) = self.found.pop_front() else { return };
        if found.taken {
            // Those behind it stand where they were linked again.
            self.moved += 1;
            return;
        }
        let recorded = match self.recorded.pop_front() {
            Some(Recorded::Event(recorded)) => recorded,
            Some(Recorded::Lost(sequence)) => return self.pass(sequence, found),
            None => return,
        };
        if recorded.digest == found.entry.digest {
            return self.confirm(&recorded, found.entry);
        }
        let recorded_at = self.place_in_log(&recorded.digest);
        match (recorded_at, self.stands_in_records(&found.entry.digest)) {
            (None, false) => {
                let sequence = found.entry.sequence;
                let Entry { subject, event, .. } = recorded;
                self.findings.push(Finding::Changed { sequence, subject, event });
            }
            (None, true) => {
                let Entry { sequence, subject, event, .. } = recorded;
                self.findings.push(Finding::Missing { sequence, subject, event });
                self.moved -= 1;
                self.found.push_front(found);
            }
            (Some(_), false) => {
                let Entry { sequence, subject, event, .. } = found.entry;
                self.findings.push(Finding::Unaccounted { sequence, subject, event });
                self.moved += 1;
                self.recorded.push_front(Recorded::Event(recorded));
            }
            (Some(place), true) => {
                self.reorder(recorded, place);
                self.found.push_front(found);
            }
        }
    }

    fn confirm(&mut self, recorded: &Entry, found: Entry) {
        self.confirmed += 1;
        let moved = i128::from(found.sequence) - i128::from(recorded.sequence);
        if moved != self.moved {
            self.moved = moved;
            let Entry { sequence, subject, event, .. } = found;
            self.findings.push(Finding::Moved { sequence, was: recorded.sequence, subject, event });
        }
    }

    /// Passes over an event that cannot be checked; one that stands behind its place waits for its record.
    fn pass(&mut self, sequence: u64, found: Found) {
        if i128::from(found.entry.sequence) - self.moved > i128::from(sequence) {
            self.found.push_front(found);
        }
    }

    /// The recorded event stands further on: it is taken out there, and what stands here is compared with the next.
    fn reorder(&mut self, recorded: Entry, place: usize) {
        let found = &mut self.found[place];
        found.taken = true;
        let found_at = found.entry.sequence;
        let Entry { sequence, subject, event, .. } = recorded;
        self.findings.push(Finding::Reordered { sequence, subject, event, found_at });
        // Those between the two places stand one place earlier than they were linked.
        self.moved -= 1;
    }

    fn place_in_log(&self, digest: &Digest) -> Option<usize> {
        let mut window = self.found.iter().take(WINDOW).enumerate();
        window.find(|(_, found)| !found.taken && found.entry.digest == *digest).map(|(place, _)| place)
    }

    fn stands_in_records(&self, digest: &Digest) -> bool {
        let mut window = self.recorded.iter().take(WINDOW);
        window.any(|recorded| matches!(recorded, Recorded::Event(entry) if entry.digest == *digest))
    }
}
