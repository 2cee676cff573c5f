/* Random prices, taxes, currencies and allowances, and random calls of the gateway under them, one after the other or
 * many at once: no call costs more than was held for it, what calls cost adds up to what rating and tax make of their
 * events, and no unit of an allowance is lost or given twice. SEED and CASES may be set. */
#include "gateway/private.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALLS_MAX = 30, OPEN_MAX = 5 };
#define START INT64_C(1793491200) /* 2026-11-01T00:00:00Z */

struct open_call {
  const struct quote *quote;
  struct terms *terms;
  struct set_aside aside;
  const char *model;
  int64_t input, output;
  amount bound;
};
struct world {
  uint64_t seed;
  struct random random;
  struct buf yaml;
  char dir[64];
  struct book *book;
  struct gateway *gateway;
  struct buyer *buyer;
  struct terms *terms;
  struct arena *arena;
  int64_t tax_percent, now_s;
  bool included, stepped, tiered, multiplied, foreign, allowances, at_once, two_models;
  struct open_call open[OPEN_MAX];
  size_t open_count, calls, parts;
  amount net, gross;
  quantity covered[PARTS_MAX]; /* by allowance */
};

static _Noreturn void fail(const struct world *w, const char *what) {
  fprintf(stderr, "prop_quotes: SEED=%llu CASES=1: %s\n" SLICE_FMT "\n", (unsigned long long)w->seed, what,
          SLICE_ARG(buf_slice(&w->yaml)));
  abort();
}
static void expect(const struct world *w, bool ok, const char *what) {
  if (!ok) {
    fail(w, what);
  }
}
static uint64_t pick(struct world *w, uint64_t bound) {
  return random_below(&w->random, bound);
}
static bool odds(struct world *w, uint64_t of) {
  return pick(w, of) == 0;
}

/* ---- a catalog ---- */

static void put_number(struct world *w) {
  static const char *const ends[] = {"", ".5", ".07", ".000003", ".000000000001"};
  buf_addf(&w->yaml, "%llu%s", (unsigned long long)pick(w, 30), ends[pick(w, 5)]);
}

static void put_tiers(struct world *w, enum price_model model) {
  uint64_t count = 1 + pick(w, 3), border = 0;
  buf_add(&w->yaml, SLICE(", tiers: ["));
  for (uint64_t i = 0; i < count; i++) {
    buf_add(&w->yaml, i ? SLICE(", {") : SLICE("{"));
    if (i + 1 < count) {
      border += 1 + pick(w, 4000);
      buf_addf(&w->yaml, "up_to: %llu, ", (unsigned long long)border);
    }
    bool flat = model == PRICE_STAIRSTEP || odds(w, 3);
    if (model != PRICE_STAIRSTEP) {
      buf_add(&w->yaml, SLICE("price: "));
      put_number(w);
    }
    if (flat) {
      buf_add(&w->yaml, model == PRICE_STAIRSTEP ? SLICE("flat: ") : SLICE(", flat: "));
      put_number(w);
      w->stepped = true;
    }
    buf_addc(&w->yaml, '}');
  }
  buf_addc(&w->yaml, ']');
}

static void put_multipliers(struct world *w) {
  static const char *const lists[] = {"",
                                      "",
                                      "",
                                      ", multipliers: [{match: {model: good}, by: 1.37}]",
                                      ", multipliers: [{hours: \"20:00-08:00\", by: 0.1}]",
                                      ", multipliers: [{hours: \"08:00-20:00\", by: 1.5, match: {model: other}}]"};
  uint64_t which = pick(w, sizeof lists / sizeof *lists);
  w->multiplied = w->multiplied || which > 2;
  buf_addf(&w->yaml, "%s", lists[which]);
}

