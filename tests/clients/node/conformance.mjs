// A client for the conformance suite's side of servers: `node conformance.mjs [MCPCAN DATA] URL`. The suite appends the
// address of its server; with a program and a directory, that server is made a proxied instance of the installation, and
// the client speaks to the gateway.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../../.tools/node/", import.meta.url));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { ElicitRequestSchema } = require("@modelcontextprotocol/sdk/types.js");

const through = process.argv.slice(2, -1);
const server = process.argv.at(-1);

// What each scenario wants the client to do once it is connected.
const SCENARIOS = {
  initialize: (client) => client.listTools(),
  tools_call: async (client) => {
    const { tools } = await client.listTools();
    if (!tools.some(({ name }) => name === "add_numbers")) throw new Error("there is no tool add_numbers");
    await client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } });
  },
  "elicitation-sep1034-client-defaults": async (client) => {
    // The user accepts without changing anything: the SDK fills in the defaults.
    client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "accept", content: {} }));
    await client.callTool({ name: "test_client_elicitation_defaults", arguments: {} });
  },
  "sse-retry": (client) => client.callTool({ name: "test_reconnection", arguments: {} }),
};

const act = SCENARIOS[process.env.MCPCAN_TEST_SCENARIO];
const capabilities = { elicitation: { form: { applyDefaults: true } } };
const client = new Client({ name: "mcpcan-test-conformance", version: "1.0.0" }, { capabilities });
const { url, headers } = through.length > 0 ? proxied(...through) : { url: server };
// The suite's server asks the client on the stream that a GET opens, and forgets what it says before that.
const listening = Promise.withResolvers();
const observed = async (address, init) => {
  const response = await fetch(address, init);
  if (init.method === "GET") listening.resolve();
  return response;
};
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers }, fetch: observed });
await client.connect(transport);
await listening.promise;
await act(client);
await client.close();

function proxied(mcpcan, data) {
  const run = (...args) => JSON.parse(execFileSync(mcpcan, ["--data", data, "--json", ...args]));
  const name = `suite-${randomUUID().slice(0, 8)}`;
  run("instance", "create", name, "--access", "proxy", "--transport", "streamable-http", "--url", server);
  return run("token", "issue", name, "--kind", "bearer").config.mcpServers[name];
}
