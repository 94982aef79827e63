//! The instances in memory: where a request for each of them goes. `store`'s follower of the `instances` view calls
//! `change`; every request calls `find`; `opener` adds the opened header fields of proxied instances.

pub(crate) mod opener;

use std::collections::HashMap;
use std::sync::Arc;

use domain::InstanceId;
use domain::instance::{Access, Remote, RemoteTransport};
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
    /// The proxied server whose header fields are being opened.
    awaited: Option<Remote>,
    /// What was opened of a proxied instance, kept over a stop and start.
    opened: Option<Opened>,
}

/// The upstream of an instance.
pub(crate) struct Destination {
    pub(crate) uri: Uri,
    /// The platform's header fields for the upstream; they replace the client's.
    pub(crate) headers: HeaderMap,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the address nor the header fields of an upstream are for any log.
        f.write_str("Destination(…)")
    }
}

#[derive(Clone, Debug)]
struct Opened {
    remote: Remote,
    result: Result<Arc<Destination>, Refusal>,
}

/// All instances.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    table: RwLock<Table>,
    /// Proxied instances whose header fields have to be opened: the last remote counts, one entry per instance.
    sealed: Mutex<HashMap<InstanceId, Remote>>,
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
                let (url, _) = row.ready_endpoints().next().ok_or(Refusal::InstanceNotReady)?;
                parse(row.id, url, HeaderMap::new()).map(Arc::new)
            }
            Access::Proxy(remote) => match remote.transport {
                RemoteTransport::Sse => Err(Refusal::TransportUnsupported),
                RemoteTransport::StreamableHttp => self.proxied(row.id, remote, route),
            },
        }
    }

    /// The destination of a proxied instance, once its header fields are open.
    fn proxied(
        &self,
        id: InstanceId,
        remote: &Remote,
        route: &mut Route,
    ) -> Result<Arc<Destination>, Refusal> {
        if let Some(opened) = route.opened.as_ref().filter(|opened| opened.remote == *remote) {
            return opened.result.clone();
        }
        if remote.headers.is_empty() {
            return parse(id, &remote.url, HeaderMap::new()).map(Arc::new);
        }
        route.awaited = Some(remote.clone());
        self.sealed.lock().insert(id, remote.clone());
        self.sealed_added.notify_one();
        Err(Refusal::InstanceNotReady)
    }

    /// Takes over the opened header fields of a proxied instance, unless it is gone or no longer waits for them.
    fn open(&self, id: InstanceId, remote: Remote, headers: Result<HeaderMap, Refusal>) {
        let mut table = self.table.write();
        let Some(route) = table.by_id.get(&id.0).filter(|route| route.awaited.as_ref() == Some(&remote))
        else {
            return;
        };
        let result = headers.and_then(|headers| parse(id, &remote.url, headers)).map(Arc::new);
        let route = Route {
            destination: result.clone(),
            awaited: None,
            opened: Some(Opened { remote, result }),
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
