//! What requests say of a token, and the rules on it. Header fields keep the rules of instances'.

mod schema;

use std::collections::{BTreeMap, BTreeSet};

use domain::TokenId;
use domain::token::{Expiry, Kind, LABEL_CHARS_MAX, PASSTHROUGH_MAX};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::custom::Custom;
use crate::error::Error;
use crate::extract::Member;
use crate::moment;
use crate::settings::rules::{check_header_name, check_headers};
use crate::settings::secret::SecretText;
use crate::violation::Violations;

/// The longest time for which the credential before a rotation is still accepted.
const OVERLAP_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The body of `POST /instances/{instance}/tokens`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueToken {
    pub(super) kind: Kind,
    #[serde(default)]
    #[schemars(with = "schema::Label")]
    pub(super) label: String,
    /// A credential of your own, unique within the instance; without it a random one is made. Not for kind `basic`.
    #[schemars(with = "Option<schema::Value>")]
    value: Option<SecretText>,
    /// Of kind `basic` only: who presents it. It is encoded with the password as RFC 7617 says.
    #[schemars(with = "Option<schema::Username>")]
    username: Option<String>,
    /// Of kind `basic` only: a password of your own; without it a random one is made.
    #[schemars(with = "Option<schema::Password>")]
    password: Option<SecretText>,
    /// Of kind `basic` only, in place of both: what follows `Basic `, verbatim, in an encoding of your own.
    #[schemars(with = "Option<schema::Encoded>")]
    encoded: Option<SecretText>,
    /// When it expires. Of this and `expires_in`, the earlier counts; without both it does not expire.
    #[schemars(with = "Option<schema::Time>")]
    expires_at: Option<String>,
    /// How long from now it expires. A day has 24 hours.
    #[schemars(with = "Option<schema::Duration>")]
    expires_in: Option<String>,
    /// Header fields that the gateway adds to this token's requests to a proxied server, after the instance's. The case
    /// of a name does not count.
    #[serde(default)]
    #[schemars(with = "schema::Headers")]
    pub(super) headers: BTreeMap<String, SecretText>,
    /// The client's own header fields that reach a proxied server, though otherwise those of that name do not.
    #[serde(default)]
    #[schemars(with = "schema::Passthrough")]
    passthrough: Vec<String>,
}

/// The body of `POST /instances/{instance}/tokens/{token}/rotate`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateToken {
    /// A credential of your own, unique within the instance; without it a random one is made. Not for kind `basic`.
    #[schemars(with = "Option<schema::Value>")]
    value: Option<SecretText>,
    /// Of kind `basic` only: who presents it. It is encoded with the password as RFC 7617 says. Without it, the username
    /// stays.
    #[schemars(with = "Option<schema::Username>")]
    username: Option<String>,
    /// Of kind `basic` only: a password of your own; without it a random one is made.
    #[schemars(with = "Option<schema::Password>")]
    password: Option<SecretText>,
    /// Of kind `basic` only, in place of both: what follows `Basic `, verbatim, in an encoding of your own.
    #[schemars(with = "Option<schema::Encoded>")]
    encoded: Option<SecretText>,
    /// How long the credential before is accepted beside the new one; without it, no longer. At most 30 days.
    #[schemars(with = "Option<schema::Duration>")]
    overlap: Option<String>,
}

/// The body of `PATCH /instances/{instance}/tokens/{token}`: a JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditToken {
    /// `null` takes it away.
    #[serde(default, skip_serializing_if = "Member::is_absent")]
    #[schemars(with = "Option<schema::Label>")]
    label: Member<String>,
    /// When it expires; `null` means never. Of this and `expires_in`, the earlier counts.
    #[serde(default, skip_serializing_if = "Member::is_absent")]
    #[schemars(with = "Option<schema::Time>")]
    expires_at: Member<String>,
    /// How long from now it expires. A day has 24 hours.
    #[schemars(with = "Option<schema::Duration>")]
    expires_in: Option<String>,
    /// Header fields to be set; `null` takes one away. What is not named stays.
    #[serde(default)]
    #[schemars(with = "schema::HeadersPatch")]
    headers: BTreeMap<String, Option<SecretText>>,
    /// The whole list; `null` empties it.
    #[serde(default, skip_serializing_if = "Member::is_absent")]
    #[schemars(with = "Option<schema::Passthrough>")]
    passthrough: Member<Vec<String>>,
}

/// An edit that keeps the rules. Its header values are still in clear.
pub(super) struct CheckedEdit {
    pub(super) label: Option<String>,
    pub(super) expiry: Option<Expiry>,
    pub(super) headers: BTreeMap<String, Option<SecretText>>,
    pub(super) passthrough: Option<BTreeSet<String>>,
}

/// What a request that issues a token asks for besides its credential.
pub(super) struct CheckedIssue {
    pub(super) expiry: Expiry,
    pub(super) passthrough: BTreeSet<String>,
}

