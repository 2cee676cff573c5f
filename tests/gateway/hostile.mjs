// Users and model servers that mean harm: broken and endless answers, bytes that no client library would send, keys that
// must not leak. The gateway stays up, its memory stays bounded, nobody is charged for what failed, the books check clean.
// Environment: MH_BIN; ONLY: evil deeds whose names have this in them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { startHouse, catalogOf, money } from "./house.mjs";
import { startEvil, evilNames, dial, requestText } from "./evil.mjs";
import { check, finish } from "./check.mjs";

const secret = "sk-upstream-very-secret-1234567890";
process.env.EVIL_KEY = secret;
const evil = await startEvil();
const house = await startHouse(catalogOf({
  upstreams: [{ name: "evil", url: evil.url, more: ", key_env: EVIL_KEY, timeout: 3 s" }, { name: "evil-a", url: evil.url, shape: "anthropic", more: ", key_env: EVIL_KEY, timeout: 3 s" }],
  models: { good: "upstream: evil", claude: "upstream: evil-a" },
  customers: { acme: "", other: "" },
}));
const key = await house.key("acme");
await house.credit("acme", "100000");
const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${house.pid}/status`, "utf8"))[1]) * 1024;
const bodyOf = (deed, more = {}) => JSON.stringify({ model: "good", max_tokens: 1000, stream: deed.startsWith("stream"), messages: [{ role: "user", content: `evil ${deed}!` }], ...more });
const unbilled = async () => money((await house.balance("acme")).unbilled);
const isUp = async () => {
  let line;
  for (let i = 0; i < 100; i++) {
    line = dial(house.url);
    line.socket.write(requestText(key, bodyOf("ok")));
    await line.until((l) => /\}\s*$/.test(l.text));
    line.socket.destroy();
    if (!line.text.includes("upstream_unavailable")) break;
    await sleep(100); // so many failures open the circuit for a while
  }
  assert.ok(line.text.includes('"content":"hi"'), "a good call is answered: " + line.text);
};
// What is freed stays in a quarantine where addresses are watched.
const watched = /lib[at]san/.test(readFileSync(`/proc/${house.pid}/maps`, "utf8"));
const room = (watched ? 600 : 64) * 2 ** 20;

// ---- model servers ----
const charged = new Set(["ok", "second answer", "odd type", "late blanks", "stream ok", "stream never ends", "stream silent end", "stream bad utf8", "stream odd finish", "stream long finish", "stream huge usage", "stream wild usage", "stream long", "stream slow"]);
const endless = (deed) => /endless|huge chunk|bad words/.test(deed);
for (const deed of evilNames.filter((name) => name.includes(process.env.ONLY ?? ""))) {
  await check(`gateway hostile: a model server, ${deed}`, async () => {
    const before = await unbilled(), bytes = memory(), line = dial(house.url);
    let most = 0;
    line.socket.write(requestText(key, bodyOf(deed), "connection: close\r\n"));
    const ended = await line.until((l) => { most = Math.max(most, memory()); return l.closed; }, endless(deed) ? 2500 : 9000);
    assert.ok(ended || endless(deed), "it does not end: " + line.text.slice(-300));
    assert.ok(most - bytes < room, `it takes ${(most - bytes) >> 20} MiB`);
    line.socket.destroy();
    await sleep(60);
    await isUp();
    const cost = (await unbilled()) - before - money("0.014");
    if (!endless(deed)) assert.equal(cost > 0n, charged.has(deed), `it costs ${cost} ${line.text.slice(0, 300)} ... ${line.text.slice(-300)}`);
    assert.ok(!line.text.includes(secret), "the upstream's key leaks");
  });
}

// The same by other ways in: turned into another shape on the way, and as if it were the other shape.
const fair = (deed) => !endless(deed) && deed !== "stream long";
for (const [way, path, model] of [["turned", "messages", "good"], ["of the other shape", "messages", "claude"], ["of responses", "responses", "good"], ["of embeddings", "embeddings", "good"]]) {
  await check(`gateway hostile: model servers ${way}`, async () => {
    await Promise.all(evilNames.filter((name) => fair(name) && (model === "good" || name !== "stream never ends")).map(async (deed) => {
      const line = dial(house.url), body = bodyOf(deed, { model, ...(path === "messages" ? {} : { input: `evil ${deed}!` }) });
      line.socket.write(requestText(key, body, "connection: close\r\n").replace("chat/completions", path));
      assert.ok(await line.until((l) => l.closed, 12000), `${deed} does not end: ${line.text.slice(0, 300)}`);
      assert.ok(!line.text.includes(secret), deed);
    }));
    await isUp();
  });
}

// ---- what reaches the model server ----
const send = async (text) => {
  const line = dial(house.url), from = evil.requests.length;
  line.socket.write(Buffer.from(text, "latin1"));
  await line.until((l) => l.closed || /\r\n\r\n.*[}\n]/s.test(l.text), 3000);
  await sleep(30);
  line.socket.destroy();
  return { text: line.text, seen: evil.requests.slice(from).join("") };
};
const claude = JSON.stringify({ model: "claude", max_tokens: 5, messages: [{ role: "user", content: "evil ok!" }] });
const messages = (more, body = claude) => requestText(key, body, more).replace("/v1/chat/completions", "/v1/messages");
for (const [what, more] of [
  ["a bare CR in anthropic-beta", "anthropic-beta: a\rx-evil: 1\r\n"],
  ["a bare CR in anthropic-version", "anthropic-version: 2023\rx-evil: 1\r\n"],
  ["a folded line", "anthropic-beta: a\r\n x-evil: 1\r\n"],
  ["control characters", "anthropic-beta: a\x01\x7f\x1bx-evil: 1\r\n"],
  ["bytes beyond ASCII", "anthropic-beta: a\xff\xfex-evil: 1\r\n"],
]) {
  await check(`gateway hostile: ${what} does not reach the model server`, async () => {
    const { seen, text } = await send(messages(more));
    const head = seen.split("\r\n\r\n")[0].split("\r\n");
    assert.ok(head.every((line) => /^[\x20-\x7e]*$/.test(line)), JSON.stringify(head));
    assert.ok(!head.some((line) => /^\s*x-evil/.test(line)), JSON.stringify(head));
    assert.match(text, /^HTTP\/1\.1 (200|400)/);
  });
}
await check("gateway hostile: a long anthropic-beta is refused, or arrives with the key beside it", async () => {
  const { seen, text } = await send(messages(`anthropic-beta: ${"b".repeat(4060)}\r\n`));
  assert.ok(/^HTTP\/1\.1 400/.test(text) || seen.includes(secret), text);
});
for (const [what, body] of [
  ["a model with a line break", '{"model":"good\\r\\nx-evil: 1","messages":[{"role":"user","content":"x"}]}'],
  ["a session with a line break", '{"model":"good","max_tokens":5,"user":"a\\r\\nx-evil: 1","messages":[{"role":"user","content":"evil ok!"}]}'],
]) {
  await check(`gateway hostile: ${what} stays in the body`, async () => {
    const { seen } = await send(requestText(key, body));
    assert.ok(!/\r\nx-evil/.test(seen), seen);
  });
}
const refusedBodies = {
  "two models": '{"model":"good","model":"claude","messages":[]}',
  "a model with an escaped name": '{"m\\u006fdel":"good","messages":[]}',
  "a model in capitals": '{"Model":"x","model":"good","messages":[]}',
  "two max_tokens": '{"model":"good","max_tokens":1,"max_tokens":9999,"messages":[]}',
  "invalid UTF-8": '{"model":"good","messages":[{"role":"user","content":"\xff\xfe"}]}',
  "a lone surrogate": '{"model":"good","messages":[{"role":"user","content":"\\ud800"}]}',
  "nesting without end": '{"model":"good","messages":' + "[".repeat(100000),
  "a second JSON text": '{"model":"good","messages":[]}{"model":"claude"}',
  "no JSON": "model=good",
  "n beyond all": '{"model":"good","n":1000000,"messages":[]}',
};
for (const [what, body] of Object.entries(refusedBodies)) {
  await check(`gateway hostile: ${what} is refused with 400`, async () => {
    const head = requestText(key, "", "").replace("content-length: 0", `content-length: ${body.length}`);
    const { seen, text } = await send(head + body);
    assert.match(text, /^HTTP\/1\.1 400/);
    assert.equal(seen, "");
  });
}
await check("gateway hostile: as many tokens, choices and prompts as can be asked for", async () => {
  const body = JSON.stringify({ model: "good", max_tokens: 1e12, n: 128, prompt: Array(1000000).fill("") });
  const line = dial(house.url);
  line.socket.write(requestText(key, body).replace("chat/completions", "completions"));
  assert.ok(await line.until((l) => /^HTTP\/1\.1 (400|402)/.test(l.text), 8000), line.text.slice(0, 300));
  await isUp();
});

// ---- clients ----
const good = () => requestText(key, bodyOf("ok"));
const count = (text, what) => text.split(what).length - 1;
await check("gateway hostile: requests behind a stream are answered after it, in order", async () => {
  const line = dial(house.url);
  line.socket.write(requestText(key, bodyOf("stream slow")) + good() + good());
  assert.ok(await line.until((l) => count(l.text, "HTTP/1.1 200") === 3), line.text.slice(-500));
  assert.ok(line.text.indexOf("[DONE]") < line.text.indexOf("chat.completion\""), "in order");
  line.socket.destroy();
});
await check("gateway hostile: a flood behind a stream takes no memory", async () => {
  const line = dial(house.url), before = memory();
  line.socket.write(requestText(key, bodyOf("stream slow")));
  for (let i = 0; i < 300; i++) line.socket.write(good().repeat(500));
  await sleep(300);
  assert.ok(memory() - before < room, `${(memory() - before) >> 20} MiB`);
  line.socket.destroy();
  await isUp();
});
await check("gateway hostile: a client that reads nothing holds no more than is bounded", async () => {
  const before = memory(), lines = Array.from({ length: 8 }, () => dial(house.url));
  for (const line of lines) { line.socket.pause(); line.socket.write(requestText(key, bodyOf("stream long", { max_tokens: 4096 }))); }
  await sleep(3000);
  const taken = memory() - before;
  for (const line of lines) line.socket.destroy();
  assert.ok(taken < room, `${taken >> 20} MiB`);
  await isUp();
});
await check("gateway hostile: bodies in chunks, after a question whether to send them, and from HTTP/1.0", async () => {
  const body = bodyOf("ok"), head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n`;
  const texts = [
    `${head}transfer-encoding: chunked\r\n\r\n${body.slice(0, 9).length.toString(16)}\r\n${body.slice(0, 9)}\r\n${(body.length - 9).toString(16)}\r\n${body.slice(9)}\r\n0\r\n\r\n`,
    `${head}expect: 100-continue\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    `${head.replace("HTTP/1.1", "HTTP/1.0")}content-length: ${body.length}\r\n\r\n${body}`,
    `${head.replace("HTTP/1.1", "HTTP/1.0")}content-length: ${bodyOf("stream ok").length}\r\n\r\n${bodyOf("stream ok")}`,
  ];
  for (const text of texts) {
    const line = dial(house.url);
    line.socket.write(text);
    assert.ok(await line.until((l) => /"content":"hi"/.test(l.text) && /\}\s*$|DONE/.test(l.text)), line.text);
    line.socket.destroy();
  }
});
await check("gateway hostile: a half closed connection does no harm", async () => {
  for (const deed of ["ok", "stream slow"]) {
    const line = dial(house.url);
    line.socket.end(requestText(key, bodyOf(deed)));
    assert.ok(await line.until((l) => l.closed, 3000), "it is closed");
  }
  await isUp();
});
await check("gateway hostile: bodies that drip keep nobody else waiting", async () => {
  const lines = Array.from({ length: 200 }, () => dial(house.url));
  for (const line of lines) line.socket.write(good().slice(0, -20));
  await sleep(100);
  const began = Date.now();
  await isUp();
  assert.ok(Date.now() - began < 2000);
  for (const line of lines) line.socket.destroy();
});
for (const [what, text, wanted] of [
  ["headers without end", "POST /v1/chat/completions HTTP/1.1\r\n" + `x-a: ${"b".repeat(1000)}\r\n`.repeat(200) + "\r\n", /^$|^HTTP\/1\.1 4/],
  ["one huge header", `POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer ${"b".repeat(300000)}\r\n\r\n`, /^$|^HTTP\/1\.1 4/],
  ["a body that is too large", `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-length: 999999999999\r\n\r\n{`, /^$|^HTTP\/1\.1 4/],
  ["a negative length", `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-length: -5\r\n\r\n{}`, /^$|^HTTP\/1\.1 4/],
  ["a key with line breaks", requestText("mh_x\r\n\tx: y", "{}"), /^HTTP\/1\.1 401/],
  ["no key", requestText("", "{}"), /^HTTP\/1\.1 401/],
  ["another method", requestText(key, "{}").replace("POST", "PUT"), /^HTTP\/1\.1 405/],
]) {
  await check(`gateway hostile: ${what}`, async () => {
    const line = dial(house.url);
    line.socket.write(text);
    await line.until((l) => l.closed || l.text.includes("\r\n\r\n"), 1500);
    assert.match(line.text, wanted);
    line.socket.destroy();
    await isUp();
  });
}
await check("gateway hostile: what hides behind a body by two lengths is not forwarded", async () => {
  const inner = requestText(key, bodyOf("ok", { user: "smuggled" }));
  for (const lengths of ["content-length: 4\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 4\r\n", "transfer-encoding: xchunked\r\n", "content-length: 0\r\ncontent-length: 4\r\n"]) {
    const { text } = await send(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n${lengths}\r\n0\r\n\r\n${inner}`);
    assert.match(text, /^$|^HTTP\/1\.1 400/, lengths);
    assert.equal(count(text, "HTTP/1.1 200"), 0, lengths + text);
  }
});

