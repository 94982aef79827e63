//! Folds the log into a view's bucket, and rebuilds the view beside the one that is served.
//!
//! A crash between rows and position folds the same events again, which changes nothing. The bucket is not synced, so
//! a server that was killed may have lost what it acknowledged: a lost connection ends the fold, and the next one
//! begins with what the bucket really holds.
//!
//! A rebuild folds into a generation of its own (see [`crate::view::layout`]) while the one that is served is kept
//! current. It begins when somebody asks for it, or by itself when what is served has another form than this program
//! reads. Generations of one bucket rather than buckets of their own: followers hear of the switch, of the rows before
//! and of the rows after it in one order, and the switch is one write.

mod decoding;
mod fold;
mod monitor;

use std::convert::Infallible;
use std::time::Duration;

use views::View;

use crate::connection::Store;
use crate::error::{Unavailable, Unreadable};
use crate::view::layout::{Live, Reached, ViewBucket};
use fold::Fold;
use monitor::Monitor;

/// How often it is looked whether a rebuild is asked for.
const WANTED_INTERVAL: Duration = Duration::from_millis(300);

/// Why a view has stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Skipping it would make the view a lie, so the view stops here until a program that can read it runs.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Store {
    /// Folds the log into the bucket of a view, for ever. `on_caught_up` is called once, when the view holds every
    /// event that there was at the start.
    ///
    /// # Errors
    /// See [`ProjectError`]. After `Unavailable`, calling again goes on where this call ended.
    pub async fn project<V: View>(&self, on_caught_up: impl FnOnce()) -> Result<(), ProjectError> {
        let monitor = Monitor::open(self, V::NAME, V::VERSION).await?;
        let Err(error) = tokio::select! {
            ended = self.fold::<V>(&monitor, on_caught_up) => ended,
            never = monitor.report_on() => match never {},
        };
        monitor.report_end(&error).await;
        Err(error)
    }

    async fn fold<V: View>(
        &self,
        monitor: &Monitor,
        on_caught_up: impl FnOnce(),
    ) -> Result<Infallible, ProjectError> {
        let mut projection = Projection::open::<V>(self, monitor).await?;
        let mut fold = projection.serving_fold::<V>().await?;
        monitor.catching_up(fold.gauge.clone());
        fold.run(Some(self.last_event().await?)).await?;
        monitor.current();
        on_caught_up();
        loop {
            let mut rebuilt = tokio::select! {
                ended = fold.run(None) => match ended {
                    Ok(()) => continue,
                    Err(error) => return Err(error),
                },
                rebuilt = projection.rebuild_when_wanted::<V>() => rebuilt?,
            };
            // Nothing is written to the old generation any more. Whoever has seen its position must not see an
            // earlier one in the new generation.
            rebuilt.run(Some(fold.position)).await?;
            projection.serve::<V>(rebuilt.generation).await?;
            fold = rebuilt;
        }
    }
}

/// What is served of a view, and what is to be.
struct Projection<'a> {
    store: &'a Store,
    monitor: &'a Monitor,
    bucket: ViewBucket,
    live: Option<Live>,
    live_revision: u64,
}

impl<'a> Projection<'a> {
    async fn open<V: View>(store: &'a Store, monitor: &'a Monitor) -> Result<Self, Unavailable> {
        let bucket = store.view_bucket(V::NAME).await?;
        let (live, live_revision) = bucket.live().await?.unzip();
        let live_revision = live_revision.unwrap_or(0);
        Ok(Projection { store, monitor, bucket, live, live_revision })
    }

    /// The fold of the generation that is served. If none is, or one of another form, it is built first.
    async fn serving_fold<V: View>(&mut self) -> Result<Fold<V>, ProjectError> {
        // Without a position, the generation was purged, and a server that was killed forgot what replaced it.
        if let Some(live) = self.live.filter(|live| live.version == V::VERSION)
            && self.bucket.reached(live.generation).await?.is_some()
        {
            self.sweep(live.generation).await?;
            return Ok(Fold::open(self.store, &self.bucket, live.generation).await?);
        }
        let mut fold = self.open_build::<V>().await?;
        let built = fold.run(Some(self.store.last_event().await?)).await;
        if let Err(ProjectError::Unavailable(error)) = built {
            return Err(error.into());
        }
        // A view that stops at an event that cannot be read shows what came before: there is nothing else to show.
        self.serve::<V>(fold.generation).await?;
        built.map(|()| fold)
    }

    /// Waits until a rebuild is asked for, and gives the new generation once it has caught up. One that meets an event
    /// that cannot be read is given up until the projector starts again; what is served stays.
    async fn rebuild_when_wanted<V: View>(&self) -> Result<Fold<V>, ProjectError> {
        let served = self.live.map_or(0, |live| live.generation);
        while self.store.wanted_generation(V::NAME).await?.is_none_or(|(wanted, _)| wanted <= served) {
            tokio::time::sleep(WANTED_INTERVAL).await;
        }
        tracing::info!(view = V::NAME, "the view is rebuilt");
        let mut fold = self.open_build::<V>().await?;
        loop {
            let last = self.store.last_event().await?;
            if fold.written >= last {
                return Ok(fold);
            }
            match fold.run(Some(last)).await {
                Ok(()) => {}
                Err(ProjectError::Unavailable(error)) => return Err(error.into()),
                Err(error @ ProjectError::Unreadable(_)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        view = V::NAME,
                        "the rebuild stopped, what is served stays"
                    );
                    self.monitor.failed(&error);
                    std::future::pending::<Infallible>().await;
                }
            }
        }
    }

    /// The fold of a generation that nobody serves yet: the one that was begun before, or a new one.
    async fn open_build<V: View>(&self) -> Result<Fold<V>, Unavailable> {
        let fold = self.open_newest::<V>().await?;
        self.monitor.rebuilding(fold.gauge.clone());
        Ok(fold)
    }

    async fn open_newest<V: View>(&self) -> Result<Fold<V>, Unavailable> {
        let served = self.live.map_or(0, |live| live.generation);
        let newest = self.bucket.generations().await?.last().copied().unwrap_or(0).max(served);
        if newest > served
            && let Some((reached, _)) = self.bucket.reached(newest).await?
            && reached.version == V::VERSION
        {
            return Fold::open(self.store, &self.bucket, newest).await;
        }
        // The position comes first, so that whoever goes on with this generation knows the form of its rows.
        let reached = Reached { position: 0, version: V::VERSION };
        self.bucket.write_position(newest + 1, reached, 0).await?;
        Fold::open(self.store, &self.bucket, newest + 1).await
    }

    /// Serves a generation in place of the one before, whose keys go.
    async fn serve<V: View>(&mut self, generation: u64) -> Result<(), Unavailable> {
        let live = Live { generation, version: V::VERSION };
        self.live_revision = self.bucket.serve(live, self.live_revision).await?;
        self.live = Some(live);
        self.monitor.switched();
        tracing::info!(view = V::NAME, generation, "the view is served from another generation");
        self.sweep(generation).await
    }

    /// Removes what was left behind by generations before the one that is served, and by the form before there were
    /// generations.
    async fn sweep(&self, served: u64) -> Result<(), Unavailable> {
        for old in self.bucket.generations().await?.into_iter().filter(|found| *found < served) {
            self.bucket.purge(old).await?;
        }
        self.bucket.purge_bare_keys(self.live_revision).await
    }
}
