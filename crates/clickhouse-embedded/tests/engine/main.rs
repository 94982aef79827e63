//! The real engine, in a process of its own, over its real HTTP interface: with the official client library, with
//! `access-log`, and killed in between.

mod access_log_client;
mod durability;
mod harness;
mod interface;
mod official_client;
