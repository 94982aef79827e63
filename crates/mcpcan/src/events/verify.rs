//! `events verify`.

use serde_json::Value;

use super::stream::EventStream;
use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

pub(crate) async fn run(rest: &Rest, output: Output) -> Result<(), Failure> {
    let found = EventStream::new(rest.open(&["events", "verify"], &[]).await?).finish(step).await?;
    output.one(&found, || human(&found))?;
    match found["findings"].as_array().map_or(0, Vec::len) {
        0 => Ok(()),
        1 => Err(Failure::Failed(anyhow::anyhow!("the log is not what was linked: there is a finding"))),
        count => Err(Failure::Failed(anyhow::anyhow!(
            "the log is not what was linked: there are {count} findings"
        ))),
    }
}

fn step(document: &Value) -> String {
    let [position, last, findings] =
        ["/position", "/last_sequence", "/findings"].map(|name| field(document, name));
    format!("compared {position} of {last} events, {findings} findings")
}

fn human(found: &Value) -> String {
    let get = |pointer: &str| printable(&field(found, pointer));
    let findings = found["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> =
        findings.iter().map(|finding| printable(&field(finding, "/detail"))).collect();
    if found["broken_off"] == true {
        lines.push("there may be more: the comparison ended here".to_owned());
    }
    lines.push(format!(
        "{} events are what they were when they were linked, {} are not linked yet",
        get("/confirmed"),
        get("/not_linked")
    ));
    if !get("/head").is_empty() {
        let (began_at, began_with) = (get("/began_at"), get("/began_with_sequence"));
        lines.push(format!("the chain was begun at {began_at}, when the log had {began_with} events"));
        lines.push(format!("its head is at event {}: {}", get("/head_sequence"), get("/head")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn findings_come_before_what_was_confirmed() {
        let found = json!({
            "intact": false, "confirmed": 299, "not_linked": 1, "broken_off": false,
            "findings": [{"finding": "changed", "sequence": 7, "detail": "event 7 (a.b on c) was changed"}],
            "began_at": "2026-11-21T11:00:00Z", "began_with_sequence": 0, "head_sequence": 300, "head": "abcd",
        });
        let expected = "event 7 (a.b on c) was changed\n\
            299 events are what they were when they were linked, 1 are not linked yet\n\
            the chain was begun at 2026-11-21T11:00:00Z, when the log had 0 events\n\
            its head is at event 300: abcd";
        assert_eq!(human(&found), expected);
    }
}
