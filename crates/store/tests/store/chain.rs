//! The hash chain, against somebody who can do to NATS whatever its server's operator can, but has no master key.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use domain::instance::{Event, InstanceDecider, Restarted};
use futures_util::StreamExt;
use store::testing::TestServer;
use store::{ChainError, Finding, Store, Verification, Write};

use crate::given::{created, instance_id, metadata};

const WAIT: Duration = Duration::from_secs(30);
/// More than one block holds.
const EVENTS: u64 = 300;

/// A log of one instance, all of it linked; gives the subject.
async fn linked_log(server: &TestServer) -> String {
    let store = server.store().await;
    let id = instance_id();
    let mut events = vec![created("everything")];
    events.extend((2..=EVENTS).map(|generation| Event::Restarted(Restarted { generation })));
    store.append(&[Write::new::<InstanceDecider>(&id, 0, &events)], &metadata()).await.unwrap();
    link(&store).await.unwrap();
    format!("events.instance.{id}")
}

/// Links what there is.
async fn link(store: &Store) -> Result<(), ChainError> {
    let (linked, is_linked) = tokio::sync::oneshot::channel();
    let linking = store.link_events(|| linked.send(()).unwrap());
    tokio::select! {
        ended = linking => ended,
        linked = tokio::time::timeout(WAIT, is_linked) => {
            linked.unwrap().unwrap();
            Ok(())
        }
    }
}

async fn verify(server: &TestServer) -> Verification {
    let store = server.store().await;
    tokio::time::timeout(WAIT, store.verify(|_| {})).await.unwrap().unwrap()
}

async fn attacker(server: &TestServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(server.nats().await)
}

