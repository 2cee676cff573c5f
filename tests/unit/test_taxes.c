/* Taxes: which one by the rules, at which rate at which time, in which prices, of which seller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bill/bill.h"
#include <stdlib.h>
#include <string.h>

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: North B.V., id: nl, country: NL, tax_id: NL001234567B01, invoice_prefix: N-}\n"
    "sellers: [{name: South Inc., id: us, country: US, tax_id: 12-3456789, invoice_prefix: S-}]\n"
    "taxes:\n"
    "  - {name: nl, label: VAT 21 %, rate: 21 %}\n"
    "  - {name: nl-low, label: VAT 9 %, rate: 9 %}\n"
    "  - {name: de, label: MwSt., rates: [{from: 2021-01-01, rate: 19 %}, {rate: 19 %}, {from: 2020-07-01, rate: 16 "
    "%}]}\n"
    "  - {name: five, rate: 5 %}\n"
    "  - {name: half, rate: 100 %}\n"
    "  - {name: jp, rate: 10 %}\n"
    "  - {name: late, rates: [{from: 2026-01-01, rate: 5 %}]}\n"
    "  - {name: ca, label: Sales tax, rate: 7.25 %}\n"
    "  - {name: rc, label: Reverse charge, rate: 0, category: AE, note: Article 196}\n"
    "  - {name: out, rate: 0, category: G, note: Export}\n"
    "tax_rules:\n"
    "  - {customer: NL, products: [books], tax: nl-low}\n"
    "  - {customer: NL, products: [gift], tax: none}\n"
    "  - {customer: NL, tax: nl}\n"
    "  - {customer: [DE, AT], business: false, tax: de}\n"
    "  - {customer: EU, business: true, seller_country: EU, tax: rc}\n"
    "  - {customer: EU, tax: nl}\n"
    "  - {customer: US, region: CA, seller: us, tax: ca}\n"
    "  - {customer: any, tax: out}\n"
    "meters:\n  - {name: calls, event: call, value: n, unit: call}\n"
    "plans:\n"
    "  - {name: net, prices: [{meter: calls, price: 1}], fees: [{name: books, price: 1}, {name: gift, price: 1}]}\n"
    "  - {name: gross, prices_include_tax: true, prices: [{meter: calls, price: 1}]}\n"
    "  - {name: gross-yen, currency: JPY, prices_include_tax: true, prices: [{meter: calls, price: 1}]}\n"
    "customers:\n"
    "  - {id: home, plan: net, country: NL}\n"
    "  - {id: business, plan: net, country: FR, tax_id: FR 12 345678901}\n"
    "  - {id: consumer, plan: net, country: DE}\n"
    "  - {id: island, plan: net, country: GB, tax_id: GB123456789}\n"
    "  - {id: greek, plan: net, country: GR, tax_id: EL123456789}\n"
    "  - {id: calif, plan: net, country: US, region: CA, seller: us}\n"
    "  - {id: texas, plan: net, country: US, region: TX, seller: us}\n"
    "  - {id: school, plan: net, country: NL, tax_exempt: {reason: Education, certificate: E-7}}\n"
    "  - {id: free, plan: net, country: NL, tax: none}\n"
    "  - {id: five, plan: net, tax: five}\n"
    "  - {id: half, plan: gross, tax: half}\n"
    "  - {id: yen, plan: gross-yen, tax: jp, currency: JPY}\n"
    "  - {id: late, plan: net, tax: late}\n"
    "  - {id: shop, plan: gross, country: NL}\n"
    "  - {id: exporter, plan: gross, country: CH}\n";

static struct arena *arena;
static struct catalog *catalog;

static void must_do(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static int set_up(void **state) {
  (void)state;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  arena = arena_new();
  must_do(catalog_parse(&text, 1, &catalog, &err), &err);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  catalog_free(catalog);
  arena_free(arena);
  return 0;
}

static instant date(const char *text) {
  instant t;
  struct error err = {0};
  must_do(time_parse_loose(slice_of(text), "UTC", &t, &err), &err);
  return t;
}

static amount money(const char *text) {
  amount a;
  struct error err = {0};
  must_do(amount_parse(slice_of(text), &a, &err), &err);
  return a;
}

static const struct plan *plan_named(const char *name) {
  return catalog_plan_at(catalog, slice_of(name), date("2026-10-01"));
}

struct line {
  const char *product, *exact, *adjusts; /* adjusts: a period; may be NULL */
};

