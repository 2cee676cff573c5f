// Money under load: a thousand calls at once against a balance that covers a hundred; then a Meterhouse that is killed amid
// calls and started again. Random moments, clients that leave, model servers that fail. Then the sums: what was served is
// paid, once, at its price; nothing is overdrawn; balance, journal and preview of the invoice agree.
// Environment: MH_BIN; SEED (printed), CALLS (1000).
import http from "node:http";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { startUpstream, startHouse, catalogOf, money, prices, costOf } from "./house.mjs";
import { check, finish } from "./check.mjs";

const seed = Number(process.env.SEED ?? Date.now() % 1000000), calls = Number(process.env.CALLS ?? 1000);
console.log(`gateway money: SEED=${seed} CALLS=${calls}`);
let state = seed;
const random = (below) => { // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
};

// ---- one call: {status, whole, usage}; status 0: the connection broke ----
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
function once(url, key, order) {
  const body = JSON.stringify({ model: order.model, ...(order.limits ?? { max_tokens: order.say }), stream: order.stream, ...(order.stream && { stream_options: { include_usage: true } }), messages: [{ role: "user", content: order.prompt }] });
  return new Promise((done) => {
    const request = http.request(url + "/v1/chat/completions", { method: "POST", agent, headers: { authorization: "Bearer " + key, "content-type": "application/json", "content-length": Buffer.byteLength(body) } });
    if (order.leaveAfter) setTimeout(() => request.destroy(), order.leaveAfter);
    request.setTimeout(20000, () => request.destroy());
    request.on("error", () => done({ status: 0 }));
    request.on("response", (response) => {
      let text = "";
      response.on("data", (piece) => { text += piece; });
      response.on("error", () => {});
      response.on("close", () => {
        const whole = response.complete && response.statusCode === 200 && !/"error"/.test(text) && (!order.stream || text.includes("[DONE]"));
        done({ status: response.statusCode, headers: response.headers, whole, text });
      });
    });
    request.end(body);
  });
}
// Comes again when it is told that running calls will free credit.
async function persistent(url, key, order, until) {
  for (;;) {
    const answer = await once(url(), key, order);
    const again = [402, 429, 503].includes(answer.status) && answer.headers["retry-after"] !== undefined;
    if (!again || Date.now() > until) return answer;
    await sleep(50 + random(200));
  }
}

// A call's answer costs what 100 tokens in and 4 out do; the body is about as long as the input is said to be.
const input = 100, say = 4;
const costOfCall = costOf({ input, output: say });
function orderOf(name, number, troubled) {
  const order = { model: "good", say, stream: random(2) === 1, prompt: `${name}-${number}; say ${say}; input ${input}; delay ${random(8)} ms; first ${random(30)} ms` };
  const kind = troubled ? random(10) : 9;
  if (kind < 2) order.leaveAfter = 1 + random(60);
  else if (kind < 4) {
    order.model = "faulty";
    order.prompt += `; fail ${["500", "reset", "cut after 2", "reset after 1", "503"][random(5)]}; retry-after 0`;
  }
  return order;
}
async function swarm(house, key, name, count, seconds, troubled = true) {
  const until = Date.now() + seconds * 1000;
  return Promise.all(Array.from({ length: count }, async (_, i) => {
    const order = orderOf(name, i, troubled);
    await sleep(random(100));
    return { order, ...(await persistent(() => house.url, key, order, until)) };
  }));
}

// ---- what the books say ----
async function usageOf(house, customer) {
  const { data } = await house.api("GET", `/api/v1/usage?customer=${customer}&group_by=customer,meter&from=2026-01-01&to=2099-01-01`);
  const counts = Object.fromEntries(Object.keys(prices).map((kind) => [kind, 0]));
  let events = 0;
  for (const row of data) {
    counts[row.meter] = Number(row.quantity);
    events = Math.max(events, row.events);
  }
  return { counts, events, cost: costOf(counts) };
}
// As many tokens as a call can be charged for: those generated, or by the estimate a quarter of their bytes.
const generated = (entries) => entries.reduce((sum, entry) => sum + Math.max(entry.tokens, Math.ceil(entry.text_bytes / 4)), 0);
async function quiet(house, customer) {
  let balance;
  for (let i = 0; i < 100; i++) {
    balance = await house.balance(customer);
    if (money(balance.held) === 0n) return balance;
    await sleep(100);
  }
  throw new Error("holds that nobody ends: " + balance.held);
}
// All that must agree when nothing runs. `given` was prepaid.
async function agree(house, customer, given) {
  const balance = await quiet(house, customer), { cost } = await usageOf(house, customer);
  assert.ok(money(balance.available) >= 0n, "available is " + balance.available);
  assert.equal(money(balance.unbilled), cost, "unbilled is what the journal's usage costs");
  assert.equal(money(balance.available) + money(balance.unbilled), money(given), "available and unbilled are what was paid in");
  const preview = await house.api("GET", `/api/v1/invoices/preview?customer=${customer}&period=${new Date().toISOString().slice(0, 7)}`);
  assert.equal(preview.lines.reduce((sum, line) => sum + money(line.exact), 0n), cost, "the next invoice has the same");
}
function tally(answers) {
  const by = {};
  for (const a of answers) by[a.whole ? "served" : a.status] = (by[a.whole ? "served" : a.status] ?? 0) + 1;
  return JSON.stringify(by);
}

