// Official clients against the scripted model server itself, and then through a Meterhouse. Environment: MH_BIN.
import { spawn } from "node:child_process";
import { startUpstream, startHouse, catalogOf } from "./house.mjs";

const run = (script, env) => new Promise((done) => spawn(process.execPath, [new URL(script, import.meta.url).pathname], { stdio: "inherit", env: { ...process.env, ...env } }).on("exit", done));
let failed = 0;
const both = async (env) => { for (const script of ["openai_sdk.mjs", "anthropic_sdk.mjs"]) failed += (await run(script, env)) !== 0; };

const open = await startUpstream();
await both({ GATEWAY: open.url, UPSTREAM: open.url });

const upstream = await startUpstream("--key", "sk-upstream");
const anthropic = await startUpstream("--key", "sk-upstream", "--anthropic");
process.env.UPSTREAM_KEY = "sk-upstream";
const withKey = ", key_env: UPSTREAM_KEY";
const house = await startHouse(
  catalogOf({
    upstreams: [
      { name: "good", url: upstream.url, more: `${withKey}, health: /health` },
      { name: "faulty", url: upstream.url, more: withKey },
      { name: "claude-like", url: anthropic.url, shape: "anthropic", more: withKey },
    ],
    models: {
      scripted: "upstream: good",
      faulty: "upstream: faulty",
      vectors: "upstream: good, doors: [embeddings]",
      "scripted-anthropic": "upstream: claude-like, doors: [messages]",
    },
    customers: { acme: "", broke: "" },
  }),
);
await house.credit("acme", "1000");
const keys = {
  good: await house.key("acme"),
  broke: await house.key("broke"),
  limited: await house.key("acme", { limits: { requests_a_minute: 2 } }),
  narrow: await house.key("acme", { models: ["other-*"] }),
};
await both({
  GATEWAY: house.url, UPSTREAM: upstream.url, UPSTREAM_ANTHROPIC: anthropic.url, KEYS: JSON.stringify(keys),
  MODEL: "scripted", MODEL_FAULTY: "faulty", MODEL_EMBEDDINGS: "vectors", MODEL_ANTHROPIC: "scripted-anthropic",
});
const { code } = await house.stop();
console.log(code === 0 ? "ok gateway: it stops in good order" : `not ok gateway: it ended with ${code}`);
process.exit(failed || code ? 1 : 0);
