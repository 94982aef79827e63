//! The request that creates an instance: its form, and every rule on its values that needs no look at the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::instance::{Access, CommandLine, Hosted, HostedTransport, Remote, RemoteTransport};
use domain::instance_name::InstanceName;
use domain::sealed::SECRET_BYTES_MAX;
use domain::{InstanceId, Sealed};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use store::Vault;
use url::Url;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::violation::Violations;

/// The longest path that Linux takes (`PATH_MAX`).
const PROGRAM_BYTES_MAX: usize = 4096;
const ARGS_MAX: usize = 256;
/// All arguments together. Linux takes 128 KiB for one (`MAX_ARG_STRLEN`).
const ARGS_BYTES_MAX: usize = 128 * 1024;
const ENV_MAX: usize = 256;
const ENV_NAME_BYTES_MAX: usize = 256;
/// Names that the platform itself sets for the processes it starts.
const ENV_RESERVED_PREFIX: &str = "MCPCAN_";
const URL_BYTES_MAX: usize = 2048;
const HEADERS_MAX: usize = 64;
const HEADER_NAME_BYTES_MAX: usize = 256;
/// All secret values of one instance together: sealed, the command still has to fit into one message of the bus.
const SECRETS_BYTES_MAX: usize = 128 * 1024;

/// Header fields that belong to one connection (RFC 9110 section 7.6.1), that say how long and for whom a message
/// is (sections 7.2 and 8.6), or that MCP itself gives a meaning per request.
const HEADERS_REFUSED: [&str; 14] = [
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

/// The body of `POST /instances`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInstance {
    name: String,
    access: AccessMode,
    transport: Transport,
    /// Hosted instances have it, and no others.
    command: Option<Command>,
    /// Proxied and direct instances have it, and no others.
    url: Option<String>,
    /// Proxied and direct instances may have them.
    headers: Option<BTreeMap<String, SecretText>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum AccessMode {
    Hosted,
    Proxy,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Transport {
    Stdio,
    Sse,
    StreamableHttp,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Command {
    program: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, SecretText>,
}

/// A value that may be a credential. Serialized only into the request's keyed fingerprint.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct SecretText(Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A request that keeps all rules. Its secrets are still in clear.
#[derive(Debug)]
pub(crate) struct NewInstance {
    pub(crate) name: InstanceName,
    access: NewAccess,
}

#[derive(Debug)]
enum NewAccess {
    Hosted { command: CommandLine, env: BTreeMap<String, SecretText> },
    Proxy(NewRemote),
    Direct(NewRemote),
}

#[derive(Debug)]
struct NewRemote {
    transport: RemoteTransport,
    url: Url,
    headers: BTreeMap<String, SecretText>,
}

impl NewInstance {
    /// The access mode as a command carries it: every secret sealed under the key of the instance.
    ///
    /// # Errors
    /// The vault cannot be reached.
    pub(crate) async fn seal(self, id: InstanceId, vault: &Vault) -> Result<(InstanceName, Access), Error> {
        let access = match self.access {
            NewAccess::Hosted { command, env } => Access::Hosted(Hosted {
                transport: HostedTransport::Stdio,
                command,
                env: seal_all(env, id, vault).await?,
            }),
            NewAccess::Proxy(remote) => Access::Proxy(remote.seal(id, vault).await?),
            NewAccess::Direct(remote) => Access::Direct(remote.seal(id, vault).await?),
        };
        Ok((self.name, access))
    }
}

impl NewRemote {
    async fn seal(self, id: InstanceId, vault: &Vault) -> Result<Remote, Error> {
        Ok(Remote {
            transport: self.transport,
            url: self.url.into(),
            headers: seal_all(self.headers, id, vault).await?,
        })
    }
}

async fn seal_all(
    secrets: BTreeMap<String, SecretText>,
    id: InstanceId,
    vault: &Vault,
) -> Result<BTreeMap<String, Sealed>, Error> {
    let mut sealed = BTreeMap::new();
    for (name, SecretText(secret)) in secrets {
        sealed.insert(name, vault.seal(id.0, secret.as_bytes()).await?);
    }
    Ok(sealed)
}

impl CreateInstance {
    /// # Errors
    /// `Error::Invalid` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<NewInstance, Error> {
        let mut violations = Violations::default();
        let name = check_name(&self.name, &mut violations);
        let access = match self.access {
            AccessMode::Hosted => self.check_hosted(&mut violations),
            AccessMode::Proxy => self.check_remote(&mut violations).map(NewAccess::Proxy),
            AccessMode::Direct => self.check_remote(&mut violations).map(NewAccess::Direct),
        };
        violations.into_result()?;
        let (name, access) = name.zip(access).expect("what is missing was noted as a violation");
        Ok(NewInstance { name, access })
    }

    fn check_hosted(self, violations: &mut Violations) -> Option<NewAccess> {
        match self.transport {
            Transport::Stdio => {}
            Transport::Sse | Transport::StreamableHttp => {
                violations.add_at(&["transport"], "a hosted command speaks `stdio`");
            }
        }
        if self.url.is_some() {
            violations.add_at(&["url"], "a hosted instance has no url: the platform runs its command");
        }
        if self.headers.is_some() {
            violations.add_at(&["headers"], "a hosted instance has no headers: use `command.env`");
        }
        let Some(command) = self.command else {
            violations.add_at(&["command"], "a hosted instance needs a command");
            return None;
        };
        check_program(&command.program, violations);
        check_args(&command.args, violations);
        check_env(&command.env, violations);
        let line = CommandLine { program: command.program, args: command.args };
        Some(NewAccess::Hosted { command: line, env: command.env })
    }

    fn check_remote(self, violations: &mut Violations) -> Option<NewRemote> {
        if self.command.is_some() {
            violations.add_at(&["command"], "only a hosted instance has a command");
        }
        let headers = self.headers.unwrap_or_default();
        check_headers(&headers, violations);
        let transport = match self.transport {
            Transport::Sse => Some(RemoteTransport::Sse),
            Transport::StreamableHttp => Some(RemoteTransport::StreamableHttp),
            Transport::Stdio => {
                violations.add_at(&["transport"], "a server elsewhere speaks `sse` or `streamable-http`");
                None
            }
        };
        let url = match self.url {
            Some(url) => check_url(&url, violations),
            None => {
                violations.add_at(&["url"], "an instance that is not hosted needs a url");
                None
            }
        };
        Some(NewRemote { transport: transport?, url: url?, headers })
    }
}

fn check_name(name: &str, violations: &mut Violations) -> Option<InstanceName> {
    match name.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let error: domain::instance_name::InvalidName = error;
            violations.add_at(&["name"], error.to_string());
            None
        }
    }
}

