//! Stored forms of a token's events.

use domain::TokenId;
use domain::token::{Event, TokenDecider};

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for TokenDecider {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event) -> Form {
        match event {
            Event::Issued(event) => form(1, event),
            Event::Edited(event) => form(1, event),
            Event::Rotated(event) => form(1, event),
            Event::Revoked(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            ("token.issued", 1) => data(name, version, payload).map(Event::Issued),
            ("token.edited", 1) => data(name, version, payload).map(Event::Edited),
            ("token.rotated", 1) => data(name, version, payload).map(Event::Rotated),
            ("token.revoked", 1) => data(name, version, payload).map(Event::Revoked),
            _ => unknown(name, version),
        }
    }

    fn of(id: TokenId, event: Event) -> domain::Event {
        domain::Event::Token { id, event }
    }
}
