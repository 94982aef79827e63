//! Compares the whole log with its chain.

use jiff::Timestamp;

use super::compare::{Comparison, Finding, WINDOW};
use super::{BLOCK_EVENTS, Block, Chain, ChainKey, Entry, FINDINGS_MAX, Head, Link};
use crate::connection::Store;
use crate::error::Unavailable;
use crate::reader::{self, Reader};
use crate::subject;

/// How many events are read at once at most.
const CHUNK_EVENTS_MAX: usize = 512;

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// The sequence of the event that was read last.
    pub position: u64,
    /// The sequence of the last event that will be read.
    pub last_sequence: u64,
    pub findings: usize,
}

/// What a verification has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How many events are in the log what they were when they were linked, and where.
    pub confirmed: u64,
    /// How many events were not linked yet.
    pub not_linked: u64,
    /// What is not as it was, in the order of the log; [`FINDINGS_MAX`] at most.
    pub findings: Vec<Finding>,
    /// There were so many findings that the rest of the log was not compared.
    pub broken_off: bool,
    /// When the chain was begun; none when there is none yet.
    pub began_at: Option<Timestamp>,
    /// The last event that there was when the chain was begun.
    pub began_with_sequence: u64,
    /// The sequence of the last event that is linked.
    pub head_sequence: u64,
    /// The last link, as hexadecimal digits. An operator who writes it down elsewhere can tell later whether log and
    /// chain were set back together.
    pub head: Option<String>,
}

impl Store {
    /// Reads the whole log and compares each event with what was linked. `on_progress` is called now and then.
    ///
    /// # Errors
    /// NATS did not answer, or what lies in the bucket cannot be read at all.
    pub async fn verify(
        &self,
        mut on_progress: impl FnMut(VerifyProgress),
    ) -> Result<Verification, Unavailable> {
        let chain = Chain::open(self).await?;
        // The head is written before the first block: read the other way round, a head that is absent is gone.
        let first_block = chain.block(0).await?.map(|(block, _)| block);
        let head = chain.head().await?.map(|(head, _)| head);
        let bounds = reader::bounds(self, subject::EVENTS).await?;
        let mut comparison = Comparison::default();
        let mut records = Records::new(chain, self.vault().chain_key().clone(), head.as_ref());
        if head.is_none()
            && let Some(block) = first_block
        {
            comparison.findings.push(headless(&block));
        }
        let mut reader = Reader::new(self.clone(), subject::EVENTS, subject::event("*", ">"), 1);
        let (last_sequence, mut more) = (bounds.last_sequence, bounds.messages > 0);
        while more && comparison.findings.len() < FINDINGS_MAX {
            for read in &reader.next_chunk(CHUNK_EVENTS_MAX).await {
                if read.sequence <= last_sequence {
                    comparison.find(records.key.entry(&read.message, read.sequence));
                }
                more = read.sequence < last_sequence && read.pending > 0;
                if !more || read.sequence.is_multiple_of(BLOCK_EVENTS) {
                    let (position, findings) = (read.sequence.min(last_sequence), comparison.findings.len());
                    on_progress(VerifyProgress { position, last_sequence, findings });
                }
            }
            records.read(&mut comparison).await?;
            comparison.advance();
        }
        let mut not_linked = 0;
        if !more {
            records.read_all(&mut comparison).await?;
            not_linked = comparison.finish();
        }
        Ok(Verification::new(comparison, not_linked, head.as_ref()))
    }
}

impl Verification {
    fn new(mut comparison: Comparison, not_linked: u64, head: Option<&Head>) -> Self {
        let broken_off = comparison.findings.len() >= FINDINGS_MAX;
        comparison.findings.truncate(FINDINGS_MAX);
        Verification {
            confirmed: comparison.confirmed,
            not_linked,
            findings: comparison.findings,
            broken_off,
            began_at: head.map(|head| head.began.at),
            began_with_sequence: head.map_or(0, |head| head.began.last_sequence),
            head_sequence: head.map_or(0, |head| head.sequence),
            head: head.map(|head| head.link.to_string()),
        }
    }
}

/// The blocks of the chain, read as they are needed and checked against each other.
struct Records {
    chain: Chain,
    key: ChainKey,
    head: Option<Head>,
    next_block: u64,
    blocks: u64,
    /// The link after what has been read; none when that is not known, because a block is gone.
    link: Option<Link>,
    /// The sequences of the first entry of the last block, and of its last.
    block_sequence: u64,
    last_sequence: u64,
}

impl Records {
    fn new(chain: Chain, key: ChainKey, head: Option<&Head>) -> Self {
        let blocks = head.map_or(0, |head| head.count.div_ceil(BLOCK_EVENTS));
        let link = head.map(|head| key.beginning(head.began));
        Records {
            chain,
            key,
            head: head.cloned(),
            next_block: 0,
            blocks,
            link,
            block_sequence: 0,
            last_sequence: 0,
        }
    }

    /// Reads as many records as there are events to compare them with.
    async fn read(&mut self, comparison: &mut Comparison) -> Result<(), Unavailable> {
        while comparison.recorded() <= comparison.found().max(WINDOW) && self.next_block < self.blocks {
            self.read_block(comparison).await?;
        }
        Ok(())
    }

    async fn read_all(&mut self, comparison: &mut Comparison) -> Result<(), Unavailable> {
        while self.next_block < self.blocks {
            self.read_block(comparison).await?;
        }
        Ok(())
    }

    async fn read_block(&mut self, comparison: &mut Comparison) -> Result<(), Unavailable> {
        let Some(head) = &self.head else { return Ok(()) };
        let number = self.next_block;
        self.next_block += 1;
        let wanted = BLOCK_EVENTS.min(head.count - number * BLOCK_EVENTS);
        let found = self.chain.block(number).await?;
        let Some((Block { start, mut entries }, _)) =
            found.filter(|(block, _)| block.entries.len() as u64 >= wanted)
        else {
            let (sequence, last_sequence) = (self.last_sequence + 1, self.last_sequence + wanted);
            let detail = "the record is gone";
            comparison.findings.push(Finding::Record { sequence, last_sequence, detail });
            comparison.record_lost(sequence..=last_sequence);
            (self.link, self.last_sequence) = (None, last_sequence);
            return Ok(());
        };
        // What was written behind the head is not a part of the chain yet.
        entries.truncate(usize::try_from(wanted).expect("a block is small"));
        let first = entries.first().map_or(0, |entry| entry.sequence);
        let last = entries.last().map_or(0, |entry| entry.sequence);
        let (end, head_link) = (self.key.after(start, &entries), head.link);
        let detail = "the record was changed itself, so that events may seem to be changed";
        if self.link.is_some_and(|link| link != start) {
            let sequence = self.block_sequence.min(first);
            comparison.findings.push(Finding::Record { sequence, last_sequence: first, detail });
        }
        if self.next_block == self.blocks && end != head_link {
            comparison.findings.push(Finding::Record { sequence: first, last_sequence: last, detail });
        }
        (self.link, self.block_sequence, self.last_sequence) = (Some(end), first, last);
        comparison.record(entries);
        Ok(())
    }
}

/// A chain without its head was robbed of it.
fn headless(block: &Block) -> Finding {
    let sequence = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.sequence);
    Finding::Record {
        sequence: sequence(block.entries.first()),
        last_sequence: sequence(block.entries.last()),
        detail: "the head of the chain is gone",
    }
}
