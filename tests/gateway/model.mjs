// A model server with a real model: llama.cpp by npm `node-llama-cpp`, true token counts, max_tokens and hang-ups honoured.
// usage: node model.mjs [--port N]     prints "model: http://127.0.0.1:PORT"; exits with 77 when the model can not be had
// Environment: MH_SHARED (data/model/*.gguf). Doors: /v1/chat/completions, /v1/completions; GET /v1/models, /health, /_log.
import { readdirSync } from "node:fs";
import { promptOf } from "./script.mjs";
import { wholeAnswer, streamedAnswer, errorBody, eventText } from "./shapes.mjs";
import { doorOf, bodyOf, sendJson, Log, serve } from "./doors.mjs";

function leave(why) {
  console.log(`skipped: real model: ${why}`);
  process.exit(77);
}
const folder = `${process.env.MH_SHARED ?? ""}/data/model`;
let file;
try { file = readdirSync(folder).find((name) => name.endsWith(".gguf")); } catch { /* said below */ }
if (!file) leave(`no .gguf in ${folder}`);
const { getLlama, LlamaCompletion } = await import("node-llama-cpp").catch((e) => leave(e.message.split("\n")[0]));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 }).catch((e) => leave(e.message.split("\n")[0]));
const model = await llama.loadModel({ modelPath: `${folder}/${file}` });
const contexts = [], waiting = [], places = 4;
for (let i = 0; i < places; i++) contexts.push(await model.createContext({ contextSize: 512 }));
const log = new Log();

// One context for each call under way; who comes when all are taken waits.
const takeContext = () => contexts.pop() ?? new Promise((done) => waiting.push(done));
function giveContext(context) {
  const next = waiting.shift();
  if (next) next(context);
  else contexts.push(context);
}

// Generates until the model ends, `most` tokens are there, or the caller has left. Returns what made it end.
async function generate(context, prompt, most, entry, response, onPiece) {
  const sequence = context.getSequence();
  const completion = new LlamaCompletion({ contextSequence: sequence });
  const left = new AbortController();
  response.on("close", () => left.abort());
  try {
    const tokens = model.tokenize(prompt).slice(-(512 - most - 8));
    const { metadata } = await completion.generateCompletionWithMeta(tokens, {
      maxTokens: most,
      temperature: 0,
      signal: left.signal,
      stopOnAbortSignal: true,
      onToken(generated) {
        const text = model.detokenize(generated);
        entry.tokens += generated.length;
        entry.text_bytes += Buffer.byteLength(text);
        onPiece(text);
      },
    });
    return { input: tokens.length, stop: metadata.stopReason };
  } finally {
    completion.dispose();
    sequence.dispose();
  }
}

async function answer(response, entry, call, body) {
  const most = Math.min(body.max_completion_tokens ?? body.max_tokens ?? 64, 256);
  const context = await takeContext();
  const pieces = [];
  const events = streamedEvents(response, call, body.stream);
  try {
    const { input, stop } = await generate(context, promptOf(body), most, entry, response, (text) => { pieces.push(text); events.piece(text); });
    const usage = { input, output: entry.tokens };
    const whole = { pieces, finish: stop === "maxTokens" ? "length" : "stop", usage };
    if (response.destroyed) return;
    if (body.stream) events.end(whole);
    else sendJson(response, 200, wholeAnswer(call, whole));
  } finally {
    giveContext(context);
  }
}
// Of a stream: pieces leave as they come. The shape of each is that of an answer with this piece alone.
function streamedEvents(response, call, stream) {
  const silent = { ...call, asked: false };
  const write = (event) => response.write(eventText(event));
  if (stream) response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  return {
    piece: (text) => { if (stream) for (const event of streamedAnswer(silent, { pieces: [text], usage: { input: 0, output: 1 } })) if (event.token) write(event); },
    end: (whole) => {
      for (const event of streamedAnswer(call, { ...whole, pieces: [] })) if (!event.data.choices?.[0]?.delta?.role) write(event);
      response.end();
    },
  };
}

serve("model", async (request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/health") return sendJson(response, 200, { status: "ok" });
  if (path === "/_log") return log.answer(request, response);
  if (path === "/v1/models") return sendJson(response, 200, { object: "list", data: [{ id: file, object: "model", created: 0, owned_by: "tests" }] });
  const door = doorOf(path);
  if (door !== "chat" && door !== "completions") return sendJson(response, 404, errorBody("chat", 404, "no such door"));
  const entry = log.add(request, response, await bodyOf(request));
  if (!entry.body) return sendJson(response, 400, errorBody(door, 400, "not JSON"));
  const call = { door, id: `${door}-${entry.id}`, model: file, created: Math.floor(Date.now() / 1000), asked: entry.body.stream_options?.include_usage === true };
  return answer(response, entry, call, entry.body);
});