fn check_program(program: &str, violations: &mut Violations) {
    let path = ["command", "program"];
    if program.trim().is_empty() {
        violations.add_at(&path, "the program is missing");
    }
    if program.len() > PROGRAM_BYTES_MAX {
        violations.add_at(&path, format!("a program has at most {PROGRAM_BYTES_MAX} bytes"));
    }
    check_no_nul(&path, program, violations);
}

fn check_args(args: &[String], violations: &mut Violations) {
    if args.len() > ARGS_MAX {
        violations.add_at(&["command", "args"], format!("a command has at most {ARGS_MAX} arguments"));
    }
    if args.iter().map(String::len).sum::<usize>() > ARGS_BYTES_MAX {
        let detail = format!("the arguments have at most {ARGS_BYTES_MAX} bytes together");
        violations.add_at(&["command", "args"], detail);
    }
    for (index, arg) in args.iter().enumerate() {
        check_no_nul(&["command", "args", &index.to_string()], arg, violations);
    }
}

fn check_env(env: &BTreeMap<String, SecretText>, violations: &mut Violations) {
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
        violations.add_at(path, format!("the values have at most {SECRETS_BYTES_MAX} bytes together"));
    }
    for (name, SecretText(value)) in secrets {
        if value.len() > SECRET_BYTES_MAX {
            let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            violations.add_at(&path, format!("a value has at most {SECRET_BYTES_MAX} bytes"));
        }
    }
}

fn check_url(text: &str, violations: &mut Violations) -> Option<Url> {
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
    Some(url)
}

fn check_headers(headers: &BTreeMap<String, SecretText>, violations: &mut Violations) {
    check_secrets(&["headers"], headers, HEADERS_MAX, violations);
    let mut seen = BTreeSet::new();
    for (name, SecretText(value)) in headers {
        let path = ["headers", name.as_str()];
        if name.len() > HEADER_NAME_BYTES_MAX || HeaderName::from_bytes(name.as_bytes()).is_err() {
            let detail = format!("a header field's name is a token of at most {HEADER_NAME_BYTES_MAX} bytes");
            violations.add_at(&path, detail);
        }
        let lower = name.to_ascii_lowercase();
        if HEADERS_REFUSED.contains(&lower.as_str()) {
            violations.add_at(&path, "this header field is set by the gateway or by HTTP itself");
        }
        if !seen.insert(lower) {
            violations.add_at(&path, "this header field is given twice: the case of a name does not count");
        }
        if !is_header_value(value) {
            let detail = "a header field's value is visible ASCII with single blanks or tabs inside";
            violations.add_at(&path, detail);
        }
    }
}

/// RFC 9110 section 5.5, without what it calls obsolete (bytes beyond ASCII).
fn is_header_value(value: &str) -> bool {
    value.is_ascii() && HeaderValue::from_str(value).is_ok() && value.trim() == value
}

#[cfg(test)]
mod tests;
