//! The harness of the system tests: starts the real program on ports and directories of its own, speaks to it as
//! people and clients do, and ends it with everything it started. It knows no rule of the product.

mod client;
mod deployment;
mod http;
mod platform;
mod processes;
mod secrecy;
mod tools;
mod wait;

pub use client::{Sdk, Seen};
pub use deployment::{Deployment, Replicas, free_address, gateway, projector};
pub use http::http;
pub use platform::{Finished, Following, Platform};
pub use processes::{Process, below};
pub use tools::Tools;
pub use wait::until;
