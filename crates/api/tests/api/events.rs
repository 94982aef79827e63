//! The event stream: everything, in order, from where one left off, until the api ends.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mcp::sse::Decoder;
use serde_json::{Value, json};
use std::collections::VecDeque;

use crate::platform::{Client, Platform, WAIT};

/// An open stream.
struct Stream {
    body: Incoming,
    decoder: Decoder,
    events: VecDeque<mcp::sse::Event>,
}

impl Stream {
    async fn open(client: &Client, query: &str, last_event_id: Option<u64>) -> Self {
        let mut request = client.request(Method::GET, &format!("/events{query}"));
        if let Some(last) = last_event_id {
            request = request.header("last-event-id", last);
        }
        let response = client.open(request, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.into_body(), decoder: Decoder::default(), events: VecDeque::new() }
    }

    /// The next event; none when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.events.pop_front() {
                let document: Value = serde_json::from_slice(&event.data).unwrap();
                if let Some(name) = event.event {
                    return Some(json!({ name: document }));
                }
                let id = document["sequence"].to_string();
                assert_eq!(event.id.as_deref(), Some(id.as_str()), "the id is the sequence");
                return Some(document);
            }
            let frame = tokio::time::timeout(WAIT, self.body.frame()).await.expect("an event in time")?;
            let mut decoded = vec![];
            self.decoder.feed(frame.unwrap().data_ref().unwrap(), &mut decoded).unwrap();
            self.events.extend(decoded);
        }
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = vec![];
        for _ in 0..count {
            names.push(self.next().await.unwrap()["name"].as_str().unwrap().to_owned());
        }
        names
    }
}

#[tokio::test]
async fn the_log_is_followed_from_its_beginning() {
    let platform = Platform::start().await;
    let mut stream = Stream::open(&platform.client, "?from=beginning", None).await;
    let instance = platform.create("everything").await;
    let token = platform.issue("everything", "dev").await;

    let claimed = stream.next().await.unwrap();
    assert_eq!((&claimed["name"], &claimed["id"]), (&json!("instance_name.claimed"), &json!("everything")));
    let created = stream.next().await.unwrap();
    let expected = json!({
        "sequence": instance["sequence"], "at": instance["created_at"], "aggregate": "instance",
        "id": instance["id"], "name": "instance.created",
        "data": {
            "name": "everything",
            "access": {
                "mode": "hosted", "transport": "stdio", "process": "auto", "env": {"API_KEY": "…"}, "ports": [],
                "mounts": {},
                "source": {"kind": "command", "program": "npx", "args": ["-y", "server"]}, "replicas": 1,
                "resources": {
                    "cpu_request_millis": null, "cpu_limit_millis": null,
                    "memory_request_bytes": null, "memory_limit_bytes": null,
                },
            },
            "profile": {"labels": {}, "notes": "", "icon": "",
                "logging": {"capture": "metadata", "strict": false},
                "health_check": {"interval_seconds": 30, "tools": []}}, "template": null,
        },
        "actor": "admin", "command_id": created["command_id"], "causation_id": created["causation_id"],
        "traceparent": null,
    });
    assert_eq!(created, expected);
    assert_eq!(created["command_id"], claimed["command_id"], "one command led to both");
    let credential = stream.next().await.unwrap();
    assert_eq!(credential["name"], "credential.claimed");
    assert_eq!(credential["id"], format!("{}_…", instance["id"].as_str().unwrap()), "its digest is masked");
    let issued = stream.next().await.unwrap();
    assert_eq!((&issued["name"], &issued["id"]), (&json!("token.issued"), &token["id"]));
    assert_eq!((&issued["data"]["digest"], &issued["data"]["sealed"]), (&json!("…"), &json!("…")));
    platform.stop().await;
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let platform = Platform::start().await;
    let client = &platform.client;
    for name in ["a", "b", "c"] {
        platform.create(name).await;
    }
    let mut all = Stream::open(client, "?from=1&aggregate=instance", None).await;
    let first = all.next().await.unwrap()["sequence"].as_u64().unwrap();
    let second = all.next().await.unwrap();
    drop(all);
    let mut resumed = Stream::open(client, "?from=beginning&aggregate=instance", Some(first)).await;
    assert_eq!(resumed.next().await.unwrap(), second, "`Last-Event-ID` goes before `from`");
    let mut from =
        Stream::open(client, &format!("?aggregate=instance&from={}", second["sequence"]), None).await;
    assert_eq!(from.next().await.unwrap(), second, "`from` is the first to be shown");
    platform.stop().await;
}

#[tokio::test]
async fn a_stream_shows_what_was_asked_for() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("old").await;
    let mut new = Stream::open(client, "", None).await;
    let id = platform.create("everything").await["id"].as_str().unwrap().to_owned();
    assert_eq!(new.next().await.unwrap()["id"], "everything", "only what is new");
    client.post("/instances/everything/stop", &json!({})).await.expect(StatusCode::OK);
    client.post("/instances/old/stop", &json!({})).await.expect(StatusCode::OK);
    client.post("/instances/everything/start", &json!({})).await.expect(StatusCode::OK);

    let expected = ["instance.created", "instance.stopped", "instance.started"];
    for filter in ["id=everything".to_owned(), format!("id={id}"), format!("aggregate=instance&id={id}")] {
        let mut stream = Stream::open(client, &format!("?from=beginning&{filter}"), None).await;
        assert_eq!(stream.names(3).await, expected, "{filter}");
    }
    let names = "?from=beginning&aggregate=instance_name&id=everything";
    assert_eq!(Stream::open(client, names, None).await.names(1).await, ["instance_name.claimed"]);
    platform.stop().await;
}

