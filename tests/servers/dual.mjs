// The fixture with the official SDK 2.x, for every revision up to 2026-07-28: `node dual.mjs stdio` or `node dual.mjs http`.
import { randomBytes } from "node:crypto";
import { done } from "./content.mjs";
import { capabilities, legacyMethods, methods, MissingCapability, tools, Unknown } from "./features.mjs";
import { listen, sessions } from "./http.mjs";
import { require } from "./packages.mjs";

const { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } = require("@modelcontextprotocol/node");
const { serveStdio } = require("@modelcontextprotocol/server/stdio");
const {
  CLIENT_CAPABILITIES_META_KEY,
  createMcpHandler,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  isLegacyRequest,
  McpServer,
  MissingRequiredClientCapabilityError,
  ProtocolError,
} = require("@modelcontextprotocol/server");

const codec = createRequestStateCodec({ key: randomBytes(32) });

// A handler has asked the client something that this round does not answer.
class Asked {
  constructor(requests, state) {
    this.requests = requests;
    this.state = state;
  }
}

// Tells clients that subscribed to it what has changed: set where a list router stands between server and client.
let notify;

function server({ era }) {
  const options = { capabilities, requestState: { verify: codec.verify } };
  const product = new McpServer({ name: "mcpcan-fixture-dual", version: "1.0.0" }, options);
  // The SDK compares arguments with the header fields that repeat them only where it knows the tool's schema.
  const { description, inputSchema } = tools.get("test_headers");
  product.registerTool("test_headers", { description, inputSchema: fromJsonSchema(inputSchema) }, () => done(""));
  const { server } = product;
  const offered = era === "modern" ? methods : { ...methods, ...legacyMethods };
  for (const [method, run] of Object.entries(offered)) {
    server.setRequestHandler(method, ({ params }, context) =>
      run(params ?? {}, request(server, era, context)).catch(asked),
    );
  }
  return product;
}

async function asked(thrown) {
  if (thrown instanceof Asked) {
    const requestState = thrown.state && (await codec.mint(thrown.state));
    return inputRequired({ inputRequests: thrown.requests, ...(requestState && { requestState }) });
  }
  if (thrown instanceof Unknown) throw new ProtocolError(-32602, thrown.message, thrown.data);
  if (thrown instanceof MissingCapability) {
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: thrown.capabilities });
  }
  throw thrown;
}

function request(server, era, { http, mcpReq }) {
  let remembered;
  const modern = era === "modern";
  const progressToken = mcpReq._meta?.progressToken;
  return {
    log: (level, data) => mcpReq.log(level, data, "fixture"),
    progress: async (progress, total) => {
      if (progressToken === undefined) return;
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total } });
    },
    ask: async (requests, state) => {
      if (modern) return answers(requests, mcpReq.inputResponses ?? {}, state);
      const given = {};
      for (const [name, asked] of Object.entries(requests)) given[name] = await mcpReq.send(asked);
      remembered = state;
      return given;
    },
    get state() {
      return modern ? mcpReq.requestState() : remembered;
    },
    capabilities: modern ? mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] : server.getClientCapabilities(),
    closeStream: () => http?.closeSSE?.(),
    changed: async (what) => {
      if (modern && notify) what === "tools" ? notify.toolsChanged() : notify.promptsChanged();
      else await (what === "tools" ? server.sendToolListChanged() : server.sendPromptListChanged());
    },
  };
}

// The answers of this round, if they are all there and what they should be; otherwise the client is asked once more.
function answers(requests, responses, state) {
  const isAnswer = ([name, { method }]) => {
    const response = Object.hasOwn(responses, name) ? responses[name] : undefined;
    if (method === "roots/list") return Array.isArray(response?.roots);
    if (method === "sampling/createMessage") return typeof response?.content === "object";
    return typeof response?.action === "string" && (response.action !== "accept" || typeof response.content === "object");
  };
  if (!Object.entries(requests).every(isAnswer)) throw new Asked(requests, state);
  return responses;
}

if (process.argv[2] === "http") {
  const handler = createMcpHandler(server, { legacy: "reject" });
  notify = handler.notify;
  const modern = toNodeHandler(handler);
  const legacy = sessions(NodeStreamableHTTPServerTransport, (transport) =>
    server({ era: "legacy" }).connect(transport),
  );
  const answer = async (request, response) => {
    const chunks = await request.toArray();
    const body = Buffer.concat(chunks).toString();
    let parsed;
    try {
      parsed = body ? JSON.parse(body) : undefined;
    } catch {
      return response.writeHead(400).end();
    }
    const isLegacy = await isLegacyRequest(await toWebRequest(request, parsed), parsed);
    await (isLegacy ? legacy(request, response, parsed) : modern(request, response, parsed));
  };
  listen({ "/mcp": answer });
} else serveStdio(server);