static const struct rating *rating_of(const char *who, const char *plan, const char *from, const char *to,
                                      const struct line *lines, size_t count) {
  struct rating *r = arena_alloc(arena, sizeof *r);
  struct charge *charges = arena_array(arena, count, sizeof *charges);
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  struct error err = {0};
  *r = (struct rating){.customer = catalog_customer(catalog, slice_of(who)), .charges = charges, .charge_count = count};
  assert_non_null(r->customer);
  r->period = (struct period){date(from), date(to)};
  *segment = (struct segment){.plan = plan_named(plan), .from = r->period.from, .to = r->period.to};
  for (size_t i = 0; i < count; i++) {
    charges[i] = (struct charge){.kind = lines[i].adjusts ? CHARGE_ADJUSTMENT : CHARGE_USAGE,
                                 .name = slice_of(lines[i].product),
                                 .product = slice_of(lines[i].product),
                                 .segment = segment,
                                 .exact = money(lines[i].exact)};
    if (lines[i].adjusts) {
      struct adjustment *a = arena_alloc(arena, sizeof *a);
      a->span.period = slice_of(lines[i].adjusts);
      charges[i].adjustment = a;
    }
    must_do(amount_add(r->total, charges[i].exact, &r->total, &err), &err);
  }
  return r;
}

static bool build(const struct rating *r, const struct invoice_purse *purse, struct invoice *out, struct error *err) {
  char digest[65] = "";
  return invoice_build(arena, catalog, r, purse, 0, digest, out, err);
}

static struct invoice made(const struct rating *r, const struct invoice_purse *purse) {
  struct invoice i;
  struct error err = {0};
  must_do(build(r, purse, &i, &err), &err);
  return i;
}
#define MONTH(who, plan, ...)                                                                                          \
  rating_of(who, plan, "2026-10-01", "2026-11-01", (const struct line[]){__VA_ARGS__},                                 \
            sizeof((const struct line[]){__VA_ARGS__}) / sizeof(struct line))

/* "nl 0.21 of 10.00 = 2.10; total 12.10" */
static void assert_taxes(const struct invoice *i, const char *expected) {
  struct buf words;
  char percent[DECIMAL_TEXT_MAX], base[DECIMAL_TEXT_MAX], tax[DECIMAL_TEXT_MAX];
  buf_init(&words, 10000);
  int minor = i->customer->currency->minor_units;
  for (size_t t = 0; t < i->tax_count; t++) {
    buf_addf(&words, SLICE_FMT " %s of %s = %s; ", SLICE_ARG(i->taxes[t].tax->name),
             rate_text(i->taxes[t].rate, percent), amount_text_fixed(i->taxes[t].base, minor, base),
             amount_text_fixed(i->taxes[t].amount, minor, tax));
  }
  buf_addf(&words, "total %s", amount_text_fixed(i->total, minor, tax));
  buf_addc(&words, '\0');
  assert_string_equal(words.ptr, expected);
  buf_free(&words);
}

static void assert_lines(const struct invoice *i, const char *expected) {
  struct buf words;
  char text[2][DECIMAL_TEXT_MAX];
  int minor = i->customer->currency->minor_units;
  buf_init(&words, 10000);
  for (size_t l = 0; l < i->line_count; l++) {
    buf_addf(&words, "%s%s/%s", l ? " " : "", amount_text_fixed(i->lines[l].amount, minor, text[0]),
             amount_text(i->lines[l].exact, text[1]));
  }
  buf_addc(&words, '\0');
  assert_string_equal(words.ptr, expected);
  buf_free(&words);
}

static void assert_in_document(const struct invoice *i, const char *words, bool there) {
  struct buf out;
  buf_init(&out, 1 << 20);
  invoice_to_json(i, &out);
  buf_addc(&out, '\0');
  if ((strstr(out.ptr, words) != NULL) != there) {
    fail_msg("%s: %s\n%s", there ? "missing" : "should not be there", words, out.ptr);
  }
  buf_free(&out);
}

/* ---- rules ---- */

