/* When which contract and plan version is in force: a period is cut into segments and stretches. */
#include "rate/private.h"

#include <stdlib.h>

/* ---- segments ---- */

/* Where a stretch of time must be cut: at versions of plans, and at months where the period has several. */
struct borders {
  instant *items;
  size_t count, capacity;
  struct period within;
};

static void add_border(struct borders *b, instant t) {
  if (t.ns > b->within.from.ns && t.ns < b->within.to.ns) {
    vec_push(b, t);
  }
}

static void add_versions(struct borders *b, const struct catalog *catalog, slice plan_name) {
  const struct plan *end = catalog->plans + catalog->plan_count;
  const struct plan *plan = catalog_plan_at(catalog, plan_name, INSTANT_MAX);
  for (; plan && plan >= catalog->plans && plan < end && slice_eq(plan->name, plan_name); plan--) {
    add_border(b, plan->valid_from);
    if (plan == catalog->plans) {
      break;
    }
  }
}

/* Tiers, allowances and minimums are of a month, also where invoices are made each quarter or year. */
static bool add_months(struct borders *b, const struct customer *customer, struct period period, struct error *err) {
  struct period own;
  if (!billing_period_at(customer, period.from, &own, err)) {
    return false;
  }
  bool several = customer->billing.every != CADENCE_MONTH && own.from.ns == period.from.ns && own.to.ns == period.to.ns;
  for (instant t = period.from; several && t.ns < period.to.ns;) {
    struct period month;
    if (!billing_month_at(customer, t, &month, err)) {
      return false;
    }
    add_border(b, month.to);
    t = month.to;
  }
  return true;
}

static int by_time(const void *a, const void *b) {
  const instant *x = a, *y = b;
  return (x->ns > y->ns) - (x->ns < y->ns);
}

struct segment_list {
  struct segment *items;
  size_t count, capacity;
};

static void add_segment(struct segment_list *list, const struct catalog *catalog, const struct contract *contract,
                        instant from, instant to) {
  const struct plan *plan = catalog_plan_at(catalog, contract->plan_name, from);
  if (plan && from.ns < to.ns) {
    vec_push(list, (struct segment){.contract = contract, .plan = plan, .from = from, .to = to});
  }
}

static bool add_segments(struct segment_list *list, const struct catalog *catalog, const struct customer *customer,
                         const struct contract *contract, struct period period, struct error *err) {
  struct borders b = {.within = {time_later(contract->from, period.from), time_earlier(contract->to, period.to)}};
  if (b.within.from.ns >= b.within.to.ns) {
    return true;
  }
  add_versions(&b, catalog, contract->plan_name);
  for (size_t i = 0; i < contract->add_on_count; i++) {
    add_versions(&b, catalog, contract->add_ons[i].plan_name);
  }
  bool ok = add_months(&b, customer, period, err);
  if (b.count > 0) {
    qsort(b.items, b.count, sizeof *b.items, by_time);
  }
  instant from = b.within.from;
  for (size_t i = 0; ok && i < b.count; i++) {
    add_segment(list, catalog, contract, from, b.items[i]);
    from = b.items[i];
  }
  add_segment(list, catalog, contract, from, b.within.to);
  vec_free(&b);
  return ok;
}

bool rate_segments(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                   struct period period, const struct segment **segments, size_t *count, struct error *err) {
  if (period.from.ns >= period.to.ns) {
    return error_set(err, ERR_INVALID, "the period to rate is empty or ends before it begins");
  }
  struct segment_list list = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < customer->contract_count; i++) {
    ok = add_segments(&list, catalog, customer, &customer->contracts[i], period, err);
  }
  struct segment *copy = arena_array(arena, list.count, sizeof *copy);
  for (size_t i = 0; i < list.count; i++) {
    copy[i] = list.items[i];
  }
  *segments = copy;
  *count = list.count;
  vec_free(&list);
  return ok;
}

