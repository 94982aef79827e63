//! The instances in memory: where a request for each of them goes. `store`'s follower of the `instances` view calls
//! `change`; every request calls `find`, and asks the route for a destination; `opening` adds what of an upstream is
//! sealed in the log: the header fields of a proxied server, the credential of a replica.

mod breaker;
mod destination;
mod row;

pub(crate) use destination::{Destination, InFlight};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::InstanceId;
use domain::instance::{Logging, RemoteTransport};
use http::{HeaderMap, Uri};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use views::InstanceRow;

use crate::oauth::{Issuers, Protection};
use crate::opening::{Awaits, SealedFields, Waiting};
use crate::refusal::Refusal;
use row::{closed, in_row, keeps_clients};

/// An instance as the gateway knows it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    /// Cancelled when the instance is stopped or deleted; streams to it end then.
    pub(crate) ended: CancellationToken,
    /// How much of the calls is recorded, and whether answers wait for that.
    pub(crate) logging: Logging,
    /// Whose access tokens are accepted beside the instance's own tokens.
    pub(crate) protection: Option<Arc<Protection>>,
    /// Why requests go nowhere now, whatever upstreams there are.
    closed: Option<Refusal>,
    /// Newest generation first. Kept over a stop and start.
    upstreams: Vec<Upstream>,
    /// Whether every revision that the server speaks has sessions: then its replicas keep something of each client.
    keeps_clients: bool,
    /// Whose turn it is among upstreams that have the same to do.
    turn: Arc<AtomicUsize>,
}

/// A replica or a remote server as the view has it, and what is known of it beyond.
#[derive(Clone, Debug)]
struct Upstream {
    /// What a session names it by: the id of the replica, or one made of the remote server's address.
    id: Uuid,
    hosted: bool,
    before_api: bool,
    generation: u64,
    url: String,
    transport: RemoteTransport,
    fields: SealedFields,
    /// None while its header fields are being opened.
    opened: Option<Result<Arc<Destination>, Refusal>>,
}

impl Upstream {
    fn is_the_same(&self, other: &Upstream) -> bool {
        (self.id, &self.url, self.transport, self.before_api, &self.fields)
            == (other.id, &other.url, other.transport, other.before_api, &other.fields)
    }

    fn destination(&self) -> Result<Arc<Destination>, Refusal> {
        self.opened.clone().unwrap_or(Err(Refusal::InstanceNotReady))
    }
}

impl Route {
    /// Where a request goes that belongs to no session: to the replica of the newest generation that has the least to
    /// do. Those that have the same take turns.
    pub(crate) fn pick(&self) -> Result<Arc<Destination>, Refusal> {
        self.open()?;
        let first = self.upstreams.first().ok_or(Refusal::InstanceNotReady)?;
        let newest = self.upstreams.iter().filter(|upstream| upstream.generation == first.generation);
        let usable: Vec<_> = newest.filter_map(|upstream| upstream.opened.as_ref()?.as_ref().ok()).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, after) = usable.split_at(turn.checked_rem(usable.len()).unwrap_or(0));
        let least = after.iter().chain(before).min_by_key(|destination| destination.burden());
        least.map_or_else(|| first.destination(), |destination| Ok(Arc::clone(destination)))
    }

    /// Where a request of a client goes that knows no sessions: wherever there is least to do, unless the replica keeps
    /// something of the client for the next one, such as a call that waits for the client's answer. Then it is the same
    /// replica as long as there are the same to choose from.
    pub(crate) fn pick_for(&self, client: Uuid) -> Result<Arc<Destination>, Refusal> {
        let any = self.pick()?;
        if !self.keeps_clients || self.upstreams.len() < 2 {
            return Ok(any);
        }
        let generation = self.upstreams.first().map(|upstream| upstream.generation);
        let newest = self.upstreams.iter().filter(|upstream| Some(upstream.generation) == generation);
        let usable = newest.filter_map(|upstream| upstream.opened.as_ref()?.as_ref().ok());
        let own = usable.filter(|destination| !destination.is_avoided());
        // Whoever has the highest number: if one goes, only its clients move (rendezvous hashing).
        let own = own.max_by_key(|destination| Uuid::new_v5(&client, destination.id.as_bytes()));
        Ok(own.map_or(any, Arc::clone))
    }

    /// Where the requests of a session go: nowhere else than where it was begun, whatever its generation.
    pub(crate) fn of_session(&self, destination: Uuid) -> Result<Arc<Destination>, Refusal> {
        self.open()?;
        let upstream = self.upstreams.iter().find(|upstream| upstream.id == destination);
        upstream.ok_or(Refusal::SessionUnknown)?.destination()
    }

    /// Whether the platform sends its upstreams a field of this name, given in lower case.
    pub(crate) fn has_secret_field(&self, name: &str) -> bool {
        let names = self.upstreams.iter().flat_map(|upstream| upstream.fields.headers.keys());
        names.into_iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn open(&self) -> Result<(), Refusal> {
        self.closed.map_or(Ok(()), Err)
    }
}

