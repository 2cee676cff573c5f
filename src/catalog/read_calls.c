/* Reads what plans and customers say of calls through the gateway: how many, and how much may be owed for them. */
#include "catalog/private.h"

#define CALLS_MAX INT64_C(1000000000)
#define TOKENS_MAX INT64_C(1000000000000)
#define RUNNING_MAX 1000000

void read_call_limits(struct loader *l, const struct yaml *map, struct call_limits *out) {
  static const char *const keys[] = {"requests_a_minute", "tokens_a_minute", "concurrency", NULL};
  if (!map || !is_map_of(l, map, keys)) {
    return;
  }
  if (map->count == 0) {
    problem(l, map,
            "says nothing: expected such as {requests_a_minute: 100, tokens_a_minute: 200000, concurrency: 20}");
  }
  out->requests_a_minute = whole_of(l, field(map, "requests_a_minute"), 1, CALLS_MAX, 0);
  out->tokens_a_minute = whole_of(l, field(map, "tokens_a_minute"), 1, TOKENS_MAX, 0);
  out->concurrency = whole_of(l, field(map, "concurrency"), 1, RUNNING_MAX, 0);
}

void read_credit_line(struct loader *l, const struct yaml *node, struct customer *out) {
  struct error err;
  if (!node || !scalar(l, node)) {
    return;
  }
  if (slice_is(node->text, "unlimited")) {
    out->unlimited_credit = true;
  } else if (!amount_parse(node->text, &out->credit_line, &err)) {
    problem(l, node, "is \"%s\": expected an amount of 0 or more in %s, or unlimited", shown(l, node->text),
            out->currency->code);
  } else if (amount_cmp(out->credit_line, AMOUNT_ZERO) < 0) {
    problem(l, node, "%s is negative: expected an amount of 0 or more in %s, or unlimited", shown(l, node->text),
            out->currency->code);
    out->credit_line = AMOUNT_ZERO;
  }
}

int64_t duration_ms_of(struct loader *l, const struct yaml *node, int64_t low_ms, int64_t high_ms, int64_t otherwise) {
  const int64_t ns_per_ms = NS_PER_S / 1000;
  struct error err;
  duration d;
  if (!node || !scalar(l, node)) {
    return otherwise;
  }
  if (!time_parse_duration(node->text, &d, &err)) {
    problem(l, node, "is \"%s\": %s", shown(l, node->text), err.message);
  } else if (d.ns < low_ms * ns_per_ms || d.ns > high_ms * ns_per_ms) {
    problem(l, node, "is \"%s\": expected %lld ms to %lld s", shown(l, node->text), (long long)low_ms,
            (long long)(high_ms / 1000));
  } else {
    return d.ns / ns_per_ms;
  }
  return otherwise;
}