static void the_first_rule_that_matches_says_the_tax(void **state) {
  (void)state;
  static const struct {
    const char *who, *product, *at, *tax;
  } cases[] = {
      {"home", "calls", "2026-10-01", "nl"},       {"home", "books", "2026-10-01", "nl-low"},
      {"home", "gift", "2026-10-01", ""},          {"business", "calls", "2026-10-01", "rc"},
      {"greek", "calls", "2026-10-01", "rc"},      {"consumer", "calls", "2026-10-01", "de"},
      {"island", "calls", "2020-12-31", "rc"},     {"island", "calls", "2021-01-01", "out"},
      {"calif", "calls", "2026-10-01", "ca"},      {"texas", "calls", "2026-10-01", "out"},
      {"school", "books", "2026-10-01", "exempt"}, {"free", "calls", "2026-10-01", ""},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    const struct tax *tax;
    struct error err = {0};
    must_do(catalog_tax(catalog, catalog_customer(catalog, slice_of(cases[c].who)), slice_of(cases[c].product),
                        date(cases[c].at), &tax, &err),
            &err);
    slice name = tax ? tax->name : SLICE("");
    if (!slice_is(name, cases[c].tax)) {
      fail_msg("%s, %s on %s: " SLICE_FMT " instead of %s", cases[c].who, cases[c].product, cases[c].at,
               SLICE_ARG(name), cases[c].tax);
    }
  }
}

static void numbers_are_held_to_their_country(void **state) {
  (void)state;
  static const struct {
    const char *country, *id;
    bool fine;
  } cases[] = {{"DE", "DE123456789", true},
               {"DE", "DE 123.456-789", true},
               {"DE", "de123456789", true},
               {"DE", "DE12345678", false},
               {"DE", "DE1234567890", false},
               {"DE", "123456789", false},
               {"DE", "NL123456789B01", true},
               {"DE", "", false},
               {"NL", "NL123456789A01", false},
               {"AT", "ATU12345678", true},
               {"GR", "GR123456789", false},
               {"IE", "IE1A23456B", true},
               {"FR", "FRXX999999999", true},
               {"RO", "RO12", true},
               {"DE", "DE12345678\xc3", false},
               {"US", "12-3456789", true},
               {"US", "ABCDE", false},
               {"US", "1234", false},
               {"US", "123456789012345678901", false}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    if (tax_id_well_formed(slice_of(cases[c].country), slice_of(cases[c].id)) != cases[c].fine) {
      fail_msg("%s in %s", cases[c].id, cases[c].country);
    }
  }
}

static void each_line_has_its_tax_and_each_tax_one_rounding(void **state) {
  (void)state;
  struct invoice i = made(MONTH("home", "net", {"calls", "10.024", NULL}, {"books", "5.555", NULL},
                                {"calls", "-1.004", NULL}, {"gift", "3", NULL}),
                          NULL);
  /* 10.02 - 1.00 = 9.02 x 0.21 = 1.8942; 5.56 (half-even of 5.555) x 0.09 = 0.5004 */
  assert_taxes(&i, "nl 0.21 of 9.02 = 1.89; nl-low 0.09 of 5.56 = 0.50; total 19.97");
  assert_in_document(&i, "\"tax\": \"nl-low\"", true);
  assert_in_document(&i, "\"tax\": \"\"", true); /* the gift */
  assert_in_document(&i, "\"entity\": \"North B.V.\"", true);
  i = made(MONTH("business", "net", {"calls", "10", NULL}), NULL);
  assert_taxes(&i, "rc 0 of 10.00 = 0.00; total 10.00");
  assert_in_document(&i, "Article 196", true);
  assert_in_document(&i, "\"tax\": \"rc\"", false); /* of one tax no line need say it */
  i = made(MONTH("school", "net", {"books", "10", NULL}), NULL);
  assert_taxes(&i, "exempt 0 of 10.00 = 0.00; total 10.00");
  assert_in_document(&i, "Education (certificate E-7)", true);
  i = made(MONTH("free", "net", {"books", "10", NULL}), NULL);
  assert_taxes(&i, "total 10.00");
  i = made(MONTH("calif", "net", {"calls", "10", NULL}), NULL);
  assert_in_document(&i, "\"entity\": \"South Inc.\"", true);
  assert_in_document(&i, "\"id\": \"us\"", true);
}

