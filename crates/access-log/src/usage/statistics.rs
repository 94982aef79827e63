//! How much was called, how well and by whom: out of the rollups, which outlive the rows that they were made of.
//!
//! What has ended counts; a stream does not. Latencies are off by one in a hundred at most.

use clickhouse::Row;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;

/// How many lines each of the lists has.
pub const TOP_MAX: u32 = 10;

/// The finest that can be told apart.
pub const STEP_SECONDS_MIN: u32 = 60;

/// How many buckets there are at most.
pub const BUCKETS_MAX: u64 = 1_000;

/// What to sum up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticsQuery {
    /// None for all instances.
    pub instance_id: Option<Uuid>,
    /// From this moment on, down to the minute.
    pub since: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
    /// How long a bucket is.
    pub step_seconds: u32,
}

/// Numbers of calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Calls {
    /// Requests that have ended, however.
    pub calls: u64,
    /// Those that went wrong on any level, but for the refused.
    pub errors: u64,
    /// Those that were not passed on: no credential, too many.
    pub refused: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// Of those that were answered; none if there were none.
    pub latency: Option<Latency>,
}

/// So long took one half, 95 and 99 of a hundred at most, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Latency {
    pub p50_ns: f64,
    pub p95_ns: f64,
    pub p99_ns: f64,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bucket {
    /// When it begins.
    pub start: Timestamp,
    #[serde(flatten)]
    pub calls: Calls,
}

/// A tool, prompt or resource by the method that it is called with.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OfTool {
    pub rpc_method: String,
    pub tool: String,
    #[serde(flatten)]
    pub calls: Calls,
}

/// A token or an instance.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OfId {
    pub id: Uuid,
    #[serde(flatten)]
    pub calls: Calls,
}

/// A kind of error, to the hour.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OfError {
    pub error_class: String,
    pub errors: u64,
    pub last_at: Timestamp,
    /// One of them in words.
    pub example: String,
}

/// What was called in a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    pub total: Calls,
    /// Without gaps, from the first to the last.
    pub buckets: Vec<Bucket>,
    pub tools: Vec<OfTool>,
    pub tokens: Vec<OfId>,
    pub instances: Vec<OfId>,
    pub errors: Vec<OfError>,
}

/// Sums as the tables give them, and of what.
#[derive(Row, Deserialize)]
struct SumRow {
    bucket: i64,
    key: String,
    tool_name: String,
    call_count: u64,
    error_count: u64,
    refused_count: u64,
    request_sum: u64,
    response_sum: u64,
    quantiles: Vec<f64>,
}

/// The columns of sums; none of the names is one of the table's.
const SUMS: &str = "sum(calls) AS call_count, sum(errors) AS error_count, sum(refused) AS refused_count, \
    sum(request_bytes) AS request_sum, sum(response_bytes) AS response_sum, \
    arrayMap(value -> toFloat64(value), quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency_ns)) AS quantiles";

impl Client {
    /// Sums up.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for a range outside its bounds, [`Error::Unavailable`] while ClickHouse is away.
    pub async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics, Error> {
        check(query)?;
        let (total, buckets, tools, tokens, instances, errors) = tokio::try_join!(
            self.sums(query, "", Group::default()),
            self.buckets(query),
            self.sums(
                query,
                " AND tool != ''",
                Group { key: "toString(rpc_method)", tool: "toString(tool)", ..Group::top("key, tool_name") }
            ),
            self.sums(
                query,
                " AND token_id != toUUID('00000000-0000-0000-0000-000000000000')",
                Group { key: "toString(token_id)", ..Group::top("key") }
            ),
            self.sums(
                query,
                " AND instance_id != toUUID('00000000-0000-0000-0000-000000000000')",
                Group { key: "toString(instance_id)", ..Group::top("key") }
            ),
            self.top_errors(query),
        )?;
        let of_tool = |row: SumRow| {
            let calls = calls(&row);
            OfTool { rpc_method: row.key, tool: row.tool_name, calls }
        };
        Ok(Statistics {
            total: total.first().map(calls).unwrap_or_default(),
            buckets,
            tools: tools.into_iter().map(of_tool).collect(),
            tokens: tokens.iter().map(of_id).collect::<Result<_, _>>()?,
            instances: instances.iter().map(of_id).collect::<Result<_, _>>()?,
            errors,
        })
    }

    async fn sums(
        &self,
        query: &StatisticsQuery,
        condition: &str,
        group: Group,
    ) -> Result<Vec<SumRow>, Error> {
        let Group { bucket, key, tool, order } = group;
        let sql = format!(
            "SELECT {bucket} AS bucket, {key} AS key, {tool} AS tool_name, {SUMS} FROM mcpcan.calls_per_minute \
             WHERE minute >= toDateTime(?) AND minute < toDateTime(?){}{condition} {order}",
            of_instance(query)
        );
        let bound = self.query(&sql).bind(start_second(query)).bind(end_second(query));
        self.within("sum up calls", bound.fetch_all::<SumRow>()).await
    }

