//! A stream of log rows, read part by part.

use ::access_log::placed;
use store::{DataMessage, Store, Unavailable};
use tokio::time::sleep;

use super::{RETRY_DELAY, Row};

/// A part of the stream.
pub(super) enum Piece<R> {
    Rows {
        rows: Vec<R>,
        /// The sequence after these.
        then: u64,
        more: bool,
    },
    /// The stream ends here.
    Nothing,
    /// What comes next was dropped.
    Dropped,
}

/// What the stream holds from a sequence on.
pub(super) async fn piece<R: Row>(store: &Store, from: u64) -> Result<Piece<R>, Unavailable> {
    let page = store.data_page(R::STREAM, from).await?;
    let begins_late = page.messages.first().is_none_or(|message| message.sequence > from);
    if begins_late {
        let extent = store.data_extent(R::STREAM).await?;
        if extent.first_sequence > from && extent.last_sequence >= from {
            return Ok(Piece::Dropped);
        }
        if page.messages.is_empty() && extent.last_sequence >= from {
            // It has just come, or the server that was asked for the page is behind the others.
            sleep(RETRY_DELAY).await;
            return Ok(Piece::Rows { rows: Vec::new(), then: from, more: true });
        }
    }
    let (mut rows, mut then) = (Vec::new(), None);
    for message in &page.messages {
        // A hole within a page is looked at as the beginning of the next one.
        if then.is_some_and(|then| message.sequence != then) {
            break;
        }
        rows.extend(read(message));
        then = Some(message.sequence + 1);
    }
    let complete = then == page.messages.last().map(|last| last.sequence + 1);
    Ok(match then {
        Some(then) => Piece::Rows { rows, then, more: page.more || !complete },
        None => Piece::Nothing,
    })
}

/// The rows of a message. One that cannot be read goes to the dead letters by way of the sink.
pub(super) fn read<R: Row>(message: &DataMessage) -> Vec<R> {
    match store::decode(&message.rows) {
        Ok(rows) => placed(message.sequence, rows),
        Err(error) => {
            let (stream, sequence) = (R::STREAM.name(), message.sequence);
            tracing::warn!(%error, stream, sequence, "a message that cannot be read is not shown");
            Vec::new()
        }
    }
}
