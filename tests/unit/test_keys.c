/* Keys: what they may, when they end, what a batch that is undone leaves of them, and whose they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "book/book.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char catalog_text[] = "currency: EUR\n"
                                   "seller: {name: S, country: NL, invoice_prefix: S-}\n"
                                   "meters: [{name: calls, event: e, value: v, unit: call}]\n"
                                   "plans: [{name: p, prices: [{meter: calls, price: 1}]}]\n"
                                   "customers: [{id: acme, plan: p}, {id: bolt, plan: p}]\n";

struct house {
  char dir[64], catalog[96];
  struct book *book;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static void set_clock(const char *text) {
  instant t;
  struct error err = {0};
  done(time_parse_rfc3339(slice_of(text), &t, &err), &err);
  clock_set_test(t);
}

static int open_house(void **state) {
  struct house *h = calloc(1, sizeof *h);
  struct error err = {0};
  set_clock("2026-11-05T10:00:00Z");
  snprintf(h->dir, sizeof h->dir, "/tmp/test_keys.XXXXXX");
  assert_non_null(h);
  assert_non_null(mkdtemp(h->dir));
  snprintf(h->catalog, sizeof h->catalog, "%s/c.yaml", h->dir);
  FILE *f = fopen(h->catalog, "w");
  assert_non_null(f);
  fputs(catalog_text, f);
  assert_int_equal(fclose(f), 0);
  done(book_open(h->dir, h->catalog, BOOK_WRITE, &h->book, &err), &err);
  *state = h;
  return 0;
}

static int close_house(void **state) {
  struct house *h = *state;
  char command[128];
  book_close(h->book);
  snprintf(command, sizeof command, "rm -rf %s", h->dir);
  int gone = system(command);
  free(h);
  return gone;
}

static void reopen(struct house *h) {
  struct error err = {0};
  book_close(h->book);
  done(book_open(h->dir, NULL, BOOK_WRITE, &h->book, &err), &err);
}

static void commit(struct house *h) {
  struct error err = {0};
  done(book_commit(h->book, &err), &err);
}

static void begin(struct house *h) {
  struct error err = {0};
  done(book_begin(h->book, &err), &err);
}

static struct key_request of_acme(void) {
  return (struct key_request){.role = ROLE_CUSTOMER, .customer = SLICE("acme"), .name = SLICE("ci")};
}

static struct key_made make(struct house *h, struct key_request request) {
  struct key_made made;
  struct error err = {0};
  begin(h);
  done(key_create(h->book, &request, &made, &err), &err);
  commit(h);
  return made;
}

static struct key_identity who(struct house *h, const char *text) {
  struct key_identity out;
  struct error err = {0};
  done(key_check(h->book, slice_of(text), &out, &err), &err);
  return out;
}

static void refused(struct house *h, const char *text, const char *words) {
  struct key_identity out;
  struct error err = {0};
  assert_false(key_check(h->book, slice_of(text), &out, &err));
  assert_int_equal(err.code, ERR_DENIED);
  assert_int_equal(out.role, ROLE_NONE);
  assert_non_null(strstr(err.message, words));
}

/* ---- what a key says ---- */

static void test_defaults(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_made customers = make(h, of_acme());
  struct key_made operators = make(h, (struct key_request){.role = ROLE_OPERATOR});
  struct key_identity c = who(h, customers.text), o = who(h, operators.text);
  assert_true(key_may(&c, KEY_SCOPE_MODELS, &err) && key_may(&c, KEY_SCOPE_MANAGE, &err));
  assert_true(key_may(&o, KEY_SCOPE_MANAGE, &err));
  assert_false(key_may(&o, KEY_SCOPE_MODELS, &err));
  assert_int_equal(err.code, ERR_DENIED);
  assert_true(slice_is(c.customer, "acme") && slice_is(c.key_id, customers.id) && slice_is(c.family, customers.id));
  assert_true(c.terms->expires.ns == INSTANT_MAX.ns);
  assert_true(key_may_use_model(c.terms, SLICE("anything")));
}

