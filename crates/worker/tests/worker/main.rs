//! The worker against real parts: what is wanted comes to run, what happens is told, and nothing is left behind.

mod harness;
mod lifecycle;
mod secrets;
mod start;
