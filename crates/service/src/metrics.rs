//! Numbers of the process over time, in the text format of Prometheus.
//!
//! Roles count with the macros of the crate `metrics`, which do nothing where nobody has installed a recorder: in
//! tests, and in processes without a health listener. So no registry has to be handed around.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Begins to record. A second call changes nothing.
///
/// # Errors
/// Something else records already.
pub fn install() -> anyhow::Result<()> {
    if HANDLE.get().is_none() {
        let handle = PrometheusBuilder::new().install_recorder()?;
        // Only whoever has installed it gets here.
        let _ = HANDLE.set(handle);
    }
    Ok(())
}

/// What has been counted so far; nothing if nothing is recorded.
pub(crate) fn render() -> Option<String> {
    let handle = HANDLE.get()?;
    handle.run_upkeep();
    Some(handle.render())
}
