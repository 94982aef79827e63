//! `make bench`: the figures that the design promises, each beside its peer in one run.
//!
//! A line per figure: name, value, unit, goal, and whether it is reached; the same as JSON lines in `target/bench.jsonl`.
//! `ONLY=commands` runs one area. Sides take turns in several rounds and medians are shown, because a machine is never
//! quiet.

mod commands;
mod figure;
mod http;
mod peer;
mod replay;
mod revocation;
mod state;
mod takeover;

use std::env;

use figure::Figures;

/// The areas by name.
const AREAS: [&str; 5] = ["commands", "replay", "revocation", "state", "takeover"];

#[tokio::main]
async fn main() {
    let only = env::var("ONLY").ok().filter(|only| !only.is_empty());
    if let Some(only) = only.as_deref().filter(|only| !AREAS.contains(only)) {
        panic!("there is no area {only}: ONLY is one of {}", AREAS.join(", "));
    }
    let wanted = |area: &str| only.as_deref().is_none_or(|only| only == area);
    let mut figures = Figures::open();
    if wanted("commands") {
        commands::run(&mut figures).await;
    }
    if wanted("replay") {
        replay::run(&mut figures).await;
    }
    if wanted("revocation") {
        revocation::run(&mut figures).await;
    }
    if wanted("state") {
        state::run(&mut figures).await;
    }
    if wanted("takeover") {
        takeover::run(&mut figures).await;
    }
}
