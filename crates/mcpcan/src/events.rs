//! `events`: the tools over the log. One file per command.

mod selection;
mod show;
mod stream;
mod tail;

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
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Tail(arguments) => tail::run(arguments, rest, output).await,
        Command::Show(arguments) => show::run(arguments, rest, output).await,
    }
}
