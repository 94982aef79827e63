//! What opens a replica: a bearer credential that only its bridge, the worker and the gateways know.
//!
//! A replica listens on an address that every process of the machine can reach, other hosted servers among them. The
//! bridge turns away whoever does not present the credential. It is made anew for each replica and dies with it; the
//! log holds it sealed.

use std::ffi::OsString;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// Gives the bridge its credential; the bridge keeps it from its children.
pub(crate) const VARIABLE: &str = "MCPCAN_BRIDGE_CREDENTIAL";

/// How much chance is in a credential, in bytes.
const RANDOM_BYTES: usize = 32;

/// The credential of one replica. No `Debug`: it is a secret.
pub(crate) struct Credential(String);

impl Credential {
    pub(crate) fn random() -> Credential {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        Credential(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// A credential that was made earlier; none of what cannot be one.
    pub(crate) fn read(value: Vec<u8>) -> Option<Credential> {
        let value = String::from_utf8(value).ok()?;
        (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(Credential(value))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The credential as the bridge takes it.
    pub(crate) fn variable(&self) -> (OsString, OsString) {
        (VARIABLE.into(), self.0.as_str().into())
    }

    /// The credential as the bridge asks for it.
    pub(crate) fn headers(&self) -> HeaderMap {
        let bearer = format!("Bearer {}", self.0);
        let mut bearer = HeaderValue::try_from(bearer).expect("hexadecimal digits fit into a header");
        bearer.set_sensitive(true);
        HeaderMap::from_iter([(AUTHORIZATION, bearer)])
    }
}
