// Answers in the shapes of the OpenAI and Anthropic HTTP APIs, whole and streamed. A call is {door, id, model, created,
// tier, asked (include_usage), mode (of `usage`), choices}; an answer is {pieces, finish, usage, tool}. `usage` counts
// all of the input and all of the output: {input, cached, cacheWrite, audio, output, reasoning}.
const cut = (usage, output) => ({ ...usage, output, reasoning: Math.min(usage.reasoning ?? 0, output) });

function openaiUsage(u) {
  return {
    prompt_tokens: u.input,
    completion_tokens: u.output,
    total_tokens: u.input + u.output,
    prompt_tokens_details: { cached_tokens: u.cached ?? 0, cache_write_tokens: u.cacheWrite ?? 0, audio_tokens: u.audio ?? 0 },
    completion_tokens_details: { reasoning_tokens: u.reasoning ?? 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  };
}
function responsesUsage(u) {
  return {
    input_tokens: u.input,
    input_tokens_details: { cached_tokens: u.cached ?? 0 },
    output_tokens: u.output,
    output_tokens_details: { reasoning_tokens: u.reasoning ?? 0 },
    total_tokens: u.input + u.output,
  };
}
function anthropicUsage(u) {
  const cached = u.cached ?? 0, written = u.cacheWrite ?? 0;
  return { input_tokens: u.input - cached - written, cache_creation_input_tokens: written, cache_read_input_tokens: cached, output_tokens: u.output };
}
const shapes = { responses: responsesUsage, messages: anthropicUsage };

// The usage member as the mode has it; {} when it is left out.
function usageMember(call, usage) {
  if (call.mode === "none") return {};
  if (call.mode === "null") return { usage: null };
  const zero = call.mode === "zero" ? { input: 0, output: 0 } : usage;
  return { usage: (shapes[call.door] ?? openaiUsage)(zero) };
}

const toolCall = (call, text) => ({ id: "call_" + call.id, type: "function", function: { name: call.tool, arguments: text } });
const choicesOf = (call, make) => Array.from({ length: call.choices ?? 1 }, (_, index) => make(index));
const head = (call, object) => ({ id: call.id, object, created: call.created, model: call.model, ...(call.tier && { service_tier: call.tier }) });

// ---- whole ----
const whole = {
  chat: (call, { text, finish, usage }) => ({
    ...head(call, "chat.completion"),
    choices: choicesOf(call, (index) => ({
      index,
      message: call.tool ? { role: "assistant", content: null, tool_calls: [toolCall(call, text)] } : { role: "assistant", content: text, refusal: null },
      logprobs: null,
      finish_reason: call.tool ? "tool_calls" : finish,
    })),
    ...usageMember(call, usage),
  }),
  completions: (call, { text, finish, usage }) => ({
    ...head(call, "text_completion"),
    choices: choicesOf(call, (index) => ({ index, text, logprobs: null, finish_reason: finish })),
    ...usageMember(call, usage),
  }),
  responses: (call, { text, finish, usage, status = finish === "length" ? "incomplete" : "completed" }) => ({
    id: call.id,
    object: "response",
    created_at: call.created,
    status,
    error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    model: call.model,
    ...(call.tier && { service_tier: call.tier }),
    output: status === "in_progress" ? [] : [{ id: "item_" + call.id, type: "message", role: "assistant", status, content: [{ type: "output_text", text, annotations: [] }] }],
    parallel_tool_calls: true,
    tool_choice: "auto",
    tools: [],
    ...(status === "in_progress" ? { usage: null } : usageMember(call, usage)),
  }),
  messages: (call, { text, finish, usage }) => ({
    id: call.id,
    type: "message",
    role: "assistant",
    model: call.model,
    content: [call.tool ? { type: "tool_use", id: "toolu_" + call.id, name: call.tool, input: JSON.parse(text) } : { type: "text", text }],
    stop_reason: stopReason(call, finish),
    stop_sequence: null,
    ...usageMember(call, usage),
  }),
};
const stopReason = (call, finish) => (call.tool ? "tool_use" : finish === "length" ? "max_tokens" : "end_turn");
export const wholeAnswer = (call, answer) => whole[call.door](call, { ...answer, text: answer.pieces.join("") });

// ---- streamed: events {event, data, token (the text of one), done}; the last of chat and completions is [DONE] ----
function* chatStream(call, { pieces, finish, usage }) {
  const chat = call.door === "chat";
  const chunk = (choices, more) => ({ data: { ...head(call, chat ? "chat.completion.chunk" : "text_completion"), choices, ...more } });
  const silent = call.asked ? { usage: null } : {};
  let sent = 0;
  const running = () => (call.mode === "cumulative" ? { usage: openaiUsage(cut(usage, sent)) } : silent);
  const choice = (index, delta, text, finish_reason = null) => ({ index, ...(chat ? { delta } : { text }), logprobs: null, finish_reason });
  const piece = (text) => (call.tool ? { tool_calls: [{ index: 0, function: { arguments: text } }] } : { content: text });
  if (chat) yield chunk(choicesOf(call, (i) => choice(i, { role: "assistant", content: call.tool ? null : "" })), running());
  if (call.tool) yield chunk([choice(0, { tool_calls: [{ index: 0, ...toolCall(call, "") }] })], running());
  for (const text of pieces) {
    sent++;
    for (let i = 0; i < (call.choices ?? 1); i++) yield { ...chunk([choice(i, piece(text), text)], running()), token: i === 0 && text };
  }
  const onFinish = ["finish", "cumulative"].includes(call.mode) ? { usage: openaiUsage(usage) } : silent;
  yield chunk(choicesOf(call, (i) => choice(i, {}, "", call.tool ? "tool_calls" : finish)), onFinish);
  if ((call.asked || call.mode === "always") && !["none", "finish"].includes(call.mode)) yield chunk([], usageMember(call, usage));
  yield { data: "[DONE]", done: true };
}

function* responsesStream(call, answer) {
  let sequence_number = 0;
  const event = (type, more) => ({ event: type, data: { type, sequence_number: sequence_number++, ...more } });
  const at = { item_id: "item_" + call.id, output_index: 0, content_index: 0 };
  const begun = whole.responses(call, { ...answer, text: "", status: "in_progress" });
  const text = answer.pieces.join("");
  const ended = whole.responses(call, { ...answer, text });
  const part = { type: "output_text", text: "", annotations: [] };
  yield event("response.created", { response: begun });
  yield event("response.in_progress", { response: begun });
  yield event("response.output_item.added", { output_index: 0, item: { ...ended.output[0], status: "in_progress", content: [] } });
  yield event("response.content_part.added", { ...at, part });
  for (const delta of answer.pieces) yield { ...event("response.output_text.delta", { ...at, delta, logprobs: [] }), token: delta };
  yield event("response.output_text.done", { ...at, text, logprobs: [] });
  yield event("response.content_part.done", { ...at, part: { ...part, text } });
  yield event("response.output_item.done", { output_index: 0, item: ended.output[0] });
  yield { ...event("response." + ended.status, { response: ended }), done: true };
}

function* messagesStream(call, { pieces, finish, usage }) {
  const event = (type, more) => ({ event: type, data: { type, ...more } });
  // The first event tells what went in, always: clients need it. `none` and `null` are of the last.
  const opening = { ...call, tool: null, mode: call.mode === "zero" ? "zero" : undefined };
  yield event("message_start", { message: { ...whole.messages(opening, { text: "", usage: cut(usage, Math.min(1, usage.output)) }), content: [], stop_reason: null } });
  const block = call.tool ? { type: "tool_use", id: "toolu_" + call.id, name: call.tool, input: {} } : { type: "text", text: "" };
  yield event("content_block_start", { index: 0, content_block: block });
  yield event("ping", {});
  let sent = 0;
  for (const text of pieces) {
    const delta = call.tool ? { type: "input_json_delta", partial_json: text } : { type: "text_delta", text };
    yield { ...event("content_block_delta", { index: 0, delta }), token: text };
    sent++;
    if (call.mode === "cumulative") yield event("message_delta", { delta: { stop_reason: null, stop_sequence: null }, usage: { input_tokens: null, cache_read_input_tokens: null, output_tokens: sent } });
  }
  yield event("content_block_stop", { index: 0 });
  const last = call.mode === "none" ? {} : { usage: { output_tokens: call.mode === "zero" ? 0 : usage.output, ...(call.mode === "null" && { input_tokens: null, cache_read_input_tokens: null }) } };
  yield event("message_delta", { delta: { stop_reason: stopReason(call, finish), stop_sequence: null }, ...last });
  yield { ...event("message_stop", {}), done: true };
}
const streams = { chat: chatStream, completions: chatStream, responses: responsesStream, messages: messagesStream };
export const streamedAnswer = (call, answer) => streams[call.door](call, answer);

// ---- errors, inside a stream or as a body ----
const types = { 400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error" };
export function errorBody(door, status, message) {
  const type = types[status] ?? "server_error";
  return door === "messages" ? { type: "error", error: { type: status >= 500 ? "api_error" : type, message } } : { error: { message, type, param: null, code: "scripted" } };
}
export function errorEvent(door, message) {
  if (door === "messages") return { event: "error", data: errorBody(door, 500, message) };
  if (door === "responses") return { event: "error", data: { type: "error", code: "server_error", message, param: null, sequence_number: 99 } };
  return { data: errorBody(door, 500, message) };
}
export function eventText({ event, data }, { crlf, noSpace } = {}) {
  const end = crlf ? "\r\n" : "\n", blank = noSpace ? "" : " ";
  return (event ? `event:${blank}${event}${end}` : "") + `data:${blank}${typeof data === "string" ? data : JSON.stringify(data)}${end}${end}`;
}
