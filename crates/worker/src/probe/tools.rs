//! Whether a server offers the tools that it must have.

use std::collections::BTreeSet;

use domain::instance::ProblemClass;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::class::Wrong;
use super::conversation::Conversation;

/// The most pages of a list that are read.
const PAGES_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Tool>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
}

/// Lists tools until all that are expected were seen.
///
/// # Errors
/// One is missing, or the list cannot be had.
pub(crate) async fn expect(
    expected: &BTreeSet<String>,
    conversation: &mut Conversation,
) -> Result<(), Wrong> {
    let (mut missing, mut cursor) = (expected.clone(), None::<String>);
    for _ in 0..PAGES_MAX {
        if missing.is_empty() {
            return Ok(());
        }
        let mut params = Map::new();
        params.extend(cursor.take().map(|cursor| ("cursor".to_owned(), Value::String(cursor))));
        let page: Page = serde_json::from_str(conversation.list_tools(params).await?.get())
            .map_err(|_| Wrong::answered(ProblemClass::ProtocolError, "the list of tools is none"))?;
        for tool in &page.tools {
            missing.remove(&tool.name);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(first) => {
            let more = missing.len() - 1;
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Err(Wrong::answered(ProblemClass::ToolsMissing, format!("the tool {first:?}{more} is missing")))
        }
    }
}
