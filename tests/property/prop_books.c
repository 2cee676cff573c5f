/* Whole books: random contracts, reservations, taxes and credits; a test clock that makes what falls due; events in
 * time and late, corrections, payments, voids and closes in random order. In the end the documents of a customer sum
 * to what the oracle says all events that count cost, each document agrees with itself and with the ledger, receivables
 * are what was billed less what was paid, closing again changes nothing, and `check` finds nothing. Usage without a
 * price would hold invoices back, so every plan prices what is sent and nothing is sent outside of contracts. */
#include "base/json.h"
#include "book/book.h"
#include "collect/collect.h"
#include "contracts/plain.h"
#include "contracts/stretches.h"
#include "contracts/write.h"

#include <pthread.h>

#define OTHERS "res" /* a second customer, with a reservation and a savings plan; re-rating by the engine judges it */

struct sent {
  bool counts, corrected;
  int customer; /* 0: of the deal; 1: the other */
  struct event_made made;
  char source[16], id[64];
};
struct world {
  uint64_t seed;
  struct deal deal;
  struct oracle oracle;
  struct buf yaml;
  struct arena *arena;
  struct book *book;
  char dir[64];
  struct sent sent[EVENTS_MAX];
  int count, corrections, payments, grants;
  seconds now, end;
};

static _Noreturn void fail(const struct world *w, const char *what) {
  fprintf(stderr, "%.*s\nprop_books: SEED=%llu CASES=1: %s\n", (int)w->yaml.len, w->yaml.ptr,
          (unsigned long long)w->seed, what);
  exit(1);
}

static void expect(const struct world *w, bool ok, const struct error *err) {
  if (!ok) {
    fail(w, err->message);
  }
}

static void begin(struct world *w) {
  struct error err = {0};
  expect(w, book_begin(w->book, &err), &err);
}

static void commit(struct world *w) {
  struct error err = {0};
  expect(w, book_commit(w->book, &err), &err);
}

static struct collect collect_of(struct world *w) {
  return (struct collect){book_db(w->book), book_ledger(w->book), book_catalog(w->book), clock_now(), w->arena};
}

/* ---- the catalog ---- */

static void price_all(struct deal *d, struct terms *t) {
  for (int meter = 0; meter < LEASE; meter++) {
    bool found = false;
    for (int i = 0; i < t->price_count; i++) {
      found = found || t->prices[i].meter == meter;
    }
    if (!found) {
      make_price(d, meter, &t->prices[t->price_count++]);
    }
  }
}

static void make_catalog(struct world *w) {
  struct deal *d = &w->deal;
  make_deal(d, w->seed);
  make_plain(d);
  for (int p = 0; p < PLANS; p++) {
    for (int v = 0; v < d->plans[p].version_count; v++) {
      price_all(d, &d->plans[p].versions[v]);
    }
  }
  buf_init(&w->yaml, 1 << 20);
  write_deal(&w->yaml, d);
  buf_addf(&w->yaml, "    tax: vat\n  - id: " OTHERS "\n    time_zone: UTC\n    contracts:\n      - {plan: p0");
  put_time(&w->yaml, "from", d->from);
  buf_addf(&w->yaml, ", reservations: [{name: Reserved calls, meter: calls, quantity: 2, price: 0.013}]"
                     ", savings_plans: [{name: Saved tokens, hourly: 0.75, meters: [tokens], discount: 20 %%}]}\n"
                     "taxes: [{name: vat, label: VAT, category: S, rate: 21 %%}]\n"
                     "seller: {name: S, country: NL, invoice_prefix: S-}\n");
  oracle_begin(&w->oracle, d);
}

static void open_book(struct world *w) {
  struct error err = {0};
  char path[128];
  snprintf(w->dir, sizeof w->dir, "/tmp/mh_books.XXXXXX");
  must(mkdtemp(w->dir) != NULL);
  snprintf(path, sizeof path, "%s/catalog.yaml", w->dir);
  FILE *file = fopen(path, "w");
  must(file && fwrite(w->yaml.ptr, 1, w->yaml.len, file) == w->yaml.len && fclose(file) == 0);
  w->now = w->deal.from - DAY_S;
  clock_set_test((instant){w->now * NS_PER_S});
  expect(w, book_open(w->dir, path, BOOK_WRITE, &w->book, &err), &err);
  expect(w, book_set_test_clock(w->book, (instant){w->now * NS_PER_S}, &err), &err);
}

