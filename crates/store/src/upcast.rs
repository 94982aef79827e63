//! Stored forms of events: every released (name, version) pair can be read for ever, only the newest is written.
//!
//! One file per aggregate. An old form is lifted to the next by a function there; the domain only knows the newest.

mod claim;
mod instance;
mod retention_plan;
mod template;
mod token;

use domain::claim::{ClaimDecider, Claimable as _, Credentials, InstanceNames, TemplateNames};
use domain::instance::InstanceDecider;
use domain::retention_plan::RetentionPlanDecider;
use domain::template::TemplateDecider;
use domain::token::TokenDecider;
use domain::{Decider, Event};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

/// An aggregate whose events this crate can write and read.
pub trait Stored: 'static + Decider<State: Serialize + DeserializeOwned + Send + Sync + 'static> {
    /// The version of the state in snapshots. Whoever changes the form of the state, or what an event makes of it,
    /// raises it: snapshots of another version are not read.
    const SNAPSHOT_VERSION: u16;

    /// The newest form of an event.
    fn write(event: &Self::Event) -> Form;

    /// An event of any released form.
    ///
    /// # Errors
    /// A name or version that this program does not know, or a payload that is not of that form.
    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Self::Event, FormError>;

    /// The event together with the id of its aggregate.
    fn of(id: Self::Id, event: Self::Event) -> Event;
}

/// An event as it is stored: its version and its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub version: u16,
    pub payload: Vec<u8>,
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    #[error("event {name} version {version} is not known to this program")]
    Unknown { name: String, version: u16 },
    #[error("event {name} version {version} is malformed")]
    Malformed {
        name: String,
        version: u16,
        #[source]
        source: rmp_serde::decode::Error,
    },
    #[error("`{id}` is no id of a {aggregate}")]
    Id { aggregate: &'static str, id: String },
    #[error("aggregate {0} is not known to this program")]
    Aggregate(String),
}

/// Reads an event of any aggregate.
///
/// # Errors
/// See [`FormError`].
pub fn read_any(
    aggregate: &str,
    id: &str,
    name: &str,
    version: u16,
    payload: &[u8],
) -> Result<Event, FormError> {
    match aggregate {
        InstanceDecider::NAME => read_as::<InstanceDecider>(id, name, version, payload),
        InstanceNames::NAME => read_as::<ClaimDecider<InstanceNames>>(id, name, version, payload),
        TokenDecider::NAME => read_as::<TokenDecider>(id, name, version, payload),
        Credentials::NAME => read_as::<ClaimDecider<Credentials>>(id, name, version, payload),
        TemplateDecider::NAME => read_as::<TemplateDecider>(id, name, version, payload),
        TemplateNames::NAME => read_as::<ClaimDecider<TemplateNames>>(id, name, version, payload),
        RetentionPlanDecider::NAME => read_as::<RetentionPlanDecider>(id, name, version, payload),
        _ => Err(FormError::Aggregate(aggregate.to_owned())),
    }
}

fn read_as<D: Stored>(id: &str, name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError>
where
    D::Id: std::str::FromStr,
{
    let event = D::read(name, version, payload)?;
    let id = id.parse().map_err(|_| FormError::Id { aggregate: D::NAME, id: id.to_owned() })?;
    Ok(D::of(id, event))
}

/// How many versions of an event are tried to find out whether there is one.
const VERSIONS_MAX: u16 = 16;

/// Whether there ever was an event of this name, or, without a name, such an aggregate.
pub(crate) fn is_known(aggregate: &str, name: Option<&str>) -> bool {
    // What is known fails only at the payload, which is no event's.
    (1..=VERSIONS_MAX).any(|version| match read_any(aggregate, "", name.unwrap_or_default(), version, &[]) {
        Ok(_) | Err(FormError::Malformed { .. } | FormError::Id { .. }) => true,
        Err(FormError::Unknown { .. }) => name.is_none(),
        Err(FormError::Aggregate(_)) => false,
    })
}

fn form<T: Serialize>(version: u16, data: &T) -> Form {
    Form { version, payload: codec::encode(data) }
}

fn data<T: DeserializeOwned>(name: &str, version: u16, payload: &[u8]) -> Result<T, FormError> {
    codec::decode(payload).map_err(|source| FormError::Malformed { name: name.to_owned(), version, source })
}

fn unknown<T>(name: &str, version: u16) -> Result<T, FormError> {
    Err(FormError::Unknown { name: name.to_owned(), version })
}
