//! The roles as NATS users: what each may do is declared in `nats/permissions.conf`.

use std::fmt::{self, Write as _};

use zeroize::Zeroizing;

use crate::connection::Credentials;

/// What each role may do, as part of a server's configuration. See [`users_config`].
pub const PERMISSIONS_CONFIG: &str = include_str!("../../../nats/permissions.conf");

/// The cost of a hash. The passwords are random and long, so nobody guesses them, and a hash need not be slow.
const BCRYPT_COST: u32 = 4;
const SALT_BYTES: usize = 16;

/// Whoever connects to NATS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Api,
    Decider,
    Projector,
    Worker,
    Gateway,
    /// Applies what `nats/` declares, before the others start.
    Operator,
}

impl Role {
    pub const ALL: [Role; 6] =
        [Role::Api, Role::Decider, Role::Projector, Role::Worker, Role::Gateway, Role::Operator];

    /// The name of the role's user, and of its connections in the server's monitoring.
    pub fn name(self) -> &'static str {
        match self {
            Role::Api => "api",
            Role::Decider => "decider",
            Role::Projector => "projector",
            Role::Worker => "worker",
            Role::Gateway => "gateway",
            Role::Operator => "operator",
        }
    }

    /// Whether the role seals, opens or digests, or links the chain. The decider shreds keys, which needs none.
    pub fn needs_master_key(self) -> bool {
        match self {
            Role::Api | Role::Projector | Role::Worker | Role::Gateway => true,
            Role::Decider | Role::Operator => false,
        }
    }

    /// What the subjects begin with at which the role receives answers: no other role may listen there.
    pub(crate) fn inbox_prefix(self) -> String {
        format!("_INBOX_{}", self.name())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The part of a server's configuration that lets these roles in, each with its permissions. It holds hashes of the
/// passwords, not the passwords, of which bcrypt reads the first 72 bytes.
pub fn users_config(passwords: &[(Role, Zeroizing<String>)]) -> String {
    let mut config = PERMISSIONS_CONFIG.to_owned();
    config.push_str("\nauthorization {\n  users: [\n");
    for (role, password) in passwords {
        let block = role.name().to_uppercase();
        writeln!(
            config,
            "    {{ user: {role}, password: \"{}\", permissions: $MCPCAN_{block} }}",
            hash(password)
        )
        .expect("a string takes every line");
    }
    config.push_str("  ]\n}\n");
    config
}

fn hash(password: &str) -> String {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).expect("the operating system gives random bytes");
    let parts = bcrypt::hash_with_salt(password, BCRYPT_COST, salt);
    parts.expect("the cost is one that bcrypt knows").to_string()
}

/// The way in of one of these roles.
impl Credentials {
    pub fn of(role: Role, password: Zeroizing<String>) -> Self {
        Credentials { user: role.name().to_owned(), password }
    }
}
