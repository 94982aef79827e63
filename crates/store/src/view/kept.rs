//! What a follower holds of each row: all of it, or just enough to see that it has changed.

use std::sync::Arc;

use serde::Serialize;

use crate::codec;

/// What is held of a row: equal if, and only if, the rows are.
pub trait Kept<R>: Clone + PartialEq + Send + Sync + 'static {
    fn of(row: &Arc<R>) -> Self;
}

impl<R: PartialEq + Send + Sync + 'static> Kept<R> for Arc<R> {
    fn of(row: &Arc<R>) -> Self {
        row.clone()
    }
}

/// Tells a row from another by a hash of its bytes: a fraction of what a row takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark([u8; 16]);

impl<R: Serialize> Kept<R> for Mark {
    fn of(row: &Arc<R>) -> Self {
        let hash = blake3::hash(&codec::encode(row.as_ref()));
        Mark(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}
