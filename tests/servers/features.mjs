// What the conformance suite expects of a server, apart from any SDK: tools, prompts and resources by the names the suite
// gives them (npm @modelcontextprotocol/conformance, the description of each scenario). legacy.mjs and dual.mjs offer
// them through an SDK each.
//
// A tool or prompt is given its arguments and a `request`:
//   log(level, data), progress(progress, total)   tell the client, on the stream of the request
//   ask(requests, state)                          the client's answers to requests of the server, by the same names: sent
//                                                 at once before 2026-07-28, in another round of the same call since then;
//                                                 `state` comes back with that round
//   state                                         what came back
//   capabilities                                  what the client says it can do
//   closeStream()                                 breaks the stream off, for the client to resume
//   changed(what)                                 tells all clients that the list of "tools" or "prompts" has changed
import { done, form, sample, text } from "./content.mjs";
import { rounds } from "./rounds.mjs";

// A PNG and a WAV of the least possible size.
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const NO_ARGUMENTS = { type: "object", properties: {} };

const image = { type: "image", data: PNG, mimeType: "image/png" };
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The client lacks what a tool needs; each SDK has its own error for it.
export class MissingCapability extends Error {
  constructor(capabilities) {
    super("the client does not declare what this tool needs");
    this.capabilities = capabilities;
  }
}

// There is no tool, prompt or resource of this name: -32602 in every revision.
export class Unknown extends Error {
  constructor(message, data) {
    super(message);
    this.data = data;
  }
}

const simple = (name, description, content) => [
  name,
  { description, inputSchema: NO_ARGUMENTS, call: async () => ({ content }) },
];

const tool = (name, description, call, inputSchema = NO_ARGUMENTS) => [name, { description, inputSchema, call }];

const oneText = (name) => ({ type: "object", properties: { [name]: { type: "string" } }, required: [name] });

const titled = (values) => values.map(([value, title]) => ({ const: value, title }));

export const tools = new Map([
  simple("test_simple_text", "Answers with text", [text("This is a simple text response for testing.")]),
  simple("test_image_content", "Answers with an image", [image]),
  simple("test_audio_content", "Answers with sound", [{ type: "audio", data: WAV, mimeType: "audio/wav" }]),
  simple("test_embedded_resource", "Answers with a resource", [
    {
      type: "resource",
      resource: {
        uri: "test://embedded-resource",
        mimeType: "text/plain",
        text: "This is an embedded resource content.",
      },
    },
  ]),
  simple("test_multiple_content_types", "Answers with text, an image and a resource", [
    text("Multiple content types test:"),
    image,
    {
      type: "resource",
      resource: {
        uri: "test://mixed-content-resource",
        mimeType: "application/json",
        text: JSON.stringify({ test: "data", value: 123 }),
      },
    },
  ]),
  tool("test_error_handling", "Always fails", async () => ({
    isError: true,
    content: [text("This tool intentionally returns an error for testing")],
  })),
  tool("test_tool_with_logging", "Logs three times", async (_, request) => {
    await request.log("info", "Tool execution started");
    await pause(50);
    await request.log("info", "Tool processing data");
    await pause(50);
    await request.log("info", "Tool execution completed");
    return done("Logged three times.");
  }),
  tool("test_logging_tool", "Logs once", async (_, request) => {
    await request.log("info", "Logged once");
    return done("Logged once.");
  }),
  tool("test_tool_with_progress", "Reports progress three times", async (_, request) => {
    for (const progress of [0, 50, 100]) {
      await request.progress(progress, 100);
      await pause(50);
    }
    return done("Reported three times.");
  }),
  tool("test_reconnection", "Breaks its stream off before it answers", async (_, request) => {
    await pause(50);
    request.closeStream();
    await pause(100);
    return done("Answered after the stream was broken off.");
  }),
  tool(
    "test_sampling",
    "Asks the client's model",
    async ({ prompt }, request) => {
      const { answer } = await request.ask({ answer: sample(prompt, 100) });
      return done(`LLM response: ${answer.content.text}`);
    },
    oneText("prompt"),
  ),
  tool(
    "test_elicitation",
    "Asks the user",
    async ({ message }, request) => {
      const properties = {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      };
      const { answer } = await request.ask({ answer: form(message, properties, ["username", "email"]) });
      return done(`User response: ${JSON.stringify(answer)}`);
    },
    oneText("message"),
  ),
  tool("test_elicitation_sep1034_defaults", "Asks the user, with defaults", async (_, request) =>
    completed(
      await request.ask({
        answer: form("Please check these defaults", {
          name: { type: "string", default: "John Doe" },
          age: { type: "integer", default: 30 },
          score: { type: "number", default: 95.5 },
          status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
          verified: { type: "boolean", default: true },
        }),
      }),
    ),
  ),
  tool("test_elicitation_sep1330_enums", "Asks the user to choose", async (_, request) => {
    const options = ["option1", "option2", "option3"];
    const values = ["value1", "value2", "value3"];
    return completed(
      await request.ask({
        answer: form("Please choose", {
          untitledSingle: { type: "string", enum: options },
          titledSingle: {
            type: "string",
            oneOf: titled(values.map((value, at) => [value, ["First Option", "Second Option", "Third Option"][at]])),
          },
          legacyEnum: {
            type: "string",
            enum: ["opt1", "opt2", "opt3"],
            enumNames: ["Option One", "Option Two", "Option Three"],
          },
          untitledMulti: { type: "array", items: { type: "string", enum: options } },
          titledMulti: {
            type: "array",
            items: {
              anyOf: titled(values.map((value, at) => [value, ["First Choice", "Second Choice", "Third Choice"][at]])),
            },
          },
        }),
      }),
    );
  }),
  tool(
    "json_schema_2020_12_tool",
    "Tool with JSON Schema 2020-12 features",
    async () => done("The schema is what is tested."),
    {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    },
  ),
  tool(
    "test_headers",
    "Takes an argument that is also a header field",
    async ({ region }) => done(`region: ${region}`),
    { type: "object", properties: { region: { type: "string", "x-mcp-header": "Region" } }, required: ["region"] },
  ),
  tool("test_missing_capability", "Needs a client that can sample", async (_, request) => {
    if (!request.capabilities?.sampling) throw new MissingCapability({ sampling: {} });
    return done("The client can sample.");
  }),
  tool("test_streaming_elicitation", "Reports progress, then asks the user", async (_, request) => {
    await request.progress(50, 100);
    return completed(await request.ask({ answer: form("Go on?", { ok: { type: "boolean" } }, ["ok"]) }));
  }),
  tool("test_trigger_tool_change", "Says that the tools have changed", async (_, request) => {
    await request.changed("tools");
    return done("Said so.");
  }),
  tool("test_trigger_prompt_change", "Says that the prompts have changed", async (_, request) => {
    await request.changed("prompts");
    return done("Said so.");
  }),
  ...rounds.tools.map(({ name, description, call }) => tool(name, description, call)),
]);

