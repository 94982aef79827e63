//! What of a call is recorded, and that no secret is, wherever a request or an answer has one.

use std::sync::Arc;

use access_log::{TraceEvent, TraceRecord};
use domain::instance::{Capture, Logging};
use domain::token::Kind;
use domain::token::credential::encode_basic;
use http::Response;
use http_body_util::BodyExt;

use crate::harness::{Harness, count, path};
use crate::upstream::{Upstream, full};

/// What no record may hold; each is in a place of its own.
const SECRETS: [&str; 9] = [
    "hidden-in-x-vault-token",
    "hidden-in-cookie",
    "hidden-in-proxy-authorization",
    "hidden-in-form",
    "hidden-in-query",
    "hidden-in-answer-header",
    "hidden-in-answer-api-key",
    "hidden-upstream-credential",
    "hidden-in-client-secret",
];

/// A message with a secret wherever one has room: `{secret}` is the caller's own credential.
const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":"{secret}","method":"tools/call","params":{"name":"tool-{secret}",
    "arguments":{"plain":"{secret}","password":"hidden-in-client-secret","list":[{"deep":{"clientSecret":"hidden-in-client-secret"}}]}}}"#;

#[tokio::test]
async fn no_secret_of_a_call_gets_into_a_record() {
    let upstream = Upstream::start(|request| async move {
        let body = request.into_body().collect().await.expect("the whole request").to_bytes();
        let message = String::from_utf8_lossy(&body).into_owned();
        let result = serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": {
            "content": [{"type": "text", "text": message}, {"type": "text", "text": "hidden-upstream-credential"}],
            "structuredContent": {"apiKey": "hidden-in-client-secret"},
        }});
        Response::builder()
            .header("content-type", "application/json")
            .header("mcp-session-id", "hidden-in-answer-header")
            .header("x-service-token", "hidden-in-answer-header")
            .header("api-key", "hidden-in-answer-api-key")
            .header("set-cookie", "a=hidden-in-answer-header")
            .body(BodyExt::boxed(http_body_util::Full::from(result.to_string())))
            .expect("a response")
    })
    .await;
    let mut harness = Harness::start().await;
    let own = [("x-upstream", "hidden-upstream-credential")];
    let instance = harness.proxied_logged("remote", &upstream.url(), &own).await;
    let generated = harness.token(instance).await.credential;
    let made_up = harness.issue_custom(instance, Kind::XApiKey, "made-up-by-somebody").await.credential;
    let basic = encode_basic("ann", "another-that-was-made-up");
    harness.issue_custom(instance, Kind::Basic, &basic).await;
    let presented = [
        ("authorization", format!("Bearer {generated}"), generated.clone()),
        ("x-api-key", made_up.clone(), made_up.clone()),
        ("authorization", format!("bAsIc {}", basic.as_str()), "another-that-was-made-up".to_owned()),
        // Not let in at all.
        ("api-key", "nobody-knows-this-one".to_owned(), "nobody-knows-this-one".to_owned()),
    ];
    for (name, value, secret) in &presented {
        call(&harness, &path(instance), (name, value), secret).await;
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) >= 3).await;
    let text = format!("{records:?}");
    let presented = presented.iter().flat_map(|(_, value, secret)| [value.as_str(), secret.as_str()]);
    for secret in SECRETS.into_iter().chain(presented).chain([basic.as_str()]) {
        assert!(!text.contains(secret), "{secret} got into the log: {records:#?}");
    }
    let headers: Vec<_> = ends(&records).map(|end| end.token_header.as_str()).collect();
    assert_eq!(headers, ["authorization: bearer", "x-api-key", "authorization: basic"]);
    let first = records.iter().find(|record| !record.headers.is_empty()).expect("a request has a head");
    assert_eq!(first.cookies.keys().collect::<Vec<_>>(), ["console", "other"]);
    assert_eq!(first.form.keys().collect::<Vec<_>>(), ["page", "sessionId"]);
    assert_eq!(first.headers["x-plain"], "in plain sight");
}

