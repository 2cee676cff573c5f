/* A part of the kept aggregates as bytes, and back: bins by the hour, changes of levels, first sights of values. */
#include "base/hash.h"
#include "meter/rollup.h"
#include "meter/varint.h"
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define HOUR_NS (INT64_C(3600) * NS_PER_S)
#define ZSTD_LEVEL 1

int64_t rollup_page(instant t) {
  return t.ns / ROLLUP_PAGE_NS;
}

/* ---- writing ---- */

struct part {
  struct rollup_place place;
  struct buf bytes;
};
struct exporting {
  struct arena *arena;
  struct map places;
  VEC(struct part *) parts;
};

static struct buf *part_of(struct exporting *x, slice customer, enum rollup_kind kind, instant t) {
  struct {
    int64_t page;
    uint64_t kind;
    char customer[EVENT_ATTRIBUTE_BYTES_MAX];
  } key = {.page = rollup_page(t), .kind = kind};
  must(customer.len <= sizeof key.customer);
  memcpy(key.customer, customer.ptr, customer.len);
  slice bytes = {(const char *)&key, sizeof key - sizeof key.customer + customer.len};
  struct part *part = map_get(&x->places, bytes);
  if (part == NULL) {
    part = arena_alloc(x->arena, sizeof *part);
    part->place = (struct rollup_place){customer, kind, key.page};
    buf_init(&part->bytes, ROLLUP_UNPACKED_BYTES_MAX);
    *map_put(&x->places, arena_copy(x->arena, bytes)) = part;
    vec_push(&x->parts, part);
  }
  return &part->bytes;
}

static void put_set(struct buf *b, const struct meter *meter, const slice *dimensions) {
  put_varint(b, meter->index);
  for (size_t d = 0; d < meter->dimension_count; d++) {
    put_string(b, dimensions[d]);
  }
}

static void put_raw(struct buf *b, const void *bytes, size_t size) {
  buf_add(b, (slice){bytes, size});
}

static void put_value(struct buf *b, quantity v) {
  if (v.e9 >= 0 && v.e9 % QUANTITY_E9 == 0 && v.e9 / QUANTITY_E9 < (int128)1 << 60) {
    put_varint(b, (uint64_t)(v.e9 / QUANTITY_E9) << 1);
  } else {
    put_varint(b, 1);
    put_raw(b, &v.e9, sizeof v.e9);
  }
}

static void put_bin(struct buf *b, const struct usage_set *set, size_t i) {
  const struct usage_bin *bin = &set->bins.items[i];
  put_varint(b, (uint64_t)(bin->from.ns % ROLLUP_PAGE_NS / HOUR_NS));
  put_varint(b, bin->events);
  put_value(b, bin->value);
  if (set->meter->aggregation == AGG_LATEST) {
    put_varint(b, (uint64_t)(set->latest.items[i].time.ns - bin->from.ns));
    put_raw(b, &set->latest.items[i].tie, 8);
  }
}

static void put_bins(struct exporting *x, const struct usage_set *set) {
  for (size_t i = 0; i < set->bins.count;) {
    int64_t page = rollup_page(set->bins.items[i].from);
    size_t end = i;
    while (end < set->bins.count && rollup_page(set->bins.items[end].from) == page) {
      end++;
    }
    struct buf *b = part_of(x, set->customer, ROLLUP_BINS, set->bins.items[i].from);
    put_set(b, set->meter, set->dimensions);
    put_varint(b, end - i);
    for (; i < end; i++) {
      put_bin(b, set, i);
    }
  }
}

static void put_change(struct exporting *x, const struct level_change *c) {
  struct buf *b = part_of(x, c->customer, ROLLUP_CHANGES, c->time);
  put_set(b, c->meter, c->dimensions);
  if (c->meter->series_field.len > 0) {
    put_string(b, c->series);
  }
  put_varint(b, (uint64_t)c->time.ns);
  put_value(b, c->level);
  put_raw(b, &c->tie, 8);
  put_varint(b, c->number);
}

static void put_sight(struct exporting *x, const struct first_sight *s) {
  struct buf *b = part_of(x, s->set->customer, ROLLUP_SIGHTS, s->time);
  put_set(b, s->set->meter, s->set->dimensions);
  put_string(b, s->value);
  put_varint(b, (uint64_t)s->time.ns);
}

