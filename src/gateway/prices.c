/* What a call costs one customer: the meters that count calls, the prices that take them, tax and currency; and what a
 * call did come to. */
#include "gateway/private.h"
#include <stdlib.h>
#include <string.h>

const char *kind_name(enum kind kind) {
  static const char *const names[] = {"requests",           "input_tokens",       "cached_input_tokens",
                                      "cache_write_tokens", "input_audio_tokens", "output_tokens",
                                      "reasoning_tokens",   "output_audio_tokens"};
  must((unsigned)kind < KINDS);
  return names[kind];
}

bool kind_is_input(enum kind kind) {
  return kind >= KIND_INPUT && kind <= KIND_INPUT_AUDIO;
}

bool kind_is_output(enum kind kind) {
  return kind >= KIND_OUTPUT;
}

/* ---- a month's terms ---- */

static void terms_free(struct terms *terms) {
  map_free(&terms->quotes);
  arena_free(terms->arena);
  free(terms);
}

void terms_drop(struct terms *terms) {
  if (terms && atomic_fetch_sub(&terms->references, 1) == 1) {
    terms_free(terms);
  }
}

static struct terms *terms_new(const struct catalog *catalog, const struct customer *customer, instant now,
                               struct error *err) {
  struct segment segment;
  if (!rate_segment_at(catalog, customer, now, &segment, err)) {
    return NULL;
  }
  if (segment.contract == NULL || segment.plan == NULL) {
    error_set(err, ERR_NOT_FOUND, "customer " SLICE_FMT " has no contract now", SLICE_ARG(customer->id));
    return NULL;
  }
  struct terms *terms = mem_alloc(sizeof *terms);
  terms->arena = arena_new();
  terms->segment = segment;
  atomic_init(&terms->references, 1);
  return terms;
}

struct terms *buyer_terms(struct gateway *gateway, struct buyer *buyer, instant now, struct error *err) {
  pthread_mutex_lock(&buyer->lock);
  if (buyer->terms && now.ns >= buyer->terms->segment.to.ns) {
    terms_drop(buyer->terms);
    buyer->terms = NULL;
  }
  if (buyer->terms == NULL) {
    buyer->terms = terms_new(book_catalog(gateway->book), buyer->customer, now, err);
  }
  struct terms *terms = buyer->terms;
  if (terms) {
    atomic_fetch_add(&terms->references, 1);
  }
  pthread_mutex_unlock(&buyer->lock);
  return terms;
}

/* ---- a quote ---- */

static slice fact_of(const struct call_facts *facts, slice name) {
  static const struct {
    const char *name;
    size_t offset;
  } all[] = {{"model", offsetof(struct call_facts, model)},      {"tier", offsetof(struct call_facts, tier)},
             {"service", offsetof(struct call_facts, service)},  {"door", offsetof(struct call_facts, door)},
             {"key", offsetof(struct call_facts, key)},          {"project", offsetof(struct call_facts, project)},
             {"upstream", offsetof(struct call_facts, upstream)}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (slice_is(name, all[i].name)) {
      return *(const slice *)(const void *)((const char *)facts + all[i].offset);
    }
  }
  return (slice){0};
}

static bool kind_of(const struct meter *meter, enum kind *out) {
  if (meter->aggregation == AGG_COUNT) {
    *out = KIND_REQUESTS;
    return true;
  }
  for (enum kind k = KIND_REQUESTS; k < KINDS && meter->aggregation == AGG_SUM; k++) {
    if (slice_is(meter->value_field, kind_name(k))) {
      *out = k;
      return true;
    }
  }
  return false;
}

/* A filter on what is known of every call; the others are looked at when its event is made. */
static bool may_pass(const struct meter *meter, const struct call_facts *facts) {
  for (size_t f = 0; f < meter->filter_count; f++) {
    slice value = fact_of(facts, meter->filters[f].field);
    bool passes = value.len == 0;
    for (size_t v = 0; v < meter->filters[f].count && !passes; v++) {
      passes = slice_eq(value, meter->filters[f].values[v]);
    }
    if (!passes) {
      return false;
    }
  }
  return true;
}

static const slice *dimensions_of(struct arena *arena, const struct meter *meter, const struct call_facts *facts) {
  slice *values = arena_array(arena, meter->dimension_count + 1, sizeof *values);
  for (size_t d = 0; d < meter->dimension_count; d++) {
    values[d] = arena_copy(arena, fact_of(facts, meter->dimensions[d]));
  }
  return values;
}

