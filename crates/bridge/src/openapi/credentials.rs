//! Credentials for an API's security schemes, from the environment.

use std::collections::BTreeMap;
use std::env::{self, VarError};

use anyhow::bail;
use openapi::{Scheme, SchemeKind};

/// Begins the names of the variables that hold credentials.
const PREFIX: &str = "OPENAPI_CREDENTIAL_";

/// A credential by the name of its scheme. No `Debug`: nothing of it gets into a log.
pub(super) struct Credentials(pub(super) BTreeMap<String, String>);

/// Reads those that are there.
///
/// # Errors
/// One cannot be what its scheme needs; names the variable, and not its value.
pub(super) fn from_environment(schemes: &BTreeMap<String, Scheme>) -> anyhow::Result<Credentials> {
    let mut credentials = BTreeMap::new();
    for (name, scheme) in schemes {
        let variable = variable(name);
        let value = match env::var(&variable) {
            Ok(value) => value.trim_end_matches(['\r', '\n']).to_owned(),
            Err(VarError::NotPresent) => continue,
            Err(VarError::NotUnicode(_)) => bail!("{variable} is no text"),
        };
        let needs_colon = matches!(scheme.kind, SchemeKind::Basic | SchemeKind::ClientCredentials { .. });
        if needs_colon && !value.contains(':') {
            let form = if scheme.kind == SchemeKind::Basic { "user:password" } else { "id:secret" };
            bail!("{variable} has to be {form}");
        }
        if value.is_empty() || value.chars().any(char::is_control) {
            bail!("{variable} is empty or has control characters");
        }
        credentials.insert(name.clone(), value);
    }
    Ok(Credentials(credentials))
}

/// The variable for a scheme of this name.
fn variable(scheme: &str) -> String {
    let name =
        scheme.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' });
    format!("{PREFIX}{}", name.collect::<String>())
}
