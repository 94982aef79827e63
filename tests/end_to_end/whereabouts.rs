//! Whom the command line gives the admin key: nobody who only left a file where it looks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use harness::Tools;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;

/// Lists instances in `directory`, with the admin key at hand; gives exit code and stderr.
async fn list(directory: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(Tools::find().mcpcan);
    command.args(["instance", "list"]).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    command.env("XDG_STATE_HOME", directory).env_remove("MCPCAN_API").env("MCPCAN_ADMIN_KEY", "the-key");
    let output = command.output().await.expect("mcpcan runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_run_file_does_not_get_the_admin_key() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let trap = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = format!("http://{}/", trap.local_addr().expect("it has an address"));
    let trapped = tokio::spawn(async move { trap.accept().await });
    let (data, below) = (scratch.path().join(".mcpcan"), scratch.path().join("deeper/down"));
    fs::create_dir_all(&data).expect("make a directory");
    fs::create_dir_all(&below).expect("make a directory");
    let run = json!({
        "pid": std::process::id(), "api": address, "gateway": address, "nats": "nats://127.0.0.1:9",
        "clickhouse": address, "admin_key_file": data.join("admin.key"),
    });
    fs::write(data.join("run.json"), run.to_string()).expect("write a file");
    fs::write(data.join("admin.key"), "the-key").expect("write a file");
    fs::write(data.join("lock"), std::process::id().to_string()).expect("write a file");
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    for file in ["run.json", "admin.key", "lock"] {
        set_mode(&data.join(file), 0o600);
    }

    set_mode(&data, 0o777);
    let (code, said) = list(&below).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("other users may write to") && said.contains("chmod go-w"), "{said}");

    set_mode(&data, 0o700);
    let (code, said) = list(&below).await;
    assert_eq!(code, Some(4), "nobody holds its lock: {said}");
    // Whatever else may run: whoever stands here means the one that is here.
    let here = data.display().to_string();
    assert!(said.contains("no `mcpcan up` runs here") && said.contains(&here), "{said}");
    assert!(!trapped.is_finished(), "somebody has connected to the planted address");
    trapped.abort();
}