/* ---- steps ---- */

static void move_clock(struct world *w, seconds to) {
  struct error err = {0};
  struct due_result result;
  const struct due_writer writer = book_due_writer(w->book);
  expect(w, book_run_due(w->book, (instant){to * NS_PER_S}, &writer, (struct due_notes){0}, &result, &err), &err);
  if (result.held > 0) {
    fail(w, "an invoice was held back, though all usage has a price");
  }
  w->now = to;
}

/* Some time until now, within a contract. */
static bool some_moment(struct world *w, int customer, int64_t *ns) {
  seconds t = some_second(&w->deal, w->deal.from, w->now + 1);
  *ns = t * NS_PER_S + (chance(&w->deal, 30) ? pick(&w->deal, NS_PER_S) : 0);
  return customer == 1 || part_holding(&w->oracle, t) >= 0;
}

static bool make_event(struct world *w, struct sent *s, struct event *e) {
  struct event_field *field = arena_alloc(w->arena, sizeof *field);
  struct deal *d = &w->deal;
  s->customer = (int)pick(d, 2);
  s->made = (struct event_made){.meter = (int)pick(d, LEASE), .value = pick(d, 30000)};
  s->counts = true;
  if (!some_moment(w, s->customer, &s->made.ns)) {
    return false;
  }
  slice value =
      slice_of(arena_printf(w->arena, "%lld.%03lld", (long long)s->made.value / 1000, (long long)s->made.value % 1000));
  *field = (struct event_field){SLICE("n"), value, true};
  *e = (struct event){.id = slice_of(s->id),
                      .source = slice_of(s->source),
                      .type = s->made.meter == CALLS ? SLICE("call") : SLICE("answer"),
                      .subject = s->customer == 0 ? SLICE("cus") : SLICE(OTHERS),
                      .time = {s->made.ns},
                      .fields = field,
                      .field_count = s->made.meter == CALLS ? 0 : 1};
  return true;
}

static void send(struct world *w) {
  struct error err = {0};
  struct event e;
  struct ingest_result result;
  if (w->now < w->deal.from || w->count == EVENTS_MAX) {
    return;
  }
  struct sent *s = &w->sent[w->count];
  *s = (struct sent){.source = "test"};
  snprintf(s->id, sizeof s->id, "e%d", w->count);
  if (!make_event(w, s, &e)) {
    return;
  }
  w->count++;
  begin(w);
  expect(w, book_ingest(w->book, w->arena, &e, 1, &result, &err), &err);
  must(result.verdict == EVENT_ACCEPTED);
  commit(w);
}

static void correct(struct world *w) {
  struct error err = {0};
  struct correction_result result;
  struct event replacement;
  struct sent *target = w->count > 0 ? &w->sent[pick(&w->deal, w->count)] : NULL;
  if (!target || target->corrected || w->count == EVENTS_MAX) {
    return;
  }
  const char *id = arena_printf(w->arena, "k%d", w->corrections++);
  struct correction_request request = {
      .id = slice_of(id), .kind = CORRECT_VOID, .source = slice_of(target->source), .event_id = slice_of(target->id)};
  struct sent *s = &w->sent[w->count];
  *s = (struct sent){.source = "meterhouse"};
  snprintf(s->id, sizeof s->id, "%s/replacement", id);
  if (chance(&w->deal, 50) && make_event(w, s, &replacement)) {
    request.kind = CORRECT_AMEND;
    request.events = &replacement;
    request.count = 1;
    w->count++;
  }
  begin(w);
  expect(w, book_correct(w->book, w->arena, &request, &result, &err), &err);
  commit(w);
  target->counts = false;
  target->corrected = true;
}

static void grant(struct world *w) {
  static const slice scopes[] = {{"calls", 5}, {"tokens", 6}};
  struct error err = {0};
  struct deal *d = &w->deal;
  bool repeated;
  const struct customer *c = catalog_customer(book_catalog(w->book), chance(d, 50) ? SLICE("cus") : SLICE(OTHERS));
  const struct credit_grant g = {.id = slice_of(arena_printf(w->arena, "g%d", w->grants++)),
                                 .kind = (enum credit_kind)pick(d, CREDIT_KINDS),
                                 .amount = {(int128)(1 + pick(d, 50000)) * 10000000000},
                                 .priority = (int)pick(d, 100),
                                 .scope = &scopes[pick(d, 2)],
                                 .scope_count = chance(d, 40) ? 1 : 0,
                                 .effective = {(w->now + pick(d, 20 * DAY_S)) * NS_PER_S},
                                 .expires = {(w->now + 21 * DAY_S + pick(d, 200 * DAY_S)) * NS_PER_S}};
  begin(w);
  expect(w, credit_add(book_db(w->book), book_ledger(w->book), c, &g, clock_now(), &repeated, &err), &err);
  commit(w);
}