bool rate_segment_at(const struct catalog *catalog, const struct customer *customer, instant t, struct segment *out,
                     struct error *err) {
  struct period month;
  const struct segment *segments;
  size_t count;
  if (!billing_month_at(customer, t, &month, err)) {
    return false;
  }
  struct arena *scratch = arena_new();
  bool ok = rate_segments(scratch, catalog, customer, month, &segments, &count, err);
  *out = (struct segment){.from = month.from, .to = month.to};
  for (size_t i = 0; ok && i < count && out->contract == NULL; i++) {
    if (segments[i].to.ns <= t.ns) {
      out->from = segments[i].to;
    } else if (segments[i].from.ns <= t.ns) {
      *out = segments[i];
    } else {
      out->to = time_earlier(out->to, segments[i].from);
    }
  }
  arena_free(scratch);
  return ok;
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

static size_t sort_cuts(struct cuts *cuts) {
  size_t kept = 0;
  if (cuts->count > 1) {
    qsort(cuts->items, cuts->count, sizeof *cuts->items, by_time);
  }
  for (size_t i = 0; i < cuts->count; i++) {
    if (kept == 0 || cuts->items[kept - 1].ns != cuts->items[i].ns) {
      cuts->items[kept++] = cuts->items[i];
    }
  }
  return kept;
}

size_t rate_cuts(const struct catalog *catalog, const struct segment *segments, size_t count, instant *cuts,
                 size_t max) {
  struct cuts found = {cuts, 0, max};
  for (size_t i = 0; i < count; i++) {
    const struct segment *s = &segments[i];
    const struct plan *terms[TERMS_MAX];
    quantity times[TERMS_MAX];
    size_t term_count = terms_of(catalog, s->contract, s->from, terms, times);
    add_borders(&found, s, i == 0, i + 1 == count);
    for (size_t t = 0; t < term_count; t++) {
      for (size_t h = 0; h < terms[t]->hours_count; h++) {
        add_hours(&found, terms[t]->hours[h], s->from, s->to);
      }
    }
  }
  return sort_cuts(&found);
}

/* Two borders a day, and one where the clocks change. */
size_t rate_cuts_max(const struct catalog *catalog, const struct segment *segments, size_t count) {
  size_t max = 0;
  for (size_t i = 0; i < count; i++) {
    const struct segment *s = &segments[i];
    const struct plan *terms[TERMS_MAX];
    quantity times[TERMS_MAX];
    size_t term_count = terms_of(catalog, s->contract, s->from, terms, times);
    size_t days = (size_t)((s->to.ns - s->from.ns) / DAY_NS) + 2;
    max += 2;
    for (size_t t = 0; t < term_count; t++) {
      max += terms[t]->hours_count * 3 * days;
    }
  }
  return max;
}

/* ---- stretches ---- */

static bool describe_share(struct arena *arena, const struct customer *customer, struct stretch *s, struct error *err) {
  struct period month;
  rate months;
  char text[2][DECIMAL_TEXT_MAX];
  if (s->months.den == 1) {
    return true;
  }
  if (!billing_month_at(customer, s->from, &month, err) || !fraction_rate(s->months, &months, err)) {
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

size_t terms_of(const struct catalog *catalog, const struct contract *contract, instant t,
                const struct plan *terms[TERMS_MAX], quantity times[TERMS_MAX]) {
  size_t count = 0;
  const struct plan *plan = catalog_plan_at(catalog, contract->plan_name, t);
  if (contract->own) {
    times[count] = QUANTITY_ONE;
    terms[count++] = contract->own;
  }
  if (plan) {
    times[count] = QUANTITY_ONE;
    terms[count++] = plan;
  }
  for (size_t i = 0; i < contract->add_on_count && count < TERMS_MAX; i++) {
    const struct plan *add_on = catalog_plan_at(catalog, contract->add_ons[i].plan_name, t);
    if (add_on) {
      times[count] = contract->add_ons[i].count;
      terms[count++] = add_on;
    }
  }
  return count;
}

const struct price_rule *rate_price_of(const struct catalog *catalog, const struct segment *segment,
                                       const struct meter *meter, const slice *dimensions) {
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  const struct price_rule *price = NULL;
  size_t count = terms_of(catalog, segment->contract, segment->from, terms, times);
  for (size_t t = 0; t < count && price == NULL; t++) {
    price = catalog_price(terms[t], meter, dimensions);
  }
  return price;
}

static bool open_stretch(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                         const struct segment *segment, struct stretch *s, struct error *err) {
  *s = (struct stretch){.customer = customer, .segment = segment, .from = segment->from, .to = segment->to};
  s->term_count = terms_of(catalog, segment->contract, segment->from, s->terms, s->times);
  for (size_t i = 0; i < s->term_count; i++) {
    s->price_count += s->terms[i]->price_count;
  }
  return months_between((struct period){s->from, s->to}, customer->time_zone, customer->billing.day, &s->months, err) &&
         describe_share(arena, customer, s, err);
}

bool stretches_of(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                  struct period period, const struct segment *segments, size_t segment_count, struct stretch **out,
                  size_t *count, struct error *err) {
  struct stretch *list = arena_array(arena, 2 * segment_count + 1, sizeof *list);
  instant reached = period.from;
  *out = list;
  *count = 0;
  for (size_t i = 0; i < segment_count; i++) {
    if (segments[i].from.ns > reached.ns) {
      list[(*count)++] = (struct stretch){.from = reached, .to = segments[i].from};
    }
    if (!open_stretch(arena, catalog, customer, &segments[i], &list[*count], err)) {
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
