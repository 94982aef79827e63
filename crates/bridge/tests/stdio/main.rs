//! The bridge as a process, in front of real and of hostile servers.
//!
//! `protocol` holds what Streamable HTTP asks for, `children` what servers do wrong, `everything` the reference server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod children;
mod everything;
mod harness;
mod protocol;