static struct key_terms all_terms(void) {
  static const slice models[] = {SLICE("llama-*"), SLICE("qwen")};
  return (struct key_terms){.scopes = KEY_SCOPE_MODELS,
                            .project = SLICE("search team"),
                            .models = models,
                            .model_count = 2,
                            .expires = {clock_now().ns + 3600 * NS_PER_S},
                            .limits = {.requests_a_minute = 5, .tokens_a_minute = 1000, .concurrency = 2},
                            .has_spend_limit = true,
                            .spend_limit = {(int128)125 * 100000000000},
                            .spend_per = WATCH_DAY};
}

static void check_all_terms(const struct key_terms *t) {
  assert_int_equal(t->scopes, KEY_SCOPE_MODELS);
  assert_true(slice_is(t->project, "search team"));
  assert_int_equal(t->model_count, 2);
  assert_true(slice_is(t->models[0], "llama-*") && slice_is(t->models[1], "qwen"));
  assert_true(t->expires.ns == clock_now().ns + 3600 * NS_PER_S);
  assert_int_equal(t->limits.requests_a_minute, 5);
  assert_int_equal(t->limits.tokens_a_minute, 1000);
  assert_int_equal(t->limits.concurrency, 2);
  assert_true(t->has_spend_limit && t->spend_per == WATCH_DAY);
  assert_true(t->spend_limit.e12 == (int128)125 * 100000000000);
}

static bool look_at_terms(void *context, const struct key_info *key, struct error *err) {
  (void)err;
  check_all_terms(&key->terms);
  ++*(int *)context;
  return true;
}

static void test_terms_are_kept(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_request request = of_acme();
  int seen = 0;
  request.terms = all_terms();
  struct key_made made = make(h, request);
  check_all_terms(who(h, made.text).terms);
  reopen(h);
  check_all_terms(who(h, made.text).terms);
  done(key_list(h->book, &(struct key_query){.customer = SLICE("acme")}, look_at_terms, &seen, &err), &err);
  done(key_list(h->book, &(struct key_query){.customer = SLICE("bolt")}, look_at_terms, &seen, &err), &err);
  assert_int_equal(seen, 1);
}

static void test_models(void **state) {
  (void)state;
  struct key_terms t = all_terms();
  assert_true(key_may_use_model(&t, SLICE("llama-")) && key_may_use_model(&t, SLICE("llama-3.3-70b")));
  assert_true(key_may_use_model(&t, SLICE("qwen")));
  assert_false(key_may_use_model(&t, SLICE("llama")) || key_may_use_model(&t, SLICE("qwen2")) ||
               key_may_use_model(&t, SLICE("xllama-3")) || key_may_use_model(&t, SLICE("")));
}

static void wrong(struct house *h, struct key_request request, enum error_code code, const char *words) {
  struct key_made made;
  struct error err = {0};
  begin(h);
  bool ok = key_create(h->book, &request, &made, &err);
  book_undo(h->book);
  assert_false(ok);
  assert_int_equal(err.code, code);
  if (strstr(err.message, words) == NULL) {
    fail_msg("\"%s\" is not in \"%s\"", words, err.message);
  }
}

static void wrong_terms(struct house *h, struct key_terms terms, const char *words) {
  struct key_request request = of_acme();
  request.terms = terms;
  wrong(h, request, ERR_INVALID, words);
}

