/* However an answer is cut into pieces, the client gets the same bytes and the books the same usage: every single cut
 * of each recorded answer, byte by byte, and random cuts of random beginnings. */
#include "base/hash.h"
#include "wire/streams.h"
#include <stdlib.h>
#include <string.h>

static struct random rng;

struct result {
  struct buf passed, all; /* before the end, and with it */
  struct wire_outcome outcome;
  bool followed;
};

static struct wire_reader *reader_of(const struct recorded *c, enum wire_door door) {
  const struct wire_reader_options options = {.door = door,
                                              .shape = c->shape,
                                              .stream = c->stream,
                                              .hide_usage = c->hide,
                                              .model = SLICE("public"),
                                              .id = "call_1"};
  return wire_reader_new(&options);
}

/* `next` says how long the next piece is, at most what is left. */
static void run(const struct recorded *c, enum wire_door door, slice sent, size_t (*next)(size_t at, size_t left),
                struct result *out) {
  struct wire_reader *r = reader_of(c, door);
  struct error err = {0};
  buf_init(&out->passed, (size_t)1 << 22);
  buf_init(&out->all, (size_t)1 << 22);
  out->followed = true;
  for (size_t at = 0; at < sent.len && out->followed;) {
    const size_t len = next(at, sent.len - at);
    char *piece = mem_alloc(len); /* of its exact size: a read past its end is found */
    memcpy(piece, sent.ptr + at, len);
    out->followed = wire_reader_take(r, (slice){piece, len}, &out->passed, &err);
    free(piece);
    at += len;
  }
  must(out->followed || err.code != ERR_NONE);
  memset(&out->outcome, 0, sizeof out->outcome);
  wire_reader_outcome(r, &out->outcome);
  buf_add(&out->all, buf_slice(&out->passed));
  wire_reader_end(r, out->outcome.complete || !out->followed ? NULL : "cut", &out->all);
  wire_reader_free(r);
}

static void result_free(struct result *r) {
  buf_free(&r->passed);
  buf_free(&r->all);
}

static void same(const struct recorded *c, const struct result *a, const struct result *b) {
  const struct wire_outcome *x = &a->outcome, *y = &b->outcome;
  const bool usage = memcmp(&x->usage, &y->usage, offsetof(struct wire_usage, reported)) == 0;
  const bool flags = x->complete == y->complete && x->failed == y->failed && x->generated == y->generated &&
                     x->pieces == y->pieces && x->usage.reported == y->usage.reported && a->followed == b->followed;
  const bool words =
      strcmp(x->finish, y->finish) == 0 && strcmp(x->tier, y->tier) == 0 && strcmp(x->model, y->model) == 0;
  if (usage && flags && words && slice_eq(buf_slice(&a->all), buf_slice(&b->all))) {
    return;
  }
  fprintf(stderr, "%s: cut otherwise it gives\n" SLICE_FMT "\nand not\n" SLICE_FMT "\n", c->name,
          SLICE_ARG(buf_slice(&b->all)), SLICE_ARG(buf_slice(&a->all)));
  abort();
}

static size_t cut_at;
static size_t in_two(size_t at, size_t left) {
  return at < cut_at ? cut_at - at : left;
}
static size_t in_one(size_t at, size_t left) {
  (void)at;
  return left;
}
static size_t bytewise(size_t at, size_t left) {
  (void)at;
  (void)left;
  return 1;
}
static size_t anyhow(size_t at, size_t left) {
  (void)at;
  const size_t most = random_below(&rng, 2) ? 4 : 200, len = 1 + (size_t)random_below(&rng, most);
  return len < left ? len : left;
}

static void compare(const struct recorded *c, enum wire_door door, slice sent, const struct result *whole,
                    size_t (*next)(size_t, size_t)) {
  struct result cut;
  run(c, door, sent, next, &cut);
  same(c, whole, &cut);
  result_free(&cut);
}

static void every_cut(const struct recorded *c, enum wire_door door) {
  const slice sent = slice_of(c->sent);
  struct result whole;
  run(c, door, sent, in_one, &whole);
  compare(c, door, sent, &whole, bytewise);
  for (cut_at = 1; cut_at < sent.len; cut_at++) {
    compare(c, door, sent, &whole, in_two);
  }
  result_free(&whole);
}

/* A stream that stops anywhere, and one with a byte changed. */
static void random_case(const struct recorded *c, enum wire_door door) {
  struct result whole;
  const size_t len = strlen(c->sent), end = 1 + (size_t)random_below(&rng, len);
  char *bytes = mem_alloc(len);
  memcpy(bytes, c->sent, len);
  if (random_below(&rng, 2)) {
    static const char marks[] = "\r\n\"{}[]:,\\ 0x";
    bytes[random_below(&rng, len)] = marks[random_below(&rng, sizeof marks - 1)];
  }
  const slice sent = {bytes, random_below(&rng, 2) ? end : len};
  run(c, door, sent, in_one, &whole);
  compare(c, door, sent, &whole, anyhow);
  result_free(&whole);
  free(bytes);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  const uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 20261121;
  const uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : 20000;
  const size_t count = sizeof recordings / sizeof *recordings;
  printf("prop_wire: seed %llu\n", (unsigned long long)seed);
  random_seed(&rng, seed, 0);
  for (size_t i = 0; i < count; i++) {
    every_cut(&recordings[i], recordings[i].door);
    if (recordings[i].door == WIRE_CHAT) {
      every_cut(&recordings[i], WIRE_MESSAGES);
    }
  }
  for (uint64_t i = 0; i < cases; i++) {
    const struct recorded *c = &recordings[random_below(&rng, count)];
    random_case(c, c->door == WIRE_CHAT && random_below(&rng, 3) == 0 ? WIRE_MESSAGES : c->door);
  }
  printf("prop_wire: %zu answers at every cut, %llu at random\n", count, (unsigned long long)cases);
  return 0;
}
