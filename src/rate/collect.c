/* From usage rows to items: each run of rows is matched once, and merged at once where its order does not matter. */
#include "rate/private.h"

bool meter_combines(const struct meter *meter) {
  return meter->aggregation == AGG_MAX || meter->aggregation == AGG_MIN || meter->aggregation == AGG_LATEST;
}

bool error_at_price(const struct price_rule *price, struct error *err) {
  return error_at(err, "%s:%d: price \"" SLICE_FMT "\"", price->place.file, price->place.line, SLICE_ARG(price->name));
}

uint32_t count_add(uint32_t a, uint32_t b) {
  return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* ---- what would take a run ---- */

static void find_price(const struct stretch *stretch, struct run *run) {
  size_t before = 0;
  for (size_t t = 0; t < stretch->term_count && !run->price; t++) {
    const struct plan *plan = stretch->terms[t];
    run->price = catalog_price(plan, run->meter, run->dimensions);
    run->slot = run->price ? before + (size_t)(run->price - plan->prices) : 0;
    before += plan->price_count;
  }
}

bool price_multiplier(const struct price_rule *price, const slice *dimensions, instant t, rate *out, instant *until,
                      struct error *err) {
  *out = RATE_ONE;
  for (size_t i = 0; i < price->multiplier_count; i++) {
    const struct multiplier *m = &price->multipliers[i];
    if (!match_all(m->matches, m->match_count, dimensions) || (m->hours && !hours_hold(m->hours, t, until))) {
      continue;
    }
    if (!rate_times(*out, m->by, out, err)) {
      return error_at_price(price, err);
    }
  }
  return true;
}

static bool find_multiplier(struct run *run, instant t, struct error *err) {
  run->multiplier = RATE_ONE;
  run->until = INSTANT_MAX;
  return run->price == NULL || price_multiplier(run->price, run->dimensions, t, &run->multiplier, &run->until, err);
}

static size_t allowance_count(const struct stretch *stretch) {
  size_t count = 0;
  for (size_t t = 0; t < stretch->term_count; t++) {
    count += stretch->terms[t]->allowance_count;
  }
  return count;
}

static void find_allowances(struct arena *scratch, const struct stretch *stretch, struct run *run) {
  uint64_t *bits = NULL;
  size_t at = 0;
  for (size_t t = 0; t < stretch->term_count; t++) {
    const struct plan *plan = stretch->terms[t];
    for (size_t i = 0; i < plan->allowance_count; i++, at++) {
      const struct allowance *a = &plan->allowances[i];
      if (a->meter != run->meter || !match_all(a->matches, a->match_count, run->dimensions)) {
        continue;
      }
      if (!bits) {
        bits = arena_array(scratch, allowance_count(stretch) / 64 + 1, sizeof *bits);
      }
      bits[at / 64] |= UINT64_C(1) << (at % 64);
    }
  }
  run->allowances = bits;
}

/* ---- the walk ---- */

struct cursor {
  const struct intake *intake;
  struct stretch *stretch;
  struct run *run;
  const struct usage_row *previous;
  bool merging;  /* the run's rows become one item */
  bool has_item; /* the stretch's last item is this run's */
};

static bool same_run(const struct usage_row *a, const struct usage_row *b) {
  if (a->meter != b->meter) {
    return false;
  }
  for (size_t i = 0; a->dimensions != b->dimensions && i < a->meter->dimension_count; i++) {
    if (!slice_eq(a->dimensions[i], b->dimensions[i])) {
      return false;
    }
  }
  return true;
}

static bool begin_run(struct cursor *c, const struct usage_row *row, instant from, struct error *err) {
  struct run *run = arena_alloc(c->intake->scratch, sizeof *run);
  *run = (struct run){.meter = row->meter, .dimensions = row->dimensions};
  find_price(c->stretch, run);
  find_allowances(c->intake->scratch, c->stretch, run);
  find_claims(c->intake->scratch, c->stretch, run);
  bool tiered = run->price && price_climbs(run->price) && run->price->tier_count > 1;
  c->merging = meter_combines(row->meter) || (!tiered && !run->allowances && !run->claims);
  c->stretch->ordered |= tiered || run->allowances;
  c->run = run;
  c->has_item = false;
  return find_multiplier(run, from, err);
}

static struct stretch *stretch_at(const struct intake *intake, instant t) {
  size_t low = 0, high = intake->stretch_count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (intake->stretches[middle].from.ns <= t.ns) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return &intake->stretches[low];
}

static bool refuse(const struct usage_row *row, const char *why, struct error *err) {
  char from[TIME_TEXT_MAX];
  return error_set(err, ERR_INVALID, "usage of meter \"" SLICE_FMT "\" at %s: %s", SLICE_ARG(row->meter->name),
                   time_format(row->from, from), why);
}

static bool check_row(const struct cursor *c, const struct usage_row *row, struct error *err) {
  struct period period = c->intake->period;
  if (!slice_eq(row->customer, c->intake->customer->id)) {
    return refuse(row, "it is of another customer", err);
  }
  if (row->value.e9 < 0) {
    return refuse(row, "the quantity is negative", err);
  }
  if (row->from.ns >= row->to.ns || row->to.ns <= period.from.ns || row->from.ns >= period.to.ns) {
    return refuse(row, "it is outside the period", err);
  }
  return true;
}

static bool find_run(struct cursor *c, const struct usage_row *row, struct error *err) {
  instant from = time_later(row->from, c->intake->period.from);
  instant to = time_earlier(row->to, c->intake->period.to);
  struct stretch *stretch = c->stretch;
  if (!stretch || from.ns < stretch->from.ns || from.ns >= stretch->to.ns) {
    stretch = stretch_at(c->intake, from);
  }
  if (to.ns > stretch->to.ns) {
    return refuse(row, "it crosses a change of contract or plan; cut usage at rate_cuts first", err);
  }
  if (!c->run || stretch != c->stretch || from.ns >= c->run->until.ns || !same_run(c->previous, row)) {
    c->stretch = stretch;
    if (!begin_run(c, row, from, err)) {
      return false;
    }
  }
  return to.ns <= c->run->until.ns ||
         refuse(row, "it crosses a border of hours that have a multiplier; cut usage at rate_cuts first", err);
}

static bool merge_row(struct item *item, const struct usage_row *row, struct error *err) {
  if (!usage_combine(row->meter->aggregation, &item->raw, row->value, false, err)) {
    error_at(err, "usage of meter \"" SLICE_FMT "\"", SLICE_ARG(row->meter->name));
    return item->run->price ? error_at_price(item->run->price, err) : false;
  }
  item->to = row->to;
  item->rows = count_add(item->rows, 1);
  item->events = count_add(item->events, row->events);
  return true;
}

bool collect_items(const struct intake *intake, const struct usage_row *rows, size_t count, struct error *err) {
  struct cursor c = {.intake = intake};
  for (size_t i = 0; i < count; i++) {
    const struct usage_row *row = &rows[i];
    if (!check_row(&c, row, err) || !find_run(&c, row, err)) {
      return false;
    }
    struct stretch *s = c.stretch;
    if (c.merging && c.has_item) {
      if (!merge_row(&s->items[s->count - 1], row, err)) {
        return false;
      }
    } else {
      vec_push(s, (struct item){.run = c.run,
                                .raw = row->value,
                                .from = row->from,
                                .to = row->to,
                                .rows = 1,
                                .events = row->events,
                                .sequence = i});
      c.has_item = true;
    }
    c.previous = row;
  }
  return true;
}
