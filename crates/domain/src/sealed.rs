//! Secrets as the log may hold them: sealed, or as a keyed digest. Neither can be read here; `store` has the keys.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest secret that is accepted for sealing, in bytes.
pub const SECRET_BYTES_MAX: usize = 16 * 1024;

/// The most that the sealed secrets of one aggregate have together, in bytes: an event with all of them still fits into
/// one message of the log.
pub const SEALED_BYTES_MAX: usize = 384 * 1024;

/// A secret sealed under the key of the aggregate it belongs to, as text. Purging that key makes it unreadable for
/// ever, wherever a copy of the event lies.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// A keyed digest of a credential in hexadecimal: finds the token, does not reveal it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(pub String);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}
