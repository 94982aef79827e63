//! Which events are meant: the options that `events tail` and `events replay` share.

use clap::Args;

use crate::rest::given;

#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Begin at a sequence, at `beginning`, with what is `new`, or at a moment: a time (RFC 3339) or how long ago.
    #[arg(long, value_name = "SEQUENCE|TIME|AGO")]
    pub(crate) from: Option<String>,
    /// End with a sequence, `now`, or before a moment: a time (RFC 3339), also one to come, or how long ago.
    #[arg(long, value_name = "SEQUENCE|TIME|AGO")]
    until: Option<String>,
    /// Only events of this aggregate: instance, token, template, retention_plan, instance_name, template_name, credential.
    #[arg(long)]
    aggregate: Option<String>,
    /// Only events of the aggregate with this id; an instance also by name.
    #[arg(long, value_name = "ID|NAME")]
    id: Option<String>,
    /// Only events of this type, such as instance.created; all of an aggregate's: 'instance.*'.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only what this actor has led to: admin, or role:NAME.
    #[arg(long)]
    actor: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Show events as they are stored: sealed secrets (still sealed) and digests are not masked.
    #[arg(long)]
    raw: bool,
}

impl Selection {
    /// With an end, if none was asked for.
    pub(crate) fn ending(mut self, until: &str) -> Self {
        if self.until.is_none() {
            self.until = Some(until.to_owned());
        }
        self
    }

    /// The query that says the same to the api.
    pub(crate) fn query(self) -> Vec<(&'static str, String)> {
        given([
            ("from", self.from),
            ("until", self.until),
            ("aggregate", self.aggregate),
            ("id", self.id),
            ("type", self.event_type),
            ("actor", self.actor),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("raw", self.raw.then(|| "true".to_owned())),
        ])
    }
}
