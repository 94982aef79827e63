//! Sinks: the same batch after a crash, one sink at a time.

use bytes::Bytes;
use store::testing::TestServer;
use store::{DataStream, SinkError, Store};

async fn publish(store: &Store, texts: std::ops::Range<u32>) {
    for text in texts {
        let (id, payload) = (format!("message-{text}"), Bytes::from(text.to_string()));
        store.publish(DataStream::Traces, "gateway-1", &id, payload).await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_that_may_not_have_arrived_comes_again_the_same() {
    let server = TestServer::start().await;
    let store = server.store().await;
    publish(&store, 0..5).await;
    let first = store.sink(DataStream::Traces).await.unwrap().next().await.unwrap();
    // The sink dies here. More has come when the next one opens.
    publish(&store, 5..9).await;
    let mut sink = store.sink(DataStream::Traces).await.unwrap();
    let again = sink.next().await.unwrap();
    assert_eq!(again.deduplication_token, first.deduplication_token);
    assert_eq!(again.messages, first.messages);

    let mut rest = again.messages;
    while rest.len() < 9 {
        let batch = sink.next().await.unwrap();
        assert_eq!(batch.lost, 0);
        rest.extend(batch.messages);
    }
    let expected: Vec<_> = (0..9_u64).map(|text| (text + 1, Bytes::from(text.to_string()))).collect();
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn that_the_last_batch_has_arrived_is_known_though_nothing_comes_after_it() {
    let server = TestServer::start().await;
    let store = server.store().await;
    publish(&store, 0..3).await;
    let mut sink = store.sink(DataStream::Traces).await.unwrap();
    let batch = sink.next().await.unwrap();
    let extent = async || store.data_extent(DataStream::Traces).await.unwrap();
    assert_eq!(extent().await.arrived_before, batch.first_sequence);
    let waiting = tokio::spawn(async move { sink.next().await });
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while extent().await.arrived_before != batch.last_sequence + 1 {
        assert!(tokio::time::Instant::now() < deadline, "that it has arrived is not recorded");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    waiting.abort();
    // The next sink repeats nothing.
    let mut sink = store.sink(DataStream::Traces).await.unwrap();
    assert_eq!(sink.arrived(), batch.last_sequence);
    publish(&store, 3..4).await;
    let next = sink.next().await.unwrap();
    assert_eq!((next.first_sequence, next.lost), (batch.last_sequence + 1, 0));
}

#[tokio::test]
async fn a_batch_that_was_published_twice_counts_once() {
    let server = TestServer::start().await;
    let store = server.store().await;
    publish(&store, 0..2).await;
    publish(&store, 0..3).await;
    let mut sink = store.sink(DataStream::Traces).await.unwrap();
    let mut messages = sink.next().await.unwrap().messages;
    while messages.len() < 3 {
        messages.extend(sink.next().await.unwrap().messages);
    }
    assert_eq!(messages, [(1, Bytes::from("0")), (2, Bytes::from("1")), (3, Bytes::from("2"))]);
}

#[tokio::test]
async fn a_sink_that_was_taken_over_ends() {
    let server = TestServer::start().await;
    let store = server.store().await;
    publish(&store, 0..1).await;
    let mut old = store.sink(DataStream::Traces).await.unwrap();
    old.next().await.unwrap();
    let mut new = server.store().await.sink(DataStream::Traces).await.unwrap();
    new.next().await.unwrap();
    publish(&store, 1..2).await;
    new.next().await.unwrap();
    let ended = old.next().await;
    assert!(matches!(ended, Err(SinkError::TakenOver)), "{ended:?}");
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_read_from_its_first_message_under_other_tokens() {
    let server = TestServer::start().await;
    let store = server.store().await;
    publish(&store, 0..3).await;
    let old = store.sink(DataStream::Traces).await.unwrap().next().await.unwrap();
    server.delete_stream("TRACES").await;
    store.provision(1).await.unwrap();
    publish(&store, 3..6).await;
    let new = store.sink(DataStream::Traces).await.unwrap().next().await.unwrap();
    assert_eq!((old.first_sequence, new.first_sequence), (1, 1));
    assert_eq!(new.messages[0], (1, Bytes::from("3")));
    assert_ne!(old.deduplication_token, new.deduplication_token);
}

#[tokio::test]
async fn a_sink_whose_record_cannot_be_read_says_what_to_do() {
    let server = TestServer::start().await;
    let nats = async_nats::jetstream::new(server.nats().await);
    let bucket = nats.get_key_value("sinks").await.unwrap();
    bucket.put("TRACES", "of another form".into()).await.unwrap();
    let Err(error) = server.store().await.sink(DataStream::Traces).await else { panic!("it was read") };
    assert!(
        matches!(error, SinkError::Unreadable { .. }) && error.to_string().contains("delete the key"),
        "{error}"
    );

    bucket.delete("TRACES").await.unwrap();
    let store = server.store().await;
    publish(&store, 0..1).await;
    let batch = store.sink(DataStream::Traces).await.unwrap().next().await.unwrap();
    assert_eq!(batch.first_sequence, 1);
}
