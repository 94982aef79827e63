//! Which rows are meant: the options that search, tail and export share.

use clap::Args;

use crate::rest::given;

/// Filters; all that are given must match.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Name or id of an instance.
    #[arg(long)]
    instance: Option<String>,
    /// A trace id, the client's own or the one the gateway made (X-Trace-Id).
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Id or label of a token.
    #[arg(long, value_name = "ID|LABEL")]
    token: Option<String>,
    /// At least this level: trace, debug, info, warn, error.
    #[arg(long)]
    level: Option<String>,
    /// One kind of row: request, response, sse_start, sse_end, error, auth_failed, rate_limited.
    #[arg(long)]
    event: Option<String>,
    /// A JSON-RPC method, such as tools/call.
    #[arg(long)]
    method: Option<String>,
    /// A tool, prompt or resource by name.
    #[arg(long)]
    tool: Option<String>,
    /// An HTTP status.
    #[arg(long)]
    status: Option<u16>,
    /// Id of the replica that answered.
    #[arg(long, value_name = "ID")]
    replica: Option<String>,
    /// A session, as rows have it in `session_id`.
    #[arg(long, value_name = "DIGEST")]
    session: Option<String>,
    /// The header field of the credential, such as x-api-key or "authorization: bearer".
    #[arg(long, value_name = "FIELD")]
    token_header: Option<String>,
    /// What kind of thing went wrong, as rows have it in `error_class`.
    #[arg(long, value_name = "CLASS")]
    error_class: Option<String>,
    /// Only what took so long, such as 250ms or 2s.
    #[arg(long, value_name = "LENGTH")]
    min_latency: Option<String>,
    /// A part of the error, or of the body where the instance keeps bodies.
    #[arg(long)]
    text: Option<String>,
}

/// The rows of a stretch of time.
#[derive(Debug, Args)]
pub(super) struct Selection {
    #[command(flatten)]
    filter: Filter,
    /// Not before: a time (RFC 3339) or how long ago, such as 5m.
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
    /// Before this time, or before so long ago.
    #[arg(long, value_name = "TIME|AGO")]
    until: Option<String>,
}

impl Filter {
    pub(super) fn query(self) -> Vec<(&'static str, String)> {
        given([
            ("instance", self.instance),
            ("trace", self.trace),
            ("token", self.token),
            ("level", self.level),
            ("event", self.event),
            ("method", self.method),
            ("tool", self.tool),
            ("status", self.status.map(|status| status.to_string())),
            ("replica", self.replica),
            ("session", self.session),
            ("token_header", self.token_header),
            ("error_class", self.error_class),
            ("min_latency", self.min_latency),
            ("text", self.text),
        ])
    }
}

impl Selection {
    pub(super) fn query(self) -> Vec<(&'static str, String)> {
        let mut query = self.filter.query();
        query.extend(given([("since", self.since), ("until", self.until)]));
        query
    }
}
