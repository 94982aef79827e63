//! The worker against real parts: what is wanted comes to run, what happens is told, and nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod harness;
mod kubernetes;
mod lifecycle;
mod probes;
mod scale;
mod secrets;
mod start;
