//! The mcpcan binary: the command line, `up`, and the roles as subcommands. No rule lives here.

mod access_log;
mod backing;
mod bound;
mod calls;
mod cli;
mod clickhouse_embedded;
mod command;
mod config;
mod data_directory;
mod events;
mod export;
mod failure;
mod follow;
mod gateway_limits;
mod instance;
mod kubernetes;
mod logs;
mod nats_users;
mod open_files;
mod output;
mod own_directory;
mod provision;
mod rest;
mod retention;
mod role;
mod settings;
mod stats;
mod status;
mod template;
mod terms;
mod token;
mod up;
mod views;
mod whereabouts;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to do when stderr is gone.
            let _ = failure.describe(&mut std::io::stderr().lock());
            let _ = std::io::stderr().flush();
            ExitCode::from(failure.exit_code())
        }
    }
}
