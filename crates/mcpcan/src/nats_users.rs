//! The NATS users, one for each role, with their passwords in files of one directory; and `nats-config`, which makes
//! them for a server that `mcpcan up` does not start.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use store::{Credentials, Role, role};
use zeroize::Zeroizing;

use crate::backing::read_secret;
use crate::data_directory::{kept_secret, make_directory, write_private};
use crate::failure::Failure;
use crate::output::Output;

/// What a server's own configuration includes.
const CONFIG_FILE: &str = "users.conf";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to write users.conf, and each role's password beside it in a file of its own; what is there is kept.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The passwords of all users.
pub(crate) struct Passwords(Vec<(Role, Zeroizing<String>)>);

impl Passwords {
    /// Reads the passwords in a directory; those that are missing are made.
    pub(crate) fn keep(directory: &Path) -> anyhow::Result<Self> {
        make_directory(directory)?;
        let password = |role| Ok((role, kept_secret(&password_file(directory, role))?));
        Role::ALL.into_iter().map(password).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Reads the passwords in a directory where all of them have been made.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Self> {
        let password = |role| Ok((role, read_secret(&password_file(directory, role))?));
        Role::ALL.into_iter().map(password).collect::<anyhow::Result<_>>().map(Self)
    }

    /// The part of a server's configuration that lets these users in.
    pub(crate) fn config(&self) -> String {
        role::users_config(&self.0)
    }

    pub(crate) fn credentials(&self, role: Role) -> Option<Credentials> {
        let (_, password) = self.0.iter().find(|(of, _)| *of == role)?;
        Some(Credentials::of(role, password.clone()))
    }
}

fn password_file(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{role}.password"))
}

/// Writes users and passwords, and says where they are.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let passwords = Passwords::keep(&arguments.directory)?;
    let directory = fs::canonicalize(&arguments.directory).map_err(anyhow::Error::from)?;
    let config = directory.join(CONFIG_FILE);
    write_private(&config, &passwords.config())?;
    let files = Role::ALL.map(|role| (role.name().to_owned(), json!(password_file(&directory, role))));
    let document = json!({ "config": config, "password_files": serde_json::Map::from_iter(files) });
    Ok(output.one(&document, || {
        let (config, directory) = (config.display(), directory.display());
        format!(
            "{config}: the users and what each may do; include it in the server's own configuration\n\
             {directory}/<role>.password: what each role is given with --nats-user and --nats-password-file"
        )
    })?)
}
