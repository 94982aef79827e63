//! Applies `clickhouse/migrations/`, in order, and remembers what it has applied.
//!
//! ClickHouse has neither transactions over schema changes nor locks. So every statement of a migration may run
//! again, and twice at once (`IF NOT EXISTS` and its like): a run that dies in the middle is simply run again, and two
//! runs at once do the same work to the same end. A migration is recorded after its last statement, under a
//! deduplication token of its own, so two runs leave one record. A released migration is never edited; its checksum is
//! compared at every run.

use std::collections::HashMap;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::client::Client;
#[cfg(feature = "testing")]
use crate::cluster::{Cluster, UnknownForm};
use crate::error::Error;

/// Creates the database and the table of records themselves, so it runs before anything is known, every time.
const BOOKKEEPING: &str = include_str!("../../../clickhouse/migrations/0000_bookkeeping.sql");

/// All migrations in their order; a test compares the list with the folder.
const MIGRATIONS: [Migration; 11] = [
    Migration {
        name: "0001_access_log",
        sql: include_str!("../../../clickhouse/migrations/0001_access_log.sql"),
    },
    Migration {
        name: "0002_container_log",
        sql: include_str!("../../../clickhouse/migrations/0002_container_log.sql"),
    },
    Migration {
        name: "0003_token_usage",
        sql: include_str!("../../../clickhouse/migrations/0003_token_usage.sql"),
    },
    Migration {
        name: "0004_access_log_details",
        sql: include_str!("../../../clickhouse/migrations/0004_access_log_details.sql"),
    },
    Migration {
        name: "0005_container_log_details",
        sql: include_str!("../../../clickhouse/migrations/0005_container_log_details.sql"),
    },
    Migration { name: "0006_rollups", sql: include_str!("../../../clickhouse/migrations/0006_rollups.sql") },
    Migration { name: "0007_search", sql: include_str!("../../../clickhouse/migrations/0007_search.sql") },
    Migration { name: "0008_views", sql: include_str!("../../../clickhouse/migrations/0008_views.sql") },
    Migration {
        name: "0009_retention",
        sql: include_str!("../../../clickhouse/migrations/0009_retention.sql"),
    },
    Migration { name: "0010_places", sql: include_str!("../../../clickhouse/migrations/0010_places.sql") },
    Migration { name: "0011_health", sql: include_str!("../../../clickhouse/migrations/0011_health.sql") },
];

struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// What a run of the migrations did, by name and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Applied by this run. Two runs at once may both name a migration; its record is one.
    pub applied: Vec<String>,
    /// Applied before.
    pub already_applied: Vec<String>,
}

#[derive(Row, Serialize, Deserialize)]
struct Record {
    name: String,
    checksum: String,
}

impl Client {
    /// Brings the tables to the form this binary needs. Safe to repeat and safe beside another run.
    ///
    /// # Errors
    /// [`Error::MigrationChanged`] when an applied migration differs from the one carried here; then nothing is done.
    /// [`Error::Unavailable`] and [`Error::Rejected`] from the server, with everything before the failing statement
    /// done.
    pub async fn migrate(&self) -> Result<Migrated, Error> {
        self.apply(BOOKKEEPING).await?;
        let recorded = self.recorded().await?;
        for migration in &MIGRATIONS {
            compare(migration, &recorded)?;
        }
        let mut migrated = Migrated::default();
        for migration in &MIGRATIONS {
            if recorded.contains_key(migration.name) {
                migrated.already_applied.push(migration.name.to_owned());
                continue;
            }
            self.apply(migration.sql).await?;
            self.record(migration).await?;
            migrated.applied.push(migration.name.to_owned());
        }
        Ok(migrated)
    }

    async fn apply(&self, sql: &str) -> Result<(), Error> {
        let mut all = statements(sql);
        if let Some(cluster) = self.cluster() {
            let on_cluster = all.iter().map(|statement| cluster.statements(statement));
            all = on_cluster.collect::<Result<Vec<_>, _>>()?.concat();
        }
        for statement in all {
            self.within("migrate", self.statement(&statement).execute()).await?;
        }
        Ok(())
    }

    async fn recorded(&self) -> Result<HashMap<String, String>, Error> {
        let query = self.query("SELECT ?fields FROM mcpcan.migrations ORDER BY name");
        let records = self.within("read applied migrations", query.fetch_all::<Record>()).await?;
        Ok(records.into_iter().map(|record| (record.name, record.checksum)).collect())
    }

    async fn record(&self, migration: &Migration) -> Result<(), Error> {
        let insert = self
            .query("INSERT INTO mcpcan.migrations (name, checksum) VALUES (?, ?)")
            .with_setting("insert_deduplication_token", migration.name)
            .with_setting("insert_deduplicate", "1")
            .with_setting("async_insert", "0")
            .bind(migration.name)
            .bind(checksum(migration.sql));
        self.within("record migration", insert.execute()).await
    }
}

fn compare(migration: &Migration, recorded: &HashMap<String, String>) -> Result<(), Error> {
    let carried = checksum(migration.sql);
    match recorded.get(migration.name) {
        Some(recorded) if *recorded != carried => Err(Error::MigrationChanged {
            name: migration.name.to_owned(),
            recorded: recorded.clone(),
            carried,
        }),
        _ => Ok(()),
    }
}

fn checksum(sql: &str) -> String {
    blake3::hash(sql.as_bytes()).to_hex().to_string()
}

/// All statements of all migrations, in their order, as they run on a cluster.
///
/// # Errors
/// A statement has a form that is not known there.
#[cfg(feature = "testing")]
pub fn statements_on(cluster: &Cluster) -> Result<Vec<String>, UnknownForm> {
    let files = std::iter::once(BOOKKEEPING).chain(MIGRATIONS.iter().map(|migration| migration.sql));
    let found = files.flat_map(statements).map(|statement| cluster.statements(&statement));
    Ok(found.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Splits a migration: a statement ends with a semicolon at the end of a line, a line that starts with `--` is
/// comment.
fn statements(sql: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for line in sql.lines().filter(|line| !line.trim_start().starts_with("--")) {
        match line.trim_end().strip_suffix(';') {
            Some(last) => {
                current.push_str(last);
                statements.push(std::mem::take(&mut current).trim().to_owned());
            }
            None => {
                current.push_str(line);
                current.push('\n');
            }
        }
    }
    if !current.trim().is_empty() {
        statements.push(current.trim().to_owned());
    }
    statements
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_in_the_folder_is_carried_in_its_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clickhouse/migrations");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut carried = vec!["0000_bookkeeping.sql".to_owned()];
        carried.extend(MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)));
        assert_eq!(files.into_iter().collect::<Vec<_>>(), carried);
    }

    #[test]
    fn statements_end_at_a_semicolon_that_ends_a_line() {
        let sql = "-- why; so\nCREATE TABLE a\n(b String DEFAULT 'x;y')\nENGINE = Memory;\n\nDROP TABLE c;\n";
        assert_eq!(
            statements(sql),
            ["CREATE TABLE a\n(b String DEFAULT 'x;y')\nENGINE = Memory", "DROP TABLE c"]
        );
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let migration = Migration { name: "0001_x", sql: "SELECT 1;" };
        let recorded = HashMap::from([("0001_x".to_owned(), checksum("SELECT 2;"))]);
        assert!(matches!(compare(&migration, &recorded), Err(Error::MigrationChanged { .. })));
        assert!(compare(&migration, &HashMap::new()).is_ok());
    }
}
