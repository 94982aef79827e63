//! Released forms of events: their JSON Schemas are what the code says, their golden files are read for ever.
//!
//! `UPDATE_SCHEMAS=1` rewrites schemas and adds golden files that are missing. An existing golden file is never
//! rewritten: if it no longer fits, the event needs a new version and an upcast.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::claim::{Claim, ClaimDecider, CredentialId, Credentials, InstanceNames, TemplateNames};
use domain::instance::{
    Access, AccessChanged, Authorization, AuthorizationChanged, Capture, CommandLine, Created, Deleted,
    Dimension, Edited, Event as Instance, FailureReason, Health, HealthChanged, HealthCheck, HealthStatus,
    Hosted, InstanceDecider, Logging, Mount, Problem, ProblemClass, Process, Profile, Remote,
    RemoteTransport, Renamed, ReplicaFailed, ReplicaHandshaking, ReplicaReady, ReplicaStarting,
    ReplicaStopped, Resources, Restarted, Scaled, ServerInfo, Source, Started, Stopped,
};
use domain::retention_plan::{self, RetentionPlanDecider};
use domain::template::{self, TemplateDecider};
use domain::token::{self, Expiry, Kind, TokenDecider};
use domain::{Digest, InstanceId, ReplicaId, Sealed, TemplateId, TokenId, claim};
use schemars::schema_for;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::Stored;
use uuid::Uuid;

const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001));
const REPLICA: ReplicaId = ReplicaId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0002));
const TOKEN: TokenId = TokenId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0003));
const TEMPLATE: TemplateId = TemplateId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0004));

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

fn sealed() -> Sealed {
    Sealed("s1.c2VhbGVk".to_owned())
}

fn hosted() -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec!["-y".to_owned(), "server".to_owned()] };
    let env = BTreeMap::from([("API_KEY".to_owned(), sealed())]);
    let claim = Mount::Claim { name: "data".to_owned(), read_only: false };
    Access::Hosted(Hosted {
        ports: BTreeSet::from([9090]),
        mounts: BTreeMap::from([("/data".to_owned(), claim), ("/scratch".to_owned(), Mount::Empty)]),
        resources: Resources {
            cpu_limit_millis: Some(500),
            memory_limit_bytes: Some(256 * 1024 * 1024),
            ..Resources::default()
        },
        process: Process::Shared,
        replicas: 2,
        ..Hosted::new(Source::Command(command), env)
    })
}

fn image() -> Access {
    let source = Source::Image { image: "example.com/server:1".to_owned(), command: None };
    Access::Hosted(Hosted::new(source, BTreeMap::new()))
}

fn proxied() -> Access {
    Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::from([("Authorization".to_owned(), sealed())]),
    })
}

fn profile() -> Profile {
    Profile {
        labels: BTreeMap::from([("team".to_owned(), "search".to_owned())]),
        notes: "ask before stopping".to_owned(),
        icon: "https://example.com/icon.svg".to_owned(),
        logging: Logging { capture: Capture::Bodies, strict: true },
        health_check: HealthCheck { interval_seconds: 60, tools: BTreeSet::from(["search".to_owned()]) },
    }
}

fn created() -> Created {
    let name = "everything".parse().unwrap();
    Created { name, access: hosted(), profile: profile(), template: Some(TEMPLATE) }
}

fn renamed() -> Renamed {
    Renamed { from: "everything".parse().unwrap(), to: "all".parse().unwrap() }
}

fn ready() -> ReplicaReady {
    let server = ServerInfo {
        name: "everything".to_owned(),
        version: "2026.8.31".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        revisions: vec!["2025-11-25".to_owned(), "2026-07-28".to_owned()],
    };
    let endpoint = "http://127.0.0.1:40001/mcp".to_owned();
    ReplicaReady { replica: REPLICA, endpoint, credential: Some(sealed()), server }
}

fn hanging() -> HealthChanged {
    let detail = "no answer to ping within 5 s".to_owned();
    let problem = Problem { class: ProblemClass::AnswerTimeout, detail };
    let health = Health {
        status: HealthStatus::Unhealthy,
        container: Dimension::Ready,
        service: Dimension::Ready,
        mcp: Dimension::NotReady,
        unsteady: false,
        problem: Some(problem),
    };
    HealthChanged { health }
}

