/* Fuzzes parts of the kept aggregates: hostile records behind a right checksum are refused, or give usage that
 * finishes. */
#include "base/hash.h"
#include "meter/rollup.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: held, event: e, value: v, aggregation: integral, over: hour, unit: u, series: s, dimensions: [d]}\n"
    "  - {name: total, event: e, value: v, unit: u, dimensions: [d, s]}\n"
    "  - {name: last, event: e, value: v, aggregation: latest, unit: u}\n"
    "  - {name: distinct, event: e, value: s, aggregation: unique, unit: u}\n"
    "plans:\n  - {name: p, prices: [{meter: total, price: 1}]}\n"
    "customers:\n  - {id: c, name: C, country: NL, plan: p}\n";

#define PARTS_MAX 8
struct parts {
  struct rollup_place places[PARTS_MAX];
  slice bytes[PARTS_MAX];
  size_t count;
  struct arena *arena;
};

static bool take_part(void *context, const struct rollup_place *place, slice bytes, struct error *err) {
  (void)err;
  struct parts *p = context;
  must(p->count < PARTS_MAX);
  p->places[p->count] = *place;
  p->places[p->count].customer = arena_copy(p->arena, place->customer);
  p->bytes[p->count++] = arena_copy(p->arena, bytes);
  return true;
}

static const struct catalog *the_catalog(void) {
  static struct catalog *catalog;
  struct error err = {0};
  const struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  must(catalog != NULL || catalog_parse(&text, 1, &catalog, &err));
  return catalog;
}

static const struct parts *the_parts(void) {
  static struct parts parts;
  struct error err = {0};
  struct event_field fields[] = {
      {SLICE("d"), SLICE("x"), false}, {SLICE("s"), SLICE("y"), false}, {SLICE("v"), SLICE("2.5"), true}};
  if (parts.count > 0) {
    return &parts;
  }
  parts.arena = arena_new();
  struct usage *u = usage_new(the_catalog());
  usage_whole_hours(u);
  for (int i = 0; i < 6; i++) {
    const struct event e = {.id = SLICE("i"),
                            .source = SLICE("s"),
                            .type = SLICE("e"),
                            .subject = SLICE("c"),
                            .time = {(INT64_C(1790812800) + i * 2000) * NS_PER_S},
                            .fields = fields,
                            .field_count = 3};
    must(usage_add(u, &e, &err));
  }
  must(rollup_export(u, take_part, &parts, &err) && parts.count > 0);
  usage_free(u);
  return &parts;
}

static void import(const struct rollup_place *place, slice bytes) {
  struct usage *u = usage_new(the_catalog());
  const struct usage_row *rows;
  size_t count;
  struct error err = {0};
  const int64_t start = INT64_C(1790812800) * NS_PER_S;
  usage_without_evidence(u);
  usage_window(u, SLICE("c"), (struct period){{start}, {start + 86400 * NS_PER_S}}, NULL, 0);
  bool ok = rollup_import(u, place, bytes, &err) && usage_finish(u, &rows, &count, &err);
  must(ok || err.code != ERR_NONE);
  usage_free(u);
}

/* The first byte says which part, then come two of place and one of change. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const struct parts *parts = the_parts();
  if (size < 1) {
    return 0;
  }
  const struct rollup_place *place = &parts->places[data[0] % parts->count];
  slice part = parts->bytes[data[0] % parts->count];
  uint32_t unpacked, check;
  memcpy(&unpacked, part.ptr + 8, 4);
  size_t bound = ZSTD_compressBound(unpacked);
  char *raw = mem_alloc((size_t)unpacked + 1), *bytes = mem_alloc(ROLLUP_HEAD_BYTES + bound);
  must(ZSTD_decompress(raw, unpacked, part.ptr + ROLLUP_HEAD_BYTES, part.len - ROLLUP_HEAD_BYTES) == unpacked);
  for (size_t i = 1; i + 2 < size && i < 96; i += 3) {
    raw[(data[i] | (size_t)data[i + 1] << 8) % unpacked] ^= (char)data[i + 2];
  }
  size_t packed = ZSTD_compress(bytes + ROLLUP_HEAD_BYTES, bound, raw, unpacked, 1);
  must(!ZSTD_isError(packed));
  memcpy(bytes, ROLLUP_MAGIC, 4);
  memcpy(bytes + 8, &unpacked, 4);
  check = crc32c(0, bytes + 8, packed + 4);
  memcpy(bytes + 4, &check, 4);
  import(place, (slice){bytes, ROLLUP_HEAD_BYTES + packed});
  import(place, (slice){(const char *)data, size});
  free(raw);
  free(bytes);
  return 0;
}
