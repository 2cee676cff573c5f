// The official client of Anthropic (npm `@anthropic-ai/sdk`) against /v1/messages, in front of model servers of either shape.
// Environment: GATEWAY, UPSTREAM, KEYS as for openai_sdk.mjs; MODEL and MODEL_FAULTY are served by an OpenAI-shaped server,
// MODEL_ANTHROPIC by an Anthropic-shaped one (UPSTREAM_ANTHROPIC).
import Anthropic, { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { check, finish, newMark, refusal, soon, countedFetch } from "./check.mjs";

const { GATEWAY, UPSTREAM, MODEL = "scripted" } = process.env;
const keys = JSON.parse(process.env.KEYS ?? '{"good":"none"}');
const through = GATEWAY !== UPSTREAM;
const client = (key = keys.good, more = {}) => new Anthropic({ apiKey: key, baseURL: GATEWAY, maxRetries: 0, ...more });
const anthropic = client();
const five = "The quick brown fox jumps";
const weather = { name: "weather", description: "tells it", input_schema: { type: "object", properties: { city: { type: "string" } } } };

function suite({ shape, model, upstream }) {
  const title = through ? `anthropic, to ${shape}` : "anthropic, no gateway";
  const test = (name, run) => check(`${title}: ${name}`, run);
  const body = (text, more) => ({ model, max_tokens: 64, messages: [{ role: "user", content: text }], ...more });
  const message = (text, more, from = anthropic) => from.messages.create(body(text, more));
  async function call(mark, wanted = () => true) {
    for (let i = 0; i < 100; i++) {
      const found = (await (await fetch(upstream + "/_log")).json()).find((entry) => entry.text.includes(mark));
      if (found && wanted(found)) return found;
      await sleep(20);
    }
    throw new Error("the model server did not see that call as it should");
  }
  return { test, body, message, call };
}

async function answers({ test, body, message, call }, shape) {
  await test("a message, its usage and a request id", async () => {
    const m = await message("hello; say 5; input 20; cached 8");
    assert.equal(m.content[0].text, five);
    assert.equal(m.role, "assistant");
    assert.equal(m.stop_reason, "end_turn");
    assert.deepEqual([m.usage.input_tokens, m.usage.cache_read_input_tokens, m.usage.output_tokens], [12, 8, 5]);
    assert.ok(m._request_id || !through);
  });
  await test("max_tokens stops it", async () => assert.equal((await message("say 5", { max_tokens: 2 })).stop_reason, "max_tokens"));
  await test("a stream, its events in order", async () => {
    const types = [];
    const stream = anthropic.messages.stream(body("say 5; input 20; cached 8"));
    stream.on("streamEvent", (event) => types.push(event.type));
    const m = await stream.finalMessage();
    assert.equal(m.content[0].text, five);
    assert.equal(m.stop_reason, "end_turn");
    assert.equal(m.usage.output_tokens, 5);
    const once = types.filter((t, i) => t !== "ping" && t !== types[i - 1]);
    assert.deepEqual(once, ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]);
  });
  for (const how of ["crlf", "split 1", "split 7; multi-byte", "usage cumulative", "usage null", "no-space; comments"])
    await test(`a stream: ${how}`, async () => {
      const m = await anthropic.messages.stream(body("say 5; " + how)).finalMessage();
      assert.equal(m.content[0].text, how.includes("multi-byte") ? "Zażółć gęślą 日本 🦊🦊 é\u0301" : five);
    });
  await test("a tool is used, whole and streamed", async () => {
    const whole = await message("tool", { tools: [weather] });
    const use = whole.content.find((part) => part.type === "tool_use");
    assert.equal(whole.stop_reason, "tool_use");
    assert.deepEqual([use.name, use.input], ["weather", { city: "Paris" }]);
    const m = await anthropic.messages.stream(body("tool", { tools: [weather] })).finalMessage();
    const streamed = m.content.find((part) => part.type === "tool_use");
    assert.deepEqual([streamed.name, streamed.input, m.stop_reason], ["weather", { city: "Paris" }, "tool_use"]);
  });
  await test("system, tool results and stop sequences reach the model", async () => {
    const mark = newMark();
    const messages = [
      { role: "user", content: [{ type: "text", text: "what is it like in Paris?" }] },
      { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Paris" } }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "rain" }, { type: "text", text: `${mark}; say 3` }] },
    ];
    const m = await message("", { system: "You are brief.", messages, tools: [weather], stop_sequences: ["END"] });
    assert.equal(m.content[0].text, "The quick brown");
    const seen = (await call(mark)).body;
    if (shape !== "OpenAI") return assert.equal(seen.system, "You are brief.");
    assert.deepEqual(seen.messages[0], { role: "system", content: "You are brief." });
    assert.ok(seen.messages.some((m) => m.role === "tool" && m.tool_call_id === "toolu_1" && JSON.stringify(m.content).includes("rain")), JSON.stringify(seen.messages));
    assert.equal(seen.tools[0].function.name, "weather");
    assert.deepEqual(seen.stop, ["END"]);
  });
  await test("who leaves a stream is gone for the model server within 100 ms", () => soon(async () => {
    const mark = newMark();
    const stream = await anthropic.messages.create(body(`${mark}; say 500; delay 10 ms`, { stream: true, max_tokens: 1000 }));
    let seen = 0;
    for await (const event of stream) if (event.type === "content_block_delta" && ++seen === 4) break;
    const left = Date.now();
    stream.controller.abort();
    const entry = await call(mark, (e) => e.aborted);
    return entry.aborted.at - left;
  }));
}

async function refusals({ test, body, message }, faulty) {
  const heal = async () => { for (let i = 0; through && i < 100 && !(await message("say 1", { model: faulty }).catch(() => null)); i++) await sleep(100); };
  const failed = async (promise) => { const e = await refusal(promise); await heal(); return e; };
  for (const [status, type] of Object.entries({ 400: BadRequestError, 429: RateLimitError, 500: InternalServerError }))
    await test(`the model server's ${status}`, async () => {
      const e = await failed(message(`fail ${status}; retry-after 0`, { model: faulty }));
      assert.ok(e instanceof type, e.constructor.name);
      assert.equal(e.error.type, "error");
      assert.equal(typeof e.error.error.type, "string");
      assert.equal(typeof e.error.error.message, "string");
    });
  await test("an error inside a stream is thrown", async () => {
    const e = await failed(anthropic.messages.stream(body("say 5; error-event after 2", { model: faulty })).finalMessage());
    assert.ok(e instanceof APIError || /broke/.test(e.message), e.message);
  });
  if (!through) return;
  await test("a stream that is cut off ends with an error", async () => assert.ok(await failed(anthropic.messages.stream(body("say 5; fail cut after 2", { model: faulty })).finalMessage())));
  await test("a wrong key is 401 with a request id", async () => {
    const e = await refusal(message("hello", {}, client("mh_wrong_key")));
    assert.ok(e instanceof AuthenticationError);
    assert.equal(e.error.error.type, "authentication_error");
    assert.ok(e.requestID);
  });
  await test("an unknown model is 404", async () => assert.ok((await refusal(message("hello", { model: "no-such-model" }))) instanceof NotFoundError));
  await test("out of credit is 402, and tried once", async () => {
    const counted = countedFetch();
    const e = await refusal(message("hello", {}, client(keys.broke, { maxRetries: 2, fetch: counted })));
    assert.equal(e.status, 402);
    assert.equal(counted.hits, 1);
  });
}

const openaiShaped = suite({ shape: "OpenAI", model: MODEL, upstream: UPSTREAM });
await answers(openaiShaped, through ? "OpenAI" : "Anthropic");
await refusals(openaiShaped, process.env.MODEL_FAULTY ?? MODEL);
if (process.env.MODEL_ANTHROPIC) await answers(suite({ shape: "Anthropic", model: process.env.MODEL_ANTHROPIC, upstream: process.env.UPSTREAM_ANTHROPIC }), "Anthropic");
finish();
