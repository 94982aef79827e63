//! Links the log, for ever. One process at a time does it: see `store::Task::Chain`.

use std::time::Duration;

use jiff::Timestamp;

use super::{BLOCK_EVENTS, Began, Block, Chain, ChainKey, HEAD_KEY, Head, block_key};
use crate::connection::Store;
use crate::error::Unavailable;
use crate::reader::{self, Reader};
use crate::subject;

/// How long events are gathered before they are written as linked: a block is written anew for each part of it.
const GATHER: Duration = Duration::from_millis(200);
/// How many events are read at once at most.
const CHUNK_EVENTS_MAX: usize = 512;

/// Why the chain does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Going on would hide it.
    #[error("the chain over the log is broken: {0}; `mcpcan events verify` tells what was changed")]
    Broken(String),
}

impl Store {
    /// Links the log's events from where the chain ends, for ever. `on_caught_up` is called once, when every event that
    /// there was at the start is linked.
    ///
    /// # Errors
    /// See [`ChainError`]. After `Unavailable`, calling again goes on where this call ended.
    pub async fn link_events(&self, on_caught_up: impl FnOnce()) -> Result<(), ChainError> {
        let mut linking = Linking::open(self).await?;
        let last = self.last_event().await?;
        if last < linking.head.sequence {
            let linked = linking.head.sequence;
            return Err(ChainError::Broken(format!("the log ends at {last}, and {linked} was linked")));
        }
        let mut reconnects = self.link.reconnects();
        let next_sequence = linking.head.sequence + 1;
        let mut reader = Reader::new(self.clone(), subject::EVENTS, subject::event("*", ">"), next_sequence);
        let mut on_caught_up = Some(on_caught_up);
        loop {
            if linking.head.sequence >= last
                && let Some(on_caught_up) = on_caught_up.take()
            {
                on_caught_up();
            }
            // The bucket is not synced: after a lost connection, what it really holds is read anew.
            let next = async { Ok(reader.next_chunk(CHUNK_EVENTS_MAX).await) };
            let mut chunk = reconnects.unless_reconnected("link events", next).await?;
            let gather = tokio::time::sleep(GATHER);
            tokio::pin!(gather);
            while chunk.len() < CHUNK_EVENTS_MAX {
                tokio::select! {
                    () = &mut gather => break,
                    more = reader.next_chunk(CHUNK_EVENTS_MAX) => chunk.extend(more),
                }
            }
            for read in chunk {
                linking.link(&read.message, read.sequence).await?;
            }
            linking.write().await?;
        }
    }
}

/// The end of the chain.
struct Linking {
    chain: Chain,
    key: ChainKey,
    head: Head,
    head_revision: u64,
    /// The last block, which is not full.
    block: Block,
    block_revision: u64,
}

impl Linking {
    async fn open(store: &Store) -> Result<Self, ChainError> {
        let (chain, key) = (Chain::open(store).await?, store.vault().chain_key().clone());
        let Some((head, head_revision)) = chain.head().await? else {
            if chain.block(0).await?.is_some() {
                return Err(ChainError::Broken("its head is gone".to_owned()));
            }
            let last_sequence = reader::bounds(store, subject::EVENTS).await?.last_sequence;
            let began = Began { at: Timestamp::now(), last_sequence };
            let link = key.beginning(began);
            let head = Head { count: 0, sequence: 0, link, began };
            let block = Block { start: link, entries: vec![] };
            // The head comes first, so that blocks without one are blocks that were robbed of it.
            let head_revision = chain.write(HEAD_KEY, &head, 0).await?;
            return Ok(Linking { chain, key, head, head_revision, block, block_revision: 0 });
        };
        let found = chain.block(head.count / BLOCK_EVENTS).await?;
        let filled = usize::try_from(head.count % BLOCK_EVENTS).expect("a block is small");
        let (block, block_revision) = match found {
            Some((mut block, revision)) => {
                // What was written behind the head is linked again.
                block.entries.truncate(filled);
                (block, revision)
            }
            None => (Block { start: head.link, entries: vec![] }, 0),
        };
        if block.entries.len() < filled || key.after(block.start, &block.entries) != head.link {
            return Err(ChainError::Broken("its last block does not lead to its head".to_owned()));
        }
        Ok(Linking { chain, key, head, head_revision, block, block_revision })
    }

    async fn link(&mut self, message: &async_nats::Message, sequence: u64) -> Result<(), Unavailable> {
        let entry = self.key.entry(message, sequence);
        self.head.link = self.key.next(self.head.link, &entry);
        self.head.sequence = sequence;
        self.block.entries.push(entry);
        self.head.count += 1;
        if self.head.count.is_multiple_of(BLOCK_EVENTS) {
            self.write_block(self.head.count / BLOCK_EVENTS - 1).await?;
            self.block = Block { start: self.head.link, entries: vec![] };
            // A crash may have left the next block behind.
            let next = self.chain.block(self.head.count / BLOCK_EVENTS).await?;
            self.block_revision = next.map_or(0, |(_, revision)| revision);
        }
        Ok(())
    }

    /// Blocks first, then the head, so that what the head says is always there.
    async fn write(&mut self) -> Result<(), Unavailable> {
        if !self.block.entries.is_empty() {
            self.write_block(self.head.count / BLOCK_EVENTS).await?;
        }
        self.head_revision = self.chain.write(HEAD_KEY, &self.head, self.head_revision).await?;
        Ok(())
    }

    async fn write_block(&mut self, number: u64) -> Result<(), Unavailable> {
        self.block_revision = self.chain.write(&block_key(number), &self.block, self.block_revision).await?;
        Ok(())
    }
}
