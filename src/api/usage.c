/* GET usage: hourly rows grouped by customer, meter, dimensions and time; rows of a group combine as their meter says.
 */
#include "api/private.h"
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 8
#define KEY_BYTES_MAX ((size_t)64 << 10)

enum span { SPAN_ALL, SPAN_HOUR, SPAN_DAY, SPAN_MONTH };

struct grouping {
  slice names[GROUPS_MAX]; /* dimensions */
  size_t count;
  bool by_customer;
  enum span span;
  const char *zone;
  struct period period;
  slice meter; /* this one alone; empty: all */
};

struct group {
  const struct usage_row *first; /* stands for the group's customer and dimensions */
  instant from;
  quantity value;
  uint64_t events, rows;
};
struct groups {
  struct arena *arena;
  VEC(struct group) list;
  struct map places; /* key to one past the index in list */
};

static bool is_span(slice name, enum span *span) {
  static const char *const names[] = {"", "hour", "day", "month"};
  for (enum span s = SPAN_HOUR; s <= SPAN_MONTH; s++) {
    if (slice_is(name, names[s])) {
      *span = s;
      return true;
    }
  }
  return false;
}

static slice take_name(slice *text) {
  const char *comma = memchr(text->ptr, ',', text->len);
  size_t length = comma ? (size_t)(comma - text->ptr) : text->len;
  slice name = slice_trim((slice){text->ptr, length});
  size_t skip = length + (comma != NULL);
  *text = (slice){text->ptr + skip, text->len - skip};
  return name;
}

/* "meter,gpu,day". The meter is always part of the group: units do not add up across meters. */
static bool parse_grouping(slice text, struct grouping *g, struct error *err) {
  while (text.len > 0) {
    slice name = take_name(&text);
    if (name.len == 0 || slice_is(name, "meter") || is_span(name, &g->span)) {
      continue;
    }
    if (slice_is(name, "customer")) {
      g->by_customer = true;
    } else if (g->count < GROUPS_MAX) {
      g->names[g->count++] = name;
    } else {
      return error_set(err, ERR_LIMIT, "group_by takes at most %d dimensions", GROUPS_MAX);
    }
  }
  return true;
}

static int dimension_index(const struct meter *meter, slice name) {
  for (size_t d = 0; d < meter->dimension_count; d++) {
    if (slice_eq(meter->dimensions[d], name)) {
      return (int)d;
    }
  }
  return -1;
}

static bool names_exist(const struct catalog *catalog, const struct grouping *g, struct error *err) {
  if (g->meter.len > 0 && catalog_meter(catalog, g->meter) == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no meter \"" SLICE_FMT "\"", SLICE_ARG(g->meter));
  }
  for (size_t i = 0; i < g->count; i++) {
    bool found = false;
    for (size_t m = 0; m < catalog->meter_count && !found; m++) {
      found = dimension_index(&catalog->meters[m], g->names[i]) >= 0;
    }
    if (!found) {
      return error_set(err, ERR_INVALID, "group_by: no meter has a dimension \"" SLICE_FMT "\"",
                       SLICE_ARG(g->names[i]));
    }
  }
  return true;
}

static slice dimension_of(const struct usage_row *row, slice name) {
  int d = dimension_index(row->meter, name);
  return d < 0 ? (slice){0} : row->dimensions[d];
}

static bool span_start(const struct grouping *g, instant t, instant *out, struct error *err) {
  if (g->span == SPAN_ALL) {
    *out = g->period.from;
    return true;
  }
  if (g->span == SPAN_HOUR) {
    *out = (instant){t.ns - t.ns % (3600 * NS_PER_S)};
    return true;
  }
  char date[TIME_TEXT_MAX];
  time_format_date(t, g->zone, date);
  if (g->span == SPAN_MONTH) {
    memcpy(date + strlen("YYYY-MM-"), "01", 2);
  }
  return time_parse_loose(slice_of(date), g->zone, out, err);
}

