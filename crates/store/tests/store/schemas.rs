//! Released forms of events: their JSON Schemas are what the code says, their golden files are read for ever.
//!
//! `UPDATE_SCHEMAS=1` rewrites schemas and adds golden files that are missing. An existing golden file is never
//! rewritten: if it no longer fits, the event needs a new version and an upcast.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::instance::{
    Access, CommandLine, Created, Deleted, FailureReason, Hosted, HostedTransport, ReplicaFailed,
    ReplicaHandshaking, ReplicaReady, ReplicaStarting, ReplicaStopped, Restarted, ServerInfo, Started,
    Stopped,
};
use domain::instance::{Event as Instance, InstanceDecider};
use domain::instance_name::{Claimed, Event as Name, NameDecider, Released};
use domain::token::{Edited, Event as Token, Issued, Kind, Revoked, Rotated, TokenDecider};
use domain::{Digest, InstanceId, ReplicaId, Sealed};
use schemars::schema_for;
use serde_json::Value;
use store::Stored;
use uuid::Uuid;

const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001));
const REPLICA: ReplicaId = ReplicaId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0002));

/// An event of every type, as it would be written today, with the schema of its payload.
struct Example {
    event: domain::Event,
    version: u16,
    payload: Vec<u8>,
    schema: schemars::Schema,
}

fn example<D: Stored>(id: D::Id, event: D::Event, schema: schemars::Schema) -> Example {
    let form = D::write(&event);
    Example { version: form.version, payload: form.payload, event: D::of(id, event), schema }
}

fn created() -> Created {
    let command = CommandLine { program: "npx".to_owned(), args: vec!["-y".to_owned(), "server".to_owned()] };
    let env = BTreeMap::from([("API_KEY".to_owned(), Sealed("s1.c2VhbGVk".to_owned()))]);
    let access = Access::Hosted(Hosted { transport: HostedTransport::Stdio, command, env });
    Created { name: "everything".parse().unwrap(), access }
}

fn ready() -> ReplicaReady {
    let server = ServerInfo {
        name: "everything".to_owned(),
        version: "2026.8.31".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
    };
    let credential = Some(Sealed("s1.c2VhbGVk".to_owned()));
    ReplicaReady { replica: REPLICA, endpoint: "http://127.0.0.1:40001/mcp".to_owned(), credential, server }
}

fn instance_examples() -> Vec<Example> {
    let failed = ReplicaFailed {
        replica: REPLICA,
        reason: FailureReason::Exited,
        detail: "the process ended with exit code 1".to_owned(),
    };
    [
        (Instance::Created(created()), schema_for!(Created)),
        (Instance::Started(Started { generation: 2 }), schema_for!(Started)),
        (Instance::Stopped(Stopped {}), schema_for!(Stopped)),
        (Instance::Restarted(Restarted { generation: 3 }), schema_for!(Restarted)),
        (Instance::Deleted(Deleted {}), schema_for!(Deleted)),
        (
            Instance::ReplicaStarting(ReplicaStarting { replica: REPLICA, generation: 1 }),
            schema_for!(ReplicaStarting),
        ),
        (
            Instance::ReplicaHandshaking(ReplicaHandshaking { replica: REPLICA }),
            schema_for!(ReplicaHandshaking),
        ),
        (Instance::ReplicaReady(ready()), schema_for!(ReplicaReady)),
        (Instance::ReplicaFailed(failed), schema_for!(ReplicaFailed)),
        (Instance::ReplicaStopped(ReplicaStopped { replica: REPLICA }), schema_for!(ReplicaStopped)),
    ]
    .into_iter()
    .map(|(event, schema)| example::<InstanceDecider>(INSTANCE, event, schema))
    .collect()
}

