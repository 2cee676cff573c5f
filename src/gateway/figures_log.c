/* One line a call for the log, in logfmt. What others chose (a finish reason, an id) can not break out of its place. */
#include "base/json.h"
#include "gateway/figures_parts.h"

#define NS_PER_US 1000
#define US_PER_MS 1000
enum { KIND_INPUT = 0, KIND_OUTPUT = 4 };

static bool is_plain(slice text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') {
      return false;
    }
  }
  return text.len > 0;
}

static void begin_pair(struct buf *out, const char *key) {
  buf_addc(out, ' ');
  buf_add(out, slice_of(key));
  buf_addc(out, '=');
}

/* A line a call is on the way of every call: printf would be most of it. */
static void number(struct buf *out, uint64_t value, int digits_min) {
  char digits[20];
  size_t at = sizeof digits;
  for (; value > 0 || digits_min > 0; digits_min--, value /= 10) {
    digits[--at] = (char)('0' + value % 10);
  }
  buf_add(out, (slice){digits + at, sizeof digits - at});
}

static void pair_number(struct buf *out, const char *key, uint64_t value) {
  begin_pair(out, key);
  number(out, value, 1);
}

static void pair(struct buf *out, const char *key, slice value) {
  begin_pair(out, key);
  if (is_plain(value)) {
    buf_add(out, value);
  } else {
    json_quote(out, value);
  }
}

static void pair_if(struct buf *out, const char *key, slice value) {
  if (value.len > 0) {
    pair(out, key, value);
  }
}

static void pair_ms(struct buf *out, const char *key, instant from, instant to) {
  uint64_t us = to.ns > from.ns ? (uint64_t)(to.ns - from.ns) / NS_PER_US : 0;
  pair_number(out, key, us / US_PER_MS);
  buf_addc(out, '.');
  number(out, us % US_PER_MS, 3);
}

/* Input and output always, the rarer kinds when there are any. */
static void tokens_of(const struct wire_usage *usage, struct buf *out) {
  uint64_t tokens[TOKEN_KINDS], all = 0;
  usage_tokens(usage, tokens);
  for (size_t i = 0; i < TOKEN_KINDS; i++) {
    all += tokens[i];
    if (tokens[i] > 0 || i == KIND_INPUT || i == KIND_OUTPUT) {
      pair_number(out, token_kinds[i], tokens[i]);
    }
  }
  pair(out, "estimated", all > 0 && !usage->reported ? SLICE("true") : SLICE("false"));
}

static const char *settlement_name(enum figures_settlement settlement) {
  return settlement == CALL_SETTLED ? "settled" : settlement == CALL_UNSETTLED ? "unsettled" : "free";
}

static void money_of(const struct figures_call *call, struct buf *out) {
  char text[DECIMAL_TEXT_MAX];
  pair(out, "cost", slice_of(amount_text(call->cost, text)));
  pair(out, "charged", slice_of(amount_text(call->charged, text)));
  pair(out, "currency", slice_of(call->customer->currency->code));
  pair(out, "settlement", slice_of(settlement_name(call->settlement)));
}

void figures_log_line(const struct figures_call *call, struct buf *out) {
  buf_add(out, SLICE("call="));
  buf_add(out, slice_of(call->id));
  pair(out, "customer", call->customer->id);
  pair_if(out, "project", call->project);
  pair_if(out, "key", call->key_id);
  pair(out, "model", call->model->name);
  pair_if(out, "upstream", call->target ? call->target->upstream->name : SLICE(""));
  pair(out, "door", slice_of(wire_door_name(call->door)));
  pair(out, "stream", call->stream ? SLICE("true") : SLICE("false"));
  pair_number(out, "status", (uint64_t)call->status);
  tokens_of(&call->usage, out);
  if (call->first_token.ns != 0) {
    pair_ms(out, "ttft_ms", call->begun, call->first_token);
  }
  pair_ms(out, "ms", call->begun, call->ended);
  money_of(call, out);
  pair_if(out, "finish", call->finish);
  pair_number(out, "tries", call->tries);
  if (call->client_left) {
    pair(out, "left", SLICE("true"));
  }
}
