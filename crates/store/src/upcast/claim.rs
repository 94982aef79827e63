//! Stored forms of the events of claims.

use domain::claim::{Claim, ClaimDecider, Credentials, Event, InstanceNames, TemplateNames};
use domain::claim::{Claimable, CredentialId};
use domain::{InstanceId, Name};
use serde::Deserialize;

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for ClaimDecider<InstanceNames> {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event<InstanceNames>) -> Form {
        write(event, 2)
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event<InstanceNames>, FormError> {
        let claim = match version {
            1 => data::<InstanceClaimV1>(name, version, payload)?.lift(),
            2 => data(name, version, payload)?,
            _ => return unknown(name, version),
        };
        event(name, version, claim)
    }

    fn of(id: Name, event: Event<InstanceNames>) -> domain::Event {
        domain::Event::InstanceName { id, event }
    }
}

/// Version 1 was written when only instances held names.
#[derive(Deserialize)]
struct InstanceClaimV1 {
    instance: InstanceId,
}

impl InstanceClaimV1 {
    fn lift(self) -> Claim<InstanceId> {
        Claim { holder: self.instance }
    }
}

impl Stored for ClaimDecider<TemplateNames> {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event<TemplateNames>) -> Form {
        write(event, 1)
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event<TemplateNames>, FormError> {
        match version {
            1 => event(name, version, data(name, version, payload)?),
            _ => unknown(name, version),
        }
    }

    fn of(id: Name, event: Event<TemplateNames>) -> domain::Event {
        domain::Event::TemplateName { id, event }
    }
}

impl Stored for ClaimDecider<Credentials> {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event<Credentials>) -> Form {
        write(event, 1)
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event<Credentials>, FormError> {
        match version {
            1 => event(name, version, data(name, version, payload)?),
            _ => unknown(name, version),
        }
    }

    fn of(id: CredentialId, event: Event<Credentials>) -> domain::Event {
        domain::Event::Credential { id, event }
    }
}

fn write<C: Claimable>(event: &Event<C>, version: u16) -> Form {
    match event {
        Event::Claimed(claim) | Event::Released(claim) => form(version, claim),
    }
}

fn event<C: Claimable>(name: &str, version: u16, claim: Claim<C::Holder>) -> Result<Event<C>, FormError> {
    match name {
        _ if name == C::CLAIMED => Ok(Event::Claimed(claim)),
        _ if name == C::RELEASED => Ok(Event::Released(claim)),
        _ => unknown(name, version),
    }
}
