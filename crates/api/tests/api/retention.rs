//! For how long the rows of an instance are kept: as for all, unless somebody says otherwise.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::Platform;

#[tokio::test]
async fn a_plan_is_set_shown_and_reset_and_outlives_its_instance() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let instance = platform.create("everything").await["id"].clone();
    let path = "/instances/everything/retention";
    let default = json!({
        "instance": instance, "access_log_days": 7, "container_log_days": 3, "is_default": true, "revision": 0,
    });
    assert_eq!(client.get(path).await.expect(StatusCode::OK), default);

    let days = json!({"access_log_days": 90, "container_log_days": 30});
    let set =
        async |headers: &[(&str, &str)], body: &Value| client.put(Method::PUT, path, headers, body).await;
    let answer = set(&[("idempotency-key", "k")], &days).await;
    let plan = answer.expect(StatusCode::OK);
    let expected = json!({
        "instance": instance, "access_log_days": 90, "container_log_days": 30, "is_default": false, "revision": 1,
    });
    assert_eq!((&plan, answer.header("etag")), (&expected, "\"1\""));
    assert_eq!(set(&[("idempotency-key", "k")], &days).await.expect(StatusCode::OK), plan);
    let changed =
        set(&[("if-match", "\"0\"")], &json!({"access_log_days": 1, "container_log_days": 1})).await;
    changed.problem(StatusCode::PRECONDITION_FAILED, "revision_changed");
    for wrong in [
        json!({"access_log_days": 0, "container_log_days": 3}),
        json!({"access_log_days": 7, "container_log_days": 3651}),
        json!({"access_log_days": 7}),
        json!({"access_log_days": 7, "container_log_days": 3, "days": 1}),
    ] {
        set(&[], &wrong).await.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }

    client.delete("/instances/everything").await.expect(StatusCode::OK);
    let by_id = format!("/instances/{}/retention", instance.as_str().unwrap());
    assert_eq!(client.get(&by_id).await.expect(StatusCode::OK), plan);
    let reset = client.delete(&by_id).await.expect(StatusCode::OK);
    assert_eq!((&reset["is_default"], &reset["revision"]), (&json!(true), &json!(2)));

    client.get(path).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    let never = "/instances/00000000-0000-7000-8000-000000000000/retention";
    client.get(never).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    client.put(Method::PUT, never, &[], &days).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.stop().await;
}
