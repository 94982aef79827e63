//! How results are shown: short tables for people, JSON for scripts. The only place that writes to stdout.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// The form that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Tables and sentences.
    #[default]
    #[value(skip)]
    Human,
    /// One JSON document; a list is an array.
    Document,
    /// One JSON document a line.
    Lines,
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) form: Form,
}

impl Output {
    /// One thing: its JSON document, or what `human` makes of it.
    pub(crate) fn one(self, document: &Value, human: impl FnOnce() -> String) -> io::Result<()> {
        match self.form {
            Form::Human => print(&human()),
            Form::Document => print(&pretty(document)),
            Form::Lines => print(&document.to_string()),
        }
    }

    /// A list: an array, a line for each, or a table with these columns.
    pub(crate) fn list<const N: usize>(
        self,
        items: &[Value],
        columns: [&str; N],
        row: impl Fn(&Value) -> [String; N],
    ) -> io::Result<()> {
        match self.form {
            Form::Human => print(&table(columns, items.iter().map(row))),
            Form::Document | Form::Lines => self.json_list(items),
        }
    }

    /// A list of which people want no table: a line for each item.
    pub(crate) fn lines(self, items: &[Value], line: impl Fn(&Value) -> String) -> io::Result<()> {
        match self.form {
            Form::Human => items.iter().try_for_each(|item| print(&line(item))),
            Form::Document | Form::Lines => self.json_list(items),
        }
    }

    fn json_list(self, items: &[Value]) -> io::Result<()> {
        match self.form {
            Form::Lines => items.iter().try_for_each(|item| print(&item.to_string())),
            Form::Human | Form::Document => print(&pretty(&Value::Array(items.to_vec()))),
        }
    }

    /// One item of a list that has no end: `human` makes a line of it, JSON is always a line.
    pub(crate) fn streamed(self, item: &Value, human: impl FnOnce() -> String) -> io::Result<()> {
        match self.form {
            Form::Human => print(&human()),
            Form::Document | Form::Lines => print(&item.to_string()),
        }
    }
}

/// Something long is under way: a line that is written over on a terminal, a line for each step elsewhere. On stderr,
/// so that stdout holds results only.
#[derive(Debug)]
pub(crate) struct Progress {
    live: bool,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { live: io::stderr().is_terminal(), shown: false }
    }

    pub(crate) fn step(&mut self, text: &str) -> io::Result<()> {
        let mut err = io::stderr().lock();
        if self.live {
            // Back to the first column, and clear what stood there.
            write!(err, "\r\x1b[2K{text}")?;
            self.shown = true;
        } else {
            writeln!(err, "{text}")?;
        }
        err.flush()
    }

    /// Leaves the terminal on a fresh line, as dropping does: what comes next, an error too, begins there.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.shown) { writeln!(io::stderr().lock()) } else { Ok(()) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Nothing is left to do when stderr is gone.
        let _ = self.end();
    }
}

/// A table without frames, as wide as its content or the terminal.
pub(crate) fn table<const N: usize>(columns: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = terminal_width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(columns.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// How wide the terminal is that stdout is; none if it is something else.
fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_col).filter(|width| *width > 0)
}

/// What is worth knowing of one thing, a line each: `shown` says what its members are called and where they stand. What is
/// absent or empty is left out.
pub(crate) fn details(title: &str, document: &Value, shown: &[(&str, &str)]) -> String {
    let rows = shown.iter().map(|(name, pointer)| [(*name).to_owned(), field(document, pointer)]);
    table([title, ""], rows.filter(|row| !matches!(row[1].as_str(), "" | "[]" | "{}")))
}

/// Says something on stderr, where it is no result.
pub(crate) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}

/// A time as people read it: to the millisecond, in UTC.
pub(crate) fn instant(time: &str) -> String {
    let time = time.trim_end_matches('Z');
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{}.{fraction:0<3.3}", seconds.replacen('T', " ", 1))
}

/// A duration in nanoseconds as people read it.
pub(crate) fn milliseconds(nanoseconds: f64) -> String {
    format!("{:.1} ms", nanoseconds / NANOSECONDS_PER_MILLISECOND)
}

const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

/// How much text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Faint,
    Warning,
    Alarm,
}

impl Tone {
    /// That of a row's level.
    pub(crate) fn of_level(level: &str) -> Self {
        match level {
            "error" => Tone::Alarm,
            "warn" => Tone::Warning,
            "debug" | "trace" => Tone::Faint,
            _ => Tone::Plain,
        }
    }

    /// The text in its colour, on a terminal that wants colours (no-color.org).
    pub(crate) fn paint(self, text: &str) -> String {
        let code = match self {
            Tone::Plain => return text.to_owned(),
            Tone::Faint => 2,
            Tone::Warning => 33,
            Tone::Alarm => 31,
        };
        let coloured =
            io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A member of a document as a person reads it; nothing when it is absent.
pub(crate) fn field(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Text that a hosted server or a client made, safe to show on a terminal: control characters are spelled out.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push('\t'),
            control if control.is_control() => shown.extend(control.escape_default()),
            other => shown.push(other),
        }
    }
    shown
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a JSON value can always be written")
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_heading_and_a_line_for_each_row() {
        let rows = [["everything".to_owned(), "ready".to_owned()], ["a".to_owned(), "stopped".to_owned()]];
        assert_eq!(
            table(["name", "phase"], rows.into_iter()),
            "NAME        PHASE\neverything  ready\na           stopped"
        );
    }

    #[test]
    fn times_are_shown_to_the_millisecond() {
        for (time, shown) in [
            ("2026-11-21T17:00:00.123456789Z", "2026-11-21 17:00:00.123"),
            ("2026-11-21T17:00:00.1Z", "2026-11-21 17:00:00.100"),
            ("2026-11-21T17:00:00Z", "2026-11-21 17:00:00.000"),
        ] {
            assert_eq!(instant(time), shown);
        }
        assert_eq!(milliseconds(12_345_678.0), "12.3 ms");
    }

    #[test]
    fn control_characters_of_a_server_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mred\u{7}\tb"), "a\\u{1b}[31mred\\u{7}\tb");
    }
}
