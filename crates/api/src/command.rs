//! How a request becomes a command that takes effect once.
//!
//! The client's `Idempotency-Key` names the command: its id, and the ids of whatever it creates, are derived from the
//! key, so that the same request sent again is the same command and not a second one.

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::instance::InstanceDecider;
use domain::token::TokenDecider;
use domain::{Actor, Command, CommandId, InstanceId, TokenId, instance, token};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use store::{Claim, Given, LoadError, Outcome, Vault};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::Error;

/// The header field with the client's name for a command, in requests and in answers.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key.
pub(crate) const KEY_BYTES_MAX: usize = 255;

/// The namespace of command ids (RFC 9562 section 5.5). Never changed: keys of yesterday have to find their commands.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_7d2c_94f5_4f0e_8a35_51c0_8ac7_30b2);

/// The name of a command, chosen by the client or made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandKey(HeaderValue);

impl CommandKey {
    fn of_request(headers: &HeaderMap) -> Result<Self, Error> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self::make()),
            (Some(key), None) if is_key(key.as_bytes()) => Ok(CommandKey(key.clone())),
            (Some(_), _) => Err(Error::InvalidKey),
        }
    }

    fn make() -> Self {
        let key = Uuid::now_v7().to_string();
        CommandKey(HeaderValue::from_str(&key).expect("a UUID is visible ASCII"))
    }

    /// What is claimed for a day, and what ids of created things are made from.
    fn id(&self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, self.0.as_bytes())
    }

    /// The command that this key names together with the content of its request.
    fn command_id(&self, request_digest: &str) -> CommandId {
        CommandId(Uuid::new_v5(&self.id(), request_digest.as_bytes()))
    }
}

fn is_key(key: &[u8]) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
}

/// Names the command of a request that may change something, and repeats the name in the answer, whatever it is.
pub(crate) async fn name_command(mut request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let key = match CommandKey::of_request(request.headers()) {
        Ok(key) => key,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(key.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(IDEMPOTENCY_KEY, key.0);
    response
}

/// Who sends a command, and under which name.
#[derive(Debug)]
pub(crate) struct Caller {
    key: CommandKey,
    traceparent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let key = match parts.extensions.get::<CommandKey>() {
            Some(key) => key.clone(),
            None => CommandKey::of_request(&parts.headers)?,
        };
        Ok(Caller { key, traceparent: traceparent(&parts.headers) })
    }
}

/// The trace context of the request, if it has the form of W3C Trace Context section 3.2.2, version 00.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hexadecimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    (lengths == [2, 32, 16, 2] && hexadecimal && text.starts_with("00-")).then(|| text.to_owned())
}

impl Caller {
    /// The id of what the command creates: the same for the same command.
    pub(crate) fn derive_id(&self, purpose: &str) -> Uuid {
        Uuid::new_v5(&self.key.id(), purpose.as_bytes())
    }

    fn given(&self, request_digest: String) -> Given {
        let key = self.key.0.to_str().expect("a key is visible ASCII");
        Given {
            command_id: self.key.command_id(&request_digest),
            actor: Actor::Admin,
            causation_id: format!("request:{key}"),
            at: Timestamp::now(),
            traceparent: self.traceparent.clone(),
            expected_revision: None,
            claim: Some(Claim { key: self.key.id(), request_digest }),
        }
    }
}

/// The digest of what a request says, before anything random is added. Keyed, because a request may hold secrets
/// that could be guessed otherwise.
pub(crate) fn fingerprint(
    vault: &Vault,
    command: &'static str,
    target: Option<Uuid>,
    body: &impl Serialize,
) -> String {
    let content = serde_json::to_vec(&(command, target, body)).expect("what came as JSON goes as JSON");
    vault.digest(&Zeroizing::new(content)).0
}