// ---- words of a model server in the books and in the log ----
await check("gateway hostile: a killed server starts again, whatever words a running call had got", async () => {
  const line = dial(house.url);
  line.socket.write(requestText(key, bodyOf("stream bad words")));
  await sleep(4500);
  await house.stop("SIGKILL");
  await house.again();
  await isUp();
});
await check("gateway hostile: the journal's events are JSON in UTF-8, the log is lines", async () => {
  const out = house.folder + "/exported";
  execFileSync(process.env.MH_BIN, ["export", "customer", "--data", house.book, "--customer", "acme", "--out", out]);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(out + "/events.ndjson"));
  for (const event of text.trim().split("\n")) JSON.parse(event);
  for (const line of readFileSync(house.log, "utf8").trim().split("\n")) assert.match(line, /^\d{4}-\d\d-\d\dT[\x20-\x7e]*$/);
});

// ---- secrets ----
await check("gateway hostile: keys are in no log, metric, view or export", async () => {
  const other = await house.key("other");
  const texts = { log: readFileSync(house.log, "utf8") };
  for (const path of ["/metrics", "/api/v1/gateway", "/api/v1/status", "/api/v1/keys", "/api/v1/models"]) texts[path] = await (await fetch(house.url + path, { headers: { authorization: "Bearer " + house.operator } })).text();
  texts.events = execFileSync("sh", ["-c", `"${process.env.MH_BIN}" export --data "${house.book}" --help >/dev/null 2>&1; grep -raoE "${secret}|${key}" "${house.book}" | head -3; true`], { encoding: "utf8" });
  for (const [where, text] of Object.entries(texts)) assert.ok(![secret, key, other].some((one) => text.includes(one)), `${where} has a key`);
});
await check("gateway hostile: a customer's key sees nothing of the gateway", async () => {
  for (const path of ["/api/v1/gateway", "/api/v1/balance?customer=other", "/api/v1/customers"]) {
    const answer = await fetch(house.url + path, { headers: { authorization: "Bearer " + key } });
    const text = await answer.text();
    if (path.endsWith("/customers")) assert.ok(!text.includes("other"), text);
    else assert.ok([403, 404].includes(answer.status), `${path}: ${answer.status}`);
  }
});
await check("gateway hostile: nothing is held in the end, and the books check clean", async () => {
  let balance;
  for (let i = 0; i < 50 && (balance = await house.balance("acme")) && money(balance.held) !== 0n; i++) await sleep(100);
  assert.equal(money(balance.held), 0n);
  assert.equal((await house.stop()).code, 0);
  execFileSync(process.env.MH_BIN, ["check", "--data", house.book], { encoding: "utf8" });
});
finish();