/// All instances.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    table: RwLock<Table>,
    waiting: Waiting,
    pub(crate) issuers: Arc<Issuers>,
}

#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<Uuid, Arc<Route>>,
    by_name: HashMap<String, Uuid>,
}

impl Routes {
    /// The instance with this id or name.
    pub(crate) fn find(&self, instance: &str) -> Option<Arc<Route>> {
        let table = self.table.read();
        let by_name = table.by_name.get(instance).copied();
        table.by_id.get(&by_name.or_else(|| instance.parse().ok())?).cloned()
    }

    /// Takes over what the view says of an instance now.
    pub(crate) fn change(&self, id: Uuid, row: Option<&InstanceRow>) {
        let mut table = self.table.write();
        let previous = table.by_id.get(&id).cloned();
        let Some(row) = row else {
            table.remove(id);
            return;
        };
        if !row.wanted
            && let Some(previous) = &previous
        {
            previous.ended.cancel();
        }
        let ended = match &previous {
            Some(previous) if !previous.ended.is_cancelled() => previous.ended.clone(),
            _ => CancellationToken::new(),
        };
        let (known, turn) = match &previous {
            Some(previous) => (previous.upstreams.clone(), previous.turn.clone()),
            None => (vec![], Arc::default()),
        };
        let upstreams = if row.wanted { self.upstreams(row, &known) } else { known };
        let known = previous.as_ref().and_then(|previous| previous.protection.clone());
        let protection = self.protection(row, known);
        let name = row.name.as_str().to_owned();
        if let Some(renamed) = previous.filter(|previous| previous.name != name) {
            table.release_name(id, &renamed.name);
        }
        let (closed, keeps_clients) = (closed(row), keeps_clients(row));
        let route = Route {
            id: row.id,
            name: name.clone(),
            ended,
            logging: row.profile.logging,
            protection,
            closed,
            upstreams,
            keeps_clients,
            turn,
        };
        table.by_name.insert(name, id);
        table.by_id.insert(id, Arc::new(route));
    }

    /// Whose access tokens are accepted. Those that no longer are end what was opened with them.
    fn protection(&self, row: &InstanceRow, known: Option<Arc<Protection>>) -> Option<Arc<Protection>> {
        let is_same = |known: &Arc<Protection>| Some(&known.authorization) == row.authorization.as_ref();
        if let Some(known) = known {
            if is_same(&known) {
                return Some(known);
            }
            known.ended.cancel();
        }
        let authorization = row.authorization.clone()?;
        Some(Arc::new(Protection::new(row.id, authorization, &self.issuers)))
    }

    /// The upstreams of a row, with what is open of them already; what is not is asked for.
    fn upstreams(&self, row: &InstanceRow, known: &[Upstream]) -> Vec<Upstream> {
        let mut upstreams = in_row(row);
        for upstream in &mut upstreams {
            if let Some(known) = known.iter().find(|known| known.is_the_same(upstream)) {
                upstream.opened.clone_from(&known.opened);
            } else if upstream.fields.is_empty() {
                upstream.opened = Some(parse(row.id, upstream, HeaderMap::new()));
            } else {
                self.waiting.add(row.id.0, upstream.id, upstream.fields.clone());
            }
        }
        upstreams
    }
}

impl Awaits for Routes {
    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn open(&self, owner: Uuid, part: Uuid, fields: &SealedFields, opened: Result<HeaderMap, Refusal>) {
        let mut table = self.table.write();
        let Some(route) = table.by_id.get_mut(&owner) else { return };
        let route = Arc::make_mut(route);
        let id = route.id;
        let awaited = |upstream: &&mut Upstream| upstream.id == part && upstream.fields == *fields;
        let Some(upstream) = route.upstreams.iter_mut().find(awaited) else { return };
        upstream.opened = Some(opened.and_then(|headers| parse(id, upstream, headers)));
    }
}

impl Table {
    fn remove(&mut self, id: Uuid) {
        let Some(route) = self.by_id.remove(&id) else { return };
        route.ended.cancel();
        self.release_name(id, &route.name);
    }

    /// Unless the name belongs to another instance by now.
    fn release_name(&mut self, id: Uuid, name: &str) {
        if self.by_name.get(name) == Some(&id) {
            self.by_name.remove(name);
        }
    }
}

fn parse(instance: InstanceId, upstream: &Upstream, headers: HeaderMap) -> Result<Arc<Destination>, Refusal> {
    let uri = upstream.url.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    match uri {
        Some(uri) => Ok(Arc::new(Destination::new(
            upstream.id,
            (upstream.hosted, upstream.before_api),
            uri,
            upstream.transport,
            headers,
        ))),
        None => {
            tracing::error!(%instance, "the instance's address is no absolute http or https address");
            Err(Refusal::UpstreamMisconfigured)
        }
    }
}

#[cfg(test)]
mod tests;
