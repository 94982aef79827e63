//! The api as its clients meet it: over HTTP, on a real nats-server, with the real decider and projector.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod access;
mod client_config;
mod commands;
mod contract;
mod credentials;
mod events;
mod export;
mod follow;
mod fuzz;
mod hostile;
mod instances;
mod platform;
mod retention;
mod secrets;
mod settings;
mod state;
mod statistics;
mod status;
mod templates;
mod timeline;
mod tokens;
mod transfer;
mod undo;
mod views;
