// What a scripted model server is told to do: directives, parted by semicolons or new lines, in the name of the model, the
// header x-script, the text of the prompt, or posted to /_script for calls to come. What is no directive is plain prompt.
//
//   say 5 tokens              how long the answer is (default 5); max_tokens cuts it
//   input 100                 tokens of the prompt as told (default: its words)
//   cached 60, cache-write 9, reasoning 3, audio 4      details of the usage
//   usage none|null|zero|finish|cumulative|always       instead of one last chunk when asked
//   delay 50 ms, first 200 ms                           before each token, before the first byte
//   fail 500|429|...|reset|cut|hang|html [after 3]      before the first byte, or after so many tokens
//   error-event [after 3]     an error inside the stream
//   retry-after 7, should-retry false                   headers of a failure
//   no-done, crlf, no-space, comments, multi-byte, tool, refuse-stream
//   split 3                   written in pieces of so many bytes
//   tier flex                 service_tier as told
const numbers = { say: "tokens", input: "tokens", cached: "tokens", "cache-write": "tokens", reasoning: "tokens", audio: "tokens", delay: "ms", first: "ms", split: "bytes", "retry-after": "s", after: "tokens" };
const words = ["usage", "tier", "should-retry"];
const flags = ["no-done", "crlf", "no-space", "comments", "multi-byte", "tool", "refuse-stream"];

function read(directive, script) {
  const [name, value, third, fourth] = directive.trim().split(/[ :=]+/);
  if (name in numbers && /^\d+$/.test(value)) script[name] = Number(value);
  else if (words.includes(name) && value) script[name] = value;
  else if (flags.includes(directive.trim())) script[name] = true;
  else if (name === "fail" && value) {
    script.fail = value;
    script.after = third === "after" ? Number(fourth) : undefined;
  } else if (name === "error-event") {
    script.fail = "event";
    script.after = value === "after" ? Number(third) : 0;
  }
}

export function scriptOf(...texts) {
  const script = { say: 5 };
  for (const directive of texts.join(";").split(/[;\n]/)) read(directive, script);
  return script;
}

const textOf = (part) =>
  typeof part === "string" ? part : Array.isArray(part) ? part.map(textOf).join("\n") : part && typeof part === "object" ? textOf(part.text ?? part.content ?? "") : "";

// All that was said to the model, by whichever door.
export const promptOf = (body) => [textOf(body.system), textOf(body.instructions), textOf(body.messages), textOf(body.prompt), textOf(body.input)].filter(Boolean).join("\n");
// Directives are taken from what was said last.
export const lastSaidOf = (body) => textOf(body.messages?.at?.(-1) ?? body.prompt ?? (Array.isArray(body.input) ? body.input.at(-1) : body.input) ?? "");
export const wordCountOf = (text) => text.split(/\s+/).filter(Boolean).length;
