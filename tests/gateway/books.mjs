// From calls to invoices: a month's calls are its invoice, prepaid credit draws, a line is used up and paid, a parent pays for
// its child, spend limits of keys begin anew with the day; what a restart and a kill leave; a disk that fills up under calls.
// Environment: MH_BIN; FULL_DISK (optional): a small file system of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { startUpstream, startHouse, catalogOf, money, costOf } from "./house.mjs";
import { check, finish } from "./check.mjs";

const upstream = await startUpstream();
const upstreams = [{ name: "good", url: upstream.url }], models = { good: "upstream: good" };
const ask = (house, key, prompt, more = {}) => fetch(house.url + "/v1/chat/completions", {
  method: "POST",
  headers: { authorization: "Bearer " + key, "content-type": "application/json" },
  body: JSON.stringify({ model: "good", max_tokens: 4, messages: [{ role: "user", content: prompt }], ...more }),
}).then(async (answer) => ({ status: answer.status, text: await answer.text() }));
const good = "say 4; input 100;".padEnd(100, ".");
const cost = costOf({ input: 100, output: 4 }); // 0.108
async function many(house, key, count, wanted = 200) {
  for (let i = 0; i < count; i++) {
    const answer = await ask(house, key, good);
    assert.equal(answer.status, wanted, answer.text);
  }
}
const taxed = (net) => (net * 121n) / 100n;
const cents = (exact) => ((exact + 5n * 10n ** 9n) / 10n ** 10n) * 10n ** 10n;

// ---- over a month's end ----
const customers = {
  paid: ", tax: vat", line: ", tax: vat, credit_line: 5", parent: ", tax: vat, credit_line: 20", child: ", tax: vat, parent: parent",
  spender: ", credit_line: unlimited",
  bound: ", contracts: [{plan: tokens, from: 2026-10-01, commitments: [{name: Pool, amount: 2, per: month, shape: postpaid}]}]",
};
const house = await startHouse(
  catalogOf({ upstreams, models, customers, more: "taxes: [{name: vat, label: VAT, category: S, rate: 21 %}]\ninvoicing: {automatic: true, from: 2026-10-01}\n" }),
  { clock: "2026-11-30T12:00:00Z" },
);
const to = (time) => house.api("POST", "/api/v1/clock", { to: time });
const keys = {};
for (const name of Object.keys(customers)) keys[name] = await house.key(name, name === "spender" ? { spend_limit: { amount: "0.6", per: "day" } } : {});
const invoices = async (customer) => (await house.api("GET", "/api/v1/invoices?customer=" + customer)).data;
const calls = 30n, net = calls * cost, total = cents(taxed(net));

await check("gateway books: a spend limit of a day, shared with the key that follows, ends with the day", async () => {
  await many(house, keys.spender, 3);
  assert.equal((await ask(house, keys.spender, good, { max_tokens: 100 })).status, 402);
  const { data } = await house.api("GET", "/api/v1/keys?customer=spender");
  const rotated = await house.api("POST", `/api/v1/keys/${data[0].id}/rotate`, { overlap: 3600 });
  keys.spender = rotated.key ?? rotated.secret ?? rotated.text;
  const { status, text } = await ask(house, keys.spender, good, { max_tokens: 100 });
  assert.equal(status, 402);
  assert.match(text, /spend limit/);
});
await check("gateway books: calls in November", async () => {
  await house.credit("paid", "10");
  await many(house, keys.paid, Number(calls));
  await many(house, keys.line, Number(calls));
  await many(house, keys.child, Number(calls));
  const balance = await house.balance("paid");
  assert.equal(money(balance.unbilled), taxed(net), "unbilled is what calls cost, with tax");
  assert.equal(money(balance.available) + money(balance.unbilled), money("10"));
});
await check("gateway books: who has bound itself to spend may, up to that", async () => {
  await many(house, keys.bound, 10);
  for (let i = 0; i < 20 && (await ask(house, keys.bound, good)).status === 200; i++);
  assert.equal((await ask(house, keys.bound, good)).status, 402);
});
await check("gateway books: a line that is used up refuses", async () => {
  for (let i = 0; i < 20 && (await ask(house, keys.line, good)).status === 200; i++);
  assert.equal((await ask(house, keys.line, good)).status, 402);
});
const overnight = ask(house, keys.spender, good + "; first 1500 ms");
await sleep(300);
await to("2026-12-01T06:00:00Z");
await check("gateway books: the invoice of November is what its calls were charged, and credit pays it", async () => {
  const [invoice, ...more] = await invoices("paid");
  assert.equal(more.length, 0);
  assert.deepEqual([money(invoice.total), invoice.status], [total, "paid"], JSON.stringify(invoice));
  const balance = await house.balance("paid");
  assert.deepEqual([money(balance.unbilled), money(balance.available)], [0n, money("10") - total]);
});
await check("gateway books: the parent's invoice has its child's calls, and no one else is asked for them", async () => {
  assert.deepEqual((await invoices("child")).length, 0);
  const [invoice] = await invoices("parent");
  assert.equal(money(invoice.total), total);
});
await check("gateway books: a line is free again when the invoice is paid, not before", async () => {
  assert.equal((await ask(house, keys.line, good)).status, 402);
  const [invoice] = await invoices("line");
  await house.api("POST", `/api/v1/invoices/${invoice.id}/payments`, { id: "p1", amount: invoice.total });
  await sleep(50);
  await many(house, keys.line, 3);
});
await check("gateway books: the next day a key may spend anew, whatever ran over midnight", async () => {
  assert.equal((await overnight).status, 200);
  await many(house, keys.spender, 4);
});
await check("gateway books: each interval of a commitment may be spent", () => many(house, keys.bound, 10));
await check("gateway books: December's calls are December's", async () => {
  await many(house, keys.paid, 2);
  assert.equal(money((await house.balance("paid")).unbilled), taxed(2n * cost));
});
await check("gateway books: it stops in good order and its books check clean", async () => {
  assert.equal((await house.stop()).code, 0);
  execFileSync(process.env.MH_BIN, ["check", "--data", house.book], { encoding: "utf8" });
});

