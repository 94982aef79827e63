//! The credential that requests must present, when the bridge was given one.
//!
//! Servers of different owners may share a machine, and its loopback addresses with it: with a credential, only who
//! started the bridge, and whom they told, can talk to its server. It comes in the environment, is kept from the
//! children and shows in no log and no `Debug` output. [`http`](crate::http) asks for it.

use std::env::{self, VarError};
use std::fmt;

use ::http::HeaderMap;
use ::http::header::AUTHORIZATION;
use anyhow::bail;
use subtle::ConstantTimeEq as _;

/// The environment variable with the credential; without it, none is asked for.
pub(crate) const VARIABLE: &str = "MCPCAN_BRIDGE_CREDENTIAL";

pub(crate) struct Credential(String);

impl Credential {
    pub(crate) fn from_environment() -> anyhow::Result<Option<Self>> {
        match env::var(VARIABLE) {
            Ok(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Some(Self(text)))
            }
            Err(VarError::NotPresent) => Ok(None),
            Ok(_) | Err(VarError::NotUnicode(_)) => {
                bail!(
                    "{VARIABLE} must be visible ASCII without spaces; unset it to serve without a credential"
                )
            }
        }
    }

    /// Whether a request presents it, as a bearer token (RFC 6750, section 2.1).
    pub(crate) fn is_presented(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let value = value.as_bytes();
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, presented) = value.split_at(space);
        scheme.eq_ignore_ascii_case(b"Bearer") && bool::from(presented.trim_ascii().ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential(..)")
    }
}
