/* Random commitments over two years of random charges, month by month, beside a naive model that rounds rationals:
 * every subtotal and every balance is the same, and what was paid is drawn, lost or left. */
#include "bill/bill.h"
#include <gmp.h>
#include <stdlib.h>
#include <string.h>

#define MONTHS 24
#define COMMITMENTS 2
#define LINES 2
#define CENT (AMOUNT_E12 / 100)

struct naive {
  bool prepaid, only_first;
  int64_t cents, discount, overage, roll; /* the last three in percent */
  int length, step;                       /* in months; 0: one installment */
  int64_t balance, spent;
  int64_t paid, drawn, lost;
};
static struct random rng;
static struct arena *arena;
static struct catalog *catalog;

static int64_t pick(int64_t n) {
  return (int64_t)random_below(&rng, (uint64_t)n);
}

static void must_do(bool ok, const struct error *err) {
  if (!ok) {
    printf("%s\n", err->message);
    abort();
  }
}

static const char *yaml;

static void must_be(int64_t got, int64_t expected, const char *what, int month) {
  if (got != expected) {
    fprintf(stderr, "month %d: %s is %lld, the model says %lld\n", month, what, (long long)got, (long long)expected);
    fprintf(stderr, "%s", yaml);
    abort();
  }
}

static int64_t cents_of(amount a) {
  must(a.e12 % CENT == 0);
  return (int64_t)(a.e12 / CENT);
}

/* ---- the model ---- */

/* value x num / den, half to even, by rationals. */
static int64_t rounded(int64_t value, int64_t num, int64_t den) {
  mpq_t q, half;
  mpz_t whole;
  mpq_inits(q, half, NULL);
  mpz_init(whole);
  mpz_set_si(mpq_numref(q), value);
  mpz_mul_si(mpq_numref(q), mpq_numref(q), num);
  mpz_set_si(mpq_denref(q), den);
  mpq_canonicalize(q);
  mpz_fdiv_q(whole, mpq_numref(q), mpq_denref(q));
  mpq_set_z(half, whole);
  mpq_sub(q, q, half);
  mpq_set_si(half, 1, 2);
  int order = mpq_cmp(q, half);
  if (order > 0 || (order == 0 && mpz_odd_p(whole))) {
    mpz_add_ui(whole, whole, 1);
  }
  int64_t result = mpz_get_si(whole);
  mpq_clears(q, half, NULL);
  mpz_clear(whole);
  return result;
}

static int parts_of(const struct naive *m) {
  return m->step == 0 ? 1 : (m->length + m->step - 1) / m->step;
}

/* The n-th of equal parts, the first ones a cent larger. */
static int64_t part(const struct naive *m, int n) {
  return m->cents / parts_of(m) + (n < m->cents % parts_of(m));
}

/* What is invoiced at the beginning of month `at` of the interval. */
static int64_t falls_due(struct naive *m, int at) {
  bool due = m->step == 0 ? at == 0 : at % m->step == 0;
  int64_t value = m->prepaid && due ? part(m, m->step == 0 ? 0 : at / m->step) : 0;
  m->paid += value;
  return value;
}

static int64_t draw(struct naive *m, int64_t open[LINES], int64_t *subtotal) {
  int64_t sum = open[0] + (m->only_first ? 0 : open[1]);
  int64_t drawn = sum - rounded(sum, m->discount, 100), covered = sum;
  if (drawn > m->balance) {
    drawn = m->balance;
    covered = rounded(drawn, 100, 100 - m->discount);
    covered = covered < sum ? covered : sum;
  } else if (drawn < -m->spent) {
    drawn = -m->spent;
    covered = rounded(drawn, 100, 100 - m->discount);
    covered = covered > sum ? covered : sum;
  }
  *subtotal -= m->prepaid ? covered : covered - drawn;
  for (int64_t l = 0, rest = covered; l < LINES && rest != 0; l++) {
    bool same_way = (open[l] > 0) == (rest > 0) && open[l] != 0 && !(m->only_first && l > 0);
    int64_t taken = !same_way ? 0 : llabs(open[l]) < llabs(rest) ? open[l] : rest;
    open[l] -= taken;
    rest -= taken;
  }
  m->balance -= drawn;
  m->spent += drawn;
  m->drawn += drawn;
  return drawn;
}

