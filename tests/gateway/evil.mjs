// A model server that means harm, on the bare socket: what it does stands in the prompt as "evil NAME". And a client that
// writes whatever bytes it is told. For tests of the gateway.
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };
const answer = (model) => JSON.stringify({ id: "x", object: "chat.completion", created: 1, model, choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }], usage });
const event = (more) => `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content: "hi" }, finish_reason: null }], ...more })}\n\n`;
const last = event({ choices: [], usage });
const done = "data: [DONE]\n\n";
const json = (body, more = "") => `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;
const streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const end = "0\r\n\r\n";

async function forever(socket, piece, pause = 0) {
  while (!socket.destroyed) {
    if (!socket.write(piece)) await new Promise((go) => { socket.once("drain", go); socket.once("close", go); });
    if (pause) await sleep(pause);
  }
}
const block = "x".repeat(1 << 16);
// What is said, to a request that came whole.
const deeds = {
  ok: (s) => s.write(json(answer("m"))),
  "stream ok": (s) => s.write(streamHead + chunk(event()) + chunk(last) + chunk(done) + end),
  // whole JSON, then blanks that its length covers, later
  "late blanks": async (s) => { const body = answer("m"); s.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length + 9}\r\n\r\n${body}`); await sleep(60); s.write(" \n".repeat(4) + "\n"); },
  // blanks promised, and never sent
  "missing blanks": async (s) => { const body = answer("m"); s.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length + 9}\r\n\r\n${body}`); await sleep(60); s.end(); },
  "late garbage": async (s) => { const body = answer("m"); s.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length + 9}\r\n\r\n${body}`); await sleep(60); s.write("{\"a\":1}  "); },
  "no content": (s) => s.write("HTTP/1.1 204 No Content\r\n\r\n"),
  "stream no content": (s) => s.write("HTTP/1.1 204 No Content\r\n\r\n"),
  partial: (s) => s.write(`HTTP/1.1 206 Partial\r\ncontent-length: 4\r\n\r\n{"a"`),
  "huge length": async (s) => { s.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9223372036854775807\r\n\r\n${answer("m")}`); await sleep(100); s.destroy(); },
  "two lengths": (s) => s.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\n${answer("m")}`),
  "both lengths": (s) => s.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${chunk(answer("m"))}${end}`),
  "second answer": (s) => s.write(json(answer("m")) + json(answer("smuggled"))),
  gzip: (s) => s.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc"),
  "odd type": (s) => s.write(json(answer("m")).replace("application/json", "text/html; x=\"" + "y".repeat(300))),
  redirect: (s) => s.write("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
  "not http": (s) => s.write("220 smtp ready\r\n\r\n"),
  "endless headers": (s) => { s.write("HTTP/1.1 200 OK\r\n"); return forever(s, `x-a: ${"b".repeat(1000)}\r\n`); },
  "endless header line": (s) => { s.write("HTTP/1.1 200 OK\r\nx-a: "); return forever(s, block); },
  "endless 1xx": (s) => forever(s, "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n".repeat(100)),
  "endless blanks": (s) => { s.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"); return forever(s, chunk(" ".repeat(1 << 16))); },
  "deep answer": (s) => { const body = "[".repeat(200000); s.write(json(body)); },
  "stream endless line": (s) => { s.write(streamHead); return forever(s, chunk(block)); },
  "stream endless data": (s) => { s.write(streamHead + chunk('data: {"choices":[{"delta":{"content":"')); return forever(s, chunk(block)); },
  "stream huge chunk": (s) => { s.write(streamHead + "3fffffff\r\n"); return forever(s, block); },
  "stream huge size": (s) => s.write(streamHead + "f".repeat(40) + "\r\n" + event()),
  "stream endless size": (s) => { s.write(streamHead); return forever(s, "0".repeat(1 << 16)); },
  "stream endless extension": (s) => { s.write(streamHead + "5;"); return forever(s, block); },
  "stream endless comments": (s) => { s.write(streamHead); return forever(s, chunk(": still here\n\n"), 1); },
  "stream never ends": async (s) => { s.write(streamHead + chunk(event()) + chunk(last) + chunk(done)); await forever(s, chunk(event()), 5); },
  "stream silent end": (s) => s.write(streamHead + chunk(event()) + chunk(last) + chunk(done)),
  "stream cut": async (s) => { s.write(streamHead + chunk(event())); await sleep(50); s.destroy(); },
  "stream bad utf8": (s) => { const bad = Buffer.from('data: {"choices":[{"delta":{"content":"\xff\xfe\xc0"},"finish_reason":"\xff\xc3"}],"service_tier":"\xff"}\n\n', "latin1"); s.write(streamHead + bad.length.toString(16) + "\r\n"); s.write(bad); s.write("\r\n" + chunk(last) + chunk(done) + end); },
  "stream bad words": (s) => { const bad = Buffer.from('data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"\xff\xc3 a=b\\u001b[31m"}],"service_tier":"\xfe"}\n\n', "latin1"); s.write(streamHead + bad.length.toString(16) + "\r\n"); s.write(bad); s.write("\r\n"); return forever(s, chunk(": still here\n\n"), 500); },
  "stream odd finish": (s) => s.write(streamHead + chunk(event({ choices: [{ index: 0, delta: { content: "hi" }, finish_reason: "a\"b\n\u0000c=d \u001b[31m" }] })) + chunk(event({ choices: [{ index: 0, delta: { content: "hi" }, finish_reason: "ev=il \"\n" }] })) + chunk(last) + chunk(done) + end),
  "stream long finish": (s) => s.write(streamHead + chunk(event({ choices: [{ index: 0, delta: {}, finish_reason: "f".repeat(5000) }] })) + chunk(last) + chunk(done) + end),
  "stream huge usage": (s) => s.write(streamHead + chunk(event()) + chunk(event({ choices: [], usage: { prompt_tokens: 1e12, completion_tokens: 1e12 } })) + chunk(done) + end),
  "stream wild usage": (s) => s.write(streamHead + chunk(event()) + chunk(event({ choices: [], usage: { prompt_tokens: -5, completion_tokens: 1e300, total_tokens: "x" } })) + chunk(done) + end),
  "stream long": async (s) => { s.write(streamHead); for (let i = 0; i < 4000 && !s.destroyed; i++) { if (!s.write(chunk(event({ pad: "p".repeat(60000) })))) await new Promise((go) => { s.once("drain", go); s.once("close", go); }); } s.write(chunk(last) + chunk(done) + end); },
  "stream slow": async (s) => { s.write(streamHead); for (let i = 0; i < 20 && !s.destroyed; i++) { s.write(chunk(event())); await sleep(25); } s.write(chunk(last) + chunk(done) + end); },
  echo: (s, request) => { const body = JSON.stringify({ error: { message: request, type: "x" } }); s.write(`HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`); },
  "echo 500": (s, request) => { const body = JSON.stringify({ error: { message: request, type: "x" } }); s.write(`HTTP/1.1 500 Bad\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`); },
};
export const evilNames = Object.keys(deeds);

// requests: what came, as text; each exactly one by its content-length, the rest is looked at as the next.
export function startEvil() {
  const requests = [];
  const server = net.createServer((socket) => {
    socket.setMaxListeners(0);
    let got = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (piece) => {
      got = Buffer.concat([got, piece]);
      for (;;) {
        const head = got.indexOf("\r\n\r\n");
        const length = head < 0 ? NaN : Number(/content-length: (\d+)/i.exec(got.subarray(0, head).toString("latin1"))?.[1] ?? 0);
        if (!(got.length >= head + 4 + length)) return;
        const text = got.subarray(0, head + 4 + length).toString("latin1");
        got = got.subarray(head + 4 + length);
        requests.push(text);
        const name = /evil ([a-z0-9 ]+)!/.exec(text)?.[1] ?? "ok";
        void deeds[name](socket, text);
      }
    });
  });
  return new Promise((go) => server.listen(0, "127.0.0.1", () => go({ url: `http://127.0.0.1:${server.address().port}`, requests })));
}

// ---- a client that writes bytes: {text, closed, socket} ----
export function dial(url) {
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  const line = { socket, text: "", closed: false };
  socket.on("error", () => {});
  socket.on("data", (piece) => {
    line.text += piece.toString("latin1");
    if (line.text.length > 4e6) line.text = line.text.slice(0, 1e5) + line.text.slice(-1e5);
  });
  socket.on("close", () => { line.closed = true; });
  line.until = async (wanted, ms = 5000) => {
    for (const late = Date.now() + ms; Date.now() < late; await sleep(5)) if (wanted(line)) return true;
    return false;
  };
  return line;
}
export const requestText = (key, body, more = "") => `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
