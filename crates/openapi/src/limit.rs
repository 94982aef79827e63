//! How much a document, and what is made of it, may be. Whatever is beyond is refused, or shortened and reported.

/// The largest document in bytes, and the largest sum of a document and what it refers to.
pub const DOCUMENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most documents that one may refer to, directly and through others.
pub const DOCUMENTS_MAX: usize = 64;
/// The deepest nesting. `serde_json` reads no deeper either.
pub const DEPTH_MAX: usize = 127;
/// Values that a YAML document may have, aliases resolved: what stops documents that grow as they are read.
pub const YAML_NODES_MAX: usize = 1_000_000;
/// References from one to the next before something that is no reference has to come.
pub const REFERENCE_HOPS_MAX: usize = 32;
/// The most tools of one document.
pub const TOOLS_MAX: usize = 4096;
/// The most parameters of one operation.
pub const PARAMETERS_MAX: usize = 256;
/// Characters of a tool's name: what clients take.
pub const NAME_CHARS_MAX: usize = 64;
/// Bytes of all tools together as `tools/list` shows them; schemas and descriptions are shortened to get there.
pub const LIST_BYTES_MAX: usize = 1_900_000;
/// Characters of a tool's description.
pub const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Bytes of a tool's schema of what it takes, shared definitions included, where the whole list allows it.
pub const INPUT_BYTES_MAX: usize = 24 * 1024;
/// Bytes of a tool's schema of what it answers, where the whole list allows it.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// The most entries of the report that name what was left out or changed; more are only counted.
pub const REPORT_ENTRIES_MAX: usize = 2000;