static bool write_part(const struct part *part, rollup_take take, void *context, struct error *err) {
  if (part->bytes.failed) {
    return error_set(err, ERR_LIMIT, "the aggregates of one customer and month are larger than a gigabyte");
  }
  size_t bound = ZSTD_compressBound(part->bytes.len);
  char *packed = mem_grow(NULL, ROLLUP_HEAD_BYTES + bound, 1);
  size_t size = ZSTD_compress(packed + ROLLUP_HEAD_BYTES, bound, part->bytes.ptr, part->bytes.len, ZSTD_LEVEL);
  must(!ZSTD_isError(size));
  uint32_t unpacked = (uint32_t)part->bytes.len;
  memcpy(packed, ROLLUP_MAGIC, 4);
  memcpy(packed + 8, &unpacked, 4);
  uint32_t check = crc32c(0, packed + 8, size + 4);
  memcpy(packed + 4, &check, 4);
  bool ok = take(context, &part->place, (slice){packed, ROLLUP_HEAD_BYTES + size}, err);
  free(packed);
  return ok;
}

bool rollup_export(const struct usage *u, rollup_take take, void *context, struct error *err) {
  struct exporting x = {.arena = arena_new()};
  bool ok = true;
  for (size_t i = 0; i < u->all_sets.count; i++) {
    put_bins(&x, u->all_sets.items[i]);
  }
  for (size_t i = 0; i < u->changes.count; i++) {
    put_change(&x, &u->changes.items[i]);
  }
  for (size_t i = 0; i < u->all_sights.count; i++) {
    put_sight(&x, u->all_sights.items[i]);
  }
  for (size_t i = 0; i < x.parts.count; i++) {
    ok = ok && write_part(x.parts.items[i], take, context, err);
    buf_free(&x.parts.items[i]->bytes);
  }
  vec_free(&x.parts);
  map_free(&x.places);
  arena_free(x.arena);
  return ok;
}

/* ---- reading ---- */

struct importing {
  struct usage *usage;
  const struct rollup_place *place;
  struct window *window;
  struct varints in;
};

static void take_raw(struct varints *in, void *to, size_t size) {
  slice bytes = take_bytes(in, size);
  memset(to, 0, size);
  if (bytes.len == size) {
    memcpy(to, bytes.ptr, size);
  }
}

static quantity take_value(struct varints *in) {
  quantity v = QUANTITY_ZERO;
  uint64_t code = take_varint(in);
  if (code & 1) {
    take_raw(in, &v.e9, sizeof v.e9);
  } else {
    v.e9 = (int128)(code >> 1) * QUANTITY_E9;
  }
  return v;
}

static const struct meter *take_set(struct importing *m, slice dimensions[CATALOG_DIMENSIONS_MAX]) {
  uint64_t index = take_varint(&m->in);
  if (index >= m->usage->catalog->meter_count) {
    m->in.broken = true;
    return NULL;
  }
  const struct meter *meter = &m->usage->catalog->meters[index];
  for (size_t d = 0; d < meter->dimension_count; d++) {
    dimensions[d] = take_string(&m->in);
  }
  return meter;
}

static bool add_bin(struct importing *m, struct usage_set *set, struct error *err) {
  uint64_t hour = take_varint(&m->in), events = take_varint(&m->in);
  quantity value = take_value(&m->in);
  struct usage_latest latest = {0};
  if (hour >= ROLLUP_PAGE_HOURS || events > UINT32_MAX) {
    m->in.broken = true;
    return true;
  }
  instant from = {m->place->page * ROLLUP_PAGE_NS + (int64_t)hour * HOUR_NS};
  if (set->meter->aggregation == AGG_LATEST) {
    latest.time.ns = from.ns + (int64_t)(take_varint(&m->in) % (uint64_t)HOUR_NS);
    take_raw(&m->in, &latest.tie, 8);
  }
  if (m->in.broken) {
    return true;
  }
  if (!window_takes_hour(m->window, from)) {
    return true;
  }
  struct usage_bin *bin = usage_bin_of(set, from);
  bool first = bin->events == 0;
  bin->events += (uint32_t)events;
  if (set->meter->aggregation == AGG_LATEST) {
    struct usage_latest *kept = &set->latest.items[bin - set->bins.items];
    if (!first && (latest.time.ns < kept->time.ns || (latest.time.ns == kept->time.ns && latest.tie <= kept->tie))) {
      return true;
    }
    *kept = latest;
  }
  return usage_combine(set->meter->aggregation, &bin->value, value, first, err);
}

