//! For how many days the log rows of an instance are kept, where somebody has said so.

use domain::retention_plan::{Days, Event};
use domain::{InstanceId, Recorded};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::View;

/// The view.
pub struct RetentionPlans;

/// The plan of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPlanRow {
    pub instance: InstanceId,
    /// None while the default holds.
    pub days: Option<Days>,
    pub updated_at: Timestamp,
    /// Counts what people have changed: what `If-Match` is compared with.
    pub revision: u64,
    /// The sequence of the last event that this row holds.
    pub sequence: u64,
}

impl View for RetentionPlans {
    const NAME: &'static str = "retention_plans";
    const VERSION: u16 = 1;

    type Row = RetentionPlanRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        let domain::Event::RetentionPlan { id, .. } = &recorded.event else { return None };
        Some(id.0)
    }

    fn apply(row: Option<RetentionPlanRow>, recorded: &Recorded) -> Option<RetentionPlanRow> {
        let domain::Event::RetentionPlan { id, event } = &recorded.event else { return row };
        if row.as_ref().is_some_and(|row| recorded.sequence <= row.sequence) {
            return row;
        }
        Some(RetentionPlanRow {
            instance: *id,
            days: match event {
                Event::Set(set) => Some(set.days),
                Event::Reset(_) => None,
            },
            updated_at: recorded.metadata.at,
            revision: row.map_or(0, |row| row.revision) + 1,
            sequence: recorded.sequence,
        })
    }
}

#[cfg(test)]
mod tests;
