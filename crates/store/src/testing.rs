//! A real nats-server for tests: on a free port, in a temporary directory, with the users of `nats/permissions.conf`,
//! provisioned, ended when dropped.

mod secrets;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::{self, consumer::pull};
use domain::{Actor, CommandId};
use futures_util::StreamExt;
use jiff::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use secrets::Secrets;

use crate::upcast::Stored;
use crate::{Credentials, Given, MasterKey, Options, Role, Store, Write, journal, provision, role, subject};

/// A command of the admin's, given now.
#[must_use]
pub fn given() -> Given {
    Given::new(CommandId(Uuid::now_v7()), Actor::Admin, "test".to_owned(), Timestamp::now())
}

/// The user who may do everything.
const TEST_USER: &str = "test";
/// Everybody's password: what is tested is what a user may do, not who gets in.
const PASSWORD: &str = "password-of-the-tests";
const PASSWORD_FILE: &str = "password";

/// How long the server may take to write where it listens.
const START_WAIT: Duration = Duration::from_secs(20);

/// Appends events, each of them as if a command of its own had led to it, and gives the last one's sequence. At most a
/// thousand, all in one atomic batch: what would take its time through the deciders is there at once.
///
/// # Panics
/// They are not appended: the test cannot go on.
pub async fn append_each<D: Stored>(
    store: &Store,
    id: &D::Id,
    last_sequence: u64,
    events: &[D::Event],
) -> u64 {
    let mut all = Vec::with_capacity(events.len());
    for event in events {
        let write = Write::new::<D>(id, last_sequence, std::slice::from_ref(event));
        all.extend(journal::messages(&[write], &given().metadata()));
    }
    for message in all.iter_mut().skip(1) {
        // Only the first can know where the aggregate ends.
        let others = message.headers.iter().filter(|(name, _)| **name != NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
        let others = others.filter_map(|(name, values)| Some((name.clone(), values.first()?.clone())));
        message.headers = others.collect();
    }
    store.events.commit(all).await.expect("append the events")
}

/// A running nats-server.
pub struct TestServer {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl TestServer {
    /// Starts a server and provisions it.
    ///
    /// # Panics
    /// There is no nats-server, or it does not start: the test cannot go on.
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("make a temporary directory")).await
    }

    /// Starts a server whose secrets open under the master key of another.
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub async fn start_with_master_key_of(other: &TestServer) -> Self {
        let directory = tempfile::tempdir().expect("make a temporary directory");
        let key = directory.path().join("master.key");
        std::fs::copy(other.master_key_file(), key).expect("copy the master key");
        Self::start_in(directory).await
    }

    async fn start_in(directory: TempDir) -> Self {
        std::fs::write(directory.path().join("server.conf"), config()).expect("write the configuration");
        std::fs::write(directory.path().join(PASSWORD_FILE), PASSWORD).expect("write the password");
        let child = spawn(directory.path(), 0);
        let mut server = TestServer { directory, child, port: 0 };
        server.port = server.read_port().await;
        server.master_key();
        server.store_as(Role::Operator).await.provision(1).await.expect("provision the server");
        server
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where the master key lies that all connections share.
    pub fn master_key_file(&self) -> PathBuf {
        self.directory.path().join("master.key")
    }

    /// Everything that the server keeps: its streams, and what it wrote to its log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file that holds the password of every role's user.
    pub fn password_file(&self) -> PathBuf {
        self.directory.path().join(PASSWORD_FILE)
    }

    /// A new connection to the server that may do everything. All connections share one master key.
    pub async fn store(&self) -> Store {
        let (url, master_key) = (self.url(), self.master_key());
        let user = Credentials { user: TEST_USER.to_owned(), password: password() };
        let connected = Store::connect_as(None, &url, Some(&user), Some(&master_key)).await;
        connected.expect("connect to the server")
    }

    /// A new connection with the rights of one role, and the master key only if it needs it.
    pub async fn store_as(&self, role: Role) -> Store {
        let (url, credentials) = (self.url(), Some(Credentials::of(role, password())));
        let master_key = role.needs_master_key().then(|| self.master_key());
        let options = Options { url, credentials, role, master_key };
        Store::connect(&options).await.expect("connect to the server")
    }

    /// A bare connection that may do everything, for what no [`Store`] does.
    pub async fn nats(&self) -> async_nats::Client {
        self.store().await.client
    }

    /// What a bare connection with the rights of one role needs.
    pub fn connect_options(&self, role: Role) -> async_nats::ConnectOptions {
        async_nats::ConnectOptions::with_user_and_password(role.name().to_owned(), PASSWORD.to_owned())
            .custom_inbox_prefix(role.inbox_prefix())
    }

    /// What the server says of itself: a document of its monitoring endpoint.
    pub fn monitoring(&self, path: &str) -> serde_json::Value {
        let ports =
            read_ports_file(&self.directory.path().join("ports")).expect("the server has said its ports");
        let address = ports["monitoring"][0].as_str().expect("it is monitored").trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).expect("connect to the monitoring endpoint");
        write!(connection, "GET {path} HTTP/1.0\r\n\r\n").expect("ask the monitoring endpoint");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("read what the monitoring endpoint says");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(body).expect("the monitoring endpoint speaks JSON")
    }

    fn master_key(&self) -> MasterKey {
        MasterKey::load_or_create(&self.master_key_file()).expect("make a master key")
    }

    /// Deletes a stream and everything that hangs on it, so that the next provisioning makes it anew.
    pub async fn delete_stream(&self, name: &str) {
        self.store().await.jetstream.delete_stream(name).await.expect("delete the stream");
    }

    /// How many messages a stream holds now.
    pub async fn messages(&self, stream: &str) -> u64 {
        let stream = self.store().await.jetstream.get_stream(stream).await.expect("look at the stream");
        stream.cached_info().state.messages
    }

    /// What a stream of log rows holds now, message by message.
    pub async fn rows(&self, stream: crate::DataStream) -> Vec<bytes::Bytes> {
        let stream =
            self.store().await.jetstream.get_stream(stream.name()).await.expect("look at the stream");
        let mut rows = Vec::new();
        for sequence in stream.cached_info().state.first_sequence..=stream.cached_info().state.last_sequence {
            rows.push(stream.get_raw_message(sequence).await.expect("nothing is deleted").payload);
        }
        rows
    }

    /// Has commands handed out again that are not acknowledged within `wait`.
    pub async fn hand_commands_out_again_after(&self, wait: Duration) {
        let stream =
            self.store().await.jetstream.get_stream(subject::COMMANDS).await.expect("open the commands");
        let found = stream.get_consumer::<pull::Config>(subject::DECIDER_CONSUMER).await;
        let config = found.expect("open the consumer").cached_info().config.clone();
        let config = jetstream::consumer::Config { ack_wait: wait, ..config };
        stream.create_consumer(config).await.expect("change the consumer");
    }

    /// Has a stream drop what lies before a sequence, as it does by itself when it is full.
    pub async fn drop_before(&self, stream: &str, sequence: u64) {
        let stream = self.store().await.jetstream.get_stream(stream).await.expect("look at the stream");
        stream.purge().sequence(sequence).await.expect("purge the stream");
    }

    /// Listens to a replay.
    pub async fn listen_to_replay(&self, name: &str) -> Replayed {
        let client = self.store().await.client;
        let subscriber = client.subscribe(subject::replay(name)).await.expect("subscribe");
        client.flush().await.expect("the subscription reaches the server");
        Replayed(subscriber)
    }

    /// How many owners have a key that was not shredded.
    pub async fn key_owners(&self) -> usize {
        let bucket = self.store().await.jetstream.get_key_value(subject::KEYS_BUCKET).await;
        let keys = bucket.expect("open bucket keys").keys().await.expect("list keys");
        keys.filter_map(|key| async { key.ok() }).count().await
    }

    /// The payload of a dead letter and the reason that stands beside it.
    pub async fn dead_letter(&self, sequence: u64) -> (bytes::Bytes, String) {
        let stream = self.store().await.jetstream.get_stream(subject::DEAD_LETTERS).await;
        let letter = stream.expect("open the dead letters").get_raw_message(sequence).await;
        let letter = letter.expect("there is such a dead letter");
        let reason = letter.headers.get(subject::header::REASON).map(ToString::to_string);
        (letter.payload, reason.unwrap_or_default())
    }

    /// Ends the server with SIGKILL: what it had not handed to the operating system is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill nats-server");
        self.child.wait().expect("wait for nats-server");
    }

    /// Ends the server in order: everything that it holds is on disk.
    pub fn end(&mut self) {
        let ended =
            Command::new("kill").arg(self.child.id().to_string()).status().expect("signal nats-server");
        assert!(ended.success(), "nats-server can be signalled");
        self.child.wait().expect("wait for nats-server");
    }

    /// Starts the server again on the same port and directory after [`TestServer::kill`].
    pub async fn restart(&mut self) {
        let _ = std::fs::remove_dir_all(self.directory.path().join("ports"));
        self.child = spawn(self.directory.path(), self.port);
        assert_eq!(self.read_port().await, self.port, "the server listens where it did");
    }

    /// The server writes the address it listens at into a file.
    async fn read_port(&mut self) -> u16 {
        let deadline = Instant::now() + START_WAIT;
        loop {
            let ports = read_ports_file(&self.directory.path().join("ports"));
            if let Some(port) = ports.as_ref().and_then(client_port) {
                return port;
            }
            if let Some(status) = self.child.try_wait().expect("look at nats-server") {
                panic!("nats-server ended with {status}, see {}", self.directory.path().display());
            }
            assert!(Instant::now() < deadline, "nats-server did not start in {START_WAIT:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What is heard of a replay.
pub struct Replayed(async_nats::Subscriber);

impl Replayed {
    /// The next message: its place in the log, and its payload.
    pub async fn next(&mut self) -> (u64, bytes::Bytes) {
        let message = tokio::time::timeout(START_WAIT, self.0.next()).await.expect("a message in time");
        let message = message.expect("the subscription goes on");
        let headers = message.headers.unwrap_or_default();
        let sequence = headers.get(subject::header::SEQUENCE).expect("a message has its place");
        (sequence.as_str().parse().expect("a place is a number"), message.payload)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of `mcpcan up`, with one user more.
fn config() -> String {
    let passwords = Role::ALL.map(|role| (role, password()));
    let test_user = format!("  users: [\n    {{ user: {TEST_USER}, password: {PASSWORD} }}");
    let users = role::users_config(&passwords).replacen("  users: [", &test_user, 1);
    format!("{}\n{users}", provision::SERVER_CONFIG)
}

fn password() -> Zeroizing<String> {
    Zeroizing::new(PASSWORD.to_owned())
}

fn spawn(directory: &Path, port: u16) -> Child {
    let (config, ports) = (directory.join("server.conf"), directory.join("ports"));
    std::fs::create_dir_all(&ports).expect("make a directory");
    let log = std::fs::File::create(directory.join("nats.log")).expect("make a log file");
    Command::new(program())
        .arg("--config")
        .arg(config)
        .args(["--addr", "127.0.0.1", "--port", &if port == 0 { -1 } else { i32::from(port) }.to_string()])
        .args(["--http_port", "-1"])
        .arg("--store_dir")
        .arg(directory.join("data"))
        .arg("--ports_file_dir")
        .arg(ports)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("start nats-server")
}

fn read_ports_file(directory: &Path) -> Option<serde_json::Value> {
    let file = std::fs::read_dir(directory).ok()?.flatten().next()?;
    serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()
}

fn client_port(ports: &serde_json::Value) -> Option<u16> {
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}

/// `MCPCAN_NATS_SERVER`, or what `make tools` has fetched.
fn program() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    let program = std::env::var_os("MCPCAN_NATS_SERVER").map_or(fetched, PathBuf::from);
    assert!(program.is_file(), "there is no nats-server at {}: run `make tools`", program.display());
    program
}
