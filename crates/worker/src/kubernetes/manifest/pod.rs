//! The pods of an instance: the user's image with the bridge in it, locked up as far as a server can bear.

use std::collections::BTreeMap;

use domain::instance::{CommandLine, Hosted, HostedTransport, Mount, Resources, Source};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    EnvVarSource, Lifecycle, LifecycleHandler, LocalObjectReference, PersistentVolumeClaimVolumeSource,
    PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile, SecretKeySelector,
    SecurityContext, SleepAction, TCPSocketAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::quantity::{bytes, millis};
use super::{Impossible, MCP_PORT, MCP_PORT_NAME};
use crate::kubernetes::config::{Images, Pods};
use crate::local::CREDENTIAL_VARIABLE;

/// The container of the server.
pub(crate) const SERVER: &str = "server";
/// The init container that brings the bridge.
const INIT: &str = "bridge";
/// Where the bridge lies in the server's container.
const BRIDGE_DIRECTORY: &str = "/mcpcan";
const BRIDGE_VOLUME: &str = "mcpcan-bridge";
const TMP: &str = "/tmp";
const TMP_VOLUME: &str = "tmp";
/// Nobody in particular, and never root, whatever the image says.
const USER: i64 = 10_001;
/// What a replica is given where nothing is said. Launchers such as `npx` need some while they install.
const CPU_REQUEST_MILLIS: u32 = 50;
const CPU_LIMIT_MILLIS: u32 = 1000;
const MEMORY_REQUEST_BYTES: u64 = 128 << 20;
const MEMORY_LIMIT_BYTES: u64 = 512 << 20;
/// What a replica may write to `/tmp`.
const TMP_BYTES_MAX: u64 = 2 << 30;
const BRIDGE_VOLUME_BYTES_MAX: u64 = 64 << 20;
/// How long a pod that has to go still serves: gateways hear of its end meanwhile.
const LINGER_SECONDS: i64 = 5;
/// How long it may take to end altogether.
const TERMINATION_SECONDS: i64 = 30;
const PROBE_PERIOD_SECONDS: i32 = 2;

/// The pods of an instance, which read `secret`.
pub(super) fn spec(pods: &Pods, hosted: &Hosted, secret: &str) -> Result<PodSpec, Impossible> {
    let (image, command) = what_runs(&pods.images, &hosted.source)?;
    let mounts = Mounts::of(&hosted.mounts);
    Ok(PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers: vec![server(pods, hosted, secret, image, command, &mounts)],
        init_containers: Some(vec![bridge(pods)]),
        image_pull_secrets: present(
            pods.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect(),
        ),
        node_selector: Some(pods.node_selector.clone()).filter(|selector| !selector.is_empty()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        termination_grace_period_seconds: Some(TERMINATION_SECONDS),
        volumes: Some(mounts.volumes),
        ..Default::default()
    })
}

/// The image and the command in it.
fn what_runs<'a>(images: &'a Images, source: &'a Source) -> Result<(&'a str, &'a CommandLine), Impossible> {
    match source {
        Source::Image { image, command: Some(command) } => Ok((image, command)),
        Source::Image { image, command: None } => Err(Impossible(format!(
            "the instance names no command for its image {image}: the bridge has to start the server, and Kubernetes \
             does not tell the entry point of an image. Name the program and its arguments"
        ))),
        Source::Command(command) => Ok((preset(images, &command.program)?, command)),
    }
}

/// The image for a command of which only the program is known.
fn preset<'a>(images: &'a Images, program: &str) -> Result<&'a str, Impossible> {
    match program.rsplit('/').next().unwrap_or(program) {
        "node" | "npx" | "npm" | "yarn" | "pnpm" | "corepack" => Ok(&images.node),
        "python" | "python3" | "pip" | "uv" | "uvx" => Ok(&images.python),
        _ => Err(Impossible(format!(
            "no preset image has the program {program}: the presets are for node, npx, npm, yarn, pnpm, python, pip, \
             uv and uvx. Name an image that has it"
        ))),
    }
}

fn bridge(pods: &Pods) -> Container {
    Container {
        name: INIT.to_owned(),
        image: Some(pods.images.bridge.clone()),
        image_pull_policy: pods.pull_policy.clone(),
        args: Some(vec!["install".to_owned(), BRIDGE_DIRECTORY.to_owned()]),
        resources: Some(resources(&Resources::default())),
        security_context: Some(locked_up()),
        volume_mounts: Some(vec![mount(BRIDGE_VOLUME, BRIDGE_DIRECTORY, false)]),
        ..Default::default()
    }
}

