//! Ids that cannot be guessed.

/// A new one, in visible ASCII.
pub(crate) fn id() -> String {
    let mut random = [0; mcp::session::ID_BYTES];
    getrandom::fill(&mut random).expect("the kernel's generator works once processes can be started");
    mcp::session::id(random)
}
