//! Instances, their client configuration and their output.

use ::access_log::ContainerLine;
use http::StatusCode as S;

use crate::client_config::{ClientConfig, SnippetsDocument};
use crate::contract::access_logs::{exporting, following};
use crate::error::problem_type as T;
use crate::health_history::HealthHistoryDocument;
use crate::instances::{DeletedDocument, InstanceDocument};
use crate::openapi::{Answer, Operation, field};
use crate::paging::Page;
use crate::probe::ProbeDocument;
use crate::problem::ProblemType;
use crate::timeline::TimelineEntry;

pub(super) fn instance(description: &'static str) -> Answer {
    Answer::json::<InstanceDocument<'_>>(description).with(field::ETAG)
}

pub(crate) fn list() -> Operation {
    Operation::new("list_instances", "List instances, by name")
        .answers(S::OK, Answer::json::<Page<InstanceDocument<'_>>>("One page of instances"))
}

pub(crate) fn create() -> Operation {
    let created = instance("The instance, which is being started").with(field::LOCATION);
    Operation::new("create_instance", "Create an instance")
        .description("A hosted instance starts at once. Values of `env` and `headers` are kept sealed.")
        .answers(S::CREATED, created.identifies("instance", "/id"))
        .problems([T::NAME_TAKEN, T::INSTANCE_EXISTS, T::INSTANCE_DELETED, T::SECRET_UNREADABLE])
        .problems(SETTINGS_PROBLEMS)
        .problems([T::UPSTREAM_ADDRESS_REFUSED])
}

/// What stands in the way of settings that are right one by one.
pub(super) const SETTINGS_PROBLEMS: [ProblemType; 5] =
    [T::NOT_OF_MODE, T::NO_COMMAND, T::REQUEST_ABOVE_LIMIT, T::BEYOND_A_BOUND, T::UNPROCESSABLE_REQUEST];

pub(crate) fn edit() -> Operation {
    Operation::new("edit_instance", "Edit or rename an instance")
        .description(
            "What runs is replaced when what it runs with changes. What is not named stays, whoever changed it last.",
        )
        .answers(S::OK, instance("The instance as it is wanted now"))
        .problems(SETTINGS_PROBLEMS)
        .problems([T::UPSTREAM_ADDRESS_REFUSED])
        .problems([T::NAME_TAKEN, T::INSTANCE_NOT_FOUND, T::INSTANCE_DELETED, T::SECRET_UNREADABLE])
}

pub(crate) fn scale() -> Operation {
    change(Operation::new("scale_instance", "Say how many replicas of an instance run"))
        .problems([T::NOT_HOSTED, T::BEYOND_A_BOUND])
}

pub(crate) fn replace_access() -> Operation {
    change(Operation::new("replace_access", "Change how an instance is reached"))
        .description("The settings of the old way are gone; tokens, logs and the name stay.")
        .problems(SETTINGS_PROBLEMS)
        .problems([T::SECRET_UNREADABLE, T::UPSTREAM_ADDRESS_REFUSED])
}

pub(crate) fn set_authorization() -> Operation {
    change(Operation::new("set_authorization", "Say whose access tokens an instance accepts"))
        .description(
            "JWT access tokens of this issuer are let in beside the instance's own tokens, if audience, expiry and \
             scopes are right; clients find the issuer through the gateway (RFC 9728).",
        )
        .problems([T::NOT_OF_MODE])
}

pub(crate) fn remove_authorization() -> Operation {
    change(Operation::new("remove_authorization", "Accept an instance's own tokens only"))
}

pub(crate) fn show() -> Operation {
    Operation::new("show_instance", "Show an instance")
        .answers(S::OK, instance("The instance"))
        .problems([T::INSTANCE_NOT_FOUND])
}

pub(crate) fn delete() -> Operation {
    Operation::new("delete_instance", "Delete an instance")
        .description(
            "Its replicas end, its tokens are revoked, its secrets become unreadable and its name is free.",
        )
        .answers(S::OK, Answer::json::<DeletedDocument>("What is left to say of it"))
        .problems([T::INSTANCE_NOT_FOUND])
}

pub(crate) fn health() -> Operation {
    Operation::new("show_health", "Show what probes of an instance saw, by the hour and sample by sample")
        .answers(S::OK, Answer::json::<HealthHistoryDocument>("How it was"))
        .problems([T::INSTANCE_NOT_FOUND, T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}

pub(crate) fn probe() -> Operation {
    Operation::new("probe_instance", "Probe an instance now")
        .description(
            "What it answers right now; its health changes once that has lasted. A direct instance is not probed, nor \
             one that stands still.",
        )
        .answers(S::OK, Answer::json::<ProbeDocument>("What the probe saw"))
        .problems([T::INSTANCE_NOT_FOUND, T::NOT_PROBED, T::NOT_RUNNING, T::NOBODY_PROBES, T::STORE_UNAVAILABLE])
}

pub(crate) fn timeline() -> Operation {
    Operation::new("show_timeline", "Show what happened to an instance, newest first")
        .description("Who changed what, what the runtime did, and what probes saw.")
        .answers(S::OK, Answer::json::<Page<TimelineEntry>>("One page of it"))
        .problems([T::INSTANCE_NOT_FOUND, T::LOG_UNREADABLE, T::STORE_UNAVAILABLE])
}

pub(crate) fn start() -> Operation {
    change(Operation::new("start_instance", "Start an instance"))
}

pub(crate) fn stop() -> Operation {
    change(Operation::new("stop_instance", "Stop an instance"))
}

pub(crate) fn restart() -> Operation {
    change(Operation::new("restart_instance", "Restart an instance, or start one that is stopped"))
}

fn change(operation: Operation) -> Operation {
    operation
        .answers(S::OK, instance("The instance as it is wanted now"))
        .problems([T::INSTANCE_NOT_FOUND, T::INSTANCE_DELETED])
}

pub(crate) fn config() -> Operation {
    Operation::new("show_config", "Show what a client needs to reach an instance")
        .description("The `mcpServers` JSON that AI clients take as it is, with the credential in clear.")
        .answers(S::OK, Answer::json::<ClientConfig>("The configuration"))
        .problems(CONFIG_PROBLEMS)
}

pub(crate) fn snippets() -> Operation {
    Operation::new("show_snippets", "Show the configuration as single clients take it")
        .description(
            "For Claude, Cursor, VS Code, Dify and curl: ready to be pasted, with the credential in clear.",
        )
        .answers(S::OK, Answer::json::<SnippetsDocument>("The snippets"))
        .problems(CONFIG_PROBLEMS)
}

/// What stands in the way of an access configuration.
const CONFIG_PROBLEMS: [ProblemType; 11] = [
    T::INSTANCE_NOT_FOUND,
    T::INSTANCE_DELETED,
    T::TOKEN_NOT_FOUND,
    T::TOKEN_REVOKED,
    T::TOKEN_EXPIRED,
    T::AMBIGUOUS_LABEL,
    T::NO_ACTIVE_TOKEN,
    T::DIRECT_HAS_NO_TOKENS,
    T::TRANSPORT_NOT_OFFERED,
    T::STORE_UNAVAILABLE,
    T::SECRET_UNREADABLE,
];

pub(crate) fn logs() -> Operation {
    Operation::new("list_lines", "List the newest lines that a hosted server wrote, oldest of them first")
        .answers(S::OK, Answer::json::<Page<ContainerLine>>("The lines"))
        .problems([T::INSTANCE_NOT_FOUND, T::NOT_HOSTED, T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}

pub(crate) fn tail_logs() -> Operation {
    let operation = Operation::new("tail_lines", "Follow what a hosted server writes");
    following::<ContainerLine>(operation).problems([T::NOT_HOSTED])
}

pub(crate) fn export_logs() -> Operation {
    let file = Answer::of_type::<String>("text/plain", "The file, in the order of time");
    let file =
        file.or_type("application/jsonl").or_type("text/csv").or_type("application/vnd.apache.parquet");
    exporting(Operation::new("export_lines", "Export what a hosted server wrote as a file"), file)
        .problems([T::NOT_HOSTED])
}
