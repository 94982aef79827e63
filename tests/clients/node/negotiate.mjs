// The official TypeScript SDK 2.x as a client of the gateway: takes the mcpServers JSON that people paste on stdin, and on
// the command line how it agrees on a revision (`legacy`, `auto`, or the revision that it insists on), a tool and its
// arguments. It can be asked for a sample. Lists the tools, calls that one; prints what it saw as JSON.
// Run in the folder that holds node_modules.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.cwd()}/`);
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

const [revision, tool, args] = process.argv.slice(2);
const [{ url, headers }] = Object.values(JSON.parse(await text(process.stdin)).mcpServers);

const mode = ["legacy", "auto"].includes(revision) ? revision : { pin: revision };
const client = new Client(
  { name: "mcpcan-test-typescript-2", version: "1.0.0" },
  { capabilities: { sampling: {} }, versionNegotiation: { mode } },
);
client.setRequestHandler("sampling/createMessage", async () => ({
  model: "none",
  role: "assistant",
  content: { type: "text", text: "a sample of the client" },
}));
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const { tools } = await client.listTools();
let progress = 0;
const result = await client.callTool({ name: tool, arguments: JSON.parse(args) }, { onprogress: () => (progress += 1) });
const [server, agreed] = [client.getServerVersion().name, client.getNegotiatedProtocolVersion()];
await client.close();

console.log(
  JSON.stringify({
    server,
    tools: tools.map(({ name }) => name),
    text: result.content.map((block) => block.text).join(""),
    revision: agreed,
    progress,
  }),
);
