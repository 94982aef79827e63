//! What every kind of instance is made of on a cluster.

use std::collections::{BTreeMap, BTreeSet};

use domain::Sealed;
use domain::instance::{CommandLine, Process, Resources, Source};
use expect_test::{expect, expect_file};

use super::*;
use crate::kubernetes::config::Images;

fn id() -> InstanceId {
    "0199b1c2-7a00-7000-8000-000000000001".parse().unwrap()
}

fn command(program: &str, args: &[&str]) -> CommandLine {
    CommandLine { program: program.to_owned(), args: args.iter().map(|arg| (*arg).to_owned()).collect() }
}

fn everything() -> Hosted {
    let source = Source::Image {
        image: "registry.example/team/server:1.4".to_owned(),
        command: Some(command("/srv/server", &["--price", "$(HOME) $5"])),
    };
    let env = BTreeMap::from([("API_TOKEN".to_owned(), Sealed("sealed".to_owned()))]);
    Hosted {
        ports: BTreeSet::from([9100]),
        mounts: BTreeMap::from([
            ("/cache".to_owned(), Mount::Empty),
            ("/data".to_owned(), Mount::Claim { name: "documents".to_owned(), read_only: false }),
            ("/etc/server".to_owned(), Mount::Config { name: "settings".to_owned() }),
        ]),
        resources: Resources {
            cpu_request_millis: Some(2000),
            memory_limit_bytes: Some(64 << 20),
            ..Default::default()
        },
        process: Process::Shared,
        replicas: 3,
        ..Hosted::new(source, env)
    }
}

fn written(pods: &Pods, hosted: &Hosted, owner: Option<&str>) -> String {
    let wish = Wish { id: id(), name: "Ünïcode & Co.", generation: 7, replicas: hosted.replicas, hosted };
    let objects = objects(pods, &wish, owner).unwrap();
    objects.iter().map(|object| serde_json::to_string_pretty(&object.body).unwrap() + "\n").collect()
}

#[test]
fn an_instance_with_every_setting_becomes_these_objects() {
    let pods = Pods {
        platform: "acme".to_owned(),
        pull_policy: Some("IfNotPresent".to_owned()),
        pull_secrets: vec!["registry-login".to_owned()],
        node_selector: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
        platform_namespace: Some("mcpcan".to_owned()),
        allow_from: vec!["192.0.2.0/24".to_owned()],
        ..Pods::default()
    };
    expect_file!["everything.json"].assert_eq(&written(&pods, &everything(), Some("8d1c")));
}

#[test]
fn a_command_alone_runs_in_a_preset_image_under_the_safe_defaults() {
    let hosted = Hosted::new(Source::Command(command("npx", &["-y", "server-everything"])), BTreeMap::new());
    let all = written(&Pods::default(), &hosted, None);
    let value: Vec<Value> =
        serde_json::Deserializer::from_str(&all).into_iter().map(Result::unwrap).collect();
    let deployment = value.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["image"], Images::default().node);
    let containers =
        spec["containers"].as_array().unwrap().iter().chain(spec["initContainers"].as_array().unwrap());
    for container in containers {
        for kind in ["requests", "limits"] {
            assert!(
                container["resources"][kind]["memory"].is_string()
                    && container["resources"][kind]["cpu"].is_string()
            );
        }
        let locked_up = r#"{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true}"#;
        assert_eq!(container["securityContext"].to_string(), locked_up);
    }
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
}

#[test]
fn what_no_pod_can_run_is_said_with_what_to_do_about_it() {
    let said = |source| {
        let hosted = Hosted::new(source, BTreeMap::new());
        let wish = Wish { id: id(), name: "x", generation: 1, replicas: 1, hosted: &hosted };
        objects(&Pods::default(), &wish, None).unwrap_err().to_string()
    };
    expect!["the instance names no command for its image a:1: the bridge has to start the server, and Kubernetes does not tell the entry point of an image. Name the program and its arguments"].assert_eq(&said(Source::Image { image: "a:1".to_owned(), command: None }));
    expect!["no preset image has the program ./run.sh: the presets are for node, npx, npm, yarn, pnpm, python, pip, uv and uvx. Name an image that has it"].assert_eq(&said(Source::Command(command("./run.sh", &[]))));
}

#[test]
fn names_are_legal_for_every_instance_and_each_generation_has_a_secret_of_its_own() {
    let largest = InstanceId(uuid::Uuid::max());
    for name in [naming::object_name(largest), naming::secret_name(largest, u64::MAX)] {
        assert!(name.len() <= 63, "{name}");
        assert!(name.starts_with(|first: char| first.is_ascii_lowercase()));
        assert!(name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-'));
    }
    let values = BTreeMap::from([("API_TOKEN".to_owned(), b"secret".to_vec())]);
    let secret = secret(&Pods::default(), id(), 7, values);
    expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "Secret",
          "data": {
            "API_TOKEN": "c2VjcmV0"
          },
          "immutable": true,
          "metadata": {
            "labels": {
              "app.kubernetes.io/managed-by": "mcpcan",
              "mcpcan.dev/generation": "7",
              "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001",
              "mcpcan.dev/platform": "mcpcan"
            },
            "name": "mcpcan-0199b1c27a0070008000000000000001-7"
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&secret).unwrap());
}
