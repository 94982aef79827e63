//! What can go wrong between this crate and ClickHouse, sorted by what the caller does next.
//!
//! A sink retries what is [`Error::Unavailable`] and sets aside what is [`Error::Rejected`]; an endpoint answers
//! 503 to the first and 400 to [`Error::InvalidQuery`].

/// The boxed cause of an error; its text may name tables and types, never a row's values chosen by us.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ClickHouse is away, overloaded, not yet migrated or refuses the credentials: nothing is wrong with the rows or
    /// the query, and the same call may succeed later. For an insert it is unknown whether the rows are in; repeating
    /// it with the same deduplication token is safe.
    #[error("clickhouse is not available for {operation}")]
    Unavailable { operation: &'static str, source: Cause },
    /// ClickHouse, or the client's own checks, will never accept exactly this input.
    #[error("clickhouse rejected {operation}{}", code_in_words(*code))]
    Rejected {
        operation: &'static str,
        /// ClickHouse's own error code, if it was ClickHouse who said no.
        code: Option<u32>,
        source: Cause,
    },
    /// More rows than one insert may carry; split the batch, each part with a token of its own.
    #[error("an insert of {rows} rows is over the limit of {limit}: split the batch")]
    TooManyRows { rows: usize, limit: usize },
    /// A deduplication token that could not tell two batches apart.
    #[error("the deduplication token is empty: give each batch a token of its own, the same at every retry")]
    EmptyDeduplicationToken,
    /// A filter outside its bounds.
    #[error("invalid {field}: {reason}")]
    InvalidQuery { field: &'static str, reason: String },
    /// The configured address cannot be used.
    #[error("the ClickHouse url is not usable: {reason}")]
    InvalidUrl { reason: String },
    /// TLS could not be set up on this machine.
    #[error("tls for the ClickHouse url could not be set up")]
    Tls { source: Cause },
    /// A migration that has been applied is not the one this binary carries.
    #[error(
        "migration {name} was applied with checksum {recorded}, but this binary carries {carried}: \
         migrations are never edited after their release, add a new one"
    )]
    MigrationChanged { name: String, recorded: String, carried: String },
    /// A migration of this binary that cannot be put onto a cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::UnknownForm),
    /// A stored row that cannot be read back.
    #[error("a stored row has an unreadable {field}")]
    Corrupt { field: &'static str, source: Cause },
}

impl Error {
    /// True when the same call may succeed later without any change to it.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    /// Sorts the error of an insert. What the server says against the rows themselves is final; all else may pass, and rows
    /// are not given up for it.
    pub(crate) fn during_insert(operation: &'static str, error: clickhouse::error::Error) -> Self {
        match Self::during(operation, error) {
            Error::Rejected { operation, code: Some(code), source } if !FINAL_CODES.contains(&code) => {
                Error::Unavailable { operation, source }
            }
            error => error,
        }
    }

    /// Sorts a client error by what the caller can do about it.
    pub(crate) fn during(operation: &'static str, error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error as Client;
        let code = match &error {
            Client::Network(_) | Client::TimedOut => {
                return Error::Unavailable { operation, source: error.into() };
            }
            Client::BadResponse(text) => match exception_code(text) {
                None => return Error::Unavailable { operation, source: error.into() },
                Some(code) if PASSING_CODES.contains(&code) => {
                    return Error::Unavailable { operation, source: error.into() };
                }
                Some(code) => Some(code),
            },
            // The table lacks a column of the row: not migrated yet.
            Client::SchemaMismatch(_) | Client::InvalidColumnsHeader(_) => {
                return Error::Unavailable { operation, source: error.into() };
            }
            _ => None,
        };
        Error::Rejected { operation, code, source: error.into() }
    }
}

