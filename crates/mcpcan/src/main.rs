//! The mcpcan binary: command line, `up`, and the roles as subcommands.

fn main() {}
