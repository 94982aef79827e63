//! Goal: a request is led by the newest row, and what an instance carried ends with it.

use std::collections::BTreeMap;

use domain::instance::{Access, CommandLine, Hosted, Profile, Remote, Source};
use domain::{ReplicaId, Sealed};
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
        authorization: None,
        template: None,
        wanted: true,
        generation: 1,
        phase: Phase::Starting,
        replicas: vec![],
        failure: None,
        seen: None,
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

/// With one more replica of a generation, which listens on its number.
fn with_replica(mut row: InstanceRow, number: u16, generation: u64) -> InstanceRow {
    let (replica, url) = (ReplicaId(id(number.into())), Some(format!("http://127.0.0.1:{number}/mcp")));
    row.replicas.push(Endpoint { replica, generation, url, credential: None });
    row
}

fn opened(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
}

/// What would be opened next.
fn take(routes: &Routes) -> (Uuid, Uuid, SealedFields) {
    let ((owner, part), fields) = routes.waiting.take().expect("the instance waits to be opened");
    (owner, part, fields)
}

fn open(routes: &Routes, (owner, part, fields): (Uuid, Uuid, SealedFields), opened: HeaderMap) {
    routes.open(owner, part, &fields, Ok(opened));
}

fn route(routes: &Routes, name: &str) -> Arc<Route> {
    routes.find(name).expect("the instance is known")
}

fn refusal(routes: &Routes, name: &str) -> Option<Refusal> {
    route(routes, name).pick().err()
}

/// The port that the next request without a session goes to, while what was picked before is under way.
fn picked(routes: &Routes) -> (u16, InFlight) {
    let destination = route(routes, "one").pick().expect("a replica is ready");
    (destination.uri.port_u16().expect("a port"), InFlight::begin(destination))
}

#[test]
fn an_instance_is_found_by_id_and_by_name() {
    let routes = Routes::default();
    routes.change(id(1), Some(&ready(row(1, "one", hosted()), "http://127.0.0.1:4000/mcp")));
    for known in ["one".to_owned(), id(1).to_string(), id(1).simple().to_string()] {
        let destination = route(&routes, &known).pick().expect("a replica is ready");
        assert_eq!(destination.uri, "http://127.0.0.1:4000/mcp");
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
    routes.change(id(3), Some(&ready(row(3, "odd", hosted()), "ftp://127.0.0.1/")));
    assert_eq!(refusal(&routes, "direct"), Some(Refusal::DirectInstance));
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
    open(&routes, take(&routes), opened("x-key", "open"));
    assert_eq!(refusal(&routes, "one"), None);
    routes.change(id(1), Some(&InstanceRow { wanted: false, ..proxied.clone() }));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceStopped));
    routes.change(id(1), Some(&proxied));
    assert_eq!(route(&routes, "one").pick().expect("still open").headers["x-key"], "open");
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
    open(&routes, late, opened("authorization", "Bearer first"));
    assert_eq!(refusal(&routes, "one"), Some(Refusal::InstanceNotReady), "that replica is gone");
    open(&routes, take(&routes), opened("authorization", "Bearer second"));
    let destination = route(&routes, "one").pick().expect("open");
    assert_eq!(destination.headers["authorization"], "Bearer second");
}

#[test]
fn a_renamed_instance_is_found_by_its_new_name_only() {
    let routes = Routes::default();
    routes.change(id(1), Some(&row(1, "one", hosted())));
    routes.change(id(1), Some(&row(1, "two", hosted())));
    assert!(routes.find("one").is_none());
    assert_eq!(route(&routes, "two").id, InstanceId(id(1)));
}