static void test_wrong_terms(void **state) {
  struct house *h = *state;
  slice inner = SLICE("a*b"), empty = SLICE(""), blank = SLICE("a b"), line = SLICE("a\nb");
  wrong_terms(h, (struct key_terms){.models = &inner, .model_count = 1}, "models");
  wrong_terms(h, (struct key_terms){.models = &empty, .model_count = 1}, "models");
  wrong_terms(h, (struct key_terms){.models = &blank, .model_count = 1}, "models");
  wrong_terms(h, (struct key_terms){.models = &line, .model_count = 1}, "models");
  wrong_terms(h, (struct key_terms){.scopes = 4}, "scopes");
  wrong_terms(h, (struct key_terms){.project = line}, "project");
  wrong_terms(h, (struct key_terms){.expires = clock_now()}, "expires");
  wrong_terms(h, (struct key_terms){.limits = {.concurrency = -1}}, "limits.concurrency");
  wrong_terms(h, (struct key_terms){.has_spend_limit = true}, "spend_limit.amount");
  wrong_terms(h, (struct key_terms){.spend_per = WATCH_HOUR}, "spend_limit.per");
  wrong(h, (struct key_request){.role = ROLE_OPERATOR, .terms = {.scopes = KEY_SCOPE_MODELS}}, ERR_INVALID, "models");
  wrong(h, (struct key_request){.role = ROLE_INVESTOR, .terms = {.limits = {.concurrency = 1}}}, ERR_INVALID, "limits");
  wrong(h, (struct key_request){.role = ROLE_CUSTOMER, .customer = SLICE("nobody")}, ERR_NOT_FOUND, "nobody");
}

/* ---- when it ends ---- */

static void test_refusals(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_request request = of_acme();
  request.terms.expires = (instant){clock_now().ns + NS_PER_S};
  struct key_made expiring = make(h, request), revoked = make(h, of_acme()), good = make(h, of_acme());
  begin(h);
  done(key_revoke(h->book, slice_of(revoked.id), NULL, &err), &err);
  assert_int_equal(who(h, revoked.text).role, ROLE_CUSTOMER); /* until it is durable */
  commit(h);
  for (int again = 0; again < 2; again++) {
    set_clock("2026-11-05T10:00:00.999999999Z");
    who(h, expiring.text);
    set_clock("2026-11-05T10:00:01Z");
    refused(h, expiring.text, "expired at 2026-11-05T10:00:01Z");
    refused(h, revoked.text, "revoked");
    good.text[strlen(good.text) - 1] ^= 1;
    refused(h, good.text, "unknown");
    good.text[strlen(good.text) - 1] ^= 1;
    who(h, good.text);
    reopen(h);
  }
  revoked.text[strlen(revoked.text) - 1] ^= 1; /* not told to whoever knows the id alone */
  refused(h, revoked.text, "unknown");
  refused(h, "mh_", "not a key");
  refused(h, "mh_00000000000000000000000000000000_000000000000000000000000000000000000000000000000", "unknown");
}

static void test_undone(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_made kept = make(h, of_acme()), lost, rotated;
  struct key_request request = of_acme();
  begin(h);
  done(key_create(h->book, &request, &lost, &err), &err);
  done(key_rotate(h->book, slice_of(kept.id), 0, NULL, &rotated, &err), &err);
  done(key_revoke(h->book, slice_of(kept.id), NULL, &err), &err);
  book_undo(h->book);
  begin(h);
  commit(h);
  refused(h, lost.text, "unknown");
  refused(h, rotated.text, "unknown");
  who(h, kept.text);
}