/// Takes the log away and puts another one in its place.
async fn forge(server: &TestServer, change: impl FnOnce(&mut Vec<Message>)) {
    let nats = attacker(server).await;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = nats.get_stream("EVENTS").await.unwrap().create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(usize::try_from(EVENTS).unwrap());
    let mut log: Vec<Message> = messages.map(|message| message.unwrap()).collect().await;
    change(&mut log);
    server.delete_stream("EVENTS").await;
    server.store().await.provision(1).await.unwrap();
    for message in log {
        let mut headers = async_nats::HeaderMap::new();
        let own = message.headers.as_ref().unwrap().iter();
        for (name, values) in own.filter(|(name, _)| name.to_string().starts_with("Mcpcan-")) {
            values.iter().for_each(|value| headers.insert(name.clone(), value.clone()));
        }
        let (subject, payload) = (message.subject.clone(), message.payload.clone());
        nats.publish_with_headers(subject, headers, payload).await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_nobody_has_touched_is_confirmed_and_new_events_are_not_linked_yet() {
    let server = TestServer::start().await;
    assert_eq!(verify(&server).await.head, None, "there is no chain before the first event");
    linked_log(&server).await;
    let verification = verify(&server).await;
    assert_eq!((verification.confirmed, verification.not_linked), (EVENTS, 0));
    assert_eq!((verification.head_sequence, verification.findings), (EVENTS, vec![]));
    let head = verification.head.unwrap();

    let store = server.store().await;
    store
        .append(&[Write::new::<InstanceDecider>(&instance_id(), 0, &[created("other")])], &metadata())
        .await
        .unwrap();
    let verification = verify(&server).await;
    assert_eq!((verification.confirmed, verification.not_linked), (EVENTS, 1));
    assert_eq!((verification.findings, verification.head.as_deref()), (vec![], Some(head.as_str())));
    link(&store).await.unwrap();
    let verification = verify(&server).await;
    assert_eq!((verification.confirmed, verification.not_linked), (EVENTS + 1, 0));
    assert_ne!(verification.head.unwrap(), head);
}

#[tokio::test]
async fn a_log_that_was_put_back_as_it_was_is_the_same() {
    let server = TestServer::start().await;
    linked_log(&server).await;
    forge(&server, |_| {}).await;
    let verification = verify(&server).await;
    assert_eq!((verification.confirmed, verification.findings), (EVENTS, vec![]));
}

#[tokio::test]
async fn a_changed_event_is_named() {
    let server = TestServer::start().await;
    let subject = linked_log(&server).await;
    forge(&server, |log| {
        log[6].message.payload = store::encode(&Restarted { generation: 9_999 }).into();
        let headers = log[270].message.headers.as_mut().unwrap();
        headers.insert("Mcpcan-Actor", "role:nobody");
    })
    .await;
    let verification = verify(&server).await;
    assert_eq!(verification.confirmed, EVENTS - 2);
    let changed = |sequence| Finding::Changed {
        sequence,
        subject: subject.clone(),
        event: "instance.restarted".to_owned(),
    };
    assert_eq!(verification.findings, [changed(7), changed(271)]);
}

#[tokio::test]
async fn a_missing_event_an_added_one_and_two_that_were_swapped_are_named() {
    let server = TestServer::start().await;
    let subject = linked_log(&server).await;
    let event = "instance.restarted".to_owned();
    forge(&server, |log| drop(log.remove(9))).await;
    let verification = verify(&server).await;
    let missing = Finding::Missing { sequence: 10, subject: subject.clone(), event: event.clone() };
    assert_eq!((verification.confirmed, verification.findings), (EVENTS - 1, vec![missing]));
    link(&server.store().await).await.expect_err("the log is shorter than what was linked");

    let server = TestServer::start().await;
    let subject = linked_log(&server).await;
    forge(&server, |log| log.swap(258, 259)).await;
    let verification = verify(&server).await;
    let reordered =
        Finding::Reordered { sequence: 259, subject: subject.clone(), event: event.clone(), found_at: 260 };
    assert_eq!((verification.confirmed, verification.findings), (EVENTS - 1, vec![reordered]));

    let server = TestServer::start().await;
    let subject = linked_log(&server).await;
    forge(&server, |log| {
        let mut added = Message { message: log[20].message.clone(), context: log[20].context.clone() };
        added.message.payload = store::encode(&Restarted { generation: 7_777 }).into();
        log.insert(20, added);
    })
    .await;
    let verification = verify(&server).await;
    let unaccounted = Finding::Unaccounted { sequence: 21, subject, event };
    assert_eq!((verification.confirmed, verification.findings), (EVENTS, vec![unaccounted]));
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_named_and_not_linked_any_further() {
    let server = TestServer::start().await;
    let subject = linked_log(&server).await;
    forge(&server, |log| log.truncate(290)).await;
    let verification = verify(&server).await;
    let event = "instance.restarted".to_owned();
    let truncated = Finding::Truncated { sequence: 291, last_sequence: EVENTS, subject, event };
    assert_eq!((verification.confirmed, verification.findings), (290, vec![truncated]));
    let ended = link(&server.store().await).await;
    assert!(matches!(ended, Err(ChainError::Broken(_))), "{ended:?}");
}

#[tokio::test]
async fn the_chain_itself_cannot_be_changed_unseen() {
    let server = TestServer::start().await;
    linked_log(&server).await;
    let bucket = attacker(&server).await.get_key_value("chain").await.unwrap();
    let first = bucket.get("block.0").await.unwrap().unwrap();
    let at = first.windows(18).position(|bytes| bytes == b"instance.restarted").unwrap();
    let mut forged = first.to_vec();
    forged[at] = b'I';
    bucket.put("block.0", forged.into()).await.unwrap();
    let findings = verify(&server).await.findings;
    assert!(matches!(findings[..], [Finding::Record { sequence: 1, .. }]), "{findings:?}");

    bucket.delete("block.0").await.unwrap();
    let verification = verify(&server).await;
    let [Finding::Record { sequence: 1, last_sequence: 256, .. }] = verification.findings[..] else {
        panic!("{verification:?}")
    };
    assert_eq!(verification.confirmed, EVENTS - 256, "the rest is confirmed");

    bucket.put("block.0", first).await.unwrap();
    assert_eq!(verify(&server).await.findings, []);
    bucket.delete("head").await.unwrap();
    let findings = verify(&server).await.findings;
    assert!(matches!(findings[..], [Finding::Record { .. }]), "{findings:?}");
    let ended = link(&server.store().await).await;
    assert!(matches!(ended, Err(ChainError::Broken(_))), "it is not begun anew: {ended:?}");
}
