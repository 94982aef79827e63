//! What is to be asked of an instance, as its row says. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::instance::{Access, Dimension, Process, RemoteTransport};
use domain::{InstanceId, Sealed};
use mcp::protocol::{Era, Revision};
use views::InstanceRow;

/// An instance as a probe sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) instance: InstanceId,
    pub(crate) generation: u64,
    pub(crate) interval: Duration,
    /// The tools that it must offer.
    pub(crate) tools: BTreeSet<String>,
    /// Whether what runs the server is up, as the log has it.
    pub(crate) container: Dimension,
    /// Where to ask; nowhere while no replica is ready.
    pub(crate) places: Vec<Place>,
}

/// An address to ask at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) url: String,
    /// Whether the platform has put it there itself.
    pub(crate) hosted: bool,
    pub(crate) transport: RemoteTransport,
    /// What it speaks, if that is known.
    pub(crate) era: Option<Era>,
    /// Whether a handshake costs the start of a process there.
    pub(crate) starts_a_process: bool,
    pub(crate) headers: BTreeMap<String, Sealed>,
    /// What opens a replica.
    pub(crate) credential: Option<Sealed>,
}

impl Target {
    /// Whether most rounds may be light: a handshake costs a process, and nothing that it must offer is to be seen.
    pub(crate) fn may_be_light(&self) -> bool {
        self.tools.is_empty() && self.places.iter().any(|place| place.starts_a_process)
    }
}

/// What to ask; none of an instance that is not probed, because it is not wanted to run or clients go there themselves.
pub(crate) fn target(row: &InstanceRow) -> Option<Target> {
    if !row.wanted {
        return None;
    }
    let (container, places) = match &row.access {
        Access::Direct(_) => return None,
        Access::Proxy(remote) => {
            let place = Place {
                url: remote.url.clone(),
                hosted: false,
                transport: remote.transport,
                era: None,
                starts_a_process: false,
                headers: remote.headers.clone(),
                credential: None,
            };
            (Dimension::NotApplicable, vec![place])
        }
        Access::Hosted(hosted) => {
            let places = replicas(row, hosted.process != Process::Shared);
            let container = if places.is_empty() { Dimension::NotReady } else { Dimension::Ready };
            (container, places)
        }
    };
    let check = &row.profile.health_check;
    Some(Target {
        instance: row.id,
        generation: row.generation,
        interval: Duration::from_secs(check.interval_seconds.into()),
        tools: check.tools.clone(),
        container,
        places,
    })
}

/// The replicas that clients are led to: those of the newest generation that has one.
fn replicas(row: &InstanceRow, sessions_have_processes: bool) -> Vec<Place> {
    let revisions = row.server.iter().flat_map(|server| &server.revisions);
    let mut eras = revisions.filter_map(|known| known.parse::<Revision>().ok()).map(Revision::era);
    // To ask without a session leaves nothing behind, and starts nothing.
    let era = if eras.any(|era| era == Era::Stateless) { Era::Stateless } else { Era::Sessions };
    let newest = row.ready_replicas().map(|replica| replica.generation).max();
    let serving = row.ready_replicas().filter(|replica| Some(replica.generation) == newest);
    let place = |replica: &views::Endpoint| {
        Some(Place {
            url: replica.url.clone()?,
            hosted: true,
            transport: RemoteTransport::StreamableHttp,
            era: Some(era),
            starts_a_process: sessions_have_processes && era == Era::Sessions,
            headers: BTreeMap::new(),
            credential: replica.credential.clone(),
        })
    };
    serving.filter_map(place).collect()
}
