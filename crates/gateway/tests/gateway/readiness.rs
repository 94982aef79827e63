//! A gateway that decides on old rows asks not to be sent more requests.

use crate::harness::{Harness, until};

async fn until_readyz(harness: &Harness, status: u16) {
    until(&format!("/readyz to be {status}"), || async {
        let answer = harness.client().send_with("GET", "/readyz", &[], "").await;
        (answer.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_cannot_follow_a_view_is_not_ready_until_it_can() {
    let mut harness = Harness::start().await;
    until_readyz(&harness, 200).await;
    harness.server.delete_stream("KV_tokens").await;
    // With the connection made anew, what follows the view notices at once that there is none.
    harness.server.kill();
    harness.server.restart().await;
    until_readyz(&harness, 503).await;
    harness.server.store().await.provision(1).await.expect("make the view anew");
    until_readyz(&harness, 200).await;
}
