//! The Kubernetes runtime against a cluster: by default the fake one in [`fake`], and a real one where
//! `MCPCAN_TEST_KUBECONFIG` names the kubeconfig of one.

mod fake;
mod faults;
mod lifecycle;
mod logs;
mod recordings;
mod rights;
mod target;
mod unhappy;
