//! How the platform is, by what its processes say.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;
use store::{DataStream, GatewayReport, Role, SinkReport};
use uuid::Uuid;

use crate::platform::{Platform, WAIT};

#[tokio::test]
async fn the_status_shows_roles_sinks_and_gateways() {
    let platform = Platform::start().await;
    let empty = platform.client.get("/status").await.expect(StatusCode::OK);
    assert_eq!(empty["ready"], false, "nobody has said anything");

    let (gateway, projector) =
        (platform.server.store_as(Role::Gateway).await, platform.server.store_as(Role::Projector).await);
    let at = jiff::Timestamp::now();
    let dropped = BTreeMap::from([(Uuid::nil(), 3), (Uuid::max(), 4)]);
    gateway.say_gateway("one", &GatewayReport { rows: 7, batches: 2, spool_bytes: 11, dropped, at }).await;
    let (rows, batches, batch_rows, dead_letters) = (9, 3, 4, 1);
    let sink = SinkReport { rows, batches, batch_rows, dead_letters, lag_messages: 2, lag_seconds: 0.5, at };
    projector.say_sink(DataStream::Logs, &sink).await;
    let roles = || BTreeMap::from([("gateway".to_owned(), true)]);
    let status = tokio::select! {
        never = gateway.keep_saying_readiness(Role::Gateway, Some("one"), roles) => match never {},
        status = tokio::time::timeout(WAIT, async {
            loop {
                let status = platform.client.get("/status").await.expect(StatusCode::OK);
                if status["ready"] == true {
                    return status;
                }
            }
        }) => status.expect("the gateway says that it is ready"),
    };
    assert_eq!(
        (&status["processes"][0]["name"], &status["processes"][0]["silent"]),
        (&json!("gateway.one"), &json!(false))
    );
    let gateway = &status["gateways"][0];
    assert_eq!(
        (&gateway["id"], &gateway["dropped"], &gateway["spool_bytes"]),
        (&json!("one"), &json!(7), &json!(11))
    );
    let sink = &status["sinks"][0];
    assert_eq!(
        (&sink["stream"], &sink["lag_messages"], &sink["dead_letters"]),
        (&json!("LOGS"), &json!(2), &json!(1))
    );
    platform.stop().await;
}
