//! Takes secrets out of what is about to be recorded. Pure; `traces` calls it on a blocking thread, off those that serve
//! requests, and before anything of a record leaves the process.
//!
//! What is known to be a secret goes by its place: a header field for credentials, a key of the configured list, the
//! value of a cookie, of a form field, of a query; in what looks like a URL, what stands before the host. What is a secret wherever it stands goes by its form: the
//! platform's own tokens, JSON Web Tokens, what follows `Bearer` or `Basic`; and so do the credentials that the request
//! itself has presented.

mod json;
mod text;
mod url;

use std::collections::{BTreeMap, HashSet};

use ::url::form_urlencoded;
use access_log::Fields;

pub(crate) use text::Secrets;

/// What stands where a secret was.
pub(crate) const MASK: &str = "***";

/// Keys of JSON members and header fields whose values are masked unless the gateway is told others. A name that ends
/// with one of them is one too (`client_secret`, `X-Auth-Token`); case, `-`, `_` and `.` do not count.
pub const MASKED_KEYS: [&str; 20] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "secret_key",
    "token",
    "api_key",
    "access_key",
    "private_key",
    "authorization",
    "credential",
    "credentials",
    "cookie",
    "cookies",
    "jwt",
    "signature",
    "session_id",
];

/// Header fields that hold credentials, whatever the list says; in lower case.
const CREDENTIAL_FIELDS: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "api-key",
    "x-api-key",
    "mcp-session-id",
    "x-auth-token",
    "proxy-authenticate",
];

/// The keys whose values are masked.
#[derive(Clone, Debug)]
pub(crate) struct Masking {
    keys: HashSet<String>,
    longest: usize,
}

impl Masking {
    /// Masks what these keys name, in whatever spelling.
    pub(crate) fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let keys: HashSet<String> = keys.into_iter().map(plain).filter(|key| !key.is_empty()).collect();
        Self { longest: keys.iter().map(String::len).max().unwrap_or(0), keys }
    }

    /// Whether the value of this name is masked.
    fn is_masked(&self, name: &str) -> bool {
        let name = plain(name);
        let shortest = name.len().saturating_sub(self.longest);
        (shortest..name.len())
            .filter(|start| name.is_char_boundary(*start))
            .any(|start| self.keys.contains(&name[start..]))
    }

    /// The value of a header field as it may be recorded. `own` says whether the platform uses a field of this name for
    /// a credential of the instance or the token.
    pub(crate) fn field(&self, name: &str, value: &str, own: bool, secrets: &Secrets) -> String {
        match own || CREDENTIAL_FIELDS.contains(&name) || self.is_masked(name) {
            true => MASK.to_owned(),
            false => self.text(value, secrets),
        }
    }

    /// A short text of any form: a name, an address, what a header field says.
    pub(crate) fn text(&self, text: &str, secrets: &Secrets) -> String {
        secrets.masked(&self.urls(text))
    }

    /// The beginning of a body. It may be cut anywhere; what is JSON in it is masked by its keys.
    pub(crate) fn body(&self, text: &str, secrets: &Secrets) -> String {
        self.text(&json::mask(text, self, secrets), secrets)
    }
}

/// The names of a cookie header field, without the values.
pub(crate) fn cookie_names<'a>(values: impl Iterator<Item = &'a str>, secrets: &Secrets) -> Fields {
    let pairs = values.flat_map(|value| value.split(';'));
    let names = pairs.filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.trim());
    let names = names.filter(|name| !name.is_empty()).map(|name| cut(name.to_owned(), NAME_BYTES_MAX));
    names_only(names, secrets)
}

/// The names of the fields of a query or a form, without the values. What does not look like a name is left out: many a
/// body is sent as a form and is none.
pub(crate) fn form_names(text: &[u8], secrets: &Secrets) -> Fields {
    // A parameter without `=` is a value that somebody has forgotten to name, as likely as not.
    let named = text.split(|byte| *byte == b'&').filter(|pair| pair.contains(&b'='));
    let names = named.filter_map(|pair| form_urlencoded::parse(pair).next());
    names_only(names.map(|(name, _)| name.into_owned()).filter(|name| is_name(name)), secrets)
}

/// How many names of cookies, and of form fields, a record holds.
const NAMES_MAX: usize = 32;
/// How long each may be, in bytes.
const NAME_BYTES_MAX: usize = 64;

fn names_only(names: impl Iterator<Item = String>, secrets: &Secrets) -> Fields {
    let masked = names.take(NAMES_MAX).map(|name| cut(secrets.masked(&name), NAME_BYTES_MAX));
    masked.map(|name| (name, MASK.to_owned())).collect::<BTreeMap<_, _>>()
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_part)
}

/// A text cut between characters.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_' | '.' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
