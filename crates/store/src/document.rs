//! Documents that are too large for an event: each lies in pieces under the digest of its content, so that the same
//! document is kept once, and whoever reads it knows that it is the one that was meant.

use bytes::Bytes;

use crate::connection::Store;
use crate::error::{During, Unavailable};

/// Bytes of a piece: half of what the bucket takes as one message.
const PIECE_BYTES: usize = 512 * 1024;
/// The largest document in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Whether a text can name a document: a BLAKE3 digest in hexadecimal digits.
pub fn is_document_id(text: &str) -> bool {
    text.len() == blake3::OUT_LEN * 2 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Store {
    /// Keeps a document. Answers with the digest that names it, once all of it is on disk.
    ///
    /// # Errors
    /// NATS does not take it: it is away, or the bucket is full.
    ///
    /// # Panics
    /// It has more than [`DOCUMENT_BYTES_MAX`] bytes.
    pub async fn keep_document(&self, document: Vec<u8>) -> Result<String, Unavailable> {
        assert!(document.len() <= DOCUMENT_BYTES_MAX, "whoever takes documents bounds them");
        let id = blake3::hash(&document).to_hex().to_string();
        let bucket = self.documents_bucket().await?;
        if bucket.get(id.as_str()).await.during("look for a document")?.is_some() {
            return Ok(id);
        }
        let document = Bytes::from(document);
        let pieces = document.len().div_ceil(PIECE_BYTES);
        for piece in 0..pieces {
            let end = document.len().min((piece + 1) * PIECE_BYTES);
            let bytes = document.slice(piece * PIECE_BYTES..end);
            bucket.put(format!("{id}.{piece}"), bytes).await.during("keep a piece of a document")?;
        }
        // Last, so that what is named is whole.
        bucket.put(id.as_str(), pieces.to_string().into()).await.during("keep a document")?;
        Ok(id)
    }

    /// The document with this digest; none if there is none.
    ///
    /// # Errors
    /// NATS cannot be asked, or what lies there is not what it is named.
    pub async fn document(&self, id: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        const OPERATION: &str = "read a document";
        if !is_document_id(id) {
            return Ok(None);
        }
        let bucket = self.documents_bucket().await?;
        let Some(pieces) = bucket.get(id).await.during(OPERATION)? else { return Ok(None) };
        let pieces: usize = std::str::from_utf8(&pieces).during(OPERATION)?.parse().during(OPERATION)?;
        let mut document = vec![];
        for piece in 0..pieces {
            let bytes = bucket.get(format!("{id}.{piece}")).await.during(OPERATION)?;
            document.extend_from_slice(&bytes.ok_or("a piece is missing").during(OPERATION)?);
        }
        if blake3::hash(&document).to_hex().as_str() != id {
            return Err(Unavailable::new(OPERATION, "its content is not what its name says"));
        }
        Ok(Some(document))
    }
}
