//! Following the rows of a log: history first, then what comes, every row once and in the order of its place.
//!
//! A row is in its stream from the moment it is published, in ClickHouse a moment later, and in the stream for some days
//! more. Its [`Place`], the sequence of its message and its index in there, is the same in both, so a follower needs to
//! know no more than the first place that it has not looked at, `next`:
//!
//! 1. **History** is asked of ClickHouse, which can filter, for messages before a boundary: the first message that may not
//!    have arrived there, which the sink has recorded ([`store::Extent`]). Below the boundary nothing is missing, and
//!    nothing from it on is taken from ClickHouse.
//! 2. **The stream** is read from the boundary on, page by page, until there is no more.
//! 3. **Live** rows come from the one reader of the stream that all followers of this api share ([`live`]). A follower
//!    subscribes before it asks for anything, so nothing falls between 2 and 3; what comes twice lies before `next`.
//!
//! Messages have consecutive sequences. Where the next one at hand is not the one at `next`, a follower was too slow for
//! the shared reader and reads the stream by itself (back to 2), or the stream has dropped the messages between, which it
//! does from its front only: then they are in ClickHouse (back to 1 for just those), for which the sink is waited a while.
//! If it does not get there, the follower is told that rows may be missing and which; it never goes on silently.
//!
//! A client that comes again with the place of the last row it has seen begins with the next place: at 1 if that lies
//! before the boundary, otherwise at 2. While ClickHouse is away, rows that the stream still holds are read from there.
//!
//! A follower holds one page or one message, and shares what lies in [`live`].

mod gap;
mod live;
mod newest;
mod piece;
mod start;

use std::sync::Arc;
use std::time::Duration;

