//! The bridge as a process, in front of real and of hostile servers.
//!
//! `protocol` holds what Streamable HTTP asks for, `children` what servers do wrong, `bounds` how much of anything there
//! may be, `everything` the reference server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod bounds;
mod children;
mod everything;
mod harness;
mod protocol;