impl IssueToken {
    /// Takes out what the credential is made of.
    pub(super) fn take_custom(&mut self) -> Custom {
        let Self { value, encoded, username, password, .. } = self;
        Custom {
            value: value.take(),
            encoded: encoded.take(),
            username: username.take(),
            password: password.take(),
        }
    }

    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(super) fn check(&self, custom: &Custom, now: Timestamp) -> Result<CheckedIssue, Error> {
        let mut violations = Violations::default();
        check_label(&self.label, &mut violations);
        custom.check(&mut violations);
        check_headers(&self.headers, &mut violations);
        let at = self.expires_at.as_deref();
        let expiry = expiry(at, self.expires_in.as_deref(), now, &mut violations);
        let passthrough = check_passthrough(&self.passthrough, &mut violations);
        violations.into_result()?;
        Ok(CheckedIssue { expiry: expiry.unwrap_or(Expiry::Never), passthrough })
    }
}

impl RotateToken {
    /// Takes out what the credential is made of.
    pub(super) fn take_custom(&mut self) -> Custom {
        let Self { value, encoded, username, password, .. } = self;
        Custom {
            value: value.take(),
            encoded: encoded.take(),
            username: username.take(),
            password: password.take(),
        }
    }

    /// Until when the credential before is accepted beside the new one.
    ///
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(super) fn check(&self, custom: &Custom, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut violations = Violations::default();
        custom.check(&mut violations);
        let until = self.overlap.as_deref().and_then(|text| {
            let until = moment::ahead(text, now);
            if until.is_none() {
                violations.add_at(&["overlap"], "a duration such as `10m` or `12h` was expected");
            }
            until
        });
        if until.is_some_and(|until| until.duration_since(now) > OVERLAP_MAX) {
            let days = OVERLAP_MAX.as_hours() / 24;
            violations.add_beyond_form_at(&["overlap"], format!("an overlap lasts at most {days} days"));
        }
        violations.into_result()?;
        Ok(until)
    }
}

impl EditToken {
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(super) fn check(self, now: Timestamp) -> Result<CheckedEdit, Error> {
        let mut violations = Violations::default();
        let label = self.label.or_default();
        check_label(label.as_deref().unwrap_or_default(), &mut violations);
        let never = self.expires_at.is_null();
        let at = self.expires_at.as_value().map(String::as_str);
        let expiry =
            expiry(at, self.expires_in.as_deref(), now, &mut violations).or(never.then_some(Expiry::Never));
        let (set, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.headers.into_iter().partition(|(_, value)| value.is_some());
        for name in gone.keys() {
            check_header_name(&["headers", name], name, &mut violations);
        }
        let set: BTreeMap<_, _> = set.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        check_headers(&set, &mut violations);
        let passthrough =
            self.passthrough.or_default().map(|names| check_passthrough(&names, &mut violations));
        violations.into_result()?;
        // A field that is set and taken away in other letters is set.
        let mut headers: BTreeMap<_, _> = lower_case(gone).map(|(name, _)| (name, None)).collect();
        headers.extend(lower_case(set).map(|(name, value)| (name, Some(value))));
        Ok(CheckedEdit { label, expiry, headers, passthrough })
    }
}

/// The entries under names that are compared without case.
pub(super) fn lower_case<V>(entries: BTreeMap<String, V>) -> impl Iterator<Item = (String, V)> {
    entries.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value))
}

/// # Errors
/// `Error::ExpiryPassed` if the token would be expired already.
pub(super) fn require_ahead(expiry: Expiry, now: Timestamp) -> Result<(), Error> {
    match expiry {
        Expiry::At(at) if expiry.is_over(now) => Err(Error::ExpiryPassed(at)),
        Expiry::At(_) | Expiry::Never => Ok(()),
    }
}

/// The earlier of both ends; none where none is named.
fn expiry(
    at: Option<&str>,
    within: Option<&str>,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<Expiry> {
    let at = at.and_then(|text| {
        let time = text.parse().ok();
        if time.is_none() {
            violations.add_at(&["expires_at"], "a time such as `2027-01-31T14:05:00Z` was expected");
        }
        time
    });
    let within = within.and_then(|text| {
        let time = moment::ahead(text, now);
        if time.is_none() {
            violations.add_at(&["expires_in"], "a duration such as `12h` or `30d` was expected");
        }
        time
    });
    at.into_iter().chain(within).min().map(Expiry::At)
}

fn check_label(label: &str, violations: &mut Violations) {
    if label.chars().count() > LABEL_CHARS_MAX {
        violations.add_at(&["label"], format!("a label has at most {LABEL_CHARS_MAX} characters"));
    }
    if label.chars().any(char::is_control) {
        violations.add_at(&["label"], "a label has no control characters");
    }
    if label.trim() != label {
        violations.add_at(&["label"], "a label has no blanks around it");
    }
    if label.parse::<TokenId>().is_ok() {
        violations
            .add_at(&["label"], "a label must not have the form of an id: it works wherever an id does");
    }
}

fn check_passthrough(names: &[String], violations: &mut Violations) -> BTreeSet<String> {
    if names.len() > PASSTHROUGH_MAX {
        violations.add_at(&["passthrough"], format!("at most {PASSTHROUGH_MAX} header fields are passed on"));
    }
    for (index, name) in names.iter().enumerate() {
        check_header_name(&["passthrough", &index.to_string()], name, violations);
    }
    names.iter().map(|name| name.to_ascii_lowercase()).collect()
}
