//! How a view lies in its bucket.
//!
//! A bucket holds generations of one view: `<generation>.<id>` is a row, `<generation>.position` says up to which
//! sequence its rows hold every event, and `live` names the generation that is served. Rows are written before their
//! position, the position before `live`, and a bucket gives its keys back in the order of writing, so whoever has
//! seen a position has seen the rows that belong to it.
//!
//! The bucket is not synced: a server that was killed may have lost the last keys that it acknowledged. A position that
//! was on its way then must not be taken by the server that is started next, so it names the last of its rows, and the
//! server refuses it if that is gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::kv::{self, Operation};
use async_nats::jetstream::{self};
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use views::View;

use crate::bucket;
use crate::codec;
use crate::connection::Store;
use crate::error::{self, During, Unavailable};

/// The key that names the generation that is served.
pub(crate) const LIVE_KEY: &str = "live";
/// What stands in place of a row's id in the key of a position.
const POSITION: &str = "position";

/// The header that names the subject whose last sequence is expected, where it is not the message's own.
const NATS_EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The header that makes a message the end of its key, and what it says.
const OPERATION_HEADER: &str = "KV-Operation";
const DELETE: &str = "DEL";

/// How many rows are written at the same time.
const WRITES_IN_FLIGHT_MAX: usize = 256;

/// What is done here, in errors. A conflict of revisions is one of them: another projector has written.
const WRITE: &str = "write a view";
const READ: &str = "read a view";

/// The generation that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) generation: u64,
    /// The form of its rows, see [`View::VERSION`].
    pub(crate) version: u16,
}

/// How far a generation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    pub(crate) position: u64,
    /// The form of its rows, see [`View::VERSION`].
    pub(crate) version: u16,
}

/// One entry of a bucket, as far as one generation is concerned.
pub(crate) enum Change<R> {
    Live(Live),
    Row(Uuid, Option<R>),
    Position(u64),
}

/// The rows of a generation and how far they reach.
pub(crate) struct Rows<V: View> {
    pub(crate) rows: HashMap<Uuid, Arc<V::Row>>,
    pub(crate) position: u64,
    /// At which revision of the bucket each row was written or removed. A row that was removed leaves a marker, which
    /// has to be named by whoever writes the row again.
    pub(crate) revisions: HashMap<Uuid, u64>,
    pub(crate) position_revision: u64,
}

impl<V: View> Default for Rows<V> {
    fn default() -> Self {
        Rows { rows: HashMap::new(), position: 0, revisions: HashMap::new(), position_revision: 0 }
    }
}

/// The bucket of a view.
#[derive(Clone)]
pub(crate) struct ViewBucket {
    pub(crate) bucket: kv::Store,
    jetstream: jetstream::Context,
    name: &'static str,
}

impl Store {
    pub(crate) async fn view_bucket(&self, name: &'static str) -> Result<ViewBucket, Unavailable> {
        let bucket = self.bucket(name).await?;
        Ok(ViewBucket { bucket, jetstream: self.jetstream.clone(), name })
    }
}

impl ViewBucket {
    /// The generation that is served, with the revision at which that was written.
    pub(crate) async fn live(&self) -> Result<Option<(Live, u64)>, Unavailable> {
        bucket::read_key(&self.bucket, LIVE_KEY, READ).await
    }

    /// How far a generation has come; none when nobody has begun with it.
    pub(crate) async fn reached(&self, generation: u64) -> Result<Option<(Reached, u64)>, Unavailable> {
        bucket::read_key(&self.bucket, &position_key(generation), READ).await
    }

    /// Reads a generation, or what there is of it.
    pub(crate) async fn rows<V: View>(&self, generation: u64) -> Result<Rows<V>, Unavailable> {
        let mut read = Rows::default();
        let mut watch = self.watch(generation).await?;
        loop {
            let entry = error::given(watch.next().await, READ)?;
            match read_entry::<V>(&entry)? {
                Change::Row(id, row) => {
                    match row {
                        Some(row) => drop(read.rows.insert(id, Arc::new(row))),
                        None => drop(read.rows.remove(&id)),
                    }
                    read.revisions.insert(id, entry.revision);
                }
                Change::Position(position) => {
                    read.position = position;
                    read.position_revision = entry.revision;
                }
                Change::Live(_) => {}
            }
            if entry.delta == 0 {
                return Ok(read);
            }
        }
    }

    /// A watch of one generation and of which one is served. It begins with what is there, which must be something.
    pub(crate) async fn watch(&self, generation: u64) -> Result<kv::Watch, Unavailable> {
        let keys = [LIVE_KEY.to_owned(), format!("{generation}.>")];
        self.bucket.watch_many_with_history(keys).await.during("watch a view")
    }

    /// The generations of which there are keys.
    pub(crate) async fn generations(&self) -> Result<BTreeSet<u64>, Unavailable> {
        let prefix = self.subject("");
        let subjects = self.bucket.stream.info_with_subjects(self.subject(">")).await.during(READ)?;
        let generation = |subject: &str| {
            let (generation, _) = subject.strip_prefix(&prefix)?.split_once('.')?;
            generation.parse::<u64>().ok()
        };
        subjects
            .try_filter_map(|(subject, _)| std::future::ready(Ok(generation(&subject))))
            .try_collect()
            .await
            .during(READ)
    }

