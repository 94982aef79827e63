//! How a command ends when it does not succeed: one kind for each exit code, so that scripts can tell them apart.
//! The only place that names an exit code; `main` prints what is described here.

use std::io::{self, Write};

use serde::Deserialize;

/// Shown by `mcpcan --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  it is done
  1  it failed: the message on stderr tells why
  2  the command line, or a value in it, is not right
  3  refused: not found, a name that is taken, a state that does not allow it
  4  the api, the gateway or a server part cannot be reached
  5  the tool was called and answered with an error
  6  the admin key or the token is not accepted
  7  the command is accepted and will be decided, but was not in time: `mcpcan command show` tells what became of it";

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    /// The api answered with a problem document.
    #[error("{0}")]
    Problem(Problem),
    #[error("{0}")]
    Refused(String),
    #[error("cannot reach {what}")]
    Unreachable { what: String, source: anyhow::Error },
    #[error(
        "command {0} is accepted, but nobody has decided it yet; it is not lost: `mcpcan command show {0} --wait` \
         tells what becomes of it, and to give it again would make a second one"
    )]
    Undecided(String),
    /// No failure: somebody did not want to wait for the decision. `command::told` prints the document.
    #[error("the command is accepted")]
    Accepted(serde_json::Value),
    /// The tool's own answer has been printed already.
    #[error("the tool answered with an error")]
    Tool,
    #[error("{0}")]
    Unauthorized(String),
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// An RFC 9457 document.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) detail: String,
    #[serde(default)]
    pub(crate) errors: Vec<Violation>,
    /// The revision that it has, where another one was expected.
    #[serde(default)]
    pub(crate) revision: Option<u64>,
}

/// What is wrong with one place of a request: a member of the body, a query parameter, or a header field.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Violation {
    pub(crate) pointer: Option<String>,
    pub(crate) parameter: Option<String>,
    pub(crate) header: Option<String>,
    #[serde(default)]
    pub(crate) detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })?;
        for violation in &self.errors {
            let place =
                [&violation.pointer, &violation.parameter, &violation.header].into_iter().flatten().next();
            write!(f, "\n  {}: {}", place.map_or("", String::as_str), violation.detail)?;
        }
        if let Some(revision) = self.revision {
            write!(f, "; look at it again, and give `--if-match {revision}` if you still want the change")?;
        }
        Ok(())
    }
}

impl Failure {
    pub(crate) fn unreachable(what: impl Into<String>, source: impl Into<anyhow::Error>) -> Self {
        Failure::Unreachable { what: what.into(), source: source.into() }
    }

    /// The process's exit code, see [`EXIT_CODES`].
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Refused(_) => 3,
            Failure::Unreachable { .. } => 4,
            Failure::Tool => 5,
            Failure::Unauthorized(_) => 6,
            Failure::Undecided(_) | Failure::Accepted(_) => 7,
            Failure::Problem(problem) => match problem.status {
                400 | 413 | 415 | 422 => 2,
                401 | 403 => 6,
                400..=499 => 3,
                502..=504 => 4,
                _ => 1,
            },
        }
    }

    /// Writes the failure with its causes, as the last words of the process.
    pub(crate) fn describe(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_closed_pipe() {
            return Ok(());
        }
        write!(out, "mcpcan: {self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(out, ": {error}")?;
            cause = error.source();
        }
        writeln!(out)
    }

    /// Whoever read our output has seen enough: `mcpcan events tail | head`.
    fn is_closed_pipe(&self) -> bool {
        let Failure::Failed(error) = self else { return false };
        error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Failed(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16) -> Failure {
        Failure::Problem(Problem {
            title: "title".into(),
            status,
            detail: String::new(),
            errors: vec![],
            revision: None,
        })
    }

    #[test]
    fn each_kind_of_answer_has_an_exit_code() {
        let codes = [400, 401, 404, 409, 412, 422, 500, 503].map(|status| problem(status).exit_code());
        assert_eq!(codes, [2, 6, 3, 3, 3, 2, 1, 4]);
        assert_eq!(Failure::Undecided("id".to_owned()).exit_code(), 7);
    }

    #[test]
    fn a_failure_is_described_once_with_its_causes() {
        let failure = Failure::unreachable(
            "the api at http://127.0.0.1:1",
            anyhow::anyhow!("refused").context("connect"),
        );
        let mut text = vec![];
        failure.describe(&mut text).expect("a vector takes everything");
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "mcpcan: cannot reach the api at http://127.0.0.1:1: connect: refused\n"
        );
    }
}
