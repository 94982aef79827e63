//! `events`: the tools over the log. One file per command.

mod selection;
mod show;
mod state;
mod stream;
mod tail;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;

pub(crate) use stream::{Event, EventStream};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print domain events as they come, until Ctrl-C or the end that was asked for.
    Tail(tail::Arguments),
    /// Show one event: what it says, what led to it, and what it led to.
    Show(show::Arguments),
    /// Show what something was like at an earlier moment.
    State(state::Arguments),
    /// Show what has changed between two moments.
    Diff(state::DiffArguments),
    /// Compare the whole log with its hash chain, and name what was changed, removed or put in.
    Verify,
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Tail(arguments) => tail::run(arguments, rest, output).await,
        Command::Show(arguments) => show::run(arguments, rest, output).await,
        Command::State(arguments) => state::run(arguments, rest, output).await,
        Command::Diff(arguments) => state::diff(arguments, rest, output).await,
        Command::Verify => verify::run(rest, output).await,
    }
}
