//! The list of tools, in pages that are small enough to be sent at once.

use openapi::Tool;

/// Bytes of a page, unless one tool has more.
const PAGE_BYTES_MAX: usize = 200 * 1024;

/// The members `tools` and, but for the last page, `nextCursor` of a result.
pub(super) struct Pages(Vec<String>);

impl Pages {
    pub(super) fn of(tools: &[Tool], listed: impl Fn(&Tool) -> &serde_json::Value) -> Self {
        let mut pages = vec![String::new()];
        for tool in tools {
            let text = listed(tool).to_string();
            let page = pages.last_mut().expect("there is always a page");
            if page.is_empty() {
                *page = text;
            } else if page.len() + text.len() < PAGE_BYTES_MAX {
                page.push(',');
                page.push_str(&text);
            } else {
                pages.push(text);
            }
        }
        let count = pages.len();
        let member = |(at, tools): (usize, String)| match at + 1 < count {
            true => format!("\"tools\":[{tools}],\"nextCursor\":\"{}\"", at + 1),
            false => format!("\"tools\":[{tools}]"),
        };
        Self(pages.into_iter().enumerate().map(member).collect())
    }

    /// The page that a cursor names, the first without one.
    pub(super) fn at(&self, cursor: Option<&str>) -> Option<&str> {
        let at = cursor.map_or(Some(0), |cursor| cursor.parse().ok())?;
        self.0.get(at).map(String::as_str)
    }
}
