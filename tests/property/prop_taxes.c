/* Random taxes, rules, prices with and without tax, negative lines and credit: each invoice against sums and roundings
 * done by GMP, then finalized, so that the book's own check and its ledger have to agree as well. */
#include "base/hash.h"
#include "bill/bill.h"
#include "notify/notify.h"
#include <gmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAXES = 4, PRODUCTS = 6, LINES_MAX = 40, CURRENCIES = 3 };
static const char *const codes[CURRENCIES] = {"EUR", "JPY", "BHD"};
static const int minors[CURRENCIES] = {2, 0, 3};

static struct random rng;
static struct arena *arena;
static struct db *db;
static struct ledger *ledger;
static uint64_t seed, number, gross_lines, several_taxes;

static void expect(bool holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "SEED=%llu case %llu: %s\n", (unsigned long long)seed, (unsigned long long)number, what);
    exit(1);
  }
}
static void found(void *context, const char *what) {
  (void)context;
  expect(false, what);
}
static void must_do(bool ok, const struct error *err) {
  expect(ok, err->message);
}
static uint64_t below(uint64_t n) {
  return random_below(&rng, n);
}

/* ---- a catalog of a case ---- */

/* In hundredths of a percent; often one at which halves of a cent come about. */
static uint64_t random_rate(void) {
  static const uint64_t even[] = {0, 500, 1000, 2500, 5000, 10000};
  return below(2) ? even[below(sizeof even / sizeof *even)] : 1 + below(3000);
}

static struct catalog *make_catalog(void) {
  struct buf b;
  struct error err = {0};
  struct catalog *catalog;
  buf_init(&b, 1 << 20);
  buf_addf(&b,
           "currency: EUR\nseller: {name: A, country: NL, invoice_prefix: A%llu-}\n"
           "sellers: [{id: b, name: B, country: DE, invoice_prefix: B%llu-}]\ntaxes:\n",
           (unsigned long long)number, (unsigned long long)number);
  for (int t = 0; t < TAXES; t++) {
    uint64_t percent = random_rate();
    buf_addf(&b, "  - {name: t%d, rate: %llu.%02llu %%, category: %s}\n", t, (unsigned long long)(percent / 100),
             (unsigned long long)(percent % 100), percent ? "S" : "Z");
  }
  buf_addf(&b, "tax_rules:\n");
  for (int p = 0; p < PRODUCTS - 1; p++) {
    if (below(2)) {
      buf_addf(&b, "  - {customer: any, products: [p%d], tax: t%llu}\n", p, (unsigned long long)below(TAXES));
    }
  }
  buf_addf(&b, "  - {customer: any, tax: %s}\n", below(8) ? "t0" : "none");
  buf_addf(&b, "plans:\n");
  for (int c = 0; c < CURRENCIES; c++) {
    for (int gross = 0; gross < 2; gross++) {
      buf_addf(&b, "  - {name: %s%d, currency: %s, prices_include_tax: %s, fees: [", codes[c], gross, codes[c],
               gross ? "true" : "false");
      for (int p = 0; p < PRODUCTS; p++) {
        buf_addf(&b, "%s{name: p%d, price: 1}", p ? ", " : "", p);
      }
      buf_addf(&b, "]}\n");
    }
  }
  buf_addf(&b, "customers:\n");
  for (int c = 0; c < CURRENCIES; c++) {
    buf_addf(&b, "  - {id: %s%llu, plan: %s0, currency: %s, country: NL%s}\n", codes[c], (unsigned long long)number,
             codes[c], codes[c], below(2) ? ", seller: b" : "");
  }
  struct catalog_text text = {"c.yaml", buf_slice(&b)};
  must_do(catalog_parse(&text, 1, &catalog, &err), &err);
  buf_free(&b);
  return catalog;
}

/* ---- a rating ---- */

static amount random_exact(void) {
  int128 e12 = (int128)below(1000000000) * (int128)(below(3) ? 10000000 : 1);
  if (below(3) == 0) {
    e12 = (int128)below(2000) * 5000000000; /* half units of every currency come often */
  }
  return (amount){below(5) == 0 ? -e12 : e12};
}

