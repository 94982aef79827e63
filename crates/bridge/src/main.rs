//! The binary next to a hosted server: MCP over HTTP outside, stdio inside.

fn main() {}