fn instance_examples() -> Vec<Example> {
    let failed = ReplicaFailed {
        replica: REPLICA,
        reason: FailureReason::Exited,
        detail: "the process ended with exit code 1".to_owned(),
    };
    let edited = Edited { access: image(), profile: profile(), generation: 2 };
    let changed = AccessChanged { access: proxied(), generation: 3 };
    let authorization = Authorization {
        issuer: "https://issuer.example".to_owned(),
        audience: "https://gateway.example/mcp-gateway/everything/mcp".to_owned(),
        scopes: BTreeSet::from(["mcp:call".to_owned()]),
        jwks_url: Some("https://issuer.example/keys".to_owned()),
    };
    let authorized = AuthorizationChanged { authorization: Some(authorization) };
    let starting = ReplicaStarting { replica: REPLICA, generation: 1 };
    let handshaking = ReplicaHandshaking { replica: REPLICA };
    [
        (Instance::Created(created()), schema_for!(Created)),
        (Instance::ReplicaStarting(starting), schema_for!(ReplicaStarting)),
        (Instance::ReplicaHandshaking(handshaking), schema_for!(ReplicaHandshaking)),
        (Instance::ReplicaReady(ready()), schema_for!(ReplicaReady)),
        (Instance::HealthChanged(hanging()), schema_for!(HealthChanged)),
        (Instance::Renamed(renamed()), schema_for!(Renamed)),
        (Instance::Scaled(Scaled { replicas: 3 }), schema_for!(Scaled)),
        (Instance::Restarted(Restarted { generation: 3 }), schema_for!(Restarted)),
        (Instance::Edited(edited), schema_for!(Edited)),
        (Instance::Stopped(Stopped {}), schema_for!(Stopped)),
        (Instance::ReplicaStopped(ReplicaStopped { replica: REPLICA }), schema_for!(ReplicaStopped)),
        (Instance::Started(Started { generation: 2 }), schema_for!(Started)),
        (Instance::ReplicaFailed(failed), schema_for!(ReplicaFailed)),
        (Instance::AccessChanged(changed), schema_for!(AccessChanged)),
        (Instance::AuthorizationChanged(authorized), schema_for!(AuthorizationChanged)),
        (Instance::Deleted(Deleted {}), schema_for!(Deleted)),
    ]
    .into_iter()
    .map(|(event, schema)| example::<InstanceDecider>(INSTANCE, event, schema))
    .collect()
}

fn token_examples() -> Vec<Example> {
    let expiry = Expiry::At("2027-01-01T00:00:00Z".parse().unwrap());
    let headers = BTreeMap::from([("X-Api-Key".to_owned(), sealed())]);
    let passthrough = BTreeSet::from(["x-request-id".to_owned()]);
    let issued = token::Issued {
        instance: INSTANCE,
        kind: Kind::XApiKey,
        label: "dev".to_owned(),
        digest: Digest("00ff".repeat(16)),
        masked: "mcpcan_…abcd".to_owned(),
        sealed: sealed(),
        expiry,
        headers: headers.clone(),
        passthrough: passthrough.clone(),
    };
    let rotated = token::Rotated {
        digest: Digest("ff00".repeat(16)),
        masked: "mcpcan_…efgh".to_owned(),
        sealed: sealed(),
        previous_until: Some("2027-01-01T00:00:00Z".parse().unwrap()),
    };
    let edited = token::Edited {
        label: Some("prod".to_owned()),
        expiry: Some(Expiry::Never),
        headers: Some(headers),
        passthrough: Some(passthrough),
    };
    let expired = token::Expired { at: "2027-01-01T00:00:00Z".parse().unwrap() };
    [
        (token::Event::Issued(issued), schema_for!(token::Issued)),
        (token::Event::Edited(edited), schema_for!(token::Edited)),
        (token::Event::Rotated(rotated), schema_for!(token::Rotated)),
        (token::Event::Revoked(token::Revoked {}), schema_for!(token::Revoked)),
        (token::Event::Expired(expired), schema_for!(token::Expired)),
    ]
    .into_iter()
    .map(|(event, schema)| example::<TokenDecider>(TOKEN, event, schema))
    .collect()
}

fn template_examples() -> Vec<Example> {
    let created = template::Created {
        name: "search".parse().unwrap(),
        access: proxied(),
        profile: profile(),
        from: Some(INSTANCE),
    };
    let renamed = template::Renamed { from: "search".parse().unwrap(), to: "find".parse().unwrap() };
    let edited = template::Edited { access: image(), profile: profile() };
    [
        (template::Event::Created(created), schema_for!(template::Created)),
        (template::Event::Renamed(renamed), schema_for!(template::Renamed)),
        (template::Event::Edited(edited), schema_for!(template::Edited)),
        (template::Event::Deleted(template::Deleted {}), schema_for!(template::Deleted)),
    ]
    .into_iter()
    .map(|(event, schema)| example::<TemplateDecider>(TEMPLATE, event, schema))
    .collect()
}

/// Both events of a kind of claim.
fn claim_examples<C: claim::Claimable>(
    id: C::Id,
    holder: C::Holder,
    schema: &schemars::Schema,
) -> [Example; 2]
where
    ClaimDecider<C>: Stored<Id = C::Id, Event = claim::Event<C>>,
{
    let claim = || Claim { holder };
    [claim::Event::Claimed(claim()), claim::Event::Released(claim())]
        .map(|event| example::<ClaimDecider<C>>(id.clone(), event, schema.clone()))
}

