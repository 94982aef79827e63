//! When to end: SIGTERM, SIGINT, or the end of the lifeline.

use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Starts to listen for the reasons to end. The answer is awaited for the first of them.
pub(crate) fn requested(lifeline: bool) -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let cut = if lifeline { Some(lifeline_cut()?) } else { None };
    Ok(async move {
        let cut = async {
            match cut {
                // A sender that is gone without a word is a lifeline that cannot be watched: cut, too.
                Some(cut) => drop(cut.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = cut => "the end of the lifeline",
        }
    })
}

/// Reads stdin on a thread of its own: a blocked read there keeps neither the runtime nor the process.
fn lifeline_cut() -> anyhow::Result<oneshot::Receiver<()>> {
    let (sender, cut) = oneshot::channel();
    std::thread::Builder::new()
        .name("lifeline".into())
        .spawn(move || {
            if let Err(error) = io::copy(&mut io::stdin().lock(), &mut io::sink()) {
                tracing::warn!(%error, "the lifeline cannot be read");
            }
            if sender.send(()).is_err() {
                tracing::debug!("the lifeline ended after the bridge began to");
            }
        })
        .context("start the thread that watches the lifeline")?;
    Ok(cut)
}