static void group_key(struct buf *key, const struct grouping *g, const struct usage_row *row, instant start) {
  key->len = 0;
  buf_addf(key, "%u %lld", row->meter->index, (long long)start.ns);
  if (g->by_customer) {
    buf_addf(key, "\x1f" SLICE_FMT, SLICE_ARG(row->customer));
  }
  for (size_t i = 0; i < g->count; i++) {
    slice value = dimension_of(row, g->names[i]);
    buf_addf(key, "\x1f" SLICE_FMT, SLICE_ARG(value));
  }
}

static struct group *group_of(struct groups *groups, slice key, const struct usage_row *row, instant start) {
  size_t place = (size_t)map_get(&groups->places, key);
  if (place == 0) {
    vec_push(&groups->list, (struct group){.first = row, .from = start});
    place = groups->list.count;
    *map_put(&groups->places, arena_copy(groups->arena, key)) = (void *)place;
  }
  return &groups->list.items[place - 1];
}

static bool add_rows(struct groups *groups, const struct grouping *g, const struct rating_set *set, struct error *err) {
  struct buf key;
  bool ok = true;
  buf_init(&key, KEY_BYTES_MAX);
  for (size_t i = 0; ok && i < set->row_count; i++) {
    const struct usage_row *row = &set->rows[i];
    instant start;
    if (g->meter.len > 0 && !slice_eq(g->meter, row->meter->name)) {
      continue;
    }
    ok = span_start(g, row->from, &start, err);
    if (!ok) {
      break;
    }
    group_key(&key, g, row, start);
    struct group *group = group_of(groups, buf_slice(&key), row, start);
    ok = usage_combine(row->meter->aggregation, &group->value, row->value, group->rows == 0, err);
    group->events += row->events;
    group->rows++;
  }
  buf_free(&key);
  return ok;
}

static bool put_group(struct json_out *w, const struct grouping *g, const struct group *group, struct error *err) {
  const struct meter *meter = group->first->meter;
  quantity units;
  if (!int128_muldiv(group->value.e9, QUANTITY_E9, meter->base_per_unit.e9, ROUND_HALF_EVEN, &units.e9, err)) {
    return false;
  }
  json_open_object(w);
  json_put_str(w, "meter", meter->name);
  if (g->by_customer) {
    json_put_str(w, "customer", group->first->customer);
  }
  for (size_t i = 0; i < g->count; i++) {
    json_key_slice(w, g->names[i]);
    json_str(w, dimension_of(group->first, g->names[i]));
  }
  json_put_instant(w, "from", group->from);
  json_put_quantity(w, "quantity", units);
  json_put_str(w, "unit", meter->unit);
  if (meter->base_per_unit.e9 != QUANTITY_E9) {
    json_put_quantity(w, "raw_quantity", group->value);
  }
  json_put_int(w, "events", (int64_t)group->events);
  json_close_object(w);
  return true;
}

static bool put_groups(struct api_call *call, const struct grouping *g, const struct rating_set *set,
                       struct error *err) {
  struct groups groups = {.arena = set->arena};
  bool ok = add_rows(&groups, g, set, err);
  list_begin(call);
  for (size_t i = 0; ok && i < groups.list.count; i++) {
    ok = put_group(&call->json, g, &groups.list.items[i], err);
  }
  if (ok) {
    list_end(call, (slice){0});
  }
  vec_free(&groups.list);
  map_free(&groups.places);
  return ok;
}

bool usage_read(struct api_call *call, struct book *book, struct error *err) {
  const struct catalog *catalog = book_catalog(book);
  struct grouping g = {.zone = catalog->time_zone, .meter = http_query(call->http, "meter")};
  struct rating_set set;
  instant as_of = {0};
  slice as_of_text = http_query(call->http, "as_of");
  if (as_of_text.len > 0 && !time_parse_rfc3339(as_of_text, &as_of, err)) {
    return error_at(err, "as_of");
  }
  if (!call_period(call, &g.period, err) || !parse_grouping(http_query(call->http, "group_by"), &g, err) ||
      !names_exist(catalog, &g, err) || !book_usage(book, call->customer, g.period, as_of, &set, err)) {
    return false;
  }
  bool ok = put_groups(call, &g, &set, err);
  rating_set_free(&set);
  return ok;
}