/* ---- invoices that are there ---- */

struct chosen {
  struct world *w;
  slice id, customer;
  amount open;
  instant from;
};

static bool choose(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct chosen *c = context;
  if (!slice_is(i->status, "void") && chance(&c->w->deal, 30)) {
    c->id = arena_copy(c->w->arena, i->id);
    c->customer = arena_copy(c->w->arena, i->customer);
    c->open = (amount){i->total.e12 - i->paid.e12};
    c->from = i->from;
  }
  return true;
}

static struct chosen some_invoice(struct world *w) {
  struct chosen c = {.w = w};
  struct error err = {0};
  expect(w, invoice_list(book_db(w->book), &(struct invoice_query){.limit = SIZE_MAX}, choose, &c, &err), &err);
  return c;
}

/* All, a part of it, or more than it. */
static void pay(struct world *w) {
  struct chosen c = some_invoice(w);
  struct error err = {0};
  struct payment_result result;
  if (c.open.e12 <= 0) {
    return;
  }
  const struct collect collect = collect_of(w);
  struct payment_request request = {.source = PAYMENT_MANUAL,
                                    .key = slice_of(arena_printf(w->arena, "p%d", w->payments++)),
                                    .currency = SLICE("USD"),
                                    .amount = c.open,
                                    .received = clock_now(),
                                    .customer = c.customer,
                                    .invoice = c.id};
  if (chance(&w->deal, 40)) {
    request.amount.e12 = (int128)(1 + pick(&w->deal, 100000)) * 10000000000;
  }
  begin(w);
  expect(w, payment_record(&collect, &request, &result, &err), &err);
  if (chance(&w->deal, 20)) {
    expect(w, payment_refund(&collect, result.id, AMOUNT_ZERO, &err), &err);
  }
  commit(w);
}

static void close_again(struct world *w, slice customer, instant within) {
  struct error err = {0};
  struct close_result result;
  struct period p;
  char name[2 * TIME_TEXT_MAX];
  const struct customer *c = catalog_customer(book_catalog(w->book), customer);
  const struct close_options options = {0};
  expect(w, billing_period_at(c, within, &p, &err), &err);
  expect(w, book_close_period(w->book, slice_of(billing_period_name(c, p, name)), &options, NULL, NULL, &result, &err),
         &err);
}

/* Voids an invoice and makes it anew. */
static void void_one(struct world *w) {
  struct chosen c = some_invoice(w);
  struct error err = {0};
  if (c.id.len == 0) {
    return;
  }
  begin(w);
  if (!invoice_void(book_db(w->book), book_ledger(w->book), c.id, clock_now(), &err)) {
    must(err.code == ERR_CONFLICT); /* something is paid, or a later document adjusts it */
    book_undo(w->book);
    return;
  }
  commit(w);
  close_again(w, c.customer, c.from);
}

static void step(struct world *w) {
  struct error err = {0};
  switch (pick(&w->deal, 14)) {
  case 0:
  case 1:
    correct(w);
    break;
  case 2:
    grant(w);
    break;
  case 3:
    pay(w);
    break;
  case 4:
    void_one(w);
    break;
  case 5:
    expect(w, book_aggregate(w->book, &err), &err);
    break;
  case 6:
    if (w->now < w->end) {
      move_clock(w, sooner(w->end, w->now + 1 + pick(&w->deal, 30 * DAY_S)));
    }
    break;
  default:
    send(w);
  }
}

/* ---- the end ---- */

struct totals {
  struct world *w;
  int128 exact[2], owed[2];
  size_t documents;
};

static int128 money_of(const struct world *w, const struct json *object, const char *key) {
  amount value = AMOUNT_ZERO;
  struct error err = {0};
  expect(w, document_amount(object, key, &value, &err), &err);
  return value.e12;
}

static bool add_entry(void *context, const struct entry *e, struct error *err) {
  (void)err;
  struct chosen *c = context;
  slice of = e->reference;
  if (of.len == c->id.len + 5 && memcmp(of.ptr + c->id.len, "/void", 5) == 0) {
    of.len = c->id.len;
  }
  c->open.e12 += slice_eq(of, c->id) ? e->amount.e12 : 0;
  return true;
}