use ::access_log::{ByPlace, Client, ContainerLine, Place, Run, TraceRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{DataStream, Store};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use crate::app::App;
use crate::error::Error;
use crate::frames::Step;

pub(crate) use live::Live;
pub(crate) use start::{SelectStart, Start};

use gap::Gap;
use live::{Hub, Message};
use piece::{Piece, piece};

/// How long to wait before what was not there is asked for again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A kind of row that can be followed.
pub(crate) trait Row: ByPlace + Serialize + DeserializeOwned {
    const STREAM: DataStream;

    fn hub(live: &Live) -> &Hub<Self>;
}

impl Row for TraceRecord {
    const STREAM: DataStream = DataStream::Traces;

    fn hub(live: &Live) -> &Hub<Self> {
        &live.traces
    }
}

impl Row for ContainerLine {
    const STREAM: DataStream = DataStream::Logs;

    fn hub(live: &Live) -> &Hub<Self> {
        &live.lines
    }
}

/// One follower of a log.
pub(crate) struct Follow<R: Row> {
    store: Store,
    client: Client,
    live: Arc<Live>,
    coming: broadcast::Receiver<Arc<Message<R>>>,
    filter: R::Filter,
    /// The first place that was not looked at.
    next: Place,
    stage: Stage,
    rows: Rows<R>,
    /// What is to be told before the next row.
    gap: Option<Gap>,
}

/// Where rows come from when there are none at hand.
#[derive(Clone, Copy)]
enum Stage {
    /// ClickHouse, for messages before this one.
    Past { before: u64 },
    /// The stream, until it has no more.
    Stream,
    /// The shared reader.
    Live,
}

/// Rows at hand, in order.
struct Rows<R> {
    rows: Arc<[R]>,
    /// The first of them that was not looked at.
    at: usize,
    /// What has been looked at when they have.
    then: Place,
}

/// What a follower is given next.
enum Given<R> {
    Row(Arc<[R]>, usize),
    Gap(Gap),
}

impl<R: Row> Follow<R> {
    /// Begins to follow. What is known to fail at once fails here.
    ///
    /// # Errors
    /// NATS does not answer; ClickHouse does not, and history was asked for that the stream does not hold; no row has
    /// come to the place that was named.
    pub(crate) async fn start(app: &App, filter: R::Filter, start: Start) -> Result<Self, Error> {
        let coming = R::hub(&app.live).subscribe().await?;
        let (store, client, live) = (app.store.clone(), app.access_log.clone(), app.live.clone());
        let rows = Rows { rows: Arc::new([]), at: 0, then: Place::default() };
        let (next, stage) = (Place::first_of(1), Stage::Stream);
        let mut follow = Follow { store, client, live, coming, filter, next, stage, rows, gap: None };
        let extent = follow.store.data_extent(R::STREAM).await?;
        match start {
            Start::Newest(0) => follow.rows.then = Place::first_of(extent.last_sequence + 1),
            Start::Newest(rows) => follow.newest(rows).await?,
            Start::Everything => {
                let before = follow.boundary().await?;
                follow.begin_before(before).await?;
            }
            Start::After(place) if place.sequence > extent.last_sequence => {
                return Err(Error::PlaceToCome(place));
            }
            Start::After(place) => {
                follow.next = place.next().max(Place::first_of(1));
                if extent.first_sequence > follow.next.sequence {
                    follow.mend_gap().await?;
                }
                follow.begin_before(extent.arrived_before.max(extent.first_sequence)).await?;
            }
        }
        Ok(follow)
    }

    /// Where a client goes on that has seen nothing yet; none where it begins again as it began.
    pub(crate) fn opening(&self) -> Option<Place> {
        let next = self.next.max(self.rows.then);
        let at_end = self.rows.rows.is_empty() && matches!(self.stage, Stage::Stream) && next.index == 0;
        at_end.then(|| Place::before(next.sequence))
    }

    /// One step of an answer.
    pub(crate) async fn step(mut self) -> Step<Self> {
        match self.next().await {
            Ok(Given::Row(rows, at)) => Step::event(rows[at].place(), &rows[at], self),
            Ok(Given::Gap(gap)) => Step::notice("gap", &gap, self),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "follower of a log is given up");
                Step::problem(&error)
            }
        }
    }

    async fn next(&mut self) -> Result<Given<R>, Error> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Ok(Given::Gap(gap));
            }
            if let Some(at) = self.take() {
                return Ok(Given::Row(self.rows.rows.clone(), at));
            }
            match self.stage {
                Stage::Past { before } => self.read_past(before).await?,
                Stage::Live => self.read_live().await?,
                Stage::Stream => match self.read_stream().await {
                    Err(Error::StoreUnavailable(error)) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "read the stream again");
                        sleep(RETRY_DELAY).await;
                    }
                    read => read?,
                },
            }
        }
    }

    /// The next of the rows at hand that passes the filter.
    fn take(&mut self) -> Option<usize> {
        let Rows { rows, at, then } = &mut self.rows;
        while let Some(row) = rows.get(*at) {
            let here = *at;
            *at += 1;
            if row.place() >= self.next && row.is_of(&self.filter) {
                self.next = row.place().next();
                return Some(here);
            }
        }
        self.next = self.next.max(*then);
        None
    }

    fn have(&mut self, rows: impl Into<Arc<[R]>>, then: Place) {
        self.rows = Rows { rows: rows.into(), at: 0, then };
    }

    /// Begins in ClickHouse, if anything before this message was not looked at.
    async fn begin_before(&mut self, before: u64) -> Result<(), Error> {
        if self.next.sequence < before {
            self.stage = Stage::Past { before };
            self.read_past(before).await?;
        }
        Ok(())
    }

    async fn read_past(&mut self, before: u64) -> Result<(), Error> {
        let Run { rows, more } = match R::run(&self.client, &self.filter, self.next, before).await {
            Ok(run) => run,
            Err(error @ ::access_log::Error::Unavailable { .. }) => {
                let extent = self.store.data_extent(R::STREAM).await?;
                if extent.first_sequence > self.next.sequence {
                    return Err(error.into());
                }
                tracing::warn!(error = &error as &dyn std::error::Error, "history is read from the stream");
                self.stage = Stage::Stream;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let then = match rows.last() {
            Some(last) if more => last.place().next(),
            Some(_) | None => {
                self.stage = Stage::Stream;
                Place::first_of(before)
            }
        };
        self.have(rows, then);
        Ok(())
    }

    async fn read_stream(&mut self) -> Result<(), Error> {
        match piece(&self.store, self.next.sequence).await? {
            Piece::Rows { rows, then, more } => {
                self.have(rows, Place::first_of(then));
                // What comes behind the last page is with the shared reader, which was subscribed to before.
                if !more {
                    self.stage = Stage::Live;
                }
            }
            Piece::Nothing => self.stage = Stage::Live,
            Piece::Dropped => self.mend_gap().await?,
        }
        Ok(())
    }

    async fn read_live(&mut self) -> Result<(), Error> {
        match self.coming.recv().await {
            Ok(message) if message.sequence < self.next.sequence => {}
            Ok(message) if message.sequence == self.next.sequence => {
                self.have(message.rows.clone(), Place::first_of(message.sequence + 1));
            }
            Ok(_) | Err(RecvError::Lagged(_)) => self.stage = Stage::Stream,
            Err(RecvError::Closed) => {
                self.coming = R::hub(&self.live).subscribe().await?;
                self.stage = Stage::Stream;
            }
        }
        Ok(())
    }
}