fn server(
    pods: &Pods,
    hosted: &Hosted,
    secret: &str,
    image: &str,
    command: &CommandLine,
    mounts: &Mounts,
) -> Container {
    let HostedTransport::Stdio = hosted.transport;
    let listen = format!("0.0.0.0:{MCP_PORT}");
    let bridge = format!("{BRIDGE_DIRECTORY}/mcpcan-bridge");
    let own = [
        &bridge,
        "stdio",
        "--listen",
        &listen,
        "--process",
        hosted.process.as_str(),
        "--require-program",
        "--",
    ];
    let own = own.into_iter().map(str::to_owned).chain([verbatim(&command.program)]);
    Container {
        name: SERVER.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: pods.pull_policy.clone(),
        command: Some(own.collect()),
        args: present(command.args.iter().map(|arg| verbatim(arg)).collect()),
        env: Some(environment(hosted, secret)),
        ports: Some(vec![ContainerPort {
            name: Some(MCP_PORT_NAME.to_owned()),
            container_port: MCP_PORT,
            protocol: Some("TCP".to_owned()),
            ..Default::default()
        }]),
        readiness_probe: Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::String(MCP_PORT_NAME.to_owned()),
                ..Default::default()
            }),
            period_seconds: Some(PROBE_PERIOD_SECONDS),
            ..Default::default()
        }),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: LINGER_SECONDS }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        resources: Some(resources(&hosted.resources)),
        security_context: Some(locked_up()),
        volume_mounts: Some(mounts.mounts.clone()),
        ..Default::default()
    }
}

/// Kubernetes puts variables where it reads `$(NAME)`, and reads two dollars as one that means nothing: every dollar is
/// doubled, and the server gets what the user wrote.
fn verbatim(argument: &str) -> String {
    argument.replace('$', "$$")
}

/// The instance's own variables, from the secret, and what a read-only root needs.
fn environment(hosted: &Hosted, secret: &str) -> Vec<EnvVar> {
    let plain = [("HOME", TMP), ("NO_COLOR", "1")].into_iter();
    let plain = plain.filter(|(name, _)| !hosted.env.contains_key(*name)).map(|(name, value)| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..Default::default()
    });
    let sealed = hosted.env.keys().map(String::as_str).filter(|name| *name != CREDENTIAL_VARIABLE);
    let sealed = sealed.chain([CREDENTIAL_VARIABLE]).map(|name| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: name.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    });
    plain.chain(sealed).collect()
}

/// Requests and limits, all of them always set. What is asked for is never more than what may be used.
fn resources(wanted: &Resources) -> ResourceRequirements {
    fn pair<T: Ord + Copy>(request: Option<T>, limit: Option<T>, usual: (T, T)) -> (T, T) {
        let limit = limit.unwrap_or_else(|| usual.1.max(request.unwrap_or(usual.1)));
        (request.unwrap_or(usual.0).min(limit), limit)
    }
    let Resources { cpu_request_millis, cpu_limit_millis, memory_request_bytes, memory_limit_bytes } =
        *wanted;
    let cpu = pair(cpu_request_millis, cpu_limit_millis, (CPU_REQUEST_MILLIS, CPU_LIMIT_MILLIS));
    let memory = pair(memory_request_bytes, memory_limit_bytes, (MEMORY_REQUEST_BYTES, MEMORY_LIMIT_BYTES));
    let both = |cpu: u32, memory: u64| -> BTreeMap<String, Quantity> {
        BTreeMap::from([("cpu".to_owned(), millis(cpu)), ("memory".to_owned(), bytes(memory))])
    };
    ResourceRequirements {
        requests: Some(both(cpu.0, memory.0)),
        limits: Some(both(cpu.1, memory.1)),
        ..Default::default()
    }
}

fn locked_up() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Default::default() }),
        read_only_root_filesystem: Some(true),
        ..Default::default()
    }
}

/// What is mounted, and where.
struct Mounts {
    volumes: Vec<Volume>,
    mounts: Vec<VolumeMount>,
}

impl Mounts {
    fn of(wanted: &BTreeMap<String, Mount>) -> Mounts {
        let mut all = Mounts {
            volumes: vec![empty(BRIDGE_VOLUME, BRIDGE_VOLUME_BYTES_MAX)],
            mounts: vec![mount(BRIDGE_VOLUME, BRIDGE_DIRECTORY, true)],
        };
        if !wanted.contains_key(TMP) {
            all.volumes.push(empty(TMP_VOLUME, TMP_BYTES_MAX));
            all.mounts.push(mount(TMP_VOLUME, TMP, false));
        }
        for (number, (path, what)) in wanted.iter().enumerate() {
            let name = format!("mount-{number}");
            let (volume, read_only) = volume(&name, what);
            all.volumes.push(volume);
            all.mounts.push(mount(&name, path, read_only));
        }
        all
    }
}

/// The volume, and whether it can only be read.
fn volume(name: &str, what: &Mount) -> (Volume, bool) {
    match what {
        Mount::Empty => (empty(name, TMP_BYTES_MAX), false),
        Mount::Claim { name: claim, read_only } => {
            let claim = PersistentVolumeClaimVolumeSource {
                claim_name: claim.clone(),
                read_only: Some(true).filter(|_| *read_only),
            };
            let volume =
                Volume { name: name.to_owned(), persistent_volume_claim: Some(claim), ..Default::default() };
            (volume, *read_only)
        }
        Mount::Config { name: map } => {
            let map = ConfigMapVolumeSource { name: map.clone(), ..Default::default() };
            (Volume { name: name.to_owned(), config_map: Some(map), ..Default::default() }, true)
        }
    }
}

fn empty(name: &str, bytes_max: u64) -> Volume {
    let empty = EmptyDirVolumeSource { size_limit: Some(bytes(bytes_max)), ..Default::default() };
    Volume { name: name.to_owned(), empty_dir: Some(empty), ..Default::default() }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true).filter(|_| read_only),
        ..Default::default()
    }
}

/// A list that is left out when it is empty: the API server would leave it out, too.
fn present<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
