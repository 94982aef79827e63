//! Secrets that are known wherever they stand: by their form, or because the request has presented them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use zeroize::Zeroizing;

use super::MASK;

/// A credential shorter than this is replaced nowhere but in its own place: as a word it would be found in any text.
const CREDENTIAL_BYTES_MIN: usize = 8;

/// The platform's tokens (`domain/src/token/credential.rs`), also those that a bound has cut in two; JSON Web Tokens
/// (RFC 7519, always begun by `{"` in base64); and what follows the scheme of a credential (RFC 9110 section 11.2).
static FORMS: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"(?<platform>mcpcan_)(?:[0-9A-Za-z]{16,}|[0-9A-Za-z]+$)",
        r"(?<jwt>eyJ)[0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_-]*){0,2}",
        r"(?<scheme>(?-u:\b)(?i-u:bearer|basic)(?: |%20|\+))[0-9A-Za-z._~+/%-]{8,}=*",
    ];
    Regex::new(&forms.join("|")).expect("the forms are a regular expression")
});

/// What is secret in the texts of one call.
#[derive(Default)]
pub(crate) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// The credentials that the request has presented.
    pub(crate) fn new(presented: impl IntoIterator<Item = Zeroizing<String>>) -> Self {
        let long = presented.into_iter().filter(|credential| credential.len() >= CREDENTIAL_BYTES_MIN);
        let mut credentials: Vec<_> = long.collect();
        // One may be a part of another.
        credentials.sort_by_key(|credential| std::cmp::Reverse(credential.len()));
        Self(credentials)
    }

    /// The text without secrets.
    pub(crate) fn masked(&self, text: &str) -> String {
        self.mask(text).into_owned()
    }

    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for credential in &self.0 {
            if memchr::memmem::find(text.as_bytes(), credential.as_bytes()).is_some() {
                text = Cow::Owned(text.replace(&***credential, MASK));
            }
        }
        match FORMS.replace_all(&text, shown) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => Cow::Owned(masked),
        }
    }
}

/// What of a secret may be seen: of which kind it is.
fn shown(found: &Captures<'_>) -> String {
    let kind = ["platform", "scheme"].into_iter().find_map(|name| found.name(name));
    format!("{}{MASK}", kind.map_or("", |kind| kind.as_str()))
}
