// A model server that does as it is told (script.mjs lists how) and remembers what it got: for tests of the gateway.
// usage: node upstream.mjs [--port N] [--key SECRET] [--anthropic]     prints "upstream: http://127.0.0.1:PORT"
// GET /_log: what came; DELETE /_log: forget it. POST /_script {script, times, health}: for the next `times` calls (0: none).
import { setTimeout as sleep } from "node:timers/promises";
import { scriptOf, promptOf, lastSaidOf, wordCountOf } from "./script.mjs";
import { wholeAnswer, streamedAnswer, errorBody, errorEvent, eventText } from "./shapes.mjs";
import { doorOf, bodyOf, sendJson, Log, serve } from "./doors.mjs";

const argument = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : null);
const key = argument("--key");
const onlyAnthropic = process.argv.includes("--anthropic");
const log = new Log();
let posted = { script: "", times: 0, health: 200 };

// ---- what is answered ----
const plain = ["The", " quick", " brown", " fox", " jumps"];
const rare = ["Zażółć", " gęślą", " 日本", " 🦊🦊", " é\u0301"];
function piecesOf(script, count) {
  if (script.tool) return ['{"city"', ': "Pa', 'ris"}'];
  const from = script["multi-byte"] ? rare : plain;
  return Array.from({ length: count }, (_, i) => from[i % from.length]);
}
function mostTokens(body) {
  const given = [body.max_completion_tokens, body.max_tokens, body.max_output_tokens].filter(Number.isFinite);
  return given.length ? Math.max(...given) : Infinity;
}
function answerOf(body, script) {
  const count = Math.min(script.say, mostTokens(body));
  const pieces = piecesOf(script, count);
  const choices = Math.max(1, body.n ?? 1);
  const usage = {
    input: script.input ?? wordCountOf(promptOf(body)),
    cached: script.cached, cacheWrite: script["cache-write"], audio: script.audio,
    output: pieces.length * choices + (script.reasoning ?? 0), reasoning: script.reasoning,
  };
  return { pieces, finish: count < script.say ? "length" : "stop", usage };
}
function callOf(door, body, script, id) {
  const tool = script.tool ? body.tools?.[0]?.function?.name ?? body.tools?.[0]?.name ?? "weather" : null;
  const prefix = { chat: "chatcmpl-", completions: "cmpl-", responses: "resp_", messages: "msg_" }[door];
  return { door, id: prefix + id, model: body.model, created: Math.floor(Date.now() / 1000), tier: script.tier, tool, asked: body.stream_options?.include_usage === true, mode: script.usage, choices: Math.max(1, body.n ?? 1) };
}

// ---- how it fails ----
function headersOf(script) {
  const headers = {};
  if (script["retry-after"] !== undefined) headers["retry-after"] = String(script["retry-after"]);
  if (script["should-retry"]) headers["x-should-retry"] = script["should-retry"];
  return headers;
}
async function fail(response, entry, door, script) {
  entry.failed = script.fail;
  if (script.fail === "hang") return new Promise((done) => response.on("close", done));
  entry.ours = true;
  if (script.fail === "reset") return response.socket.resetAndDestroy();
  if (script.fail === "cut") return response.socket.destroySoon();
  if (script.fail === "event") return void response.end(eventText(errorEvent(door, "the scripted model broke")));
  if (script.fail === "html") {
    entry.status = 502;
    return void response.writeHead(502, { "content-type": "text/html" }).end("<html><body><h1>502 Bad Gateway</h1></body></html>");
  }
  sendJson(response, Number(script.fail), errorBody(door, Number(script.fail), `scripted failure ${script.fail}`), headersOf(script));
}

// ---- how it streams ----
function countToken(entry, text) {
  entry.tokens++;
  entry.text_bytes += Buffer.byteLength(text);
}
async function write(response, text, pieceBytes) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length && !response.destroyed; at += pieceBytes) {
    if (!response.write(bytes.subarray(at, at + pieceBytes))) await Promise.race([new Promise((r) => response.once("drain", r)), new Promise((r) => response.once("close", r))]);
    if (pieceBytes < bytes.length) await new Promise((r) => setImmediate(r));
  }
}
async function stream(response, entry, call, answer, script) {
  const form = { crlf: script.crlf, noSpace: script["no-space"] };
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-request-id": "up-" + entry.id });
  response.flushHeaders();
  for (const event of streamedAnswer(call, answer)) {
    if (response.destroyed) return;
    if (event.token || event.done) {
      if (script.fail && entry.tokens === script.after) return fail(response, entry, call.door, script);
      if (event.token && script.delay) await sleep(script.delay);
      if (response.destroyed) return;
      if (event.token) countToken(entry, event.token);
    }
    if (event.done && script["no-done"]) break;
    const comment = script.comments ? ": still here\n\n" : "";
    await write(response, comment + eventText(event, form), script.split ?? Infinity);
  }
  response.end();
}

function embeddings(response, body, script) {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const tokens = script.input ?? wordCountOf(promptOf(body));
  const vector = [0.25, -0.5, 0.125];
  const embedding = body.encoding_format === "base64" ? Buffer.from(new Float32Array(vector).buffer).toString("base64") : vector;
  const usage = script.usage === "none" ? {} : { usage: script.usage === "null" ? null : { prompt_tokens: tokens, total_tokens: tokens } };
  sendJson(response, 200, { object: "list", data: inputs.map((_, index) => ({ object: "embedding", index, embedding })), model: body.model, ...usage });
}

// ---- the doors ----
async function take(request, response, door, text) {
  const entry = log.add(request, response, text);
  const body = entry.body;
  const given = request.headers.authorization?.replace(/^Bearer /, "") ?? request.headers["x-api-key"];
  if (key && given !== key) return sendJson(response, 401, errorBody(door, 401, "wrong key of the upstream"));
  if (!body) return sendJson(response, 400, errorBody(door, 400, "not JSON"));
  if (onlyAnthropic !== (door === "messages") && onlyAnthropic) return sendJson(response, 404, errorBody(door, 404, "no such door"));
  const order = posted.times > 0 ? (posted.times--, posted.script) : "";
  const script = scriptOf(lastSaidOf(body), String(body.model ?? ""), request.headers["x-script"] ?? "", order);
  entry.script = script;
  if (script.first) await sleep(script.first);
  if (response.destroyed) return;
  if (script.fail && (script.after === undefined || !body.stream)) return fail(response, entry, door, script);
  if (door === "embeddings") return embeddings(response, body, script);
  const answer = answerOf(body, script);
  const call = callOf(door, body, script, entry.id);
  if (body.stream && !script["refuse-stream"]) return stream(response, entry, call, answer, script);
  for (const text of answer.pieces) {
    if (script.delay) await sleep(script.delay);
    if (response.destroyed) return;
    countToken(entry, text);
  }
  sendJson(response, 200, wholeAnswer(call, answer), { "x-request-id": "up-" + entry.id });
}

serve("upstream", async (request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/health") return sendJson(response, posted.health ?? 200, { status: "ok" });
  if (path === "/_log") return log.answer(request, response);
  if (path === "/v1/models") return sendJson(response, 200, { object: "list", data: [{ id: "scripted", object: "model", created: 0, owned_by: "tests" }] });
  const text = await bodyOf(request);
  if (path === "/_script") {
    posted = { ...posted, ...JSON.parse(text) };
    return sendJson(response, 200, posted);
  }
  const door = doorOf(path);
  if (!door || request.method !== "POST") return sendJson(response, 404, errorBody("chat", 404, `no such door: ${request.method} ${path}`));
  return take(request, response, door, text);
});
