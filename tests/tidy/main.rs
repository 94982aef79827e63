//! Style that is a test: what the compiler, clippy and cargo-deny do not see. Reads the repository, starts nothing.

mod arrows;
mod declarations;
mod documents;
mod locks;
mod sources;
mod tree;
