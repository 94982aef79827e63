//! The templates that instances can be created from.

use domain::instance::{Access, Profile};
use domain::template::Event;
use domain::{InstanceId, Name, Recorded, TemplateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::View;

/// The view.
pub struct Templates;

/// One template that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRow {
    pub id: TemplateId,
    pub name: Name,
    pub access: Access,
    pub profile: Profile,
    /// The instance that the settings were taken from.
    pub from: Option<InstanceId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Counts what people have changed: what `If-Match` is compared with.
    pub revision: u64,
    /// The sequence of the last event that this row holds.
    pub sequence: u64,
}

impl View for Templates {
    const NAME: &'static str = "templates";
    const VERSION: u16 = 3;

    type Row = TemplateRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        let domain::Event::Template { id, .. } = &recorded.event else { return None };
        Some(id.0)
    }

    fn apply(row: Option<TemplateRow>, recorded: &Recorded) -> Option<TemplateRow> {
        let domain::Event::Template { id, event } = &recorded.event else { return row };
        if row.as_ref().is_some_and(|row| recorded.sequence <= row.sequence) {
            return row;
        }
        let at = recorded.metadata.at;
        let row = match (event, row) {
            (Event::Created(created), _) => TemplateRow {
                id: *id,
                name: created.name.clone(),
                access: created.access.clone(),
                profile: created.profile.clone(),
                from: created.from,
                created_at: at,
                updated_at: at,
                revision: 0,
                sequence: 0,
            },
            (Event::Renamed(renamed), row) => TemplateRow { name: renamed.to.clone(), ..row? },
            (Event::Edited(edited), row) => {
                TemplateRow { access: edited.access.clone(), profile: edited.profile.clone(), ..row? }
            }
            (Event::Deleted(_), _) => return None,
        };
        Some(TemplateRow { updated_at: at, revision: row.revision + 1, sequence: recorded.sequence, ..row })
    }
}

#[cfg(test)]
mod tests;
