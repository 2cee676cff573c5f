/* Fuzzes answers: in one piece and in many they give the same bytes and the same outcome, and what is not to be changed
 * passes as it came. */
#include "base/hash.h"
#include "wire/wire.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
  struct buf all;
  struct wire_outcome outcome;
  bool followed;
};

static struct wire_reader *reader_of(uint8_t how) {
  const enum wire_door door = (enum wire_door)(how % WIRE_DOORS);
  const struct wire_reader_options options = {.door = door,
                                              .shape =
                                                  door == WIRE_MESSAGES && (how & 32) ? WIRE_ANTHROPIC : WIRE_OPENAI,
                                              .stream = (how & 64) == 0,
                                              .hide_usage = (how & 128) != 0,
                                              .model = SLICE("public"),
                                              .id = "1"};
  return wire_reader_new(&options);
}

static void run(uint8_t how, slice sent, struct random *cuts, struct result *out) {
  struct wire_reader *r = reader_of(how);
  struct error err = {0};
  buf_init(&out->all, (size_t)1 << 24);
  out->followed = true;
  for (size_t at = 0; at < sent.len && out->followed;) {
    const size_t left = sent.len - at, some = cuts ? 1 + (size_t)random_below(cuts, 40) : left;
    const size_t len = some < left ? some : left;
    char *piece = mem_alloc(len);
    memcpy(piece, sent.ptr + at, len);
    out->followed = wire_reader_take(r, (slice){piece, len}, &out->all, &err);
    free(piece);
    at += len;
  }
  must(out->followed || (err.code != ERR_NONE && err.message[0] != 0));
  wire_reader_outcome(r, &out->outcome);
  const bool as_it_came = !(how & 128) && (how % WIRE_DOORS != WIRE_MESSAGES || (how & 32));
  wire_reader_end(r, out->outcome.complete || as_it_came ? NULL : "cut", &out->all);
  if (as_it_came) { /* two line ends may be added */
    must(out->all.len <= sent.len + 2 &&
         memcmp(out->all.ptr ? out->all.ptr : "", sent.ptr, out->all.len < sent.len ? out->all.len : sent.len) == 0);
  }
  wire_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct result whole, cut;
  struct random cuts;
  if (size < 2) {
    return 0;
  }
  const slice sent = {(const char *)data + 2, size - 2};
  random_seed(&cuts, data[1], 0);
  run(data[0], sent, NULL, &whole);
  run(data[0], sent, &cuts, &cut);
  const struct wire_outcome *a = &whole.outcome, *b = &cut.outcome;
  must(slice_eq(buf_slice(&whole.all), buf_slice(&cut.all)) && whole.followed == cut.followed);
  must(wire_usage_input(&a->usage) == wire_usage_input(&b->usage) && a->usage.cached == b->usage.cached);
  must(wire_usage_output(&a->usage) == wire_usage_output(&b->usage) && a->usage.reported == b->usage.reported);
  must(wire_usage_input(&a->usage) >= 0 && wire_usage_output(&a->usage) >= 0);
  must(a->complete == b->complete && a->failed == b->failed && a->generated == b->generated && a->pieces == b->pieces);
  must(strcmp(a->finish, b->finish) == 0 && strcmp(a->tier, b->tier) == 0 && strcmp(a->model, b->model) == 0);
  buf_free(&whole.all);
  buf_free(&cut.all);
  return 0;
}