static void put_price(struct world *w, enum kind kind) {
  static const enum price_model models[] = {PRICE_PER_UNIT,  PRICE_PER_UNIT, PRICE_PACKAGE,   PRICE_GRADUATED,
                                            PRICE_GRADUATED, PRICE_VOLUME,   PRICE_STAIRSTEP, PRICE_FLAT};
  static const char *const pers[] = {"", ", per: 1000", ", per: 1000000"};
  enum price_model model = pick(w, 2) ? PRICE_PER_UNIT : models[pick(w, sizeof models / sizeof *models)];
  bool tiered = model == PRICE_GRADUATED || model == PRICE_VOLUME || model == PRICE_STAIRSTEP;
  w->tiered = w->tiered || tiered;
  buf_addf(&w->yaml, "      - {name: p%d, meter: m%d, model: %s", (int)kind, (int)kind, price_model_name(model));
  if (tiered) {
    put_tiers(w, model);
  } else {
    buf_add(&w->yaml, SLICE(", price: "));
    put_number(w);
  }
  if (model != PRICE_STAIRSTEP && model != PRICE_FLAT) {
    buf_addf(&w->yaml, "%s", pers[model == PRICE_PACKAGE ? 1 + pick(w, 2) : pick(w, 3)]);
  }
  w->stepped = w->stepped || model == PRICE_PACKAGE || model == PRICE_FLAT || model == PRICE_VOLUME;
  put_multipliers(w);
  buf_add(&w->yaml, SLICE("}\n"));
}

static bool must_be_sold(enum kind kind) {
  return kind == KIND_INPUT || kind == KIND_OUTPUT;
}

static void put_plan(struct world *w, const bool metered[KINDS]) {
  buf_addf(&w->yaml, "plans:\n  - name: p\n    currency: USD\n%s    prices:\n",
           w->included ? "    prices_include_tax: true\n" : "");
  for (enum kind k = KIND_REQUESTS; k < KINDS; k++) {
    if (metered[k] && (must_be_sold(k) || k == KIND_REQUESTS || !odds(w, 4))) {
      put_price(w, k);
    }
  }
  bool first = true;
  for (enum kind k = KIND_REQUESTS; k < KINDS; k++) {
    if (metered[k] && must_be_sold(k) && odds(w, 4)) {
      buf_addf(&w->yaml, "%s      - {meter: m%d, included: %llu}\n", first ? "    allowances:\n" : "", (int)k,
               (unsigned long long)(1 + pick(w, 20000)));
      first = false;
      w->allowances = true;
    }
  }
}

static void make_catalog(struct world *w) {
  bool metered[KINDS];
  w->foreign = odds(w, 3);
  w->tax_percent = odds(w, 3) ? 0 : 21;
  w->included = w->tax_percent > 0 && odds(w, 3);
  buf_init(&w->yaml, 1 << 20);
  buf_addf(&w->yaml,
           "currency: %s\nseller: {name: S, country: NL, invoice_prefix: S-}\n"
           "exchange_rates: [{from: USD, to: EUR, rate: 0.913, on: 2026-01-01}]\nmeters:\n",
           w->foreign ? "EUR" : "USD");
  for (enum kind k = KIND_REQUESTS; k < KINDS; k++) {
    metered[k] = must_be_sold(k) || odds(w, 2);
    if (metered[k] && k == KIND_REQUESTS) {
      buf_addf(&w->yaml, "  - {name: m0, event: model.call, aggregation: count, dimensions: [model]}\n");
    } else if (metered[k]) {
      buf_addf(&w->yaml, "  - {name: m%d, event: model.call, value: %s, dimensions: [model]}\n", (int)k, kind_name(k));
    }
  }
  put_plan(w, metered);
  buf_addf(&w->yaml, "upstreams: [{name: u, url: \"http://127.0.0.1:1\"}]\n"
                     "models: [{name: good, upstream: u}, {name: other, upstream: u}]\n");
  if (w->tax_percent > 0) {
    buf_add(&w->yaml, SLICE("taxes: [{name: vat, label: VAT, category: S, rate: 21 %}]\n"));
  }
  buf_addf(&w->yaml, "customers: [{id: c, name: C, country: NL, plan: p%s}]\n", w->tax_percent > 0 ? ", tax: vat" : "");
}

static void open_world(struct world *w) {
  struct error err = {0};
  char path[128];
  snprintf(w->dir, sizeof w->dir, "/tmp/mh_quotes.XXXXXX");
  must(mkdtemp(w->dir) != NULL);
  snprintf(path, sizeof path, "%s/catalog.yaml", w->dir);
  FILE *file = fopen(path, "w");
  must(file && fwrite(w->yaml.ptr, 1, w->yaml.len, file) == w->yaml.len && fclose(file) == 0);
  w->now_s = START + (int64_t)pick(w, 86400);
  clock_set_test((instant){w->now_s * NS_PER_S});
  expect(w, book_open(w->dir, path, BOOK_WRITE, &w->book, &err), err.message);
  expect(w, gateway_start(w->book, NULL, &w->gateway, &err), err.message);
  w->buyer = buyer_of(w->gateway, catalog_customer(book_catalog(w->book), SLICE("c")));
  w->terms = buyer_terms(w->gateway, w->buyer, (instant){w->now_s * NS_PER_S}, &err);
  expect(w, w->terms != NULL, err.message);
}