/// Codes of ClickHouse that say nothing against the rows or the query: they pass, or an operator mends them.
/// Source: `src/Common/ErrorCodes.cpp` of ClickHouse; numbers are never reused there.
const PASSING_CODES: [u32; 35] = [
    16,  // NO_SUCH_COLUMN_IN_TABLE: not migrated yet
    60,  // UNKNOWN_TABLE: not migrated yet
    74,  // CANNOT_READ_FROM_FILE_DESCRIPTOR
    75,  // CANNOT_WRITE_TO_FILE_DESCRIPTOR: a full disk
    76,  // CANNOT_OPEN_FILE
    81,  // UNKNOWN_DATABASE: not migrated yet
    115, // UNKNOWN_SETTING: a server older than this client
    159, // TIMEOUT_EXCEEDED
    164, // READONLY
    173, // CANNOT_ALLOCATE_MEMORY
    192, // UNKNOWN_USER
    193, // WRONG_PASSWORD
    194, // REQUIRED_PASSWORD
    201, // QUOTA_EXCEEDED
    202, // TOO_MANY_SIMULTANEOUS_QUERIES
    203, // NO_FREE_CONNECTION
    209, // SOCKET_TIMEOUT
    210, // NETWORK_ERROR
    225, // NO_ZOOKEEPER
    236, // ABORTED
    241, // MEMORY_LIMIT_EXCEEDED
    242, // TABLE_IS_READ_ONLY
    243, // NOT_ENOUGH_SPACE
    252, // TOO_MANY_PARTS
    279, // ALL_CONNECTION_TRIES_FAILED
    285, // TOO_FEW_LIVE_REPLICAS
    286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    319, // UNKNOWN_STATUS_OF_INSERT
    394, // QUERY_WAS_CANCELLED
    425, // SYSTEM_ERROR
    439, // CANNOT_SCHEDULE_TASK
    497, // ACCESS_DENIED
    516, // AUTHENTICATION_FAILED
    745, // SERVER_OVERLOADED
    999, // KEEPER_EXCEPTION
];

/// Codes of ClickHouse that say something against the rows of an insert: their form, or a value. Source as above.
const FINAL_CODES: [u32; 16] = [
    6,   // CANNOT_PARSE_TEXT
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    32,  // ATTEMPT_TO_READ_AFTER_EOF
    33,  // CANNOT_READ_ALL_DATA
    36,  // BAD_ARGUMENTS
    38,  // CANNOT_PARSE_DATE
    41,  // CANNOT_PARSE_DATETIME
    53,  // TYPE_MISMATCH
    69,  // ARGUMENT_OUT_OF_BOUND
    70,  // CANNOT_CONVERT_TYPE
    72,  // CANNOT_PARSE_NUMBER
    117, // INCORRECT_DATA
    131, // TOO_LARGE_STRING_SIZE
    349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    469, // VIOLATED_CONSTRAINT
    691, // UNKNOWN_ELEMENT_OF_ENUM
];

/// The number in `Code: 62. DB::Exception: …`.
fn exception_code(text: &str) -> Option<u32> {
    let digits = text.split_once("Code: ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

fn code_in_words(code: Option<u32>) -> String {
    code.map(|code| format!(" with code {code}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_response(text: &str) -> Error {
        Error::during("insert traces", clickhouse::error::Error::BadResponse(text.to_owned()))
    }

    #[test]
    fn an_overloaded_or_unmigrated_server_is_worth_a_retry() {
        for text in [
            "Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)",
            "Code: 60. DB::Exception: Table mcpcan.access_log does not exist. (UNKNOWN_TABLE)",
            "502 Bad Gateway",
        ] {
            assert!(bad_response(text).is_retryable(), "{text}");
        }
    }

    #[test]
    fn a_table_that_lacks_a_column_is_worth_a_retry() {
        let mismatch = clickhouse::error::Error::SchemaMismatch("no column `tool`".to_owned());
        assert!(Error::during("insert traces", mismatch).is_retryable());
    }

    #[test]
    fn a_rejected_row_keeps_the_servers_code() {
        let error = bad_response("Code: 27. DB::Exception: Cannot parse input. (CANNOT_PARSE_INPUT)");
        assert!(matches!(error, Error::Rejected { code: Some(27), .. }), "{error:?}");
        assert_eq!(error.to_string(), "clickhouse rejected insert traces with code 27");
    }
}
