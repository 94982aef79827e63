//! The ClickHouse of the test: the embedded engine, which can be killed and started again where it was.

use std::collections::BTreeMap;

use access_log::Place;
use access_log::testing::Engine;
use tempfile::TempDir;

use super::http;

pub(crate) struct Clickhouse {
    engine: Engine,
    data: TempDir,
}

impl Clickhouse {
    /// Starts one with the tables.
    pub(super) async fn start() -> Self {
        let data = tempfile::tempdir().expect("make a directory");
        let engine = Engine::start(data.path(), "127.0.0.1:0");
        engine.client().migrate().await.expect("make the tables");
        Self { engine, data }
    }

    pub(super) fn url(&self) -> String {
        self.engine.url()
    }

    /// Kills it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.engine.kill();
    }

    /// Starts it again with its data, at its address.
    pub(crate) fn restart(&mut self) {
        self.engine = Engine::start(self.data.path(), &self.engine.address.clone());
    }

    /// How many rows have which place; none if there is no answer.
    pub(super) async fn places(&self) -> Option<BTreeMap<Place, usize>> {
        let sql =
            "SELECT sequence, index, count() FROM mcpcan.access_log GROUP BY sequence, index FORMAT TSV";
        let rows = self.query(sql).await?;
        let rows = rows.lines().map(|line| {
            let numbers: Vec<u64> =
                line.split('\t').map(|number| number.parse().expect("a number")).collect();
            let index = u32::try_from(numbers[1]).expect("an index is small");
            (Place { sequence: numbers[0], index }, usize::try_from(numbers[2]).expect("a count is small"))
        });
        Some(rows.collect())
    }

    /// How many calls have ended, by the rows.
    pub(super) async fn ended_calls(&self) -> String {
        let ends = "event IN ('response', 'error', 'auth_failed', 'rate_limited')";
        let sql =
            format!("SELECT count() FROM mcpcan.access_log WHERE {ends} AND http_method = 'POST' FORMAT TSV");
        self.query(&sql).await.expect("ClickHouse answers")
    }

    /// How many calls have ended, by what is summed up.
    pub(super) async fn summed_up_calls(&self) -> String {
        let answer = self.query("SELECT sum(calls) FROM mcpcan.calls_per_minute FORMAT TSV").await;
        answer.expect("ClickHouse answers")
    }

    async fn query(&self, sql: &str) -> Option<String> {
        let answer = http().post(self.url()).body(sql.to_owned()).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }
}