static void close_world(struct world *w) {
  char command[128];
  terms_drop(w->terms);
  gateway_stop(w->gateway);
  gateway_free(w->gateway);
  book_close(w->book);
  arena_free(w->arena);
  buf_free(&w->yaml);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  must(system(command) == 0);
}

/* ---- calls ---- */

static void begin(struct world *w) {
  struct open_call *c = &w->open[w->open_count++];
  struct error err = {0};
  const char *model = w->two_models && odds(w, 2) ? "other" : "good";
  const struct call_facts facts = {.model = slice_of(model),
                                   .tier = SLICE("default"),
                                   .service = SLICE("default"),
                                   .door = SLICE("chat"),
                                   .key = SLICE("k")};
  *c = (struct open_call){
      .terms = w->terms, .model = model, .input = (int64_t)pick(w, 5000), .output = (int64_t)pick(w, 5000)};
  expect(w, terms_quote(w->gateway, w->buyer, w->terms, &facts, (instant){w->now_s * NS_PER_S}, &c->quote, &err),
         err.message);
  expect(w, c->quote->sold, "it is sold");
  expect(w, terms_know(w->terms) || terms_learn(w->gateway, w->buyer, w->terms, w->book, &err), err.message);
  expect(w, quote_bound(w->terms, c->quote, c->input, c->output, &c->aside, &c->bound, &err), err.message);
  w->parts = c->quote->count > w->parts ? c->quote->count : w->parts;
}

/* So many, split at random; sometimes all of them in one. */
static void split(struct world *w, int64_t most, int64_t *parts[], size_t count) {
  int64_t left = odds(w, 3) ? most : (int64_t)pick(w, (uint64_t)most + 1);
  for (size_t i = 0; i < count; i++) {
    int64_t *part = parts[(i + pick(w, count)) % count];
    int64_t taken = odds(w, 3) ? left : (int64_t)pick(w, (uint64_t)left + 1);
    *part += taken;
    left -= taken;
  }
  *parts[pick(w, count)] += left;
}

static void append(struct world *w, const struct open_call *c, const int64_t counts[KINDS]) {
  struct event_field fields[KINDS + 1];
  struct error err = {0};
  size_t count = 0;
  enum verdict verdict = EVENT_INVALID;
  static const enum kind by_name[] = {KIND_CACHE_WRITE, KIND_CACHED,       KIND_INPUT_AUDIO, KIND_INPUT,
                                      KIND_REQUESTS,    KIND_OUTPUT_AUDIO, KIND_OUTPUT,      KIND_REASONING};
  for (size_t i = 0; i < KINDS; i++) {
    enum kind k = by_name[i];
    if (k == KIND_REQUESTS) {
      fields[count++] = (struct event_field){.name = SLICE("model"), .value = slice_of(c->model)};
      continue;
    }
    fields[count++] = (struct event_field){.name = slice_of(kind_name(k)),
                                           .value = slice_of(arena_printf(w->arena, "%lld", (long long)counts[k])),
                                           .number = true};
  }
  const struct event event = {.id = slice_of(arena_printf(w->arena, "call-%zu", w->calls)),
                              .source = CALL_SOURCE,
                              .type = SLICE("model.call"),
                              .subject = SLICE("c"),
                              .time = {w->now_s * NS_PER_S},
                              .fields = fields,
                              .field_count = count};
  expect(w, book_begin(w->book, &err) && book_append(w->book, &event, 1, &verdict, &err) && book_commit(w->book, &err),
         err.message);
  expect(w, verdict == EVENT_ACCEPTED, "the event is accepted");
}

