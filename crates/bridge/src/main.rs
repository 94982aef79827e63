//! The binary next to a hosted server: MCP over Streamable HTTP and HTTP+SSE outside, stdio inside; or, in its second
//! mode ([`openapi`]), an API inside that is described by an OpenAPI document.
//!
//! At its start it finds out which eras of the protocol the server speaks ([`probe`]). A client of the era with sessions
//! gets a child process of its own, because only then are sampling, elicitation and roots right; what has no session goes
//! to one child that all clients share ([`link`]). [`placement`] says which child serves whom. Between a client and a
//! server that have no era in common, the bridge translates ([`translate`]). What passes changes in nothing but the ids that a shared child knows.
//! The bridge talks to the worker that started it by JSON lines on stdout ([`report`]) and ends when its lifeline does. It
//! knows nothing of instances, tokens or NATS.
//!
//! The way of a message: [`http`] takes it, [`session`] or [`link`] remembers who waits for what, [`wire`] moves it through
//! the pipes of a [`child`]. Everything runs on one thread, so state is in `Rc` and `RefCell` and no borrow is held across
//! an await.

mod broken;
mod changes;
mod child;
mod config;
mod credential;
mod http;
mod install;
mod link;
mod links;
mod meter;
mod open_files;
mod openapi;
mod passed;
mod placement;
mod pool;
mod probe;
mod random;
mod report;
mod serve;
mod session;
mod sessions;
mod stop;
mod stream;
mod translate;
mod wire;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

/// How shells say that there is no such program.
const PROGRAM_NOT_FOUND: u8 = 127;

fn main() -> anyhow::Result<ExitCode> {
    let config::Arguments { command } = config::Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(config::log_filter()?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!(error))?;
    if let config::Command::Stdio(config) = &command
        && config.require_program
        && !config.has_program()
    {
        tracing::error!(program = ?config.program[0], "there is no such program in the PATH of the server");
        return Ok(ExitCode::from(PROGRAM_NOT_FOUND));
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let served = tokio::task::LocalSet::new().block_on(&runtime, async {
        match command {
            config::Command::Stdio(config) => serve::run(config).await,
            config::Command::Openapi(config) if config.stdio => openapi::run(config).await,
            config::Command::Openapi(config) => serve::run(config.as_stdio()?).await,
            config::Command::Install { directory } => install::install(&directory),
        }
    });
    // A write to stdout that nobody reads any more must not keep the process.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}
