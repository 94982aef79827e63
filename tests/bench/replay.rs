//! A whole log into a view, decoding, folding and writing included, beside an ordered consumer that does nothing.

use std::env;
use std::time::Instant;

use domain::instance::{Access, Created, Event, InstanceDecider, Remote, RemoteTransport, Restarted};
use domain::{InstanceId, Name};
use store::testing::{TestServer, given};
use store::{Store, Write};
use uuid::Uuid;
use views::{Instances, View};

use crate::figure::{Figures, Goal, median};
use crate::peer::Raw;

/// How many events there are, unless `MCPCAN_BENCH_EVENTS` says otherwise.
const EVENTS: usize = 1_000_000;
/// How many events each instance has.
const EVENTS_EACH: usize = 100;
/// How many instances are appended to at once: JetStream takes a thousand messages in one atomic batch.
const INSTANCES_AT_ONCE: usize = 10;
const ROUNDS: usize = 3;
/// What of a bare ordered consumer has to be reached.
const RATIO_MIN: f64 = 0.7;

#[expect(clippy::cast_precision_loss, reason = "a count of events")]
pub(crate) async fn run(figures: &mut Figures) {
    let server = TestServer::start().await;
    let store = server.store().await;
    let events: usize =
        env::var("MCPCAN_BENCH_EVENTS").map_or(EVENTS, |text| text.parse().expect("a number"));
    fill(&store, events).await;
    let events = store.last_event().await.expect("the log has an end");
    let raw = Raw::connect(&server).await;
    let (mut consumed, mut projected) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        consumed.push(raw.consume_events("events.>").await);
        server.delete_stream(&format!("KV_{}", Instances::NAME)).await;
        store.provision(1).await.expect("make the view's bucket anew");
        projected.push(events as f64 / project(&server.store().await).await);
    }
    let (raw, ours) = (median(&consumed), median(&projected));
    figures.add("replay: bare ordered consumer", raw, "/s", Goal::None);
    figures.add("replay: into the view of instances", ours, "/s", Goal::None);
    figures.add("replay: ratio", ours / raw, "", Goal::AtLeast(RATIO_MIN));
}

/// Folds the whole log into an empty bucket; gives the seconds until every row is there.
async fn project(store: &Store) -> f64 {
    let started = Instant::now();
    let (caught_up, is_caught_up) = tokio::sync::oneshot::channel();
    tokio::select! {
        ended = store.project::<Instances>(|| caught_up.send(()).expect("it is waited for")) => {
            panic!("it ended: {ended:?}")
        }
        caught_up = is_caught_up => caught_up.expect("it catches up"),
    }
    started.elapsed().as_secs_f64()
}

async fn fill(store: &Store, events: usize) {
    let instances = events / EVENTS_EACH;
    for batch in 0..instances / INSTANCES_AT_ONCE {
        let writes: Vec<_> = (0..INSTANCES_AT_ONCE)
            .map(|number| {
                let id = InstanceId(Uuid::now_v7());
                Write::new::<InstanceDecider>(&id, 0, &history(batch * INSTANCES_AT_ONCE + number))
            })
            .collect();
        store.append(&writes, &given().metadata()).await.expect("append events");
    }
}

fn history(number: usize) -> Vec<Event> {
    let name = format!("bench-{number}").parse().expect("a legal name");
    let mut events = vec![created(name)];
    let restarts = u64::try_from(EVENTS_EACH).expect("a small number");
    events.extend((2..=restarts).map(|generation| Event::Restarted(Restarted { generation })));
    events
}

/// The event that an instance begins with.
pub(crate) fn created(name: Name) -> Event {
    let access = Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "http://127.0.0.1:9/mcp".to_owned(),
        headers: Default::default(),
    });
    Event::Created(Created { name, access, profile: Default::default(), template: None })
}
