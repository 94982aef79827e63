//! The session ids that clients hold: where the session is and what it is called there, sealed. Any gateway that has
//! the platform's master key leads a session to its replica, without asking anybody; nobody else can read or make one.
//!
//! A session belongs to the token and the instance that it was begun with, which are no part of the text and are
//! needed to open it: with another token it is as good as unknown. An id of an upstream itself, as clients got it
//! before there were sealed ones, is unknown too.

use domain::{InstanceId, TokenId};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use mcp::session::SESSION_ID;
use store::Vault;
use uuid::Uuid;

use crate::refusal::Refusal;

/// Tells what is sealed for HTTP+SSE from the sessions of Streamable HTTP: neither passes for the other.
const HTTP_SSE: u8 = 1;

/// Who a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) instance: InstanceId,
    pub(crate) token: TokenId,
}

/// Where a stream of HTTP+SSE takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Messages {
    /// Where its server is.
    pub(crate) destination: Uuid,
    /// What the server calls the address.
    pub(crate) address: PathAndQuery,
}

/// A session as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Where it is.
    pub(crate) destination: Uuid,
    /// What the upstream calls it.
    pub(crate) upstream_id: HeaderValue,
    /// What the client calls it.
    pub(crate) id: HeaderValue,
}

impl Owner {
    fn context(self) -> [u8; 32] {
        let mut context = [0; 32];
        context[..16].copy_from_slice(self.instance.0.as_bytes());
        context[16..].copy_from_slice(self.token.0.as_bytes());
        context
    }

    /// The session of a request, if it names one.
    pub(crate) fn session(self, vault: &Vault, headers: &HeaderMap) -> Result<Option<Session>, Refusal> {
        let mut values = headers.get_all(SESSION_ID).iter();
        let Some(id) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::SessionUnknown);
        }
        let opened = vault.open_session(&self.context(), id.as_bytes()).ok_or(Refusal::SessionUnknown)?;
        let (destination, upstream_id) = opened.split_at_checked(16).ok_or(Refusal::SessionUnknown)?;
        let destination = Uuid::from_slice(destination).map_err(|_| Refusal::SessionUnknown)?;
        let upstream_id = HeaderValue::from_bytes(upstream_id).map_err(|_| Refusal::SessionUnknown)?;
        Ok(Some(Session { destination, upstream_id, id: id.clone() }))
    }

    fn context_of_messages(self) -> [u8; 33] {
        let mut context = [HTTP_SSE; 33];
        context[..32].copy_from_slice(&self.context());
        context
    }

    /// Where messages of an HTTP+SSE stream go, as its endpoint event has told the client.
    pub(crate) fn messages(self, vault: &Vault, sealed: &str) -> Result<Messages, Refusal> {
        let opened = vault.open_session(&self.context_of_messages(), sealed.as_bytes());
        let opened = opened.ok_or(Refusal::SessionUnknown)?;
        let (destination, address) = opened.split_at_checked(16).ok_or(Refusal::SessionUnknown)?;
        let destination = Uuid::from_slice(destination).map_err(|_| Refusal::SessionUnknown)?;
        let address = PathAndQuery::try_from(address).map_err(|_| Refusal::SessionUnknown)?;
        Ok(Messages { destination, address })
    }

    /// What an endpoint event tells the client of the server's address for messages.
    pub(crate) fn seal_messages(self, vault: &Vault, destination: Uuid, address: &PathAndQuery) -> String {
        let messages = [destination.as_bytes(), address.as_str().as_bytes()].concat();
        vault.seal_session(&self.context_of_messages(), &messages)
    }

    /// What the client calls a session that an upstream has named: as it did before, if it did.
    pub(crate) fn name(
        self,
        vault: &Vault,
        known: Option<&Session>,
        destination: Uuid,
        upstream_id: &HeaderValue,
    ) -> HeaderValue {
        match known {
            Some(known) if known.upstream_id == *upstream_id => known.id.clone(),
            Some(_) | None => {
                let session = [destination.as_bytes(), upstream_id.as_bytes()].concat();
                let sealed = vault.seal_session(&self.context(), &session);
                HeaderValue::try_from(sealed).expect("a sealed session is visible ASCII")
            }
        }
    }
}
