//! The store against a real nats-server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "store/chain.rs"]
mod chain;
#[path = "store/command_bus.rs"]
mod command_bus;
#[path = "store/generations.rs"]
mod generations;
#[path = "store/given.rs"]
mod given;
#[path = "store/history.rs"]
mod history;
#[path = "store/import.rs"]
mod import;
#[path = "store/journal.rs"]
mod journal;
#[path = "store/lease.rs"]
mod lease;
#[path = "store/provision.rs"]
mod provision;
#[path = "store/rebuild.rs"]
mod rebuild;
#[path = "store/rights.rs"]
mod rights;
#[path = "store/schemas.rs"]
mod schemas;
#[path = "store/sink.rs"]
mod sink;
#[path = "store/snapshot.rs"]
mod snapshot;
#[path = "store/snapshot_forms.rs"]
mod snapshot_forms;
#[path = "store/vault.rs"]
mod vault;
#[path = "store/view.rs"]
mod view;
