//! An installation whose parts are processes of their own: a nats-server, and any number of apis, deciders, projectors
//! and gateways, each of which can be killed and started again. Unless a test brings a ClickHouse, there is none: what
//! needs it is told a closed port, and everything else has to go on without it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use store::testing::TestServer;
use store::{Store, Task};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{http, tools, until};

/// How long a part may take until it is ready. Debug builds, beside other tests.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// What one projector does at a time, without what needs ClickHouse.
const TASKS: [Task; 5] = [
    Task::View("instances"),
    Task::View("tokens"),
    Task::View("templates"),
    Task::View("retention_plans"),
    Task::Chain,
];

/// A port of loopback on which nothing listens: the discard service, which nobody runs any more.
const CLOSED_PORT: u16 = 9;

/// How many replicas of each role there are.
#[derive(Clone, Copy, Debug)]
pub struct Replicas {
    pub apis: usize,
    pub deciders: usize,
    pub projectors: usize,
    pub gateways: usize,
}

/// A running installation. Dropping it kills everything it started.
pub struct Deployment {
    pub server: TestServer,
    directory: TempDir,
    mcpcan: PathBuf,
    admin_key: String,
    apis: Vec<SocketAddr>,
    /// Where each projector tells how it is.
    projectors: Vec<SocketAddr>,
    gateways: Vec<SocketAddr>,
    /// Where ClickHouse is.
    clickhouse: String,
    parts: BTreeMap<String, Part>,
}

/// One process, running or killed.
struct Part {
    arguments: Vec<String>,
    child: Child,
}

impl Deployment {
    /// Starts everything, and waits until every api is ready.
    ///
    /// # Panics
    /// A part does not start: the test cannot go on.
    pub async fn start(replicas: Replicas) -> Self {
        Self::start_with(replicas, &format!("http://127.0.0.1:{CLOSED_PORT}")).await
    }

    /// The same, with a ClickHouse at this address whose tables are there.
    ///
    /// # Panics
    /// As [`Deployment::start`].
    pub async fn start_with(replicas: Replicas, clickhouse: &str) -> Self {
        let admin_key = "the-admin-key-of-these-tests".to_owned();
        let directory = tempfile::tempdir().expect("make a directory");
        fs::write(directory.path().join("admin.key"), &admin_key).expect("write the admin key");
        let apis = (0..replicas.apis).map(|_| free_address()).collect();
        let projectors = (0..replicas.projectors).map(|_| free_address()).collect();
        let mut deployment = Deployment {
            server: TestServer::start().await,
            directory,
            mcpcan: tools::mcpcan(),
            admin_key,
            apis,
            projectors,
            gateways: (0..replicas.gateways).map(|_| free_address()).collect(),
            clickhouse: clickhouse.to_owned(),
            parts: BTreeMap::new(),
        };
        for (index, address) in deployment.apis.clone().into_iter().enumerate() {
            deployment.add(&format!("api-{index}"), deployment.api_arguments(address));
        }
        for index in 0..replicas.deciders {
            deployment.add(&format!("decider-{index}"), deployment.nats_arguments("decider"));
        }
        for (index, address) in deployment.projectors.clone().into_iter().enumerate() {
            let mut arguments = deployment.nats_arguments("projector");
            arguments.extend(["--health".to_owned(), address.to_string()]);
            arguments.extend(deployment.clickhouse_arguments());
            deployment.add(&projector(index), arguments);
        }
        for (index, address) in deployment.gateways.clone().into_iter().enumerate() {
            deployment.add(&gateway(index), deployment.gateway_arguments(index, address));
        }
        deployment.ready().await;
        deployment
    }

    /// The addresses of the command API, each with the path that everything lies under.
    pub fn apis(&self) -> Vec<String> {
        self.apis.iter().map(|address| format!("http://{address}/api/v1")).collect()
    }

    /// The addresses of the gateways.
    pub fn gateways(&self) -> &[SocketAddr] {
        &self.gateways
    }

    /// Where a gateway keeps what it has to outlive.
    pub fn gateway_data(&self, index: usize) -> PathBuf {
        self.directory.path().join(gateway(index))
    }

    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// The names of the parts, nats-server not among them.
    pub fn parts(&self) -> Vec<String> {
        self.parts.keys().cloned().collect()
    }

    /// The process of a part.
    ///
    /// # Panics
    /// It was killed.
    pub fn pid(&self, name: &str) -> u32 {
        self.parts[name].child.id().expect("it runs")
    }

    /// Kills a part as a power cut does, without a word.
    pub async fn kill(&mut self, name: &str) {
        let part = self.parts.get_mut(name).expect("a part of this name");
        part.child.kill().await.expect("it can be killed");
    }

    /// Starts a part that was killed.
    pub fn restart(&mut self, name: &str) {
        let arguments = self.parts[name].arguments.clone();
        self.add(name, arguments);
    }

