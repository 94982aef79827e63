// A client for the conformance suite's side of servers: `node conformance.mjs [MCPCAN DATA] URL`. The suite appends the
// address of its server; with a program and a directory, that server is made a proxied instance of the installation, and
// the client speaks to the gateway. It is the official SDK 1.x for revisions up to 2025-11-25, and 2.x for newer ones.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../../.tools/node/", import.meta.url));

const through = process.argv.slice(2, -1);
const server = process.argv.at(-1);
const { MCP_CONFORMANCE_CONTEXT, MCP_CONFORMANCE_PROTOCOL_VERSION, MCP_CONFORMANCE_SCENARIO } = process.env;

// What each scenario wants the client to do once it is connected.
const SCENARIOS = {
  initialize: (client) => client.listTools(),
  tools_call: async (client) => {
    const { tools } = await client.listTools();
    if (!tools.some(({ name }) => name === "add_numbers")) throw new Error("there is no tool add_numbers");
    await client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } });
  },
  "elicitation-sep1034-client-defaults": (client) =>
    client.callTool({ name: "test_client_elicitation_defaults", arguments: {} }),
  "sse-retry": (client) => client.callTool({ name: "test_reconnection", arguments: {} }),
  "request-metadata": (client) => client.listTools(),
  "sep-2322-client-request-state": callAll,
  "http-standard-headers": async (client) => {
    await callAll(client);
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  },
  "http-custom-headers": async (client) => {
    await client.listTools();
    for (const call of JSON.parse(MCP_CONFORMANCE_CONTEXT).toolCalls) await client.callTool(call);
  },
  "http-invalid-tool-headers": callAll,
  "json-schema-ref-no-deref": (client) => client.listTools(),
};

// Some of these tools answer what no client should take.
async function callAll(client) {
  for (const { name } of (await client.listTools()).tools) {
    await client.callTool({ name, arguments: {} }).catch((error) => console.error(`${name}: ${error.message}`));
  }
}

const info = { name: "mcpcan-test-conformance", version: "1.0.0" };
// The user accepts without changing anything: the SDK fills in the defaults.
const accept = async () => ({ action: "accept", content: {} });

// The suite's older servers ask the client on the stream that a GET opens, and forget what they say before that.
function older() {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { ElicitRequestSchema } = require("@modelcontextprotocol/sdk/types.js");
  const client = new Client(info, { capabilities: { elicitation: { form: { applyDefaults: true } } } });
  client.setRequestHandler(ElicitRequestSchema, accept);
  const listening = Promise.withResolvers();
  const observed = async (address, init) => {
    const response = await fetch(address, init);
    if (init.method === "GET") listening.resolve();
    return response;
  };
  return { client, Transport: StreamableHTTPClientTransport, fetch: observed, ready: listening.promise };
}

function newer() {
  const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
  const capabilities = { elicitation: {}, sampling: {}, roots: {} };
  const client = new Client(info, { capabilities, versionNegotiation: { mode: "auto" } });
  client.setRequestHandler("elicitation/create", accept);
  return { client, Transport: StreamableHTTPClientTransport };
}

const { client, Transport, fetch: observed, ready } = MCP_CONFORMANCE_PROTOCOL_VERSION >= "2026" ? newer() : older();
const { url, headers } = through.length > 0 ? proxied(...through) : { url: server };
await client.connect(new Transport(new URL(url), { requestInit: { headers }, ...(observed && { fetch: observed }) }));
await ready;
await SCENARIOS[MCP_CONFORMANCE_SCENARIO](client);
await client.close();

function proxied(mcpcan, data) {
  const run = (...args) => JSON.parse(execFileSync(mcpcan, ["--data", data, "--json", ...args]));
  const name = `suite-${randomUUID().slice(0, 8)}`;
  run("instance", "create", name, "--access", "proxy", "--transport", "streamable-http", "--url", server);
  return run("token", "issue", name, "--kind", "bearer").config.mcpServers[name];
}
