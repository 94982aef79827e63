//! Leases: of all processes that could do a task, one does it, and another takes over soon after it died.
//!
//! The holder writes a beat again and again. Whoever stands by looks at the beat; when it has not changed for a while
//! *by the stand-by's own clock*, it takes the lease by compare-and-set on the revision it saw. No clock is compared
//! with another one. The revision that taking the lease gave is the fencing token, and beating is a compare-and-set on
//! it: a holder that was paused finds that it has lost the lease as soon as it beats.
//!
//! A lease keeps two from working at the same time most of the time; it cannot do so always, since a process may be
//! paused between two lines. What a task writes is therefore guarded by compare-and-set as well: the rows of views,
//! the cuts of sinks, the blocks of the chain.

use std::fmt;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::connection::Store;
use crate::data_stream::DataStream;
use crate::error::{During, Unavailable};

/// How often the holder beats.
const BEAT: Duration = Duration::from_millis(300);
/// How long a beat must stand still before another process takes over. Together with the time to notice and to begin,
/// that stays below two seconds.
const STILL_MAX: Duration = Duration::from_millis(1200);
/// How often one that stands by looks at the beat.
const LOOK: Duration = Duration::from_millis(150);
/// For how long the holder goes on without a beat that was acknowledged: less than others wait.
const UNHEARD_MAX: Duration = Duration::from_secs(1);

/// What only one process may do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Folding the view of this name.
    View(&'static str),
    /// Carrying the rows of a stream into ClickHouse.
    Sink(DataStream),
    /// Linking the log's events to the hash chain.
    Chain,
    /// Having the rows that lie in ClickHouse follow their retention plans.
    Retention,
    /// Asking the instances how they are.
    Probes,
    /// Making what runs on Kubernetes equal to what should run.
    Kubernetes,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Task::View(view) => write!(f, "view.{view}"),
            Task::Sink(stream) => write!(f, "sink.{}", stream.name()),
            Task::Chain => f.write_str("chain"),
            Task::Retention => f.write_str("retention"),
            Task::Probes => f.write_str("probes"),
            Task::Kubernetes => f.write_str("kubernetes"),
        }
    }
}

/// What lies in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beat {
    holder: String,
    count: u64,
}

/// The right to do a task, as long as [`Lease::keep`] has not returned.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    task: Task,
    beat: Beat,
    /// The fencing token: nobody else has taken the lease since.
    revision: u64,
}

impl Store {
    /// Waits until the task is this process's. `on_stand_by` is called once another process was seen to do it.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn lease(&self, task: Task, on_stand_by: impl FnOnce()) -> Result<Lease, Unavailable> {
        const OPERATION: &str = "look at a lease";
        let (bucket, key) = (self.leases_bucket().await?, task.to_string());
        let mut seen: Option<(u64, Instant)> = None;
        let mut on_stand_by = Some(on_stand_by);
        loop {
            let entry = bucket.entry(&key).await.during(OPERATION)?;
            let held = entry.filter(|entry| entry.operation == kv::Operation::Put);
            let Some(entry) = held else {
                if let Some(lease) = self.take_lease(task, None).await? {
                    return Ok(lease);
                }
                continue;
            };
            // A lease of this very connection is one that it lost sight of while NATS was away.
            let own = codec::decode::<Beat>(&entry.value).is_ok_and(|beat| beat.holder == self.holder());
            let still = match seen {
                Some((revision, since)) if revision == entry.revision => since.elapsed() >= STILL_MAX,
                _ => {
                    if seen.replace((entry.revision, Instant::now())).is_some()
                        && let Some(on_stand_by) = on_stand_by.take()
                    {
                        on_stand_by();
                    }
                    false
                }
            };
            if (own || still)
                && let Some(lease) = self.take_lease(task, Some(entry.revision)).await?
            {
                return Ok(lease);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes a lease that was last written at `revision`, or that nobody holds. None: somebody else was faster.
    async fn take_lease(&self, task: Task, revision: Option<u64>) -> Result<Option<Lease>, Unavailable> {
        const OPERATION: &str = "take a lease";
        let bucket = self.leases_bucket().await?;
        let beat = Beat { holder: self.holder().to_owned(), count: 0 };
        let (key, value) = (task.to_string(), codec::encode(&beat).into());
        let taken = match revision {
            Some(revision) => match bucket.update(key, value, revision).await {
                Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => return Ok(None),
                taken => taken.during(OPERATION)?,
            },
            None => match bucket.create(key, value).await {
                Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => return Ok(None),
                taken => taken.during(OPERATION)?,
            },
        };
        tracing::info!(%task, "this process does the task from now on");
        Ok(Some(Lease { store: self.clone(), task, beat, revision: taken }))
    }

    /// Who does a task, as far as is known.
    ///
    /// # Errors
    /// NATS did not answer, or what lies there cannot be read.
    pub async fn lease_holder(&self, task: Task) -> Result<Option<String>, Unavailable> {
        const OPERATION: &str = "look at a lease";
        let held = self.leases_bucket().await?.get(task.to_string()).await.during(OPERATION)?;
        let beat = held.map(|value| codec::decode::<Beat>(&value).during(OPERATION)).transpose()?;
        Ok(beat.map(|beat| beat.holder))
    }
}

impl Lease {
    /// Beats until the lease is lost, and says how that came. Dropping the future stops the beat.
    pub async fn keep(&mut self) -> Unavailable {
        let mut heard = Instant::now();
        loop {
            tokio::time::sleep(BEAT).await;
            let wait = UNHEARD_MAX.saturating_sub(heard.elapsed());
            let beaten = tokio::time::timeout(wait, self.beat()).await;
            let lost = match beaten.during("keep a lease") {
                Ok(Ok(())) => {
                    heard = Instant::now();
                    continue;
                }
                Ok(Err(lost)) if is_taken(&lost) => Unavailable::new("keep a lease", lost),
                Ok(Err(error)) if heard.elapsed() < UNHEARD_MAX => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "beat again");
                    continue;
                }
                Ok(Err(error)) => Unavailable::new("keep a lease", error),
                Err(unheard) => unheard,
            };
            return lost;
        }
    }

    /// Gives the lease back, so that another process takes over at once.
    pub async fn release(self) {
        let Ok(bucket) = self.store.leases_bucket().await else { return };
        let released = bucket.delete_expect_revision(self.task.to_string(), Some(self.revision)).await;
        if let Err(error) = released {
            // It stands still and is taken over a moment later.
            tracing::debug!(error = &error as &dyn std::error::Error, task = %self.task, "release a lease");
        }
    }

    async fn beat(&mut self) -> Result<(), kv::UpdateError> {
        let bucket = match self.store.leases_bucket().await {
            Ok(bucket) => bucket,
            Err(error) => return Err(kv::UpdateError::with_source(kv::UpdateErrorKind::Other, error)),
        };
        self.beat.count += 1;
        let value = codec::encode(&self.beat).into();
        self.revision = bucket.update(self.task.to_string(), value, self.revision).await?;
        Ok(())
    }
}

fn is_taken(error: &kv::UpdateError) -> bool {
    error.kind() == kv::UpdateErrorKind::WrongLastRevision
}