function completed({ answer }) {
  return done(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

const user = (content) => ({ role: "user", content });

export const prompts = new Map([
  [
    "test_simple_prompt",
    {
      description: "A prompt without arguments",
      get: async () => ({ messages: [user(text("This is a simple prompt for testing."))] }),
    },
  ],
  [
    "test_prompt_with_arguments",
    {
      description: "A prompt with two arguments",
      arguments: [
        { name: "arg1", description: "First test argument", required: true },
        { name: "arg2", description: "Second test argument", required: true },
      ],
      get: async ({ arg1, arg2 }) => ({
        messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
      }),
    },
  ],
  [
    "test_prompt_with_embedded_resource",
    {
      description: "A prompt with a resource",
      arguments: [{ name: "resourceUri", description: "URI of the resource to embed", required: true }],
      get: async ({ resourceUri: uri }) => ({
        messages: [
          user({
            type: "resource",
            resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." },
          }),
          user(text("Please process the embedded resource above.")),
        ],
      }),
    },
  ],
  [
    "test_prompt_with_image",
    {
      description: "A prompt with an image",
      get: async () => ({ messages: [user(image), user(text("Please analyze the image above."))] }),
    },
  ],
  ...rounds.prompts.map(({ name, description, get }) => [name, { description, get }]),
]);

export const resources = [
  {
    uri: "test://static-text",
    name: "static-text",
    description: "A text",
    mimeType: "text/plain",
    body: { text: "This is the content of the static text resource." },
  },
  {
    uri: "test://static-binary",
    name: "static-binary",
    description: "An image",
    mimeType: "image/png",
    body: { blob: PNG },
  },
  {
    uri: "test://watched-resource",
    name: "watched-resource",
    description: "A resource to subscribe to",
    mimeType: "text/plain",
    body: { text: "Watched." },
  },
];

export const resourceTemplates = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "Data for an id",
    mimeType: "application/json",
  },
];

// The result of each method that needs nothing of an SDK, by its name.
export const methods = {
  "tools/list": async () => ({
    tools: [...tools].map(([name, { description, inputSchema }]) => ({ name, description, inputSchema })),
  }),
  "tools/call": async ({ name, arguments: given }, request) => found(tools, name, "tool").call(given ?? {}, request),
  "prompts/list": async () => ({
    prompts: [...prompts].map(([name, { description, arguments: taken }]) => ({ name, description, arguments: taken })),
  }),
  "prompts/get": async ({ name, arguments: given }, request) => found(prompts, name, "prompt").get(given ?? {}, request),
  "resources/list": async () => ({ resources: resources.map(({ body, ...resource }) => resource) }),
  "resources/templates/list": async () => ({ resourceTemplates }),
  "resources/read": async ({ uri }) => ({ contents: [read(uri)] }),
  "completion/complete": async ({ argument }) => {
    const values = ["paris", "park", "party"].filter((value) => value.startsWith(argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  },
};

// What only revisions before 2026-07-28 have. Nothing here ever changes, so a subscription is only taken.
export const legacyMethods = { "resources/subscribe": async () => ({}), "resources/unsubscribe": async () => ({}) };

export const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  logging: {},
  completions: {},
};

function found(map, name, kind) {
  const entry = map.get(name);
  if (!entry) throw new Unknown(`there is no ${kind} ${name}`, { name });
  return entry;
}

function read(uri) {
  const known = resources.find((resource) => resource.uri === uri);
  if (known) return { uri, mimeType: known.mimeType, ...known.body };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (!id) throw new Unknown("Resource not found", { uri });
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { uri, mimeType: "application/json", text: JSON.stringify(data) };
}
