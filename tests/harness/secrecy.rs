//! No secret of a test is anywhere but where it belongs: the search at the end of every installation.
//!
//! What is searched: every file of the data directory (streams and buckets of NATS, which are not compressed; logs,
//! spool, run file, what `up` has printed), every row of ClickHouse, by query since its files are compressed, what
//! failed commands have said, and every command line of the installation's processes. In clear and in base64.
//!
//! What is not: what a command that succeeded has printed, since a credential is printed when it is issued; and the
//! environment of hosted servers, which are given what they were created with.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use store::Role;
use store::testing::Secrets;

use crate::http;
use crate::processes::below;

/// By data directory: an installation that is started again has the secrets of the one before.
static SECRETS: LazyLock<Mutex<HashMap<PathBuf, Arc<Secrets>>>> = LazyLock::new(Mutex::default);

/// The options of the command line after which a secret stands, as `NAME=value` or `Name: value`.
const SECRET_OPTIONS: [(&str, char); 3] = [("--env", '='), ("--header", ':'), ("--credential", '=')];

/// The secrets of one installation.
#[derive(Clone, Debug)]
pub(crate) struct Secrecy {
    data: PathBuf,
    secrets: Arc<Secrets>,
}

impl Secrecy {
    pub(crate) fn of(data: &Path) -> Self {
        let mut known = SECRETS.lock().expect("nobody panics while holding it");
        let secrets = known.entry(data.to_owned()).or_default().clone();
        Self { data: data.to_owned(), secrets }
    }

    /// Notes the keys and passwords that the installation has made for itself.
    pub(crate) fn note_own(&self) {
        for file in homes(&self.data) {
            let secret = fs::read_to_string(&file);
            self.secrets.note(&secret.unwrap_or_else(|error| panic!("read {}: {error}", file.display())));
        }
    }

    /// Notes what a command was given.
    pub(crate) fn note_arguments(&self, arguments: &[&str]) {
        for pair in arguments.windows(2) {
            for (option, separator) in SECRET_OPTIONS {
                if let (true, Some((_, secret))) = (pair[0] == option, pair[1].split_once(separator)) {
                    self.secrets.note(secret);
                }
            }
        }
    }

    /// Notes what a command has given away, if it has printed JSON.
    pub(crate) fn note_printed(&self, stdout: &str) {
        if let Ok(answer) = serde_json::from_str::<Value>(stdout) {
            self.secrets.note_document(&answer);
        }
    }

    /// # Panics
    /// A secret is there.
    pub(crate) fn check_said(&self, command: &str, said: &str) {
        self.secrets.assert_absent(&format!("what `{command}` says when it fails"), said.as_bytes());
    }

    /// Searches what can be seen only while the installation runs.
    ///
    /// # Panics
    /// A secret is there.
    pub(crate) async fn check_running(&self, clickhouse: &str) {
        for process in below(&self.data) {
            self.secrets.assert_absent("a command line", process.command.as_bytes());
        }
        let tables = "SELECT database || '.' || name FROM system.tables \
                      WHERE lower(database) NOT IN ('system', 'information_schema') FORMAT TabSeparated";
        let tables = self.ask(clickhouse, tables).await;
        assert!(tables.lines().count() > 1, "ClickHouse tells its tables: {tables:?}");
        for table in tables.lines() {
            let rows = self.ask(clickhouse, &format!("SELECT * FROM {table} FORMAT JSONEachRow")).await;
            self.secrets.assert_absent(&format!("ClickHouse's table {table}"), rows.as_bytes());
        }
    }

    async fn ask(&self, clickhouse: &str, query: &str) -> String {
        let password =
            fs::read_to_string(clickhouse_password(&self.data)).expect("ClickHouse has a password");
        let request = http().post(clickhouse).header("x-clickhouse-user", "default");
        let request = request.header("x-clickhouse-key", password.trim()).body(query.to_owned());
        let answer = request.send().await.expect("ClickHouse answers");
        let status = answer.status();
        let text = answer.text().await.expect("ClickHouse answers whole");
        assert!(status.is_success(), "{query}: {text}");
        text
    }

    /// Searches what the installation has left behind.
    ///
    /// # Panics
    /// A secret is there.
    pub(crate) fn check_left(&self) {
        self.secrets.assert_absent_below(&self.data, &homes(&self.data));
    }
}

/// The files whose job it is to hold one secret.
fn homes(data: &Path) -> Vec<PathBuf> {
    let passwords = Role::ALL.map(|role| data.join(format!("nats/users/{role}.password")));
    let keys = [data.join("admin.key"), data.join("master.key"), clickhouse_password(data)];
    passwords.into_iter().chain(keys).collect()
}

fn clickhouse_password(data: &Path) -> PathBuf {
    data.join("clickhouse/password")
}
