//! Finds and kills what a replica left behind.
//!
//! A process group does not hold a process that called `setsid`, and a parent's death does not end its children.
//! What every descendant keeps is its environment: each process of a replica carries the replica's id and a digest of
//! the data directory of the worker that started it. Both have to match, so that two platforms on one machine never
//! touch each other. A process that wipes its own environment escapes; it has to want to.
//!
//! Reads all of `/proc` and blocks until what it killed is gone: call it off the async threads.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::ReplicaId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Names the replica that a process belongs to.
pub(crate) const REPLICA_VARIABLE: &str = "MCPCAN_REPLICA";
/// Tells whose process it is: see [`Owner`].
pub(crate) const OWNER_VARIABLE: &str = "MCPCAN_REPLICA_OWNER";

/// How long one sweep goes on finding and killing before it gives up on what is left.
const SWEEP_MAX: Duration = Duration::from_secs(5);

/// The data directory of the worker that started a process, as a digest: owners have to be told apart, and no server
/// has to be told where the platform keeps its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner(String);

impl Owner {
    /// The owner of a data directory, which is given as an absolute path without links.
    pub(crate) fn of(data: &Path) -> Owner {
        Owner(blake3::hash(data.as_os_str().as_bytes()).to_hex().to_string())
    }
}

/// Whose leftovers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those of every replica of the data directory.
    Everyone,
    Replica(ReplicaId),
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) killed: usize,
    /// Processes that would not go away: stuck in the kernel, or breeding faster than they are killed.
    pub(crate) left: Vec<i32>,
}

/// Kills every process that carries the cookie, again and again until none is found.
///
/// # Errors
/// `/proc` cannot be listed.
pub(crate) fn sweep(owner: &Owner, whose: Whose) -> std::io::Result<Swept> {
    let deadline = Instant::now() + SWEEP_MAX;
    let mut swept = Swept::default();
    loop {
        let found = marked(owner, whose)?;
        if found.is_empty() {
            return Ok(swept);
        }
        if Instant::now() >= deadline {
            swept.left = found.iter().map(|(pid, _)| pid.as_raw_nonzero().get()).collect();
            return Ok(swept);
        }
        for (_, process) in &found {
            // It may be gone by now, which is as good.
            if pidfd_send_signal(process, Signal::KILL).is_ok() {
                swept.killed += 1;
            }
        }
        for (_, process) in &found {
            await_end(process, deadline);
        }
    }
}

/// The processes that carry the cookie, each held by a descriptor that its number's next owner cannot inherit.
fn marked(owner: &Owner, whose: Whose) -> std::io::Result<Vec<(Pid, OwnedFd)>> {
    let own = std::process::id();
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc")? {
        // A process can end between any two of these steps; then it is none of our business any more.
        let Some(number) = entry.ok().and_then(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        else {
            continue;
        };
        let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw).filter(|_| number != own) else {
            continue;
        };
        if !carries_cookie(number, owner, whose) {
            continue;
        }
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Only now is it certain that the descriptor holds a process with the cookie, not a later owner of its id.
        if carries_cookie(number, owner, whose) {
            found.push((pid, process));
        }
    }
    Ok(found)
}

fn carries_cookie(process: u32, owner: &Owner, whose: Whose) -> bool {
    // A process of another user cannot be read; it cannot be one of ours either.
    std::fs::read(format!("/proc/{process}/environ")).is_ok_and(|environ| is_marked(&environ, owner, whose))
}

/// Whether an environment, as the kernel shows it (`NAME=value`, each ended by a zero byte), carries the cookie.
fn is_marked(environ: &[u8], owner: &Owner, whose: Whose) -> bool {
    let value = |name: &str| {
        environ
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    value(OWNER_VARIABLE) == Some(owner.0.as_bytes())
        && match (value(REPLICA_VARIABLE), whose) {
            (None, _) => false,
            (Some(_), Whose::Everyone) => true,
            (Some(replica), Whose::Replica(wanted)) => replica == wanted.to_string().as_bytes(),
        }
}

fn await_end(process: &OwnedFd, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).expect("a few seconds fit");
    // An interrupted or failed wait only means that the next round looks again.
    let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout));
}

/// The cookie as environment variables.
pub(crate) fn variables(owner: &Owner, replica: ReplicaId) -> [(OsString, OsString); 2] {
    [(REPLICA_VARIABLE.into(), replica.to_string().into()), (OWNER_VARIABLE.into(), owner.0.as_str().into())]
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command, Stdio};

    use uuid::Uuid;

    use super::*;

    const FIRST: ReplicaId = ReplicaId(Uuid::from_u128(1));
    const SECOND: ReplicaId = ReplicaId(Uuid::from_u128(2));

    /// A process that would live for long, in a session of its own, deaf to SIGTERM.
    struct Sleeper(Child);

    impl Sleeper {
        fn start(owner: &Owner, replica: ReplicaId) -> Sleeper {
            let script = "trap '' TERM HUP; echo up; while :; do sleep 1000; done";
            let mut child = Command::new("setsid")
                .args(["sh", "-c", script])
                .envs(variables(owner, replica))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut up = [0; 3];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
            Sleeper(child)
        }

        fn is_alive(&mut self) -> bool {
            self.0.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_sweep_kills_what_carries_the_cookie_and_nothing_else() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (Owner::of(ours.path()), Owner::of(theirs.path()));
        let mut first = Sleeper::start(&ours, FIRST);
        let mut second = Sleeper::start(&ours, SECOND);
        let mut other = Sleeper::start(&theirs, FIRST);

        let swept = sweep(&ours, Whose::Replica(FIRST)).unwrap();
        assert!(swept.killed >= 1 && swept.left.is_empty(), "{swept:?}");
        assert_eq!(first.0.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
        assert!(second.is_alive() && other.is_alive());

        let swept = sweep(&ours, Whose::Everyone).unwrap();
        assert!(swept.killed >= 1 && swept.left.is_empty(), "{swept:?}");
        assert!(!second.is_alive() && other.is_alive());
        assert_eq!(sweep(&ours, Whose::Everyone).unwrap(), Swept::default());

        sweep(&theirs, Whose::Everyone).unwrap();
    }

    #[test]
    fn both_variables_have_to_match_whole() {
        let is_marked = |environ: &str| {
            let owner = Owner("data".to_owned());
            is_marked(environ.replace(' ', "\0").as_bytes(), &owner, Whose::Everyone)
        };
        assert!(is_marked("PATH=/bin MCPCAN_REPLICA=1 MCPCAN_REPLICA_OWNER=data "));
        assert!(!is_marked("MCPCAN_REPLICA=1 MCPCAN_REPLICA_OWNER=data2 "));
        assert!(!is_marked("MCPCAN_REPLICA_OWNER=data "));
        assert!(!is_marked("MCPCAN_REPLICA=1 "));
        assert!(!is_marked("A=MCPCAN_REPLICA=1 B=MCPCAN_REPLICA_OWNER=data "));
        assert!(!is_marked(""));
    }

    #[test]
    fn the_cookie_tells_owners_apart_and_not_where_they_keep_their_data() {
        let variables = variables(&Owner::of(Path::new("/srv/platform")), FIRST);
        assert!(variables.iter().all(|(_, value)| !value.to_str().unwrap().contains("platform")));
        assert_ne!(Owner::of(Path::new("/srv/platform")), Owner::of(Path::new("/srv/other")));
    }
}
