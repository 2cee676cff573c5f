/* When which contract and plan version is in force, and what share of a month a stretch of time is. */
#include "rate/private.h"

#include <stdlib.h>

/* ---- segments ---- */

static instant later(instant a, instant b) {
  return a.ns > b.ns ? a : b;
}

static instant earlier(instant a, instant b) {
  return a.ns < b.ns ? a : b;
}

/* Versions of a plan stand next to each other in the catalog, by valid_from. */
static const struct plan *previous_version(const struct catalog *catalog, const struct plan *plan) {
  return plan > catalog->plans && slice_eq(plan[-1].name, plan->name) ? plan - 1 : NULL;
}

static const struct plan *version_in_force_or_next(const struct catalog *catalog, slice name, struct period p) {
  const struct plan *plan = catalog_plan_at(catalog, name, (instant){p.to.ns - 1});
  while (plan && plan->valid_from.ns > p.from.ns && previous_version(catalog, plan)) {
    plan = previous_version(catalog, plan);
  }
  return plan;
}

struct segment_list {
  struct segment *items;
  size_t count, capacity;
};

static void add_segments(struct segment_list *list, const struct catalog *catalog, const struct contract *contract,
                         struct period period) {
  struct period p = {later(contract->from, period.from), earlier(contract->to, period.to)};
  if (p.from.ns >= p.to.ns) {
    return;
  }
  const struct plan *end = catalog->plans + catalog->plan_count;
  const struct plan *plan = version_in_force_or_next(catalog, contract->plan_name, p);
  while (plan && plan < end && slice_eq(plan->name, contract->plan_name) && plan->valid_from.ns < p.to.ns) {
    const struct plan *next = plan + 1;
    bool replaced = next < end && slice_eq(next->name, plan->name);
    instant from = later(plan->valid_from, p.from);
    instant to = replaced ? earlier(next->valid_from, p.to) : p.to;
    if (from.ns < to.ns) {
      vec_push(list, (struct segment){.contract = contract, .plan = plan, .from = from, .to = to});
    }
    plan = next;
  }
}

bool rate_segments(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                   struct period period, const struct segment **segments, size_t *count, struct error *err) {
  if (period.from.ns >= period.to.ns) {
    return error_set(err, ERR_INVALID, "the period to rate is empty or ends before it begins");
  }
  struct segment_list list = {0};
  for (size_t i = 0; i < customer->contract_count; i++) {
    add_segments(&list, catalog, &customer->contracts[i], period);
  }
  struct segment *copy = arena_array(arena, list.count, sizeof *copy);
  for (size_t i = 0; i < list.count; i++) {
    copy[i] = list.items[i];
  }
  *segments = copy;
  *count = list.count;
  vec_free(&list);
  return true;
}

/* ---- cuts ---- */

#define HOUR_NS (3600 * NS_PER_S)
#define DAY_NS (24 * HOUR_NS)

struct cuts {
  instant *items;
  size_t count, max;
};

static void add_cut(struct cuts *cuts, instant cut) {
  if (cuts->count < cuts->max) {
    cuts->items[cuts->count++] = cut;
  }
}

/* Rows are of full hours of UTC, so that only other borders need a cut. */
static void add_hours(struct cuts *cuts, const struct hours *hours, instant from, instant to) {
  for (instant t = from, next; t.ns < to.ns; t = next) {
    next = to;
    (void)hours_hold(hours, t, &next);
    if (next.ns < to.ns && next.ns % HOUR_NS != 0) {
      add_cut(cuts, next);
    }
  }
}

/* The first and the last border are cuts only where something begins or ends there, not where the period was clipped.
 */
static void add_borders(struct cuts *cuts, const struct segment *s, bool first, bool last) {
  if (!first || s->from.ns == s->contract->from.ns || s->from.ns == s->plan->valid_from.ns) {
    add_cut(cuts, s->from);
  }
  if (!last || s->to.ns == s->contract->to.ns) {
    add_cut(cuts, s->to);
  }
}

static int by_instant(const void *a, const void *b) {
  const instant *x = a, *y = b;
  return (x->ns > y->ns) - (x->ns < y->ns);
}

static size_t sort_cuts(struct cuts *cuts) {
  size_t kept = 0;
  if (cuts->count > 1) {
    qsort(cuts->items, cuts->count, sizeof *cuts->items, by_instant);
  }
  for (size_t i = 0; i < cuts->count; i++) {
    if (kept == 0 || cuts->items[kept - 1].ns != cuts->items[i].ns) {
      cuts->items[kept++] = cuts->items[i];
    }
  }
  return kept;
}

static size_t terms_of(const struct segment *s, const struct plan *terms[2]) {
  terms[0] = s->contract->own ? s->contract->own : s->plan;
  terms[1] = s->plan;
  return s->contract->own ? 2 : 1;
}

size_t rate_cuts(const struct segment *segments, size_t count, instant *items, size_t max) {
  struct cuts cuts = {items, 0, max};
  for (size_t i = 0; i < count; i++) {
    const struct segment *s = &segments[i];
    const struct plan *terms[2];
    size_t term_count = terms_of(s, terms);
    add_borders(&cuts, s, i == 0, i + 1 == count);
    for (size_t t = 0; t < term_count; t++) {
      for (size_t h = 0; h < terms[t]->hours_count; h++) {
        add_hours(&cuts, terms[t]->hours[h], s->from, s->to);
      }
    }
  }
  return sort_cuts(&cuts);
}

