// A client that hangs up at every possible byte of a stream: it is charged for what was generated, and the model server
// knows within 100 ms. A customer for each byte, so that each call's charge can be told apart.
// Environment: MH_BIN; STEP (1): every so many bytes.
import net from "node:net";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { startUpstream, startHouse, catalogOf } from "./house.mjs";
import { check, finish } from "./check.mjs";

const tokens = 8, step = Number(process.env.STEP ?? 1), together = 8, customersMax = 4000;
const estimate = (bytes) => Math.ceil(bytes / 4);
// What a client that got this much of a stream has for sure: tokens, or by the estimate a quarter of their bytes.
function received(text) {
  const pieces = [...text.matchAll(/"content":"([^"\r\n]+)"/g)].map(([, piece]) => piece);
  return Math.min(pieces.length, estimate(pieces.join("").length));
}

const upstream = await startUpstream();
const name = (at) => `c${at}`;
const house = await startHouse(catalogOf({
  upstreams: [{ name: "good", url: upstream.url }],
  models: { good: "upstream: good" },
  customers: Object.fromEntries(Array.from({ length: customersMax }, (_, at) => [name(at), ", credit_line: unlimited"])),
}));

// Reads until `most` bytes are there, then hangs up; the end of the answer otherwise. {text, left}: left is when.
const port = Number(new URL(house.url).port);
function readUntil(key, prompt, most) {
  const body = JSON.stringify({ model: "good", stream: true, max_tokens: tokens, messages: [{ role: "user", content: prompt }] });
  return new Promise((done, fail) => {
    const socket = net.connect(port, "127.0.0.1");
    let got = Buffer.alloc(0), left = null;
    const end = () => { left = Date.now(); socket.destroy(); };
    socket.on("connect", () => {
      socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => most === 0 && end());
    });
    socket.on("data", (piece) => {
      got = Buffer.concat([got, piece]);
      if (got.length >= most || got.subarray(-7).equals(Buffer.from("\r\n0\r\n\r\n"))) end();
    });
    socket.on("error", fail);
    socket.on("close", () => done({ text: got.subarray(0, most).toString("latin1"), whole: got.includes("[DONE]"), length: got.length, left }));
  });
}
const prompt = (at) => `call-${at}-; say ${tokens}; input 50; delay 4 ms; split 40`;

const recorded = await readUntil(await house.key(name(customersMax - 1)), prompt("whole"), Infinity);
await check(`gateway hangup: the stream is recorded (${recorded.length} bytes)`, async () => assert.ok(recorded.whole && recorded.length < customersMax - 1));
const places = Array.from({ length: Math.ceil((recorded.length + 1) / step) }, (_, i) => i * step);
const seen = new Map();
const queue = [...places];
await Promise.all(Array.from({ length: together }, async () => {
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) seen.set(at, await readUntil(await house.key(name(at)), prompt(at), at));
}));
await sleep(300);

const log = new Map((await upstream.log()).map((entry) => [/call-(\w+)-/.exec(entry.text)?.[1], entry]));
const charged = new Map();
for (let cursor = ""; cursor !== null; ) {
  const page = await house.api("GET", `/api/v1/usage?group_by=customer,meter&meter=output&from=2026-01-01&to=2099-01-01${cursor && "&cursor=" + encodeURIComponent(cursor)}`);
  for (const row of page.data) charged.set(row.customer, { output: Number(row.quantity), events: row.events });
  cursor = page.next_cursor;
}
const faults = (judge) => places.map((at) => [at, judge(at, seen.get(at), log.get(String(at)), charged.get(name(at)))]).filter(([, why]) => why).slice(0, 5);

await check("gateway hangup: at every byte what the client had got is charged", async () => {
  assert.deepEqual(faults((at, client, model, charge) => {
    const least = client.whole ? tokens : received(client.text);
    return (charge?.output ?? 0) < least && `${charge?.output ?? 0} tokens charged, ${least} received`;
  }), []);
});
await check("gateway hangup: and no more than was generated", async () => {
  assert.deepEqual(faults((at, client, model, charge) => {
    const by = model?.aborted ?? model ?? { tokens: 0, text_bytes: 0 };
    const most = client.whole ? tokens : Math.max(by.tokens, estimate(by.text_bytes));
    return (charge?.output ?? 0) > most && `${charge.output} tokens charged, at most ${most} generated`;
  }), []);
});
await check("gateway hangup: each call is settled once; or not at all when nothing was generated", async () => {
  assert.deepEqual(faults((at, client, model, charge) => {
    const events = charge?.events ?? 0;
    return (events > 1 || (events === 0 && model?.tokens > 0)) && `${events} events, ${model?.tokens} tokens`;
  }), []);
});
const took = places.map((at) => [log.get(String(at))?.aborted, seen.get(at)]).filter(([aborted]) => aborted).map(([aborted, client]) => aborted.at - client.left).sort((a, b) => a - b);
const share = (part) => took[Math.floor((took.length - 1) * part)];
// The machine may be busy with something else for a moment: all but one in twenty.
await check(`gateway hangup: the model server knows within 100 ms (median ${share(0.5)} ms, 95 % ${share(0.95)} ms, all ${share(1)} ms)`, async () => {
  assert.ok(took.length > places.length / 2, "most were cut short");
  assert.ok(share(0.95) <= 100 && share(1) <= 2000);
});
await check("gateway hangup: it stops in good order", async () => assert.equal((await house.stop()).code, 0));
finish();
