//! The tables on a cluster of ClickHouse servers: the same migrations, with other engines.
//!
//! Each table `x` becomes `x_local`, replicated within its shard, and a distributed table `x` over all of them, so that
//! inserts and searches name the tables they always name. A row lies in the shard of its instance. Views that sum up run
//! where the rows lie, and write there.
//!
//! The migrations are ours and of few forms; one that has none of them is refused, and a test reads them all.

use std::fmt;

/// Characters of a cluster's name, at most.
const NAME_MAX: usize = 128;

/// A cluster as the servers' configuration names it (`remote_servers`). Each server needs the macros `shard` and `replica`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster(String);

/// A name that no cluster can have in a statement of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster's name has 1 to {NAME_MAX} letters, digits, `_`, `-` or `.`")]
pub struct InvalidCluster;

/// A statement of a form that cannot be put onto a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no form for clusters of: {0}")]
pub struct UnknownForm(String);

impl Cluster {
    /// # Errors
    /// [`InvalidCluster`]
    pub fn new(name: &str) -> Result<Self, InvalidCluster> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let valid = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed);
        valid.then(|| Cluster(name.to_owned())).ok_or(InvalidCluster)
    }

    /// What a migration's statement is on this cluster.
    ///
    /// # Errors
    /// [`UnknownForm`]
    pub(crate) fn statements(&self, statement: &str) -> Result<Vec<String>, UnknownForm> {
        let unknown = || UnknownForm(statement.lines().next().unwrap_or_default().to_owned());
        if statement.starts_with("CREATE DATABASE ") {
            return Ok(vec![format!("{statement} {self}")]);
        }
        if let Some(rest) = statement.strip_prefix("CREATE TABLE IF NOT EXISTS mcpcan.") {
            return self.table(rest).ok_or_else(unknown);
        }
        if let Some(rest) = statement.strip_prefix("CREATE MATERIALIZED VIEW IF NOT EXISTS ") {
            let (name, rest) = rest.split_once(" TO mcpcan.").ok_or_else(unknown)?;
            let (target, query) = rest.split_once(" AS").ok_or_else(unknown)?;
            let query = query.replace("FROM mcpcan.access_log", "FROM mcpcan.access_log_local");
            let head = format!("CREATE MATERIALIZED VIEW IF NOT EXISTS {name} {self}");
            return Ok(vec![format!("{head} TO mcpcan.{target}_local AS{query}")]);
        }
        if let Some(rest) = statement.strip_prefix("CREATE VIEW IF NOT EXISTS ") {
            let end = rest.find(char::is_whitespace).ok_or_else(unknown)?;
            let (name, rest) = rest.split_at(end);
            return Ok(vec![format!("CREATE VIEW IF NOT EXISTS {name} {self}{rest}")]);
        }
        if let Some(rest) = statement.strip_prefix("ALTER TABLE mcpcan.") {
            let end = rest.find(char::is_whitespace).ok_or_else(unknown)?;
            let (name, rest) = rest.split_at(end);
            let mut statements = vec![format!("ALTER TABLE mcpcan.{name}_local {self}{rest}")];
            if rest.contains("ADD COLUMN") {
                statements.push(format!("ALTER TABLE mcpcan.{name} {self}{rest}"));
            }
            return Ok(statements);
        }
        Err(unknown())
    }

    /// A table and the distributed one over it, of what follows the name of the database.
    fn table(&self, rest: &str) -> Option<Vec<String>> {
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric())?;
        let (name, rest) = rest.split_at(end);
        let (columns, engine) = rest.split_once("ENGINE = ")?;
        let kind_end = engine.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (kind, options) = engine.split_at(kind_end);
        let (arguments, options) = match options.strip_prefix('(') {
            Some(options) => {
                options.split_once(')').map(|(arguments, rest)| (format!(", {arguments}"), rest))?
            }
            None => (String::new(), options),
        };
        let key = ["instance_id", "token_id", "name"].into_iter().find(|key| columns.contains(key))?;
        let path = format!("'/clickhouse/tables/{{shard}}/mcpcan/{name}', '{{replica}}'");
        let options =
            options.replace("non_replicated_deduplication_window", "replicated_deduplication_window");
        Some(vec![
            format!(
                "CREATE TABLE IF NOT EXISTS mcpcan.{name}_local {self}{columns}\
                 ENGINE = Replicated{kind}({path}{arguments}){options}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS mcpcan.{name} {self} AS mcpcan.{name}_local \
                 ENGINE = Distributed('{}', 'mcpcan', '{name}_local', cityHash64({key}))",
                self.0
            ),
        ])
    }
}

/// The clause that has every server of the cluster run a statement.
impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ON CLUSTER '{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_quotes_is_refused() {
        for name in ["", "a'b", "a b", "a\\", &"x".repeat(NAME_MAX + 1)] {
            assert_eq!(Cluster::new(name), Err(InvalidCluster), "{name}");
        }
    }

    #[test]
    fn a_table_is_replicated_in_its_shard_and_distributed_by_instance() {
        let cluster = Cluster::new("logs").unwrap();
        let table = "CREATE TABLE IF NOT EXISTS mcpcan.t\n(\n    instance_id UUID\n)\nENGINE = ReplacingMergeTree(v)\n\
                     ORDER BY instance_id\nSETTINGS non_replicated_deduplication_window = 7";
        assert_eq!(
            cluster.statements(table).unwrap(),
            [
                "CREATE TABLE IF NOT EXISTS mcpcan.t_local ON CLUSTER 'logs'\n(\n    instance_id UUID\n)\n\
                 ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/mcpcan/t', '{replica}', v)\n\
                 ORDER BY instance_id\nSETTINGS replicated_deduplication_window = 7",
                "CREATE TABLE IF NOT EXISTS mcpcan.t ON CLUSTER 'logs' AS mcpcan.t_local \
                 ENGINE = Distributed('logs', 'mcpcan', 't_local', cityHash64(instance_id))",
            ]
        );
        assert!(cluster.statements("DROP TABLE mcpcan.t").is_err());
    }
}
