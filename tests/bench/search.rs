//! Searches over a week of calls, on the embedded engine, through the client that the api uses.

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use access_log::testing::Engine;
use access_log::{Client, Level, TraceFilter, TraceQuery, TraceRecord};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::figure::{Figures, Goal};

/// How many rows there are, unless `MCPCAN_BENCH_ROWS` says otherwise. They take some 5 GB.
const ROWS: u64 = 100_000_000;
/// Calls that one statement makes up.
const CALLS_AT_ONCE: u64 = 2_500_000;
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many of the parts that come together may be left before it is measured.
const PARTS_MAX: u64 = 60;
/// What a search may take the second time, in milliseconds.
const SEARCH_MS_MAX: f64 = 100.0;
/// What a row may take on disk, indices included.
const ROW_BYTES_MAX: f64 = 60.0;
const FILL: &str = include_str!("search/rows.sql");
/// How often a search is repeated; the first time is for the caches.
const REPETITIONS: usize = 5;

struct Bench {
    engine: Engine,
    http: reqwest::Client,
    client: Client,
}

#[expect(clippy::cast_precision_loss, reason = "counts of bytes")]
pub(crate) async fn run(figures: &mut Figures) {
    let rows: u64 = env::var("MCPCAN_BENCH_ROWS").map_or(ROWS, |text| text.parse().expect("a number"));
    let data = TempDir::new_in(target()).expect("make a directory");
    let engine = Engine::start(data.path(), "127.0.0.1:0");
    let bench = Bench { client: engine.client(), engine, http: harness::http() };
    bench.client.migrate().await.expect("make the tables");
    // Sums over blocks of millions of rows take more memory than those over the batches of a sink.
    for view in ["calls_per_minute_of_ends", "errors_per_hour_of_ends"] {
        bench.sql(&format!("DROP VIEW mcpcan.{view}"), &[]).await;
    }
    let filled = bench.fill(rows).await;
    figures.add("search: rows made up and inserted by the engine", filled, "/s", Goal::None);
    let bytes =
        bench.number("SELECT sum(bytes_on_disk) FROM system.parts WHERE table = 'access_log' AND active");
    let per_row = bytes.await as f64 / rows as f64;
    figures.add("search: bytes of a row on disk", per_row, "bytes", Goal::AtMost(ROW_BYTES_MAX));
    let known = bench.some_row().await;
    for (name, filter) in searches(&known) {
        bench.measure(figures, name, filter).await;
    }
}

/// What people look for, of a row that is there.
fn searches(known: &TraceRecord) -> [(&'static str, TraceFilter); 6] {
    let day = SignedDuration::from_hours(24);
    let all = TraceFilter::default();
    let of_day =
        TraceFilter { since: Some(known.time - day / 2), until: Some(known.time + day / 2), ..all.clone() };
    [
        ("a trace id", TraceFilter { trace_id: Some(known.trace_id.clone()), ..all.clone() }),
        // The api knows which instance a token opens.
        (
            "a token",
            TraceFilter {
                token_id: Some(known.token_id),
                instance_id: Some(known.instance_id),
                ..all.clone()
            },
        ),
        (
            "a token whose instance is not known",
            TraceFilter { token_id: Some(known.token_id), ..all.clone() },
        ),
        (
            "an instance, a level and a day",
            TraceFilter { instance_id: Some(known.instance_id), level: Some(Level::Error), ..of_day.clone() },
        ),
        ("a text in bodies of one day", TraceFilter { text: Some("order a31415".to_owned()), ..of_day }),
        ("the newest of everything", all),
    ]
}

impl Bench {
    /// Makes up the rows and gives how many of them a second.
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    #[expect(clippy::print_stderr, reason = "it takes minutes, and says how far it is")]
    async fn fill(&self, rows: u64) -> f64 {
        let (calls, started) = (rows / 2, Instant::now());
        let step = u64::try_from(WEEK.as_nanos()).expect("a week in nanoseconds") / calls;
        let start = (Timestamp::now() - SignedDuration::try_from(WEEK).expect("a week")).as_nanosecond();
        let mut from = 0;
        while from < calls {
            let count = CALLS_AT_ONCE.min(calls - from);
            let parameters = [
                ("param_start", start.to_string()),
                ("param_step", step.to_string()),
                ("param_from", from.to_string()),
                ("param_count", count.to_string()),
                ("max_execution_time", "0".to_owned()),
            ];
            self.sql(FILL, &parameters).await;
            from += count;
            eprintln!("search: {} of {rows} rows are there", from * 2);
        }
        let seconds = started.elapsed().as_secs_f64();
        let parts = "SELECT count() FROM system.parts WHERE table = 'access_log' AND active";
        while self.number(parts).await > PARTS_MAX
            || self.number("SELECT count() FROM system.merges").await > 0
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        rows as f64 / seconds
    }

    /// A row from the middle of the busiest instance's week that has nothing special.
    async fn some_row(&self) -> TraceRecord {
        let middle = Timestamp::now() - SignedDuration::try_from(WEEK / 2).expect("half a week");
        let id = self
            .sql("SELECT any(instance_id) FROM mcpcan.access_log WHERE instance_name = 'instance-0'", &[]);
        let instance_id = Some(id.await.trim().parse().expect("an id"));
        let filter = TraceFilter { instance_id, until: Some(middle), ..TraceFilter::default() };
        let found = self.client.search(&TraceQuery { limit: 1, ..filter.into() }).await.expect("search");
        found.into_iter().next().expect("the busiest instance has rows")
    }

    /// Shows what a search takes when it is repeated, and how much it reads.
    #[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
    async fn measure(&self, figures: &mut Figures, name: &str, filter: TraceFilter) {
        let query = TraceQuery::from(filter);
        self.client.search(&query).await.expect("search");
        let before = self.bytes_read().await;
        let mut times = Vec::new();
        for _ in 1..REPETITIONS {
            let started = Instant::now();
            self.client.search(&query).await.expect("search");
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let read = (self.bytes_read().await - before) as f64 / times.len() as f64;
        let time = crate::figure::median(&times);
        figures.add(&format!("search: {name}"), time, "ms", Goal::AtMost(SEARCH_MS_MAX));
        figures.add(&format!("search: {name}, read"), read / (1024.0 * 1024.0), "MiB", Goal::None);
    }

    /// What all statements together have read so far, uncompressed.
    async fn bytes_read(&self) -> u64 {
        self.number("SELECT sum(value) FROM system.events WHERE event = 'SelectedBytes'").await
    }

    async fn number(&self, sql: &str) -> u64 {
        self.sql(sql, &[]).await.trim().parse().expect("a number")
    }

    async fn sql(&self, sql: &str, parameters: &[(&str, String)]) -> String {
        let url = reqwest::Url::parse_with_params(&self.engine.url(), parameters).expect("an address");
        let answer = self.http.post(url).body(sql.to_owned()).send().await.expect("the engine answers");
        let ok = answer.status().is_success();
        let text = answer.text().await.expect("read the answer");
        assert!(ok, "{text}");
        text
    }
}

/// Where the rows lie meanwhile: on the disk of the build, since /tmp may be memory.
fn target() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"))
}
