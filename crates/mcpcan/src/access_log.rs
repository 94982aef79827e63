//! `access-log`: what went through the gateway. One file per command.

mod filter;
mod search;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find requests and responses, newest first.
    Search(search::Arguments),
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Search(arguments) => search::run(arguments, rest, output).await,
    }
}