static void end(struct world *w, size_t index) {
  struct open_call c = w->open[index];
  struct wire_usage usage = {0};
  struct price_paid paid;
  struct error err = {0};
  int64_t counts[KINDS], *inputs[] = {&usage.input, &usage.cached, &usage.cache_write, &usage.input_audio},
                         *outputs[] = {&usage.output, &usage.reasoning, &usage.output_audio};
  w->open[index] = w->open[--w->open_count];
  if (odds(w, 6)) {
    quote_give_back(c.terms, c.quote, &c.aside);
    return;
  }
  split(w, c.input, inputs, 4);
  split(w, c.output, outputs, 3);
  quote_fold(c.quote, &usage, counts);
  expect(w, quote_price(c.terms, c.quote, counts, (instant){w->now_s * NS_PER_S}, &c.aside, &paid, &err), err.message);
  expect(w, amount_cmp(paid.gross, c.bound) <= 0, "a call costs more than was held for it");
  quote_take(c.terms, c.quote, counts, &c.aside);
  for (size_t i = 0; i < c.quote->count; i++) {
    const struct part *p = &c.quote->parts[i];
    int128 count = (int128)counts[p->kind] * QUANTITY_E9;
    if (p->allowance >= 0) {
      w->covered[p->allowance].e9 += count < c.aside.raw[i].e9 ? count : c.aside.raw[i].e9;
    }
  }
  append(w, &c, counts);
  w->calls++;
  w->net.e12 += paid.net.e12;
  w->gross.e12 += paid.gross.e12;
}

/* ---- what must hold ---- */

static void check_allowances(const struct world *w) {
  for (size_t i = 0; i < w->terms->allowance_count; i++) {
    const struct allowance_left *a = &w->terms->allowances[i];
    expect(w, a->raw.e9 >= 0, "more of an allowance is used than there is");
    expect(w, a->raw.e9 + w->covered[i].e9 == a->allowance->included.e9, "of an allowance some is lost or too much");
  }
}

static void check_sum(struct world *w) {
  const struct customer *customer = w->buyer->customer;
  struct period month = {w->terms->segment.from, w->terms->segment.to};
  struct rating_set set;
  struct rating rating;
  struct error err = {0};
  expect(w, book_usage(w->book, customer->id, month, (instant){0}, &set, &err), err.message);
  expect(w, rate_customer(w->arena, book_catalog(w->book), customer, month, set.rows, set.row_count, &rating, &err),
         err.message);
  expect(w, rating.unpriced_count == 0, "what calls use has a price");
  /* Half a digit for each rounding: of each call's part, of tiers, and of what is converted. */
  int128 digits = 4 * (int128)(w->calls + 1) * (int128)(w->parts + 1), total = rating.total.e12;
  int128 taxed = total + (w->included ? 0 : total * w->tax_percent / 100);
  /* There what was before counts by multiplier; within an hour rating takes one model after the other; and calls that
   * run beside each other may use up an allowance in another order than the one they end in. */
  bool apart = w->multiplied && (w->stepped || w->allowances || (w->tiered && w->two_models));
  bool same = !w->allowances || !(w->at_once || (w->two_models && w->multiplied));
  if (!apart) {
    expect(w, w->gross.e12 >= taxed - digits, "calls are charged less than their invoice will be");
  }
  if (!apart && same && !w->stepped) {
    expect(w, w->gross.e12 <= taxed + digits, "calls are charged more than their invoice will be");
    expect(w, w->net.e12 <= total + digits && w->net.e12 >= total - digits,
           "the charges of events are not the rating's");
  }
  rating_set_free(&set);
}

static void run(uint64_t seed) {
  struct world w = {.seed = seed, .arena = arena_new()};
  random_seed(&w.random, seed, 0);
  make_catalog(&w);
  w.at_once = odds(&w, 2);
  w.two_models = odds(&w, 2);
  open_world(&w);
  for (size_t i = pick(&w, CALLS_MAX) + 1; i > 0; i--) {
    w.now_s += (int64_t)pick(&w, 80000);
    clock_set_test((instant){w.now_s * NS_PER_S});
    begin(&w);
    while (w.open_count == OPEN_MAX || (w.open_count > 0 && (!w.at_once || odds(&w, 3)))) {
      end(&w, pick(&w, w.open_count));
    }
  }
  while (w.open_count > 0) {
    end(&w, 0);
  }
  check_allowances(&w);
  check_sum(&w);
  close_world(&w);
}

int main(void) {
  const char *seed = getenv("SEED"), *cases = getenv("CASES");
  uint64_t first = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_now().ns;
  uint64_t count = cases ? strtoull(cases, NULL, 10) : 150;
  printf("prop_quotes: SEED=%llu CASES=%llu\n", (unsigned long long)first, (unsigned long long)count);
  fflush(stdout);
  for (uint64_t i = 0; i < count; i++) {
    run(first + i);
  }
  return 0;
}