static void check_sum(struct world *w, const char *whose, int128 found, int128 wanted) {
  char text[2][DECIMAL_TEXT_MAX], what[200];
  if (found != wanted) {
    snprintf(what, sizeof what, "%s: %s instead of %s", whose, amount_text((amount){found}, text[0]),
             amount_text((amount){wanted}, text[1]));
    fail(w, what);
  }
}

/* What the receivable says of one document is what is open of it. */
static void check_entries(struct world *w, const struct stored_invoice *i) {
  struct error err = {0};
  char account[ACCOUNT_NAME_MAX];
  struct chosen c = {.id = i->id};
  account_receivable(i->customer, account);
  expect(w, ledger_entries(book_ledger(w->book), slice_of(account), i->currency, 0, SIZE_MAX, add_entry, &c, &err),
         &err);
  int128 open = slice_is(i->status, "void") ? 0 : i->total.e12 - i->paid.e12;
  if (c.open.e12 != -open) {
    check_sum(w, "the ledger", c.open.e12, -open);
  }
}

static bool add_document(void *context, const struct stored_invoice *i, struct error *err) {
  struct totals *t = context;
  struct world *w = t->w;
  const struct json *document;
  int which = slice_is(i->customer, "cus") ? 0 : 1;
  check_entries(w, i);
  if (slice_is(i->status, "void")) {
    return true;
  }
  if (!document_parse(w->arena, arena_copy(w->arena, i->document), &document, err)) {
    return false;
  }
  int128 sum = 0;
  for (const struct json *l = json_get(document, "lines")->child; l; l = l->next) {
    bool credit = slice_is(json_text(l, "kind"), "credit");
    sum += money_of(w, l, "amount");
    t->exact[which] += credit ? 0 : money_of(w, l, "exact");
  }
  if (sum != money_of(w, document, "subtotal") || sum + money_of(w, document, "tax") != i->total.e12 ||
      money_of(w, document, "total") != i->total.e12) {
    fail(w, "lines and tax of a document do not make its total");
  }
  t->owed[which] += i->total.e12 - i->paid.e12;
  t->documents++;
  return true;
}

static struct totals read_documents(struct world *w) {
  struct totals t = {.w = w};
  struct error err = {0};
  const struct invoice_query all = {.limit = SIZE_MAX, .with_document = true};
  expect(w, invoice_list(book_db(w->book), &all, add_document, &t, &err), &err);
  return t;
}

static int128 oracle_total(struct world *w, seconds until) {
  struct oracle *o = &w->oracle;
  int128 sum = 0;
  struct naive_bill bill;
  o->event_count = 0;
  for (int i = 0; i < w->count; i++) {
    if (w->sent[i].counts && w->sent[i].customer == 0) {
      o->events[o->event_count++] = w->sent[i].made;
    }
  }
  bill_begin(&bill);
  for (struct span p = own_period(&w->deal, w->deal.from); p.to <= until; p = own_period(&w->deal, p.to)) {
    oracle_period(o, p, &bill);
  }
  for (int i = 0; i < o->part_count; i++) {
    if (o->parts[i].from <= until) {
      oracle_opening(o, o->parts[i].from, &bill);
    }
  }
  for (size_t i = 0; i < bill.charges.count; i++) {
    sum += bill.charges.items[i].e12;
  }
  bill_end(&bill);
  return sum;
}

static int128 rerated_total(struct world *w, seconds until) {
  int128 sum = 0;
  const struct customer *c = catalog_customer(book_catalog(w->book), SLICE(OTHERS));
  struct error err = {0};
  struct period p;
  char name[2 * TIME_TEXT_MAX];
  instant t = {w->deal.from * NS_PER_S};
  for (expect(w, billing_period_at(c, t, &p, &err), &err); p.to.ns <= until * NS_PER_S;
       expect(w, billing_period_at(c, p.to, &p, &err), &err)) {
    struct rating_set set;
    expect(w, book_rerate(w->book, slice_of(billing_period_name(c, p, name)), &set, &err), &err);
    size_t count;
    const struct rating *all = rating_set_all(&set, &count);
    for (size_t i = 0; i < count; i++) {
      sum += slice_is(all[i].customer->id, OTHERS) ? all[i].total.e12 : 0;
    }
    rating_set_free(&set);
  }
  return sum;
}

