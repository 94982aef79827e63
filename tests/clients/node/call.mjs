// The official TypeScript SDK as a client of the gateway: takes the mcpServers JSON that people paste on stdin, and a
// tool with its arguments on the command line; initialises, lists the tools, calls that one; prints what it saw as JSON.
// Run in the folder that holds node_modules.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.cwd()}/`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { SSEClientTransport } = require("@modelcontextprotocol/sdk/client/sse.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const [tool, args] = process.argv.slice(2);
const [{ type, url, headers }] = Object.values(JSON.parse(await text(process.stdin)).mcpServers);

const client = new Client({ name: "mcpcan-test-typescript", version: "1.0.0" });
const Transport = type === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(url), { requestInit: { headers } });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
await transport.terminateSession?.();
await client.close();

console.log(
  JSON.stringify({
    server: client.getServerVersion().name,
    tools: tools.map(({ name }) => name),
    text: result.content.map((block) => block.text).join(""),
  }),
);
