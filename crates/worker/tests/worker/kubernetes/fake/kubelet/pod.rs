//! The life of a pod, in the states and in the order of the recordings.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::resource::{CONFIG_MAPS, PODS, SECRETS};
use super::super::{Api, now};
use super::container::{Container, ended};
use super::text;

/// The pause before a container that ended is started anew. Real ones wait 10 s and more.
const BACK_OFF: Duration = Duration::from_millis(500);
/// How long a second of a hook is.
const LINGER_SECOND: Duration = Duration::from_millis(400);
/// More than any node here has, in cores.
const NODE_CORES: u64 = 8;
/// Less than any server needs, in bytes.
const SERVER_BYTES: u64 = 32 << 20;

/// One pod.
pub(super) struct Pod {
    pub(super) api: Arc<Api>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) spec: Value,
    pub(super) address: Ipv4Addr,
    restarts: u64,
    last: Value,
}

/// Lives until the pod is told to end and has.
pub(super) async fn run(api: Arc<Api>, pod: Value) {
    let own = |field: &str| text(&pod["metadata"][field]);
    let mut pod = Pod {
        namespace: own("namespace"),
        name: own("name"),
        uid: own("uid"),
        spec: pod["spec"].clone(),
        address: next_address(),
        restarts: 0,
        last: json!({}),
        api,
    };
    // A pod that was told to end serves on for as long as its hook sleeps: seconds, which are shorter here.
    let linger = &pod.spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"];
    let linger = LINGER_SECOND * u32::try_from(linger.as_u64().unwrap_or_default()).unwrap_or_default();
    let told = told_to_end(Arc::clone(&pod.api), pod.namespace.clone(), pod.name.clone());
    let told = async {
        told.await;
        sleep(linger).await;
    };
    tokio::select! {
        () = pod.live() => {}
        () = told => {}
    }
    pod.api.logs.lock().unwrap().end(&pod.uid);
    pod.status("Failed", json!({"terminated": ended(137, "Error", "")}), false);
    pod.api.change(|state| state.remove(PODS, &pod.namespace, &pod.name));
}

/// An address that no other pod has, of no cluster of this process and hardly one of another.
fn next_address() -> Ipv4Addr {
    static COUNT: AtomicU32 = AtomicU32::new(2);
    let number = COUNT.fetch_add(1, Ordering::Relaxed) & 0x3fff;
    Ipv4Addr::from((127 << 24) | ((std::process::id() & 0x3ff) << 14) | number)
}

/// Waits until the pod is being deleted.
async fn told_to_end(api: Arc<Api>, namespace: String, name: String) {
    let mut changed = api.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let is_told = api
            .state()
            .get(PODS, &namespace, &name)
            .is_none_or(|pod| !pod["metadata"]["deletionTimestamp"].is_null());
        if is_told || changed.changed().await.is_err() {
            return;
        }
    }
}

impl Pod {
    async fn live(&mut self) {
        if self.cores() > NODE_CORES {
            self.unschedulable();
            return std::future::pending().await;
        }
        self.waiting("ContainerCreating", "");
        let image = text(&self.spec["containers"][0]["image"]);
        if image.starts_with("registry.invalid/") {
            let message = format!("failed to pull and unpack image \"{image}\": failed to resolve reference");
            self.waiting("ErrImagePull", &message);
            sleep(BACK_OFF).await;
            self.waiting(
                "ImagePullBackOff",
                &format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"),
            );
            return std::future::pending().await;
        }
        while let Some(what) = self.missing() {
            self.waiting("CreateContainerConfigError", &format!("{what} not found"));
            sleep(BACK_OFF).await;
        }
        loop {
            let (code, reason) = if self.memory() < SERVER_BYTES {
                self.api.logs.lock().unwrap().begin(&self.uid);
                (137, "OOMKilled")
            } else {
                (Container::start(self).run_to_its_end(self).await, "Error")
            };
            self.api.logs.lock().unwrap().end(&self.uid);
            self.last = json!({"terminated": ended(code, reason, "")});
            self.status("Running", self.last.clone(), false);
            sleep(BACK_OFF).await;
            let message = format!(
                "back-off 20s restarting failed container=server pod={}_{}",
                self.name, self.namespace
            );
            self.waiting_in("Running", "CrashLoopBackOff", &message);
            sleep(BACK_OFF).await;
            self.restarts += 1;
        }
    }

