use std::collections::{BTreeMap, BTreeSet};

use domain::Sealed;
use domain::instance::{CommandLine, Process, Resources, Source};
use expect_test::expect;

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
        resources: Resources { cpu_request_millis: Some(2000), memory_limit_bytes: Some(64 << 20), ..Default::default() },
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
    expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "Service",
          "metadata": {
            "labels": {
              "app.kubernetes.io/managed-by": "mcpcan",
              "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001",
              "mcpcan.dev/platform": "acme"
            },
            "name": "mcpcan-0199b1c27a0070008000000000000001",
            "ownerReferences": [
              {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "mcpcan-0199b1c27a0070008000000000000001",
                "uid": "8d1c"
              }
            ]
          },
          "spec": {
            "ports": [
              {
                "name": "mcp",
                "port": 8080,
                "protocol": "TCP",
                "targetPort": "mcp"
              }
            ],
            "selector": {
              "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001"
            },
            "type": "ClusterIP"
          }
        }
        {
          "apiVersion": "networking.k8s.io/v1",
          "kind": "NetworkPolicy",
          "metadata": {
            "labels": {
              "app.kubernetes.io/managed-by": "mcpcan",
              "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001",
              "mcpcan.dev/platform": "acme"
            },
            "name": "mcpcan-0199b1c27a0070008000000000000001",
            "ownerReferences": [
              {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "mcpcan-0199b1c27a0070008000000000000001",
                "uid": "8d1c"
              }
            ]
          },
          "spec": {
            "ingress": [
              {
                "from": [
                  {
                    "namespaceSelector": {
                      "matchLabels": {
                        "kubernetes.io/metadata.name": "mcpcan"
                      }
                    },
                    "podSelector": {
                      "matchExpressions": [
                        {
                          "key": "app.kubernetes.io/component",
                          "operator": "In",
                          "values": [
                            "gateway",
                            "worker"
                          ]
                        }
                      ],
                      "matchLabels": {
                        "app.kubernetes.io/part-of": "mcpcan"
                      }
                    }
                  },
                  {
                    "ipBlock": {
                      "cidr": "192.0.2.0/24"
                    }
                  }
                ],
                "ports": [
                  {
                    "port": 8080,
                    "protocol": "TCP"
                  }
                ]
              },
              {
                "ports": [
                  {
                    "port": 9100,
                    "protocol": "TCP"
                  }
                ]
              }
            ],
            "podSelector": {
              "matchLabels": {
                "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001"
              }
            },
            "policyTypes": [
              "Ingress"
            ]
          }
        }
        {
          "apiVersion": "apps/v1",
          "kind": "Deployment",
          "metadata": {
            "annotations": {
              "mcpcan.dev/instance-name": "Ünïcode & Co."
            },
            "labels": {
              "app.kubernetes.io/managed-by": "mcpcan",
              "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001",
              "mcpcan.dev/platform": "acme"
            },
            "name": "mcpcan-0199b1c27a0070008000000000000001"
          },
          "spec": {
            "replicas": 3,
            "revisionHistoryLimit": 1,
            "selector": {
              "matchLabels": {
                "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001"
              }
            },
            "strategy": {
              "type": "Recreate"
            },
            "template": {
              "metadata": {
                "labels": {
                  "app.kubernetes.io/managed-by": "mcpcan",
                  "mcpcan.dev/generation": "7",
                  "mcpcan.dev/instance": "0199b1c2-7a00-7000-8000-000000000001",
                  "mcpcan.dev/platform": "acme"
                }
              },
              "spec": {
                "automountServiceAccountToken": false,
                "containers": [
                  {
                    "args": [
                      "--price",
                      "$$(HOME) $$5"
                    ],
                    "command": [
                      "/mcpcan/mcpcan-bridge",
                      "stdio",
                      "--listen",
                      "0.0.0.0:8080",
                      "--process",
                      "shared",
                      "--require-program",
                      "--",
                      "/srv/server"
                    ],
                    "env": [
                      {
                        "name": "HOME",
                        "value": "/tmp"
                      },
                      {
                        "name": "NO_COLOR",
                        "value": "1"
                      },
                      {
                        "name": "API_TOKEN",
                        "valueFrom": {
                          "secretKeyRef": {
                            "key": "API_TOKEN",
                            "name": "mcpcan-0199b1c27a0070008000000000000001-7"
                          }
                        }
                      },
                      {
                        "name": "MCPCAN_BRIDGE_CREDENTIAL",
                        "valueFrom": {
                          "secretKeyRef": {
                            "key": "MCPCAN_BRIDGE_CREDENTIAL",
                            "name": "mcpcan-0199b1c27a0070008000000000000001-7"
                          }
                        }
                      }
                    ],
                    "image": "registry.example/team/server:1.4",
                    "imagePullPolicy": "IfNotPresent",
                    "lifecycle": {
                      "preStop": {
                        "sleep": {
                          "seconds": 5
                        }
                      }
                    },
                    "name": "server",
                    "ports": [
                      {
                        "containerPort": 8080,
                        "name": "mcp",
                        "protocol": "TCP"
                      }
                    ],
                    "readinessProbe": {
                      "periodSeconds": 2,
                      "tcpSocket": {
                        "port": "mcp"
                      }
                    },
                    "resources": {
                      "limits": {
                        "cpu": "2",
                        "memory": "64Mi"
                      },
                      "requests": {
                        "cpu": "2",
                        "memory": "64Mi"
                      }
                    },
                    "securityContext": {
                      "allowPrivilegeEscalation": false,
                      "capabilities": {
                        "drop": [
                          "ALL"
                        ]
                      },
                      "readOnlyRootFilesystem": true
                    },
                    "volumeMounts": [
                      {
                        "mountPath": "/mcpcan",
                        "name": "mcpcan-bridge",
                        "readOnly": true
                      },
                      {
                        "mountPath": "/tmp",
                        "name": "tmp"
                      },
                      {
                        "mountPath": "/cache",
                        "name": "mount-0"
                      },
                      {
                        "mountPath": "/data",
                        "name": "mount-1"
                      },
                      {
                        "mountPath": "/etc/server",
                        "name": "mount-2",
                        "readOnly": true
                      }
                    ]
                  }
                ],
                "enableServiceLinks": false,
                "imagePullSecrets": [
                  {
                    "name": "registry-login"
                  }
                ],
                "initContainers": [
                  {
                    "args": [
                      "install",
                      "/mcpcan"
                    ],
                    "image": "mcpcan-bridge:0.1.0",
                    "imagePullPolicy": "IfNotPresent",
                    "name": "bridge",
                    "resources": {
                      "limits": {
                        "cpu": "1",
                        "memory": "512Mi"
                      },
                      "requests": {
                        "cpu": "50m",
                        "memory": "128Mi"
                      }
                    },
                    "securityContext": {
                      "allowPrivilegeEscalation": false,
                      "capabilities": {
                        "drop": [
                          "ALL"
                        ]
                      },
                      "readOnlyRootFilesystem": true
                    },
                    "volumeMounts": [
                      {
                        "mountPath": "/mcpcan",
                        "name": "mcpcan-bridge"
                      }
                    ]
                  }
                ],
                "nodeSelector": {
                  "disk": "ssd"
                },
                "securityContext": {
                  "fsGroup": 10001,
                  "runAsGroup": 10001,
                  "runAsNonRoot": true,
                  "runAsUser": 10001,
                  "seccompProfile": {
                    "type": "RuntimeDefault"
                  }
                },
                "terminationGracePeriodSeconds": 30,
                "volumes": [
                  {
                    "emptyDir": {
                      "sizeLimit": "64Mi"
                    },
                    "name": "mcpcan-bridge"
                  },
                  {
                    "emptyDir": {
                      "sizeLimit": "2Gi"
                    },
                    "name": "tmp"
                  },
                  {
                    "emptyDir": {
                      "sizeLimit": "2Gi"
                    },
                    "name": "mount-0"
                  },
                  {
                    "name": "mount-1",
                    "persistentVolumeClaim": {
                      "claimName": "documents"
                    }
                  },
                  {
                    "configMap": {
                      "name": "settings"
                    },
                    "name": "mount-2"
                  }
                ]
              }
            }
          }
        }
    "#]].assert_eq(&written(&pods, &everything(), Some("8d1c")));
}

#[test]
fn a_command_alone_runs_in_a_preset_image_under_the_safe_defaults() {
    let hosted = Hosted::new(Source::Command(command("npx", &["-y", "server-everything"])), BTreeMap::new());
    let all = written(&Pods::default(), &hosted, None);
    let value: Vec<Value> = serde_json::Deserializer::from_str(&all).into_iter().map(Result::unwrap).collect();
    let deployment = value.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["image"], Images::default().node);
    let containers = spec["containers"].as_array().unwrap().iter().chain(spec["initContainers"].as_array().unwrap());
    for container in containers {
        for kind in ["requests", "limits"] {
            assert!(container["resources"][kind]["memory"].is_string() && container["resources"][kind]["cpu"].is_string());
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
        }"#]].assert_eq(&serde_json::to_string_pretty(&secret).unwrap());
}
