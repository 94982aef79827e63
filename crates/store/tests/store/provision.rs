//! Provisioning makes NATS what `nats/` declares, and nothing once it is.

use store::provision::Action;
use store::subject::{BUCKETS, CONSUMERS, STREAMS};
use store::testing::TestServer;

#[tokio::test]
async fn provisioning_again_changes_nothing() {
    let server = TestServer::start().await;
    let changes = server.store().await.provision(1).await.unwrap();
    let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, [&STREAMS, BUCKETS, &CONSUMERS].concat(), "what is declared is what the program names");
    for change in changes {
        assert_eq!(change.action, Action::Unchanged, "{change}");
    }
}

#[tokio::test]
async fn a_setting_that_somebody_changed_is_put_back_and_named() {
    let server = TestServer::start().await;
    let nats = server.nats().await;
    let jetstream = async_nats::jetstream::new(nats);
    let mut config = jetstream.get_stream("TRACES").await.unwrap().cached_info().config.clone();
    config.max_bytes = 1 << 20;
    jetstream.update_stream(config).await.unwrap();

    let changes = server.store().await.provision(1).await.unwrap();
    let changed: Vec<String> =
        changes.iter().filter(|change| change.action != Action::Unchanged).map(ToString::to_string).collect();
    assert_eq!(changed, ["stream TRACES updated: max_bytes"]);
    let info = jetstream.get_stream("TRACES").await.unwrap().cached_info().config.max_bytes;
    assert_eq!(info, 16 << 30);
}
