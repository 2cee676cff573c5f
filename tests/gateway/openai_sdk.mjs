// The official client of OpenAI (npm `openai`) against the doors: errors, retries, streams, usage, responses, embeddings.
// Environment: GATEWAY the address; UPSTREAM the scripted model server behind it (the same address: it is tried itself, and
// what only a gateway does is left out); KEYS {good, broke, limited, narrow} as JSON; MODEL, and MODEL_FAULTY on an upstream
// of its own, since one that fails too often is left alone for a while.
import OpenAI, { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, PermissionDeniedError, RateLimitError, UnprocessableEntityError } from "openai";
import assert from "node:assert/strict";
import zlib from "node:zlib";
import { setTimeout as sleep } from "node:timers/promises";
import { check, finish, newMark, refusal, soon, countedFetch } from "./check.mjs";

const { GATEWAY, UPSTREAM, MODEL = "scripted" } = process.env;
const keys = JSON.parse(process.env.KEYS ?? '{"good":"none"}');
const through = GATEWAY !== UPSTREAM;
const title = through ? "openai" : "openai, no gateway";
const test = (name, run) => check(`${title}: ${name}`, run);
const gatewayOnly = (name, run) => through && test(name, run);
const client = (key = keys.good, more = {}) => new OpenAI({ apiKey: key, baseURL: GATEWAY + "/v1", maxRetries: 0, ...more });
const openai = client();
const said = (text, more = {}) => ({ model: MODEL, messages: [{ role: "user", content: text }], ...more });
const chat = (text, more, from = openai) => from.chat.completions.create(said(text, more));
const log = () => fetch(UPSTREAM + "/_log").then((r) => r.json());
async function call(mark, wanted = () => true) {
  for (let i = 0; i < 100; i++) {
    const found = (await log()).find((entry) => entry.text.includes(mark));
    if (found && wanted(found)) return found;
    await sleep(20);
  }
  throw new Error("the model server did not see that call as it should");
}
async function streamed(text, more) {
  const chunks = [];
  for await (const chunk of await chat(text, { stream: true, ...more })) chunks.push(chunk);
  return { chunks, text: chunks.map((c) => c.choices[0]?.delta?.content ?? "").join(""), usage: chunks.filter((c) => c.usage) };
}
const five = "The quick brown fox jumps";
const raw = (body, headers = {}) => fetch(GATEWAY + "/v1/chat/completions", { method: "POST", body, headers: { authorization: "Bearer " + keys.good, "content-type": "application/json", ...headers } });
// What a call of the faulty model is refused with. Then its upstream is given calls that succeed, until it is trusted again.
const faulty = process.env.MODEL_FAULTY ?? MODEL;
async function failed(text, more = {}, from = openai) {
  const e = await refusal(more.stream ? streamed(text, { ...more, model: faulty }) : chat(text, { ...more, model: faulty }, from));
  for (let i = 0; through && i < 100 && !(await chat("say 1", { model: faulty }).catch(() => null)); i++) await sleep(100);
  return e;
}
async function isErrorBody(answer, status) {
  assert.equal(answer.status, status);
  const { error } = await answer.json();
  assert.equal(typeof error.message, "string");
  assert.equal(typeof error.type, "string");
}

// ---- answers ----
await test("a chat, its usage and a request id", async () => {
  const { data, request_id } = await chat("hello there; say 5; input 20; cached 8; reasoning 3").withResponse();
  assert.equal(data.choices[0].message.content, five);
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.usage.prompt_tokens, 20);
  assert.equal(data.usage.prompt_tokens_details.cached_tokens, 8);
  assert.equal(data.usage.completion_tokens_details.reasoning_tokens, 3);
  assert.ok(request_id);
  assert.equal(data._request_id, request_id);
});
await test("max_tokens cuts the answer; n gives as many", async () => {
  const cut = await chat("say 5", { max_tokens: 2 });
  assert.equal(cut.choices[0].finish_reason, "length");
  assert.equal(cut.usage.completion_tokens, 2);
  const three = await chat("say 2", { n: 3 });
  assert.equal(three.choices.length, 3);
});
await test("a tool call, whole and streamed", async () => {
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
  const whole = await chat("tool", { tools });
  assert.deepEqual(JSON.parse(whole.choices[0].message.tool_calls[0].function.arguments), { city: "Paris" });
  let text = "";
  for await (const chunk of await chat("tool", { tools, stream: true })) text += chunk.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? "";
  assert.deepEqual(JSON.parse(text), { city: "Paris" });
});
await test("completions, whole and streamed", async () => {
  const whole = await openai.completions.create({ model: MODEL, prompt: "say 5" });
  assert.equal(whole.choices[0].text, five);
  let text = "";
  for await (const chunk of await openai.completions.create({ model: MODEL, prompt: "say 5", stream: true })) text += chunk.choices[0]?.text ?? "";
  assert.equal(text, five);
});
await test("embeddings", async () => {
  const { data, usage } = await openai.embeddings.create({ model: process.env.MODEL_EMBEDDINGS ?? MODEL, input: ["one two", "three"] });
  assert.deepEqual(data.map((d) => d.embedding), [[0.25, -0.5, 0.125], [0.25, -0.5, 0.125]]);
  assert.equal(usage.prompt_tokens, 3);
});
await test("the list of models", async () => {
  const names = [];
  for await (const model of openai.models.list()) names.push(model.id);
  assert.ok(names.includes(MODEL), names.join(" "));
});
await test("responses, whole, streamed and cut", async () => {
  const whole = await openai.responses.create({ model: MODEL, input: "say 5" });
  assert.equal(whole.output_text, five);
  const events = [];
  for await (const event of await openai.responses.create({ model: MODEL, input: "say 5", stream: true })) events.push(event);
  assert.equal(events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta).join(""), five);
  assert.equal(events.at(-1).type, "response.completed");
  assert.equal(events.at(-1).response.usage.output_tokens, 5);
  const short = await openai.responses.create({ model: MODEL, input: "say 5", max_output_tokens: 2 });
  assert.equal(short.status, "incomplete");
});
await test("the service tier that served", async () => assert.equal((await chat("say 1; tier default")).service_tier, "default"));

