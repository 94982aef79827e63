//! Notices that the parent process is gone: it holds the other end of our standard input and never writes to it.

use tokio_util::sync::CancellationToken;

/// Ends `shutdown` when standard input does.
///
/// A thread of its own reads it, since a blocked read cannot be given up and would hold the runtime at its end.
pub(crate) fn watch(shutdown: CancellationToken) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(move || {
            // Whatever the parent writes means nothing; an error is an end like any other.
            let _end = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            shutdown.cancel();
        })
        .map(drop)
}
