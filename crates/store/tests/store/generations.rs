//! Generations of a view: the form of old is taken over, a new form is built beside the one that is served.

use std::time::Duration;

use domain::instance::InstanceDecider;
use futures_util::StreamExt;
use store::testing::TestServer;
use store::{ProjectError, Store, Write};
use tokio::task::JoinHandle;
use uuid::Uuid;
use views::{InstanceRow, Instances, View};

use crate::given::{created, instance_id, metadata};

const WAIT: Duration = Duration::from_secs(20);

/// The instances in another form: the names are louder.
struct LoudInstances;

impl View for LoudInstances {
    const NAME: &'static str = Instances::NAME;
    const VERSION: u16 = Instances::VERSION + 1;

    type Row = InstanceRow;

    fn key(recorded: &domain::Recorded) -> Option<Uuid> {
        Instances::key(recorded)
    }

    fn apply(row: Option<InstanceRow>, recorded: &domain::Recorded) -> Option<InstanceRow> {
        let row = Instances::apply(row, recorded)?;
        let name = format!("loud-{}", row.name.as_str().trim_start_matches("loud-")).parse().unwrap();
        Some(InstanceRow { name, ..row })
    }
}

fn project<V: View>(store: Store) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let ended = store.project::<V>(|| {}).await;
            assert!(matches!(ended, Err(ProjectError::Unavailable(_))), "{ended:?}");
        }
    })
}

async fn append(store: &Store, name: &str) -> (Uuid, u64) {
    let id = instance_id();
    let write = Write::new::<InstanceDecider>(&id, 0, &[created(name)]);
    (id.0, store.append(&[write], &metadata()).await.unwrap())
}

/// The keys of the bucket that hold something, without the ids.
async fn keys(server: &TestServer) -> Vec<String> {
    let nats = async_nats::jetstream::new(server.nats().await);
    let bucket = nats.get_key_value(Instances::NAME).await.unwrap();
    let keys = bucket.keys().await.unwrap().map(|key| key.unwrap());
    let mut keys: Vec<String> = keys
        .map(|key| match key.rsplit_once('.') {
            Some((generation, id)) if id.parse::<Uuid>().is_ok() => format!("{generation}.<id>"),
            Some(_) | None => key,
        })
        .collect()
        .await;
    keys.sort();
    keys
}

/// Waits until the bucket holds exactly these keys.
async fn holds(server: &TestServer, expected: &[&str]) {
    let mut found = vec![];
    let held = async {
        while found != expected {
            found = keys(server).await;
        }
    };
    let held = tokio::time::timeout(WAIT, held).await;
    assert!(held.is_ok(), "{found:?} instead of {expected:?}");
}

#[tokio::test]
async fn what_a_program_without_generations_has_left_is_rebuilt_before_anybody_follows_it() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, sequence) = append(&store, "everything").await;
    let nats = async_nats::jetstream::new(server.nats().await);
    let bucket = nats.get_key_value(Instances::NAME).await.unwrap();
    bucket.put(id.to_string(), "a row of old".into()).await.unwrap();
    bucket.put(Uuid::now_v7().to_string(), "a row of old".into()).await.unwrap();
    bucket.put("position", store::encode(&sequence).into()).await.unwrap();

    let follows = tokio::spawn({
        let store = store.clone();
        async move { store.follow::<Instances>(|_, _| {}).await.unwrap() }
    });
    let projection = project::<Instances>(server.store().await);
    let view = tokio::time::timeout(WAIT, follows).await.unwrap().unwrap();
    assert_eq!(view.position(), sequence);
    assert_eq!(view.rows().len(), 1);
    assert_eq!(view.get(id).unwrap().name.as_str(), "everything");
    holds(&server, &["1.<id>", "1.position", "live"]).await;
    projection.abort();
}

#[tokio::test]
async fn a_program_with_another_form_of_rows_rebuilds_the_view_by_itself() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, sequence) = append(&store, "everything").await;
    let old_projection = project::<Instances>(server.store().await);
    let old = store.follow::<Instances>(|_, _| {}).await.unwrap();
    old.reached(sequence, WAIT).await.unwrap();
    old_projection.abort();

    let projection = project::<LoudInstances>(server.store().await);
    let new = tokio::time::timeout(WAIT, store.follow::<LoudInstances>(|_, _| {})).await.unwrap().unwrap();
    assert_eq!(new.get(id).unwrap().name.as_str(), "loud-everything");
    holds(&server, &["2.<id>", "2.position", "live"]).await;
    assert_eq!(old.get(id).unwrap().name.as_str(), "everything", "the old program keeps what it knows");

    // A restart goes on with what is there, and a program of old makes its own again.
    projection.abort();
    let projection = project::<LoudInstances>(server.store().await);
    let (second, sequence) = append(&store, "second").await;
    new.reached(sequence, WAIT).await.unwrap();
    assert_eq!(new.get(second).unwrap().name.as_str(), "loud-second");
    holds(&server, &["2.<id>", "2.<id>", "2.position", "live"]).await;
    projection.abort();
    let projection = project::<Instances>(server.store().await);
    old.reached(sequence, WAIT).await.unwrap();
    assert_eq!(old.get(second).unwrap().name.as_str(), "second");
    projection.abort();
}

#[tokio::test]
async fn a_build_that_was_interrupted_goes_on_where_it_was_or_begins_anew_in_another_form() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (_, sequence) = append(&store, "everything").await;
    let nats = async_nats::jetstream::new(server.nats().await);
    // The next event cannot be read, so the view is served as far as it goes.
    nats.publish(format!("events.instance.{}", Uuid::now_v7()), "newer".into()).await.unwrap().await.unwrap();
    let ended = tokio::time::timeout(WAIT, store.project::<Instances>(|| {})).await.unwrap();
    assert!(matches!(ended, Err(ProjectError::Unreadable(_))), "{ended:?}");
    assert_eq!(keys(&server).await, ["1.<id>", "1.position", "live"]);
    let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
    assert_eq!(view.position(), sequence);

    // What a build of a third form has left behind is in nobody's way.
    let bucket = nats.get_key_value(Instances::NAME).await.unwrap();
    bucket
        .put("2.position", store::encode(&serde_json::json!({"position": 7, "version": 9})).into())
        .await
        .unwrap();
    bucket.put(format!("2.{}", Uuid::now_v7()), "of a third form".into()).await.unwrap();
    let ended = tokio::time::timeout(WAIT, store.project::<LoudInstances>(|| {})).await.unwrap();
    assert!(matches!(ended, Err(ProjectError::Unreadable(_))), "{ended:?}");
    assert_eq!(keys(&server).await, ["3.<id>", "3.position", "live"]);
}