static void check_receivable(struct world *w, const char *customer, int128 owed) {
  struct account account = {0};
  struct error err = {0};
  char name[ACCOUNT_NAME_MAX];
  account_receivable(slice_of(customer), name);
  if (!ledger_account(book_ledger(w->book), slice_of(name), SLICE("USD"), &account, &err)) {
    must(err.code == ERR_NOT_FOUND);
  }
  if (account.balance.e12 != -owed) {
    fail(w, "a receivable is not what was billed less what was paid");
  }
}

static void complain(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "check: %s\n", what);
}

static void check_world(struct world *w) {
  struct error err = {0};
  struct check_result result;
  struct totals t = read_documents(w), again;
  check_sum(w, "documents of cus", t.exact[0], oracle_total(w, w->now));
  check_sum(w, "documents of " OTHERS, t.exact[1], rerated_total(w, w->now));
  check_receivable(w, "cus", t.owed[0]);
  check_receivable(w, OTHERS, t.owed[1]);
  close_again(w, SLICE("cus"), (instant){(w->now - 70 * DAY_S) * NS_PER_S});
  close_again(w, SLICE(OTHERS), (instant){(w->now - 70 * DAY_S) * NS_PER_S});
  again = read_documents(w);
  if (again.documents != t.documents || again.exact[0] != t.exact[0] || again.owed[1] != t.owed[1]) {
    fail(w, "closing again changed something");
  }
  expect(w, book_check(w->book, complain, NULL, &result, &err), &err);
  if (result.problems > 0) {
    fail(w, "check finds problems");
  }
}

/* ---- two at once ---- */

struct closer {
  struct core *core;
  instant within;
  struct error err;
  bool ok;
};

static bool close_here(void *work, struct book *book, struct error *err) {
  struct closer *c = work;
  struct period p;
  char name[2 * TIME_TEXT_MAX];
  const struct customer *cus = catalog_customer(book_catalog(book), SLICE("cus"));
  struct rating_set set;
  if (!billing_period_at(cus, c->within, &p, err) ||
      !book_rate(book, cus->id, slice_of(billing_period_name(cus, p, name)), &set, err)) {
    return false;
  }
  size_t count;
  const struct rating *all = rating_set_all(&set, &count);
  bool ok = true;
  for (size_t i = 0; ok && i < count; i++) {
    struct invoice draft;
    bool existed;
    slice id;
    ok = rating_set_invoice(&set, book_catalog(book), &all[i], NULL, &draft, err) &&
         book_finalize(book, &set, &all[i], &draft, &existed, &id, err);
  }
  rating_set_free(&set);
  return ok;
}

static void *close_on_core(void *context) {
  struct closer *c = context;
  c->ok = core_do(c->core, close_here, c, &c->err);
  return NULL;
}

/* Both find all that is due; one makes it, the other finds it. */
static void close_twice_at_once(struct world *w) {
  struct core *core = core_start(w->book);
  instant within = {(w->now - 100 * DAY_S) * NS_PER_S};
  struct closer a = {.core = core, .within = within}, b = a;
  pthread_t other;
  must(pthread_create(&other, NULL, close_on_core, &b) == 0);
  close_on_core(&a);
  pthread_join(other, NULL);
  core_stop(core);
  expect(w, a.ok, &a.err);
  expect(w, b.ok, &b.err);
}

static void run(uint64_t seed) {
  struct world *w = mem_alloc(sizeof *w);
  char command[128];
  w->seed = seed;
  w->arena = arena_new();
  make_catalog(w);
  open_book(w);
  w->end = sooner(w->deal.to, add_months(w->deal.from, 9));
  for (int i = 80 + (int)pick(&w->deal, 150); i > 0; i--) {
    step(w);
  }
  /* What came in last is on the next document of each: two periods of the longest kind later. */
  move_clock(w, own_period(&w->deal, own_period(&w->deal, own_period(&w->deal, w->now).to).to).to + 1);
  close_twice_at_once(w);
  check_world(w);
  book_close(w->book);
  oracle_end(&w->oracle);
  buf_free(&w->yaml);
  arena_free(w->arena);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  must(system(command) == 0);
  free(w);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : getenv("MH_SLOW") ? 500 : 10;
  for (uint64_t i = 0; i < cases; i++) {
    printf("prop_books: SEED=%llu CASES=1\n", (unsigned long long)(seed + i));
    fflush(stdout);
    run(seed + i);
  }
  return 0;
}
