//! What all records of a call have in common, kept once.

use std::net::IpAddr;
use std::sync::Arc;

use access_log::Fields;
use domain::instance::Capture;
use domain::token::Kind;
use domain::token::credential::decode_basic;
use http::Method;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::head::Head;
use crate::masking::{self, MASK, Masking, Secrets, cut};
use crate::routes::{Destination, Route};
use crate::tokens::Grant;
use crate::trace_context::TraceContext;

/// How much of a query is looked at, in bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 2 * 1024;

/// A header field of the platform's that is shorter than this is taken for no secret when it stands elsewhere.
const OWN_SECRET_BYTES_MIN: usize = 16;

/// A request as it came.
pub(crate) struct Call {
    pub(crate) started: Timestamp,
    pub(crate) client: IpAddr,
    pub(crate) method: Method,
    /// Of the instance that it names, or a masked one: what is no instance may be anything, a mistyped secret included.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) head: Head,
    pub(crate) trace: TraceContext,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) grant: Option<Arc<Grant>>,
    /// How the credential was presented, whether or not it was good.
    pub(crate) presented: Option<Kind>,
    /// The digest of the session that the request names.
    pub(crate) session: String,
    pub(crate) capture: Capture,
}

impl Call {
    /// What is secret in anything that belongs to the call.
    pub(super) fn secrets(&self, destination: Option<&Destination>) -> Secrets {
        let text = |value: &[u8]| Zeroizing::new(String::from_utf8_lossy(value).into_owned());
        let credentials = ["authorization", "api-key", "x-api-key", "mcp-session-id"];
        let presented = self.head.fields().filter(|(name, _)| credentials.contains(name));
        let presented = presented.flat_map(|(_, value)| parts(text(value)));
        let of_token = self.grant.as_ref().and_then(|grant| grant.headers().ok());
        let own = destination.map(|destination| &destination.headers).into_iter().chain(of_token);
        let own = own.flat_map(|headers| headers.values()).flat_map(|value| parts(text(value.as_bytes())));
        Secrets::new(presented.chain(own.filter(|value| value.len() >= OWN_SECRET_BYTES_MIN)))
    }

    /// The fields of a head as a record has them. Cookies are told apart.
    pub(super) fn fields(&self, head: &Head, masking: &Masking, secrets: &Secrets) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in head.fields().filter(|(name, _)| *name != "cookie") {
            let value = String::from_utf8_lossy(value);
            let value =
                cut(masking.field(name, &value, self.is_own(name), secrets), super::head::FIELD_BYTES_MAX);
            match fields.get_mut(name) {
                Some(known) if known == MASK => {}
                Some(known) => *known = cut(format!("{known}, {value}"), super::head::FIELD_BYTES_MAX),
                None => drop(fields.insert(secrets.masked(name), value)),
            }
        }
        fields
    }

    /// Whether the platform sends a field of this name with a secret of the instance or of the token in it.
    fn is_own(&self, name: &str) -> bool {
        self.route.as_ref().is_some_and(|route| route.has_secret_field(name))
            || self.grant.as_ref().is_some_and(|grant| grant.has_secret_field(name))
    }

    pub(super) fn cookies(&self, secrets: &Secrets) -> Fields {
        let values = self.head.fields().filter(|(name, _)| *name == "cookie").map(|(_, value)| value);
        let values: Vec<_> = values.map(String::from_utf8_lossy).collect();
        masking::cookie_names(values.iter().map(|value| &**value), secrets)
    }

    /// The header field that the credential came in, with its scheme.
    pub(super) fn token_header(&self) -> &'static str {
        match self.presented {
            Some(Kind::Bearer) => "authorization: bearer",
            Some(Kind::Basic) => "authorization: basic",
            Some(Kind::ApiKey) => "api-key",
            Some(Kind::XApiKey) => "x-api-key",
            None => "",
        }
    }
}

/// A credential as it is presented, without its scheme, and the password in it.
fn parts(value: Zeroizing<String>) -> Vec<Zeroizing<String>> {
    let text = value.split_once(' ').map_or(&**value, |(_, text)| text.trim());
    let password = decode_basic(text).map(|(_, password)| password);
    [Zeroizing::new(text.to_owned())].into_iter().chain(password).collect()
}
