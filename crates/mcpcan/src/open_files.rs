//! The limit of open files of this process. Every connection is one, and the soft limit that shells hand out is far
//! below the connections that a gateway takes. Called at the start of `up` and of every role.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. That it cannot be raised is only logged: fewer connections are served then.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, ?limit, "raise the limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = getrlimit(Resource::Nofile);
        let lower = limit.current.map_or(1024, |current| current - 1);
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), ..limit }).expect("it can be lowered");
        raise_limit();
        let raised = getrlimit(Resource::Nofile);
        assert_eq!((raised.current, raised.maximum), (limit.maximum, limit.maximum));
    }
}