#[test]
fn requests_are_spread_over_the_newest_generation_by_what_is_under_way() {
    let routes = Routes::default();
    let old = with_replica(row(1, "one", hosted()), 4000, 1);
    let three = [4001, 4002, 4003].into_iter().fold(old, |row, number| with_replica(row, number, 2));
    routes.change(id(1), Some(&three));
    let first: Vec<_> = (0..3).map(|_| picked(&routes)).collect();
    let second: Vec<_> = (0..3).map(|_| picked(&routes)).collect();
    for round in [&first, &second] {
        let mut ports: Vec<u16> = round.iter().map(|(port, _)| *port).collect();
        ports.sort_unstable();
        assert_eq!(ports, [4001, 4002, 4003], "each has the same to do");
    }
    let idle = first[0].0;
    drop((first, second));
    let mut busy: Vec<_> = (0..6).map(|_| picked(&routes)).collect();
    busy.retain(|(port, _)| *port != idle);
    // A change of the row forgets nothing of what is under way.
    routes.change(id(1), Some(&InstanceRow { sequence: 2, ..three }));
    let next: Vec<_> = (0..2).map(|_| picked(&routes)).collect();
    assert!(next.iter().all(|(port, _)| *port == idle), "{busy:?} {next:?}");
}

#[test]
fn a_replica_that_took_no_connection_is_left_alone_while_there_is_another() {
    let routes = Routes::default();
    let two = with_replica(with_replica(row(1, "one", hosted()), 4001, 1), 4002, 1);
    routes.change(id(1), Some(&two));
    route(&routes, "one").of_session(id(4001)).expect("it is ready").took_no_connection();
    assert!((0..8).map(|_| picked(&routes)).all(|(port, _)| port == 4002));
    routes.change(id(1), Some(&with_replica(row(1, "one", hosted()), 4001, 1)));
    assert_eq!(picked(&routes).0, 4001, "there is no other");
}

#[test]
fn a_session_stays_with_its_replica_and_goes_with_it() {
    let routes = Routes::default();
    let session = |number: u16| route(&routes, "one").of_session(id(number.into()));
    let old = with_replica(row(1, "one", hosted()), 4000, 1);
    routes.change(id(1), Some(&with_replica(old, 4001, 2)));
    for number in [4000, 4001] {
        assert_eq!(session(number).expect("it is ready").uri.port_u16(), Some(number));
    }
    assert_eq!(session(4002).err(), Some(Refusal::SessionUnknown));
    routes.change(id(1), Some(&with_replica(row(1, "one", hosted()), 4001, 2)));
    assert_eq!(session(4000).err(), Some(Refusal::SessionUnknown));
    routes.change(id(1), Some(&InstanceRow { wanted: false, ..row(1, "one", hosted()) }));
    assert_eq!(session(4001).err(), Some(Refusal::InstanceStopped));

    let remote = Access::Proxy(remote(RemoteTransport::StreamableHttp, &[]));
    routes.change(id(1), Some(&row(1, "one", remote)));
    let here = route(&routes, "one").pick().expect("no secrets").id;
    assert!(route(&routes, "one").of_session(here).is_ok());
    assert_eq!(session(4001).err(), Some(Refusal::SessionUnknown));
}

#[test]
fn a_client_without_sessions_stays_with_the_replica_that_keeps_something_of_it() {
    let server = |revisions: &[&str]| domain::instance::ServerInfo {
        name: "s".to_owned(),
        version: "1".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        revisions: revisions.iter().map(|revision| (*revision).to_owned()).collect(),
    };
    let with = |revisions: &[&str], replicas: &[u16]| {
        let row = InstanceRow { server: Some(server(revisions)), ..row(1, "one", hosted()) };
        let row = replicas.iter().fold(row, |row, replica| with_replica(row, *replica, 1));
        let routes = Routes::default();
        routes.change(id(1), Some(&row));
        route(&routes, "one")
    };
    let place = |route: &Route, client: u128| route.pick_for(id(client)).expect("a replica").id;
    let (three, two) = (with(&["2025-11-25"], &[1, 2, 3]), with(&["2025-11-25"], &[1, 3]));
    let clients = 1000..1100;
    let places: Vec<_> = clients.clone().map(|client| place(&three, client)).collect();
    assert!([1, 2, 3].into_iter().all(|replica| places.contains(&id(replica))), "{places:?}");
    for (client, before) in clients.zip(places) {
        assert_eq!(place(&three, client), before);
        // Of a replica that goes, only its own clients move.
        assert!(before == id(2) || place(&two, client) == before);
    }
    // A server that knows no sessions itself keeps nothing, so they take turns.
    let newer = with(&["2025-11-25", "2026-07-28"], &[1, 2]);
    assert_ne!(place(&newer, 7), place(&newer, 7));
}
