// A fixture on a loopback port: says where on stdout, lets in only who names this machine, and keeps the sessions of
// revisions before 2026-07-28, with a memory of their events so that streams can be resumed.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

// Serves paths with `answers[path](request, response)` until the process ends. The first is the fixture's address.
export function listen(answers) {
  const server = createServer(async (request, response) => {
    const { host = "", origin } = request.headers;
    if (!LOOPBACK.test(host) || (origin && !LOOPBACK.test(origin.replace(/^https?:\/\//, "")))) {
      return response.writeHead(403).end();
    }
    const answer = answers[request.url.split("?")[0]];
    try {
      if (answer) await answer(request, response);
      else response.writeHead(404).end();
    } catch (error) {
      console.error(error);
      if (!response.headersSent) response.writeHead(500).end();
    }
  });
  server.keepAliveTimeout = 60_000;
  const [path] = Object.keys(answers);
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}${path}`));
  // Whoever started it holds the other end of stdin; when that goes, nobody needs it any more.
  process.stdin.resume().on("end", () => process.exit());
}

// Answers requests of sessions, whose body may have been read. `connect(transport)` gives each new session a server of
// its own.
export function sessions(Transport, connect) {
  const open = new Map();
  return async (request, response, body) => {
    const id = request.headers["mcp-session-id"];
    let transport = open.get(id);
    if (id && !transport) return response.writeHead(404, { "content-type": "application/json" }).end(NO_SESSION);
    if (!transport) {
      transport = new Transport({
        sessionIdGenerator: randomUUID,
        eventStore: new Events(),
        retryInterval: 500,
        onsessioninitialized: (id) => open.set(id, transport),
        onsessionclosed: (id) => open.delete(id),
      });
      await connect(transport);
    }
    await transport.handleRequest(request, response, body);
  };
}

// The same for HTTP+SSE: the paths to listen at.
export function streams(Transport, connect) {
  const open = new Map();
  return {
    "/sse": async (_, response) => {
      const transport = new Transport("/message", response);
      open.set(transport.sessionId, transport);
      response.on("close", () => open.delete(transport.sessionId));
      await connect(transport);
    },
    "/message": async (request, response) => {
      const transport = open.get(new URL(request.url, "http://localhost").searchParams.get("sessionId"));
      if (transport) await transport.handlePostMessage(request, response);
      else response.writeHead(404).end();
    },
  };
}

const NO_SESSION = JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32001, message: "Session not found" } });

// The events of one session: an id is the stream and the event's place in the session.
class Events {
  #events = [];

  async storeEvent(stream, message) {
    this.#events.push({ stream, message });
    return `${stream}/${this.#events.length}`;
  }

  async getStreamIdForEventId(id) {
    return id.slice(0, id.lastIndexOf("/"));
  }

  async replayEventsAfter(id, { send }) {
    const stream = await this.getStreamIdForEventId(id);
    const place = Number(id.slice(id.lastIndexOf("/") + 1));
    for (const [at, event] of this.#events.entries()) {
      // An event without a message only opened the stream.
      const missed = at >= place && event.stream === stream && event.message.method !== undefined;
      const answered = at >= place && event.stream === stream && "id" in event.message;
      if (missed || answered) await send(`${stream}/${at + 1}`, event.message);
    }
    return stream;
  }
}
