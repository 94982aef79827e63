//! OpenAPI documents as MCP tools. Pure: no clock, no randomness, no IO.
//!
//! [`Document`] reads a document of OpenAPI 3.0 or 3.1 with what it refers to; [`convert`] makes [`Tool`]s of its
//! operations and a [`Report`] of what became of each. [`Operation::request`] turns the arguments of a call into the HTTP
//! request that the document prescribes, and [`answer::result`] what the API answers into the result of the call.
//!
//! Documents are read as plain JSON values: typed models of OpenAPI drop what they do not know. Arguments and answers pass
//! as text, so that no number, order of members or `null` changes on the way. Documents are hostile until proven
//! otherwise: all that they can make grow has a name in [`limit`].
//!
//! Source: spec.openapis.org/oas, versions 3.0.4 and 3.1.1; RFC 6570 for styles, RFC 3986 for what is encoded.

#![deny(clippy::disallowed_methods)]

pub mod answer;
mod argument;
mod body;
mod convert;
mod document;
pub mod limit;
mod name;
mod operation;
mod options;
mod parameter;
mod report;
mod request;
mod schema;
mod security;
mod server;
mod style;

pub use convert::{Api, Hints, Tool, convert};
pub use document::{Document, Fetch, Refused};
pub use operation::{BadArguments, Operation};
pub use options::{Edit, Options, Selection};
pub use report::{Converted, Entry, Report};
pub use request::{Content, Part, Request, RequestBody, multipart};
pub use security::{Credential, CredentialPlace, Scheme, SchemeKind, apply};
