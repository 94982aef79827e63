//! A spooled file, read in pieces on a thread that may block. As often as it is read, it is checked.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::sync::Arc;

use store::archive::{
    ArchiveError, ArchiveReader, CHUNK_BYTES_MAX, CHUNK_EVENTS_MAX, Damage, EventRecord, Item, KeyRecord,
    Summary,
};
use tokio::sync::mpsc;

use super::is_readable;
use crate::error::Error;

/// How many pieces are read ahead.
const PIECES_MAX: usize = 2;

/// A file without a name: it goes with the process.
pub(super) struct Spooled(Arc<File>);

/// Some of a file.
pub(super) enum Piece {
    Keys(Vec<KeyRecord>),
    /// Never more than one command can carry.
    Events(Vec<EventRecord>),
    /// Everything was as it should be.
    End(Summary),
}

/// The pieces of a file, in order.
pub(super) struct Pieces(mpsc::Receiver<Result<Piece, ArchiveError>>);

impl Spooled {
    pub(super) fn new(file: File) -> Self {
        Spooled(Arc::new(file))
    }

    /// Reads it from the beginning. One reading at a time: they share the place in the file.
    pub(super) async fn read(&self) -> Result<Pieces, Error> {
        let mut file = self.0.try_clone().map_err(Error::Spool)?;
        file.rewind().map_err(Error::Spool)?;
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        tokio::task::spawn_blocking(move || {
            // Whoever has gone wants no more pieces.
            if let Err(error) = read(BufReader::new(file), &sender) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(Pieces(receiver))
    }
}

impl Pieces {
    pub(super) async fn next(&mut self) -> Result<Piece, Error> {
        match self.0.recv().await {
            Some(Ok(piece)) => Ok(piece),
            Some(Err(error)) => Err(Error::Archive(error)),
            None => Err(Error::Panicked),
        }
    }
}

type Sender = mpsc::Sender<Result<Piece, ArchiveError>>;

fn read(file: BufReader<File>, sender: &Sender) -> Result<(), ArchiveError> {
    let mut reader = ArchiveReader::open(file)?;
    let (mut keys, mut events, mut bytes) = (vec![], vec![], 0);
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Key(key) => {
                keys.push(key);
                if keys.len() >= CHUNK_EVENTS_MAX && !send(sender, Piece::Keys(std::mem::take(&mut keys))) {
                    return Ok(());
                }
            }
            Item::Event(event) => {
                is_readable(&event).map_err(|reason| reader.error(Damage::Unreadable(reason)))?;
                if !keys.is_empty() && !send(sender, Piece::Keys(std::mem::take(&mut keys))) {
                    return Ok(());
                }
                let is_full = events.len() >= CHUNK_EVENTS_MAX || bytes + event.bytes() > CHUNK_BYTES_MAX;
                if is_full && !events.is_empty() {
                    bytes = 0;
                    if !send(sender, Piece::Events(std::mem::take(&mut events))) {
                        return Ok(());
                    }
                }
                bytes += event.bytes();
                events.push(event);
            }
        }
    }
    let summary = reader.summary().expect("it was read to its end");
    // The order matters to who takes events for the last that they are.
    let _ = (keys.is_empty() || send(sender, Piece::Keys(keys)))
        && (events.is_empty() || send(sender, Piece::Events(events)))
        && send(sender, Piece::End(summary));
    Ok(())
}

/// Whether anybody still wants pieces.
fn send(sender: &Sender, piece: Piece) -> bool {
    sender.blocking_send(Ok(piece)).is_ok()
}