static bool climbs(const struct price_rule *price) {
  return price->model != PRICE_PER_UNIT && !(price->model == PRICE_PERCENTAGE && price->tier_count == 1);
}

static int tally_of(struct terms *terms, const struct price_rule *price) {
  if (!climbs(price)) {
    return -1;
  }
  for (size_t i = 0; i < terms->tally_count; i++) {
    if (terms->tallies[i].price == price) {
      return (int)i;
    }
  }
  if (terms->tally_count == PARTS_MAX) {
    return -1;
  }
  terms->tallies[terms->tally_count] = (struct tally){.price = price};
  return (int)terms->tally_count++;
}

static const struct allowance *allowance_in(const struct plan *plan, const struct meter *meter,
                                            const slice *dimensions) {
  for (size_t i = 0; plan && i < plan->allowance_count; i++) {
    const struct allowance *a = &plan->allowances[i];
    if (a->meter == meter && match_all(a->matches, a->match_count, dimensions)) {
      return a;
    }
  }
  return NULL;
}

/* The whole of it in a month that the segment fills, the share by the second in others. */
static bool allowance_size(const struct terms *terms, const struct customer *customer, const struct allowance *a,
                           quantity *raw, struct error *err) {
  rate months;
  return rate_months(terms->segment.from, terms->segment.to, customer->time_zone, &months, err) &&
         quantity_times_rate(a->included, months.e12 > RATE_ONE.e12 ? RATE_ONE : months, ROUND_FLOOR, raw, err) &&
         int128_muldiv(raw->e9, a->meter->base_per_unit.e9, QUANTITY_E9, ROUND_FLOOR, &raw->e9, err);
}

static bool allowance_of(struct terms *terms, const struct customer *customer, const struct part *part, int *out,
                         struct error *err) {
  const struct contract *contract = terms->segment.contract;
  const struct allowance *a = allowance_in(contract->own, part->meter, part->dimensions);
  a = a ? a : allowance_in(terms->segment.plan, part->meter, part->dimensions);
  *out = -1;
  for (size_t i = 0; a && i < terms->allowance_count; i++) {
    if (terms->allowances[i].allowance == a) {
      *out = (int)i;
      return true;
    }
  }
  if (a == NULL || terms->allowance_count == PARTS_MAX) {
    return true;
  }
  struct allowance_left left = {.allowance = a};
  if (!allowance_size(terms, customer, a, &left.raw, err)) {
    return false;
  }
  *out = (int)terms->allowance_count;
  terms->allowances[terms->allowance_count++] = left;
  return true;
}

/* From the plan's currency into the customer's, and with its tax. */
static bool find_factors(const struct catalog *catalog, const struct customer *customer, const struct plan *plan,
                         instant now, struct part *part, struct error *err) {
  const struct tax *tax;
  rate taxed = {0};
  part->net_factor = RATE_ONE;
  if (strcmp(plan->currency->code, customer->currency->code) != 0) {
    const struct exchange_rate *exchange = catalog_exchange_rate(catalog, plan->currency, customer->currency, now);
    if (exchange == NULL) {
      return error_set(err, ERR_INVALID, "there is no exchange rate from %s to %s now", plan->currency->code,
                       customer->currency->code);
    }
    part->net_factor = exchange->rate;
  }
  if (!catalog_tax(catalog, customer, part->price->product, now, &tax, err) ||
      (tax && !catalog_tax_rate(tax, now, &taxed, err))) {
    return false;
  }
  if (plan->prices_include_tax) {
    taxed.e12 = 0;
  }
  taxed.e12 += RATE_ONE.e12;
  return rate_times(part->net_factor, taxed, &part->factor, err);
}

struct quoting {
  const struct catalog *catalog;
  const struct customer *customer;
  struct terms *terms;
  const struct call_facts *facts;
  struct quote *quote;
  struct part parts[PARTS_MAX];
  bool metered[KINDS], priced[KINDS];
};

