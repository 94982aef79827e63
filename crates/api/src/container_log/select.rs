//! Which lines of an instance a request means.

use ::access_log::{Level, LineFilter, Stream};
use domain::InstanceId;
use domain::instance::Access;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::directory::Directory;
use crate::error::Error;
use crate::violation::{Violations, word};

/// What lines have to be like. What is not given lets everything through.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SelectLines {
    /// Only of this replica, by id.
    #[schemars(with = "Option<Uuid>")]
    replica: Option<String>,
    /// Only what was written there.
    #[schemars(with = "Option<Stream>")]
    stream: Option<String>,
    /// Only lines that name this level or a graver one.
    #[schemars(with = "Option<Level>")]
    level: Option<String>,
}

impl SelectLines {
    /// Of an instance that is yet to be named.
    pub(crate) fn check(&self, violations: &mut Violations) -> LineFilter {
        LineFilter {
            replica_id: word("replica", self.replica.as_deref(), violations),
            stream: word("stream", self.stream.as_deref(), violations),
            level: word("level", self.level.as_deref(), violations),
            ..LineFilter::of(Uuid::nil())
        }
    }
}

/// The instance that is meant, which has output if it is hosted, or was deleted.
///
/// # Errors
/// There is none of this name, or it is not hosted.
pub(crate) fn hosted(directory: &Directory, reference: &str) -> Result<InstanceId, Error> {
    let instance = directory.instance_id(reference)?;
    match directory.instance(instance).as_ref().map(|row| &row.access) {
        None | Some(Access::Hosted(_)) => Ok(instance),
        Some(Access::Proxy(_) | Access::Direct(_)) => Err(Error::NotHosted),
    }
}
