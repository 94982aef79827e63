//! How many files may be open: the bridge takes all it can get, its children what they are meant to have.
//!
//! Every session has three pipes, a pidfd and connections, so the usual soft limit of 1024 would end before
//! `--sessions-max` does. Children do not inherit the raised limit: some programs still fail with descriptors above
//! 1023 (select(2)).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process to the highest it may set. Returns the limit of children: `wanted`, or what this
/// process had.
///
/// # Errors
/// More is wanted than this process may give.
pub(crate) fn raise(wanted: Option<u64>) -> anyhow::Result<Rlimit> {
    let given = getrlimit(Resource::Nofile);
    if let (Some(wanted), Some(most)) = (wanted, given.maximum)
        && wanted > most
    {
        anyhow::bail!("--open-files {wanted} is above the limit of this process, {most}");
    }
    let raised = Rlimit { current: given.maximum, maximum: given.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    Ok(match wanted {
        Some(wanted) => Rlimit { current: Some(wanted), maximum: Some(wanted) },
        None => given,
    })
}
