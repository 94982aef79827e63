//! History by the number of its rows.

use std::collections::VecDeque;

use ::access_log::Place;

use super::piece::{Piece, piece};
use super::{Follow, Row};
use crate::error::Error;

/// How many messages before the end are looked at in the stream: several batches of its sink, so that only one that
/// stands makes history shorter. It bounds the work, whatever waits for the sink.
const MESSAGES_MAX: u64 = 2_048;

impl<R: Row> Follow<R> {
    /// Has the newest rows of the past, those that are on their way included as far as they are among the last
    /// [`MESSAGES_MAX`] messages: if more are on their way, only these are looked at.
    pub(super) async fn newest(&mut self, rows: u32) -> Result<(), Error> {
        let last = self.store.data_extent(R::STREAM).await?.last_sequence;
        let first = (last + 1).saturating_sub(MESSAGES_MAX).max(1);
        let rows_max = usize::try_from(rows).unwrap_or(usize::MAX);
        'history: loop {
            let boundary = self.boundary().await?;
            let mut newest = VecDeque::new();
            if boundary >= first {
                newest.extend(R::newest(&self.client, &self.filter, boundary, rows).await?);
            }
            let mut from = boundary.max(first);
            while from <= last {
                match piece::<R>(&self.store, from).await? {
                    Piece::Rows { rows: found, then, .. } => {
                        newest.extend(found.into_iter().filter(|row| row.is_of(&self.filter)));
                        newest.drain(..newest.len().saturating_sub(rows_max));
                        from = then;
                    }
                    Piece::Nothing => break,
                    // It lies in ClickHouse now.
                    Piece::Dropped => continue 'history,
                }
            }
            self.next = Place::default();
            self.have(Vec::from(newest), Place::first_of(from));
            return Ok(());
        }
    }
}