static void half_cents_go_to_the_even_one(void **state) {
  (void)state;
  struct invoice i = made(MONTH("five", "net", {"a", "0.10", NULL}), NULL);
  assert_taxes(&i, "five 0.05 of 0.10 = 0.00; total 0.10");
  i = made(MONTH("five", "net", {"a", "0.30", NULL}), NULL);
  assert_taxes(&i, "five 0.05 of 0.30 = 0.02; total 0.32");
  i = made(MONTH("five", "net", {"a", "-0.30", NULL}), NULL);
  assert_taxes(&i, "five 0.05 of -0.30 = -0.02; total -0.32");
}

/* ---- dates ---- */

static void the_tax_point_is_the_end_of_the_period(void **state) {
  (void)state;
  static const struct line one[] = {{"a", "100", NULL}};
  struct invoice i = made(rating_of("consumer", "net", "2020-06-01", "2020-07-01", one, 1), NULL);
  assert_taxes(&i, "de 0.19 of 100.00 = 19.00; total 119.00");
  i = made(rating_of("consumer", "net", "2020-06-15", "2020-07-15", one, 1), NULL);
  assert_taxes(&i, "de 0.16 of 100.00 = 16.00; total 116.00");
  struct rating opening = *rating_of("consumer", "net", "2020-06-15", "2020-07-15", one, 1);
  opening.opening = true;
  i = made(&opening, NULL);
  assert_taxes(&i, "de 0.19 of 100.00 = 19.00; total 119.00");
  i = made(rating_of("consumer", "net", "2020-12-01", "2021-01-01", one, 1), NULL);
  assert_taxes(&i, "de 0.16 of 100.00 = 16.00; total 116.00");
  struct invoice none;
  struct error err = {0};
  assert_false(build(rating_of("late", "net", "2025-12-01", "2026-01-01", one, 1), NULL, &none, &err));
  assert_non_null(strstr(err.message, "has no rate on 2025-12-31"));
}

static void an_adjustment_has_the_rate_of_its_own_period(void **state) {
  (void)state;
  static const struct line lines[] = {{"a", "100", NULL}, {"a", "10", "2020-12"}, {"a", "-50", "2020-06"}};
  struct invoice i = made(rating_of("consumer", "net", "2021-01-01", "2021-02-01", lines, 3), NULL);
  assert_taxes(&i, "de 0.19 of 50.00 = 9.50; de 0.16 of 10.00 = 1.60; total 71.10");
  assert_in_document(&i, "\"tax_rate\": \"0.16\"", true);
}

/* ---- prices that include tax ---- */

static void gross_prices_are_what_is_paid(void **state) {
  (void)state;
  struct invoice i = made(MONTH("shop", "gross", {"calls", "0.333333333333", NULL}, {"calls", "0.333333333333", NULL},
                                {"calls", "0.333333333333", NULL}),
                          NULL);
  /* 0.99 x 0.21 / 1.21 = 0.1718: 0.17, net 0.82 = 0.28 + 0.27 + 0.27; exactly 0.333333333333 / 1.21 each */
  assert_taxes(&i, "nl 0.21 of 0.82 = 0.17; total 0.99");
  assert_lines(&i, "0.28/0.275482093664 0.27/0.275482093664 0.27/0.275482093664");
  assert_true(i.rounding.e12 == i.subtotal.e12 - i.exact.e12);
  assert_in_document(&i, "\"gross\": \"0.33\"", true);
  assert_in_document(&i, "\"included\": \"0.17\"", true);
  i = made(MONTH("shop", "gross", {"calls", "12.10", NULL}, {"books", "10.90", NULL}), NULL);
  assert_taxes(&i, "nl 0.21 of 10.00 = 2.10; nl-low 0.09 of 10.00 = 0.90; total 23.00");
  i = made(MONTH("shop", "gross", {"calls", "12.10", NULL}, {"calls", "-2.42", NULL}), NULL);
  assert_taxes(&i, "nl 0.21 of 8.00 = 1.68; total 9.68");
  assert_lines(&i, "10.00/10 -2.00/-2");
  i = made(MONTH("exporter", "gross", {"calls", "12.10", NULL}), NULL);
  assert_taxes(&i, "out 0 of 12.10 = 0.00; total 12.10");
  assert_in_document(&i, "gross_exact", false);
}

