//! Reads what ClickHouse's HTTP interface lets a client say: in the URL, in headers, in a form.
//!
//! Source: the HTTP interface page of the ClickHouse manual. What this engine cannot do (sessions, roles, compressed
//! bodies) is refused by name and never ignored, unless ignoring it changes nothing but speed.

use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

use crate::engine::Parameter;
use crate::exception::{Exception, code};

/// The format of an answer when nobody names one.
const DEFAULT_FORMAT: &str = "TabSeparated";

/// Settings in one request, at most.
const SETTINGS_MAX: usize = 200;

/// What a request says besides its body. Not `Debug`: it holds a password and values.
#[derive(Default)]
pub(crate) struct Request {
    /// The `query` field; the body is appended to it.
    pub query: String,
    pub database: Option<String>,
    pub format: String,
    pub settings: Vec<(String, String)>,
    pub parameters: Vec<Parameter>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub query_id: Option<String>,
    /// GET and HEAD change nothing.
    pub read_only: bool,
}

impl Request {
    pub(crate) fn read(parts: &Parts) -> Result<Self, Exception> {
        let mut request = Self {
            read_only: parts.method != Method::POST && parts.method != Method::PUT,
            format: header(&parts.headers, "x-clickhouse-format")
                .unwrap_or_else(|| DEFAULT_FORMAT.to_owned()),
            database: header(&parts.headers, "x-clickhouse-database"),
            user: header(&parts.headers, "x-clickhouse-user"),
            password: header(&parts.headers, "x-clickhouse-key"),
            ..Self::default()
        };
        refuse_compressed(&parts.headers)?;
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            request.field(&name, value.into_owned())?;
        }
        Ok(request)
    }

    /// Takes one field of the URL or of a form.
    pub(crate) fn field(&mut self, name: &str, value: String) -> Result<(), Exception> {
        match name {
            "query" => self.query = value,
            "database" => self.database = Some(value),
            "default_format" => self.format = value,
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "query_id" => self.query_id = Some(value),
            // Answers are never compressed and never buffered as a whole.
            "enable_http_compression"
            | "http_zlib_compression_level"
            | "buffer_size"
            | "wait_end_of_query"
            | "quota_key"
            | "stacktrace"
            | "http_write_exception_in_output_format" => {}
            "compress" | "decompress" if value == "0" => {}
            "compress" | "decompress" | "session_id" | "session_check" | "session_timeout" | "role" => {
                return Err(not_implemented(format!("the parameter `{name}`")));
            }
            _ => match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((checked("parameter", parameter)?, value)),
                None => self.settings.push((checked("setting", name)?, value)),
            },
        }
        if self.settings.len() + self.parameters.len() > SETTINGS_MAX {
            return Err(Exception::new(
                code::BAD_ARGUMENTS,
                "BAD_ARGUMENTS",
                format!("more than {SETTINGS_MAX} settings and parameters."),
            ));
        }
        Ok(())
    }

    /// The statements that put a fresh connection into the state this request asks for.
    pub(crate) fn preparation(&self) -> Vec<String> {
        let mut statements = Vec::new();
        if let Some(database) = self.database.as_deref().filter(|database| !database.is_empty()) {
            statements.push(format!("USE {}", quoted(database, '`')));
        }
        let mut settings: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} = {}", quoted(value, '\''))).collect();
        if self.read_only {
            // As ClickHouse does for GET: settings may still be changed, data may not.
            settings.push("readonly = 2".to_owned());
        }
        if !settings.is_empty() {
            statements.push(format!("SET {}", settings.join(", ")));
        }
        statements
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn refuse_compressed(headers: &HeaderMap) -> Result<(), Exception> {
    match header(headers, "content-encoding") {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(not_implemented(format!("the content encoding `{encoding}`")))
        }
        _ => Ok(()),
    }
}

fn not_implemented(what: impl std::fmt::Display) -> Exception {
    Exception::new(
        code::NOT_IMPLEMENTED,
        "NOT_IMPLEMENTED",
        format!("the embedded engine does not support {what}."),
    )
}

/// A name that may stand in a statement without quotes.
fn checked(kind: &str, name: &str) -> Result<String, Exception> {
    let starts_well = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    if starts_well && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        return Ok(name.to_owned());
    }
    Err(Exception::new(
        code::UNKNOWN_SETTING,
        "UNKNOWN_SETTING",
        format!("`{name}` is not the name of a {kind}."),
    ))
}

fn quoted(text: &str, quote: char) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push(quote);
    for character in text.chars() {
        if character == '\\' || character == quote {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push(quote);
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str) -> Result<Request, Exception> {
        Request::read(&http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0)
    }

    #[test]
    fn settings_parameters_and_database_are_told_apart() {
        let request = read("POST", "/?query=SELECT+1&database=m&max_threads=2&param_x=a%27b").unwrap();
        assert_eq!(request.query, "SELECT 1");
        assert_eq!(request.parameters, [("x".to_owned(), "a'b".to_owned())]);
        assert_eq!(request.preparation(), ["USE `m`", "SET max_threads = '2'"]);
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let request = read("POST", "/?database=a%60b&s=x%27%2C+readonly%3D0+--%5C").unwrap();
        assert_eq!(request.preparation(), ["USE `a\\`b`", r"SET s = 'x\', readonly=0 --\\'"]);
    }

    #[test]
    fn a_get_changes_nothing_whatever_it_asks_for() {
        let request = read("GET", "/?query=DROP+TABLE+t&readonly=0").unwrap();
        assert_eq!(request.preparation(), ["SET readonly = '0', readonly = 2"]);
    }

    #[test]
    fn what_the_engine_cannot_do_is_refused_by_name() {
        for uri in ["/?session_id=1", "/?decompress=1", "/?role=x"] {
            assert_eq!(read("POST", uri).err().unwrap().code, code::NOT_IMPLEMENTED, "{uri}");
        }
        assert_eq!(read("POST", "/?a%3Bb=1").err().unwrap().code, code::UNKNOWN_SETTING);
        assert!(read("POST", "/?decompress=0").is_ok());
    }
}
