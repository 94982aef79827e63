//! MessagePack with named fields: how commands, events, rows and log rows lie on the wire.
//!
//! Ids and times are text, so that a message can be read by anything that reads MessagePack.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a value of ours.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).expect("our types serialise, and a vector takes every byte");
    bytes
}

/// Decodes a value of ours. Unknown fields are ignored, so that an older program reads what a newer one added.
///
/// # Errors
/// The bytes are no such value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    T::deserialize(&mut deserializer)
}