static bool add_part(struct quoting *q, const struct meter *meter, enum kind kind, instant now, struct error *err) {
  struct part part = {.meter = meter, .kind = kind, .dimensions = dimensions_of(q->terms->arena, meter, q->facts)};
  part.price = rate_price_of(q->catalog, &q->terms->segment, meter, part.dimensions);
  q->metered[kind] = true;
  if (part.price == NULL || q->quote->count == PARTS_MAX) {
    return true;
  }
  part.tally = tally_of(q->terms, part.price);
  q->priced[kind] = true;
  bool ok = allowance_of(q->terms, q->customer, &part, &part.allowance, err) &&
            find_factors(q->catalog, q->customer, q->terms->segment.plan, now, &part, err);
  q->parts[q->quote->count++] = part;
  return ok;
}

/* Sold are models whose tokens, where they are metered, have a price for this customer: usage that no price takes would
 * keep its invoice from being made. */
static void fold_kinds(struct quoting *q) {
  for (enum kind k = KIND_REQUESTS; k < KINDS; k++) {
    enum kind base = kind_is_output(k) ? KIND_OUTPUT : kind_is_input(k) ? KIND_INPUT : k;
    q->quote->counts_as[k] = q->priced[k] ? k : base;
  }
  bool in = q->priced[KIND_INPUT] || !q->metered[KIND_INPUT];
  bool out = q->priced[KIND_OUTPUT] || !q->metered[KIND_OUTPUT] || slice_is(q->facts->door, "embeddings");
  q->quote->sold = q->quote->count > 0 && in && out && (q->priced[KIND_REQUESTS] || !q->metered[KIND_REQUESTS]);
}

static bool make_quote(struct quoting *q, instant now, struct error *err) {
  const struct meter *meters[CATALOG_METERS_PER_TYPE_MAX];
  size_t count =
      catalog_meters_of_type(q->catalog, q->catalog->gateway.event_type, meters, CATALOG_METERS_PER_TYPE_MAX);
  for (size_t i = 0; i < count; i++) {
    enum kind kind;
    if (kind_of(meters[i], &kind) && may_pass(meters[i], q->facts) && !add_part(q, meters[i], kind, now, err)) {
      return false;
    }
  }
  struct part *parts = arena_array(q->terms->arena, q->quote->count + 1, sizeof *parts);
  memcpy(parts, q->parts, q->quote->count * sizeof *parts);
  q->quote->parts = parts;
  fold_kinds(q);
  for (enum kind k = KIND_REQUESTS; k < KINDS; k++) {
    if (!quote_find_each(q->quote, k, err)) {
      return false;
    }
  }
  return true;
}

/* Only what some meter asks for tells quotes apart: a key or a project mostly does not. */
static slice quote_id(const struct gateway *gateway, const struct call_facts *facts, char *text, size_t size) {
  size_t length = 0;
  for (size_t i = 0; i < gateway->asked_count; i++) {
    slice value = fact_of(facts, gateway->asked[i]);
    if (length + value.len + 1 < size) {
      memcpy(text + length, value.len ? value.ptr : "", value.len);
      length += value.len;
      text[length++] = '\n';
    }
  }
  return (slice){text, length};
}

bool terms_quote(struct gateway *gateway, struct buyer *buyer, struct terms *terms, const struct call_facts *facts,
                 instant now, const struct quote **out, struct error *err) {
  char text[2048];
  slice id = quote_id(gateway, facts, text, sizeof text);
  struct quote *found = map_get(&terms->quotes, id);
  if (found == NULL) {
    struct quoting q = {.catalog = book_catalog(gateway->book),
                        .customer = buyer->customer,
                        .terms = terms,
                        .facts = facts,
                        .quote = arena_alloc(terms->arena, sizeof *found)};
    if (!make_quote(&q, now, err)) {
      return false;
    }
    found = q.quote;
    *map_put(&terms->quotes, arena_copy(terms->arena, id)) = found;
  }
  *out = found;
  return true;
}

/* ---- what was used before ---- */

bool terms_know(const struct terms *terms) {
  return terms->known_tallies == terms->tally_count && terms->known_allowances == terms->allowance_count;
}

static void learn_row(const struct gateway *gateway, struct terms *terms, const struct usage_row *row) {
  quantity left = row->value;
  for (size_t i = terms->known_allowances; i < terms->allowance_count; i++) {
    struct allowance_left *a = &terms->allowances[i];
    if (a->allowance->meter == row->meter &&
        match_all(a->allowance->matches, a->allowance->match_count, row->dimensions)) {
      int128 taken = left.e9 < a->raw.e9 ? left.e9 : a->raw.e9;
      a->raw.e9 -= taken;
      left.e9 -= taken;
    }
  }
  if (left.e9 > 0 && terms->known_tallies < terms->tally_count) {
    const struct price_rule *price =
        rate_price_of(book_catalog(gateway->book), &terms->segment, row->meter, row->dimensions);
    for (size_t i = terms->known_tallies; i < terms->tally_count; i++) {
      terms->tallies[i].raw.e9 += terms->tallies[i].price == price ? left.e9 : 0;
    }
  }
}