// ---- streams ----
for (const [name, how] of [["plain", ""], ["CRLF", "; crlf"], ["no blank after data:", "; no-space"], ["comments", "; comments"], ["byte by byte", "; split 1"], ["in odd pieces", "; split 7; crlf"]])
  await test(`a stream: ${name}`, async () => {
    const { text, chunks } = await streamed("say 5" + how);
    assert.equal(text, five);
    assert.ok(chunks.some((c) => c.choices[0]?.finish_reason === "stop"));
  });
await test("a stream of characters of many bytes, cut within them", async () => assert.equal((await streamed("say 5; multi-byte; split 1")).text, "Zażółć gęślą 日本 🦊🦊 é\u0301"));
await test("usage in a last chunk of no choices when asked", async () => {
  const { usage, chunks } = await streamed("say 5; input 12", { stream_options: { include_usage: true } });
  assert.equal(usage.length, 1);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.deepEqual([usage[0].usage.prompt_tokens, usage[0].usage.completion_tokens], [12, 5]);
});
for (const mode of ["plain", "finish", "cumulative", "always"])
  await gatewayOnly(`no usage when not asked (the model server: ${mode})`, async () => {
    const mark = newMark();
    const { usage, text, chunks } = await streamed(`${mark}; say 5` + (mode === "plain" ? "" : `; usage ${mode}`));
    assert.equal(text, five);
    assert.equal(usage.length, 0);
    assert.ok(chunks.every((c) => c.choices.length > 0), "a chunk without choices");
    assert.equal((await call(mark)).body.stream_options.include_usage, true, "and yet it is asked for upstream");
  });
await test("a stream is not compressed", async () => {
  const answer = await raw(JSON.stringify(said("say 2", { stream: true })), { "accept-encoding": "gzip, deflate" });
  assert.equal(answer.headers.get("content-encoding"), null);
  assert.match(await answer.text(), /data: \[DONE\]\s*$/);
});
await test("after [DONE] the body ends at once", async () => {
  const answer = await raw(JSON.stringify(said("say 3", { stream: true })));
  let done = 0;
  for await (const piece of answer.body) if (Buffer.from(piece).includes("[DONE]")) done = performance.now();
  assert.ok(done > 0 && performance.now() - done < 50, `${performance.now() - done} ms later`);
});
await test("an error event in a stream is thrown", async () => assert.ok((await failed("say 5; error-event after 2", { stream: true })) instanceof APIError));
await gatewayOnly("a stream that is cut off ends with an error that says so", async () => assert.ok((await failed("say 5; fail cut after 2", { stream: true })) instanceof APIError));
await gatewayOnly("so does one that is reset", async () => assert.ok((await failed("say 5; fail reset after 2", { stream: true })) instanceof APIError));
await gatewayOnly("and one that ends without [DONE]", async () => assert.ok((await failed("say 5; no-done", { stream: true })) instanceof APIError));

// ---- leaving ----
async function leaves(how) {
  const mark = newMark();
  const stop = new AbortController();
  const running = how === "stream" ? await openai.chat.completions.create(said(`${mark}; say 500; delay 10 ms`, { stream: true }), { signal: stop.signal }) : null;
  const whole = running ? null : openai.chat.completions.create(said(`${mark}; say 500; delay 10 ms`), { signal: stop.signal }).catch(() => {});
  if (running) {
    let seen = 0;
    for await (const _ of running) if (++seen === 4) break;
  } else {
    await call(mark);
    await sleep(60);
  }
  const left = Date.now();
  stop.abort();
  await whole;
  const entry = await call(mark, (e) => e.aborted);
  assert.ok(entry.aborted, "the model server went on");
  assert.ok(entry.aborted.tokens < 100);
  return entry.aborted.at - left;
}
await test("who leaves a stream is gone for the model server within 100 ms", () => soon(() => leaves("stream")));
await test("so is who leaves a call that is not streamed", () => soon(() => leaves("whole")));

