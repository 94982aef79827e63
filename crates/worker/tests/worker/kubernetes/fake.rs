//! A Kubernetes API server that is not one: real HTTP on loopback, and behind it what the worker needs of a cluster.
//!
//! It answers as a real 1.36 server was recorded to (`tests/recordings`, compared in `recordings.rs`), and 501 to
//! whatever the worker does not call. A small kubelet runs the pods as processes of this machine, each at a loopback
//! address of its own, and walks them through the states of real pods.

mod apply;
mod defaults;
mod http;
mod kubelet;
mod logs;
mod refusal;
mod resource;
mod state;
mod verbs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use state::State;

/// What the API server does wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Connections are closed without an answer.
    pub(crate) gone: bool,
    /// Every watch ends at once with 410.
    pub(crate) watches_expire: bool,
    /// Every other call that changes something is answered with 409.
    pub(crate) conflicts: bool,
    /// Every call is answered with 401.
    pub(crate) unauthorized: bool,
    /// Answers take this long, in milliseconds.
    pub(crate) slow_ms: u64,
}

/// A running cluster.
pub(crate) struct FakeCluster {
    pub(crate) address: SocketAddr,
    pub(crate) api: Arc<Api>,
    tasks: JoinSet<()>,
}

/// What the server and the kubelet share.
pub(crate) struct Api {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    /// Counts what changed, so that watches look again.
    pub(crate) changed: watch::Sender<u64>,
    /// Counts calls that change something.
    pub(crate) writes: AtomicU64,
    /// Counts all calls, the refused ones among them.
    pub(crate) requests: AtomicU64,
    /// Every call, as verb and resource.
    calls: Mutex<Vec<String>>,
    /// The program that stands in for the image of the bridge.
    pub(crate) bridge: PathBuf,
    /// Where the kubelet keeps what pods write.
    pub(crate) logs: Mutex<logs::Logs>,
}

impl FakeCluster {
    pub(crate) async fn start(bridge: &Path) -> FakeCluster {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Arc::new(Api {
            state: Mutex::new(State::default()),
            faults: Mutex::new(Faults::default()),
            changed: watch::Sender::new(0),
            writes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            calls: Mutex::new(vec![]),
            bridge: bridge.to_owned(),
            logs: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(http::serve(listener, Arc::clone(&api)));
        tasks.spawn(kubelet::run(Arc::clone(&api)));
        FakeCluster { address, api, tasks }
    }

    /// Writes how the cluster is reached.
    pub(crate) fn kubeconfig(&self, directory: &Path) -> PathBuf {
        let path = directory.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.api.faults.lock().unwrap() = faults;
        self.api.changed.send_modify(|count| *count += 1);
    }

    /// Every verb that was used, with what it was used on, once each and in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let mut calls = self.api.calls.lock().unwrap().clone();
        calls.sort();
        calls.dedup();
        calls
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

impl Api {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and has everybody look who waits for that.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    fn note_call(&self, verb: &str, resource: &str) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{verb} {resource}"));
    }

    /// Whether this is the turn of a conflict.
    fn conflicts_now(&self) -> bool {
        self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) && self.faults().conflicts
    }
}

/// The moment as Kubernetes writes it.
pub(crate) fn now() -> Value {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}
