//! Every secret that a test gives or gets, and the search for them where none may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::Value;

/// A shorter value cannot be told from ordinary text, so it is not searched for; tests give longer ones.
const LENGTH_MIN: usize = 12;
/// How many bytes around a finding are shown.
const CONTEXT_BYTES: usize = 100;

/// The secrets of one test.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<BTreeSet<String>>);

impl Secrets {
    /// Notes a secret. That of a header field is noted without its scheme.
    pub fn note(&self, secret: &str) {
        let secret =
            ["Bearer ", "Basic "].iter().find_map(|scheme| secret.strip_prefix(scheme)).unwrap_or(secret);
        let secret = secret.trim();
        if secret.len() >= LENGTH_MIN {
            self.0.lock().insert(secret.to_owned());
        }
    }

    /// Notes the secrets of a request or an answer: the credential of a token, header fields, environment variables.
    pub fn note_document(&self, document: &Value) {
        match document {
            // A row of the access log shows header fields as anybody may see them: what is secret is masked already.
            Value::Object(fields) if fields.contains_key("trace_id") => {}
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("token", Value::String(credential)) => self.note(credential),
                        ("headers" | "env", Value::Object(values)) => {
                            values.values().filter_map(Value::as_str).for_each(|value| self.note(value));
                        }
                        _ => self.note_document(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.note_document(item)),
            _ => {}
        }
    }

    /// Searches bytes, in clear and in base64.
    ///
    /// # Panics
    /// A secret is there. The message shows where, and the secret itself: it is a test's.
    pub fn assert_absent(&self, place: &str, bytes: &[u8]) {
        self.search().check(place, bytes, None);
    }

    /// Searches every file below a directory. `homes` are the files whose job it is to hold one secret: that one is
    /// allowed there, all others are not.
    ///
    /// # Panics
    /// A secret is there, or a file cannot be read.
    pub fn assert_absent_below(&self, directory: &Path, homes: &[PathBuf]) {
        let search = self.search();
        let mut folders = vec![directory.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("read a directory") {
                let entry = entry.expect("read a directory");
                let (path, kind) = (entry.path(), entry.file_type().expect("look at a file"));
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    let bytes = fs::read(&path).expect("read a file");
                    let own =
                        homes.contains(&path).then(|| String::from_utf8_lossy(&bytes).trim().to_owned());
                    search.check(&path.display().to_string(), &bytes, own.as_deref());
                }
            }
        }
    }

    fn search(&self) -> Search {
        let secrets: Vec<String> = self.0.lock().iter().cloned().collect();
        let forms =
            secrets.iter().flat_map(|secret| forms(secret).into_iter().map(|form| (form, secret.clone())));
        let (forms, of): (Vec<_>, Vec<_>) = forms.unzip();
        Search { patterns: AhoCorasick::new(forms).expect("the patterns are few and short"), of }
    }
}

struct Search {
    patterns: AhoCorasick,
    /// The secret behind each pattern.
    of: Vec<String>,
}

impl Search {
    fn check(&self, place: &str, bytes: &[u8], own: Option<&str>) {
        let mut found = self.patterns.find_iter(bytes);
        if let Some(found) = found.find(|found| Some(self.of[found.pattern()].as_str()) != own) {
            let from = found.start().saturating_sub(CONTEXT_BYTES);
            let until = bytes.len().min(found.end() + CONTEXT_BYTES);
            let context = String::from_utf8_lossy(&bytes[from..until]);
            panic!("the secret {} shows in {place}: {context}", self.of[found.pattern()]);
        }
    }
}

/// The secret in clear, and what of it stands in base64 wherever it begins in the text that was encoded: the digits
/// that also hold bits of its neighbours are left out.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for before in 0..3 {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        let first = [0, 2, 3][before];
        let last = bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.push(encoded[first..last].to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_clear_and_in_base64_wherever_it_begins() {
        let secrets = Secrets::default();
        secrets.note("Bearer the-secret->>>-of-a-test");
        let secret = "the-secret->>>-of-a-test";
        for before in ["", "u", "us", "use", "user"] {
            let text = format!("{before}{secret}:after");
            for shown in [text.clone(), STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let search = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    secrets.assert_absent("a text", shown.as_bytes());
                }));
                assert!(search.is_err(), "{shown}");
            }
        }
        secrets.assert_absent("a text", b"the-secret-of-another-test");
    }
}
