//! Just enough of SQL's surface to route a statement: is it an `INSERT` with data behind it, a `SELECT` whose output
//! can be streamed, and which format does it name?
//!
//! Knows words, brackets, quotes and comments, no grammar: the engine alone decides what is valid. Called by the HTTP
//! side with text it has already bounded.

/// An `INSERT … FORMAT name` whose data follows the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InsertHead<'t> {
    /// The statement up to its `FORMAT` clause.
    pub sql: &'t str,
    pub format: &'t str,
    /// Where the data begins in the text, after the blanks and one line break behind the name.
    pub data_start: usize,
}

/// Finds the head of an `INSERT` with data behind it; `None` for any other statement.
///
/// `text` may end anywhere in binary data: only its longest UTF-8 prefix is read.
pub(crate) fn insert_head(text: &[u8]) -> Option<InsertHead<'_>> {
    let sql = valid_prefix(text);
    let mut words = Words::of(sql);
    if !words.next()?.is("INSERT") {
        return None;
    }
    while let Some(word) = words.next() {
        // The rows come from elsewhere, so a FORMAT behind this is not theirs.
        if ["SELECT", "WITH", "FROM", "VALUES"].iter().any(|keyword| word.is(keyword)) {
            return None;
        }
        if word.is("FORMAT") {
            let name = words.next()?;
            return Some(InsertHead {
                sql: sql[..word.start].trim_end(),
                format: name.text,
                data_start: after_line(text, name.start + name.text.len()),
            });
        }
    }
    None
}

/// True when the statement is one whose output the engine can stream.
pub(crate) fn is_select(sql: &str) -> bool {
    let first = Words::including_brackets(sql).next();
    first.is_some_and(|word| ["SELECT", "WITH", "FROM"].iter().any(|keyword| word.is(keyword)))
}

/// The format that a statement's own `FORMAT` clause names.
pub(crate) fn output_format(sql: &str) -> Option<&str> {
    let mut format = None;
    let mut words = Words::of(sql);
    while let Some(word) = words.next() {
        if word.is("FORMAT") {
            format = words.next().map(|name| name.text);
        }
    }
    format
}

#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    start: usize,
}

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The bare words of a text: outside quotes and comments, and outside brackets unless asked for.
struct Words<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
    brackets: bool,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, position: 0, depth: 0, brackets: false }
    }

    fn including_brackets(text: &'t str) -> Self {
        Self { brackets: true, ..Self::of(text) }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    /// Passes one quoted piece: up to the closing quote, where a backslash or a doubled quote keeps it open.
    fn skip_quoted(&mut self, quote: u8) {
        let bytes = self.text.as_bytes();
        self.position += 1;
        while let Some(&byte) = bytes.get(self.position) {
            self.position += 1;
            match byte {
                b'\\' => self.position += 1,
                byte if byte == quote && bytes.get(self.position) == Some(&quote) => self.position += 1,
                byte if byte == quote => break,
                _ => {}
            }
        }
        // A backslash at the very end, or one before a character of several bytes, must not leave us inside it.
        self.position = self.position.min(bytes.len());
        while !self.text.is_char_boundary(self.position) {
            self.position += 1;
        }
    }

    fn skip_past(&mut self, end: &str) {
        self.position = self.rest().find(end).map_or(self.text.len(), |at| self.position + at + end.len());
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        loop {
            let rest = self.rest();
            let first = rest.chars().next()?;
            match first {
                '\'' | '"' | '`' => self.skip_quoted(first as u8),
                '-' if rest.starts_with("--") => self.skip_past("\n"),
                '#' if rest.starts_with("# ") || rest.starts_with("#!") => self.skip_past("\n"),
                '/' if rest.starts_with("/*") => self.skip_past("*/"),
                '(' | '[' | '{' => {
                    self.depth += 1;
                    self.position += 1;
                }
                ')' | ']' | '}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.position += 1;
                }
                letter if letter == '_' || letter.is_alphanumeric() => {
                    let start = self.position;
                    let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                    self.position += end;
                    if self.depth == 0 || self.brackets {
                        return Some(Word { text: &rest[..end], start });
                    }
                }
                other => self.position += other.len_utf8(),
            }
        }
    }
}

fn valid_prefix(text: &[u8]) -> &str {
    match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).expect("valid up to there"),
    }
}

/// Where data begins behind a format's name: ClickHouse passes blanks and then one line break.
fn after_line(text: &[u8], mut position: usize) -> usize {
    while matches!(text.get(position), Some(b' ' | b'\t' | 0x0c)) {
        position += 1;
    }
    if text.get(position) == Some(&b'\r') {
        position += 1;
    }
    if text.get(position) == Some(&b'\n') {
        position += 1;
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_with_data_is_split_at_its_format() {
        let head =
            insert_head(b"INSERT INTO db.t(`a`, \"format x\") SETTINGS s = 'FORMAT y' FORMAT RowBinary")
                .unwrap();
        assert_eq!(head.sql, "INSERT INTO db.t(`a`, \"format x\") SETTINGS s = 'FORMAT y'");
        assert_eq!(head.format, "RowBinary");
        assert_eq!(head.data_start, 74);
    }

    #[test]
    fn data_begins_after_one_line_break_and_may_be_binary() {
        let text = b"-- why\ninsert into t format CSV \r\n\n\xff\xfe";
        let head = insert_head(text).unwrap();
        assert_eq!((head.sql, head.format), ("-- why\ninsert into t", "CSV"));
        assert_eq!(&text[head.data_start..], b"\n\xff\xfe");
    }

    #[test]
    fn what_brings_its_own_rows_has_no_data_behind_it() {
        for sql in [
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t SELECT 1 FORMAT Null",
            "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
            "SELECT 1 FORMAT CSV",
            "",
        ] {
            assert_eq!(insert_head(sql.as_bytes()), None, "{sql}");
        }
    }

    #[test]
    fn a_select_is_known_through_comments_and_brackets() {
        for sql in ["/* x */ select 1", "-- SHOW\nWITH 1 AS x SELECT x", "((SELECT 1))", "FROM t SELECT a"] {
            assert!(is_select(sql), "{sql}");
        }
        for sql in ["SHOW TABLES", "'SELECT'", "EXPLAIN SELECT 1", ""] {
            assert!(!is_select(sql), "{sql}");
        }
    }

    #[test]
    fn the_output_format_is_the_clause_and_not_a_text() {
        assert_eq!(output_format("SELECT 'x FORMAT y' FORMAT JSON"), Some("JSON"));
        assert_eq!(output_format("SELECT format('{}', 1)"), None);
        assert_eq!(output_format("SELECT 'a\\"), None);
    }
}
