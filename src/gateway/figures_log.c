/* One line a call for the log, in logfmt. What others chose (a finish reason, an id) can not break out of its place. */
#include "base/json.h"
#include "gateway/figures_parts.h"
#include <string.h>

#define NS_PER_MS 1000000
#define US_PER_MS 1000
enum { KIND_INPUT = 0, KIND_OUTPUT = 4 };

static bool is_plain(slice text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (c == '\0' || strchr("-_.:/@+", c) == NULL)) {
      return false;
    }
  }
  return text.len > 0;
}

static void pair(struct buf *out, const char *key, slice value) {
  buf_addf(out, " %s=", key);
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
  int64_t us = to.ns > from.ns ? (to.ns - from.ns) / (NS_PER_MS / US_PER_MS) : 0;
  buf_addf(out, " %s=%lld.%03lld", key, (long long)(us / US_PER_MS), (long long)(us % US_PER_MS));
}

/* Input and output always, the rarer kinds when there are any. */
static void tokens_of(const struct wire_usage *usage, struct buf *out) {
  uint64_t tokens[TOKEN_KINDS], all = 0;
  usage_tokens(usage, tokens);
  for (size_t i = 0; i < TOKEN_KINDS; i++) {
    all += tokens[i];
    if (tokens[i] > 0 || i == KIND_INPUT || i == KIND_OUTPUT) {
      buf_addf(out, " %s=%llu", token_kinds[i], (unsigned long long)tokens[i]);
    }
  }
  buf_addf(out, " estimated=%s", all > 0 && !usage->reported ? "true" : "false");
}

static const char *settlement_name(enum figures_settlement settlement) {
  return settlement == CALL_SETTLED ? "settled" : settlement == CALL_UNSETTLED ? "unsettled" : "free";
}

void figures_log_line(const struct figures_call *call, struct buf *out) {
  char text[DECIMAL_TEXT_MAX];
  buf_addf(out, "call=%s", call->id);
  pair(out, "customer", call->customer->id);
  pair_if(out, "project", call->project);
  pair_if(out, "key", call->key_id);
  pair(out, "model", call->model->name);
  pair_if(out, "upstream", call->target ? call->target->upstream->name : SLICE(""));
  buf_addf(out, " door=%s stream=%s status=%d", wire_door_name(call->door), call->stream ? "true" : "false",
           call->status);
  tokens_of(&call->usage, out);
  if (call->first_token.ns != 0) {
    pair_ms(out, "ttft_ms", call->begun, call->first_token);
  }
  pair_ms(out, "ms", call->begun, call->ended);
  buf_addf(out, " cost=%s", amount_text(call->cost, text));
  buf_addf(out, " charged=%s currency=%s settlement=%s", amount_text(call->charged, text),
           call->customer->currency->code, settlement_name(call->settlement));
  pair_if(out, "finish", call->finish);
  buf_addf(out, " tries=%u%s", call->tries, call->client_left ? " left=true" : "");
}