const upstream = await startUpstream();
const customers = Object.fromEntries(["plain", "rough", "killed", "shared", "unbounded", "sly"].map((name) => [name, ""]));
const house = await startHouse(catalogOf({
  upstreams: [{ name: "good", url: upstream.url }, { name: "faulty", url: upstream.url }],
  models: { good: "upstream: good", faulty: "upstream: faulty" },
  customers,
}));
const keys = {};
for (const name of Object.keys(customers)) keys[name] = await house.key(name);
const hundred = "10.8";
assert.equal(money(hundred), 100n * costOfCall);

// ---- a balance for a hundred ----
for (const [name, troubled] of [["plain", false], ["rough", true]]) {
  await house.credit(name, hundred);
  await upstream.forget();
  const answers = await swarm(house, keys[name], name, calls, 40, troubled);
  const served = answers.filter((a) => a.whole);
  await check(`gateway money, ${name}: a balance of a hundred calls (${tally(answers)})`, async () => {
    await agree(house, name, hundred);
    assert.ok(served.length <= 100, `${served.length} were served`);
    if (!troubled) assert.ok(served.length >= 95, `only ${served.length} were served`);
  });
  await check(`gateway money, ${name}: what was served is in the journal, nothing twice`, async () => {
    const { counts, events } = await usageOf(house, name), seen = (await upstream.log()).filter((entry) => entry.text.includes(name + "-"));
    assert.ok(counts.output >= served.length * say && counts.input >= served.length * input, JSON.stringify(counts));
    assert.ok(events >= served.length && events <= seen.length, `${served.length} served, ${events} events, ${seen.length} forwarded`);
    if (!troubled) assert.deepEqual([events, counts.output, counts.input], [served.length, served.length * say, served.length * input]);
    assert.ok(counts.output <= generated(seen), "no more than was generated");
  });
  await check(`gateway money, ${name}: refused for want of credit and for nothing else`, async () => {
    const refused = answers.filter((a) => a.status !== 200 && a.order.model === "good" && !a.order.leaveAfter);
    assert.deepEqual([...new Set(refused.map((a) => a.status))], [402]);
    assert.ok(refused.every((a) => a.headers["x-should-retry"] !== undefined));
  });
}

// ---- never more than there is is refused: one large balance, calls one after the other ----
await check("gateway money: a customer with credit is not refused", async () => {
  await house.credit("shared", "25");
  for (let i = 0; i < 20; i++) assert.equal((await once(house.url, keys.shared, orderOf("shared", i, false))).status, 200);
  await agree(house, "shared", "25");
});

await check("gateway money: nor is one whose calls name no max_tokens", async () => {
  await house.credit("unbounded", "25");
  for (let i = 0; i < 5; i++) assert.equal((await once(house.url, keys.unbounded, { ...orderOf("unbounded", i, false), limits: {} })).status, 200);
  await agree(house, "unbounded", "25");
});
await check("gateway money: the larger of two limits is what is held, and no answer outruns the balance", async () => {
  await house.credit("sly", "1");
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
    once(house.url, keys.sly, { model: "good", stream: i % 2 === 1, limits: { max_tokens: 1, max_completion_tokens: 10000 }, prompt: `sly-${i}; say 5000; input 10` })));
  assert.ok(answers.every((a) => [200, 402].includes(a.status)), tally(answers));
  await agree(house, "sly", "1");
});

// ---- killed amid calls, three times ----
const large = "1000";
await house.credit("killed", large);
await upstream.forget();
let served = 0;
for (let round = 0; round < 3; round++) {
  const running = swarm(house, keys.killed, "killed" + round, 200, 1);
  await sleep(100 + random(200));
  await house.stop("SIGKILL");
  served += (await running).filter((a) => a.whole).length;
  await house.again();
  await check(`gateway money: killed amid calls, round ${round + 1} (${served} served so far)`, async () => {
    await agree(house, "killed", large);
    const { counts, events } = await usageOf(house, "killed"), seen = await upstream.log();
    assert.ok(events >= served && counts.output >= served * say, `${served} served, ${events} events, ${counts.output} tokens`);
    assert.ok(events <= seen.length && counts.output <= generated(seen), "no more than was forwarded");
    assert.equal((await once(house.url, keys.killed, orderOf("killed", 0, false))).status, 200);
    served++;
  });
}
await check("gateway money: it stops in good order and its books check clean", async () => {
  assert.equal((await house.stop()).code, 0);
  execFileSync(process.env.MH_BIN, ["check", "--data", house.book], { encoding: "utf8" });
});
await upstream.stop();
finish();