/* Two borders a day, and one where the clocks change. */
size_t rate_cuts_max(const struct segment *segments, size_t count) {
  size_t max = 0;
  for (size_t i = 0; i < count; i++) {
    const struct segment *s = &segments[i];
    const struct plan *terms[2];
    size_t term_count = terms_of(s, terms), days = (size_t)((s->to.ns - s->from.ns) / DAY_NS) + 2;
    max += 2;
    for (size_t t = 0; t < term_count; t++) {
      max += terms[t]->hours_count * 3 * days;
    }
  }
  return max;
}

/* ---- months ---- */

struct month {
  struct civil first;
  instant from, to;
};

static bool month_at(struct civil first, const char *zone, struct month *out, struct error *err) {
  out->first = first;
  return time_from_civil(first, zone, &out->from, err) &&
         time_from_civil(time_add_months(first, 1), zone, &out->to, err);
}

/* The local month can differ by one from that of UTC. */
static bool month_of(instant t, const char *zone, struct month *out, struct error *err) {
  struct civil utc = time_civil_utc(t);
  struct civil first = {.year = utc.year, .month = utc.month, .day = 1};
  if (!month_at(first, zone, out, err)) {
    return false;
  }
  if (t.ns < out->from.ns) {
    return month_at(time_add_months(first, -1), zone, out, err);
  }
  return t.ns < out->to.ns || month_at(time_add_months(first, 1), zone, out, err);
}

static int64_t month_seconds(const struct month *m) {
  int64_t ns = m->to.ns - m->from.ns;
  must(ns > 0 && ns % NS_PER_S == 0);
  return ns / NS_PER_S;
}

/* a/A + c/C + whole months between, over the common denominator A x C; months are whole seconds long. */
static bool months_between(struct period p, const char *zone, struct fraction *out, struct error *err) {
  struct month first, last;
  if (p.to.ns < p.from.ns) {
    return error_set(err, ERR_INVALID, "a share of a month was asked for a time that ends before it begins");
  }
  if (p.to.ns == p.from.ns) {
    *out = (struct fraction){0, 1};
    return true;
  }
  if (!month_of(p.from, zone, &first, err) || !month_of((instant){p.to.ns - 1}, zone, &last, err)) {
    return false;
  }
  int64_t first_seconds = month_seconds(&first), last_seconds = month_seconds(&last);
  int between = (last.first.year - first.first.year) * 12 + last.first.month - first.first.month - 1;
  if (between < 0) {
    *out = (struct fraction){p.to.ns - p.from.ns, (int128)first_seconds * NS_PER_S};
  } else {
    int128 lengths = (int128)first_seconds * last_seconds;
    out->num = between * lengths * NS_PER_S + (int128)(first.to.ns - p.from.ns) * last_seconds +
               (int128)(p.to.ns - last.from.ns) * first_seconds;
    out->den = lengths * NS_PER_S;
  }
  fraction_reduce(out);
  return true;
}

bool rate_months(instant from, instant to, const char *zone, rate *out, struct error *err) {
  struct fraction months;
  return months_between((struct period){from, to}, zone, &months, err) &&
         int128_muldiv(RATE_ONE.e12, months.num, months.den, ROUND_HALF_EVEN, &out->e12, err);
}

/* ---- stretches ---- */

static bool describe_share(struct arena *arena, const struct customer *customer, struct stretch *s, struct error *err) {
  struct month month;
  rate months;
  char text[2][DECIMAL_TEXT_MAX];
  if (s->months.den == 1) {
    return true;
  }
  if (!month_of(s->from, customer->time_zone, &month, err) ||
      !rate_months(s->from, s->to, customer->time_zone, &months, err)) {
    return false;
  }
  int64_t part = s->to.ns - s->from.ns, whole = month.to.ns - month.from.ns;
  if (s->to.ns > month.to.ns) {
    s->prorated = arena_printf(arena, "prorated to %s months", rate_text(months, text[0]));
  } else if (part % DAY_NS == 0 && whole % DAY_NS == 0) {
    s->prorated = arena_printf(arena, "prorated %d of %d days", (int)(part / DAY_NS), (int)(whole / DAY_NS));
  } else {
    s->prorated = arena_printf(arena, "prorated %s of %s seconds", quantity_text((quantity){part}, text[0]),
                               quantity_text((quantity){whole}, text[1]));
  }
  return true;
}

static bool open_stretch(struct arena *arena, const struct customer *customer, const struct segment *segment,
                         struct stretch *s, struct error *err) {
  *s = (struct stretch){.segment = segment, .from = segment->from, .to = segment->to};
  s->term_count = terms_of(segment, s->terms);
  for (size_t i = 0; i < s->term_count; i++) {
    s->price_count += s->terms[i]->price_count;
  }
  return months_between((struct period){s->from, s->to}, customer->time_zone, &s->months, err) &&
         describe_share(arena, customer, s, err);
}

bool stretches_of(struct arena *arena, const struct customer *customer, struct period period,
                  const struct segment *segments, size_t segment_count, struct stretch **out, size_t *count,
                  struct error *err) {
  struct stretch *list = arena_array(arena, 2 * segment_count + 1, sizeof *list);
  instant reached = period.from;
  *out = list;
  *count = 0;
  for (size_t i = 0; i < segment_count; i++) {
    if (segments[i].from.ns > reached.ns) {
      list[(*count)++] = (struct stretch){.from = reached, .to = segments[i].from};
    }
    if (!open_stretch(arena, customer, &segments[i], &list[*count], err)) {
      return false;
    }
    (*count)++;
    reached = segments[i].to;
  }
  if (reached.ns < period.to.ns) {
    list[(*count)++] = (struct stretch){.from = reached, .to = period.to};
  }
  return true;
}
