//! `instance …`: the MCP servers of this platform.

mod authorize;
mod create;
mod edit;
mod health;
mod probe;
mod progress;
mod timeline;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, details, field};
use crate::rest::Rest;
use crate::settings;
use crate::terms::Terms;

pub(crate) use authorize::AuthorizeArguments;
use create::CreateArguments;
use edit::{AccessArguments, EditArguments, RenameArguments, ScaleArguments};

/// How long `create`, `start` and `restart` wait for a server unless told otherwise: it may have to be installed first.
const TIMEOUT_SECONDS: &str = "300";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an instance; a hosted one is ready when its server has answered an MCP handshake.
    Create(Box<CreateArguments>),
    /// List the instances.
    List,
    /// Show one instance.
    Show {
        /// Name or id.
        instance: String,
    },
    /// Show what happened to an instance: who changed what, what the runtime did, what probes saw.
    Timeline(timeline::Arguments),
    /// Show how an instance was: its uptime, hour by hour.
    Health(health::Arguments),
    /// Probe an instance now; fails if it is not healthy.
    Probe {
        /// Name or id.
        instance: String,
    },
    /// Change some settings; what runs is replaced if it has to be.
    Edit(Box<EditArguments>),
    /// Call an instance something else; the old name is free.
    Rename(RenameArguments),
    /// Say how many replicas run.
    Scale(ScaleArguments),
    /// Change how an instance is reached; the settings of the old way are gone.
    Access(Box<AccessArguments>),
    /// Accept the access tokens of an OAuth issuer beside the instance's own tokens, or no longer.
    Authorize(AuthorizeArguments),
    /// Let a stopped instance run again.
    Start(Control),
    /// Let an instance stand still; its configuration and tokens stay.
    Stop(Control),
    /// Replace what runs by a fresh start.
    Restart(Control),
    /// Remove an instance, its tokens and its secrets for good.
    Delete {
        /// Name or id.
        instance: String,
        #[command(flatten)]
        terms: Terms,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Control {
    /// Name or id.
    instance: String,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    patience: Patience,
}

/// Whether and how long a command waits until what was wished for is so.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Patience {
    /// Return as soon as the command is decided.
    #[arg(long)]
    no_wait: bool,
    /// Give up waiting after so many seconds; what was wished for stays wished for.
    #[arg(long, value_name = "SECONDS", default_value = TIMEOUT_SECONDS, value_parser = seconds)]
    timeout: Duration,
}

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// As many as are wanted are ready, and none of an older generation is there.
    Ready,
    /// So many replicas are ready, and no others are there.
    Replicas(usize),
    Stopped,
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create::run(*arguments, rest, output).await,
        Command::List => {
            let instances = rest.items(&["instances"], &[], usize::MAX).await?;
            Ok(output.list(
                &instances,
                ["name", "phase", "health", "problem", "access", "transport", "gateway", "id"],
                |instance| {
                    const SHOWN: [&str; 8] = [
                        "/name",
                        "/phase",
                        "/health/status",
                        "/health/problem/class",
                        "/access",
                        "/transport",
                        "/gateway_url",
                        "/id",
                    ];
                    SHOWN.map(|pointer| field(instance, pointer))
                },
            )?)
        }
        Command::Show { instance } => {
            let instance = rest.get(&["instances", &instance], &[]).await?;
            Ok(output.one(&instance, || describe(&instance))?)
        }
        Command::Timeline(arguments) => timeline::run(arguments, rest, output).await,
        Command::Health(arguments) => health::run(arguments, rest, output).await,
        Command::Probe { instance } => probe::run(&instance, rest, output).await,
        Command::Edit(arguments) => edit::edit(*arguments, rest, output).await,
        Command::Rename(arguments) => edit::rename(arguments, rest, output).await,
        Command::Scale(arguments) => edit::scale(arguments, rest, output).await,
        Command::Access(arguments) => edit::access(*arguments, rest, output).await,
        Command::Authorize(arguments) => authorize::run(arguments, rest, output).await,
        Command::Start(control) => change(rest, output, &control, "start", Goal::Ready).await,
        Command::Stop(control) => change(rest, output, &control, "stop", Goal::Stopped).await,
        Command::Restart(control) => change(rest, output, &control, "restart", Goal::Ready).await,
        Command::Delete { instance, terms } => {
            let deleted = rest.on(terms).delete(&["instances", &instance]).await?;
            Ok(output.one(&deleted, || format!("{instance} is deleted"))?)
        }
    }
}

async fn change(
    rest: &Rest,
    output: Output,
    control: &Control,
    verb: &str,
    goal: Goal,
) -> Result<(), Failure> {
    let path = ["instances", &control.instance, verb];
    let accepted = rest.on(control.terms).post(&path, None).await?;
    finish(rest, output, accepted, goal, control.patience).await
}

/// Waits until an accepted command has had its effect, and prints the instance as it is then.
pub(crate) async fn finish(
    rest: &Rest,
    output: Output,
    accepted: Value,
    goal: Goal,
    patience: Patience,
) -> Result<(), Failure> {
    let is_wanted = accepted.get("wanted").and_then(Value::as_bool) == Some(true) || goal == Goal::Stopped;
    let is_hosted = accepted.get("access").and_then(Value::as_str) == Some("hosted");
    let waits = !patience.no_wait && is_hosted && is_wanted;
    let instance =
        if waits { progress::follow(rest, &accepted, goal, patience.timeout).await? } else { accepted };
    Ok(output
        .one(&instance, || format!("{} is {}", field(&instance, "/name"), field(&instance, "/phase")))?)
}

/// Everything worth knowing about an instance, a line each.
fn describe(instance: &Value) -> String {
    const OWN: [(&str, &str); 6] = [
        ("name", "/name"),
        ("id", "/id"),
        ("revision", "/revision"),
        ("template", "/template"),
        ("phase", "/phase"),
        ("gateway", "/gateway_url"),
    ];
    const SERVER: [(&str, &str); 17] = [
        ("issuer", "/authorization/issuer"),
        ("audience", "/authorization/audience"),
        ("server", "/server/name"),
        ("version", "/server/version"),
        ("speaks", "/server/revisions"),
        ("health", "/health/status"),
        ("since", "/health/since"),
        ("container", "/health/container"),
        ("service", "/health/service"),
        ("mcp service", "/health/mcp"),
        ("unsteady", "/health/unsteady"),
        ("problem", "/health/problem/class"),
        ("problem's detail", "/health/problem/detail"),
        ("it means", "/health/problem/meaning"),
        ("to check", "/health/problem/check"),
        ("failure", "/failure/reason"),
        ("detail", "/failure/detail"),
    ];
    details("instance", instance, &[&OWN[..], &settings::SHOWN, &SERVER].concat())
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}