impl App {
    /// Sends a command and waits until it is decided and the views show what it led to. Gives the sequence of its
    /// last event.
    pub(crate) async fn carry_out(
        &self,
        caller: &Caller,
        command: &Command,
        request_digest: String,
    ) -> Result<u64, Error> {
        let given = caller.given(request_digest);
        let sequence = match self.store.send(command, &given, self.config.command_wait).await? {
            Outcome::Done { sequence } => sequence,
            Outcome::Refused { refusal } => return Err(Error::Refused(refusal)),
            Outcome::Failed { reason } => {
                tracing::error!(command_id = %given.command_id, reason, "command cannot be decided");
                return Err(Error::LogUnreadable);
            }
        };
        self.directory.reached(sequence, self.config.view_wait).await?;
        Ok(sequence)
    }

    /// Purges the key of an instance that was never created or is deleted.
    pub(crate) async fn discard_instance_key(&self, caller: &Caller, id: InstanceId) {
        let loaded = self.store.load::<InstanceDecider>(&id, CommandId(caller.key.id())).await;
        let unused = loaded.map(|instance| match instance.state {
            instance::State::Absent | instance::State::Deleted => true,
            instance::State::Running(_) | instance::State::Stopped(_) => false,
        });
        self.discard_key(id.0, unused).await;
    }

    /// Purges the key of a token that was never issued or is revoked.
    pub(crate) async fn discard_token_key(&self, caller: &Caller, id: TokenId) {
        let loaded = self.store.load::<TokenDecider>(&id, CommandId(caller.key.id())).await;
        let unused = loaded.map(|token| match token.state {
            token::State::Absent | token::State::Revoked | token::State::Expired => true,
            token::State::Active(_) => false,
        });
        self.discard_key(id.0, unused).await;
    }

    /// Purges a key if the log says that nothing needs it; a view may lack what the log has, and a purged key is gone
    /// for ever. A failure is only logged: what is left behind is a key that opens nothing.
    async fn discard_key(&self, owner: Uuid, unused: Result<bool, LoadError>) {
        match unused {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, %owner, "not known whether a key is needed, so it is kept");
                return;
            }
        }
        if let Err(error) = self.store.vault().shred(owner).await {
            tracing::warn!(error = &error as &dyn std::error::Error, %owner, "key of nothing left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(keys: &[&str]) -> HeaderMap {
        keys.iter().map(|key| (IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap())).collect()
    }

    #[test]
    fn a_key_names_a_command() {
        let id = |key: &str| CommandKey::of_request(&headers(&[key])).unwrap().id();
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        let key = CommandKey::of_request(&headers(&["a"])).unwrap();
        assert_eq!(key.command_id("d1"), key.command_id("d1"));
        assert_ne!(key.command_id("d1"), key.command_id("d2"), "once the claim has run out");
        let made = CommandKey::of_request(&HeaderMap::new()).unwrap();
        assert_ne!(made, CommandKey::make());
        assert_eq!(made.id(), id(made.0.to_str().unwrap()), "a made key can be sent back");
    }

    #[test]
    fn keys_are_bounded_visible_and_single() {
        assert!(CommandKey::of_request(&headers(&[&"k".repeat(KEY_BYTES_MAX)])).is_ok());
        for keys in [&[""][..], &["a b"], &["ä"], &[&"k".repeat(KEY_BYTES_MAX + 1)], &["a", "a"]] {
            assert!(matches!(CommandKey::of_request(&headers(keys)), Err(Error::InvalidKey)), "{keys:?}");
        }
    }

    #[test]
    fn only_a_well_formed_trace_context_is_kept() {
        let kept = |text: &str| {
            traceparent(&HeaderMap::from_iter([("traceparent".parse().unwrap(), text.parse().unwrap())]))
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(kept(good).as_deref(), Some(good));
        for bad in
            ["", "00", &good.to_uppercase(), &good[1..], &format!("{good}-00"), &good.replacen("00", "01", 1)]
        {
            assert_eq!(kept(bad), None, "{bad}");
        }
    }
}