static const struct rating *make_rating(const struct catalog *catalog, int currency, bool mixed) {
  struct rating *r = arena_alloc(arena, sizeof *r);
  size_t count = 1 + below(below(2) ? LINES_MAX : 3);
  struct charge *charges = arena_array(arena, count, sizeof *charges);
  struct segment *segments = arena_array(arena, 2, sizeof *segments);
  struct error err = {0};
  char *id = arena_printf(arena, "%s%llu", codes[currency], (unsigned long long)number);
  *r = (struct rating){.customer = catalog_customer(catalog, slice_of(id)), .charges = charges, .charge_count = count};
  r->period = (struct period){{INT64_C(1790812800) * NS_PER_S}, {INT64_C(1793491200) * NS_PER_S}};
  uint64_t kind = below(2);
  for (int g = 0; g < 2; g++) {
    char *plan = arena_printf(arena, "%s%d", codes[currency], g);
    segments[g] = (struct segment){
        .plan = catalog_plan_at(catalog, slice_of(plan), r->period.from), .from = r->period.from, .to = r->period.to};
  }
  for (size_t i = 0; i < count; i++) {
    slice product = slice_of(arena_printf(arena, "p%llu", (unsigned long long)below(PRODUCTS)));
    charges[i] = (struct charge){.kind = CHARGE_FEE,
                                 .name = product,
                                 .product = product,
                                 .raw = QUANTITY_ONE,
                                 .units = QUANTITY_ONE,
                                 .segment = &segments[mixed ? below(2) : kind],
                                 .exact = random_exact()};
    must_do(amount_add(r->total, charges[i].exact, &r->total, &err), &err);
  }
  return r;
}

static size_t make_grants(struct credit_grant grants[2], int currency) {
  size_t count = below(3);
  for (size_t g = 0; g < count; g++) {
    int128 unit = AMOUNT_E12;
    for (int i = 0; i < minors[currency]; i++) {
      unit /= 10;
    }
    grants[g] = (struct credit_grant){.id = slice_of(g ? "g2" : "g1"),
                                      .kind = CREDIT_PROMOTIONAL,
                                      .available = {(int128)(1 + below(3000)) * unit},
                                      .expires = INSTANT_MAX};
  }
  return count;
}

/* ---- the naive side ---- */

static void set_int128(mpz_t z, int128 v) {
  bool negative = v < 0;
  uint128 m = negative ? -(uint128)v : (uint128)v;
  mpz_set_ui(z, (unsigned long)(m >> 64));
  mpz_mul_2exp(z, z, 64);
  mpz_add_ui(z, z, (unsigned long)m);
  if (negative) {
    mpz_neg(z, z);
  }
}

/* value x part / whole to a multiple of 10^(12 - minor), half to even. */
static int128 rounded(int128 value, int128 part, int128 whole, int minor) {
  mpz_t n, d, q, r, t;
  mpz_inits(n, d, q, r, t, NULL);
  set_int128(n, value);
  set_int128(t, part);
  mpz_mul(n, n, t);
  set_int128(d, whole);
  mpz_ui_pow_ui(t, 10, (unsigned long)(12 - minor));
  mpz_mul(d, d, t);
  mpz_fdiv_qr(q, r, n, d);
  mpz_mul_2exp(r, r, 1);
  int order = mpz_cmp(r, d);
  if (order > 0 || (order == 0 && mpz_odd_p(q))) {
    mpz_add_ui(q, q, 1);
  }
  mpz_mul(q, q, t);
  int128 out = (int128)mpz_get_ui(q); /* small enough in this test */
  out = mpz_sgn(q) < 0 ? -out : out;
  mpz_clears(n, d, q, r, t, NULL);
  return out;
}

static int128 unit_of(int minor) {
  int128 unit = AMOUNT_E12;
  for (int i = 0; i < minor; i++) {
    unit /= 10;
  }
  return unit;
}

static void check_sums(const struct invoice *i) {
  int128 lines = 0, exact = 0, tax = 0, bases = 0, untaxed = 0;
  for (size_t l = 0; l < i->line_count; l++) {
    lines += i->lines[l].amount.e12;
    exact += i->lines[l].exact.e12;
    untaxed += i->lines[l].tax ? 0 : i->lines[l].amount.e12;
    expect(i->lines[l].tax == NULL || (i->lines[l].tax >= i->taxes && i->lines[l].tax < i->taxes + i->tax_count),
           "a line's tax is not on the invoice");
  }
  for (size_t t = 0; t < i->tax_count; t++) {
    tax += i->taxes[t].amount.e12;
    bases += i->taxes[t].base.e12;
  }
  expect(lines == i->subtotal.e12, "the lines are not the subtotal");
  expect(exact == i->exact.e12 && exact + i->rounding.e12 == lines, "exact and rounding are not the subtotal");
  expect(bases + untaxed == lines, "the bases are not the lines");
  expect(tax == i->tax.e12 && lines + tax == i->total.e12, "the taxes are not the tax, or the total is another");
}

