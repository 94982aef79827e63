//! The projector between a real nats-server and the real ClickHouse engine: every row arrives, none twice.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use access_log::testing::Engine;
use access_log::{
    ContainerLine, LineFilter, Place, Stream, TraceEvent, TraceFilter, TraceQuery, TraceRecord,
};
use domain::InstanceId;
use domain::retention_plan::{Days, Event as PlanEvent, RetentionPlanDecider, Set};
use jiff::Timestamp;
use service::{CancellationToken, Context, Readiness};
use store::testing::{TestServer, given};
use store::{DataStream, Role, Store, Write};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use uuid::Uuid;
use views::RetentionPlans;

/// How long rows may take to arrive: generous, because engines and servers are restarted in between.
const WAIT: Duration = Duration::from_secs(60);

struct Running {
    task: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

fn run_projector(store: Store, client: access_log::Client) -> Running {
    let context = Context { shutdown: CancellationToken::new(), readiness: Readiness::default() };
    let shutdown = context.shutdown.clone();
    let task = tokio::spawn(projector::run(store, client, context));
    Running { task, shutdown }
}

fn record(instance: Uuid, number: u32) -> TraceRecord {
    // Recent, since old rows leave by themselves, and in the order of the numbers.
    let time = Timestamp::now() + jiff::SignedDuration::from_millis(i64::from(number));
    TraceRecord {
        trace_id: format!("{number:032x}"),
        span_id: format!("{number:016x}"),
        instance_id: instance,
        instance_name: "everything".to_owned(),
        gateway_id: "gateway-1".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        http_method: "POST".to_owned(),
        path: "/mcp-gateway/everything/mcp".to_owned(),
        rpc_method: "tools/call".to_owned(),
        rpc_id: number.to_string(),
        tool: "echo".to_owned(),
        request_bytes: 1,
        client_address: "127.0.0.1".to_owned(),
        content_type: "application/json".to_owned(),
        ..TraceRecord::new(time, TraceEvent::Request)
    }
}

/// Publishes records as messages of three; each message is sent again until it is acknowledged.
async fn publish(store: &Store, instance: Uuid, numbers: std::ops::Range<u32>) {
    let numbers: Vec<u32> = numbers.collect();
    for numbers in numbers.chunks(3) {
        let records: Vec<TraceRecord> = numbers.iter().map(|number| record(instance, *number)).collect();
        let (id, rows) = (format!("{instance}-{}", numbers[0]), store::encode(&records));
        let publish = || store.publish(DataStream::Traces, "gateway-1", &id, rows.clone().into());
        while publish().await.is_err() {}
    }
}

/// Waits until the access log holds `count` rows of an instance, and gives their numbers in order.
async fn rows(client: &access_log::Client, instance: Uuid, count: usize) -> Vec<String> {
    let filter = TraceFilter { instance_id: Some(instance), ..TraceFilter::default() };
    let query = TraceQuery { limit: 1000, ..TraceQuery::from(filter) };
    let search = async {
        loop {
            match client.search(&query).await {
                Ok(rows) if rows.len() >= count => return rows,
                Ok(_) | Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let found = tokio::time::timeout(WAIT, search).await;
    let mut rows = found.unwrap_or_else(|_| panic!("{count} rows do not arrive"));
    rows.reverse();
    rows.into_iter().map(|row| row.rpc_id).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_arrives_once_although_everything_is_killed() {
    let (mut server, data) = (TestServer::start().await, TempDir::new().unwrap());
    let mut engine = Engine::start(data.path(), "127.0.0.1:0");
    let client = engine.client();
    client.migrate().await.unwrap();
    let (store, instance) = (server.store().await, Uuid::now_v7());

    let projector = run_projector(server.store_as(Role::Projector).await, client.clone());
    publish(&store, instance, 0..60).await;
    rows(&client, instance, 60).await;

    // The projector dies with a batch that it has recorded: the next one begins with it.
    projector.task.abort();
    publish(&store, instance, 60..120).await;
    let projector = run_projector(server.store_as(Role::Projector).await, client.clone());

    // ClickHouse dies while rows keep coming: they wait.
    engine.kill();
    publish(&store, instance, 120..180).await;
    engine = Engine::start(data.path(), &engine.address);
    rows(&client, instance, 180).await;

    // NATS dies: whoever publishes sends again.
    server.kill();
    let publishing = tokio::spawn(async move { publish(&store, instance, 180..240).await });
    server.restart().await;
    publishing.await.unwrap();
    assert_eq!(rows(&client, instance, 240).await, numbers(0..240));

    // A row of its own tells that nothing is on its way any more.
    publish(&server.store_as(Role::Gateway).await, instance, 240..241).await;
    assert_eq!(rows(&client, instance, 241).await, numbers(0..241));
    projector.shutdown.cancel();
    projector.task.await.unwrap().unwrap();
    drop(engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_goes_to_the_dead_letters_and_holds_up_nothing() {
    let (server, data) = (TestServer::start().await, TempDir::new().unwrap());
    let engine = Engine::start(data.path(), "127.0.0.1:0");
    let client = engine.client();
    client.migrate().await.unwrap();
    let (store, instance, replica) = (server.store().await, Uuid::now_v7(), Uuid::now_v7());

    store.publish(DataStream::Logs, "x", "bad", "this is no array of lines".into()).await.unwrap();
    let text = "Starting default (STDIO) server...".to_owned();
    let line = ContainerLine::new(Timestamp::now(), instance, replica, Stream::Stderr, text);
    store.publish(DataStream::Logs, "x", "good", store::encode(&[&line]).into()).await.unwrap();
    let line = ContainerLine { place: Place { sequence: 2, index: 0 }, ..line };
    let projector = run_projector(server.store_as(Role::Projector).await, client.clone());

    let arrived = async {
        loop {
            if let [found] = &client.lines(&LineFilter::of(instance).into()).await.unwrap()[..] {
                return found.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(tokio::time::timeout(WAIT, arrived).await.expect("the line arrives"), line);
    let (payload, reason) = server.dead_letter(1).await;
    assert_eq!(payload, "this is no array of lines");
    assert!(!reason.is_empty(), "the reason stands beside it");
    projector.shutdown.cancel();
    projector.task.await.unwrap().unwrap();
}

/// Notes a plan in the log, as the decider does.
async fn set_plan(store: &Store, instance: Uuid, access_log: u16, container_log: u16) {
    let days = Days { access_log, container_log };
    let write = Write::new::<RetentionPlanDecider>(&InstanceId(instance), 0, &[PlanEvent::Set(Set { days })]);
    let sequence = store.append(&[write], &given().metadata()).await.unwrap();
    let plans = store.follow::<RetentionPlans>(|_, _| {}).await.unwrap();
    plans.reached(sequence, WAIT).await.unwrap();
}

/// How many days each row of a table is kept, by instance.
async fn days_kept(engine: &Engine, table: &str) -> BTreeMap<Uuid, i64> {
    let sql = format!(
        "SELECT toString(instance_id), dateDiff('day', toDateTime(time, 'UTC'), expires_at) \
         FROM mcpcan.{table} FORMAT TSV"
    );
    let mut stream = TcpStream::connect(&engine.address).await.unwrap();
    let request = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{sql}", sql.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    let row = |line: &str| {
        let (instance, days) = line.split_once('\t').unwrap();
        (instance.parse().unwrap(), days.parse().unwrap())
    };
    text.lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_kept_for_as_long_as_the_plan_of_their_instance_says() {
    let (server, data) = (TestServer::start().await, TempDir::new().unwrap());
    let engine = Engine::start(data.path(), "127.0.0.1:0");
    let client = engine.client();
    client.migrate().await.unwrap();
    let (store, planned, unplanned) = (server.store().await, Uuid::now_v7(), Uuid::now_v7());
    let projector = run_projector(server.store_as(Role::Projector).await, client.clone());
    set_plan(&store, planned, 90, 30).await;

    let line = |instance| {
        ContainerLine::new(Timestamp::now(), instance, Uuid::nil(), Stream::Stdout, "kept".to_owned())
    };
    let lines = [line(planned), line(unplanned)];
    store.publish(DataStream::Logs, "x", "lines", store::encode(&lines).into()).await.unwrap();
    for instance in [planned, unplanned] {
        publish(&store, instance, 0..1).await;
        rows(&client, instance, 1).await;
    }
    let expected = |plan, default| BTreeMap::from([(planned, plan), (unplanned, default)]);
    assert_eq!(days_kept(&engine, "access_log").await, expected(90, 7));
    let arrived = async {
        while days_kept(&engine, "container_log").await != expected(30, 3) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, arrived).await.expect("the lines arrive and are kept as planned");

    // What lies there follows a plan that changes.
    set_plan(&store, unplanned, 30, 90).await;
    let followed = async {
        while days_kept(&engine, "access_log").await != expected(90, 30)
            || days_kept(&engine, "container_log").await != expected(30, 90)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, followed).await.expect("rows that are there follow the plan");
    projector.shutdown.cancel();
    projector.task.await.unwrap().unwrap();
}
