//! The views as operators see them, and the log compared with its hash chain.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use store::subject::VIEWS;

use crate::platform::{Platform, WAIT};

/// Asks again until the answer is as it should be.
async fn until(platform: &Platform, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut seen = Value::Null;
    let asked = async {
        loop {
            seen = platform.client.get(path).await.expect(StatusCode::OK);
            if holds(&seen) {
                return seen.clone();
            }
        }
    };
    let asked = tokio::time::timeout(WAIT, asked).await;
    asked.unwrap_or_else(|_| panic!("{path} stays {seen}"))
}

#[tokio::test]
async fn a_view_is_rebuilt_on_demand_and_shown_meanwhile() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let view =
        until(&platform, "/views/instances", |view| view["state"] == "current" && view["lag"] == 0).await;
    assert_eq!((&view["name"], &view["generation"]), (&json!("instances"), &json!(1)));
    let listed = platform.client.get("/views").await.expect(StatusCode::OK);
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|view| &view["name"]).collect();
    assert_eq!(names, VIEWS);

    let asked = platform.client.post("/views/instances/rebuild", &Value::Null).await;
    assert_eq!(
        asked.expect(StatusCode::ACCEPTED),
        json!({"view": "instances", "generation": 2, "began": true})
    );
    let rebuilt = until(&platform, "/views/instances", |view| view["generation"] == 2).await;
    assert_eq!(rebuilt["rebuild"], Value::Null);
    platform.client.get("/instances/everything").await.expect(StatusCode::OK);
    let rows = until(&platform, "/views/instances", |view| view["rows"] == 1).await;
    assert_eq!(rows["last_error"], Value::Null);

    for path in ["/views/nothing", "/views/nothing/rebuild"] {
        let method = if path.ends_with("rebuild") { Method::POST } else { Method::GET };
        let answer = platform.client.send(platform.client.request(method, path), "").await;
        let problem = answer.problem(StatusCode::NOT_FOUND, "view_not_found");
        let known = VIEWS.join(", ");
        assert_eq!(problem["detail"], format!("there is no view `nothing`; there are {known}"));
    }
    platform.stop().await;
}

#[tokio::test]
async fn the_log_is_compared_with_its_chain() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let verify = async || {
        let answer = platform.client.open(platform.client.request(Method::GET, "/events/verify"), "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body = tokio::time::timeout(WAIT, answer.into_body().collect()).await.expect("it ends").unwrap();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let (_, end) = body.split_once("event: end\ndata: ").unwrap_or_else(|| panic!("{body}"));
        serde_json::from_str::<Value>(end.trim()).unwrap()
    };
    let linked = async {
        loop {
            let found = verify().await;
            assert_eq!((&found["intact"], &found["findings"]), (&json!(true), &json!([])), "{found}");
            if found["not_linked"] == 0 && found["confirmed"] != 0 {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(WAIT, linked).await.expect("all events are linked");
    assert_eq!(found["confirmed"], found["head_sequence"]);

    // Whoever has the server's own rights and no master key takes the first event away.
    platform.server.delete_stream("EVENTS").await;
    platform.server.store().await.provision(1).await.unwrap();
    let found = verify().await;
    assert_eq!(found["intact"], false);
    assert_eq!(found["findings"][0]["finding"], "truncated");
    assert_eq!(found["findings"][0]["sequence"], 1);
    platform.stop().await;
}
