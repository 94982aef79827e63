//! A platform of real parts for the worker to work in: nats-server, decider, the fold of the view, the bridge.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::instance::{Access, Command, CommandLine, Event, Hosted, Source};
use domain::{InstanceId, Recorded, Sealed};
use service::{CancellationToken, Context, Readiness};
use store::testing::{TestServer, given};
use store::{DataStream, Filter, Follower, Outcome, ProjectError, Role, Store, Tail};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;
use views::{InstanceRow, Instances};

/// The most that anything awaited here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Everything around the worker.
pub(crate) struct Platform {
    pub(crate) store: Store,
    pub(crate) view: Follower<Instances>,
    pub(crate) data: TempDir,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    pub(crate) server: TestServer,
}

/// A worker that runs on the platform.
pub(crate) struct Worker {
    context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Platform {
    pub(crate) async fn start() -> Platform {
        let server = TestServer::start().await;
        let store = server.store().await;
        let shutdown = CancellationToken::new();
        let context = Context { shutdown: shutdown.clone(), readiness: Readiness::default() };
        let (decide, fold) = (server.store_as(Role::Decider).await, server.store_as(Role::Projector).await);
        let tasks = vec![
            tokio::spawn(async move {
                decider::run(decide, context).await.unwrap();
            }),
            tokio::spawn(async move {
                // After an outage it goes on where it was, as the projector has it do.
                while let Err(ProjectError::Unavailable(_)) = fold.project::<Instances>(|| ()).await {}
            }),
        ];
        let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        Platform { store, view, data, shutdown, tasks, server }
    }

    /// Starts a worker and waits until it is ready.
    pub(crate) async fn worker(&self) -> Worker {
        self.worker_on(None).await
    }

    /// Starts a worker on a cluster, if there is one, and waits until it is ready.
    pub(crate) async fn worker_on(&self, kubernetes: Option<worker::kubernetes::Config>) -> Worker {
        let context = Context { shutdown: CancellationToken::new(), readiness: Readiness::default() };
        let config = worker::Config {
            data: self.data.path().to_owned(),
            bridge: bridge(),
            pass_environment: vec![],
            private_upstreams: true,
            kubernetes,
        };
        let store = self.server.store_as(Role::Worker).await;
        let task = tokio::spawn(worker::run(config, store, context.clone()));
        let worker = Worker { context, task };
        eventually("the worker to be ready", || worker.context.readiness.report().ready.then_some(())).await;
        worker
    }

    /// Creates an instance that runs our own server with these arguments.
    pub(crate) async fn create(&self, args: &[&str]) -> InstanceId {
        self.create_with(InstanceId(Uuid::now_v7()), "python3", &server_args(args), BTreeMap::new()).await
    }

    pub(crate) async fn create_with(
        &self,
        id: InstanceId,
        program: &str,
        args: &[String],
        env: BTreeMap<String, Sealed>,
    ) -> InstanceId {
        let command = CommandLine { program: program.to_owned(), args: args.to_vec() };
        let access = Access::Hosted(Hosted::new(Source::Command(command), env));
        let name = format!("test-{}", id.0.simple()).parse().unwrap();
        self.tell(id, Command::create(name, access)).await;
        id
    }

    /// Gives a command, which must be accepted, and waits until the view shows what came of it.
    pub(crate) async fn tell(&self, id: InstanceId, command: Command) {
        let command = domain::Command::Instance { id, command };
        match self.store.send(&command, &given(), PATIENCE).await.unwrap() {
            Outcome::Done { sequence } => self.view.reached(sequence, PATIENCE).await.unwrap(),
            outcome => panic!("{command:?} came to {outcome:?}"),
        }
    }

    /// Waits until the row of an instance is as wanted.
    pub(crate) async fn row(
        &self,
        id: InstanceId,
        what: &str,
        is_wanted: impl Fn(&InstanceRow) -> bool,
    ) -> Arc<InstanceRow> {
        let mut changes = self.view.changes();
        let wait = async {
            loop {
                changes.mark_unchanged();
                if let Some(row) = self.view.get(id.0).filter(|row| is_wanted(row)) {
                    return row;
                }
                changes.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(row) => row,
            Err(_) => panic!("waited for {what} in vain: {:#?}", self.view.get(id.0)),
        }
    }

    /// What opens the first ready replica of an instance.
    pub(crate) async fn credential(&self, row: &InstanceRow) -> String {
        let replica = row.ready_replicas().next().expect("a replica is ready");
        let sealed = replica.credential.as_ref().expect("the replica has a credential");
        let credential = self.store.vault().open(row.id.0, sealed).await.unwrap();
        String::from_utf8(credential.to_vec()).unwrap()
    }

    pub(crate) async fn ready(&self, id: InstanceId) -> Arc<InstanceRow> {
        self.row(id, "the instance to be ready", |row| row.ready_replicas().next().is_some()).await
    }

    /// The events of an instance from its first on, up to the first that `is_last`.
    pub(crate) async fn events_until(
        &self,
        id: InstanceId,
        is_last: impl Fn(&Event) -> bool,
    ) -> Vec<Recorded> {
        let (aggregate, id) = (Some("instance".parse().unwrap()), Some(id.to_string().parse().unwrap()));
        let filter = Filter { aggregate, id, ..Filter::default() };
        let mut tail = self.store.tail(&Tail::all(filter)).await.unwrap();
        let mut events = vec![];
        loop {
            let recorded = timeout(PATIENCE, tail.next_recorded())
                .await
                .expect("the event comes in time")
                .unwrap()
                .unwrap();
            let domain::Event::Instance { event, .. } = &recorded.event else { unreachable!("filtered") };
            let last = is_last(event);
            events.push(recorded);
            if last {
                return events;
            }
        }
    }

    /// The log lines from the first on, up to the first that `is_last`.
    pub(crate) async fn lines_until(&self, is_last: impl Fn(&str) -> bool) -> Vec<access_log::ContainerLine> {
        let mut sink = self.store.sink(DataStream::Logs).await.unwrap();
        let mut lines = vec![];
        loop {
            let batch = timeout(PATIENCE, sink.next()).await.expect("the line comes in time").unwrap();
            for (_, message) in batch.messages {
                lines.extend(store::decode::<Vec<access_log::ContainerLine>>(&message).unwrap());
            }
            if lines.iter().any(|line| is_last(&line.text)) {
                return lines;
            }
        }
    }

    /// The processes of all replicas that were started on this platform's data directory.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let owner = blake3::hash(self.data_path().as_os_str().as_bytes()).to_hex();
        processes_with(format!("MCPCAN_REPLICA_OWNER={owner}").as_bytes())
    }

    #[track_caller]
    pub(crate) fn assert_nothing_runs(&self) {
        let processes = self.processes();
        assert!(processes.is_empty(), "processes {processes:?} are left");
    }

    pub(crate) fn data_path(&self) -> PathBuf {
        self.data.path().canonicalize().unwrap()
    }

    pub(crate) fn directory(&self, id: InstanceId) -> PathBuf {
        self.data_path().join("instances").join(id.to_string())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.shutdown.cancel();
        for task in &self.tasks {
            task.abort();
        }
        // A test that passed has left none; one that failed must not leave them to the next.
        for process in self.processes() {
            let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
            let _ =
                process.map(|process| rustix::process::kill_process(process, rustix::process::Signal::KILL));
        }
    }
}

impl Worker {
    /// Ends the worker as Ctrl-C would.
    pub(crate) async fn stop(self) {
        self.context.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("the worker ends in time").unwrap().unwrap();
    }

    /// Ends the worker in the middle of whatever it is doing.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// The arguments for Python to run our own server.
pub(crate) fn server_args(args: &[&str]) -> Vec<String> {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worker/server.py");
    [server.to_str().unwrap()].iter().chain(args).map(|arg| (*arg).to_owned()).collect()
}

/// The processes whose environment has this entry.
pub(crate) fn processes_with(entry: &[u8]) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_entry = |number: &u32| {
        std::fs::read(format!("/proc/{number}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == entry))
    };
    numbers.filter(has_entry).collect()
}

/// Whether a process is a bridge, and not a server under one.
pub(crate) fn is_bridge(process: u32) -> bool {
    std::fs::read_link(format!("/proc/{process}/exe")).is_ok_and(|exe| exe.ends_with("mcpcan-bridge"))
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// The bridge that was built beside this test.
pub(crate) fn bridge() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let bridge = test.ancestors().nth(2).unwrap().join("mcpcan-bridge");
    assert!(bridge.is_file(), "there is no {}: run `cargo build -p bridge`", bridge.display());
    bridge
}
