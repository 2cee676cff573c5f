// ok / not ok lines for the tests of the gateway. A check fails when its function throws; what it returns is not looked at.
import { randomUUID } from "node:crypto";

let failures = 0;
export async function check(name, run) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error("took more than 30 seconds")), 30000).unref());
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (e) {
    failures++;
    console.log(`not ok ${name}\n    ${String(e.message).slice(0, 600).replaceAll("\n", "\n    ")}\n    ${String(e.stack).split("\n").find((line) => /tests|work|gateway/.test(line)) ?? ""}`);
  }
}
export const finish = () => process.exit(failures ? 1 : 0);
// A word no other call has, to find this one in the log of the model server.
export const newMark = () => "mark-" + randomUUID();
// What it was refused with; fails when it was not.
export async function refusal(promise) {
  try {
    await promise;
  } catch (e) {
    return e;
  }
  throw new Error("it was not refused");
}
// Something took less than 100 ms; the machine may be busy with something else, so the best of three counts.
export async function soon(run) {
  const took = [];
  while (took.length < 3) {
    took.push(await run());
    if (took.at(-1) < 100) return;
  }
  throw new Error(`took ${took.join(", ")} ms`);
}
// `fetch` that counts how often it was used.
export function countedFetch() {
  const counted = async (...args) => { counted.hits++; return fetch(...args); };
  counted.hits = 0;
  return counted;
}
