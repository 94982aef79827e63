//! What became of a document, on stderr: stdout is for results.

use std::io::Write as _;

use openapi::{Entry, Report};

use crate::failure::Failure;

/// Entries of each kind that are shown.
const SHOWN_MAX: usize = 20;

pub(super) fn show(report: &Report) -> Result<(), Failure> {
    let Report { title, version, converted, left_out, notes, more, list_bytes } = report;
    let name = if title.is_empty() { "the document" } else { title };
    let mut text = format!(
        "{name} {version}: {} tools, {} kB as clients list them; {} operations left out\n",
        converted.len(),
        list_bytes.div_ceil(1000),
        left_out.len(),
    );
    add(&mut text, "left out", left_out);
    add(&mut text, "note", notes);
    if *more > 0 {
        text.push_str(&format!("  and {more} more entries\n"));
    }
    Ok(std::io::stderr().lock().write_all(text.as_bytes())?)
}

fn add(text: &mut String, kind: &str, entries: &[Entry]) {
    for Entry { at, reason } in entries.iter().take(SHOWN_MAX) {
        let place = if at.is_empty() { "the document" } else { at };
        text.push_str(&format!("  {kind}: {place}: {reason}\n"));
    }
    if entries.len() > SHOWN_MAX {
        text.push_str(&format!("  {kind}: … {} more\n", entries.len() - SHOWN_MAX));
    }
}
