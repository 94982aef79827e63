//! Where the stream has dropped messages: what of them is in ClickHouse, and what may be in neither place.

use std::time::Duration;

use ::access_log::Place;
use serde::Serialize;
use store::Extent;
use tokio::time::{Instant, sleep};

use super::{Follow, RETRY_DELAY, Row, Stage};
use crate::error::Error;

/// How long the sink is waited for where the stream has dropped messages.
const GAP_WAIT: Duration = Duration::from_secs(2);

/// Rows from a place on, of messages before another, may be missing.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Gap {
    from: Place,
    before: Place,
}

impl<R: Row> Follow<R> {
    /// Has what the stream has dropped read from ClickHouse, and tells what may be missing there.
    pub(super) async fn mend_gap(&mut self) -> Result<(), Error> {
        let Extent { first_sequence: first, arrived_before, .. } = self.arrived().await?;
        let from = self.next.max(Place::first_of(arrived_before));
        self.gap = (arrived_before < first).then(|| Gap { from, before: Place::first_of(first) });
        self.stage = Stage::Past { before: first };
        Ok(())
    }

    /// The first message that is to be read from the stream.
    pub(super) async fn boundary(&self) -> Result<u64, Error> {
        let extent = self.arrived().await?;
        Ok(extent.arrived_before.max(extent.first_sequence))
    }

    /// How far the stream and its sink are. Where the stream has dropped what the sink may still hold, that is waited for
    /// a while.
    async fn arrived(&self) -> Result<Extent, Error> {
        let deadline = Instant::now() + GAP_WAIT;
        loop {
            let extent = self.store.data_extent(R::STREAM).await?;
            if extent.arrived_before >= extent.first_sequence || Instant::now() >= deadline {
                return Ok(extent);
            }
            sleep(RETRY_DELAY).await;
        }
    }
}
