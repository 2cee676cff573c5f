// A real model behind Meterhouse: the tokens it counted are the tokens that are charged, streamed or not; who leaves pays for
// what was generated, and the model stops. Environment: MH_BIN, MH_SHARED. Exits with 77 when there is no model.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { startModel, startHouse, catalogOf, money, costOf } from "./house.mjs";
import { check, finish, newMark } from "./check.mjs";

const model = await startModel().catch((e) => {
  console.log(e.code === 77 ? e.text.trim() : `not ok gateway, real model: ${e.message}`);
  process.exit(e.code === 77 ? 77 : 1);
});
const log = () => fetch(model.url + "/_log").then((r) => r.json());
const post = (url, path, body, key, signal) => fetch(url + path, { method: "POST", body: JSON.stringify(body), signal, headers: { authorization: "Bearer " + key, "content-type": "application/json" } });
const chat = (text, more) => ({ model: "stories", messages: [{ role: "user", content: text }], ...more });
const eventsOf = (text) => [...text.matchAll(/^data: ?(\{.*\})$/gm)].map(([, json]) => JSON.parse(json));

await check("real model: it stops at max_tokens and counts what it made", async () => {
  const answer = await (await post(model.url, "/v1/chat/completions", chat("Once upon a time", { max_tokens: 9 }))).json();
  assert.equal(answer.usage.completion_tokens, 9);
  assert.equal(answer.choices[0].finish_reason, "length");
  assert.ok(answer.usage.prompt_tokens > 0);
});
await check("real model: a caller who leaves stops it", async () => {
  const stop = new AbortController(), mark = newMark();
  const answer = await post(model.url, "/v1/completions", { prompt: `Once ${mark}`, max_tokens: 250, stream: true }, "", stop.signal);
  await answer.body.getReader().read();
  stop.abort();
  await sleep(500);
  const entry = (await log()).find((e) => e.text.includes(mark));
  assert.ok(entry.aborted && entry.tokens < 250, JSON.stringify(entry));
});

const house = await startHouse(catalogOf({ upstreams: [{ name: "cpu", url: model.url }], models: { stories: "upstream: cpu" }, customers: { acme: "", leaver: "" } }));
const keys = {};
for (const name of ["acme", "leaver"]) {
  keys[name] = await house.key(name);
  await house.credit(name, "1000");
}
async function chargedTo(customer) {
  const { data } = await house.api("GET", `/api/v1/usage?customer=${customer}&group_by=customer,meter&from=2026-01-01&to=2099-01-01`);
  return Object.fromEntries(data.map((row) => [row.meter, Number(row.quantity)]));
}
await check("real model: twelve calls at once are charged by its own count", async () => {
  const before = (await log()).length;
  const told = await Promise.all(Array.from({ length: 12 }, async (_, i) => {
    const stream = i % 2 === 0, words = "There was a little fox who liked to run".split(" ").slice(0, 2 + (i % 6)).join(" ");
    const answer = await post(house.url, "/v1/chat/completions", chat(words, { max_tokens: 3 + i, stream, ...(stream && { stream_options: { include_usage: true } }) }), keys.acme);
    assert.equal(answer.status, 200);
    const text = await answer.text();
    return stream ? eventsOf(text).findLast((e) => e.usage).usage : JSON.parse(text).usage;
  }));
  const charged = await chargedTo("acme"), made = (await log()).slice(before).reduce((sum, entry) => sum + entry.tokens, 0);
  const sum = (name) => told.reduce((total, usage) => total + usage[name], 0);
  assert.equal(charged.output, sum("completion_tokens"));
  assert.equal(charged.output, made);
  assert.equal(charged.input, sum("prompt_tokens"));
  assert.equal(money((await house.balance("acme")).unbilled), costOf({ input: charged.input, output: charged.output }));
});
await check("real model: who leaves pays for what was generated, and it stops", async () => {
  const stop = new AbortController(), mark = newMark();
  const answer = await post(house.url, "/v1/chat/completions", chat(`Once ${mark}`, { max_tokens: 200, stream: true }), keys.leaver, stop.signal);
  const reader = answer.body.getReader();
  for (let i = 0; i < 3; i++) await reader.read();
  stop.abort();
  await sleep(500);
  const entry = (await log()).find((e) => e.text.includes(mark)), { output } = await chargedTo("leaver");
  assert.ok(entry.aborted && entry.tokens < 200, JSON.stringify(entry));
  assert.ok(output >= 1 && output <= Math.max(entry.tokens, Math.ceil(entry.text_bytes / 4)), `${output} charged, ${entry.tokens} generated`);
});
await house.stop();
await model.stop();
finish();