// ---- restarts ----
const plain = await startHouse(catalogOf({ upstreams, models, customers: { limited: ", credit_line: unlimited, calls: {requests_a_minute: 30}", long: ", credit_line: 100", amid: ", credit_line: 100" } }));
const limited = await plain.key("limited"), long = await plain.key("long"), amid = await plain.key("amid");
const usageOf = async (customer, meter) => (await plain.api("GET", `/api/v1/usage?customer=${customer}&group_by=customer,meter&meter=${meter}&from=2026-01-01&to=2099-01-01`)).data[0] ?? { quantity: "0", events: 0 };
await check("gateway books: stopped amid streams, each is charged for what passed, once", async () => {
  const running = Array.from({ length: 20 }, () => ask(plain, amid, "say 1000; input 100; delay 20 ms", { stream: true, max_tokens: 1000 }).catch(() => null));
  await sleep(1000);
  assert.equal((await plain.stop()).code, 0);
  await Promise.all(running);
  await plain.again();
  const output = await usageOf("amid", "output"), input = await usageOf("amid", "input"), balance = await plain.balance("amid");
  assert.ok(output.events === 20 && Number(output.quantity) >= 20 * 10, JSON.stringify(output));
  assert.equal(money(balance.unbilled), costOf({ input: Number(input.quantity), output: Number(output.quantity) }));
});
await check("gateway books: limits of a minute outlast a restart", async () => {
  await many(plain, limited, 18);
  assert.equal((await plain.stop()).code, 0);
  await plain.again();
  const began = Date.now();
  await many(plain, limited, 12);
  const { status, text } = await ask(plain, limited, good);
  assert.ok(status === 429 || Date.now() - began > 1500, `${status} ${text}`);
});
await check("gateway books: killed in a long stream, it is charged once, as interrupted", async () => {
  const running = ask(plain, long, "say 200; input 100; delay 50 ms", { stream: true, max_tokens: 400 }).catch(() => null);
  await sleep(5500);
  await plain.stop("SIGKILL");
  await running;
  await plain.again();
  const { data } = await plain.api("GET", "/api/v1/usage?customer=long&group_by=customer,meter&meter=output&from=2026-01-01&to=2099-01-01");
  const tokens = Number(data[0]?.quantity ?? 0), balance = await plain.balance("long");
  assert.ok(tokens >= 30 && tokens <= 120 && data[0].events === 1, JSON.stringify(data));
  assert.equal(money(balance.held), 0n);
  const { data: input } = await plain.api("GET", "/api/v1/usage?customer=long&group_by=customer,meter&meter=input&from=2026-01-01&to=2099-01-01");
  assert.equal(money(balance.unbilled), costOf({ input: Number(input[0].quantity), output: tokens }), "and that is what is unbilled");
  assert.equal((await plain.stop()).code, 0);
  execFileSync(process.env.MH_BIN, ["check", "--data", plain.book], { encoding: "utf8" });
});

// ---- a disk that fills up ----
if (process.env.FULL_DISK) {
  const disk = process.env.FULL_DISK, fill = disk + "/fill";
  process.env.TMPDIR = disk;
  const full = await startHouse(catalogOf({ upstreams, models, customers: { full: ", credit_line: 1000", later: ", credit_line: 1000" } }));
  const key = await full.key("full"), later = await full.key("later");
  let whole = 0, cut = 0;
  const refused = {};
  const burst = () => Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const answer = await ask(full, key, good, { stream: i % 2 === 0 }).catch(() => null);
    if (answer?.status === 200 && (i % 2 ? answer.text.endsWith("}") : answer.text.includes("[DONE]"))) whole++;
    else if (answer === null || answer.status === 200) cut++;
    else refused[answer.status] = (refused[answer.status] ?? 0) + 1;
  }));
  await check("gateway books: under a full disk calls are cut or refused, none waits for ever", async () => {
    await burst();
    execFileSync("sh", ["-c", `cat /dev/zero >"${fill}" 2>/dev/null; true`]);
    for (const end = Date.now() + 6000; Date.now() < end && !refused[503]; ) await burst();
    assert.ok(refused[503] > 0, `${whole} whole, ${cut} cut, ${JSON.stringify(refused)}`);
    assert.equal((await ask(full, later, good)).status, 503, "also of a customer that holds nothing yet");
    assert.ok(Object.keys(refused).every((status) => status === "503" || status === "500" || status === "502"), JSON.stringify(refused));
  });
  await check("gateway books: with room it goes on, and no acknowledged call is lost", async () => {
    execFileSync("rm", [fill]);
    let status;
    for (let i = 0; i < 100 && status !== 200; i++) { await sleep(100); status = (await ask(full, key, good)).status; }
    assert.equal(status, 200);
    whole++;
    const { data } = await full.api("GET", "/api/v1/usage?customer=full&group_by=customer,meter&meter=output&from=2026-01-01&to=2099-01-01");
    assert.ok(data[0].events >= whole && data[0].events <= whole + cut, `${whole} whole, ${cut} cut, ${data[0].events} booked`);
    assert.equal(money((await full.balance("full")).unbilled), BigInt(data[0].events) * cost);
    assert.equal((await full.stop()).code, 0);
    execFileSync(process.env.MH_BIN, ["check", "--data", full.book], { encoding: "utf8" });
  });
}
await upstream.stop();
finish();
