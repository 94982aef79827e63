//! Which shared child serves a caller: finds it, starts it, and starts it again when it has died.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use mcp::protocol::Era;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use crate::child::SpawnError;
use crate::link::{Introduction, Lease, Link, NotIntroduced};
use crate::placement::Key;
use crate::pool;
use crate::serve::{Bridge, chain};
use crate::wire::{Ending, Wire};

/// Kinds of children whose starts that failed are remembered.
const SLOTS_MAX: usize = 1024;
/// Longest time that a caller waits for the next try to start a child that has died; when it is longer, it is refused.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Links {
    slots: RefCell<HashMap<Key, Slot>>,
}

#[derive(Default)]
struct Slot {
    links: Vec<Rc<Link>>,
    /// Children in a row that ended before they had answered anything.
    failures: u32,
    not_before: Option<Instant>,
}

/// A child that can be used. It is nobody else's as long as this is kept, or a call is in flight.
pub(crate) struct Found {
    pub(crate) link: Rc<Link>,
    pub(crate) introduction: Rc<Introduction>,
    _lease: Lease,
}

/// Why there is no child for a caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLink {
    #[error("all {0} children of this server are in use")]
    Full(u16),
    #[error("the server has ended {failures} times in a row and is started again in {seconds} s")]
    Restarting { failures: u32, seconds: u64 },
    #[error(transparent)]
    Spawn(SpawnError),
    #[error(transparent)]
    NotIntroduced(NotIntroduced),
}

impl Links {
    /// The child for a caller, once it can be used. With `alone`, one that no other call uses, and that will not speak of
    /// one any more.
    pub(crate) async fn find(bridge: &Rc<Bridge>, key: &Key, alone: bool) -> Result<Found, NoLink> {
        let free = bridge.links.free(key, alone);
        let lease = match free {
            Some(lease) => lease,
            None => {
                bridge.links.may_start(key).await?;
                // Another caller may have started it meanwhile.
                match bridge.links.free(key, alone) {
                    Some(lease) => lease,
                    None => bridge.links.start(bridge, key).await?,
                }
            }
        };
        let link = lease.link().clone();
        let introduction = link.introduction().await.map_err(NoLink::NotIntroduced)?;
        Ok(Found { link, introduction, _lease: lease })
    }

    /// The child for a caller who need not have it alone, if it can be used at once.
    pub(crate) fn ready(&self, key: &Key) -> Option<Found> {
        let lease = self.free(key, false)?;
        let (link, introduction) = (lease.link().clone(), lease.link().known()?);
        Some(Found { link, introduction, _lease: lease })
    }

    /// Takes over a child that was started to ask what it speaks.
    pub(crate) fn adopt(&self, link: Rc<Link>) {
        self.slots.borrow_mut().entry(link.key().clone()).or_default().links.push(link);
    }