fn ends(records: &[TraceRecord]) -> impl Iterator<Item = &TraceRecord> {
    records.iter().filter(|record| record.event == TraceEvent::Response)
}

/// A call that has the credential in its place, and in every other one.
async fn call(harness: &Harness, path: &str, credential: (&str, &str), secret: &str) {
    let message = MESSAGE.replace("{secret}", secret);
    let path = format!("{path}?page=hidden-in-query&sessionId=hidden-in-query&hidden-in-query");
    let user_agent = format!("agent/{secret}");
    let cookie = format!("console=hidden-in-cookie; other={secret}");
    let bearer = format!("Bearer {secret}");
    let tracestate = format!("vendor={secret}");
    let headers = [
        credential,
        ("user-agent", &user_agent),
        ("cookie", &cookie),
        ("proxy-authorization", "Basic hidden-in-proxy-authorization"),
        ("x-forwarded-authorization", &bearer),
        ("x-vault-token", "hidden-in-x-vault-token"),
        ("x-trace-id", secret),
        ("tracestate", &tracestate),
        ("mcp-protocol-version", secret),
        ("x-odd", secret),
        ("x-upstream", "hidden-in-form"),
        ("x-plain", "in plain sight"),
    ];
    harness.client().send_with("POST", &path, &headers, &message).await;
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi","password":"hidden"}}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"Echo: hi"}]}}"#;

/// What a call and its answer leave where so much is recorded.
async fn call_recorded(capture: Capture, upstream: &Upstream, request: &str) -> Vec<TraceRecord> {
    let mut harness = Harness::start().await;
    let logging = Logging { capture, strict: false };
    let instance = harness.hosted_logged("everything", &upstream.url(), logging).await;
    let token = harness.token(instance).await;
    let headers = [("authorization", &*format!("Bearer {}", token.credential)), ("cookie", "a=b")];
    let path = format!("{}?c=d", path(instance));
    assert_eq!(harness.client().send_with("POST", &path, &headers, request).await.status, 200);
    harness.traces(|records| count(records, TraceEvent::Response) == 1).await
}

#[tokio::test]
async fn an_instance_says_how_much_is_recorded() {
    let upstream = Upstream::json(RESULT).await;
    for (capture, fields, bodies) in [
        (Capture::Off, false, ["", ""]),
        (Capture::Metadata, true, ["", ""]),
        (Capture::Bodies, true, [&*CALL.replace("hidden", "***"), RESULT]),
    ] {
        let records = call_recorded(capture, &upstream, CALL).await;
        let [request, response] = &records[..] else { panic!("two records, not {records:#?}") };
        let is_there = [&request.headers, &request.cookies, &request.form, &response.response_headers];
        assert_eq!(is_there.map(|fields| !fields.is_empty()), [fields; 4], "{capture:?}");
        assert_eq!([&*request.body, &*response.body], bodies, "{capture:?}");
        assert!(!request.is_body_cut && !response.is_body_cut);
        assert_eq!(
            (&*request.tool, &*request.content_type, response.status),
            ("echo", "application/json", 200)
        );
    }
}

#[tokio::test]
async fn of_a_long_body_the_beginning_is_recorded_and_none_that_is_encoded() {
    let result = Arc::new(format!(r#"{{"jsonrpc":"2.0","id":7,"result":"{}"}}"#, "é".repeat(20_000)));
    for coding in ["identity", "br"] {
        let whole = result.clone();
        let upstream = Upstream::start(move |request| {
            let whole = whole.clone();
            async move {
                request.into_body().collect().await.expect("the whole request");
                let response = Response::builder().header("content-type", "application/json");
                let body = http_body_util::Full::from(whole.to_string());
                response.header("content-encoding", coding).body(BodyExt::boxed(body)).expect("a response")
            }
        });
        let records = call_recorded(Capture::Bodies, &upstream.await, CALL).await;
        let response = &records[1];
        assert_eq!(response.is_body_cut, coding == "identity");
        match coding {
            "identity" => assert!(response.body.len() > 16_000 && result.starts_with(&response.body)),
            _ => assert_eq!(response.body, ""),
        }
    }
}

#[tokio::test]
async fn of_an_event_stream_the_data_of_the_answer_is_recorded() {
    let upstream = Upstream::start(|request| async move {
        request.into_body().collect().await.expect("the whole request");
        let events = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n\
                      data: {\"jsonrpc\":\"2.0\",\"id\":7,\ndata: \"result\":{\"token\":\"hidden\"}}\n\n";
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(full(events))
            .expect("a response")
    })
    .await;
    let records = call_recorded(Capture::Bodies, &upstream, CALL).await;
    assert_eq!(records.len(), 3, "{records:#?}");
    assert!(!records[1].response_headers.is_empty() && records[2].response_headers.is_empty());
    assert_eq!(records[2].body, "{\"jsonrpc\":\"2.0\",\"id\":7,\n\"result\":{\"token\":\"***\"}}");
}

#[tokio::test]
async fn a_body_that_is_called_something_else_is_masked_all_the_same() {
    const BODY: &str = r#"{"password":"hidden","note":"a=b"}"#;
    const MASKED: &str = r#"{"password":"***","note":"a=b"}"#;
    let upstream = Upstream::json(RESULT).await;
    let mut harness = Harness::start().await;
    let logged = async |name: &str, capture| {
        harness.hosted_logged(name, &upstream.url(), Logging { capture, strict: false }).await
    };
    let (bodies, metadata) = (logged("a", Capture::Bodies).await, logged("b", Capture::Metadata).await);
    let wide = BODY.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let wide = String::from_utf8(wide).expect("ASCII with NULs between");
    let mut expected = vec![];
    for (instance, content_type, body, recorded) in [
        (bodies, "application/x-www-form-urlencoded", BODY, MASKED),
        (metadata, "application/x-www-form-urlencoded", BODY, ""),
        (bodies, "text/plain", BODY, MASKED),
        (bodies, "text/plain; charset=us-ascii", BODY, MASKED),
        (bodies, "application/json; charset=utf-16", &wide, ""),
        (bodies, "application/json", &wide, ""),
    ] {
        let token = harness.token(instance).await;
        let headers =
            [("authorization", &*format!("Bearer {}", token.credential)), ("content-type", content_type)];
        harness.client().send_with("POST", &path(instance), &headers, body).await;
        expected.push((content_type, recorded));
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) == expected.len()).await;
    let requests: Vec<_> = records.iter().filter(|record| record.event == TraceEvent::Request).collect();
    let recorded: Vec<_> = requests.iter().map(|record| (&*record.content_type, &*record.body)).collect();
    assert_eq!(recorded, expected);
    assert!(requests.iter().all(|record| record.form.is_empty()), "{requests:#?}");
}

#[tokio::test]
async fn no_credential_of_a_url_gets_into_a_record() {
    let upstream = Upstream::json(RESULT).await;
    let mut harness = Harness::start().await;
    for (name, capture) in [("a", Capture::Off), ("b", Capture::Bodies)] {
        let logging = Logging { capture, strict: false };
        let instance = harness.hosted_logged(name, &upstream.url(), logging).await;
        let token = harness.token(instance).await;
        let headers = [
            ("authorization", &*format!("Bearer {}", token.credential)),
            ("referer", "https://host/page?api_key=hidden"),
        ];
        for uri in ["postgres://user:hidden@db/x", "https://host/x?a=b&api_key=hidden"] {
            let read = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"{uri}"}}"#;
            let read = read.replace("{uri}", uri);
            harness.client().send_with("POST", &path(instance), &headers, &read).await;
        }
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) == 4).await;
    assert!(!format!("{records:?}").contains("hidden"), "{records:#?}");
    let tools: Vec<_> = records.iter().map(|record| &*record.tool).step_by(2).collect();
    let masked = ["postgres://***@db/x", "https://host/x?a=b&api_key=***"];
    assert_eq!(tools, [masked, masked].concat());
}
