//! The official conformance suites, called directly and through us: what the fixture (`tests/servers`) passes when it is
//! called directly, it passes behind gateway and bridge (its stdio form) and behind the gateway alone (its Streamable
//! HTTP form), and what the official client passes, it passes with the gateway as its server's only client.
//! A table of the results is printed. `older` holds what clients of older revisions do that the suites do not.

mod fixture;
mod forwarder;
mod older;
mod suite;
mod table;

use std::path::PathBuf;

use fixture::Fixture;
use forwarder::Forwarder;
use harness::{Platform, Tools};
use serde_json::Value;
use suite::{Results, Suite};

/// How many scenarios the fixture passes when it is called directly: all that count. What of 2026-07-28 fails is the
/// tasks extension, which is not scored.
const DIRECT: [(Suite, usize); 3] =
    [(Suite::Legacy, 32), (Suite::Requirements("2025-11-25"), 33), (Suite::Requirements("2026-07-28"), 41)];

/// What has fewer checks over stdio: two scenarios look at event streams where there are some, and our bridge answers with
/// JSON as long as there is one message to send. They have to pass all the same.
const FEWER_OVER_STDIO: [&str; 2] = ["server-sse-multiple-streams", "server-sse-polling"];

/// The scenarios of a client that a gateway in between can spoil. Those about authorization are between the client and
/// its server, which here is the gateway.
const CLIENT: [(&str, &[&str]); 2] = [
    ("2025-11-25", &["initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"]),
    (
        "2026-07-28",
        &[
            "tools_call",
            "request-metadata",
            "sep-2322-client-request-state",
            "http-standard-headers",
            "http-custom-headers",
            "http-invalid-tool-headers",
            "json-schema-ref-no-deref",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_directly_passes_through_us() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let (legacy, dual) = (Fixture::start("legacy", "http").await, Fixture::start("dual", "http").await);
    let ways = [
        way(&platform, "legacy-stdio", &hosted("legacy")).await,
        way(&platform, "legacy-http", &proxied(&legacy)).await,
        way(&platform, "dual-stdio", &hosted("dual")).await,
        way(&platform, "dual-http", &proxied(&dual)).await,
    ];
    let [legacy_stdio, legacy_http, dual_stdio, dual_http] = &ways;

    let mut columns = vec![];
    let mut failures = vec![];
    for (suite, passed) in DIRECT {
        let (fixture, ways) = match suite {
            Suite::Legacy => (&legacy, vec![("stdio", legacy_stdio), ("HTTP", legacy_http)]),
            Suite::Requirements(_) => (&dual, vec![("stdio", dual_stdio), ("HTTP", dual_http)]),
        };
        let direct = suite.run(&fixture.url).await;
        assert_eq!(direct.passed(), passed, "{suite:?}, called directly: {direct:?}");
        for (form, way) in ways {
            let through = suite.run(&way.url()).await;
            let fewer = if form == "stdio" { &FEWER_OVER_STDIO[..] } else { &[] };
            let worse = through.worse_than(&direct, fewer);
            failures.extend(worse.map(|worse| format!("{suite:?} over {form}: {worse}")));
            columns.push((format!("{} {form}", suite.name()), direct.clone(), through));
        }
    }
    table::print(&columns);
    assert!(failures.is_empty(), "what passes directly fails through us:\n{}", failures.join("\n"));
    drop((legacy, dual));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_passes_directly_it_passes_behind_the_gateway() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let (mut columns, mut failures) = (vec![], vec![]);
    for (revision, scenarios) in CLIENT {
        let (mut direct, mut through) = (Results::default(), Results::default());
        for scenario in scenarios {
            direct.add(suite::client(scenario, revision, None).await);
            through.add(suite::client(scenario, revision, Some(platform.data())).await);
        }
        assert_eq!(direct.passed(), scenarios.len(), "{revision}, called directly: {direct:?}");
        failures.extend(through.worse_than(&direct, &[]).map(|worse| format!("{revision}: {worse}")));
        columns.push((format!("{revision} client"), direct, through));
    }
    table::print(&columns);
    assert!(failures.is_empty(), "what passes directly fails through us:\n{}", failures.join("\n"));
    platform.stop().await;
}

/// Creates an instance, and gives the way to it with its token.
async fn way(platform: &Platform, name: &str, access: &[String]) -> Forwarder {
    let config = configured(platform, name, access).await;
    let server = &config["mcpServers"][name];
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    Forwarder::start(&text(&server["url"]), &text(&server["headers"]["Authorization"])).await
}

/// Creates an instance, and gives the configuration for clients of a token for it.
async fn configured(platform: &Platform, name: &str, access: &[String]) -> Value {
    let access: Vec<&str> = access.iter().map(String::as_str).collect();
    let create = [&["instance", "create", name][..], &access].concat();
    platform.run(&create).await.success(&create);
    platform.json(&["token", "issue", name, "--kind", "bearer"]).await["config"].take()
}

fn hosted(script: &str) -> Vec<String> {
    let command = [Tools::find().node_program, fixture::script(script), PathBuf::from("stdio")];
    let command = command.map(|part| part.to_str().expect("paths of the tests are text").to_owned());
    let access = ["--access", "hosted", "--transport", "stdio", "--"].map(str::to_owned);
    access.into_iter().chain(command).collect()
}

fn proxied(fixture: &Fixture) -> Vec<String> {
    proxied_over("streamable-http", fixture)
}

fn proxied_over(transport: &str, fixture: &Fixture) -> Vec<String> {
    ["--access", "proxy", "--transport", transport, "--url", &fixture.url].map(str::to_owned).to_vec()
}