#[tokio::test]
async fn open_streams_end_with_the_api() {
    let platform = Platform::start().await;
    let mut stream = Stream::open(&platform.client, "", None).await;
    platform.stop().await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_may_begin_where_the_log_has_not_come_yet() {
    let platform = Platform::start().await;
    let mut early = Stream::open(&platform.client, "?from=0", None).await;
    let mut later = Stream::open(&platform.client, "?from=3", None).await;
    let _never = Stream::open(&platform.client, "?from=18446744073709551615", None).await;
    platform.create("a").await;
    platform.create("b").await;
    assert_eq!(early.next().await.unwrap()["id"], "a");
    assert_eq!(later.next().await.unwrap()["id"], "b");
    platform.stop().await;
}

#[tokio::test]
async fn a_stream_ends_where_it_was_asked_to() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("a").await;
    platform.create("b").await;
    client.post("/instances/a/stop", &json!({})).await.expect(StatusCode::OK);

    let end = |reason: &str, next: u64| json!({"end": {"reason": reason, "next_sequence": next}});
    for (query, expected, last) in [
        (
            "from=1&until=3",
            vec!["instance_name.claimed", "instance.created", "instance_name.claimed"],
            end("until", 4),
        ),
        ("from=beginning&limit=1", vec!["instance_name.claimed"], end("limit", 2)),
        ("from=1h&until=now&type=instance.created", vec!["instance.created"; 2], end("until", 6)),
        (
            "from=1&until=now&type=instance.*&id=a",
            vec!["instance.created", "instance.stopped"],
            end("until", 6),
        ),
        ("from=1&until=now&actor=role:worker", vec![], end("until", 6)),
        ("from=4&until=2130-01-01T00:00Z&limit=1&actor=admin", vec!["instance.created"], end("limit", 5)),
    ] {
        let mut stream = Stream::open(client, &format!("?{query}"), None).await;
        assert_eq!(stream.names(expected.len()).await, expected, "{query}");
        assert_eq!(stream.next().await, Some(last), "{query}");
        assert_eq!(stream.next().await, None, "{query}");
    }
    let mut raw = Stream::open(client, "?from=beginning&type=instance.created&raw=true&limit=1", None).await;
    let sealed = raw.next().await.unwrap()["data"]["access"]["env"]["API_KEY"].clone();
    assert!(sealed.as_str().unwrap().starts_with("s1."), "as it is sealed: {sealed}");
    platform.stop().await;
}

#[tokio::test]
async fn what_no_stream_can_be_is_refused_with_each_reason() {
    let platform = Platform::start().await;
    let query = "from=tomorrow&until=x&type=instance.creatd&actor=me&limit=0&raw=yes&aggregate=pod";
    let refused = platform.client.get(&format!("/events?{query}")).await;
    let problem = refused.problem(StatusCode::BAD_REQUEST, "invalid_request");
    let mut named: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["parameter"].clone()).collect();
    named.sort_by_key(ToString::to_string);
    assert_eq!(named, ["actor", "aggregate", "from", "limit", "raw", "type", "until"]);
    platform.stop().await;
}

#[tokio::test]
async fn an_event_is_shown_with_what_it_led_to() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("a").await;
    let token = platform.issue("a", "dev").await;
    client.delete("/instances/a").await.expect(StatusCode::OK);
    // The last event of the log is what follows from it.
    let mut tail = Stream::open(client, "?from=beginning&type=token.revoked", None).await;
    let revoked = tail.next().await.unwrap();

    let deleted: u64 = revoked["causation_id"].as_str().unwrap()[6..].parse().unwrap();
    let shown = client.get(&format!("/events/{deleted}")).await.expect(StatusCode::OK);
    assert_eq!(shown["event"]["name"], "instance.deleted");
    assert_eq!(shown["same_command"][0]["name"], "instance_name.released");
    let consequences = shown["consequences"].as_array().unwrap();
    let names: Vec<_> = consequences.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["credential.released", "token.revoked"]);
    assert_eq!((&consequences[1]["id"], &consequences[1]["cause"]), (&token["id"], &json!(deleted)));
    assert_eq!((&shown["causes"], &shown["causes_complete"]), (&json!([]), &json!(true)));
    assert_eq!(shown["consequences_complete"], true);
    assert!(shown["bytes"].as_u64().unwrap() > 100 && shown["version"] == "1", "{shown}");

    let shown = client.get(&format!("/events/{}", revoked["sequence"])).await.expect(StatusCode::OK);
    assert_eq!(shown["causes"][0]["sequence"], deleted);
    let shown = client.get("/events/1?look_ahead=1").await.expect(StatusCode::OK);
    assert_eq!((&shown["looked_through"], &shown["consequences_complete"]), (&json!(2), &json!(false)));
    for absent in ["0", "99", "x", "-1", "99999999999999999999"] {
        let missing = client.get(&format!("/events/{absent}")).await;
        missing.problem(StatusCode::NOT_FOUND, "event_not_found");
    }
    platform.stop().await;
}
