//! How an instance is as far as anybody knows: what is wanted, what runs, and what probes see, in one.

use domain::instance::{Access, Advice, Dimension, HealthStatus};
use jiff::Timestamp;

use super::{Failure, InstanceRow, Phase, Seen};

/// How an instance is that is wanted to run and is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// None while nothing is known: it is starting, or has not been probed yet.
    pub status: Option<HealthStatus>,
    pub container: Dimension,
    pub service: Dimension,
    pub mcp: Dimension,
    /// Whether it went back and forth so often that a change is told later than usual.
    pub unsteady: bool,
    pub trouble: Option<Trouble<'a>>,
    /// Since when it is so, in one word.
    pub since: Timestamp,
}

/// What is wrong, and what to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// The class of a probe's problem, or the reason of a replica's failure, as it stands on the wire.
    pub class: &'static str,
    pub detail: &'a str,
    pub advice: Advice,
}

impl InstanceRow {
    /// How it is; none where nothing is wanted to run, or clients go there themselves.
    pub fn condition(&self) -> Option<Condition<'_>> {
        if !self.wanted || matches!(self.access, Access::Direct(_)) {
            return None;
        }
        if let Some(seen) = &self.seen {
            return Some(seen_by_probes(seen));
        }
        let unknown = Condition {
            status: None,
            container: if self.access.is_hosted() { Dimension::NotReady } else { Dimension::NotApplicable },
            service: Dimension::Unknown,
            mcp: Dimension::Unknown,
            unsteady: false,
            trouble: None,
            since: self.updated_at,
        };
        match (self.phase, &self.failure) {
            (Phase::Ready | Phase::Updating, _) => Some(Condition { container: Dimension::Ready, ..unknown }),
            (Phase::Failed, Some(failure)) => Some(Condition {
                status: Some(HealthStatus::Unhealthy),
                trouble: Some(trouble(failure)),
                since: failure.at,
                ..unknown
            }),
            _ => Some(unknown),
        }
    }
}

fn seen_by_probes(seen: &Seen) -> Condition<'_> {
    let health = &seen.health;
    let trouble = health.problem.as_ref().map(|problem| Trouble {
        class: problem.class.as_str(),
        detail: &problem.detail,
        advice: problem.class.advice(),
    });
    Condition {
        status: Some(health.status),
        container: health.container,
        service: health.service,
        mcp: health.mcp,
        unsteady: health.unsteady,
        trouble,
        since: seen.since,
    }
}

fn trouble(failure: &Failure) -> Trouble<'_> {
    Trouble { class: failure.reason.as_str(), detail: &failure.detail, advice: failure.reason.advice() }
}
