//! The bridge in front of a server on stdio, beside other programs that do the same, and beside a prototype that does
//! the least.

use std::time::Duration;

use harness::{Platform, Tools, free_address};
use tokio::process::Command;

use crate::figure::{Figures, Goal, median, quantile};
use crate::mcp_client::{Clients, Target, churn};
use crate::peer::Work;
use crate::prototype;
use crate::servers::{Server, everything, own, peers, target};

/// How often the sides take turns.
const ROUNDS: usize = 3;
/// How long one side works in one round.
const ROUND: Duration = Duration::from_secs(2);
const CHURNING_CLIENTS: usize = 8;
/// What of the prototype has to be reached, everything on.
const OF_PROTOTYPE_MIN: f64 = 0.7;
/// How many times as fast as the other tools it has to be.
const OF_PEERS_MIN: f64 = 10.0;

/// What the bridge alone asks its clients for.
const CREDENTIAL: &str = "the-credential-of-this-benchmark";

/// What the clients do.
#[derive(Clone, Copy)]
enum Load {
    Echo { clients: usize, bytes: usize },
    Churn,
}

const LOADS: [(&str, Load); 4] = [
    ("1 client", Load::Echo { clients: 1, bytes: 16 }),
    ("16 clients", Load::Echo { clients: 16, bytes: 16 }),
    ("4 clients, 100 kB", Load::Echo { clients: 4, bytes: 100_000 }),
    ("sessions, 8 clients", Load::Churn),
];

/// The sides whose names others are compared with.
const PROTOTYPE: &str = "prototype";
const PEERS: [&str; 3] = ["supergateway", "mcp-proxy (npm)", "mcp-proxy (PyPI)"];
/// The bridge alone, and with a gateway before it; one child for all clients, or one each.
const SHARED: &str = "bridge, shared";
const THROUGH: &str = "gateway and bridge, shared";
const PER_CLIENT: &str = "gateway and bridge, per client";

pub(crate) async fn run(figures: &mut Figures) {
    let tools = Tools::find();
    let directory = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(directory.path()).await;
    let servers = start_servers(&tools).await;
    let mut sides: Vec<(&str, Target)> =
        servers.iter().map(|(name, server)| (*name, server.target.clone())).collect();
    sides.push((THROUGH, hosted(&platform, &tools, "shared").await));
    sides.push((PER_CLIENT, hosted(&platform, &tools, "per-client").await));
    for (name, load) in LOADS {
        measure(figures, name, load, &sides).await;
    }
    drop(servers);
    platform.stop().await;
}

