//! Which `up` the command line trusts with the admin key.

use std::os::unix::fs::{PermissionsExt, chown};

use super::*;
use crate::data_directory::{DataDirectory, kept_secret};

fn run_file(pid: u32) -> RunFile {
    RunFile {
        pid,
        api: Url::parse("http://127.0.0.1:7080").expect("an address"),
        gateway: Url::parse("http://127.0.0.1:7090").expect("an address"),
        nats: "nats://127.0.0.1:7422".to_owned(),
        clickhouse: "http://127.0.0.1:7123".to_owned(),
        admin_key_file: PathBuf::from("/nowhere/admin.key"),
    }
}

/// A data directory with the run file of this process, as `up` leaves it.
fn running() -> (tempfile::TempDir, DataDirectory) {
    let scratch = tempfile::tempdir().expect("a directory");
    let data = DataDirectory::take(scratch.path()).expect("it is free");
    let run = serde_json::to_string(&run_file(std::process::id())).expect("JSON");
    write_private(&scratch.path().join(RUN_FILE), &run).expect("write");
    kept_secret(&data.admin_key_file()).expect("it can be made");
    (scratch, data)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_run_file_counts_as_long_as_its_process_holds_the_directory() {
    let (scratch, data) = running();
    let local = LocalRun::of(scratch.path()).expect("it is ours").expect("it runs");
    assert_eq!(local.run, run_file(std::process::id()));
    let key = local.directory.read(ADMIN_KEY_FILE).expect("it is there");
    assert_eq!(key.trim(), kept_secret(&data.admin_key_file()).expect("it is there").as_str());

    let stale = serde_json::to_string(&run_file(std::process::id() + 1)).expect("JSON");
    write_private(&scratch.path().join(RUN_FILE), &stale).expect("write");
    assert!(LocalRun::of(scratch.path()).expect("it is ours").is_none(), "of a process before this one");
    let run = serde_json::to_string(&run_file(std::process::id())).expect("JSON");
    write_private(&scratch.path().join(RUN_FILE), &run).expect("write");
    drop(data);
    assert!(LocalRun::of(scratch.path()).expect("it is ours").is_none(), "nobody holds the directory");
}

#[test]
fn what_others_may_have_written_is_not_trusted() {
    let (scratch, _data) = running();
    for mode in [0o777, 0o770, 0o702] {
        set_mode(scratch.path(), mode);
        let refused = LocalRun::of(scratch.path()).expect_err("others may write to it");
        assert!(matches!(refused, NotOwn::Writable(_)), "{refused}");
        assert!(refused.to_string().contains("chmod go-w"), "{refused}");
    }
    set_mode(scratch.path(), 0o755);
    set_mode(&scratch.path().join(RUN_FILE), 0o666);
    assert!(matches!(LocalRun::of(scratch.path()), Err(NotOwn::Writable(_))));
    set_mode(&scratch.path().join(RUN_FILE), 0o644);
    assert!(LocalRun::of(scratch.path()).expect("it is ours").is_some());
}

#[test]
fn a_directory_of_another_user_is_not_trusted() {
    let (scratch, _data) = running();
    // Only root can give a directory away; for everybody else `/` is another user's.
    let foreign = match chown(scratch.path(), Some(1), None) {
        Ok(()) => scratch.path(),
        Err(_) => Path::new("/"),
    };
    assert!(matches!(LocalRun::of(foreign), Err(NotOwn::Foreign(_))));
}