/* The interval ends with the month: what is unused rolls over or is lost, and the next one begins. */
static void finish(struct naive *m, int month, int64_t *subtotal) {
  int at = month % m->length + 1;
  if (at < m->length) {
    *subtotal += falls_due(m, at);
    return;
  }
  bool last = month + 1 == MONTHS;
  int64_t most = m->cents * m->roll / 100, rolled = last ? 0 : m->balance < most ? m->balance : most;
  int64_t lost = m->balance - rolled;
  m->lost += lost;
  *subtotal += m->prepaid ? 0 : lost;
  m->balance = last ? 0 : m->cents + rolled;
  m->spent = 0;
  *subtotal += last ? 0 : falls_due(m, 0);
}

static int64_t model_month(struct naive models[COMMITMENTS], const int64_t charged[LINES], int month) {
  int64_t open[LINES] = {charged[0], charged[1]}, subtotal = charged[0] + charged[1];
  bool asked[LINES] = {false};
  for (int c = 0; c < COMMITMENTS; c++) {
    draw(&models[c], open, &subtotal);
  }
  for (int c = 0; c < COMMITMENTS; c++) {
    int64_t beyond = 0;
    for (int l = 0; models[c].overage != 100 && l < (models[c].only_first ? 1 : LINES); l++) {
      beyond += asked[l] ? 0 : open[l];
      asked[l] = true;
    }
    subtotal += beyond > 0 ? rounded(beyond, models[c].overage - 100, 100) : 0;
  }
  for (int c = 0; c < COMMITMENTS; c++) {
    finish(&models[c], month, &subtotal);
  }
  return subtotal;
}

/* ---- the same through the catalog ---- */

static const char *choose(struct naive *m, int n) {
  static const char *const per[] = {"month", "quarter", "year"}, *const parts[] = {"once", "monthly", "quarterly"};
  static const int length[] = {1, 3, 12}, step[] = {0, 1, 3};
  size_t p = (size_t)pick(3), i = (size_t)pick(3);
  *m = (struct naive){.prepaid = pick(2), .only_first = pick(2), .cents = 1 + pick(200000), .length = length[p]};
  m->discount = pick(2) ? pick(100) : 0;
  m->overage = pick(2) ? 50 + pick(150) : 100;
  m->roll = pick(2) ? pick(101) : 0;
  m->step = m->prepaid ? step[i] : 0;
  return arena_printf(arena,
                      "          - {name: c%d, amount: %lld.%02lld, per: %s, shape: %s, discount: %lld %%, overage: "
                      "%lld %%, roll_over: %lld %%%s%s%s}\n",
                      n, (long long)m->cents / 100, (long long)m->cents % 100, per[p],
                      m->prepaid ? "prepaid" : "postpaid", (long long)m->discount, (long long)m->overage,
                      (long long)m->roll, m->prepaid ? ", installments: " : "", m->prepaid ? parts[i] : "",
                      m->only_first ? ", products: p0" : "");
}

static void load(struct naive models[COMMITMENTS]) {
  struct error err = {0};
  const char *first = choose(&models[0], 0), *second = choose(&models[1], 1);
  yaml = arena_printf(arena,
                      "currency: USD\nmeters: [{name: m, event: e, aggregation: count, product: p0}]\n"
                      "plans: [{name: p}]\ncustomers:\n  - id: a\n    contracts:\n"
                      "      - plan: p\n        from: 2024-01-01\n        to: 2026-01-01\n"
                      "        commitments:\n%s%s",
                      first, second);
  const struct catalog_text text = {"c.yaml", slice_of(yaml)};
  must_do(catalog_parse(&text, 1, &catalog, &err), &err);
}

struct states {
  struct commitment_state items[200];
  size_t count;
};

static void keep(struct states *states, const struct invoice *invoice) {
  for (size_t i = 0; i < invoice->commitment_count; i++) {
    const struct invoice_commitment *c = &invoice->commitments[i];
    size_t at = 0;
    while (at < states->count &&
           (states->items[at].from.ns != c->before.from.ns || !slice_eq(states->items[at].name, c->before.name))) {
      at++;
    }
    states->count += at == states->count;
    states->items[at] = (struct commitment_state){.name = c->before.name,
                                                  .from = c->before.from,
                                                  .committed = {c->before.committed.e12 + c->bought.e12},
                                                  .balance = c->closing,
                                                  .spent = {c->before.spent.e12 + c->drawn.e12},
                                                  .billed = {c->before.billed.e12 + c->billed.e12}};
  }
}

