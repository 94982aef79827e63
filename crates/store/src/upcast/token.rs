//! Stored forms of a token's events.

use std::collections::{BTreeMap, BTreeSet};

use domain::token::{Edited, Event, Expiry, Issued, Kind, Rotated, TokenDecider};
use domain::{Digest, InstanceId, Sealed, TokenId};
use serde::Deserialize;

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for TokenDecider {
    const SNAPSHOT_VERSION: u16 = 3;

    fn write(event: &Event) -> Form {
        match event {
            Event::Issued(event) => form(3, event),
            Event::Edited(event) => form(2, event),
            Event::Rotated(event) => form(2, event),
            Event::Revoked(event) => form(1, event),
            Event::Expired(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            ("token.issued", 1) => data(name, version, payload).map(IssuedV1::lift).map(Event::Issued),
            // Version 2 knew bearer tokens only.
            ("token.issued", 2 | 3) => data(name, version, payload).map(Event::Issued),
            ("token.edited", 1) => data(name, version, payload).map(EditedV1::lift).map(Event::Edited),
            ("token.edited", 2) => data(name, version, payload).map(Event::Edited),
            ("token.rotated", 1) => data(name, version, payload).map(RotatedV1::lift).map(Event::Rotated),
            ("token.rotated", 2) => data(name, version, payload).map(Event::Rotated),
            ("token.revoked", 1) => data(name, version, payload).map(Event::Revoked),
            ("token.expired", 1) => data(name, version, payload).map(Event::Expired),
            _ => unknown(name, version),
        }
    }

    fn of(id: TokenId, event: Event) -> domain::Event {
        domain::Event::Token { id, event }
    }
}

/// Version 1 was written when a token was accepted until it was revoked, and changed nothing about requests.
#[derive(Deserialize)]
struct IssuedV1 {
    instance: InstanceId,
    kind: Kind,
    label: String,
    digest: Digest,
    masked: String,
    sealed: Sealed,
}

impl IssuedV1 {
    fn lift(self) -> Issued {
        Issued {
            instance: self.instance,
            kind: self.kind,
            label: self.label,
            digest: self.digest,
            masked: self.masked,
            sealed: self.sealed,
            expiry: Expiry::Never,
            headers: BTreeMap::new(),
            passthrough: BTreeSet::new(),
        }
    }
}

/// Version 1 was written when only the label could be changed.
#[derive(Deserialize)]
struct EditedV1 {
    label: String,
}

impl EditedV1 {
    fn lift(self) -> Edited {
        Edited { label: Some(self.label), ..Edited::default() }
    }
}

/// Version 1 was written when a rotation ended the credential before at once.
#[derive(Deserialize)]
struct RotatedV1 {
    digest: Digest,
    masked: String,
    sealed: Sealed,
}

impl RotatedV1 {
    fn lift(self) -> Rotated {
        let RotatedV1 { digest, masked, sealed } = self;
        Rotated { digest, masked, sealed, previous_until: None }
    }
}
