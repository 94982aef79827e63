//! The request that creates an instance: its form, and what goes with what. `rules` has the rules on single values.

pub(crate) mod rules;
pub(crate) mod schema;

use std::collections::BTreeMap;
use std::fmt;

use domain::instance::{Access, CommandLine, Hosted, Remote, RemoteTransport, Source};
use domain::{InstanceId, Name, Sealed};
use serde::{Deserialize, Serialize};
use store::Vault;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::violation::Violations;
use rules::{check_args, check_env, check_headers, check_name, check_program, check_url};

/// The body of `POST /instances`. What must be there is optional here, so that everything that is missing is named in
/// one answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInstance {
    name: Option<String>,
    access: Option<AccessMode>,
    transport: Option<Transport>,
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
    program: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, SecretText>,
}

/// A value that may be a credential. Serialized only into the request's keyed fingerprint.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct SecretText(pub(crate) Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A request that keeps all rules. Its secrets are still in clear.
#[derive(Debug)]
pub(crate) struct NewInstance {
    pub(crate) name: Name,
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
    pub(crate) async fn seal(self, id: InstanceId, vault: &Vault) -> Result<(Name, Access), Error> {
        let access = match self.access {
            NewAccess::Hosted { command, env } => {
                Access::Hosted(Hosted::new(Source::Command(command), seal_all(env, id.0, vault).await?))
            }
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
            headers: seal_all(self.headers, id.0, vault).await?,
        })
    }
}

pub(crate) async fn seal_all(
    secrets: BTreeMap<String, SecretText>,
    owner: Uuid,
    vault: &Vault,
) -> Result<BTreeMap<String, Sealed>, Error> {
    let mut sealed = BTreeMap::new();
    for (name, SecretText(secret)) in secrets {
        sealed.insert(name, vault.seal(owner, secret.as_bytes()).await?);
    }
    Ok(sealed)
}

impl CreateInstance {
    /// # Errors
    /// `Error::Invalid` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<NewInstance, Error> {
        let mut violations = Violations::default();
        let name = required(self.name.as_deref(), &["name"], "a name", &mut violations)
            .and_then(|name| check_name(name, &mut violations));
        required(self.transport, &["transport"], "`stdio`, `sse` or `streamable-http`", &mut violations);
        let mode = required(self.access, &["access"], "`hosted`, `proxy` or `direct`", &mut violations);
        let access = mode.and_then(|mode| match mode {
            AccessMode::Hosted => self.check_hosted(&mut violations),
            AccessMode::Proxy => self.check_remote(&mut violations).map(NewAccess::Proxy),
            AccessMode::Direct => self.check_remote(&mut violations).map(NewAccess::Direct),
        });
        violations.into_result()?;
        let (name, access) = name.zip(access).expect("what is missing was noted as a violation");
        Ok(NewInstance { name, access })
    }

    fn check_hosted(self, violations: &mut Violations) -> Option<NewAccess> {
        match self.transport {
            Some(Transport::Stdio) | None => {}
            Some(Transport::Sse | Transport::StreamableHttp) => {
                violations.add_at(&["transport"], "a hosted command speaks `stdio`");
            }
        }
        if self.url.is_some() {
            violations.add_at(&["url"], "a hosted instance has no url: the platform runs its command");
        }
        if self.headers.is_some() {
            violations.add_at(&["headers"], "a hosted instance has no headers: use `command.env`");
        }
        let command = required(self.command, &["command"], "a command", violations)?;
        let program = required(command.program, &["command", "program"], "a program", violations);
        if let Some(program) = &program {
            check_program(program, violations);
        }
        check_args(&command.args, violations);
        check_env(&command.env, violations);
        let line = CommandLine { program: program?, args: command.args };
        Some(NewAccess::Hosted { command: line, env: command.env })
    }

    fn check_remote(self, violations: &mut Violations) -> Option<NewRemote> {
        if self.command.is_some() {
            violations.add_at(&["command"], "only a hosted instance has a command");
        }
        let headers = self.headers.unwrap_or_default();
        check_headers(&headers, violations);
        let transport = match self.transport {
            Some(Transport::Sse) => Some(RemoteTransport::Sse),
            Some(Transport::StreamableHttp) => Some(RemoteTransport::StreamableHttp),
            None => None,
            Some(Transport::Stdio) => {
                violations.add_at(&["transport"], "a server elsewhere speaks `sse` or `streamable-http`");
                None
            }
        };
        let url = required(self.url, &["url"], "the url of the server", violations)
            .and_then(|url| check_url(&url, violations));
        Some(NewRemote { transport: transport?, url: url?, headers })
    }
}

/// Notes that a value is missing, if it is.
fn required<T>(value: Option<T>, path: &[&str], what: &str, violations: &mut Violations) -> Option<T> {
    if value.is_none() {
        violations.add_at(path, format!("{what} is needed here"));
    }
    value
}

#[cfg(test)]
mod tests;