// ---- errors ----
const classes = { 400: BadRequestError, 422: UnprocessableEntityError, 429: RateLimitError, 500: InternalServerError, 503: InternalServerError };
for (const [status, type] of Object.entries(classes))
  await test(`the model server's ${status}`, async () => {
    const e = await failed(`fail ${status}; retry-after 0`);
    assert.ok(e instanceof type, e.constructor.name);
    assert.ok(e.message.length > 4 && typeof e.type === "string");
    assert.equal(typeof e.error.message, "string");
  });
await test("a stream that fails before its first byte has a real status", async () => assert.ok((await failed("fail 429; retry-after 0", { stream: true })) instanceof RateLimitError));
await gatewayOnly("HTML from the model server becomes an error of the right shape", async () => {
  const e = await failed("fail html");
  assert.ok(e.status >= 500 && !/<html/i.test(e.message) && typeof e.type === "string");
});
await gatewayOnly("a model server that hangs up before it answers", async () => assert.ok((await failed("fail reset")).status >= 500));
await test("500 is tried three times", async () => {
  const counted = countedFetch();
  await failed("fail 500", {}, client(keys.good, { maxRetries: 2, fetch: counted }));
  assert.equal(counted.hits, 3);
});
await test("400 is tried once", async () => {
  const counted = countedFetch();
  await failed("fail 400", {}, client(keys.good, { maxRetries: 2, fetch: counted }));
  assert.equal(counted.hits, 1);
});
await gatewayOnly("a wrong key is 401", async () => assert.ok((await refusal(chat("hello", {}, client("mh_wrong_key")))) instanceof AuthenticationError));
await gatewayOnly("an unknown model is 404", async () => {
  const e = await refusal(openai.chat.completions.create({ ...said("hello"), model: "no-such-model" }));
  assert.ok(e instanceof NotFoundError);
  assert.equal(e.code, "model_not_found");
});
await gatewayOnly("a model the key may not use is 403 or as if not there", async () => {
  const e = await refusal(chat("hello", {}, client(keys.narrow)));
  assert.ok(e instanceof PermissionDeniedError || e instanceof NotFoundError, e.constructor.name);
});
await gatewayOnly("out of credit is 402, readable, and tried once", async () => {
  const counted = countedFetch();
  const e = await refusal(chat("hello", {}, client(keys.broke, { maxRetries: 2, fetch: counted })));
  assert.equal(e.status, 402);
  assert.equal(e.headers.get("x-should-retry"), "false");
  assert.equal(typeof e.code, "string");
  assert.ok(e.requestID);
  assert.equal(counted.hits, 1);
});
await gatewayOnly("two requests a minute let two through; the third is told when", async () => {
  const limited = client(keys.limited);
  const { response } = await chat("say 1", {}, limited).withResponse();
  assert.equal(response.headers.get("x-ratelimit-limit-requests"), "2");
  assert.equal(response.headers.get("x-ratelimit-remaining-requests"), "1");
  assert.match(response.headers.get("x-ratelimit-reset-requests"), /^(\d+h)?(\d+m)?([\d.]+(ms|s))?$/);
  await chat("say 1", {}, limited);
  const e = await refusal(chat("say 1", {}, limited));
  assert.ok(e instanceof RateLimitError);
  assert.ok(Number(e.headers.get("retry-after")) >= 1);
});
await test("malformed JSON is 400 in the client's shape", async () => isErrorBody(await raw('{"model": '), 400));
await gatewayOnly("no messages, messages that are no list, and a body that is none are 400", async () => {
  for (const body of ["[]", "7", '{"messages":[]}', '{"model":7,"messages":[]}']) await isErrorBody(await raw(body), 400);
});
await gatewayOnly("a body that is too large is 413, also once unpacked", async () => {
  const large = JSON.stringify(said("x".repeat(17 << 20)));
  await isErrorBody(await raw(zlib.gzipSync(large), { "content-encoding": "gzip" }), 413);
});
await test("a gzip body is read", async () => {
  const mark = newMark();
  const answer = await raw(zlib.gzipSync(JSON.stringify(said(`${mark}; say 2`))), { "content-encoding": "gzip" });
  assert.equal(answer.status, 200);
  await answer.json();
  assert.equal((await call(mark)).body.messages.length, 1);
});
await gatewayOnly("the client's key does not reach the model server", async () => {
  const mark = newMark();
  await chat(mark);
  assert.ok(!JSON.stringify((await call(mark)).headers).includes(keys.good));
});
await gatewayOnly("what needs no change passes as it was written", async () => {
  const mark = newMark();
  const body = `{"model": "${MODEL}",  "x_extra": {"b": 1.50, "a": [1e2, "\\u00e9"]}, "max_tokens": 4, "messages": [{"role": "user", "content": "${mark}; say 1"}]}`;
  assert.equal((await raw(body)).status, 200);
  const { text } = await call(mark);
  assert.ok(text.includes('"x_extra": {"b": 1.50, "a": [1e2, "\\u00e9"]}'), text);
});
finish();
