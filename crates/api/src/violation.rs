//! What is wrong with a request, place by place. A request is checked to its end, so that one answer names all of it.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;

use crate::error::Error;

/// How many violations one answer lists.
const VIOLATIONS_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) detail: String,
}

/// Where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// In the body, as a JSON Pointer (RFC 6901).
    Pointer(String),
    /// In a query parameter.
    Parameter(String),
    /// In a header field.
    Header(String),
}

/// The violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    found: Vec<Violation>,
    /// Whether the request has another form than the document says.
    breaks_form: bool,
}

impl Violations {
    /// Notes a violation. Beyond the limit it still counts, but is not listed.
    pub(crate) fn add(&mut self, place: Place, detail: impl Into<String>) {
        self.breaks_form = true;
        self.list(place, detail.into());
    }

    /// Notes a violation in the body. `path` are the keys that lead there.
    pub(crate) fn add_at(&mut self, path: &[&str], detail: impl Into<String>) {
        self.add(Place::Pointer(pointer(path)), detail);
    }

    /// Notes a violation in the body that no schema can tell: members that are right one by one, or a text that is
    /// longer in bytes than in characters.
    pub(crate) fn add_beyond_form_at(&mut self, path: &[&str], detail: impl Into<String>) {
        self.list(Place::Pointer(pointer(path)), detail.into());
    }

    /// Notes a violation in a parameter that no schema can tell.
    pub(crate) fn add_beyond_form(&mut self, place: Place, detail: impl Into<String>) {
        self.list(place, detail.into());
    }

    fn list(&mut self, place: Place, detail: String) {
        if self.found.len() < VIOLATIONS_MAX {
            self.found.push(Violation { place, detail });
        }
    }

    /// # Errors
    /// `Error::Invalid` if there is any violation, `Error::Unprocessable` if the form is right.
    pub(crate) fn into_result(self) -> Result<(), Error> {
        match self {
            Violations { breaks_form: true, found } => Err(Error::Invalid(found)),
            Violations { found, .. } if found.is_empty() => Ok(()),
            Violations { found, .. } => Err(Error::Unprocessable(found)),
        }
    }
}

/// A parameter with few values, whose type says what is wrong with others.
pub(crate) fn word<T: FromStr<Err: Display>>(
    parameter: &str,
    text: Option<&str>,
    violations: &mut Violations,
) -> Option<T> {
    match text?.parse() {
        Ok(word) => Some(word),
        Err(error) => {
            violations.add(Place::Parameter(parameter.to_owned()), error.to_string());
            None
        }
    }
}

/// A JSON Pointer, escaped as RFC 6901 section 3 has it.
pub(crate) fn pointer(path: &[&str]) -> String {
    path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        assert_eq!(pointer(&["command", "env", "A/B~C"]), "/command/env/A~1B~0C");
        assert_eq!(pointer(&[]), "");
    }
}
