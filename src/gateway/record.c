/* The event of a call: one for each that was forwarded, in the journal like all usage. docs/gateway.md lists its
 * fields. */
#include "gateway/private.h"
#include <string.h>

#define FIELDS_MAX 24

struct record {
  struct arena *arena;
  struct event_field *fields;
  size_t count;
};

static void put(struct record *r, const char *name, slice value) {
  if (value.len > 0) {
    r->fields[r->count++] = (struct event_field){.name = slice_of(name), .value = value};
  }
}

static void put_number(struct record *r, const char *name, int64_t value) {
  char text[DIGITS_MAX];
  slice digits = number_digits(value > 0 ? (uint64_t)value : 0, text);
  r->fields[r->count++] =
      (struct event_field){.name = slice_of(name), .value = arena_copy(r->arena, digits), .number = true};
}

static void put_amount(struct record *r, const char *name, amount value) {
  char text[DECIMAL_TEXT_MAX];
  r->fields[r->count++] = (struct event_field){
      .name = slice_of(name), .value = arena_copy(r->arena, slice_of(amount_text(value, text))), .number = true};
}

static slice upstream_of(const struct call *call) {
  return call->place.target ? call->place.target->upstream->name : (slice){0};
}

static int64_t ms_between(instant from, instant to) {
  return from.ns == 0 || to.ns < from.ns ? 0 : (to.ns - from.ns) / (NS_PER_S / 1000);
}

/* By name, as the fields of an event are. */
static void put_all(struct record *r, const struct call *call, const char *status, instant at) {
  const int64_t *counts = call->counts;
  slice tier = slice_of(model_tier_name(call->tier));
  put_number(r, kind_name(KIND_CACHE_WRITE), counts[KIND_CACHE_WRITE]);
  put_number(r, kind_name(KIND_CACHED), counts[KIND_CACHED]);
  put_amount(r, "charge", call->charged ? call->paid.net : AMOUNT_ZERO);
  put(r, "door", slice_of(wire_door_name(call->door)));
  put(r, "estimated", call->outcome.usage.reported ? (slice){0} : SLICE("true"));
  put(r, "finish", arena_copy(r->arena, slice_of(call->outcome.finish)));
  put_number(r, kind_name(KIND_INPUT_AUDIO), counts[KIND_INPUT_AUDIO]);
  put_number(r, kind_name(KIND_INPUT), counts[KIND_INPUT]);
  put(r, "key", call->who.key_id);
  put(r, "model", call->model->name);
  put_number(r, "ms", ms_between(call->begun, at));
  put_number(r, "ms_to_first_byte", ms_between(call->begun, call->first_byte));
  put_number(r, kind_name(KIND_OUTPUT_AUDIO), counts[KIND_OUTPUT_AUDIO]);
  put_number(r, kind_name(KIND_OUTPUT), counts[KIND_OUTPUT]);
  put(r, "project", call->who.terms ? call->who.terms->project : (slice){0});
  put_number(r, kind_name(KIND_REASONING), counts[KIND_REASONING]);
  put_number(r, kind_name(KIND_REQUESTS), counts[KIND_REQUESTS]);
  put(r, "service", tier);
  put(r, "status", slice_of(status));
  put(r, "tier", tier);
  put(r, "upstream", upstream_of(call));
}

void call_record(struct arena *arena, const struct call *call, const char *status, instant at, struct event *out) {
  struct record r = {.arena = arena, .fields = arena_array(arena, FIELDS_MAX, sizeof *r.fields)};
  slice type = call->gateway->catalog->gateway.event_type;
  put_all(&r, call, status, at);
  must(r.count <= FIELDS_MAX);
  /* What is not charged has a type of its own, which no meter counts. */
  *out =
      (struct event){.id = arena_copy(arena, slice_of(http_request_id(call->http))),
                     .source = CALL_SOURCE,
                     .type = call->charged ? type : slice_of(arena_printf(arena, SLICE_FMT ".failed", SLICE_ARG(type))),
                     .subject = call->buyer->customer->id,
                     .time = at,
                     .fields = r.fields,
                     .field_count = r.count};
}
