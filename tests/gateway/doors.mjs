// What the tests' model servers have in common: the doors by path, bodies read to their end (gzip too), the log of what
// came and how it ended, and a port of their own that is printed.
import http from "node:http";
import zlib from "node:zlib";

const doors = { "/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/embeddings": "embeddings", "/v1/responses": "responses", "/v1/messages": "messages" };
export const doorOf = (url) => doors[url.split("?")[0]];

export async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const raw = Buffer.concat(parts);
  return (request.headers["content-encoding"] === "gzip" ? zlib.gunzipSync(raw) : raw).toString();
}
export function sendJson(response, status, value, headers = {}) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers }).end(text);
}

// Entries: {id, at, path, headers, body, text, tokens, status, ended_ms, aborted: {at, ms, tokens}}; times of `at` are epoch ms.
export class Log {
  entries = [];
  next = 1;
  add(request, response, text) {
    const entry = { id: this.next++, at: Date.now(), path: request.url, headers: request.headers, text, tokens: 0, status: null, ended_ms: null, aborted: null };
    try { entry.body = JSON.parse(text); } catch { entry.body = null; }
    response.on("close", () => {
      const at = Date.now(), ms = at - entry.at;
      if (response.writableFinished) Object.assign(entry, { ended_ms: ms, status: response.statusCode });
      else if (!entry.ours) entry.aborted = { at, ms, tokens: entry.tokens };
    });
    this.entries.push(entry);
    return entry;
  }
  answer(request, response) {
    if (request.method === "DELETE") this.entries = [];
    sendJson(response, 200, this.entries);
  }
}

// Starts on 127.0.0.1; `--port N` or one that is free. Prints "NAME: http://127.0.0.1:PORT".
export function serve(name, handler) {
  const asked = process.argv.indexOf("--port");
  const server = http.createServer((request, response) => {
    response.on("error", () => {});
    Promise.resolve(handler(request, response)).catch((e) => {
      if (!response.headersSent) sendJson(response, 500, { error: { message: String(e.stack), type: "server_error", param: null, code: null } });
      else response.destroy();
    });
  });
  server.keepAliveTimeout = 60000;
  server.listen(asked > 0 ? Number(process.argv[asked + 1]) : 0, "127.0.0.1", 4096, () => console.log(`${name}: http://127.0.0.1:${server.address().port}`));
  process.on("SIGTERM", () => process.exit(0));
  return server;
}
