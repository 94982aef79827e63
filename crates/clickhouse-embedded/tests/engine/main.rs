//! The real engine, in a process of its own, over its real HTTP interface: with the official client library, with
//! `access-log`, and killed in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod access_log_client;
mod analysts;
mod durability;
mod harness;
mod health;
mod interface;
mod official_client;
mod places;
