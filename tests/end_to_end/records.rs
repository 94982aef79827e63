//! What was recorded of calls, as operators look at it: as it comes, counted, summed up, and in a file of its own.

use std::fs;

use harness::until;
use serde_json::{Value, json};

use crate::session::{ROW_DEADLINE, Session};

impl Session<'_> {
    pub(crate) async fn follows_counts_and_exports(&self) {
        let trace = format!("{:032x}", 0x00f0_110d);
        let of_trace = ["--instance", "everything", "--trace", &trace, "--tool", "echo"];
        let tail = [&["--json=lines", "access-log", "tail", "--since", "5m"], &of_trace[..]].concat();
        let mut tail = self.platform.follow(&tail);
        let call = ["call", "everything", "echo", r#"{"message":"followed"}"#, "--trace", &trace];
        self.platform.run(&call).await.success(&call);
        for event in ["request", "response"] {
            let row: Value = serde_json::from_str(&tail.line().await).expect("a row is a line of JSON");
            assert_eq!((&row["event"], &row["trace_id"]), (&json!(event), &json!(trace)));
        }
        drop(tail);

        let count = [&["access-log", "count"], &of_trace[..]].concat();
        until("the rows are counted", ROW_DEADLINE, async || {
            let counts = self.platform.json(&count).await;
            (counts["info"] == 2 && counts["error"] == 0).then_some(())
        })
        .await;
        let statistics = self.platform.json(&["stats", "everything", "--since", "1h"]).await;
        let echo = statistics["top_tools"]
            .as_array()
            .and_then(|tools| tools.iter().find(|tool| tool["tool"] == "echo"));
        assert!(echo.is_some_and(|echo| echo["calls"].as_u64() > Some(0)), "{statistics}");

        let file = self.platform.data().join("rows.jsonl");
        let to = file.display().to_string();
        let export = [&["access-log", "export", "--output", &to], &of_trace[..]].concat();
        self.platform.run(&export).await.success(&export);
        let rows = fs::read_to_string(&file).expect("the file is there");
        let events: Vec<_> = rows
            .lines()
            .map(|row| serde_json::from_str::<Value>(row).expect("a row is a line of JSON")["event"].clone())
            .collect();
        assert_eq!(events, ["request", "response"]);

        until("every role says that it can work", ROW_DEADLINE, async || {
            let status = self.platform.json(&["status"]).await;
            let sinks = status["sinks"].as_array()?;
            let nothing_lost = sinks.len() == 3 && sinks.iter().all(|sink| sink["dead_letters"] == 0);
            (status["ready"] == true && nothing_lost).then_some(())
        })
        .await;
    }
}
