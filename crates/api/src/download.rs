//! Files that are made while they are sent: for a client that takes them, and for so many at a time.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::app::App;
use crate::error::Error;
use crate::frames::PATIENCE;

/// How many files one replica makes at a time. Each holds a few runs of rows.
pub(crate) const DOWNLOADS_MAX: usize = 16;

/// In pieces of how many bytes a client is given a file: slow is who does not take one of them for long.
const PIECE_BYTES: usize = 64 * 1024;

/// How many pieces wait for a client that takes them slowly.
const PIECES_MAX: usize = 16;

/// Why a file breaks off.
type BrokenOff = Box<dyn std::error::Error + Send + Sync>;

/// The right to one file.
pub(crate) struct Download {
    permit: OwnedSemaphorePermit,
}

impl Download {
    /// # Errors
    /// There are too many files under way.
    pub(crate) fn new(app: &App) -> Result<Self, Error> {
        let permit = app.downloads.clone().try_acquire_owned().map_err(|_| Error::TooManyExports)?;
        Ok(Download { permit })
    }

    /// What `step` makes of the state, part by part, until it ends or the client goes. An error breaks the answer off, which
    /// no client takes for its end.
    pub(crate) fn body<S, F, E>(self, state: S, step: fn(S) -> F) -> Body
    where
        S: Send + 'static,
        F: Future<Output = Result<Option<(Bytes, S)>, E>> + Send + 'static,
        E: Into<BrokenOff> + Send + 'static,
    {
        let (pieces, taken) = mpsc::channel(PIECES_MAX);
        // The right is given back when the file is made, also while a client has not taken the rest of it.
        tokio::spawn(async move {
            pump(state, step, pieces).await;
            drop(self.permit);
        });
        Body::from_stream(stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken))))
    }
}

/// Hands out what `step` makes of the state; a client that does not take it is cut off.
async fn pump<S, F, E>(mut state: S, step: fn(S) -> F, pieces: mpsc::Sender<Result<Bytes, BrokenOff>>)
where
    F: Future<Output = Result<Option<(Bytes, S)>, E>>,
    E: Into<BrokenOff>,
{
    // Room for the last word is kept from the beginning: without it, a file that is cut off would look whole.
    let Ok(last_word) = pieces.clone().try_reserve_owned() else { return };
    loop {
        let made = tokio::select! {
            () = pieces.closed() => return,
            made = step(state) => made,
        };
        let mut part = match made {
            Ok(Some((part, next))) => {
                state = next;
                part
            }
            Ok(None) => return,
            Err(error) => {
                last_word.send(Err(error.into()));
                return;
            }
        };
        while !part.is_empty() {
            let piece = part.split_to(part.len().min(PIECE_BYTES));
            match pieces.send_timeout(Ok(piece), PATIENCE).await {
                Ok(()) => {}
                Err(SendTimeoutError::Closed(_)) => return,
                Err(SendTimeoutError::Timeout(_)) => {
                    tracing::warn!("export broken off: the client takes nothing of it");
                    last_word.send(Err(Error::ClientTooSlow.into()));
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use tokio::sync::Semaphore;

    use super::*;

    async fn count(number: u8) -> Result<Option<(Bytes, u8)>, Infallible> {
        Ok((number < 9).then(|| (vec![number; 4 * PIECE_BYTES].into(), number + 1)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off_and_gives_its_place_to_another() {
        let permits = Arc::new(Semaphore::new(1));
        let download = Download { permit: permits.clone().try_acquire_owned().unwrap() };
        let body = download.body(0, count);
        // The clock is stopped and goes on as soon as nothing else can.
        let _permit = permits.acquire().await.unwrap();
        assert!(body.collect().await.is_err(), "what is cut off does not look whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_whole_for_a_client_that_takes_it() {
        let download = Download { permit: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap() };
        let whole = download.body(0, count).collect().await.unwrap().to_bytes();
        let expected: Vec<_> = (0..9).flat_map(|number| vec![number; 4 * PIECE_BYTES]).collect();
        assert!(whole == expected);
    }
}