static bool import_bins(struct importing *m, struct error *err) {
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  const struct meter *meter = take_set(m, dimensions);
  uint32_t count = take_count(&m->in);
  if (m->in.broken) {
    return true;
  }
  struct usage_set *set = usage_set_of(m->usage, meter, m->place->customer, dimensions, m->window);
  usage_set_reserve(set, count);
  for (uint32_t i = 0; i < count && !m->in.broken; i++) {
    if (!add_bin(m, set, err)) {
      return false;
    }
  }
  return true;
}

static void import_change(struct importing *m) {
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  struct level_change c = {.window = m->window};
  c.meter = take_set(m, dimensions);
  if (c.meter && c.meter->series_field.len > 0) {
    c.series = take_string(&m->in);
  }
  c.time.ns = (int64_t)take_varint(&m->in);
  c.level = take_value(&m->in);
  take_raw(&m->in, &c.tie, 8);
  c.number = take_varint(&m->in);
  if (c.meter == NULL || c.time.ns < 0 || c.time.ns > INSTANT_MAX.ns) {
    m->in.broken = true;
  }
  if (m->in.broken || c.time.ns >= m->window->period.to.ns ||
      usage_hides(m->usage, c.number, m->place->customer, c.meter, c.time)) {
    return;
  }
  usage_add_change(m->usage, &c, m->place->customer, dimensions);
}

static void import_sight(struct importing *m) {
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  const struct meter *meter = take_set(m, dimensions);
  slice value = take_string(&m->in);
  instant time = {(int64_t)take_varint(&m->in)};
  if (meter == NULL || time.ns < 0 || time.ns > INSTANT_MAX.ns) {
    m->in.broken = true;
  }
  if (!m->in.broken && window_takes_hour(m->window, (instant){time.ns - time.ns % HOUR_NS})) {
    usage_add_sight(m->usage, usage_set_of(m->usage, meter, m->place->customer, dimensions, m->window), value, time);
  }
}

static bool import_records(struct importing *m, struct error *err) {
  while (m->in.at < m->in.end && !m->in.broken) {
    switch (m->place->kind) {
    case ROLLUP_BINS:
      if (!import_bins(m, err)) {
        return false;
      }
      break;
    case ROLLUP_CHANGES:
      import_change(m);
      break;
    case ROLLUP_SIGHTS:
      import_sight(m);
      break;
    }
  }
  return !m->in.broken || error_set(err, ERR_CORRUPT, "aggregates: the records do not hold together");
}

bool rollup_import(struct usage *u, const struct rollup_place *place, slice bytes, struct error *err) {
  struct importing m = {u, place, usage_window_of(u, place->customer), {0}};
  uint32_t check, unpacked;
  if (m.window == NULL) {
    return true;
  }
  if (bytes.len < ROLLUP_HEAD_BYTES || memcmp(bytes.ptr, ROLLUP_MAGIC, 4) != 0) {
    return error_set(err, ERR_CORRUPT, "aggregates: not a part");
  }
  memcpy(&check, bytes.ptr + 4, 4);
  memcpy(&unpacked, bytes.ptr + 8, 4);
  slice packed = {bytes.ptr + ROLLUP_HEAD_BYTES, bytes.len - ROLLUP_HEAD_BYTES};
  if (crc32c(0, bytes.ptr + 8, bytes.len - 8) != check || unpacked > ROLLUP_UNPACKED_BYTES_MAX ||
      ZSTD_getFrameContentSize(packed.ptr, packed.len) != unpacked) {
    return error_set(err, ERR_CORRUPT, "aggregates: the checksum of a part does not match");
  }
  char *records = mem_grow(NULL, (size_t)unpacked + 1, 1);
  bool ok = ZSTD_decompress(records, unpacked, packed.ptr, packed.len) == unpacked ||
            error_set(err, ERR_CORRUPT, "aggregates: a part can not be unpacked");
  m.in = varints_of((slice){records, unpacked});
  ok = ok && import_records(&m, err);
  free(records);
  return ok;
}
