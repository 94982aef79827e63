//! One child process: its pipes, and how it is ended.
//!
//! A child leads a process group of its own, so that what it starts ends with it. Sessions own children; nobody else
//! starts one.

mod lines;
mod process;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::Rlimit;
use tokio::net::unix::pipe;

use crate::{config, credential};
pub(crate) use lines::{LineReader, SHARED_BYTES_MAX};
pub(crate) use process::{Exit, Process};

/// A child that runs.
pub(crate) struct Child {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) process: Process,
}

/// A child that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the server's program {program:?}")]
pub(crate) struct SpawnError {
    /// Only the program: arguments may hold what is not for others to read.
    program: OsString,
    source: io::Error,
}

impl Child {
    /// Starts the program with the bridge's own environment, but for its credential.
    pub(crate) fn spawn(config: &config::Stdio, open_files: Rlimit) -> Result<Self, SpawnError> {
        let (program, arguments) = config.program.split_first().expect("the command line requires a program");
        Self::start(config, open_files, program, arguments)
            .map_err(|source| SpawnError { program: program.clone(), source })
    }

    fn start(
        config: &config::Stdio,
        open_files: Rlimit,
        program: &OsString,
        arguments: &[OsString],
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env_remove(credential::VARIABLE).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(directory) = &config.workdir {
            command.current_dir(directory);
        }
        let mut child = command.spawn()?;
        let stdin = OwnedFd::from(child.stdin.take().expect("stdin is piped"));
        let stdout = OwnedFd::from(child.stdout.take().expect("stdout is piped"));
        let stderr = OwnedFd::from(child.stderr.take().expect("stderr is piped"));
        let process = Process::watch(child, open_files)?;
        Ok(Self {
            stdin: pipe::Sender::from_owned_fd(stdin)?,
            stdout: pipe::Receiver::from_owned_fd(stdout)?,
            stderr: pipe::Receiver::from_owned_fd(stderr)?,
            process,
        })
    }
}
