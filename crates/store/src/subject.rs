//! The names of streams, buckets, consumers and headers, and the form of subjects. `nats/` declares what they are.

use domain::{CommandId, InstanceId};
use views::{Instances, RetentionPlans, Templates, Tokens, View as _};

/// Commands that wait for a decision.
pub const COMMANDS: &str = "COMMANDS";
/// What became of commands.
pub(crate) const OUTCOMES: &str = "OUTCOMES";
/// Chunks of an import that wait for a decider.
pub(crate) const IMPORTS: &str = "IMPORTS";
/// Every domain event.
pub const EVENTS: &str = "EVENTS";
/// Trace events on their way to ClickHouse.
pub const TRACES: &str = "TRACES";
/// Output of hosted servers on its way to ClickHouse.
pub const LOGS: &str = "LOGS";
/// What probes of instances saw, on its way to ClickHouse.
pub const SAMPLES: &str = "SAMPLES";
/// What could not be read.
pub const DEAD_LETTERS: &str = "DEAD_LETTERS";

/// The streams, each declared in `nats/streams/<name>.json`.
pub const STREAMS: [&str; 8] = [COMMANDS, OUTCOMES, IMPORTS, EVENTS, TRACES, LOGS, SAMPLES, DEAD_LETTERS];

/// The keys of aggregates' secrets.
pub(crate) const KEYS_BUCKET: &str = "keys";
/// States of long aggregates.
pub(crate) const SNAPSHOTS_BUCKET: &str = "snapshots";
/// How far the log sinks have come.
pub(crate) const SINKS_BUCKET: &str = "sinks";
/// How the processes of the platform are.
pub(crate) const ROLES_BUCKET: &str = "roles";
/// Which process does what only one may do at a time.
pub(crate) const LEASES_BUCKET: &str = "leases";
/// How the views are, and which of them somebody wants rebuilt.
pub(crate) const VIEWS_BUCKET: &str = "views";
/// The hash chain over the log.
pub(crate) const CHAIN_BUCKET: &str = "chain";

/// Documents that instances serve.
pub(crate) const DOCUMENTS_BUCKET: &str = "documents";

/// The views, each in a bucket of its name.
pub const VIEWS: [&str; 4] = [Instances::NAME, Tokens::NAME, Templates::NAME, RetentionPlans::NAME];

/// The buckets, each declared in `nats/buckets/<name>.json`. The views' buckets are named after their views.
pub const BUCKETS: &[&str] = &[
    Instances::NAME,
    Tokens::NAME,
    Templates::NAME,
    RetentionPlans::NAME,
    KEYS_BUCKET,
    SINKS_BUCKET,
    SNAPSHOTS_BUCKET,
    LEASES_BUCKET,
    VIEWS_BUCKET,
    CHAIN_BUCKET,
    ROLES_BUCKET,
    DOCUMENTS_BUCKET,
];

/// The consumer that the deciders share.
pub(crate) const DECIDER_CONSUMER: &str = "decider";
/// The consumer that the deciders share for what follows from events.
pub(crate) const REACTIONS_CONSUMER: &str = "reactions";

/// The consumer of imports, which the deciders share.
pub(crate) const IMPORTER_CONSUMER: &str = "importer";

/// The durable consumers, each declared in `nats/consumers/<name>.json`.
pub const CONSUMERS: [&str; 3] = [DECIDER_CONSUMER, REACTIONS_CONSUMER, IMPORTER_CONSUMER];

/// The place of a command on the bus. That of a client's command is named after its key, with which its id begins, so
/// that no two commands have one key; of these, and only of these, the id is a UUID of version 8.
pub(crate) fn command(id: CommandId) -> String {
    match (id.0.get_version(), id.0.as_u64_pair()) {
        (Some(uuid::Version::Custom), (key, _)) => format!("commands.{key:016x}"),
        _ => format!("commands.{id}"),
    }
}

/// The subject of what became of a command.
pub(crate) fn outcome(command: CommandId) -> String {
    format!("outcomes.{command}")
}

/// Where a process hears what became of its commands. No stream listens there.
pub(crate) fn answer(address: &str) -> String {
    format!("answers.{address}")
}

/// Where somebody asks for a probe of any instance. No stream listens there.
pub(crate) const ALL_PROBES: &str = "probes.*";

/// Where somebody asks for a probe of an instance.
pub(crate) fn probe(instance: InstanceId) -> String {
    format!("probes.{instance}")
}

/// The instance's id in such a subject.
pub(crate) fn parse_probe(subject: &str) -> Option<&str> {
    subject.strip_prefix("probes.")
}

/// The subject of chunks of an import.
pub(crate) const IMPORT_CHUNKS: &str = "imports.chunk";

/// The subject of an aggregate's events.
pub fn event(aggregate: &str, id: impl std::fmt::Display) -> String {
    format!("events.{aggregate}.{id}")
}

/// Where events go once more. No stream listens there.
pub(crate) fn replay(name: &str) -> String {
    format!("replay.{name}")
}

/// The aggregate's name and id in the subject of an event.
pub(crate) fn parse_event(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("events.")?.split_once('.')
}

/// Whether a text can be one token of a subject, as names and ids of aggregates are.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What the causation of a command begins with that follows from an event; its sequence comes after it.
pub(crate) const CAUSED_BY_EVENT: &str = "event:";

/// The header fields of commands and events.
pub(crate) mod header {
    pub(crate) const EVENT: &str = "Mcpcan-Event";
    pub(crate) const VERSION: &str = "Mcpcan-Version";
    pub(crate) const COMMAND_ID: &str = "Mcpcan-Command-Id";
    pub(crate) const CAUSATION_ID: &str = "Mcpcan-Causation-Id";
    pub(crate) const ACTOR: &str = "Mcpcan-Actor";
    pub(crate) const TIME: &str = "Mcpcan-Time";
    pub(crate) const EXPECTED_REVISION: &str = "Mcpcan-Expected-Revision";
    /// Of a command: the address at which its sender waits, see [`super::answer`].
    pub(crate) const ANSWER_TO: &str = "Mcpcan-Answer-To";
    /// Of a command with a client's key: names the request.
    pub(crate) const REQUEST_DIGEST: &str = "Mcpcan-Request-Digest";
    pub(crate) const REASON: &str = "Mcpcan-Reason";
    /// Of an imported event: when the log that it comes from stored it.
    pub(crate) const STORED_AT: &str = "Mcpcan-Stored-At";
    /// Of a replayed event: its place in the log, and its subject there.
    pub(crate) const SEQUENCE: &str = "Mcpcan-Sequence";
    pub(crate) const SUBJECT: &str = "Mcpcan-Subject";
    pub(crate) const TRACEPARENT: &str = "traceparent";
}
