//! What every role needs and no rule: tracing, readiness with its health listener, bounded
//! connections, shutdown.

pub mod connections;
pub mod health;
pub mod metrics;
pub mod pace;
pub mod readiness;
pub mod shutdown;
pub mod tracing_setup;

pub use readiness::{Readiness, ReadyFlag};
pub use tokio_util::sync::CancellationToken;

/// What a role is given besides its own configuration.
#[derive(Clone, Debug)]
pub struct Context {
    /// Cancelled when the role has to end. A role finishes what it has accepted and returns.
    pub shutdown: CancellationToken,
    /// Where the role says whether it can do its work.
    pub readiness: Readiness,
}
