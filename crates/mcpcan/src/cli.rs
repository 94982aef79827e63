//! The command line's root: what commands there are, and which file carries each out.

use std::future::Future;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime;

use crate::failure::{EXIT_CODES, Failure};
use crate::output::{Form, Output};
use crate::rest::Rest;
use crate::{
    access_log, bound, calls, clickhouse_embedded, command, config, events, instance, logs, nats_users,
    provision, retention, role, stats, status, template, token, up, views,
};

/// Hosts MCP servers behind one gateway with tokens, logs and an access log.
#[derive(Debug, Parser)]
#[command(name = "mcpcan", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    /// Print JSON: one document (lists: an array), or with --json=lines one document a line.
    #[arg(long, global = true, value_enum, value_name = "FORM", num_args = 0..=1, require_equals = true,
          default_missing_value = "document")]
    json: Option<Form>,

    /// The data directory: for `up` where state is kept (default: .mcpcan), for other commands the `up` that is meant.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: NATS, ClickHouse and all roles, until Ctrl-C.
    Up(Box<up::Arguments>),

    /// Create, list and control instances: the MCP servers of this platform.
    #[command(subcommand)]
    Instance(instance::Command),
    /// Issue, list, edit, rotate and revoke the tokens that clients present.
    #[command(subcommand)]
    Token(token::Command),
    /// Show what has become of a command that nobody waited for.
    #[command(subcommand)]
    Command(command::Command),
    /// Create, edit and instantiate templates: settings of instances that are yet to be created.
    #[command(subcommand)]
    Template(template::Command),
    /// Say for how many days the log rows of an instance are kept.
    #[command(subcommand)]
    Retention(retention::Command),
    /// Print the mcpServers JSON of an instance, ready to paste into a client.
    Config(config::Arguments),
    /// List the tools of an instance, through the gateway.
    Tools(calls::ToolsArguments),
    /// Call a tool of an instance, through the gateway.
    Call(calls::CallArguments),
    /// Search what went through the gateway.
    #[command(subcommand)]
    AccessLog(access_log::Command),
    /// Print what an instance's server wrote.
    Logs(logs::Arguments),
    /// Show how much was called, how well and by whom.
    Stats(stats::Arguments),
    /// Follow the domain events.
    #[command(subcommand)]
    Events(events::Command),

    /// Show which roles can do their work, and how far log rows have come.
    Status(status::Arguments),
    /// List the read models, see how far they are and what is in their way, rebuild them.
    #[command(subcommand)]
    Views(views::Command),

    /// Bring the streams, consumers and buckets of a NATS server up to date, and the tables of a ClickHouse.
    Provision(provision::Arguments),
    /// Write the users and permissions of all roles for a NATS server of your own.
    NatsConfig(nats_users::Arguments),
    /// Run the role that serves the command and query API.
    Api(role::ApiArguments),
    /// Run the role that decides commands.
    Decider(role::DeciderArguments),
    /// Run the role that folds events into views and carries logs into ClickHouse.
    Projector(role::ProjectorArguments),
    /// Run the role that makes what runs equal to what should run.
    Worker(role::WorkerArguments),
    /// Run the role that MCP clients meet.
    Gateway(role::GatewayArguments),
    /// Serve the embedded ClickHouse engine on loopback.
    ClickhouseEmbedded(clickhouse_embedded::Arguments),

    /// Become another program that ends with this process's parent.
    #[command(hide = true)]
    Bound(bound::Arguments),
}

/// Carries the command out.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let (data, output) = (cli.data, Output { form: cli.json.unwrap_or_default() });
    // Everything here that speaks TLS takes this one provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let rest = || Rest::find(data.as_deref());
    let result = match cli.command {
        Command::Up(arguments) => up::run(*arguments, data, output),
        Command::Instance(command) => wait(async { instance::run(command, &rest()?, output).await }),
        Command::Token(command) => wait(async { token::run(command, &rest()?, output).await }),
        Command::Template(command) => wait(async { template::run(command, &rest()?, output).await }),
        Command::Retention(command) => wait(async { retention::run(command, &rest()?, output).await }),
        Command::Command(command) => wait(async { command::run(command, &rest()?, output).await }),
        Command::Config(arguments) => wait(async { config::run(arguments, &rest()?, output).await }),
        Command::Tools(arguments) => wait(async { calls::tools(arguments, &rest()?, output).await }),
        Command::Call(arguments) => wait(async { calls::call(arguments, &rest()?, output).await }),
        Command::AccessLog(command) => wait(async { access_log::run(command, &rest()?, output).await }),
        Command::Logs(arguments) => wait(async { logs::run(arguments, &rest()?, output).await }),
        Command::Stats(arguments) => wait(async { stats::run(arguments, &rest()?, output).await }),
        Command::Events(command) => wait(async { events::run(command, &rest()?, output).await }),
        Command::Status(arguments) => wait(async { status::run(arguments, &rest()?, output).await }),
        Command::Views(command) => wait(async { views::run(command, &rest()?, output).await }),
        Command::Provision(arguments) => wait(provision::run(arguments, output)),
        Command::NatsConfig(arguments) => nats_users::run(&arguments, output),
        Command::Api(arguments) => role::api(arguments),
        Command::Decider(arguments) => role::decider(arguments),
        Command::Projector(arguments) => role::projector(arguments),
        Command::Worker(arguments) => role::worker(arguments, data),
        Command::Gateway(arguments) => role::gateway(arguments, data),
        Command::ClickhouseEmbedded(arguments) => clickhouse_embedded::run(arguments, data),
        Command::Bound(arguments) => Err(bound::run(&arguments)),
    };
    command::told(result, output)
}

/// Runs one client command to its end.
fn wait(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_is_asked_for_with_or_without_a_form() {
        let form = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.json);
        assert_eq!(form("mcpcan instance list").ok(), Some(None));
        assert_eq!(form("mcpcan --json instance list").ok(), Some(Some(Form::Document)));
        assert_eq!(form("mcpcan instance list --json=lines").ok(), Some(Some(Form::Lines)));
        assert!(form("mcpcan instance list --json=xml").is_err());
    }
}
