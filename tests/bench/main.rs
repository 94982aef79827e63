//! `make bench`: the figures that the design promises, each beside its peer in one run.
//!
//! A line per figure: name, value, unit, goal, and whether it is reached; the same as JSON lines in `target/bench.jsonl`.
//! `ONLY=commands` runs one area. Sides take turns in several rounds and medians are shown, because a machine is never
//! quiet.

mod bridge;
mod commands;
mod figure;
mod gateway;
mod http;
mod logging;
mod mcp_client;
mod memory;
mod nginx;
mod peer;
mod pipeline;
mod prototype;
mod replay;
mod revocation;
mod search;
mod servers;
mod state;
mod takeover;
mod upstream;

use std::env;

use figure::Figures;

/// The areas by name.
const AREAS: [&str; 11] = [
    "bridge",
    "commands",
    "gateway",
    "logging",
    "memory",
    "pipeline",
    "replay",
    "revocation",
    "search",
    "state",
    "takeover",
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(prototype::NAME) => prototype::run(&arguments[1..]),
        Some(upstream::NAME) => upstream::run(&arguments[1..]),
        // What `cargo bench` says.
        Some("--bench") | None => measure(),
        Some(unknown) => panic!("there is no {unknown}"),
    }
}

#[tokio::main]
async fn measure() {
    let only = env::var("ONLY").ok().filter(|only| !only.is_empty());
    if let Some(only) = only.as_deref().filter(|only| !AREAS.contains(only)) {
        panic!("there is no area {only}: ONLY is one of {}", AREAS.join(", "));
    }
    let wanted = |area: &str| only.as_deref().is_none_or(|only| only == area);
    let mut figures = Figures::open();
    if wanted("bridge") {
        bridge::run(&mut figures).await;
    }
    if wanted("commands") {
        commands::run(&mut figures).await;
    }
    if wanted("gateway") {
        gateway::run(&mut figures).await;
    }
    if wanted("logging") {
        logging::run(&mut figures).await;
    }
    if wanted("memory") {
        memory::run(&mut figures).await;
    }
    if wanted("pipeline") {
        pipeline::run(&mut figures).await;
    }
    if wanted("replay") {
        replay::run(&mut figures).await;
    }
    if wanted("revocation") {
        revocation::run(&mut figures).await;
    }
    if wanted("search") {
        search::run(&mut figures).await;
    }
    if wanted("state") {
        state::run(&mut figures).await;
    }
    if wanted("takeover") {
        takeover::run(&mut figures).await;
    }
}