    /// Removes a generation with everything that it left behind.
    pub(crate) async fn purge(&self, generation: u64) -> Result<(), Unavailable> {
        let filter = self.subject(&format!("{generation}.>"));
        self.bucket.stream.purge().filter(filter).await.during("purge a view").map(drop)
    }

    /// Removes what stands under bare keys and is older than `live`: the form before there were generations.
    pub(crate) async fn purge_bare_keys(&self, live_revision: u64) -> Result<(), Unavailable> {
        let purge = self.bucket.stream.purge().filter(self.subject("*")).sequence(live_revision);
        purge.await.during("purge a view").map(drop)
    }

    /// Serves a generation, if nobody has served another one since `revision`.
    pub(crate) async fn serve(&self, live: Live, revision: u64) -> Result<u64, Unavailable> {
        self.write(LIVE_KEY, Some(codec::encode(&live)), (LIVE_KEY, revision)).await
    }

    /// Writes a position after the one that has `revision` (0: after none).
    pub(crate) async fn write_position(
        &self,
        generation: u64,
        reached: Reached,
        revision: u64,
    ) -> Result<u64, Unavailable> {
        let key = position_key(generation);
        self.write(&key, Some(codec::encode(&reached)), (&key, revision)).await
    }

    /// Writes rows, each over the revision that it is given with, and then the position that they reach. Gives the
    /// rows' revisions and that of the position.
    pub(crate) async fn write_rows(
        &self,
        generation: u64,
        rows: Vec<(Uuid, Option<Vec<u8>>, u64)>,
        reached: Reached,
        position_revision: u64,
    ) -> Result<(Vec<(Uuid, u64)>, u64), Unavailable> {
        let connection = self.connection();
        let writes = rows.into_iter().map(|(id, row, revision)| async move {
            let key = row_key(generation, id);
            self.write(&key, row, (&key, revision)).await.map(|revision| (id, revision))
        });
        let writes = futures_util::stream::iter(writes).buffer_unordered(WRITES_IN_FLIGHT_MAX);
        let rows: Vec<(Uuid, u64)> = writes.try_collect().await?;
        // One server has taken them all, so that the last of them tells of all.
        if self.connection() != connection {
            return Err(Unavailable::new(WRITE, "the connection was made anew"));
        }
        let Some((last, revision)) = rows.iter().max_by_key(|(_, revision)| *revision) else {
            let position_revision = self.write_position(generation, reached, position_revision).await?;
            return Ok((rows, position_revision));
        };
        let after = (row_key(generation, *last), *revision);
        let position = Some(codec::encode(&reached));
        let written = self.write(&position_key(generation), position, (&after.0, after.1)).await?;
        Ok((rows, written))
    }

    /// Counts the connections so far.
    fn connection(&self) -> u64 {
        self.jetstream.client().statistics().connects.load(Ordering::Relaxed)
    }

    /// Writes or removes a key, if the key in `after` has that revision in the bucket (0: has never been there), and
    /// gives its new one. The client's own `create` is not used: it writes over the marker of a removed key whatever
    /// its revision, and so would bring back a row that another projector has removed.
    async fn write(&self, key: &str, value: Option<Vec<u8>>, after: (&str, u64)) -> Result<u64, Unavailable> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after.1.to_string());
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT, self.subject(after.0));
        if value.is_none() {
            headers.insert(OPERATION_HEADER, DELETE);
        }
        let payload = value.unwrap_or_default().into();
        let published = self.jetstream.publish_with_headers(self.subject(key), headers, payload).await;
        published.during(WRITE)?.await.during(WRITE).map(|acknowledged| acknowledged.sequence)
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }
}

fn row_key(generation: u64, id: Uuid) -> String {
    format!("{generation}.{id}")
}

fn position_key(generation: u64) -> String {
    format!("{generation}.{POSITION}")
}

/// Reads an entry of a [`ViewBucket::watch`].
pub(crate) fn read_entry<V: View>(entry: &kv::Entry) -> Result<Change<V::Row>, Unavailable> {
    const OPERATION: &str = "read a view's row";
    if entry.key == LIVE_KEY {
        return codec::decode(&entry.value).during(OPERATION).map(Change::Live);
    }
    let (_, key) = entry.key.split_once('.').ok_or("the key is no view's").during(OPERATION)?;
    if key == POSITION {
        let reached: Reached = codec::decode(&entry.value).during(OPERATION)?;
        return Ok(Change::Position(reached.position));
    }
    let id = key.parse::<Uuid>().during(OPERATION)?;
    match entry.operation {
        Operation::Put => Ok(Change::Row(id, Some(codec::decode(&entry.value).during(OPERATION)?))),
        Operation::Delete | Operation::Purge => Ok(Change::Row(id, None)),
    }
}
