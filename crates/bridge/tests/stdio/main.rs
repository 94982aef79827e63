//! The bridge as a process, in front of real and of hostile servers.
//!
//! `protocol` holds what Streamable HTTP asks for, `children` what servers do wrong, `bounds` how much of anything there
//! may be, `shared` what clients of one child have to do with each other, `stateless` what 2026-07-28 asks for, `translated`
//! clients and servers without an era in common, `listening` those of them who want to know what changes, `everything` the reference server, `http_sse` the transport before
//! Streamable HTTP, `openapi` the mode that serves an API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod bounds;
mod children;
mod everything;
mod harness;
mod http_sse;
mod listening;
mod openapi;
mod protocol;
mod shared;
mod stateless;
mod translated;
