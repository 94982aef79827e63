//! The access log under fire: calls through three gateways while gateways, nats-server, projectors and the ClickHouse
//! engine are killed and started again. Afterwards the rows are held against the answers that callers got.
//!
//! A row is once in the stream TRACES and once in ClickHouse, under the same place, and counts once in what is summed up
//! of it. Of each call whose answer came there are exactly two, its request and its response; the one exception is what
//! a gateway had in its memory alone when it was killed ([`window`]), and that is none of an instance that answers
//! nothing before it is recorded.

mod caller;
mod clickhouse;
mod upstream;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use access_log::{Place, TraceEvent, TraceRecord};
use async_nats::jetstream::{self, consumer::DeliverPolicy, consumer::pull::OrderedConfig};
use futures_util::StreamExt;
use harness::{Deployment, Replicas, gateway, http, projector, until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::chaos::{self, CLICKHOUSE, Fault, NATS, Targets};
use crate::random::Random;
use crate::{ALONE, end_of_load, seed};
use caller::{Acknowledged, Caller, Way};
pub(crate) use clickhouse::Clickhouse;

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 2, gateways: 3 };
const CALLERS: usize = 16;
/// How long it may take until everything has arrived once nothing is killed any more.
const ARRIVED_MAX: Duration = Duration::from_secs(120);
/// How many of many things that are wrong are shown.
const SHOWN_MAX: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_every_answered_call_has_its_rows_and_no_others() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    println!("MCPCAN_FAULT_SEED={seed} runs the same faults again");
    let mut random = Random::new(seed);
    let mut clickhouse = Clickhouse::start().await;
    let mut deployment = Deployment::start_with(REPLICAS, &clickhouse.url()).await;
    let server = upstream::start().await;
    let ways = [Way::open(&deployment, &server, false).await, Way::open(&deployment, &server, true).await];

    let end = end_of_load();
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        callers.spawn(Caller::new(number, ways[number % ways.len()].clone(), random.fork()).run(end));
    }
    let mut targets =
        Targets { names: names(), deployment: &mut deployment, clickhouse: Some(&mut clickhouse) };
    let faults = chaos::run(&mut targets, &mut random, end).await;
    faults.iter().for_each(|fault| println!("{fault}"));
    deployment.ready().await;
    let answered = callers.join_all().await.concat();
    for is_strict in [false, true] {
        let calls = answered.iter().filter(|call| call.is_strict == is_strict).count();
        println!("{calls} calls answered, strict: {is_strict}");
        assert!(calls > 0, "no call was answered");
    }

    nothing_waits_in_a_gateway(&deployment).await;
    // Behind this one nothing else is on its way.
    let mut last = Caller::new(CALLERS, ways[0].clone(), random.fork());
    let (last, _) = until("a last call is answered", ARRIVED_MAX, async || last.call().await).await;
    let rows = arrived(&deployment, &clickhouse, &last).await;
    println!("{} rows", rows.len());

    let (lost, wrong) = missing_rows(&rows, &answered, &faults);
    for (fault, Lost { rows, longest }) in lost {
        println!(
            "{rows} rows of calls answered at most {} ms before were lost with: {fault}",
            longest.as_millis()
        );
    }
    let wrong = [repeated_rows(&rows), wrong].concat();
    let shown = wrong[..wrong.len().min(SHOWN_MAX)].join("\n");
    assert!(wrong.is_empty(), "{} calls have other rows than they should, such as\n{shown}", wrong.len());
    assert_eq!(clickhouse.ended_calls().await, clickhouse.summed_up_calls().await, "each call counts once");
    assert_eq!(deployment.server.messages("DEAD_LETTERS").await, 0, "nothing could not be read");
    assert_eq!(deployment.ended(), Vec::<String>::new(), "no part ended by itself");
}

/// Who is killed. What all rows go through dies as often as two gateways.
fn names() -> Vec<String> {
    let gateways = (0..REPLICAS.gateways).map(gateway);
    let projectors = (0..REPLICAS.projectors).map(projector);
    let others = [NATS, CLICKHOUSE, CLICKHOUSE].map(str::to_owned);
    gateways.chain(projectors).chain(others).collect()
}

/// Waits until the gateways have brought what they put aside.
async fn nothing_waits_in_a_gateway(deployment: &Deployment) {
    until("the spools are empty", ARRIVED_MAX, async || {
        let is_empty = |index: usize| {
            let spool = std::fs::read_dir(deployment.gateway_data(index).join("spool")).ok()?;
            let segments =
                spool.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "spool"));
            (segments.count() == 0).then_some(())
        };
        (0..REPLICAS.gateways).try_for_each(is_empty)
    })
    .await;
}

