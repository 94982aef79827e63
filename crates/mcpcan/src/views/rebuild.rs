//! `views rebuild`.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, Progress, field, printable};
use crate::rest::Rest;

/// How often it is asked how far a rebuild has come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Arguments {
    /// The view's name.
    name: Option<String>,
    /// Rebuild every view, one after the other.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let names = match arguments.name {
        Some(name) => vec![name],
        None => super::all(rest).await?.iter().map(|view| field(view, "/name")).collect(),
    };
    for name in names {
        let view = rebuild(rest, &name).await?;
        output.streamed(&view, || {
            let [generation, position, rows] =
                ["/generation", "/position", "/rows"].map(|member| printable(&field(&view, member)));
            format!("{name} is served from generation {generation}: {rows} rows, position {position}")
        })?;
    }
    Ok(())
}

/// Asks for the rebuild, and waits until what it makes is served.
async fn rebuild(rest: &Rest, name: &str) -> Result<Value, Failure> {
    let error_before = rest.get(&["views", name], &[]).await?["last_error"].take();
    let asked = rest.post(&["views", name, "rebuild"], None).await?;
    let wanted = asked["generation"].as_u64().unwrap_or(u64::MAX);
    let mut shown = Progress::new();
    loop {
        let mut view = rest.get(&["views", name], &[]).await?;
        if view["generation"].as_u64().is_some_and(|served| served >= wanted) {
            return Ok(view);
        }
        // An event that cannot be read is in the way of this rebuild; one that was there before may be over.
        let error = view["last_error"].take();
        if view["state"] == "stopped" || (error != error_before && !error["sequence"].is_null()) {
            let detail = printable(&field(&error, "/detail"));
            let message = format!("the rebuild of {name} goes on when this is mended: {detail}");
            return Err(Failure::Failed(anyhow::anyhow!(message)));
        }
        shown.step(&format!("{name}: {}", progress(&view["rebuild"])))?;
        tokio::time::sleep(PROGRESS_INTERVAL).await;
    }
}

/// How far a rebuild has come, in one line.
pub(super) fn progress(rebuild: &Value) -> String {
    let [generation, position, target] =
        ["/generation", "/position", "/target"].map(|member| printable(&field(rebuild, member)));
    let rate = rebuild["events_per_second"].as_f64().unwrap_or_default();
    let left = match rebuild["seconds_left"].as_f64() {
        Some(seconds) => format!(", about {seconds:.0} s left"),
        None => String::new(),
    };
    format!("generation {generation} has {position} of {target} events, {rate:.0}/s{left}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn progress_has_a_rate_and_an_estimate() {
        let rebuild = json!({
            "generation": 3, "position": 250, "target": 1000, "events_per_second": 100.0, "seconds_left": 7.5,
        });
        assert_eq!(progress(&rebuild), "generation 3 has 250 of 1000 events, 100/s, about 8 s left");
        let waiting = json!({"generation": 3, "position": 0, "target": 9, "events_per_second": 0.0});
        assert_eq!(progress(&waiting), "generation 3 has 0 of 9 events, 0/s");
    }
}