static void test_rotation(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_request request = of_acme();
  request.terms = all_terms();
  struct key_made old = make(h, request), new, third;
  begin(h);
  done(key_rotate(h->book, slice_of(old.id), 60, NULL, &new, &err), &err);
  commit(h);
  check_all_terms(who(h, new.text).terms);
  assert_true(slice_is(who(h, new.text).family, old.id) && slice_is(who(h, old.text).family, old.id));
  set_clock("2026-11-05T10:00:59Z");
  who(h, old.text);
  set_clock("2026-11-05T10:01:00Z");
  refused(h, old.text, "rotated");
  reopen(h);
  refused(h, old.text, "rotated");
  begin(h);
  assert_false(key_rotate(h->book, slice_of(old.id), 0, NULL, &third, &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  done(key_rotate(h->book, slice_of(new.id), KEY_OVERLAP_S_MAX, NULL, &third, &err), &err);
  assert_false(key_rotate(h->book, slice_of(new.id), 0, NULL, &third, &err)); /* once, also within a batch */
  assert_int_equal(err.code, ERR_CONFLICT);
  assert_false(key_rotate(h->book, slice_of(old.id), KEY_OVERLAP_S_MAX + 1, NULL, &third, &err));
  assert_int_equal(err.code, ERR_INVALID);
  commit(h);
  assert_true(slice_is(who(h, third.text).family, old.id));
  set_clock("2026-11-05T10:59:59Z");
  who(h, new.text);
  set_clock("2026-11-05T11:00:00Z"); /* no overlap makes it longer than it was */
  refused(h, new.text, "expired");
  refused(h, third.text, "expired");
}

/* ---- customers help themselves ---- */

static struct key_request by(const struct key_identity *maker, struct key_terms terms) {
  struct key_request request = of_acme();
  request.maker = maker;
  request.terms = terms;
  return request;
}

static void test_no_wider_than_the_maker(void **state) {
  struct house *h = *state;
  static const slice within[] = {SLICE("llama-3*"), SLICE("qwen")}, wider = SLICE("llama*");
  struct key_request request = of_acme();
  request.terms = all_terms();
  request.terms.scopes = KEY_SCOPE_MODELS | KEY_SCOPE_MANAGE;
  struct key_made maker_text = make(h, request);
  struct key_identity maker = who(h, maker_text.text);
  struct key_made plain = make(h, by(&maker, (struct key_terms){.scopes = KEY_SCOPE_MODELS}));
  struct key_terms inherited = *who(h, plain.text).terms;
  assert_true(inherited.project.len == 0);
  inherited.project = SLICE("search team");
  check_all_terms(&inherited);
  make(h, by(&maker, (struct key_terms){.models = within, .model_count = 2, .limits = {.concurrency = 1}}));
  wrong(h, by(&maker, (struct key_terms){.models = &wider, .model_count = 1}), ERR_DENIED, "models");
  wrong(h, by(&maker, (struct key_terms){.limits = {.requests_a_minute = 6}}), ERR_DENIED, "requests_a_minute");
  wrong(h, by(&maker, (struct key_terms){.limits = {.tokens_a_minute = 1001}}), ERR_DENIED, "tokens_a_minute");
  wrong(h, by(&maker, (struct key_terms){.limits = {.concurrency = 3}}), ERR_DENIED, "concurrency");
  wrong(h, by(&maker, (struct key_terms){.expires = INSTANT_MAX}), ERR_DENIED, "expires");
  struct key_terms spend = {
      .has_spend_limit = true, .spend_limit = {(int128)126 * 100000000000}, .spend_per = WATCH_DAY};
  wrong(h, by(&maker, spend), ERR_DENIED, "spend_limit");
  spend.spend_limit.e12 = 1;
  make(h, by(&maker, spend));
  spend.spend_per = WATCH_MONTH;
  wrong(h, by(&maker, spend), ERR_DENIED, "spend_limit");
}

static void test_scopes_of_the_maker(void **state) {
  struct house *h = *state;
  struct key_request request = of_acme();
  request.terms.scopes = KEY_SCOPE_MANAGE;
  struct key_made text = make(h, request);
  struct key_identity maker = who(h, text.text);
  assert_int_equal(who(h, make(h, by(&maker, (struct key_terms){0})).text).terms->scopes, KEY_SCOPE_MANAGE);
  wrong(h, by(&maker, (struct key_terms){.scopes = KEY_SCOPE_MODELS}), ERR_DENIED, "scopes");
  request = by(&maker, (struct key_terms){0});
  request.role = ROLE_OPERATOR;
  request.customer = (slice){0};
  wrong(h, request, ERR_DENIED, "role customer alone");
}

static void test_tenants(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_request request = of_acme();
  request.customer = SLICE("bolt");
  struct key_made bolts = make(h, request), out;
  struct key_made limited = make(h, by(NULL, (struct key_terms){.limits = {.concurrency = 1}})),
                  wide = make(h, of_acme());
  struct key_identity acme = who(h, limited.text);
  request.maker = &acme;
  wrong(h, request, ERR_NOT_FOUND, "");
  begin(h);
  assert_false(key_revoke(h->book, slice_of(bolts.id), &acme, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  assert_false(key_rotate(h->book, slice_of(bolts.id), 0, &acme, &out, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  assert_false(key_rotate(h->book, slice_of(wide.id), 0, &acme, &out, &err)); /* its text would be a way out */
  assert_int_equal(err.code, ERR_DENIED);
  done(key_rotate(h->book, slice_of(limited.id), 0, &acme, &out, &err), &err);
  done(key_revoke(h->book, slice_of(wide.id), &acme, &err), &err);
  commit(h);
  who(h, bolts.text);
  refused(h, wide.text, "revoked");
  assert_int_equal(who(h, out.text).terms->limits.concurrency, 1);
}

static void test_keys_of_a_customer(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct key_made made, last;
  struct key_request request = of_acme();
  begin(h);
  for (int i = 0; i < KEYS_OF_CUSTOMER_MAX; i++) {
    done(key_create(h->book, &request, &last, &err), &err);
  }
  assert_false(key_create(h->book, &request, &made, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  done(key_revoke(h->book, slice_of(last.id), NULL, &err), &err);
  done(key_create(h->book, &request, &made, &err), &err);
  request.customer = SLICE("bolt");
  done(key_create(h->book, &request, &made, &err), &err);
  commit(h);
}

struct page {
  char last[64];
  int count;
};

static bool take_id(void *context, const struct key_info *key, struct error *err) {
  (void)err;
  struct page *page = context;
  snprintf(page->last, sizeof page->last, SLICE_FMT, SLICE_ARG(key->id));
  page->count++;
  return true;
}

static void test_pages(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct page page = {0};
  char first[64];
  for (int i = 0; i < 5; i++) {
    make(h, of_acme());
  }
  done(key_list(h->book, &(struct key_query){.limit = 2}, take_id, &page, &err), &err);
  assert_int_equal(page.count, 2);
  memcpy(first, page.last, sizeof first);
  done(
      key_list(h->book, &(struct key_query){.customer = SLICE("acme"), .after = slice_of(first)}, take_id, &page, &err),
      &err);
  assert_int_equal(page.count, 5);
  assert_true(strcmp(page.last, first) > 0);
}

static void test_spend(void **state) {
  struct house *h = *state;
  struct error err = {0};
  instant november = {INT64_C(1793491200) * NS_PER_S}, december = {INT64_C(1796083200) * NS_PER_S};
  amount out, cent = {10000000000};
  done(key_spend_read(h->book, SLICE("key_1"), november, &out, &err), &err);
  assert_true(out.e12 == 0);
  begin(h);
  for (int i = 0; i < 3; i++) {
    done(key_spend_add(h->book, SLICE("key_1"), november, cent, &err), &err);
  }
  done(key_spend_add(h->book, SLICE("key_1"), december, cent, &err), &err);
  commit(h);
  begin(h);
  done(key_spend_add(h->book, SLICE("key_1"), november, cent, &err), &err);
  book_undo(h->book);
  done(key_spend_read(h->book, SLICE("key_1"), november, &out, &err), &err);
  assert_true(out.e12 == 3 * cent.e12);
  done(key_spend_read(h->book, SLICE("key_2"), november, &out, &err), &err);
  assert_true(out.e12 == 0);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, open_house, close_house)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_HOUSE(test_defaults),
      IN_HOUSE(test_terms_are_kept),
      IN_HOUSE(test_models),
      IN_HOUSE(test_wrong_terms),
      IN_HOUSE(test_refusals),
      IN_HOUSE(test_undone),
      IN_HOUSE(test_rotation),
      IN_HOUSE(test_no_wider_than_the_maker),
      IN_HOUSE(test_scopes_of_the_maker),
      IN_HOUSE(test_tenants),
      IN_HOUSE(test_keys_of_a_customer),
      IN_HOUSE(test_pages),
      IN_HOUSE(test_spend),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
