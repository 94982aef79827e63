//! The rules on single values of settings. Each function notes what breaks them, with its place in the body.

pub(super) mod health;
pub(super) mod hosted;
pub(super) mod image;
pub(super) mod profile;

use std::collections::{BTreeMap, BTreeSet};

use domain::Name;
use domain::name::InvalidName;
use domain::sealed::SECRET_BYTES_MAX;
use http::{HeaderName, HeaderValue};
use url::Url;

use super::secret::SecretText;
use crate::violation::Violations;

/// The longest path that Linux takes (`PATH_MAX`).
pub(super) const PROGRAM_BYTES_MAX: usize = 4096;
pub(super) const ARGS_MAX: usize = 256;
/// All arguments together. Linux takes 128 KiB for one (`MAX_ARG_STRLEN`).
pub(super) const ARGS_BYTES_MAX: usize = 128 * 1024;
pub(super) const ENV_MAX: usize = 256;
pub(super) const ENV_NAME_BYTES_MAX: usize = 256;
/// Names that the platform itself sets for the processes it starts.
const ENV_RESERVED_PREFIX: &str = "MCPCAN_";
pub(super) const URL_BYTES_MAX: usize = 2048;
pub(super) const HEADERS_MAX: usize = 64;
pub(super) const HEADER_NAME_BYTES_MAX: usize = 256;
/// All secret values of one instance together: sealed, the command still has to fit into one message of the bus.
pub(super) const SECRETS_BYTES_MAX: usize = 128 * 1024;

/// Header fields that belong to one connection (RFC 9110 section 7.6.1), that say how long and for whom a message
/// is (sections 7.2 and 8.6), or that MCP itself gives a meaning per request.
pub(super) const HEADERS_REFUSED: [&str; 14] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check_name(name: &str, violations: &mut Violations) -> Option<Name> {
    match name.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            violations.add_at(&["name"], InvalidName::to_string(&error));
            None
        }
    }
}

pub(super) fn check_program(program: &str, violations: &mut Violations) {
    let path = ["command", "program"];
    if program.trim().is_empty() {
        violations.add_at(&path, "the program is missing");
    }
    if program.len() > PROGRAM_BYTES_MAX {
        violations.add_beyond_form_at(&path, format!("a program has at most {PROGRAM_BYTES_MAX} bytes"));
    }
    check_no_nul(&path, program, violations);
}

pub(super) fn check_args(args: &[String], violations: &mut Violations) {
    if args.len() > ARGS_MAX {
        violations.add_at(&["command", "args"], format!("a command has at most {ARGS_MAX} arguments"));
    }
    if args.iter().map(String::len).sum::<usize>() > ARGS_BYTES_MAX {
        let detail = format!("the arguments have at most {ARGS_BYTES_MAX} bytes together");
        violations.add_beyond_form_at(&["command", "args"], detail);
    }
    for (index, arg) in args.iter().enumerate() {
        check_no_nul(&["command", "args", &index.to_string()], arg, violations);
    }
}

pub(super) fn check_env(env: &BTreeMap<String, SecretText>, violations: &mut Violations) {
    check_secrets(&["command", "env"], env, ENV_MAX, violations);
    for (name, SecretText(value)) in env {
        let path = ["command", "env", name.as_str()];
        if !is_env_name(name) {
            let detail = "a variable's name has only letters, digits and underscores, and no digit in front";
            violations.add_at(&path, detail);
        }
        if name.len() > ENV_NAME_BYTES_MAX {
            violations.add_at(&path, format!("a variable's name has at most {ENV_NAME_BYTES_MAX} bytes"));
        }
        if name.starts_with(ENV_RESERVED_PREFIX) {
            let detail = format!("names that begin with {ENV_RESERVED_PREFIX} are the platform's own");
            violations.add_at(&path, detail);
        }
        check_no_nul(&path, value, violations);
    }
}

fn is_env_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn check_no_nul(path: &[&str], text: &str, violations: &mut Violations) {
    if text.contains('\0') {
        violations.add_at(path, "a NUL character cannot be passed to a process");
    }
}

fn check_secrets(
    path: &[&str],
    secrets: &BTreeMap<String, SecretText>,
    count_max: usize,
    violations: &mut Violations,
) {
    if secrets.len() > count_max {
        violations.add_at(path, format!("there are at most {count_max} entries"));
    }
    if secrets.values().map(|SecretText(value)| value.len()).sum::<usize>() > SECRETS_BYTES_MAX {
        let detail = format!("the values have at most {SECRETS_BYTES_MAX} bytes together");
        violations.add_beyond_form_at(path, detail);
    }
    for (name, SecretText(value)) in secrets {
        if value.len() > SECRET_BYTES_MAX {
            let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            violations.add_beyond_form_at(&path, format!("a value has at most {SECRET_BYTES_MAX} bytes"));
        }
    }
}

pub(super) fn check_url(text: &str, violations: &mut Violations) -> Option<Url> {
    let mut wrong = |detail: String| {
        violations.add_at(&["url"], detail);
        None
    };
    if text.len() > URL_BYTES_MAX {
        return wrong(format!("a url has at most {URL_BYTES_MAX} bytes"));
    }
    // The parser strips tabs and line ends wherever they stand, so it would accept what nobody meant.
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return wrong("a url has neither blanks nor control characters".to_owned());
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return wrong(format!("an absolute http or https url is needed: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("the url must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("a url must not hold credentials: use `headers`, which are sealed".to_owned());
    }
    if url.fragment().is_some() {
        return wrong("a url must not have a fragment".to_owned());
    }
    // A key in a query would stand in the log for ever, in clear. Which queries hold none, nobody can tell.
    if url.query().is_some() {
        let detail = "a url must not have a query, not even a harmless one: it would be kept unsealed; \
                      put a credential into `headers`, which are sealed";
        return wrong(detail.to_owned());
    }
    Some(url)
}

pub(crate) fn check_headers(headers: &BTreeMap<String, SecretText>, violations: &mut Violations) {
    check_secrets(&["headers"], headers, HEADERS_MAX, violations);
    let mut seen = BTreeSet::new();
    for (name, SecretText(value)) in headers {
        let path = ["headers", name.as_str()];
        check_header_name(&path, name, violations);
        if !seen.insert(name.to_ascii_lowercase()) {
            let detail = "this header field is given twice: the case of a name does not count";
            violations.add_beyond_form_at(&path, detail);
        }
        if !is_header_value(value) {
            let detail = "a header field's value is visible ASCII with single blanks or tabs inside";
            violations.add_at(&path, detail);
        }
    }
}

pub(crate) fn check_header_name(path: &[&str], name: &str, violations: &mut Violations) {
    if name.len() > HEADER_NAME_BYTES_MAX || HeaderName::from_bytes(name.as_bytes()).is_err() {
        let detail = format!("a header field's name is a token of at most {HEADER_NAME_BYTES_MAX} bytes");
        violations.add_at(path, detail);
    }
    if HEADERS_REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
        violations.add_at(path, "this header field is set by the gateway or by HTTP itself");
    }
}

/// RFC 9110 section 5.5, without what it calls obsolete (bytes beyond ASCII).
fn is_header_value(value: &str) -> bool {
    value.is_ascii() && HeaderValue::from_str(value).is_ok() && value.trim() == value
}