async fn measure(figures: &mut Figures, load_name: &str, load: Load, sides: &[(&'static str, Target)]) {
    let mut clients = vec![];
    for (_, target) in sides {
        clients.push(match load {
            Load::Echo { clients, .. } => Some(Clients::open(target, clients).await),
            Load::Churn => None,
        });
    }
    let mut work: Vec<Vec<Work>> = sides.iter().map(|_| vec![]).collect();
    for _ in 0..ROUNDS {
        for (side, (_, target)) in sides.iter().enumerate() {
            work[side].push(match (load, &mut clients[side]) {
                (Load::Echo { bytes, .. }, Some(clients)) => {
                    clients.call(&"x".repeat(bytes), ROUND, None).await
                }
                (Load::Echo { .. } | Load::Churn, _) => churn(target, CHURNING_CLIENTS, ROUND).await,
            });
        }
    }
    let rate = |name: &str| {
        let side = sides.iter().position(|(side, _)| *side == name).expect("a side of this name");
        median(&work[side].iter().map(|work| work.per_second).collect::<Vec<_>>())
    };
    for (side, (name, _)) in sides.iter().enumerate() {
        figures.add(&format!("bridge: {load_name}: {name}"), rate(name), "/s", Goal::None);
        let latencies: Vec<_> = work[side].iter().flat_map(|work| work.latencies.iter().copied()).collect();
        for (share, label) in [(0.5, "p50"), (0.99, "p99")] {
            let name = format!("bridge: {load_name}: {name}, {label}");
            figures.add(&name, quantile(&latencies, share), "ms", Goal::None);
        }
    }
    let ratio = |ours: &str, theirs: &str| {
        (format!("bridge: {load_name}: {ours}, of {theirs}"), rate(ours) / rate(theirs))
    };
    for (ours, goal) in [(SHARED, Goal::AtLeast(OF_PROTOTYPE_MIN)), (THROUGH, Goal::None)] {
        let (name, value) = ratio(ours, PROTOTYPE);
        figures.add(&name, value, "", goal);
        for peer in PEERS {
            let (name, value) = ratio(ours, peer);
            figures.add(&name, value, "", Goal::AtLeast(OF_PEERS_MIN));
        }
    }
    // Of the others, this one alone gives every client a child, too.
    let (name, value) = ratio(PER_CLIENT, PEERS[0]);
    figures.add(&name, value, "", Goal::None);
}

/// The others.
async fn start_servers(tools: &Tools) -> Vec<(&'static str, Server)> {
    let (server, peers) = (everything(tools), peers());
    let program: Vec<&str> = server.iter().map(String::as_str).collect();
    let mut servers = vec![];
    let address = free_address();
    let port = address.port().to_string();
    let prototype = own(&[&[prototype::NAME, &port], &program[..]].concat());
    servers.push((PROTOTYPE, Server::start(prototype, target(address, "/mcp")).await));

    let address = free_address();
    let mut bridge = Command::new(tools.mcpcan.with_file_name("mcpcan-bridge"));
    bridge.args(["stdio", "--process", "shared", "--listen", &address.to_string(), "--"]).args(&program);
    bridge.env("MCPCAN_BRIDGE_CREDENTIAL", CREDENTIAL);
    let authorization = Some(format!("Bearer {CREDENTIAL}"));
    let target_of_bridge = Target { authorization, ..target(address, "/mcp") };
    servers.push((SHARED, Server::start(bridge, target_of_bridge).await));

    let address = free_address();
    let mut supergateway = Command::new("node");
    supergateway.arg(peers.join("node/node_modules/supergateway/dist/index.js"));
    supergateway.args(["--stdio", &program.join(" "), "--outputTransport", "streamableHttp", "--stateful"]);
    supergateway.args(["--logLevel", "none", "--port", &address.port().to_string()]);
    servers.push((PEERS[0], Server::start(supergateway, target(address, "/mcp")).await));

    let address = free_address();
    let mut npm = Command::new("node");
    npm.arg(peers.join("node/node_modules/.bin/mcp-proxy"));
    npm.args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--server", "stream", "--"])
        .args(&program);
    servers.push((PEERS[1], Server::start(npm, target(address, "/mcp")).await));

    let address = free_address();
    let mut pypi = Command::new(peers.join("venv/bin/mcp-proxy"));
    pypi.args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--log-level", "WARNING", "--"])
        .args(&program);
    servers.push((PEERS[2], Server::start(pypi, target(address, "/mcp")).await));
    servers
}

/// Hosts the server, and gives the address at the gateway with a token: authentication and trace events are on.
async fn hosted(platform: &Platform, tools: &Tools, process: &str) -> Target {
    let server = everything(tools);
    let name = format!("everything-{process}");
    let mut create = vec!["instance", "create", &name, "--access", "hosted", "--transport", "stdio"];
    create.extend(["--process", process, "--"]);
    create.extend(server.iter().map(String::as_str));
    platform.json(&create).await;
    let token = platform.json(&["token", "issue", &name, "--kind", "bearer"]).await;
    let gateway = platform.run_file()["gateway"].as_str().expect("the gateway has an address").to_owned();
    let address = gateway.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let token = token["token"].as_str().expect("a token is shown once");
    let authorization = Some(format!("Bearer {token}"));
    Target { address, path: format!("/mcp-gateway/{name}/mcp"), authorization }
}
