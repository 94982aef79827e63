//! MCP on the wire: JSON-RPC frames, the Server-Sent Events codec, protocol revisions and eras, session ids.
//!
//! Everything here is a function of bytes: no sockets, no clock, no randomness, no log. What is read is read
//! without being rewritten: numbers, key order and unknown fields stay the bytes they were. The one exception is
//! [`client`], a small HTTP client behind the cargo feature of that name.
//!
//! [`origin`] guards what listens, [`address`] what is connected to. The gateway scans bodies with [`scan`] and streams with [`sse`]; the bridge frames messages with [`message`];
//! worker and command line call servers through [`client`].

pub mod address;
#[cfg(feature = "client")]
pub mod client;
pub mod message;
pub mod origin;
pub mod protocol;
pub mod scan;
pub mod session;
pub mod splice;
pub mod sse;