/* What one tax should be, from the ratings' charges alone. */
static void check_tax(const struct invoice *i, const struct invoice_tax *tax, int minor) {
  int128 gross = 0, plain = 0, net_lines = 0;
  for (size_t l = 0; l < i->line_count; l++) {
    const struct invoice_line *line = &i->lines[l];
    if (line->tax != tax) {
      continue;
    }
    const struct plan *plan = line->charge->segment->plan;
    bool with = plan && plan->prices_include_tax && tax->rate.e12 > 0;
    int128 value = rounded(line->charge->exact.e12, 1, 1, minor);
    gross += with ? value : 0;
    plain += with ? 0 : value;
    net_lines += with ? line->amount.e12 : 0;
    expect(with == line->has_gross && (!with || line->gross.e12 == value), "what a line costs with tax");
    gross_lines += with;
    int128 fair = rounded(value, AMOUNT_E12, AMOUNT_E12 + tax->rate.e12, minor), off = line->amount.e12 - fair;
    expect(!with || (off <= 3 * unit_of(minor) && off >= -3 * unit_of(minor)), "a net amount is far from its share");
    expect(with || line->amount.e12 == value, "a net line is not its charge");
  }
  int128 included = rounded(gross, tax->rate.e12, AMOUNT_E12 + tax->rate.e12, minor);
  expect(net_lines == gross - included, "net lines and the tax in them are not the price");
  expect(tax->base.e12 == net_lines + plain, "a base");
  expect(tax->amount.e12 == included + rounded(plain, tax->rate.e12, AMOUNT_E12, minor), "the amount of a tax");
}

static void one_case(void) {
  struct error err = {0};
  struct catalog *catalog = make_catalog();
  int currency = (int)below(CURRENCIES);
  struct credit_grant grants[2];
  struct invoice_purse purse = {.grants = grants, .grant_count = make_grants(grants, currency)};
  const struct rating *rating = make_rating(catalog, currency, below(2) == 0);
  struct invoice i;
  char digest[65] = "";
  must_do(invoice_build(arena, catalog, rating, &purse, 0, digest, &i, &err), &err);
  check_sums(&i);
  for (size_t t = 0; t < i.tax_count; t++) {
    check_tax(&i, &i.taxes[t], minors[currency]);
  }
  several_taxes += i.tax_count > 1;
  /* Credit is of a book, and this one has none: what is kept is made without. */
  struct invoice kept;
  bool existed = false;
  slice id;
  must_do(invoice_build(arena, catalog, rating, NULL, 0, digest, &kept, &err) &&
              invoice_finalize(arena, db, ledger, &kept, rating->period.to, 0, &existed, &id, &err),
          &err);
  expect(!existed, "a first invoice was there already");
  catalog_free(catalog);
}

static void run(uint64_t cases) {
  struct error err = {0};
  uint64_t invoices = 0;
  must_do(db_begin(db, &err), &err);
  for (number = 0; number < cases; number++) {
    arena = arena_new();
    one_case();
    arena_free(arena);
  }
  must_do(db_commit(db, &err) && ledger_check(ledger, found, NULL, &err) &&
              invoice_check(db, ledger, found, NULL, &invoices, &err),
          &err);
  expect(invoices == cases, "invoices are missing");
  expect(cases < 100 || (gross_lines > cases && several_taxes > cases / 4), "too little was tried");
}

static void open_book(const char *path) {
  struct error err = {0};
  static const struct {
    const struct db_migration *steps;
    const size_t *count;
  } rooms[] = {{ledger_migrations, &ledger_migration_count},
               {notify_migrations, &notify_migration_count},
               {credit_migrations, &credit_migration_count},
               {bill_migrations, &bill_migration_count}};
  VEC(struct db_migration) all = {0};
  for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
    for (size_t s = 0; s < *rooms[r].count; s++) {
      vec_push(&all, rooms[r].steps[s]);
    }
  }
  must_do(db_open(path, DB_READ_WRITE, &db, &err) && db_migrate(db, all.items, all.count, &err) &&
              ledger_open(db, &ledger, &err),
          &err);
  vec_free(&all);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  seed = seed_text ? strtoull(seed_text, NULL, 10) : 11;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : 400;
  printf("prop_taxes: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  char dir[] = "/tmp/prop_taxes.XXXXXX", path[64];
  must(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/db", dir);
  open_book(path);
  run(cases);
  printf("%llu lines with tax in their price\n", (unsigned long long)gross_lines);
  ledger_close(ledger);
  db_close(db);
  for (int i = 0; i < 3; i++) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    snprintf(path, sizeof path, "%s/db%s", dir, ends[i]);
    unlink(path);
  }
  rmdir(dir);
  return 0;
}
