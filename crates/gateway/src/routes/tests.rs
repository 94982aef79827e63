//! Goal: a request is led by the newest row, and what an instance carried ends with it.

use std::collections::BTreeMap;

use domain::ReplicaId;
use domain::instance::{CommandLine, Hosted, Profile, Remote, Source};
use views::{Endpoint, Phase};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn row(number: u128, name: &str, access: Access) -> InstanceRow {
    InstanceRow {
        id: InstanceId(id(number)),
        name: name.parse().expect("a name"),
        access,
        profile: Profile::default(),
        template: None,
        wanted: true,
        generation: 1,
        phase: Phase::Starting,
        replicas: vec![],
        failure: None,
        server: None,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
        revision: 1,
        sequence: 1,
    }
}

fn hosted() -> Access {
    let command = CommandLine { program: "server".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}

fn remote(transport: RemoteTransport, headers: &[&str]) -> Remote {
    let headers = headers.iter().map(|name| ((*name).to_owned(), Sealed("sealed".to_owned()))).collect();
    Remote { transport, url: "https://upstream.example/mcp".to_owned(), headers }
}

fn ready(row: InstanceRow, url: &str) -> InstanceRow {
    ready_with(row, url, None)
}

fn ready_with(mut row: InstanceRow, url: &str, credential: Option<Sealed>) -> InstanceRow {
    let (replica, url) = (ReplicaId(id(99)), Some(url.to_owned()));
    row.replicas.push(Endpoint { replica, generation: 1, url, credential });
    row
}

fn opened(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
}

/// What the opener would take next.
fn take(routes: &Routes) -> SealedUpstream {
    routes.sealed.lock().remove(&InstanceId(id(1))).expect("the instance waits to be opened")
}

fn refusal(routes: &Routes, name: &str) -> Option<Refusal> {
    routes.find(name).expect("the instance is known").destination.clone().err()
}

#[test]
fn an_instance_is_found_by_id_and_by_name() {
    let routes = Routes::default();
    routes.change(id(1), Some(&ready(row(1, "one", hosted()), "http://127.0.0.1:4000/mcp")));
    for known in ["one".to_owned(), id(1).to_string(), id(1).simple().to_string()] {
        let route = routes.find(&known).expect("the instance is known");
        assert_eq!(route.destination.as_ref().expect("a replica is ready").uri, "http://127.0.0.1:4000/mcp");
    }
    assert!(routes.find("two").is_none());
}

#[test]
fn a_request_goes_nowhere_without_a_ready_replica() {
    let routes = Routes::default();
    routes.change(id(1), Some(&row(1, "one", hosted())));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceNotReady));
    let mut stopped = ready(row(1, "one", hosted()), "http://127.0.0.1:4000/mcp");
    stopped.wanted = false;
    routes.change(id(1), Some(&stopped));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceStopped));
}

#[test]
fn what_cannot_be_served_is_said() {
    let routes = Routes::default();
    let direct = Access::Direct(remote(RemoteTransport::StreamableHttp, &[]));
    routes.change(id(1), Some(&row(1, "direct", direct)));
    routes.change(id(2), Some(&row(2, "old", Access::Proxy(remote(RemoteTransport::Sse, &[])))));
    routes.change(id(3), Some(&ready(row(3, "odd", hosted()), "ftp://127.0.0.1/")));
    assert_eq!(refusal(&routes, "direct"), Some(Refusal::DirectInstance));
    assert_eq!(refusal(&routes, "old"), Some(Refusal::TransportUnsupported));
    assert_eq!(refusal(&routes, "odd"), Some(Refusal::UpstreamMisconfigured));
}

#[test]
fn streams_end_with_the_instance_and_only_then() {
    let routes = Routes::default();
    let starting = row(1, "one", hosted());
    routes.change(id(1), Some(&starting));
    let ended = routes.find("one").expect("known").ended.clone();
    routes.change(id(1), Some(&ready(starting.clone(), "http://127.0.0.1:4000/mcp")));
    assert!(!ended.is_cancelled(), "another row of the same life");
    routes.change(id(1), Some(&InstanceRow { wanted: false, ..starting.clone() }));
    assert!(ended.is_cancelled());
    routes.change(id(1), Some(&starting));
    let ended = routes.find("one").expect("known").ended.clone();
    assert!(!ended.is_cancelled(), "started again");
    routes.change(id(1), None);
    assert!(ended.is_cancelled());
    assert!(routes.find("one").is_none());
}

#[test]
fn a_name_that_another_instance_has_taken_over_stays_with_it() {
    let routes = Routes::default();
    routes.change(id(1), Some(&row(1, "name", hosted())));
    routes.change(id(2), Some(&row(2, "name", hosted())));
    routes.change(id(1), None);
    assert_eq!(routes.find("name").expect("known").id, InstanceId(id(2)));
}

#[test]
fn a_proxied_instance_waits_for_its_header_fields_and_keeps_them() {
    let routes = Routes::default();
    let remote = remote(RemoteTransport::StreamableHttp, &["x-key"]);
    let proxied = row(1, "one", Access::Proxy(remote));
    routes.change(id(1), Some(&proxied));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceNotReady));
    routes.open(InstanceId(id(1)), take(&routes), Ok(opened("x-key", "open")));
    assert_eq!(refusal(&routes, "one"), None);
    routes.change(id(1), Some(&InstanceRow { wanted: false, ..proxied.clone() }));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceStopped));
    routes.change(id(1), Some(&proxied));
    let route = routes.find("one").expect("known");
    assert_eq!(route.destination.as_ref().expect("still open").headers["x-key"], "open");
}

#[test]
fn a_replica_is_called_with_its_own_credential_only() {
    let routes = Routes::default();
    let replica = |url: &str, credential: &str| {
        ready_with(row(1, "one", hosted()), url, Some(Sealed(credential.to_owned())))
    };
    routes.change(id(1), Some(&replica("http://127.0.0.1:4000/mcp", "first")));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceNotReady));
    let late = take(&routes);
    // The next replica may listen on the same port.
    routes.change(id(1), Some(&replica("http://127.0.0.1:4000/mcp", "second")));
    routes.open(InstanceId(id(1)), late, Ok(opened("authorization", "Bearer first")));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceNotReady), "that replica is gone");
    routes.open(InstanceId(id(1)), take(&routes), Ok(opened("authorization", "Bearer second")));
    let route = routes.find("one").expect("known");
    let headers = &route.destination.as_ref().expect("open").headers;
    assert_eq!(headers["authorization"], "Bearer second");
}
