//! Samples of probes: in once, out newest first, and summed up by the hour.

use access_log::{HealthSample, Place};
use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use crate::access_log_client::{at, migrated};
use crate::harness::Engine;

const INSTANCE: Uuid = Uuid::from_u128(1);

fn sample(time: Timestamp, index: u32, status: &str) -> HealthSample {
    let unhealthy = status == "unhealthy";
    let problem = if unhealthy { "answer_timeout" } else { "" };
    HealthSample {
        place: Place { sequence: 9, index },
        time,
        instance_id: INSTANCE,
        status: status.to_owned(),
        container: "ready".to_owned(),
        service: "ready".to_owned(),
        mcp: if unhealthy { "not_ready" } else { "ready" }.to_owned(),
        problem: problem.to_owned(),
        detail: problem.replace('_', " "),
        asked: 2,
        answered: u16::from(!unhealthy) * 2,
        took_ns: 3_000_000,
    }
}

#[tokio::test]
async fn samples_go_in_once_and_come_out_newest_first_and_by_the_hour() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let start = at(0);
    let later = start.checked_add(1.hour()).unwrap();
    let mut samples =
        vec![sample(start, 0, "healthy"), sample(later, 1, "unhealthy"), sample(later, 2, "restricted")];
    let other = HealthSample { instance_id: Uuid::from_u128(2), ..sample(start, 3, "healthy") };
    samples.push(other);
    client.insert_samples("SAMPLES 1", &samples).await.unwrap();
    client.insert_samples("SAMPLES 1", &samples).await.unwrap();

    let found = client.health_samples(INSTANCE, start, 10).await.unwrap();
    assert_eq!(found, [samples[2].clone(), samples[1].clone(), samples[0].clone()]);
    assert_eq!(client.health_samples(INSTANCE, later, 1).await.unwrap(), samples[2..3]);
    let hours = client.health_hours(INSTANCE, start).await.unwrap();
    let counts =
        hours.iter().map(|hour| (hour.hour, hour.samples, hour.healthy, hour.restricted, hour.unhealthy));
    assert_eq!(counts.collect::<Vec<_>>(), [(start, 1, 1, 0, 0), (later, 2, 0, 1, 1)]);
    assert!(hours.iter().all(|hour| (hour.took_ms - 3.0).abs() < f64::EPSILON), "{hours:?}");
    assert_eq!(client.health_hours(Uuid::from_u128(3), start).await.unwrap(), []);
}
