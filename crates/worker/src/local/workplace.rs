//! The working directories of instances, and the programs that are started in them.
//!
//! An instance owns `DATA/instances/<id>/` from its first start to its deletion: what a server keeps there is there
//! again after a restart.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use domain::InstanceId;

/// The folder of the working directories in the data directory.
const INSTANCES: &str = "instances";
/// Working directories are nobody else's business.
const DIRECTORY_MODE: u32 = 0o700;

fn directory(data: &Path, instance: InstanceId) -> PathBuf {
    data.join(INSTANCES).join(instance.to_string())
}

/// Makes the working directory of an instance, or finds it.
pub(crate) async fn make(data: PathBuf, instance: InstanceId) -> std::io::Result<PathBuf> {
    blocking(move || {
        let directory = directory(&data, instance);
        std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&directory)?;
        Ok(directory)
    })
    .await
}

/// Removes the working directory of an instance with all that is in it.
pub(crate) async fn remove(data: PathBuf, instance: InstanceId) -> std::io::Result<()> {
    blocking(move || match std::fs::remove_dir_all(directory(&data, instance)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    })
    .await
}

/// The instances that have a working directory. What else lies there is not touched.
pub(crate) async fn list(data: PathBuf) -> std::io::Result<BTreeSet<InstanceId>> {
    blocking(move || {
        let entries = match std::fs::read_dir(data.join(INSTANCES)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()?;
        Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
    })
    .await
}

/// Looks for the program as the bridge will, so that a program that is not there is told from one that fails.
///
/// # Errors
/// What is wrong with the program, in words for a person. `path` may be secret: it is not quoted.
pub(crate) fn find_program(program: &str, path: Option<&OsStr>, directory: &Path) -> Result<(), String> {
    match which::which_in(program, path, directory) {
        Ok(_) => Ok(()),
        Err(_) if program.contains('/') => {
            Err(format!("there is no program `{program}` that may be executed"))
        }
        Err(_) => Err(format!("there is no program `{program}` in the PATH of the server")),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use uuid::Uuid;

    use super::*;

    const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(1));

    #[tokio::test]
    async fn a_directory_lives_from_first_start_to_deletion() {
        let data = tempfile::tempdir().unwrap();
        let root = data.path().to_owned();
        assert_eq!(list(root.clone()).await.unwrap(), BTreeSet::new());
        let made = make(root.clone(), INSTANCE).await.unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, DIRECTORY_MODE);
        std::fs::write(made.join("kept"), "yes").unwrap();
        assert_eq!(make(root.clone(), INSTANCE).await.unwrap(), made);
        std::fs::create_dir(root.join(INSTANCES).join("not ours")).unwrap();
        assert_eq!(list(root.clone()).await.unwrap(), BTreeSet::from([INSTANCE]));
        remove(root.clone(), INSTANCE).await.unwrap();
        remove(root.clone(), INSTANCE).await.unwrap();
        assert_eq!(list(root).await.unwrap(), BTreeSet::new());
    }

    #[test]
    fn programs_are_found_in_the_path_or_from_the_working_directory() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("server");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let find = |program: &str| find_program(program, Some(OsStr::new("/bin")), directory.path());
        assert_eq!(find("sh"), Ok(()));
        assert_eq!(
            find("no-such"),
            Err("there is no program `no-such` in the PATH of the server".to_owned())
        );
        let not_executable = Err("there is no program `./server` that may be executed".to_owned());
        assert_eq!(find("./server"), not_executable);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("./server"), Ok(()));
    }
}