/// All rows of the stream, once ClickHouse holds the same, which has to be under the same places.
async fn arrived(deployment: &Deployment, clickhouse: &Clickhouse, last: &Acknowledged) -> Vec<TraceRecord> {
    let (rows, _) = until("the last row is in the stream", ARRIVED_MAX, async || {
        let rows = stream(deployment).await;
        let of_last = rows.iter().filter(|row| row.rpc_id == last.rpc_id()).count();
        (of_last == 2).then_some(rows)
    })
    .await;
    let end = rows.last().map(|row| row.place).expect("there are rows");
    let (carried, _) = until("the last row is in ClickHouse", ARRIVED_MAX, async || {
        let places = clickhouse.places().await?;
        places.contains_key(&end).then_some(places)
    })
    .await;
    let wanted: BTreeSet<Place> = rows.iter().map(|row| row.place).collect();
    let missing = wanted.iter().filter(|place| !carried.contains_key(place)).map(|place| ("missing", place));
    let twice = carried.iter().filter(|(_, count)| **count > 1).map(|(place, _)| ("more than once", place));
    let foreign = carried.keys().filter(|place| !wanted.contains(place)).map(|place| ("from nowhere", place));
    let wrong: Vec<_> = missing.chain(twice).chain(foreign).collect();
    let shown = &wrong[..wrong.len().min(SHOWN_MAX)];
    assert!(
        wrong.is_empty(),
        "{} places differ between stream and ClickHouse, such as {shown:?}",
        wrong.len()
    );
    rows
}

/// What the stream TRACES holds, in its order.
async fn stream(deployment: &Deployment) -> Vec<TraceRecord> {
    let jetstream = jetstream::new(deployment.server.nats().await);
    let mut stream = jetstream.get_stream("TRACES").await.expect("there is the stream");
    let last = stream.info().await.expect("the stream is known").state.last_sequence;
    let config = OrderedConfig { deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await.expect("the stream can be read");
    let (mut messages, mut rows) = (consumer.messages().await.expect("it gives messages"), vec![]);
    loop {
        let message = messages.next().await.expect("it has no end").expect("a message");
        let sequence = message.info().expect("a message has a place").stream_sequence;
        let batch: Vec<TraceRecord> = store::decode(&message.payload).expect("a message is a batch");
        rows.extend(
            (0..).zip(batch).map(|(index, row)| TraceRecord { place: Place { sequence, index }, ..row }),
        );
        if sequence >= last {
            return rows;
        }
    }
}

/// Events that are there more than once.
fn repeated_rows(rows: &[TraceRecord]) -> Vec<String> {
    let mut events = HashMap::<(&str, TraceEvent), usize>::new();
    rows.iter().for_each(|row| *events.entry((&row.span_id, row.event)).or_default() += 1);
    let repeated = events.iter().filter(|(_, count)| **count > 1);
    repeated.map(|((span, event), count)| format!("{event} of span {span} is there {count} times")).collect()
}

/// What a fault took along.
#[derive(Default)]
struct Lost {
    rows: usize,
    /// Between the answer of a call that lacks a row and the end of its gateway.
    longest: Duration,
}

/// Which rows each fault took along, and the answered calls that lack rows without one, or have others.
fn missing_rows(
    rows: &[TraceRecord],
    answered: &[Acknowledged],
    faults: &[Fault],
) -> (BTreeMap<String, Lost>, Vec<String>) {
    let mut calls = HashMap::<&str, Vec<TraceEvent>>::new();
    rows.iter().for_each(|row| calls.entry(&row.rpc_id).or_default().push(row.event));
    let (mut lost, mut wrong) = (BTreeMap::<_, Lost>::new(), vec![]);
    for call in answered {
        let mut found = calls.remove(call.rpc_id().as_str()).unwrap_or_default();
        found.sort_by_key(|event| *event != TraceEvent::Request);
        match (&found[..], window::killed_with(call, faults)) {
            ([TraceEvent::Request, TraceEvent::Response], _) => {}
            ([] | [TraceEvent::Request | TraceEvent::Response], Some(fault)) => {
                let lost = lost.entry(fault.to_string()).or_default();
                lost.rows += 2 - found.len();
                lost.longest = lost.longest.max(fault.killed.saturating_duration_since(call.answered));
            }
            _ => wrong.push(format!("{call:?} has {found:?}")),
        }
    }
    (lost, wrong)
}
