//! `instance health`: how an instance was, hour by hour.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, instant, table};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id.
    instance: String,
    /// From this moment on: a time (RFC 3339), or how long ago (90s, 15m, 24h, 7d); 24 hours if nothing is said.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let query: Vec<_> = arguments.since.into_iter().map(|since| ("since", since)).collect();
    let history = rest.get(&["instances", &arguments.instance, "health"], &query).await?;
    Ok(output.one(&history, || human(&history))?)
}

fn human(history: &Value) -> String {
    const COLUMNS: [&str; 6] = ["hour", "samples", "healthy", "restricted", "degraded", "unhealthy"];
    let uptime = match history["uptime"].as_f64() {
        Some(uptime) => format!(
            "up in {:.2} % of its probes since {}",
            uptime * 100.0,
            instant(&field(history, "/since"))
        ),
        None => format!("not probed since {}", instant(&field(history, "/since"))),
    };
    let hours = history["hours"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |hour: &Value| {
        COLUMNS.map(|column| {
            let value = field(hour, &format!("/{column}"));
            if column == "hour" { instant(&value) } else { value }
        })
    };
    format!("{uptime}\n{}", table(COLUMNS, hours.iter().map(row)))
}
