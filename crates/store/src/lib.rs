//! Everything that speaks NATS: subjects, the envelope, upcasts, append, load, the command bus, views in buckets,
//! sealed secrets, and the streams of log rows.
//!
//! No rule lives here. Nothing outside this crate names a stream, a header or a NATS type.

mod answer;
pub mod archive;
mod bucket;
mod chain;
mod codec;
mod command_bus;
mod command_state;
mod commit;
mod connection;
pub mod data_stream;
mod direct_get;
mod document;
mod envelope;
mod error;
mod history;
mod idempotency;
mod import;
mod journal;
mod lease;
mod link;
mod outcome;
mod probe_request;
mod projection;
pub mod provision;
mod reaction;
mod reader;
mod replay;
pub mod role;
mod role_status;
mod sink;
mod stored_event;
pub mod subject;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;
pub mod upcast;
mod vault;
mod view;
mod view_status;

pub use chain::{ChainError, FINDINGS_MAX, Finding, Verification, VerifyProgress};
pub use codec::{decode, encode};
pub use command_bus::{CommandId, Given, ReceivedCommand, ReceivedCommands, SendError};
pub use command_state::CommandState;
pub use connection::{ConnectError, Credentials, Options, Store};
pub use data_stream::{DataMessage, DataPage, DataReader, DataStream, Extent};
pub use document::{DOCUMENT_BYTES_MAX, is_document_id};
pub use error::{Unavailable, Unreadable};
pub use history::{Past, PastError, Place, StatesAround, Trace, TraceLimits};
pub use idempotency::Claim;
pub use import::{Chunk, Compared, KeyPage, ReceivedChunk, ReceivedChunks};
pub use journal::{Aggregate, AppendError, LoadError, Write};
pub use lease::{Lease, Task};
pub use outcome::{Decision, Outcome};
pub use probe_request::{ProbeRequest, ProbeRequests, Probed};
pub use projection::ProjectError;
pub use reaction::{ReceivedEvent, ReceivedEvents};
pub use replay::{NotAName, ReplayName};
pub use role::Role;
pub use role_status::{GatewayReport, ProcessReport, RolesStatus, SAY_INTERVAL, Said, SinkReport};
pub use sink::{Batch, Sink, SinkError};
pub use stored_event::StoredEvent;
pub use tail::{
    AggregateId, AggregateName, End, EventType, Events, Filter, NotAToken, NotAType, Start, Tail,
};
pub use upcast::Stored;
pub use vault::{Keys, MasterKey, MasterKeyError, OpenError, Vault};
pub use view::{Changes, Follower, NotReached};
pub use view_status::{Folding, LastError, Rebuild, Report, ViewState, ViewStatus};
