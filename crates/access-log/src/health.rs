//! Samples of probes: the record, its insert, and how long an instance was up.
//!
//! A sample is what one probe saw, before any damping; what the platform tells of an instance's health is in the log of
//! events. The words of `status`, the dimensions and `problem` are those of `domain::instance::health`.

use clickhouse::Row;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::insert::{is_nothing, once};
use crate::record::{Place, Placed};
use crate::row::{nanoseconds, timestamp};

/// The most samples of one answer.
pub const SAMPLES_MAX: usize = 1000;
/// The longest time whose hours are summed up, in hours: the rollup goes back no further.
pub const HOURS_MAX: i64 = 400 * 24;

/// What one probe of an instance saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthSample {
    /// Where it lies in its stream; unknown before it has got there.
    #[serde(default, skip_serializing_if = "Place::is_unknown")]
    pub place: Place,
    /// When the probe ended, by the worker's clock. Kept in nanoseconds.
    pub time: Timestamp,
    pub instance_id: Uuid,
    pub status: String,
    pub container: String,
    pub service: String,
    pub mcp: String,
    /// The class of what is wrong; empty if nothing is.
    pub problem: String,
    pub detail: String,
    /// How many replicas, or servers elsewhere, were asked, and how many of them answered as they should.
    pub asked: u16,
    pub answered: u16,
    /// How long the slowest took, in nanoseconds.
    pub took_ns: u64,
}

impl Placed for HealthSample {
    fn place(&self) -> Place {
        self.place
    }

    fn set_place(&mut self, place: Place) {
        self.place = place;
    }
}

/// An hour of an instance, by what its probes saw.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HealthHour {
    /// When it began.
    pub hour: Timestamp,
    pub samples: u64,
    pub healthy: u64,
    pub restricted: u64,
    pub degraded: u64,
    pub unhealthy: u64,
    /// How long a probe took on average, in milliseconds.
    pub took_ms: f64,
}

/// One row of `health_samples`.
#[derive(Row, Serialize, Deserialize)]
struct SampleRow<'a> {
    time: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    instance_id: Uuid,
    status: &'a str,
    container: &'a str,
    service: &'a str,
    mcp: &'a str,
    problem: &'a str,
    detail: &'a str,
    asked: u16,
    answered: u16,
    took_ns: u64,
    sequence: u64,
    index: u32,
}

#[derive(Row, Deserialize)]
struct HourRow {
    second: i64,
    samples: u64,
    healthy: u64,
    restricted: u64,
    degraded: u64,
    unhealthy: u64,
    took_ns: u64,
}

impl Client {
    /// Inserts `samples` once, however often it is called with the same token.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: call again with the same token and rows. Anything else: these rows will never go in.
    pub async fn insert_samples(
        &self,
        deduplication_token: &str,
        samples: &[HealthSample],
    ) -> Result<(), Error> {
        if is_nothing(deduplication_token, samples.len())? {
            return Ok(());
        }
        let inserted = self.insert_sample_rows(deduplication_token, samples).await;
        self.forget_tables_unless_inserted(inserted).await
    }

    async fn insert_sample_rows(
        &self,
        deduplication_token: &str,
        samples: &[HealthSample],
    ) -> Result<(), Error> {
        let operation = "insert samples";
        let describe = self.clickhouse().insert_unescaped::<SampleRow<'_>>("mcpcan.health_samples");
        let mut insert = once(self.within(operation, describe).await?, deduplication_token);
        for sample in samples {
            let row = SampleRow::of(sample)?;
            insert.write(&row).await.map_err(|error| Error::during_insert(operation, error))?;
        }
        insert.end().await.map_err(|error| Error::during_insert(operation, error))
    }