fn examples() -> Vec<Example> {
    let name = || "everything".parse().unwrap();
    let credential = CredentialId { instance: INSTANCE, digest: Digest("00ff".repeat(16)) };
    let set = retention_plan::Set { days: retention_plan::Days { access_log: 30, container_log: 7 } };
    let mut examples = instance_examples();
    examples.extend(token_examples());
    examples.extend(template_examples());
    examples.extend(claim_examples::<InstanceNames>(name(), INSTANCE, &schema_for!(Claim<InstanceId>)));
    examples.extend(claim_examples::<TemplateNames>(name(), TEMPLATE, &schema_for!(Claim<TemplateId>)));
    examples.extend(claim_examples::<Credentials>(credential, TOKEN, &schema_for!(Claim<TokenId>)));
    let plan = [
        (retention_plan::Event::Set(set), schema_for!(retention_plan::Set)),
        (retention_plan::Event::Reset(retention_plan::Reset {}), schema_for!(retention_plan::Reset)),
    ];
    let plan = plan.map(|(event, schema)| example::<RetentionPlanDecider>(INSTANCE, event, schema));
    examples.extend(plan);
    examples
}

/// An event of every type, each after one of the same aggregate that it can follow.
pub(crate) fn events() -> Vec<domain::Event> {
    examples().into_iter().map(|example| example.event).collect()
}

/// `schemas/events/instance/created.v1`, without the last part.
fn path(example: &Example, extension: &str) -> PathBuf {
    let (aggregate, event) = example.event.name().split_once('.').expect("a wire name has two parts");
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../schemas/events")
        .join(aggregate)
        .join(format!("{event}.v{}.{extension}", example.version))
}

pub(crate) fn update() -> bool {
    std::env::var_os("UPDATE_SCHEMAS").is_some()
}

pub(crate) fn write(path: &Path, content: &[u8]) {
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

/// All golden files, of versions that nobody writes any more too. What an old one is read as today is in a file beside
/// it, which changes with what is written today; the golden files themselves never do.
#[test]
fn every_golden_file_is_read_for_ever() {
    let today: Vec<PathBuf> = examples().iter().map(|example| path(example, "golden.msgpack")).collect();
    let mut read = 0;
    for path in files_in(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(form) = name.strip_suffix(".golden.msgpack") else { continue };
        let (event, version) = form.split_once(".v").expect("a form is named <event>.v<n>");
        let golden = json(&path.with_file_name(format!("{form}.golden.json")));
        let aggregate = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(decoded::<Value>(&bytes), golden["event"]["data"], "{}", path.display());

        let (id, name) = (golden["id"].as_str().unwrap(), format!("{aggregate}.{event}"));
        let version = version.parse().unwrap();
        let event = store::upcast::read_any(aggregate, id, &name, version, &bytes).unwrap();
        let event = serde_json::to_value(event).unwrap();
        let is_todays = today.iter().any(|today| path.ends_with(relative(today)));
        let expected = if is_todays { golden } else { lifted(&path, form, &event) };
        assert_eq!(event, expected, "{}", path.display());
        read += 1;
    }
    assert!(read >= today.len(), "{read} golden files for {} events", today.len());
}

/// `<aggregate>/<file>`.
fn relative(path: &Path) -> PathBuf {
    let aggregate = path.parent().and_then(Path::file_name).unwrap();
    Path::new(aggregate).join(path.file_name().unwrap())
}

/// What an old form was read as when somebody last looked.
fn lifted(path: &Path, form: &str, event: &Value) -> Value {
    let path = path.with_file_name(format!("{form}.lifted.json"));
    if update() {
        write(&path, (serde_json::to_string_pretty(event).unwrap() + "\n").as_bytes());
    }
    json(&path)
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> T {
    store::decode(bytes).unwrap()
}

/// The files of the directories in a directory, and in those.
pub(crate) fn files_in(directory: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(path) } else { vec![path] }).collect()
}

/// A new event whose form nobody has written down would be a promise that nobody keeps.
#[test]
fn every_event_type_has_an_example() {
    let mut declared = BTreeSet::new();
    for path in files_in(Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src")) {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let named = line.contains("#[serde(rename = \"") || line.contains("&'static str = \"");
            let literal = named.then(|| line.split('"').nth(1)).flatten();
            let aggregate = literal.and_then(|name| name.split_once('.')).map(|(aggregate, _)| aggregate);
            if aggregate.is_some_and(|aggregate| domain::AGGREGATES.contains(&aggregate)) {
                declared.extend(literal.map(str::to_owned));
            }
        }
    }
    let examples: BTreeSet<_> = examples().iter().map(|example| example.event.name().to_owned()).collect();
    assert_eq!(examples, declared);
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let id = INSTANCE.to_string();
    let error = store::upcast::read_any("instance", &id, "instance.created", 99, &[0x80]).unwrap_err();
    assert_eq!(error.to_string(), "event instance.created version 99 is not known to this program");
}
