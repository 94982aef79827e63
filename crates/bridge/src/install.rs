//! Puts the bridge where the image of a server can run it: a volume that both containers of a pod share.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// The name under which it is found there.
const NAME: &str = "mcpcan-bridge";
/// Everybody may run it: the server's image may have another user.
const MODE: u32 = 0o755;

/// Copies this program into a directory.
///
/// # Errors
/// The program cannot be read, or the directory cannot be written.
pub(crate) fn install(directory: &Path) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    // Under another name first: what is found under its own is whole, even if this ended half-way and is done again.
    let (part, whole) = (directory.join(format!(".{NAME}.part")), directory.join(NAME));
    let written = std::fs::copy(&own, &part)
        .and_then(|_| std::fs::set_permissions(&part, std::fs::Permissions::from_mode(MODE)))
        .and_then(|()| std::fs::rename(&part, &whole));
    written.with_context(|| format!("copy the bridge to {}", whole.display()))
}
