//! Becomes another program that cannot outlive the process which started this one. `up` starts foreign servers so: they
//! know no lifeline, and would go on by themselves after a `kill -9`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process;

use anyhow::Context;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The process that must live: the one that starts this.
    #[arg(long)]
    parent: i32,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// A command that runs `program` bound to this process; its arguments are to be added. The thread that starts it must
/// live as long as this process: the end of that thread is what is noticed.
pub(crate) fn command(program: &Path) -> anyhow::Result<tokio::process::Command> {
    let mut command =
        tokio::process::Command::new(std::env::current_exe().context("find the mcpcan program")?);
    command.arg("bound").arg("--parent").arg(process::id().to_string()).arg("--").arg(program);
    Ok(command)
}

/// Replaces this process; returns only if that fails.
pub(crate) fn run(arguments: &Arguments) -> Failure {
    match become_bound(arguments) {
        Ok(never) => match never {},
        Err(error) => Failure::Failed(error),
    }
}

fn become_bound(arguments: &Arguments) -> anyhow::Result<std::convert::Infallible> {
    // Kept across `exec` (prctl(2), PR_SET_PDEATHSIG). It is sent when the thread that started us ends.
    set_parent_process_death_signal(Some(Signal::KILL)).context("bind this process to its parent")?;
    // The parent may have ended before the line above: then nobody would ever send the signal.
    if getppid() != Pid::from_raw(arguments.parent) {
        anyhow::bail!("the process {} that started this one is gone", arguments.parent);
    }
    let (program, rest) = arguments.command.split_first().context("no program is named")?;
    Err(process::Command::new(program).args(rest).exec())
        .with_context(|| format!("start {}", program.display()))
}