    /// Every bucket, also those without a call.
    async fn buckets(&self, query: &StatisticsQuery) -> Result<Vec<Bucket>, Error> {
        let (start, step) = (start_second(query), i64::from(query.step_seconds));
        let bucket = format!("toInt64(intDiv(toUnixTimestamp(minute) - {start}, {step}))");
        let group = Group { bucket, order: "GROUP BY bucket ORDER BY bucket".to_owned(), ..Group::default() };
        let found = self.sums(query, "", group).await?;
        let mut found = found.into_iter().peekable();
        let mut buckets = Vec::new();
        let mut second = start;
        for number in 0.. {
            let Some(start) = Timestamp::from_second(second).ok().filter(|start| *start < query.until) else {
                break;
            };
            let sums = found.next_if(|row| row.bucket == number);
            buckets.push(Bucket { start, calls: sums.as_ref().map(calls).unwrap_or_default() });
            second += step;
        }
        Ok(buckets)
    }

    async fn top_errors(&self, query: &StatisticsQuery) -> Result<Vec<OfError>, Error> {
        let sql = format!(
            "SELECT toString(error_class), sum(errors), toUnixTimestamp64Nano(max(last_at)), any(example) \
             FROM mcpcan.errors_per_hour \
             WHERE hour >= toStartOfHour(toDateTime(?)) AND hour < toDateTime(?){} \
             GROUP BY error_class ORDER BY sum(errors) DESC, error_class LIMIT {TOP_MAX}",
            of_instance(query)
        );
        let bound = self.query(&sql).bind(query.since.as_second()).bind(end_second(query));
        let found = self.within("sum up errors", bound.fetch_all::<(String, u64, i64, String)>()).await?;
        let of_error = |(error_class, errors, last_at, example): (String, u64, i64, String)| {
            let last_at = Timestamp::from_nanosecond(last_at.into())
                .map_err(|source| Error::Corrupt { field: "last_at", source: source.into() })?;
            Ok(OfError { error_class, errors, last_at, example })
        };
        found.into_iter().map(of_error).collect()
    }
}

fn check(query: &StatisticsQuery) -> Result<(), Error> {
    let invalid = |field, reason: String| Err(Error::InvalidQuery { field, reason });
    if query.since >= query.until {
        return invalid("until", format!("{} is not after {}", query.until, query.since));
    }
    if query.step_seconds < STEP_SECONDS_MIN || !query.step_seconds.is_multiple_of(STEP_SECONDS_MIN) {
        return invalid("step", "a bucket has whole minutes".to_owned());
    }
    let seconds = u64::try_from(end_second(query) - start_second(query)).unwrap_or_default();
    let buckets = seconds.div_ceil(query.step_seconds.into());
    if buckets > BUCKETS_MAX {
        return invalid("step", format!("{buckets} buckets are more than {BUCKETS_MAX}"));
    }
    Ok(())
}

fn of_instance(query: &StatisticsQuery) -> String {
    query.instance_id.map(|id| format!(" AND instance_id = toUUID('{id}')")).unwrap_or_default()
}

/// What is summed up together.
struct Group {
    bucket: String,
    key: &'static str,
    tool: &'static str,
    order: String,
}

impl Default for Group {
    /// Everything.
    fn default() -> Self {
        Group { bucket: "toInt64(0)".to_owned(), key: "''", tool: "''", order: String::new() }
    }
}

impl Group {
    /// Those with the most calls.
    fn top(names: &str) -> Self {
        let order = format!("GROUP BY {names} ORDER BY call_count DESC, {names} LIMIT {TOP_MAX}");
        Group { order, ..Group::default() }
    }
}

/// The minute in which it begins.
fn start_second(query: &StatisticsQuery) -> i64 {
    query.since.as_second().div_euclid(60) * 60
}

/// A part of a second counts as a whole one.
fn end_second(query: &StatisticsQuery) -> i64 {
    query.until.as_second() + i64::from(query.until.subsec_nanosecond() > 0)
}

fn calls(row: &SumRow) -> Calls {
    let latency = match row.quantiles[..] {
        [p50_ns, p95_ns, p99_ns] if p50_ns.is_finite() && p95_ns.is_finite() && p99_ns.is_finite() => {
            Some(Latency { p50_ns, p95_ns, p99_ns }).filter(|latency| latency.p99_ns > 0.0)
        }
        _ => None,
    };
    Calls {
        calls: row.call_count,
        errors: row.error_count,
        refused: row.refused_count,
        request_bytes: row.request_sum,
        response_bytes: row.response_sum,
        latency,
    }
}

fn of_id(row: &SumRow) -> Result<OfId, Error> {
    let id = row.key.parse();
    let id = id.map_err(|source: uuid::Error| Error::Corrupt { field: "id", source: source.into() })?;
    Ok(OfId { id, calls: calls(row) })
}