    /// A child is over. One that all share is started again at once, or after a growing pause.
    pub(crate) fn forget(&self, bridge: &Bridge, link: &Rc<Link>, ending: Ending) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(link.key()) else { return };
        let before = slot.links.len();
        slot.links.retain(|other| !Rc::ptr_eq(other, link));
        // One that nobody was led to, as that of a probe, or that was ended here, says nothing about the next.
        if slot.links.len() == before {
            return;
        }
        if link.is_proven() {
            slot.failures = 0;
            slot.not_before = None;
        } else {
            slot.failures += 1;
            slot.not_before = Some(Instant::now() + pool::backoff(slot.failures));
        }
        if matches!(ending, Ending::ShuttingDown | Ending::Idle) {
            return;
        }
        let again = if link.key().is_shared() { ", and is started again" } else { "" };
        bridge.report.note(&format!("{ending}{again}"));
        if link.key().is_shared()
            && let Some(bridge) = bridge.myself.upgrade()
        {
            spawn_local(restart(bridge, link.key().clone(), slot.not_before));
        }
    }

    /// The children that serve one client each.
    pub(crate) fn own(&self) -> usize {
        let slots = self.slots.borrow();
        slots.iter().filter(|(key, _)| !key.is_shared()).map(|(_, slot)| slot.links.len()).sum()
    }

    /// Ends the child that was not used for the longest time, if there is one that nobody uses.
    pub(crate) fn make_room(&self) -> bool {
        let idle = self.idle_for(Duration::ZERO);
        let longest = idle.into_iter().max_by_key(|link| link.idle());
        longest.inspect(|link| self.end_one(link, Ending::Idle)).is_some()
    }

    /// Ends the children of single clients that nobody has used for this long.
    pub(crate) fn sweep(&self, limit: Duration) {
        for link in self.idle_for(limit) {
            self.end_one(&link, Ending::Idle);
        }
        let now = Instant::now();
        let waits = |slot: &Slot| slot.not_before.is_some_and(|not_before| not_before > now);
        self.slots.borrow_mut().retain(|_, slot| !slot.links.is_empty() || waits(slot));
    }

    pub(crate) fn end(&self, ending: Ending) {
        for link in self.slots.take().into_values().flat_map(|slot| slot.links) {
            link.end(ending);
        }
    }

    fn end_one(&self, link: &Rc<Link>, ending: Ending) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(link.key()) {
            slot.links.retain(|other| !Rc::ptr_eq(other, link));
        }
        link.end(ending);
    }

    fn idle_for(&self, time: Duration) -> Vec<Rc<Link>> {
        let slots = self.slots.borrow();
        let own = slots.iter().filter(|(key, _)| !key.is_shared()).flat_map(|(_, slot)| &slot.links);
        own.filter(|link| link.idle().is_some_and(|idle| idle >= time)).cloned().collect()
    }

    fn free(&self, key: &Key, alone: bool) -> Option<Lease> {
        let slots = self.slots.borrow();
        let mut links = slots.get(key)?.links.iter().rev().filter(|link| !link.is_over());
        links.find(|link| !alone || link.is_fresh()).map(Lease::of)
    }

    async fn may_start(&self, key: &Key) -> Result<(), NoLink> {
        let slot = |slot: &Slot| (slot.failures, slot.not_before);
        let Some((failures, Some(not_before))) = self.slots.borrow().get(key).map(slot) else {
            return Ok(());
        };
        let pause = not_before.saturating_duration_since(Instant::now());
        if pause > RESTART_PATIENCE {
            return Err(NoLink::Restarting { failures, seconds: pause.as_secs() + 1 });
        }
        sleep_until(not_before).await;
        Ok(())
    }

    async fn start(&self, bridge: &Rc<Bridge>, key: &Key) -> Result<Lease, NoLink> {
        if !key.is_shared() && !bridge.make_room_for_child() {
            return Err(NoLink::Full(bridge.config.sessions_max));
        }
        let warm = if key.era == Era::Sessions { bridge.pool.take() } else { None };
        let wire = match warm {
            Some(wire) => wire,
            None => Wire::start(bridge).map_err(|error| self.not_started(bridge, key, error))?,
        };
        let link = Link::over(bridge, wire, key.clone());
        self.adopt(link.clone());
        let lease = Lease::of(&link);
        match key.era {
            Era::Stateless => {
                if let Some(discovered) = bridge.eras().await.stateless {
                    link.introduced(discovered);
                }
            }
            Era::Sessions => {
                let (bridge, link) = (bridge.clone(), link.clone());
                spawn_local(async move {
                    link.initialize().await;
                    if link.is_proven() {
                        bridge.pool.succeeded();
                    }
                });
            }
        }
        Ok(lease)
    }

    fn not_started(&self, bridge: &Bridge, key: &Key, error: SpawnError) -> NoLink {
        let mut slots = self.slots.borrow_mut();
        if slots.len() < SLOTS_MAX || slots.contains_key(key) {
            let slot = slots.entry(key.clone()).or_default();
            slot.failures += 1;
            slot.not_before = Some(Instant::now() + pool::backoff(slot.failures));
        }
        bridge.report.note(&chain(&error));
        NoLink::Spawn(error)
    }
}

/// Starts a child again that all share, so that the next call need not wait for it.
async fn restart(bridge: Rc<Bridge>, key: Key, not_before: Option<Instant>) {
    if let Some(not_before) = not_before {
        sleep_until(not_before).await;
    }
    if bridge.links.free(&key, false).is_none()
        && let Err(error) = bridge.links.start(&bridge, &key).await
    {
        tracing::warn!(error = chain(&error), "the server that clients share is not started");
    }
}