    /// The newest samples of an instance since a moment, newest first, so many at most.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while ClickHouse is away.
    pub async fn health_samples(
        &self,
        instance: Uuid,
        since: Timestamp,
        samples_max: usize,
    ) -> Result<Vec<HealthSample>, Error> {
        const OPERATION: &str = "read samples";
        let query = self.query(
            "SELECT toUnixTimestamp64Nano(time) AS time, instance_id, toString(status) AS status, \
             toString(container) AS container, toString(service) AS service, toString(mcp) AS mcp, \
             toString(problem) AS problem, detail, asked, answered, took_ns, sequence, index \
             FROM mcpcan.health_samples \
             WHERE instance_id = toUUID(?) AND health_samples.time >= fromUnixTimestamp64Nano(toInt64(?)) \
             ORDER BY health_samples.time DESC, sequence DESC, index DESC LIMIT ?",
        );
        let since = nanoseconds(since)
            .map_err(|source| Error::InvalidQuery { field: "since", reason: source.to_string() })?;
        let query = query.bind(instance.to_string()).bind(since).bind(samples_max.min(SAMPLES_MAX));
        let reading = async {
            let mut cursor = query.fetch::<SampleRow<'_>>()?;
            let mut samples = vec![];
            while let Some(row) = cursor.next().await? {
                samples.push(row.into_sample());
            }
            Ok(samples)
        };
        self.within(OPERATION, reading).await?.into_iter().collect()
    }

    /// The hours of an instance since a moment in which it was probed, oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while ClickHouse is away.
    pub async fn health_hours(&self, instance: Uuid, since: Timestamp) -> Result<Vec<HealthHour>, Error> {
        let query = self.query(&format!(
            "SELECT toInt64(toUnixTimestamp(hour)) AS second, sum(samples) AS samples, \
             sumIf(health_per_hour.samples, status = 'healthy') AS healthy, \
             sumIf(health_per_hour.samples, status = 'restricted') AS restricted, \
             sumIf(health_per_hour.samples, status = 'degraded') AS degraded, \
             sumIf(health_per_hour.samples, status = 'unhealthy') AS unhealthy, \
             sum(took_ns) AS took_ns \
             FROM mcpcan.health_per_hour \
             WHERE instance_id = toUUID(?) AND hour >= toStartOfHour(toDateTime(?, 'UTC')) \
             GROUP BY hour ORDER BY hour DESC LIMIT {HOURS_MAX}"
        ));
        let query = query.bind(instance.to_string()).bind(since.as_second().clamp(0, u32::MAX.into()));
        let rows = self.within("sum up samples", query.fetch_all::<HourRow>()).await?;
        rows.into_iter().rev().map(HealthHour::of).collect()
    }
}

impl HealthHour {
    fn of(row: HourRow) -> Result<Self, Error> {
        let hour = Timestamp::from_second(row.second)
            .map_err(|source| Error::Corrupt { field: "hour", source: source.into() })?;
        let HourRow { samples, healthy, restricted, degraded, unhealthy, .. } = row;
        let took_ms = row.took_ns as f64 / samples.max(1) as f64 / 1e6;
        Ok(HealthHour { hour, samples, healthy, restricted, degraded, unhealthy, took_ms })
    }
}

impl<'a> SampleRow<'a> {
    fn of(sample: &'a HealthSample) -> Result<Self, Error> {
        Ok(SampleRow {
            time: nanoseconds(sample.time).map_err(|source| Error::Rejected {
                operation: "insert samples",
                code: None,
                source: source.into(),
            })?,
            instance_id: sample.instance_id,
            status: &sample.status,
            container: &sample.container,
            service: &sample.service,
            mcp: &sample.mcp,
            problem: &sample.problem,
            detail: &sample.detail,
            asked: sample.asked,
            answered: sample.answered,
            took_ns: sample.took_ns,
            sequence: sample.place.sequence,
            index: sample.place.index,
        })
    }

    fn into_sample(self) -> Result<HealthSample, Error> {
        Ok(HealthSample {
            place: Place { sequence: self.sequence, index: self.index },
            time: timestamp(self.time)?,
            instance_id: self.instance_id,
            status: self.status.to_owned(),
            container: self.container.to_owned(),
            service: self.service.to_owned(),
            mcp: self.mcp.to_owned(),
            problem: self.problem.to_owned(),
            detail: self.detail.to_owned(),
            asked: self.asked,
            answered: self.answered,
            took_ns: self.took_ns,
        })
    }
}
