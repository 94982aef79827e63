//! `access-log`: what went through the gateway. One file per command.

mod count;
mod export;
mod filter;
mod row;
mod search;
mod tail;
mod trace;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find requests and responses, newest first.
    Search(search::Arguments),
    /// Show all that happened under one trace id, in its order.
    Trace(trace::Arguments),
    /// Count the rows of each level.
    Count(count::Arguments),
    /// Write rows into a file, oldest first.
    Export(export::Arguments),
    /// Print rows as they come, until Ctrl-C.
    Tail(tail::Arguments),
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Search(arguments) => search::run(arguments, rest, output).await,
        Command::Trace(arguments) => trace::run(arguments, rest, output).await,
        Command::Count(arguments) => count::run(arguments, rest, output).await,
        Command::Export(arguments) => export::run(arguments, rest, output).await,
        Command::Tail(arguments) => tail::run(arguments, rest, output).await,
    }
}
