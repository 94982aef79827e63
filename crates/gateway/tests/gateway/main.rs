//! The gateway between real clients, real upstreams and a real nats-server.
//!
//! `harness` starts a gateway on a provisioned NATS server and writes the events that it follows; `upstream` serves
//! as the MCP server behind it; `client` asks. Needs the nats-server that `make tools` fetches, or the one that
//! `MCPCAN_NATS_SERVER` names.

mod capture;
mod client;
mod harness;
mod upstream;

mod access;
mod http_sse;
mod hygiene;
mod keep_alive;
mod kinds;
mod oauth;
mod protection;
mod readiness;
mod refusals;
mod replicas;
mod sessions;
mod shutdown;
mod spool;
mod streaming;
mod strict;
mod tokens;
mod traces;
