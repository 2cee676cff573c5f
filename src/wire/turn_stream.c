/* A stream of chat chunks as a stream of message events: blocks open and close as the kind of what is generated
 * changes.
 */
#include "base/json.h"
#include "turned.h"
#include <stdlib.h>
#include <string.h>

struct turned *turned_new(void) {
  struct turned *t = mem_alloc(sizeof *t);
  t->arena = arena_new();
  buf_init(&t->stop, 4096);
  return t;
}

void turned_free(struct turned *t) {
  if (t) {
    arena_free(t->arena);
    buf_free(&t->stop);
    free(t);
  }
}

/* An event opens with its name, which is its type as well. */
static void open_event(struct json_out *w, struct buf *out, const char *type) {
  buf_add(out, SLICE("event: "));
  buf_add(out, slice_of(type));
  buf_add(out, SLICE("\ndata: "));
  json_out_init(w, out, false);
  json_open_object(w);
  json_put_cstr(w, "type", type);
}

static void close_event(struct json_out *w) {
  json_close_object(w);
  buf_add(w->to, SLICE("\n\n"));
}

static void begin(struct wire_reader *r) {
  struct json_out w;
  const struct wire_usage none = {0};
  if (r->turned->begun) {
    return;
  }
  r->turned->begun = true;
  open_event(&w, r->out, "message_start");
  json_key(&w, "message");
  json_open_object(&w);
  turned_head(r, &w);
  json_key(&w, "content");
  json_raw(&w, SLICE("[]"));
  json_key(&w, "stop_reason");
  json_null(&w);
  json_key(&w, "stop_sequence");
  json_null(&w);
  turned_usage(&none, &w);
  json_close_object(&w);
  close_event(&w);
}

static void close_block(struct wire_reader *r) {
  struct json_out w;
  if (r->turned->open == BLOCK_NONE) {
    return;
  }
  open_event(&w, r->out, "content_block_stop");
  json_put_int(&w, "index", r->turned->blocks - 1);
  close_event(&w);
  r->turned->open = BLOCK_NONE;
}

static void open_block(struct wire_reader *r, enum turned_block kind, struct json_out *w) {
  close_block(r);
  r->turned->open = kind;
  open_event(w, r->out, "content_block_start");
  json_put_int(w, "index", r->turned->blocks++);
  json_key(w, "content_block");
  json_open_object(w);
}

static void delta(struct wire_reader *r, const char *type, const char *member, slice text) {
  struct json_out w;
  open_event(&w, r->out, "content_block_delta");
  json_put_int(&w, "index", r->turned->blocks - 1);
  json_key(&w, "delta");
  json_open_object(&w);
  json_put_cstr(&w, "type", type);
  json_put_str(&w, member, text);
  json_close_object(&w);
  close_event(&w);
}

static void text(struct wire_reader *r, enum turned_block kind, slice text) {
  const bool thinking = kind == BLOCK_THINKING;
  struct json_out w;
  if (text.len == 0) {
    return;
  }
  if (r->turned->open != kind) {
    open_block(r, kind, &w);
    json_put_cstr(&w, "type", thinking ? "thinking" : "text");
    json_put_cstr(&w, thinking ? "thinking" : "text", "");
    if (thinking) {
      json_put_cstr(&w, "signature", "");
    }
    json_close_object(&w);
    close_event(&w);
  }
  delta(r, thinking ? "thinking_delta" : "text_delta", thinking ? "thinking" : "text", text);
}

static bool tool_call(struct wire_reader *r, const struct json *call, struct error *err) {
  struct turned *t = r->turned;
  const struct json *function = json_get(call, "function");
  const slice number = json_text(call, "index"), name = json_text(function, "name");
  const slice arguments = json_text(function, "arguments");
  struct json_out w;
  int64_t index = 0;
  if (number.len && !scan_integer(number, false, &index)) {
    return error_set(err, ERR_INVALID, "a tool call of the model server has no proper index");
  }
  if (name.len && (t->open != BLOCK_TOOL || t->tool != index || json_text(call, "id").len)) {
    open_block(r, BLOCK_TOOL, &w);
    json_put_cstr(&w, "type", "tool_use");
    json_put_str(&w, "id", json_text(call, "id"));
    json_put_str(&w, "name", name);
    json_key(&w, "input");
    json_raw(&w, SLICE("{}"));
    json_close_object(&w);
    close_event(&w);
    t->tool = index;
    t->used_tools = true;
  }
  if (arguments.len == 0) {
    return true;
  }
  if (t->open != BLOCK_TOOL || t->tool != index) {
    return error_set(err, ERR_INVALID, "the model server's tool calls are mixed with each other");
  }
  delta(r, "input_json_delta", "partial_json", arguments);
  return true;
}

static bool choice_delta(struct wire_reader *r, const struct json *d, struct error *err) {
  const slice thought = json_text(d, "reasoning_content");
  const struct json *calls = json_get(d, "tool_calls");
  text(r, BLOCK_THINKING, thought.len ? thought : json_text(d, "reasoning"));
  text(r, BLOCK_TEXT, json_text(d, "content"));
  text(r, BLOCK_TEXT, json_text(d, "refusal"));
  for (const struct json *call = calls ? calls->child : NULL; call; call = call->next) {
    if (!tool_call(r, call, err)) {
      return false;
    }
  }
  return true;
}

static void note_end(struct turned *t, const struct json *choice) {
  const slice finish = json_text(choice, "finish_reason");
  const struct json *stop = json_get(choice, "stop_reason");
  if (finish.len > 0 && finish.len < sizeof t->finish) {
    memcpy(t->finish, finish.ptr, finish.len);
    t->finish[finish.len] = 0;
  }
  if (stop && stop->kind == JSON_STRING && stop->text.len <= 512) {
    t->stop.len = 0;
    json_quote(&t->stop, stop->text);
  }
}

bool turned_event(struct wire_reader *r, slice data, struct error *err) {
  struct turned *t = r->turned;
  const struct json *json;
  arena_reset(t->arena);
  if (r->heard.failed) {
    t->ended = true;
    buf_add(r->out, SLICE("event: error\ndata: "));
    wire_error_from(WIRE_MESSAGES, 500, data, r->options.id, r->out);
    buf_add(r->out, SLICE("\n\n"));
    return true;
  }
  if (t->ended) {
    return true;
  }
  if (!json_parse(t->arena, data, &json, err)) {
    return error_at(err, "the model server's stream");
  }
  begin(r);
  const struct json *choices = json_get(json, "choices");
  const struct json *choice = choices && choices->kind == JSON_ARRAY ? choices->child : NULL;
  if (choice == NULL) {
    return true;
  }
  note_end(t, choice);
  return choice_delta(r, json_get(choice, "delta"), err);
}

void turned_finish(struct wire_reader *r) {
  struct turned *t = r->turned;
  struct wire_outcome o;
  struct json_out w;
  if (t->ended) {
    return;
  }
  t->ended = true;
  wire_reader_outcome(r, &o);
  begin(r);
  close_block(r);
  const char *reason = turned_stop_reason(t->finish, t->stop.len > 0, t->used_tools);
  open_event(&w, r->out, "message_delta");
  json_key(&w, "delta");
  json_open_object(&w);
  json_put_cstr(&w, "stop_reason", reason);
  json_key(&w, "stop_sequence");
  json_raw(&w, strcmp(reason, "stop_sequence") == 0 ? buf_slice(&t->stop) : SLICE("null"));
  json_close_object(&w);
  turned_usage(&o.usage, &w);
  close_event(&w);
}

void turned_stop(struct buf *out) {
  buf_add(out, SLICE("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}