static struct invoice build(const struct rating *rating, struct states *states) {
  struct invoice invoice;
  struct error err = {0};
  char digest[65] = "";
  const struct invoice_purse purse = {.commitments = states->items, .commitment_count = states->count};
  must_do(invoice_build(arena, catalog, rating, &purse, 0, digest, &invoice, &err), &err);
  keep(states, &invoice);
  return invoice;
}

static void charge(struct rating *rating, const int64_t charged[LINES]) {
  static const char *const products[] = {"p0", "p1"};
  struct charge *charges = arena_array(arena, LINES, sizeof *charges);
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  struct error err = {0};
  *segment = (struct segment){rating->customer->contracts, catalog->plans, rating->period.from, rating->period.to};
  for (int l = 0; l < LINES; l++) {
    charges[l] = (struct charge){.kind = charged[l] < 0 ? CHARGE_ADJUSTMENT : CHARGE_USAGE,
                                 .name = slice_of(products[l]),
                                 .product = slice_of(products[l]),
                                 .segment = segment,
                                 .exact = {charged[l] * CENT}};
    must_do(amount_add(rating->total, charges[l].exact, &rating->total, &err), &err);
  }
  rating->charges = charges;
  rating->charge_count = LINES;
}

/* ---- held against each other ---- */

static void compare(const struct naive models[COMMITMENTS], const struct states *states, int month) {
  for (int c = 0; c < COMMITMENTS; c++) {
    int64_t left = 0, billed = 0, drawn = 0;
    for (size_t i = 0; i < states->count; i++) {
      if (states->items[i].name.ptr[1] == '0' + c) {
        left += cents_of(states->items[i].balance);
        billed += cents_of(states->items[i].billed);
        drawn += cents_of(states->items[i].spent);
      }
    }
    must_be(left, models[c].balance, "balance", month);
    must_be(billed, models[c].paid, "invoiced", month);
    must_be(drawn, models[c].drawn, "drawn", month);
  }
}

static void run_case(void) {
  struct naive models[COMMITMENTS];
  struct states states = {.count = 0};
  struct rating rating;
  struct error err = {0};
  int64_t opening = 0;
  load(models);
  const struct customer *customer = catalog_customer(catalog, SLICE("a"));
  for (int c = 0; c < COMMITMENTS; c++) {
    models[c].balance = models[c].cents;
    opening += falls_due(&models[c], 0);
  }
  must_do(rate_opening(arena, catalog, customer, customer->contracts[0].from, &rating, &err), &err);
  must_be(cents_of(build(&rating, &states).subtotal), opening, "opening", -1);
  for (int month = 0; month < MONTHS; month++) {
    char name[16];
    struct period period;
    int64_t charged[LINES] = {pick(50000), pick(8) ? pick(50000) : -pick(30000)};
    snprintf(name, sizeof name, "%d-%02d", 2024 + month / 12, month % 12 + 1);
    must_do(time_parse_period(slice_of(name), customer->time_zone, &period, &err) &&
                rate_customer(arena, catalog, customer, period, NULL, 0, &rating, &err),
            &err);
    charge(&rating, charged);
    int64_t expected = model_month(models, charged, month);
    must_be(cents_of(build(&rating, &states).subtotal), expected, "subtotal", month);
    compare(models, &states, month);
  }
  for (int c = 0; c < COMMITMENTS; c++) {
    int64_t of = models[c].prepaid ? models[c].paid : models[c].cents * (MONTHS / models[c].length);
    must_be(models[c].drawn + models[c].lost, of, "drawn and lost", MONTHS);
  }
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 3,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 1000;
  printf("prop_commitments: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  for (uint64_t i = 0; i < cases; i++) {
    arena = arena_new();
    run_case();
    catalog_free(catalog);
    catalog = NULL;
    arena_free(arena);
  }
  return 0;
}
