//! What an access token says, and whether it may say so. Pure.

use std::collections::BTreeSet;

use domain::instance::Authorization;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::keys::Keys;

/// By how much the clocks of issuer and gateway may differ, in seconds.
const LEEWAY: u64 = 5;

/// The signatures that are accepted: with a public key each. A shared secret would let whoever can check also sign.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why an access token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// It was signed with a key that is not known, or not yet.
    UnknownKey,
    Expired,
    Other,
}

/// What an access token says (RFC 9068 section 2.2). Issuer and audience were compared already.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    exp: i64,
    /// Scopes with blanks between them (RFC 8693 section 4.2).
    #[serde(default)]
    scope: Option<String>,
    /// The same under the name that some issuers use, as a text or as a list.
    #[serde(default)]
    scp: Option<Scopes>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

/// The claims of a token that the issuer has signed for this audience, and whose time is now.
pub(super) fn verify(token: &str, keys: &Keys, authorization: &Authorization) -> Result<Claims, Invalid> {
    let header = decode_header(token).map_err(|_| Invalid::Other)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Invalid::Other);
    }
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[&authorization.audience]);
    validation.set_issuer(&[&authorization.issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    let mut worst = Invalid::UnknownKey;
    for key in keys.of(header.kid.as_deref(), header.alg) {
        match decode::<Claims>(token, key, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            // Another key of the same name may be the one.
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {}
                ErrorKind::ExpiredSignature => worst = Invalid::Expired,
                _ => worst = Invalid::Other,
            },
        }
    }
    Err(worst)
}

impl Claims {
    /// Who it is about.
    pub(super) fn principal(&self) -> &str {
        self.sub.as_deref().or(self.client_id.as_deref()).unwrap_or("anonymous")
    }

    /// When it is over, by the gateway's clock.
    pub(super) fn end(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.exp.checked_add(LEEWAY.try_into().ok()?)?).ok()
    }

    /// Whether it allows all of this.
    pub(super) fn allows(&self, scopes: &BTreeSet<String>) -> bool {
        let texts = self.scope.iter().chain(match &self.scp {
            Some(Scopes::Text(text)) => std::slice::from_ref(text),
            Some(Scopes::List(list)) => list,
            None => &[],
        });
        let allowed: BTreeSet<&str> = texts.flat_map(|text| text.split(' ')).collect();
        scopes.iter().all(|scope| allowed.contains(scope.as_str()))
    }
}