static void gross_prices_without_cents_and_in_halves(void **state) {
  (void)state;
  struct invoice i = made(MONTH("yen", "gross-yen", {"a", "99", NULL}, {"b", "50", NULL}), NULL);
  /* 149 / 11 = 13.54: 14, net 135: 89.7 and 45.3 */
  assert_taxes(&i, "jp 0.1 of 135 = 14; total 149");
  assert_lines(&i, "90/90 45/45.454545454545");
  i = made(MONTH("half", "gross", {"a", "0.01", NULL}), NULL);
  assert_taxes(&i, "half 1 of 0.01 = 0.00; total 0.01");
  i = made(MONTH("half", "gross", {"a", "0.03", NULL}), NULL);
  assert_taxes(&i, "half 1 of 0.01 = 0.02; total 0.03");
  i = made(MONTH("half", "gross", {"a", "0.01", NULL}, {"a", "-0.01", NULL}), NULL);
  assert_taxes(&i, "half 1 of 0.00 = 0.00; total 0.00");
}

static void given_credit_lowers_the_base_of_the_tax_it_falls_under(void **state) {
  (void)state;
  slice books = SLICE("books");
  struct credit_grant grants[2] = {
      {.id = SLICE("g1"), .kind = CREDIT_PROMOTIONAL, .available = money("4"), .scope = &books, .scope_count = 1},
      {.id = SLICE("g2"), .kind = CREDIT_PROMOTIONAL, .available = money("8")}};
  grants[0].expires = grants[1].expires = INSTANT_MAX;
  struct invoice_purse purse = {grants, 2};
  struct invoice i = made(MONTH("home", "net", {"calls", "10", NULL}, {"books", "10", NULL}), &purse);
  /* 4 of books, then 8 over 10 and 6: 5 and 3 */
  assert_taxes(&i, "nl 0.21 of 5.00 = 1.05; nl-low 0.09 of 3.00 = 0.27; total 9.32");
  i = made(MONTH("shop", "gross", {"calls", "12.10", NULL}), &(struct invoice_purse){&grants[1], 1});
  /* net 10 less 8: the tax in the price less that on the credit, 2.10 - 1.68 */
  assert_taxes(&i, "nl 0.21 of 2.00 = 0.42; total 2.42");
}

static void what_is_earned_is_net(void **state) {
  (void)state;
  const struct rating *r = MONTH("shop", "gross", {"calls", "12.10", NULL}, {"gift", "3", NULL});
  struct error err = {0};
  amount net;
  must_do(invoice_charge_net(catalog, r, &r->charges[0], &net, &err), &err);
  assert_true(amount_cmp(net, money("10")) == 0);
  must_do(invoice_charge_net(catalog, r, &r->charges[1], &net, &err), &err);
  assert_true(amount_cmp(net, money("3")) == 0);
}

static void a_line_tells_its_tax(void **state) {
  (void)state;
  struct invoice i = made(MONTH("shop", "gross", {"calls", "12.105", NULL}, {"books", "10.90", NULL}), NULL);
  struct buf document, words;
  struct error err = {0};
  buf_init(&document, 1 << 20);
  buf_init(&words, 10000);
  invoice_to_json(&i, &document);
  must_do(invoice_explain(buf_slice(&document), 1, &words, &err), &err);
  buf_addc(&words, '\0');
  assert_non_null(strstr(words.ptr, "with tax   12.105 EUR, rounded half-even to 12.10; without: / (1 + 0.21)"));
  assert_non_null(strstr(words.ptr, "tax        VAT 21 % (S, rate 0.21)"));
  assert_non_null(strstr(words.ptr, "amount     10.00 EUR, its share"));
  buf_free(&document);
  buf_free(&words);
}

/* ---- refused catalogs ---- */

