//! What a row of the view says of where requests go. Pure.

use domain::instance::{Access, CommandLine, RemoteTransport};
use mcp::protocol::{Era, Revision};
use uuid::Uuid;
use views::InstanceRow;

use super::Upstream;
use crate::opening::SealedFields;
use crate::refusal::Refusal;

/// Why an instance takes no requests now.
pub(super) fn closed(row: &InstanceRow) -> Option<Refusal> {
    match &row.access {
        Access::Direct(_) => Some(Refusal::DirectInstance),
        _ if !row.wanted => Some(Refusal::InstanceStopped),
        Access::Hosted(_) | Access::Proxy(_) => None,
    }
}

/// Whether the replicas of an instance translate for clients that know no sessions.
pub(super) fn keeps_clients(row: &InstanceRow) -> bool {
    let revisions = row.server.iter().flat_map(|server| &server.revisions);
    let mut known = revisions.filter_map(|revision| revision.parse::<Revision>().ok()).peekable();
    known.peek().is_some() && known.all(|revision| revision.era() == Era::Sessions)
}

/// The upstreams of an instance as its row has them.
pub(super) fn in_row(row: &InstanceRow) -> Vec<Upstream> {
    match &row.access {
        Access::Direct(_) => vec![],
        Access::Proxy(remote) => {
            let fields = SealedFields { headers: remote.headers.clone(), credential: None };
            let (url, generation) = (remote.url.clone(), row.generation);
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, url.as_bytes());
            let transport = remote.transport;
            let (hosted, before_api) = (false, false);
            vec![Upstream { id, hosted, before_api, generation, url, transport, fields, opened: None }]
        }
        Access::Hosted(server) => row
            .ready_replicas()
            .filter_map(|replica| {
                let fields =
                    SealedFields { credential: replica.credential.clone(), ..SealedFields::default() };
                let (id, generation, url) = (replica.replica.0, replica.generation, replica.url.clone()?);
                let transport = RemoteTransport::StreamableHttp;
                let before_api = server.source.command().is_some_and(CommandLine::is_openapi);
                let hosted = true;
                Some(Upstream { id, hosted, before_api, generation, url, transport, fields, opened: None })
            })
            .collect(),
    }
}