bool terms_learn(struct gateway *gateway, struct buyer *buyer, struct terms *terms, struct book *book,
                 struct error *err) {
  struct rating_set set;
  const struct period month = {terms->segment.from, terms->segment.to};
  if (!book_usage(book, buyer->customer->id, month, (instant){0}, &set, err)) {
    return false;
  }
  pthread_mutex_lock(&buyer->lock);
  for (size_t i = 0; i < set.row_count; i++) {
    if (slice_eq(set.rows[i].customer, buyer->customer->id)) {
      learn_row(gateway, terms, &set.rows[i]);
    }
  }
  terms->known_tallies = terms->tally_count;
  terms->known_allowances = terms->allowance_count;
  pthread_mutex_unlock(&buyer->lock);
  rating_set_free(&set);
  return true;
}

/* ---- amounts ---- */

quantity kind_units(int64_t count) {
  return (quantity){(int128)count * QUANTITY_E9};
}

void quote_give_back(struct terms *terms, const struct quote *quote, const struct set_aside *aside) {
  for (size_t i = 0; i < quote->count; i++) {
    if (quote->parts[i].allowance >= 0) {
      terms->allowances[quote->parts[i].allowance].raw.e9 += aside->raw[i].e9;
    }
  }
}

/* What of it no allowance covers. */
static quantity uncovered(const struct part *part, int64_t count, quantity aside) {
  quantity raw = kind_units(count);
  return part->allowance < 0 ? raw : (quantity){raw.e9 > aside.e9 ? raw.e9 - aside.e9 : 0};
}

static bool price_part(const struct terms *terms, const struct part *part, quantity raw, instant at,
                       struct price_paid *out, struct error *err) {
  quantity before = part->tally >= 0 ? terms->tallies[part->tally].raw : QUANTITY_ZERO;
  amount net, gross;
  return rate_marginal(part->price, part->dimensions, at, before, raw, &net, err) &&
         amount_times_rate(net, part->factor, ROUND_CEILING, &gross, err) &&
         amount_times_rate(net, part->net_factor, ROUND_HALF_EVEN, &net, err) &&
         amount_add(out->net, net, &out->net, err) && amount_add(out->gross, gross, &out->gross, err);
}

bool quote_price(const struct terms *terms, const struct quote *quote, const int64_t counts[KINDS], instant at,
                 const struct set_aside *aside, struct price_paid *out, struct error *err) {
  *out = (struct price_paid){0};
  for (size_t i = 0; i < quote->count; i++) {
    const struct part *p = &quote->parts[i];
    if (!price_part(terms, p, uncovered(p, counts[p->kind], aside->raw[i]), at, out, err)) {
      return false;
    }
  }
  /* A volume price may fall as a month goes on; what was reserved before stays until the invoice. */
  out->gross = out->gross.e12 < 0 ? AMOUNT_ZERO : out->gross;
  return true;
}

void quote_take(struct terms *terms, const struct quote *quote, const int64_t counts[KINDS],
                const struct set_aside *aside) {
  for (size_t i = 0; i < quote->count; i++) {
    const struct part *p = &quote->parts[i];
    quantity raw = kind_units(counts[p->kind]), open = uncovered(p, counts[p->kind], aside->raw[i]);
    if (p->allowance >= 0) {
      terms->allowances[p->allowance].raw.e9 += aside->raw[i].e9 - (raw.e9 - open.e9);
    }
    if (p->tally >= 0) {
      terms->tallies[p->tally].raw.e9 += open.e9;
    }
  }
}

void quote_fold(const struct quote *quote, const struct wire_usage *usage, int64_t counts[KINDS]) {
  const int64_t from[KINDS] = {1,
                               usage->input,
                               usage->cached,
                               usage->cache_write,
                               usage->input_audio,
                               usage->output,
                               usage->reasoning,
                               usage->output_audio};
  memset(counts, 0, KINDS * sizeof *counts);
  for (enum kind k = KIND_REQUESTS; k < KINDS; k++) {
    counts[quote->counts_as[k]] += from[k];
  }
}
