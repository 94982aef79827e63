// The fixture with the official SDK 1.x, for revisions up to 2025-11-25: `node legacy.mjs stdio`, `node legacy.mjs http`, or
// `node legacy.mjs sse` for HTTP+SSE.
import { capabilities, legacyMethods, methods, MissingCapability, Unknown } from "./features.mjs";
import { listen, sessions, streams } from "./http.mjs";
import { require } from "./packages.mjs";

const { Server } = require("@modelcontextprotocol/sdk/server/index.js");
const { SSEServerTransport } = require("@modelcontextprotocol/sdk/server/sse.js");
const { StdioServerTransport } = require("@modelcontextprotocol/sdk/server/stdio.js");
const { StreamableHTTPServerTransport } = require("@modelcontextprotocol/sdk/server/streamableHttp.js");
const types = require("@modelcontextprotocol/sdk/types.js");

const SCHEMAS = {
  "tools/list": types.ListToolsRequestSchema,
  "tools/call": types.CallToolRequestSchema,
  "prompts/list": types.ListPromptsRequestSchema,
  "prompts/get": types.GetPromptRequestSchema,
  "resources/list": types.ListResourcesRequestSchema,
  "resources/templates/list": types.ListResourceTemplatesRequestSchema,
  "resources/read": types.ReadResourceRequestSchema,
  "resources/subscribe": types.SubscribeRequestSchema,
  "resources/unsubscribe": types.UnsubscribeRequestSchema,
  "completion/complete": types.CompleteRequestSchema,
};
const RESULTS = {
  "elicitation/create": types.ElicitResultSchema,
  "sampling/createMessage": types.CreateMessageResultSchema,
  "roots/list": types.ListRootsResultSchema,
};

async function connect(transport) {
  const server = new Server({ name: "mcpcan-fixture-legacy", version: "1.0.0" }, { capabilities });
  for (const [method, run] of Object.entries({ ...methods, ...legacyMethods })) {
    server.setRequestHandler(SCHEMAS[method], ({ params }, extra) =>
      run(params ?? {}, request(server, extra)).catch((error) => {
        throw translated(error);
      }),
    );
  }
  await server.connect(transport);
}

function request(server, extra) {
  let remembered;
  const progressToken = extra._meta?.progressToken;
  const tell = (method, params) => extra.sendNotification({ method, params });
  return {
    log: (level, data) => tell("notifications/message", { level, logger: "fixture", data }),
    progress: async (progress, total) => {
      if (progressToken !== undefined) await tell("notifications/progress", { progressToken, progress, total });
    },
    ask: async (requests, state) => {
      const answers = {};
      for (const [name, asked] of Object.entries(requests)) {
        answers[name] = await extra.sendRequest(asked, RESULTS[asked.method]);
      }
      remembered = state;
      return answers;
    },
    get state() {
      return remembered;
    },
    capabilities: server.getClientCapabilities(),
    closeStream: () => extra.closeSSEStream?.(),
    changed: (what) => (what === "tools" ? server.sendToolListChanged() : server.sendPromptListChanged()),
  };
}

function translated(error) {
  if (error instanceof Unknown) return new types.McpError(types.ErrorCode.InvalidParams, error.message, error.data);
  if (error instanceof MissingCapability) return new types.McpError(types.ErrorCode.InvalidRequest, error.message);
  return error;
}

if (process.argv[2] === "http") listen({ "/mcp": sessions(StreamableHTTPServerTransport, connect) });
else if (process.argv[2] === "sse") listen(streams(SSEServerTransport, connect));
else await connect(new StdioServerTransport());