static void mistakes_are_named(void **state) {
  (void)state;
  static const struct {
    const char *text, *why;
  } cases[] = {
      {"taxes: [{name: a, rate: 1 %, rates: [{rate: 2 %}]}]\n", "keep one of the two"},
      {"taxes: [{name: a, rates: []}]\n", "expected a list"},
      {"taxes: [{name: a, rates: [{rate: 1 %}, {rate: 2 %}]}]\n", "begin at the same time"},
      {"taxes: [{name: a, rates: [{rate: 0 %}]}]\n", "needs a rate above 0"},
      {"taxes: [{name: none, rate: 1 %}]\n", "another name"},
      {"tax_rules: [{customer: NL, tax: vta}]\ntaxes: [{name: vat, rate: 1 %}]\n", "did you mean \"vat\""},
      {"tax_rules: [{customer: Holland, tax: none}]\n", "two capital letters"},
      {"tax_rules: [{tax: none}]\n", "\"customer\" is missing"},
      {"tax_rules: [{customer: any, tax: none, seller: x}]\n", "no seller with the id \"x\""},
      {"tax_rules: [{customer: any, tax: none, products: [x]}]\n", "nothing is sold as product \"x\""},
      {"tax_rules: [{customer: NL, tax: none}]\ncustomers: [{id: a, plan: p, country: DE}]\n",
       "no rule of tax_rules takes customer \"a\""},
      {"tax_rules: [{customer: DE, tax: none, products: [calls]}]\ncustomers: [{id: a, plan: p, country: DE}]\n",
       "whatever it buys"},
      {"tax_rules: [{customer: any, tax: none}]\ncustomers: [{id: a, plan: p}]\n", "\"country\" is missing"},
      {"tax_rules: [{customer: any, tax: none}]\ncustomers: [{id: a, plan: p, country: DE, tax_id: DE1}]\n",
       "no VAT number"},
      {"taxes: [{name: rc, rate: 0, category: AE}]\ncustomers: [{id: a, plan: p, tax: rc}]\n", "the customer has none"},
      {"taxes: [{name: rc, rate: 0, category: AE}]\ncustomers: [{id: a, plan: p, tax: rc, tax_id: DE123456789}]\n",
       "the seller has none"},
      {"taxes: [{name: v, rate: 1 %}]\ncustomers: [{id: a, plan: p, tax: v, tax_exempt: {reason: x}}]\n",
       "keep one of the two"},
      {"customers: [{id: a, plan: p, tax_exempt: {}}]\n", "\"reason\" is missing"},
      {"seller: {name: A, invoice_prefix: X-}\nsellers: [{id: b, name: B, invoice_prefix: X-}]\n",
       "an invoice_prefix of its own"},
      {"seller: {name: A, invoice_prefix: X-}\nsellers: [{id: b, name: B, invoice_prefix: X-CN-}]\n",
       "an invoice_prefix of its own"},
      {"sellers: [{name: B}]\n", "\"id\" is missing"},
      {"sellers: [{id: b, name: B}]\ncustomers: [{id: a, plan: p}]\n", "\"seller\" is missing"},
      {"sellers: [{id: b, name: B}]\ncustomers: [{id: a, plan: p, seller: c}]\n", "no seller with the id \"c\""},
  };
  static const char before[] = "currency: EUR\nmeters: [{name: calls, event: c, aggregation: count}]\n"
                               "plans: [{name: p, prices: [{meter: calls, price: 1}]}]\n";
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    struct error err = {0};
    struct catalog *refused;
    struct catalog_text file = {"c.yaml", slice_of(arena_printf(arena, "%s%s", before, cases[c].text))};
    if (catalog_parse(&file, 1, &refused, &err)) {
      fail_msg("accepted: %s", cases[c].text);
    }
    if (strstr(err.message, cases[c].why) == NULL) {
      fail_msg("%s gave %s, expected %s", cases[c].text, err.message, cases[c].why);
    }
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_rule_that_matches_says_the_tax),
      cmocka_unit_test(numbers_are_held_to_their_country),
      cmocka_unit_test(each_line_has_its_tax_and_each_tax_one_rounding),
      cmocka_unit_test(half_cents_go_to_the_even_one),
      cmocka_unit_test(the_tax_point_is_the_end_of_the_period),
      cmocka_unit_test(an_adjustment_has_the_rate_of_its_own_period),
      cmocka_unit_test(gross_prices_are_what_is_paid),
      cmocka_unit_test(gross_prices_without_cents_and_in_halves),
      cmocka_unit_test(given_credit_lowers_the_base_of_the_tax_it_falls_under),
      cmocka_unit_test(what_is_earned_is_net),
      cmocka_unit_test(a_line_tells_its_tax),
      cmocka_unit_test(mistakes_are_named),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
