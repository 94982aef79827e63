//! The end of a process: SIGINT or SIGTERM asks for it once; a second signal does not wait.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice to end: 128 + SIGINT, as shells report it.
const EXIT_CODE_FORCED: i32 = 130;

/// A token that is cancelled by the first SIGINT or SIGTERM. A second one ends the process at once.
///
/// # Errors
/// The signal handlers could not be installed.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        cancelled.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(EXIT_CODE_FORCED);
    });
    Ok(token)
}