fn examples() -> Vec<Example> {
    let issued = Issued {
        instance: INSTANCE,
        kind: Kind::Bearer,
        label: "dev".to_owned(),
        digest: Digest("00ff".repeat(16)),
        masked: "mcpcan_…abcd".to_owned(),
        sealed: Sealed("s1.c2VhbGVk".to_owned()),
    };
    let rotated = Rotated {
        digest: Digest("ff00".repeat(16)),
        masked: "mcpcan_…efgh".to_owned(),
        sealed: Sealed("s1.c2VhbGVk".to_owned()),
    };
    let edited = Token::Edited(Edited { label: "prod".to_owned() });
    let name = || "everything".parse().unwrap();
    let token = || "01990000-0000-7000-8000-000000000003".parse().unwrap();
    let claimed = Name::Claimed(Claimed { instance: INSTANCE });
    let released = Name::Released(Released { instance: INSTANCE });
    let mut examples = instance_examples();
    examples.push(example::<NameDecider>(name(), claimed, schema_for!(Claimed)));
    examples.push(example::<NameDecider>(name(), released, schema_for!(Released)));
    examples.push(example::<TokenDecider>(token(), Token::Issued(issued), schema_for!(Issued)));
    examples.push(example::<TokenDecider>(token(), edited, schema_for!(Edited)));
    examples.push(example::<TokenDecider>(token(), Token::Rotated(rotated), schema_for!(Rotated)));
    examples.push(example::<TokenDecider>(token(), Token::Revoked(Revoked {}), schema_for!(Revoked)));
    examples
}

/// `schemas/events/instance/created.v1`, without the last part.
fn path(example: &Example, extension: &str) -> PathBuf {
    let (aggregate, event) = example.event.name().split_once('.').expect("a wire name has two parts");
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../schemas/events")
        .join(aggregate)
        .join(format!("{event}.v{}.{extension}", example.version))
}

fn update() -> bool {
    std::env::var_os("UPDATE_SCHEMAS").is_some()
}

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn the_schema_of_every_event_is_committed() {
    for example in examples() {
        let path = path(&example, "schema.json");
        let schema = serde_json::to_string_pretty(&example.schema).unwrap() + "\n";
        if update() {
            write(&path, schema.as_bytes());
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, schema, "{}: run the test with UPDATE_SCHEMAS=1", path.display());
    }
}

#[test]
fn what_is_written_today_has_a_golden_file() {
    for example in examples() {
        let bytes_path = path(&example, "golden.msgpack");
        if update() && !bytes_path.exists() {
            write(&bytes_path, &example.payload);
            let json = serde_json::to_string_pretty(&example.event).unwrap() + "\n";
            write(&path(&example, "golden.json"), json.as_bytes());
        }
        let golden =
            std::fs::read(&bytes_path).unwrap_or_else(|error| panic!("{}: {error}", bytes_path.display()));
        assert_eq!(example.payload, golden, "{}: today's form is the golden one", bytes_path.display());
    }
}

/// All golden files, of versions that nobody writes any more too.
#[test]
fn every_golden_file_is_read_for_ever() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events");
    let mut read = 0;
    for aggregate in std::fs::read_dir(events).unwrap() {
        let aggregate = aggregate.unwrap();
        for file in std::fs::read_dir(aggregate.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(form) = name.strip_suffix(".golden.msgpack") else { continue };
            let (event, version) = form.split_once(".v").expect("a form is named <event>.v<n>");
            let json = std::fs::read(path.with_file_name(format!("{form}.golden.json"))).unwrap();
            let expected: Value = serde_json::from_slice(&json).unwrap();
            let aggregate = aggregate.file_name().into_string().unwrap();
            let id = expected["id"].as_str().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let name = format!("{aggregate}.{event}");
            let golden = store::upcast::read_any(&aggregate, id, &name, version.parse().unwrap(), &bytes);
            assert_eq!(serde_json::to_value(golden.unwrap()).unwrap(), expected, "{}", path.display());
            read += 1;
        }
    }
    assert!(read >= examples().len(), "{read} golden files for {} events", examples().len());
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let id = INSTANCE.to_string();
    let error = store::upcast::read_any("instance", &id, "instance.created", 99, &[0x80]).unwrap_err();
    assert_eq!(error.to_string(), "event instance.created version 99 is not known to this program");
}
