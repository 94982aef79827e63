//! What instances and templates are made of, as the command line says it: options, and the bodies made of them. Only
//! what would otherwise be lost on the way is checked here; the api checks the rest.

mod openapi;
mod some;
mod value;
mod whole;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

pub(crate) use some::SomeSettings;
pub(crate) use value::header_pair;
pub(crate) use whole::{AccessSettings, NewSettings};

use crate::failure::Failure;

/// What documents say of settings, for [`crate::output::details`].
pub(crate) const SHOWN: [(&str, &str); 23] = [
    ("access", "/access"),
    ("transport", "/transport"),
    ("image", "/image"),
    ("program", "/command/program"),
    ("arguments", "/command/args"),
    ("environment", "/command/env"),
    ("ports", "/ports"),
    ("mounts", "/mounts"),
    ("cpu limit, millis", "/resources/cpu_limit_millis"),
    ("cpu request, millis", "/resources/cpu_request_millis"),
    ("memory limit, bytes", "/resources/memory_limit_bytes"),
    ("memory request, bytes", "/resources/memory_request_bytes"),
    ("process", "/process"),
    ("replicas", "/replicas_wanted"),
    ("url", "/url"),
    ("headers", "/headers"),
    ("labels", "/labels"),
    ("notes", "/notes"),
    ("icon", "/icon"),
    ("capture", "/logging/capture"),
    ("strict", "/logging/strict"),
    ("probed every, seconds", "/health_check/interval_seconds"),
    ("expected tools", "/health_check/tools"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Access {
    /// The platform runs the server.
    Hosted,
    /// The server runs elsewhere, the gateway stands in front of it.
    Proxy,
    /// The server runs elsewhere, clients go there themselves.
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Stdio,
    Sse,
    StreamableHttp,
}

/// How much of the calls the access log gets. Secrets are masked in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Capture {
    /// Who called what and what came of it.
    Off,
    /// Header fields and the names of cookies and form fields too.
    Metadata,
    /// The beginnings of requests and answers too.
    Bodies,
}

/// The members of `logging` that options name.
fn logging(capture: Option<Capture>, strict: Option<bool>) -> Map<String, Value> {
    let given =
        [("capture", capture.map(|capture| json!(wire_name(capture)))), ("strict", strict.map(Value::Bool))];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The members of `health_check` that options name.
fn health_check(interval: Option<u32>, tools: Option<&[String]>) -> Map<String, Value> {
    let given = [
        ("interval_seconds", interval.map(|interval| json!(interval))),
        ("tools", tools.map(|tools| json!(tools))),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Whom a process of the server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Process {
    /// A client with a session gets one for itself; clients of the protocol without sessions (2026-07-28) share one.
    Auto,
    /// One client each: nothing that the server remembers reaches another.
    PerClient,
    /// All clients: for servers whose tools keep no state. What an older server asks of its client, logs or says of
    /// changes then reaches nobody.
    Shared,
}

pub(crate) fn usage(text: &str) -> Failure {
    Failure::Usage(text.to_owned())
}

/// What a value is called on the command line, and in requests.
pub(crate) fn wire_name(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("no value of these is hidden from the command line");
    value.get_name().to_owned()
}

/// The secrets that an option gave, by their names. They are taken apart here, since clap repeats a value that it does not
/// understand.
pub(crate) fn secrets(
    given: &[String],
    option: &str,
    pair: fn(&str) -> Result<(String, String), String>,
) -> Result<Map<String, Value>, Failure> {
    let pairs: Result<Vec<_>, _> = given.iter().map(|text| pair(text)).collect();
    object(&pairs.map_err(|reason| usage(&format!("{option}: {reason}")))?, option)
}

fn object<V: Into<Value> + Clone>(
    pairs: &[(String, V)],
    option: &str,
) -> Result<Map<String, Value>, Failure> {
    let mut object = Map::new();
    for (name, value) in pairs {
        if object.insert(name.clone(), value.clone().into()).is_some() {
            return Err(usage(&format!("{option} {name} is given twice")));
        }
    }
    Ok(object)
}

/// An entry that goes is null.
fn without(object: &mut Map<String, Value>, names: &[String], option: &str) -> Result<(), Failure> {
    for name in names {
        if object.insert(name.clone(), json!(null)).is_some() {
            return Err(usage(&format!("{option} {name} is given twice, or set and removed at once")));
        }
    }
    Ok(())
}
