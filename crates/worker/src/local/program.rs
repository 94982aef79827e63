//! What is really started for a hosted command: the command, or for one that serves an OpenAPI document the bridge's own
//! mode for that, with the document in the working directory.

use std::ffi::OsString;
use std::path::Path;

use domain::instance::access::OPENAPI_PROGRAM;
use domain::instance::{CommandLine, FailureReason, Hosted, Process};
use store::is_document_id;

use super::Local;
use super::environment::Environment;
use super::halt::Halt;
use super::workplace;

pub(super) struct Program {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    /// Whether it speaks HTTP to an API.
    pub(super) before_api: bool,
    pub(super) process: Process,
}

impl Local {
    /// Finds the program, so that one that is not there is told from one that fails.
    pub(super) async fn program(
        &self,
        hosted: &Hosted,
        command: &CommandLine,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Program, Halt> {
        if command.is_openapi() {
            return self.openapi_program(command, directory).await;
        }
        workplace::find_program(&command.program, environment.get("PATH"), directory)
            .map_err(|detail| Halt::failed(FailureReason::ProgramNotFound, detail))?;
        Ok(Program {
            program: command.program.clone().into(),
            arguments: command.args.iter().map(OsString::from).collect(),
            before_api: false,
            process: hosted.process,
        })
    }

    async fn openapi_program(&self, command: &CommandLine, directory: &Path) -> Result<Program, Halt> {
        let private = if self.private_upstreams { "allow" } else { "refuse" };
        let own = ["openapi", "--stdio", "--pass-headers", "--private-backends", private];
        let mut arguments: Vec<_> = own.into_iter().map(OsString::from).collect();
        let document = command.openapi_document();
        for (at, argument) in command.args.iter().enumerate() {
            arguments.push(match argument {
                id if Some(at) == document && is_document_id(id) => self.fetch(id, directory).await?.into(),
                other => other.into(),
            });
        }
        let program = self.bridge.clone().into_os_string();
        Ok(Program { program, arguments, before_api: true, process: Process::Shared })
    }

    /// Puts a document into the working directory, unless it lies there.
    async fn fetch(&self, id: &str, directory: &Path) -> Result<String, Halt> {
        let failed = |detail: String| Halt::failed(FailureReason::SpawnFailed, detail);
        let name = format!("{OPENAPI_PROGRAM}-{id}.json");
        let place = directory.join(&name);
        if tokio::fs::try_exists(&place).await.unwrap_or(false) {
            return Ok(name);
        }
        let document = self.store.document(id).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "read a document");
            failed(format!("the document {id} cannot be read: {error}"))
        })?;
        let document = document.ok_or_else(|| {
            failed(format!("the platform does not keep the document {id}: import it once more"))
        })?;
        let unwritten =
            |error| failed(format!("the document cannot be put into the working directory: {error}"));
        // What bears the name is whole.
        let draft = directory.join(format!("{name}.draft"));
        tokio::fs::write(&draft, document).await.map_err(unwritten)?;
        tokio::fs::rename(&draft, &place).await.map_err(unwritten)?;
        Ok(name)
    }
}
