//! What people bring for a credential: their own value, or a username with or without a password.

use domain::token::Kind;
use zeroize::Zeroizing;

use super::credential::{
    CUSTOM_BYTES_MAX, CUSTOM_BYTES_MIN, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, USERNAME_BYTES_MAX,
    is_b64token,
};
use crate::error::Error;
use crate::settings::secret::SecretText;
use crate::violation::Violations;

/// What a request names of a credential, taken out of it: what is left of the request holds no secret.
#[derive(Debug, Default)]
pub(super) struct Custom {
    pub(super) value: Option<SecretText>,
    pub(super) encoded: Option<SecretText>,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretText>,
}

/// What a credential is made of.
#[derive(Debug)]
pub(super) enum NewCredential {
    Random,
    /// As it is presented.
    Value(SecretText),
    /// Encoded as RFC 7617 says; without a password a random one is made.
    Basic {
        username: String,
        password: Option<SecretText>,
    },
}

impl Custom {
    /// Notes what breaks the form, whatever kind the token is of.
    pub(super) fn check(&self, violations: &mut Violations) {
        if let Some(SecretText(value)) = &self.value {
            check_value(value, violations);
        }
        if let Some(SecretText(encoded)) = &self.encoded {
            check_encoded(encoded, violations);
        }
        if let Some(username) = &self.username {
            check_username(username, violations);
        }
        if let Some(SecretText(password)) = &self.password {
            check_password(password, violations);
        }
    }

    /// The credential for a token of this kind. `known_as` is the username that a token of kind `basic` has already.
    ///
    /// # Errors
    /// `Error::Unprocessable` if what is named does not belong to the kind, or not together.
    pub(super) fn for_kind(self, kind: Kind, known_as: Option<String>) -> Result<NewCredential, Error> {
        let mut violations = Violations::default();
        let mut unfit = |name: &str, detail: &str| violations.add_beyond_form_at(&[name], detail);
        let credential = match kind {
            Kind::Bearer | Kind::ApiKey | Kind::XApiKey => {
                let basic = [
                    ("encoded", self.encoded.is_some()),
                    ("username", self.username.is_some()),
                    ("password", self.password.is_some()),
                ];
                for (name, _) in basic.iter().filter(|(_, is_named)| *is_named) {
                    unfit(name, "only a token of kind `basic` has it: name `value`");
                }
                self.value.map_or(NewCredential::Random, NewCredential::Value)
            }
            Kind::Basic => {
                if self.value.is_some() {
                    unfit("value", "a token of kind `basic` has `username` and `password`, or `encoded`");
                }
                if self.encoded.is_some() && (self.username.is_some() || self.password.is_some()) {
                    unfit("encoded", "it takes the place of `username` and `password`");
                }
                match (self.encoded, self.username.or(known_as)) {
                    (Some(encoded), _) => NewCredential::Value(encoded),
                    (None, Some(username)) => NewCredential::Basic { username, password: self.password },
                    (None, None) => {
                        unfit("username", "a token of kind `basic` needs a username, or `encoded`");
                        NewCredential::Random
                    }
                }
            }
        };
        violations.into_result()?;
        Ok(credential)
    }

    /// Whether a token of kind `basic` keeps its username.
    pub(super) fn keeps_username(&self) -> bool {
        self.username.is_none() && self.encoded.is_none()
    }

    /// All that was named, in one text; none if nothing was.
    pub(super) fn in_one(&self) -> Option<Zeroizing<String>> {
        let Custom { value, encoded, username, password } = self;
        let named = (value, encoded, username, password);
        let all = serde_json::to_string(&named).expect("texts can be written as JSON");
        let is_named = value.is_some() || encoded.is_some() || username.is_some() || password.is_some();
        is_named.then(|| Zeroizing::new(all))
    }
}

fn check_value(value: &str, violations: &mut Violations) {
    if !(CUSTOM_BYTES_MIN..=CUSTOM_BYTES_MAX).contains(&value.len()) {
        let detail = format!("a credential has {CUSTOM_BYTES_MIN} to {CUSTOM_BYTES_MAX} characters");
        violations.add_at(&["value"], detail);
    }
    if !is_b64token(value) {
        let detail = "a credential has only letters, digits and - . _ ~ + /, and = at its end";
        violations.add_at(&["value"], detail);
    }
}

fn check_encoded(encoded: &str, violations: &mut Violations) {
    if !(CUSTOM_BYTES_MIN..=CUSTOM_BYTES_MAX).contains(&encoded.len()) {
        let detail = format!("it has {CUSTOM_BYTES_MIN} to {CUSTOM_BYTES_MAX} characters");
        violations.add_at(&["encoded"], detail);
    }
    if !encoded.bytes().all(|byte| byte.is_ascii_graphic()) {
        violations.add_at(&["encoded"], "it has only visible ASCII characters and no blank");
    }
}

fn check_username(username: &str, violations: &mut Violations) {
    if username.is_empty() || username.contains(':') || username.chars().any(char::is_control) {
        let detail = "a username has at least one character, no colon and no control character";
        violations.add_at(&["username"], detail);
    }
    if username.chars().count() > USERNAME_BYTES_MAX {
        violations.add_at(&["username"], format!("a username has at most {USERNAME_BYTES_MAX} characters"));
    } else if username.len() > USERNAME_BYTES_MAX {
        let detail = format!("a username has at most {USERNAME_BYTES_MAX} bytes in UTF-8");
        violations.add_beyond_form_at(&["username"], detail);
    }
}

fn check_password(password: &str, violations: &mut Violations) {
    let chars = password.chars().count();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_BYTES_MAX).contains(&chars) {
        let detail = format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_BYTES_MAX} characters");
        violations.add_at(&["password"], detail);
    } else if password.len() > PASSWORD_BYTES_MAX {
        let detail = format!("a password has at most {PASSWORD_BYTES_MAX} bytes in UTF-8");
        violations.add_beyond_form_at(&["password"], detail);
    }
    if password.chars().any(char::is_control) {
        violations.add_at(&["password"], "a password has no control characters");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<SecretText> {
        Some(SecretText(Zeroizing::new(text.to_owned())))
    }

    #[test]
    fn what_is_named_has_to_belong_to_the_kind() {
        let value = || Custom { value: text("x"), ..Custom::default() };
        let username = || Custom { username: Some("ann".to_owned()), ..Custom::default() };
        let encoded = || Custom { encoded: text("x"), ..Custom::default() };
        for kind in [Kind::Bearer, Kind::ApiKey, Kind::XApiKey] {
            assert!(matches!(Custom::default().for_kind(kind, None), Ok(NewCredential::Random)));
            assert!(matches!(value().for_kind(kind, None), Ok(NewCredential::Value(_))));
            assert!(username().for_kind(kind, None).is_err());
            assert!(encoded().for_kind(kind, None).is_err());
        }
        let basic = |custom: Custom| custom.for_kind(Kind::Basic, None);
        assert!(basic(Custom::default()).is_err());
        assert!(basic(value()).is_err());
        assert!(matches!(basic(encoded()), Ok(NewCredential::Value(_))));
        assert!(matches!(basic(username()), Ok(NewCredential::Basic { password: None, .. })));
        assert!(basic(Custom { password: text("x"), ..encoded() }).is_err());
        let known = Custom { password: text("x"), ..Custom::default() };
        let known = known.for_kind(Kind::Basic, Some("ann".to_owned()));
        assert!(matches!(known, Ok(NewCredential::Basic { username, .. }) if username == "ann"));
    }
}
