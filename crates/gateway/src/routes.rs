//! The instances in memory: where a request for each of them goes. `store`'s follower of the `instances` view calls
//! `change`; every request calls `find`; `opener` adds what of an upstream is sealed in the log: the header fields of a
//! proxied server, the credential of a replica.

pub(crate) mod opener;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use domain::instance::{Access, RemoteTransport};
use domain::{InstanceId, Sealed};
use http::{HeaderMap, Uri};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use views::InstanceRow;

use crate::refusal::Refusal;

/// An instance as the gateway knows it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    /// Where requests go, or why they go nowhere now.
    pub(crate) destination: Result<Arc<Destination>, Refusal>,
    /// Cancelled when the instance is stopped or deleted; streams to it end then.
    pub(crate) ended: CancellationToken,
    /// The upstream that is being opened.
    awaited: Option<SealedUpstream>,
    /// What was opened last, kept over a stop and start.
    opened: Option<Opened>,
}

/// The upstream of an instance.
///
/// Header fields, path and query may hold credentials: they get into no log. Host and port do, where they tell an
/// administrator why there is no connection, but never into an answer to a client.
pub(crate) struct Destination {
    pub(crate) uri: Uri,
    /// The platform's header fields for the upstream; they replace the client's.
    pub(crate) headers: HeaderMap,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Destination(…)")
    }
}

/// An upstream as the view has it.
#[derive(Clone, PartialEq, Eq)]
struct SealedUpstream {
    url: String,
    headers: BTreeMap<String, Sealed>,
    /// A bearer token, besides the header fields.
    credential: Option<Sealed>,
}

impl SealedUpstream {
    fn has_secrets(&self) -> bool {
        self.credential.is_some() || !self.headers.is_empty()
    }
}

impl fmt::Debug for SealedUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedUpstream(…)")
    }
}

#[derive(Clone, Debug)]
struct Opened {
    upstream: SealedUpstream,
    result: Result<Arc<Destination>, Refusal>,
}

/// All instances.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    table: RwLock<Table>,
    /// What has to be opened: the last upstream counts, one entry per instance.
    sealed: Mutex<HashMap<InstanceId, SealedUpstream>>,
    sealed_added: Notify,
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
        let opened = previous.and_then(|previous| previous.opened.clone());
        let mut route = Route {
            id: row.id,
            name: row.name.as_str().to_owned(),
            destination: Err(Refusal::InstanceNotReady),
            ended,
            awaited: None,
            opened,
        };
        route.destination = self.destination(row, &mut route);
        table.by_name.insert(route.name.clone(), id);
        table.by_id.insert(id, Arc::new(route));
    }

    fn destination(&self, row: &InstanceRow, route: &mut Route) -> Result<Arc<Destination>, Refusal> {
        match &row.access {
            Access::Direct(_) => Err(Refusal::DirectInstance),
            _ if !row.wanted => Err(Refusal::InstanceStopped),
            Access::Hosted(_) => {
                let (url, credential) = row.ready_endpoints().next().ok_or(Refusal::InstanceNotReady)?;
                let (url, credential) = (url.to_owned(), credential.cloned());
                self.opened(SealedUpstream { url, headers: BTreeMap::new(), credential }, route)
            }
            Access::Proxy(remote) => match remote.transport {
                RemoteTransport::Sse => Err(Refusal::TransportUnsupported),
                RemoteTransport::StreamableHttp => {
                    let (url, headers) = (remote.url.clone(), remote.headers.clone());
                    self.opened(SealedUpstream { url, headers, credential: None }, route)
                }
            },
        }
    }

    /// The destination that an upstream is, once everything of it is open.
    fn opened(&self, upstream: SealedUpstream, route: &mut Route) -> Result<Arc<Destination>, Refusal> {
        if let Some(opened) = route.opened.as_ref().filter(|opened| opened.upstream == upstream) {
            return opened.result.clone();
        }
        if !upstream.has_secrets() {
            return parse(route.id, &upstream.url, HeaderMap::new()).map(Arc::new);
        }
        route.awaited = Some(upstream.clone());
        self.sealed.lock().insert(route.id, upstream);
        self.sealed_added.notify_one();
        Err(Refusal::InstanceNotReady)
    }

    /// Takes over the opened header fields of an upstream, unless the instance is gone or no longer waits for them.
    fn open(&self, id: InstanceId, upstream: SealedUpstream, headers: Result<HeaderMap, Refusal>) {
        let mut table = self.table.write();
        let Some(route) = table.by_id.get(&id.0).filter(|route| route.awaited.as_ref() == Some(&upstream))
        else {
            return;
        };
        let result = headers.and_then(|headers| parse(id, &upstream.url, headers)).map(Arc::new);
        let route = Route {
            destination: result.clone(),
            awaited: None,
            opened: Some(Opened { upstream, result }),
            ..Route::clone(route)
        };
        table.by_id.insert(id.0, Arc::new(route));
    }
}

impl Table {
    fn remove(&mut self, id: Uuid) {
        let Some(route) = self.by_id.remove(&id) else { return };
        route.ended.cancel();
        // The name may belong to another instance by now.
        if self.by_name.get(&route.name) == Some(&id) {
            self.by_name.remove(&route.name);
        }
    }
}

fn parse(id: InstanceId, url: &str, headers: HeaderMap) -> Result<Destination, Refusal> {
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    match uri {
        Some(uri) => Ok(Destination { uri, headers }),
        None => {
            tracing::error!(instance = %id, "the instance's address is no absolute http or https address");
            Err(Refusal::UpstreamMisconfigured)
        }
    }
}

#[cfg(test)]
mod tests;