    /// A secret that a variable needs and that is not there.
    fn missing(&self) -> Option<String> {
        let state = self.api.state();
        for variable in self.spec["containers"][0]["env"].as_array().into_iter().flatten() {
            for (key, resource, what) in
                [("secretKeyRef", SECRETS, "secret"), ("configMapKeyRef", CONFIG_MAPS, "configmap")]
            {
                let name = &variable["valueFrom"][key]["name"];
                if let Some(name) = name.as_str()
                    && state.get(resource, &self.namespace, name).is_none()
                {
                    return Some(format!("{what} \"{name}\""));
                }
            }
        }
        None
    }

    fn cores(&self) -> u64 {
        let request = text(&self.spec["containers"][0]["resources"]["requests"]["cpu"]);
        if request.ends_with('m') { 0 } else { request.parse().unwrap_or_default() }
    }

    fn memory(&self) -> u64 {
        let limit = text(&self.spec["containers"][0]["resources"]["limits"]["memory"]);
        let mebibytes = limit.strip_suffix("Mi").and_then(|number| number.parse::<u64>().ok());
        mebibytes.map_or(u64::MAX, |number| number << 20)
    }

    fn unschedulable(&self) {
        let message = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes \
                       are available: 1 Preemption is not helpful for scheduling.";
        let condition = json!({"type": "PodScheduled", "status": "False", "lastProbeTime": null,
            "lastTransitionTime": now(), "reason": "Unschedulable", "message": message});
        self.api.change(|state| {
            state.edit(PODS, &self.namespace, &self.name, |pod| {
                pod["status"]["conditions"] = json!([condition])
            });
        });
    }

    fn waiting(&self, reason: &str, message: &str) {
        self.waiting_in("Pending", reason, message);
    }

    fn waiting_in(&self, phase: &str, reason: &str, message: &str) {
        let mut waiting = json!({"reason": reason});
        if !message.is_empty() {
            waiting["message"] = message.into();
        }
        self.status(phase, json!({"waiting": waiting}), false);
    }

    pub(super) fn running(&self, ready: bool) {
        self.status("Running", json!({"running": {"startedAt": now()}}), ready);
    }

    fn status(&self, phase: &str, state: Value, ready: bool) {
        let is = |yes: bool| if yes { "True" } else { "False" };
        let condition = |what: &str, yes: bool| json!({"type": what, "status": is(yes), "observedGeneration": 1, "lastProbeTime": null, "lastTransitionTime": now()});
        let conditions = json!([
            condition("PodReadyToStartContainers", true),
            condition("Initialized", true),
            condition("Ready", ready),
            condition("ContainersReady", ready),
            condition("PodScheduled", true)
        ]);
        let container = &self.spec["containers"][0];
        let status = json!({"name": container["name"], "state": state, "lastState": self.last, "ready": ready,
            "restartCount": self.restarts, "image": container["image"], "imageID": "", "started": ready,
            "resources": {"limits": container["resources"]["limits"], "requests": container["resources"]["requests"]}});
        self.api.change(|state| {
            state.edit(PODS, &self.namespace, &self.name, |pod| {
                let address = self.address.to_string();
                pod["status"] = json!({"observedGeneration": 1, "phase": phase, "conditions": conditions,
                    "hostIP": "127.0.0.1", "podIP": address, "podIPs": [{"ip": address}], "startTime": now(),
                    "containerStatuses": [status], "qosClass": "Burstable"});
            });
        });
    }
}
