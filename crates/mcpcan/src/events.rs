//! `events`: the tools over the log. One file per command.

mod export;
mod import;
mod replay;
mod selection;
mod show;
mod state;
mod stream;
mod tail;
mod undo;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;

pub(crate) use export::{Steps, in_mebibytes};
pub(crate) use stream::{Event, EventStream, Frame};

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
    /// Take a change back: by a new command, where nobody has changed the same again.
    Undo(undo::Arguments),
    /// Feed events of the past once more to stdout, a webhook or a NATS subject.
    Replay(replay::Arguments),
    /// Write the log into a file that can be imported.
    Export(export::Arguments),
    /// Bring the events of a file into the log: into an empty system, or one whose log begins with the same events.
    ///
    /// The file is checked to its end before anything is changed. A repeated import changes nothing; one that was
    /// broken off goes on. Instances that run in the file are started here as soon as their events are there; look
    /// with --dry-run first. Secrets open only under the master key of the system that the file comes from.
    Import(import::Arguments),
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::Tail(arguments) => tail::run(arguments, rest, output).await,
        Command::Show(arguments) => show::run(arguments, rest, output).await,
        Command::State(arguments) => state::run(arguments, rest, output).await,
        Command::Diff(arguments) => state::diff(arguments, rest, output).await,
        Command::Verify => verify::run(rest, output).await,
        Command::Undo(arguments) => undo::run(arguments, rest, output).await,
        Command::Replay(arguments) => replay::run(arguments, rest, output).await,
        Command::Export(arguments) => export::run(arguments, rest, output).await,
        Command::Import(arguments) => import::run(arguments, rest, output).await,
    }
}
