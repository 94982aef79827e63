//! What goes wrong, and what the command line says then.

use harness::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_with_its_exit_code() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;

    let hosted = |name: &'static str, command: &[&'static str]| {
        [&["instance", "create", name, "--access", "hosted", "--transport", "stdio", "--"], command].concat()
    };
    let key = ["--env", "KEY=the-key-of-no-server-5d20"];
    let missing = ["instance", "create", "missing", "--access", "hosted", "--transport", "stdio"];
    let missing = [&missing[..], &key, &["--", "no-such-program"]].concat();
    let failed = platform.run(&missing).await.code(1, &missing);
    assert!(failed.stderr.contains("no-such-program"), "{}", failed.stderr);

    let quitter = hosted("quitter", &["sh", "-c", "echo the reason is here >&2; exit 3"]);
    let failed = platform.run(&quitter).await.code(1, &quitter);
    assert!(failed.stderr.contains("the reason is here"), "{}", failed.stderr);

    let taken = hosted("quitter", &["true"]);
    platform.run(&taken).await.code(3, &taken);
    let wrong_name = hosted("Not_A_Label", &["true"]);
    platform.run(&wrong_name).await.code(2, &wrong_name);
    for unknown in [&["instance", "show", "nobody"][..], &["logs", "nobody"], &["token", "list", "nobody"]] {
        platform.run(unknown).await.code(3, unknown);
    }
    platform.run(&["instance", "fly"]).await.code(2, &["instance", "fly"]);

    let remote = ["--access", "proxy", "--transport", "sse", "--url", "http://127.0.0.1:9/sse"];
    let header = ["--header", "Authorization: Bearer the-key-of-a-remote-server-91ab"];
    let create = [&["instance", "create", "remote"][..], &remote, &header].concat();
    platform.run(&create).await.success(&create);
    let seen = platform.json(&["instance", "show", "remote"]).await["revision"].to_string();
    let stop = ["instance", "stop", "remote", "--if-match", &seen];
    platform.run(&stop).await.success(&stop);
    let start = ["instance", "start", "remote", "--if-match", &seen];
    let late = platform.run(&start).await.code(3, &start);
    assert!(late.stderr.contains("it has been changed since"), "{}", late.stderr);
    let accepted = platform.json(&[&create[..], &["--async"]].concat()).await;
    let show = ["command", "show", accepted["id"].as_str().expect("a command has an id"), "--wait"];
    let refused = platform.run(&show).await.code(3, &show);
    assert!(refused.stdout.contains("refused") && refused.stderr.contains("name"), "{refused:?}");

    for wrong in
        ["Authorization=Bearer the-key-of-a-remote-server-91ab", "Bad Name: the-key-of-a-remote-server-91ab"]
    {
        let wrong = [&["instance", "create", "other"][..], &remote, &["--header", wrong]].concat();
        platform.run(&wrong).await.code(2, &wrong);
    }

    let printed = platform.printed();
    let lines: Vec<_> = printed.lines().map(str::trim).filter(|line| line.contains(" everything ")).collect();
    let (issue, call) = (lines[lines.len() - 2], lines[lines.len() - 1]);
    for line in [issue, call] {
        let (code, said) = platform.shell(line).await;
        assert_eq!(code, Some(3), "{line}: {said}");
        assert!(said.contains("there is no instance `everything`"), "{line}: {said}");
    }

    let second = ["up", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--nats-port", "0"];
    let refused = platform.run(&second).await.code(1, &second);
    assert!(refused.stderr.contains("in use by process"), "{}", refused.stderr);
    platform.stop().await;
}
