//! What crosses between a client and a proxied server, and what does not.

use access_log::TraceEvent;
use http::Response;

use crate::harness::{Harness, count, path};
use crate::upstream::{Upstream, full, json};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn the_upstream_gets_its_own_credentials_and_none_of_the_clients() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start().await;
    let own = [("authorization", "Bearer upstream-secret"), ("x-team", "platform")];
    let instance = harness.proxied("remote", &upstream.url(), &own).await;
    let token = harness.token(instance).await;
    let headers = [
        ("authorization", &*format!("Bearer {}", token.credential)),
        ("x-team", "somebody-else"),
        ("cookie", "console=session"),
        ("origin", "http://localhost:6274"),
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("accept-encoding", "gzip"),
        ("mcp-param-region", "eu"),
        ("last-event-id", "41"),
    ];
    let query = format!("{}?profile=a", path(instance));
    assert_eq!(harness.client().send_with("POST", &query, &headers, PING).await.status, 200);
    let requests = upstream.requests();
    let request = requests.last().expect("the upstream was called");
    assert_eq!(request.uri, "/mcp", "the upstream's own path, and no query of the client");
    let mut names: Vec<&str> = request.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "last-event-id",
            "mcp-param-region",
            "traceparent",
            "x-team",
            "x-trace-id",
        ]
    );
    assert_eq!(request.headers["authorization"], "Bearer upstream-secret");
    assert_eq!(request.headers["x-team"], "platform");
    assert_eq!(request.headers["host"], upstream.address.to_string());
}

#[tokio::test]
async fn a_replica_gets_its_credential_and_not_the_clients() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted_with("everything", &upstream.url(), "replica-secret").await;
    let token = harness.token(instance).await;
    assert_eq!(harness.client().send("POST", &path(instance), &token.credential, PING).await.status, 200);
    let requests = upstream.requests();
    let given: Vec<_> = requests[0].headers.get_all("authorization").iter().collect();
    assert_eq!(given, ["Bearer replica-secret"]);
    let records = harness.traces(|records| count(records, TraceEvent::Response) == 1).await;
    assert!(!format!("{records:?}").contains("replica-secret"));
}

#[tokio::test]
async fn the_client_never_learns_where_the_upstream_is() {
    let upstream = Upstream::start(|request| async move {
        let answer = Response::builder().header("location", "https://upstream.internal/login");
        let answer = match request.headers().get("x-answer").map(http::HeaderValue::as_bytes) {
            Some(b"unauthorized") => answer.status(401).header("www-authenticate", "Bearer"),
            Some(b"forbidden") => answer.status(403),
            Some(b"redirect") => answer.status(307),
            _ => answer.header("set-cookie", "a=b").header("mcp-session-id", "upstream.internal-1"),
        };
        answer.body(full("upstream.internal")).expect("a response")
    })
    .await;
    let harness = Harness::start().await;
    let instance = harness.proxied("remote", &upstream.url(), &[]).await;
    let token = harness.token(instance).await;
    let authorization = format!("Bearer {}", token.credential);
    for (wanted, code) in [
        ("unauthorized", "upstream_denied"),
        ("forbidden", "upstream_denied"),
        ("redirect", "upstream_redirected"),
    ] {
        let headers = [("authorization", &*authorization), ("x-answer", wanted)];
        let answer = harness.client().send_with("POST", &path(instance), &headers, PING).await;
        assert_eq!(answer.status, 502, "{wanted}");
        assert_eq!(answer.json()["error"]["data"]["code"], code);
        assert!(!answer.text().contains("upstream.internal"));
        assert!(!answer.headers.contains_key("location") && !answer.headers.contains_key("www-authenticate"));
    }
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 200);
    let session = answer.headers["mcp-session-id"].to_str().expect("visible ASCII");
    assert!(!session.contains("upstream"), "{session}");
    assert!(!answer.headers.contains_key("location") && !answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn an_upstream_at_an_address_that_is_not_allowed_is_refused_whatever_its_name() {
    let upstream = Upstream::json("{}").await;
    let port = upstream.address.port();
    let private: &[String] =
        &[format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::ffff:127.0.0.1]:{port}")];
    let metadata: &[String] =
        &["169.254.169.254".to_owned(), "[64:ff9b::a9fe:a9fe]".to_owned(), "0".to_owned()];
    for (private_allowed, refused) in [(true, metadata), (false, metadata), (false, private)] {
        let harness = Harness::start_with(|config| config.private_upstreams = private_allowed).await;
        for (number, host) in refused.iter().enumerate() {
            let url = format!("http://{host}/latest/meta-data/");
            let instance = harness.proxied(&format!("instance-{number}"), &url, &[]).await;
            let token = harness.token(instance).await;
            // However often: it is no failure of the upstream that would go over.
            for _ in 0..6 {
                let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
                assert_eq!(answer.status, 502, "{host}");
                assert_eq!(answer.json()["error"]["data"]["code"], "upstream_address_refused", "{host}");
                assert!(!answer.text().contains("127.0.0.1") && !answer.text().contains("169.254"));
            }
        }
        if !private_allowed {
            let hosted = harness.hosted("hosted", &upstream.url()).await;
            let token = harness.token(hosted).await;
            let answer = harness.client().send("POST", &path(hosted), &token.credential, PING).await;
            assert_eq!(answer.status, 200, "replicas are where the platform has put them");
        }
    }
    assert_eq!(upstream.requests().len(), 2, "those of the hosted instances");
}

#[tokio::test]
async fn an_error_of_the_upstream_passes_with_its_body() {
    const ERROR: &str =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"unsupported version"}}"#;
    let upstream = Upstream::start(|_| async {
        let mut response = json(ERROR);
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        response
    })
    .await;
    let harness = Harness::start().await;
    let instance = harness.proxied("remote", &upstream.url(), &[]).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    // Clients tell the revision of a server by the body of a 400.
    assert_eq!((answer.status, answer.text()), (400, ERROR));
}
