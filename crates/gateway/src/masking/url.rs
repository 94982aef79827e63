//! Credentials in what looks like a URL, wherever it stands: before the host, and in the query.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{MASK, Masking};

/// The user information of an authority (RFC 3986 section 3.2.1); and what a bound has cut before the `@`: a port has
/// nothing but digits.
static USER: LazyLock<Regex> = LazyLock::new(|| {
    let forms =
        [r#"://[^\s/?#"'<>\\]*@"#, r#"://[^\s/?#"'<>\\:\[]+:[0-9]*[^\s/?#"'<>\\0-9][^\s/?#"'<>\\]*$"#];
    Regex::new(&forms.join("|")).expect("the forms are a regular expression")
});

/// A parameter of a query, or of a fragment as OAuth has it (RFC 6749 section 4.2.2).
static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    let form = r#"(?<name>[?&#;][^\s=&?#;"'<>\\]{1,64})=[^\s&#"'<>\\]+"#;
    Regex::new(form).expect("the form is a regular expression")
});

impl Masking {
    /// The text without the credentials of its URLs.
    pub(super) fn urls<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = USER.replace_all(text, |found: &Captures<'_>| {
            let host = if found[0].ends_with('@') { "@" } else { "" };
            format!("://{MASK}{host}")
        });
        let parameters = |text: &str| {
            let masked = PARAMETER.replace_all(text, |found: &Captures<'_>| {
                let name = &found["name"];
                let read = ::url::form_urlencoded::parse(&name.as_bytes()[1..]).next();
                match read.is_some_and(|(read, _)| self.is_masked(&read)) {
                    true => format!("{name}={MASK}"),
                    false => found[0].to_owned(),
                }
            });
            match masked {
                Cow::Owned(masked) if masked != text => Some(masked),
                Cow::Owned(_) | Cow::Borrowed(_) => None,
            }
        };
        match parameters(&masked) {
            Some(masked) => Cow::Owned(masked),
            None => masked,
        }
    }
}
