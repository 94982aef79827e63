//! Keeps what is seen of the cluster current, by watches that are begun again whenever they end.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{InstanceId, ReplicaId};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::kind::Kind;
use super::naming;
use super::seen::{Seen, SeenObject, SeenPod, ready_endpoints};

/// How many watches there are: one of each kind that we make, of the pods and of the endpoints.
const WATCHES: usize = Kind::ALL.len() + 2;

/// What is seen, and the watches behind it.
pub(crate) struct Watching {
    shared: Arc<Shared>,
    /// They end with this.
    _watches: JoinSet<()>,
}

struct Shared {
    state: Mutex<State>,
    /// How many watches have seen everything once.
    changed: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    seen: Seen,
    /// The endpoints of each slice: a slice goes as a whole.
    slices: BTreeMap<String, Vec<(ReplicaId, SocketAddr)>>,
}

/// What a watch tells.
enum Change<K> {
    /// There are these and no others.
    All(Vec<K>),
    Is(K),
    Gone(K),
}

impl Watching {
    pub(crate) fn start(cluster: &Cluster) -> Watching {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(0) });
        let selector = naming::selector(&cluster.pods.platform);
        let mut watches = JoinSet::new();
        for kind in Kind::ALL {
            let (api, shared) = (cluster.objects(kind), Arc::clone(&shared));
            watches.spawn(follow(api, selector.clone(), shared, move |state, change| {
                take_objects(&mut state.seen, kind, change);
            }));
        }
        watches.spawn(follow(cluster.pods(), selector.clone(), Arc::clone(&shared), |state, change| {
            take_pods(&mut state.seen, change);
        }));
        let slices: Api<EndpointSlice> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        watches.spawn(follow(slices, selector, Arc::clone(&shared), take_slices));
        Watching { shared, _watches: watches }
    }

    /// Tells of every change; the number is that of the watches that have seen everything once.
    pub(crate) fn changes(&self) -> watch::Receiver<usize> {
        self.shared.changed.subscribe()
    }

    /// Whether everything was seen once.
    pub(crate) fn is_complete(&self) -> bool {
        *self.shared.changed.borrow() == WATCHES
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.lock().seen.clone()
    }

    /// What a call of ours has answered: the watch tells it again, a moment later.
    pub(crate) fn note(&self, kind: Kind, object: &DynamicObject) {
        take_objects(&mut self.shared.lock().seen, kind, Change::Is(object.clone()));
    }

    pub(crate) fn note_gone(&self, instance: InstanceId, kind: Kind, name: &str) {
        self.shared.lock().seen.objects.remove(&(instance, kind, name.to_owned()));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches for ever. Errors are waited out, longer and longer.
async fn follow<K>(api: Api<K>, selector: String, shared: Arc<Shared>, take: impl Fn(&mut State, Change<K>))
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().labels(&selector);
    let mut events = std::pin::pin!(watcher::watcher(api, config).default_backoff());
    let (mut listed, mut complete) = (vec![], false);
    while let Some(event) = events.next().await {
        let change = match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed.push(object);
                continue;
            }
            Ok(Event::InitDone) => Change::All(std::mem::take(&mut listed)),
            Ok(Event::Apply(object)) => Change::Is(object),
            Ok(Event::Delete(object)) => Change::Gone(object),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "watch the cluster; trying again");
                continue;
            }
        };
        let first = matches!(change, Change::All(_)) && !std::mem::replace(&mut complete, true);
        take(&mut shared.lock(), change);
        shared.changed.send_modify(|count| *count += usize::from(first));
    }
}

fn take_objects(seen: &mut Seen, kind: Kind, change: Change<DynamicObject>) {
    match change {
        Change::Is(object) => seen.objects.extend(SeenObject::read(kind, &object)),
        Change::Gone(object) => {
            if let Some((key, _)) = SeenObject::read(kind, &object) {
                seen.objects.remove(&key);
            }
        }
        Change::All(objects) => {
            seen.objects.retain(|(_, other, _), _| *other != kind);
            seen.objects.extend(objects.iter().filter_map(|object| SeenObject::read(kind, object)));
        }
    }
}

fn take_pods(seen: &mut Seen, change: Change<Pod>) {
    match change {
        Change::Is(pod) => seen.pods.extend(SeenPod::read(&pod)),
        Change::Gone(pod) => {
            if let Some((key, _)) = SeenPod::read(&pod) {
                seen.pods.remove(&key);
            }
        }
        Change::All(pods) => seen.pods = pods.iter().filter_map(SeenPod::read).collect(),
    }
}

fn take_slices(state: &mut State, change: Change<EndpointSlice>) {
    match change {
        Change::Is(slice) => {
            state.slices.insert(slice.name_any(), ready_endpoints(&slice));
        }
        Change::Gone(slice) => {
            state.slices.remove(&slice.name_any());
        }
        Change::All(slices) => {
            let endpoints = slices.iter().map(|slice| (slice.name_any(), ready_endpoints(slice)));
            state.slices = endpoints.collect();
        }
    }
    state.seen.endpoints = state.slices.values().flatten().copied().collect();
}
