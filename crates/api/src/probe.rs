//! Probes on demand: what an instance answers right now, before any damping.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::instance::{Access, Advice, Dimension, HealthStatus, ProblemClass, Refusal};
use schemars::JsonSchema;
use serde::Serialize;
use store::Probed;

use crate::app::App;
use crate::error::Error;
use crate::extract::Path;

/// How long a probe may take: longer than all the waits of one together.
const PROBE_MAX: Duration = Duration::from_secs(45);

/// What a probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProbeDocument {
    status: HealthStatus,
    /// Whether what runs the server is up.
    container: Dimension,
    /// Whether a connection to the server can be made.
    service: Dimension,
    /// Whether the server answers as MCP demands.
    mcp: Dimension,
    problem: Option<ProbeProblem>,
    /// How many replicas, or servers elsewhere, were asked.
    asked: usize,
    /// How many of them answered as they should.
    answered: usize,
    /// How long the slowest took, in milliseconds.
    took_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ProbeProblem {
    class: ProblemClass,
    detail: String,
    /// What the class means, and what to look at.
    #[serde(flatten)]
    advice: Advice,
}

/// `POST /instances/{instance}/probe`
pub(crate) async fn probe_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    let row = app.directory.find_instance(&reference)?;
    if matches!(row.access, Access::Direct(_)) {
        return Err(Error::Refused(Refusal::NotProbed.into()));
    }
    if !row.wanted {
        return Err(Error::Refused(Refusal::NotRunning.into()));
    }
    let probed = app.store.ask_probe(row.id, PROBE_MAX).await?.ok_or(Error::NobodyProbes)?;
    Ok(axum::Json(ProbeDocument::from(probed)).into_response())
}

impl From<Probed> for ProbeDocument {
    fn from(probed: Probed) -> Self {
        let Probed { health, asked, answered, took_ms } = probed;
        let problem = health.problem.map(|problem| ProbeProblem {
            class: problem.class,
            advice: problem.class.advice(),
            detail: problem.detail,
        });
        ProbeDocument {
            status: health.status,
            container: health.container,
            service: health.service,
            mcp: health.mcp,
            problem,
            asked,
            answered,
            took_ms,
        }
    }
}
