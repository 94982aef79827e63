//! From the words of the command line to the body of a request that issues or edits a token.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::settings::{header_pair, secrets};

/// The longest file that is read for a credential, in bytes: a longer one holds something else.
const VALUE_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a new token may be given.
#[derive(Debug, Args)]
pub(crate) struct NewFields {
    /// What you call it. Several tokens may be called the same, but then only the id names one of them.
    #[arg(long, default_value = "")]
    label: String,
    #[command(flatten)]
    credential: NewCredential,
    #[command(flatten)]
    fields: Fields,
}

/// What a credential is made of.
#[derive(Debug, Args)]
pub(crate) struct NewCredential {
    /// A file with a credential of your own, `-` for standard input; a random one is made otherwise. 16 to 512 letters,
    /// digits and `-._~+/`.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["username", "password_file", "encoded_file"])]
    value_file: Option<PathBuf>,
    /// Of kind basic: who presents it. A rotation leaves it as it is.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Of kind basic: a file with a password of your own, `-` for standard input, of at least 8 characters; a random one
    /// is made otherwise.
    #[arg(long, value_name = "FILE|-")]
    password_file: Option<PathBuf>,
    /// Of kind basic, in place of both: a file with what follows `Basic `, in an encoding of your own.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["username", "password_file"])]
    encoded_file: Option<PathBuf>,
}

/// What may be changed of a token.
#[derive(Debug, Args)]
pub(crate) struct ChangedFields {
    /// What you call it from now on; empty to take the label away.
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    fields: Fields,
    /// A header field to be added no longer; repeat for more.
    #[arg(long, value_name = "NAME")]
    remove_header: Vec<String>,
    /// Pass none of the client's listed header fields on any more.
    #[arg(long, conflicts_with = "passthrough")]
    no_passthrough: bool,
}

#[derive(Debug, Args)]
struct Fields {
    /// When it expires: `30d`, `12h`, `2027-01-01T00:00:00Z`, or `never`.
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// A header field that the gateway adds for a proxied server; repeat for more. Kept sealed.
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// A header field of the client that reaches a proxied server though it otherwise would not, such as `cookie`;
    /// repeat for more. An edit gives the whole list.
    #[arg(long, value_name = "NAME")]
    passthrough: Vec<String>,
}

impl NewFields {
    pub(super) fn body(&self, kind: &str) -> Result<Value, Failure> {
        let mut body = self.fields.body()?;
        if self.fields.never() {
            body.remove("expires_at");
        }
        body.insert("kind".to_owned(), json!(kind));
        body.insert("label".to_owned(), json!(self.label));
        body.extend(self.credential.body()?);
        Ok(Value::Object(body))
    }
}

impl NewCredential {
    pub(super) fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let files =
            [("value", &self.value_file), ("password", &self.password_file), ("encoded", &self.encoded_file)];
        for (name, file) in files {
            if let Some(file) = file {
                body.insert(name.to_owned(), json!(*read_value(file)?));
            }
        }
        if let Some(username) = &self.username {
            body.insert("username".to_owned(), json!(username));
        }
        Ok(body)
    }
}

impl ChangedFields {
    pub(super) fn body(&self) -> Result<Value, Failure> {
        let mut body = self.fields.body()?;
        if let Some(label) = &self.label {
            body.insert("label".to_owned(), json!(label));
        }
        if self.no_passthrough {
            body.insert("passthrough".to_owned(), Value::Null);
        }
        if !self.remove_header.is_empty() {
            let headers = body.entry("headers").or_insert_with(|| json!({}));
            for name in &self.remove_header {
                headers[name] = Value::Null;
            }
        }
        if body.is_empty() {
            let text = "nothing to change: name a label, an expiry, header fields or a passthrough list";
            return Err(Failure::Usage(text.to_owned()));
        }
        Ok(Value::Object(body))
    }
}

impl Fields {
    fn never(&self) -> bool {
        self.expires.as_deref() == Some("never")
    }

    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        match self.expires.as_deref() {
            None => {}
            Some("never") => drop(body.insert("expires_at".to_owned(), Value::Null)),
            // No duration has a colon, and every time has.
            Some(time) if time.contains(':') => drop(body.insert("expires_at".to_owned(), json!(time))),
            Some(duration) => drop(body.insert("expires_in".to_owned(), json!(duration))),
        }
        if !self.header.is_empty() {
            body.insert("headers".to_owned(), secrets(&self.header, "--header", header_pair)?.into());
        }
        if !self.passthrough.is_empty() {
            body.insert("passthrough".to_owned(), json!(self.passthrough));
        }
        Ok(body)
    }
}

/// A credential from a file, without the line end that editors leave there.
fn read_value(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().take(VALUE_FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(VALUE_FILE_BYTES_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("read the credential in {}", file.display()))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Issue {
        #[command(flatten)]
        fields: NewFields,
    }

    #[derive(Debug, Parser)]
    struct Edit {
        #[command(flatten)]
        fields: ChangedFields,
    }

    fn words(line: &str) -> impl Iterator<Item = &str> {
        std::iter::once("token").chain(line.split_whitespace())
    }

    fn issue(line: &str) -> Value {
        let parsed = Issue::try_parse_from(words(line)).expect("the line is understood");
        parsed.fields.body("bearer").expect("a body")
    }

    fn edit(line: &str) -> Result<Value, String> {
        let parsed = Edit::try_parse_from(words(line)).map_err(|error| error.to_string())?;
        parsed.fields.body().map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_expiry_is_a_duration_a_time_or_never() {
        assert_eq!(issue("--expires 30d"), json!({"kind": "bearer", "label": "", "expires_in": "30d"}));
        assert_eq!(issue("--label a --expires never"), json!({"kind": "bearer", "label": "a"}));
        let time = "2027-01-01T00:00:00Z";
        assert_eq!(edit(&format!("--expires {time}")), Ok(json!({ "expires_at": time })));
        assert_eq!(edit("--expires never"), Ok(json!({ "expires_at": null })));
    }

    #[test]
    fn an_edit_sets_and_removes() {
        assert_eq!(
            edit("--label x --header X-A:1 --remove-header X-B --passthrough cookie --passthrough origin"),
            Ok(
                json!({"label": "x", "headers": {"X-A": "1", "X-B": null}, "passthrough": ["cookie", "origin"]})
            )
        );
        assert_eq!(edit("--no-passthrough"), Ok(json!({ "passthrough": null })));
        for wrong in ["", "--no-passthrough --passthrough x", "--header X:1 --header X:2"] {
            assert!(edit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_credential_is_read_without_its_line_end() {
        let file = tempfile::NamedTempFile::new().expect("make a file");
        std::fs::write(file.path(), "a-credential-of-ones-own\r\n").expect("write the file");
        let issued = issue(&format!("--value-file {}", file.path().display()));
        assert_eq!(issued["value"], "a-credential-of-ones-own");
        let basic = issue(&format!("--username ann --password-file {}", file.path().display()));
        assert_eq!((&basic["username"], &basic["password"]), (&json!("ann"), &issued["value"]));
    }
}
