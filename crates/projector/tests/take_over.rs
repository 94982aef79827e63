//! Two projectors of the same views: when one dies the other goes on, and one that was paused cannot write any more.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::sync::Arc;
use std::time::Duration;

use domain::InstanceId;
use domain::instance::{Access, Created, Event, InstanceDecider, Remote, RemoteTransport, Restarted};
use parking_lot::Mutex;
use service::{CancellationToken, Context, Readiness};
use store::testing::{TestServer, given};
use store::{Store, Task, Write};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use uuid::Uuid;
use views::{InstanceRow, Instances, View as _};

const WAIT: Duration = Duration::from_secs(60);
const TASK: Task = Task::View(Instances::NAME);
/// The flag of the view in the readiness report.
const VIEW_FLAG: &str = "projector: view instances";
/// Nothing listens there: the log sinks have nothing to do here.
const NO_CLICKHOUSE: &str = "http://127.0.0.1:9";

struct Projector {
    store: Store,
    readiness: Readiness,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Projector {
    async fn start(server: &TestServer) -> Self {
        let context = Context { shutdown: CancellationToken::new(), readiness: Readiness::default() };
        let (store, readiness) = (server.store().await, context.readiness.clone());
        let access_log = access_log::Client::connect(NO_CLICKHOUSE, "default", "").unwrap();
        let task = tokio::spawn(projector::run(store.clone(), access_log, context));
        Projector { store, readiness, task }
    }

    fn is_ready(&self) -> bool {
        self.readiness.report().roles.get(VIEW_FLAG).copied().unwrap_or_default()
    }
}

/// One instance that is restarted again and again.
struct Instance {
    store: Store,
    id: InstanceId,
    generation: u64,
    sequence: u64,
}

impl Instance {
    async fn create(store: Store) -> Self {
        let id = InstanceId(Uuid::now_v7());
        let access = Access::Proxy(Remote {
            transport: RemoteTransport::StreamableHttp,
            url: "http://127.0.0.1:9/mcp".to_owned(),
            headers: Default::default(),
        });
        let created = Event::Created(Created::new("everything".parse().unwrap(), access));
        let write = Write::new::<InstanceDecider>(&id, 0, &[created]);
        let sequence = store.append(&[write], &given().metadata()).await.unwrap();
        Instance { store, id, generation: 1, sequence }
    }

    async fn restart(&mut self) -> u64 {
        self.generation += 1;
        let restarted = Event::Restarted(Restarted { generation: self.generation });
        let write = Write::new::<InstanceDecider>(&self.id, self.sequence, &[restarted]);
        self.sequence = self.store.append(&[write], &given().metadata()).await.unwrap();
        self.sequence
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let awaited = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, awaited).await.unwrap_or_else(|_| panic!("{what} does not happen"));
}

async fn is_held_by(store: &Store, holder: &Projector) -> bool {
    store.lease_holder(TASK).await.unwrap().as_deref() == Some(holder.store.holder())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_projector_dies_the_one_that_stands_by_goes_on() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let mut instance = Instance::create(server.store().await).await;
    let first = Projector::start(&server).await;
    let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
    view.reached(instance.sequence, WAIT).await.unwrap();
    let second = Projector::start(&server).await;
    until("standing by counts as ready", async || second.is_ready()).await;
    assert!(is_held_by(&store, &first).await, "the first still does it");

    // Nothing is released and nothing is said: as after a SIGKILL.
    first.task.abort();
    view.reached(instance.restart().await, WAIT).await.unwrap();
    assert!(is_held_by(&store, &second).await);
    assert_eq!(view.get(instance.id.0).unwrap().generation, 2);
    second.task.abort();
}

/// A runtime of one thread goes on only while somebody waits in it. Between two waits the projector in it is paused,
/// with its connection and its clocks, like a process under SIGSTOP.
struct Pausable {
    runtime: Runtime,
    projector: Projector,
}

#[test]
fn a_projector_that_was_paused_finds_itself_replaced_and_changes_nothing() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(TestServer::start());
    let store = runtime.block_on(server.store());
    let mut instance = runtime.block_on(async { Instance::create(server.store().await).await });
    let own = Builder::new_current_thread().enable_all().build().unwrap();
    let projector = own.block_on(Projector::start(&server));
    let paused = Pausable { runtime: own, projector };

    // Of one instance, no follower may ever see an earlier state after a later one.
    let seen = Arc::new(Mutex::new(vec![]));
    let log = seen.clone();
    let follower = store.clone();
    let following = runtime.spawn(async move {
        let on_change = move |_, row: Option<&Arc<InstanceRow>>| log.lock().push(row.map(|row| row.sequence));
        follower.follow::<Instances>(on_change).await.unwrap()
    });
    let view = paused.runtime.block_on(following).unwrap();
    paused.runtime.block_on(view.reached(instance.sequence, WAIT)).unwrap();

    let other = runtime.block_on(Projector::start(&server));
    for _ in 0..20 {
        let sequence = runtime.block_on(instance.restart());
        runtime.block_on(view.reached(sequence, WAIT)).unwrap();
    }
    assert!(runtime.block_on(is_held_by(&store, &other)));

    // It comes back with what it knew, and with everything that has happened since in its hands.
    let restarted = runtime.spawn(async move {
        for _ in 0..20 {
            instance.restart().await;
        }
        instance
    });
    let instance = paused.runtime.block_on(restarted).unwrap();
    let stands_by = async || paused.projector.is_ready() && is_held_by(&store, &other).await;
    paused.runtime.block_on(until("standing by", stands_by));
    runtime.block_on(view.reached(instance.sequence, WAIT)).unwrap();
    let row = view.get(instance.id.0).unwrap();
    assert_eq!((row.generation, row.sequence), (instance.generation, instance.sequence));
    let seen = seen.lock();
    assert!(seen.iter().all(Option::is_some) && seen.is_sorted(), "{seen:?}");
    other.task.abort();
}
