//! A child's process group, from its start until it has been waited for.
//!
//! The exit is seen through a pidfd, before the child is reaped: until then its id, and with it the group's, cannot
//! belong to anyone else, so signals to the group cannot hit a stranger.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
    test_kill_process_group,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout};

/// Time a child has to exit after its stdin was closed.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Time a child has to exit after SIGTERM, before it gets SIGKILL.
pub(crate) const TERM_GRACE: Duration = Duration::from_secs(2);

/// Longest wait for what a child had started, after SIGKILL. Where nothing reaps orphans, they stay in the group.
const GROUP_GRACE: Duration = Duration::from_secs(1);
/// Time between two looks at the group.
const GROUP_INTERVAL: Duration = Duration::from_millis(2);

pub(crate) struct Process {
    child: process::Child,
    group: Pid,
    pidfd: AsyncFd<OwnedFd>,
    reaped: bool,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

impl Process {
    /// Takes over a child that leads its group, and limits its open files.
    pub(crate) fn watch(child: process::Child, open_files: Rlimit) -> io::Result<Self> {
        let mut unwatched = Unwatched(Some(child));
        let id = unwatched.0.as_ref().map_or(0, process::Child::id);
        let group = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        match prlimit(Some(group), Resource::Nofile, open_files) {
            // It has exited already: nothing to limit.
            Ok(_) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        let pidfd = pidfd_open(group, PidfdFlags::empty())?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types whose descriptor may change; an OwnedFd's does not"
        )]
        let pidfd = AsyncFd::new(pidfd)?;
        let child = unwatched.0.take().expect("only this line takes it");
        Ok(Self { child, group, pidfd, reaped: false })
    }

    /// Waits for the exit. The child stays a zombie, and its id its own, until [`reap`](Self::reap).
    pub(crate) async fn exited(&self) {
        if let Err(error) = self.pidfd.readable().await {
            tracing::error!(%error, pid = self.child.id(), "cannot wait for a child: it is killed");
            self.signal_group(Signal::KILL);
        }
    }

    /// Ends the child, whose stdin the caller closes: waits, then SIGTERM, then SIGKILL.
    pub(crate) async fn end(&self) {
        for (grace, signal) in [(CLOSE_GRACE, Signal::TERM), (TERM_GRACE, Signal::KILL)] {
            if timeout(grace, self.exited()).await.is_ok() {
                return;
            }
            self.signal_group(signal);
        }
        self.exited().await;
    }

    /// After the exit: ends what the child had started.
    pub(crate) fn end_group(&self) {
        self.signal_group(Signal::KILL);
    }

    /// After the exit: takes the child's status. Its id may be given to others from then on.
    pub(crate) fn reap(&mut self) -> io::Result<Exit> {
        self.reaped = true;
        let status = self.child.wait()?;
        Ok(Exit { code: status.code(), signal: status.signal() })
    }

    /// After all that: waits until nothing is left of the group, which is not at once although it was killed.
    pub(crate) async fn group_gone(self) {
        // The kernel tells nobody when a group has become empty. As long as it is not, its id is not given to others.
        let until = Instant::now() + GROUP_GRACE;
        while test_kill_process_group(self.group).is_ok() && Instant::now() < until {
            sleep(GROUP_INTERVAL).await;
        }
    }

    fn signal_group(&self, signal: Signal) {
        match kill_process_group(self.group, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!(%error, ?signal, group = self.child.id(), "cannot signal a process group");
            }
        }
    }
}

impl Drop for Process {
    /// A child whose supervision was cut short is not left running.
    fn drop(&mut self) {
        if !self.reaped {
            self.signal_group(Signal::KILL);
            // Killed, it exits at once; without the wait it would stay a zombie.
            drop(self.child.wait());
        }
    }
}

/// A child that is killed unless it comes to be watched.
struct Unwatched(Option<process::Child>);

impl Drop for Unwatched {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(formatter, "exited with code {code}"),
            (None, Some(signal)) => write!(formatter, "was ended by signal {signal}"),
            (None, None) => formatter.write_str("ended"),
        }
    }
}
