// Programs that tests of the gateway start and stop: scripted model servers, and a Meterhouse in front of them with models,
// prices and customers. All on free ports of 127.0.0.1; each is stopped by its own handle.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, writeFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const here = dirname(fileURLToPath(import.meta.url));
const running = new Set();
process.on("exit", () => { for (const child of running) child.kill("SIGKILL"); });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

// Starts a program and waits until it has printed an address. What it has to say besides goes to the file `log`.
function start(command, args, { seconds = 30, log } = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", log ? openSync(log, "a") : "inherit"] });
  running.add(child);
  const ended = new Promise((done) => child.on("exit", (code, signal) => { running.delete(child); done({ code, signal }); }));
  return new Promise((done, fail) => {
    let text = "";
    const late = setTimeout(() => fail(new Error(`${command} ${args[0]} printed no address in ${seconds} s: ${text}`)), seconds * 1000);
    ended.then(({ code }) => {
      const said = log ? readFileSync(log, "utf8").slice(-1000) : text;
      fail(Object.assign(new Error(`${command} ${args[0]} ended with ${code}: ${said}`), { code, text }));
    });
    child.stdout.on("data", (more) => {
      text += more;
      const found = /(http:\/\/127\.0\.0\.1:\d+)(\S*)\s/.exec(text);
      if (!found) return;
      clearTimeout(late);
      const stop = (signal = "SIGTERM") => (child.kill(signal), ended);
      done({ url: found[1], rest: found[2], pid: child.pid, stop, ended });
    });
  });
}

export async function startUpstream(...args) {
  const upstream = await start(process.execPath, [join(here, "upstream.mjs"), ...args]);
  const post = (path, body, method = "POST") => fetch(upstream.url + path, { method, body: body && JSON.stringify(body) }).then((r) => r.json());
  return {
    ...upstream,
    log: () => post("/_log", undefined, "GET"),
    forget: () => post("/_log", undefined, "DELETE"),
    script: (text, times, health = 200) => post("/_script", { script: text, times, health }),
    // The call whose body holds the mark, when it is there and `wanted`; waits for two seconds.
    async call(mark, wanted = () => true) {
      let found;
      for (let i = 0; i < 100; i++) {
        found = (await post("/_log", undefined, "GET")).find((entry) => entry.text.includes(mark));
        if (found && wanted(found)) return found;
        await sleep(20);
      }
      return found;
    },
  };
}

// The server with a real model; where it can not be had, an error with code 77 and a text that says why.
export const startModel = () => start(process.execPath, [join(here, "model.mjs")], { seconds: 60 });

// ---- money, exactly: units of 1e-12 ----
export function money(text) {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  const units = BigInt(whole) * 10n ** 12n + BigInt(part.padEnd(12, "0"));
  return sign ? -units : units;
}
// What a token costs here.
export const prices = { input: "0.001", cached_input: "0.0001", cache_write: "0.00125", output: "0.002", reasoning: "0.003" };
// `counts`: tokens by the names of `prices`.
export const costOf = (counts) => Object.entries(counts).reduce((sum, [kind, tokens]) => sum + BigInt(tokens) * money(prices[kind]), 0n);

// ---- the catalog ----
// `upstreams`: [{name, url, shape?, more?}]; `models`: {name: text of its upstreams}; `customers`: {id: more of its entry}.
export function catalogOf({ upstreams, models, customers, more = "" }) {
  const lines = ["currency: USD", "seller: {name: Tokens, country: NL, invoice_prefix: T-}", "upstreams:"];
  for (const u of upstreams) lines.push(`  - {name: ${u.name}, url: "${u.url}"${u.shape ? `, shape: ${u.shape}` : ""}${u.more ?? ""}}`);
  lines.push("models:", ...Object.entries(models).map(([name, rest]) => `  - {name: ${name}, ${rest}}`), "meters:");
  for (const kind of Object.keys(prices)) lines.push(`  - {name: ${kind}, event: model.call, value: ${kind}_tokens, unit: token, dimensions: [model]}`);
  lines.push("plans:", "  - name: tokens", "    prices:");
  for (const [kind, price] of Object.entries(prices)) lines.push(`      - {name: ${kind}, meter: ${kind}, price: ${price}}`);
  lines.push("customers:", ...Object.entries(customers).map(([id, rest]) => `  - {id: ${id}, name: ${id}, country: NL${rest.includes("contracts:") ? "" : ", plan: tokens"}${rest}}`));
  return lines.join("\n") + "\n" + more;
}

// ---- a Meterhouse with a book of its own in a temporary folder; `clock`: the time there, until it is moved ----
export async function startHouse(catalog, { clock } = {}) {
  const folder = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "meterhouse-house."));
  const file = join(folder, "catalog.yaml"), book = join(folder, "book");
  writeFileSync(file, catalog);
  process.on("exit", () => process.env.KEEP || rmSync(folder, { recursive: true, force: true }));
  const house = { folder, book, log: join(folder, "log") };
  const serve = async (...args) => Object.assign(house, await start(process.env.MH_BIN, ["serve", "--data", book, "--listen", "127.0.0.1:0", ...args], { seconds: 60, log: house.log }));
  if (clock) execFileSync(process.env.MH_BIN, ["clock", "--data", book, "--catalog", file, "--set", clock], { stdio: ["ignore", "ignore", "inherit"] });
  await serve("--catalog", file);
  house.operator = /#key=(\S+)/.exec(house.rest)[1];
  house.again = () => serve();
  house.api = async (method, path, body, key = house.operator) => {
    const answer = await fetch(house.url + path, { method, headers: { authorization: "Bearer " + key, "content-type": "application/json" }, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  house.key = async (customer, terms = {}) => {
    const made = await house.api("POST", "/api/v1/keys", { role: "customer", customer, ...terms });
    return made.key ?? made.secret ?? made.text;
  };
  house.credit = (customer, amount) => house.api("POST", "/api/v1/credits", { customer, kind: "prepaid", amount });
  house.balance = (customer) => house.api("GET", "/api/v1/balance?customer=" + customer);
  return house;
}