    /// Parts that have ended though nobody killed them, with the end of what they wrote.
    pub fn ended(&mut self) -> Vec<String> {
        let mut ended = vec![];
        for (name, part) in &mut self.parts {
            if let Some(status) = part.child.try_wait().expect("look at a part") {
                let log = self.directory.path().join(format!("{name}.log"));
                let log = fs::read_to_string(log).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(20).collect();
                ended.push(format!(
                    "{name} ({status}):\n{}",
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                ));
            }
        }
        ended
    }

    /// Waits until every api and every gateway is ready.
    ///
    /// # Panics
    /// One does not become ready in time.
    pub async fn ready(&mut self) {
        let client = http();
        for address in self.apis.iter().chain(&self.gateways) {
            let what =
                format!("the part at {address} is ready; logs are in {}", self.directory.path().display());
            until(&what, READY_DEADLINE, async || {
                let answer = client.get(format!("http://{address}/readyz")).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await;
        }
    }

    /// Waits until a projector folds or stands by for each view, and for the hash chain.
    ///
    /// # Panics
    /// It does not in time.
    pub async fn projector_ready(&self, index: usize) {
        let (client, url) = (http(), format!("http://{}/readyz", self.projectors[index]));
        until(&format!("{} folds or stands by", projector(index)), READY_DEADLINE, async || {
            // As a whole it is not ready: there is no ClickHouse.
            let answer = client.get(&url).send().await.ok()?.bytes().await.ok()?;
            let report: Value = serde_json::from_slice(&answer).ok()?;
            let needs_it = |flag: &str| flag.ends_with(" log") || flag.ends_with(" retention");
            let roles = report["roles"].as_object()?;
            roles.iter().all(|(flag, ready)| needs_it(flag) || *ready == true).then_some(())
        })
        .await;
    }

    /// Waits until one projector, and not the one that did it before, folds every view and links the hash chain. Gives
    /// the name under which it holds its leases.
    ///
    /// # Panics
    /// Several do for long.
    pub async fn only_projector(&self, store: &Store, before: Option<&str>) -> String {
        let (holder, _) = until("one projector does everything", READY_DEADLINE, async || {
            let mut holders = BTreeSet::new();
            for task in TASKS {
                holders.insert(store.lease_holder(task).await.ok()??);
            }
            let only = holders.pop_first()?;
            (holders.is_empty() && Some(only.as_str()) != before).then_some(only)
        })
        .await;
        holder
    }

    fn add(&mut self, name: &str, arguments: Vec<String>) {
        let log = self.directory.path().join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log).expect("open a log file");
        let child = Command::new(&self.mcpcan)
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("mcpcan starts");
        self.parts.insert(name.to_owned(), Part { arguments, child });
    }

    fn api_arguments(&self, listen: SocketAddr) -> Vec<String> {
        let admin_key = self.directory.path().join("admin.key").display().to_string();
        let mut arguments = self.nats_arguments("api");
        arguments.extend(["--listen".to_owned(), listen.to_string()]);
        arguments.extend(["--admin-key-file".to_owned(), admin_key]);
        arguments.extend(["--gateway-url".to_owned(), "http://127.0.0.1:7090".to_owned()]);
        arguments.extend(self.clickhouse_arguments());
        arguments
    }

    fn gateway_arguments(&self, index: usize, listen: SocketAddr) -> Vec<String> {
        let data = self.gateway_data(index).display().to_string();
        let mut arguments = self.nats_arguments("gateway");
        arguments.extend(["--listen".to_owned(), listen.to_string()]);
        arguments.extend(["--id".to_owned(), gateway(index), "--data".to_owned(), data]);
        // Whoever looks until a credential is refused is no attacker.
        arguments.extend(["--limit-failures".to_owned(), "off".to_owned()]);
        arguments
    }

    fn clickhouse_arguments(&self) -> [String; 2] {
        ["--clickhouse-url".to_owned(), self.clickhouse.clone()]
    }

    fn nats_arguments(&self, role: &str) -> Vec<String> {
        let master_key = self.server.master_key_file().display().to_string();
        let password = self.server.password_file().display().to_string();
        let url = self.server.url();
        let mut arguments =
            vec![role, "--nats-url", &url, "--nats-user", role, "--nats-password-file", &password];
        if role != "decider" {
            arguments.extend(["--master-key-file", &master_key]);
        }
        arguments.into_iter().map(str::to_owned).collect()
    }
}

/// The name of a gateway among the parts, and in what it logs.
pub fn gateway(index: usize) -> String {
    format!("gateway-{index}")
}

/// The name of a projector among the parts.
pub fn projector(index: usize) -> String {
    format!("projector-{index}")
}

/// An address that nobody listens on now, so that a part which is started again finds its own.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
    listener.local_addr().expect("a listener has an address")
}
