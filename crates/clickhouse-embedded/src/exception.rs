//! An error of ClickHouse, as its HTTP interface shows it: a code, a text, a status.

use http::StatusCode;

/// Codes of ClickHouse that this crate itself answers with. Source: `src/Common/ErrorCodes.cpp` of ClickHouse.
pub(crate) mod code {
    pub(crate) const BAD_ARGUMENTS: u32 = 36;
    pub(crate) const NOT_IMPLEMENTED: u32 = 48;
    pub(crate) const SYNTAX_ERROR: u32 = 62;
    pub(crate) const UNKNOWN_SETTING: u32 = 115;
    pub(crate) const SOCKET_TIMEOUT: u32 = 209;
    pub(crate) const NETWORK_ERROR: u32 = 210;
    pub(crate) const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
    pub(crate) const QUERY_IS_TOO_LARGE: u32 = 223;
    pub(crate) const ABORTED: u32 = 236;
    pub(crate) const AUTHENTICATION_FAILED: u32 = 516;
    pub(crate) const UNKNOWN_EXCEPTION: u32 = 1002;
}

/// A failed statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Exception {
    pub code: u32,
    /// `Code: 62. DB::Exception: … (SYNTAX_ERROR)`, without the engine's version and without a line break at its end.
    text: String,
}

impl Exception {
    /// An error of this crate in ClickHouse's form; `name` is the code's name there.
    pub(crate) fn new(code: u32, name: &str, message: impl std::fmt::Display) -> Self {
        Self { code, text: format!("Code: {code}. DB::Exception: {message} ({name})") }
    }

    /// Reads the code from the engine's own text, and puts one in front when there is none.
    pub(crate) fn from_engine(text: &str) -> Self {
        let text = text.trim_end();
        let code = text
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(digits, _)| digits.parse().ok());
        match code {
            Some(code) => Self { code, text: text.to_owned() },
            None => Self::new(code::UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", text),
        }
    }

    /// The engine returned no result at all, which its interface does not foresee.
    pub(crate) fn no_answer() -> Self {
        Self::new(code::UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", "the engine returned nothing.")
    }

    /// The body of an error answer, as a server of `version` writes it.
    pub(crate) fn body(&self, version: &str) -> String {
        format!("{} (version {version} (embedded))\n", self.text)
    }

    /// The status ClickHouse gives to the code. Source: `exceptionCodeToHTTPStatus` in `src/Server/HTTP`.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            194 => StatusCode::UNAUTHORIZED,
            192 | 193 | 512 | 516 => StatusCode::FORBIDDEN,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 81 | 115 | 287 => StatusCode::NOT_FOUND,
            6 | 26 | 27 | 32 | 33 | 36 | 38 | 41 | 43 | 44 | 53 | 62 | 69 | 70 | 72 | 117 | 130 | 131
            | 248 | 427 | 441 | 456 | 457 | 636 | 692 => StatusCode::BAD_REQUEST,
            48 => StatusCode::NOT_IMPLEMENTED,
            159 => StatusCode::REQUEST_TIMEOUT,
            76 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
            223 => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_text_keeps_its_code() {
        let exception = Exception::from_engine("Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)\n");
        assert_eq!(exception.code, 60);
        assert_eq!(exception.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            exception.body("26.7.2.1"),
            "Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE) (version 26.7.2.1 (embedded))\n"
        );
    }

    #[test]
    fn a_text_without_a_code_gets_one() {
        let exception = Exception::from_engine("Failed to parse INSERT query");
        assert_eq!(exception.code, code::UNKNOWN_EXCEPTION);
        assert!(exception.body("1").starts_with("Code: 1002. DB::Exception: Failed to parse INSERT query"));
    }
}
