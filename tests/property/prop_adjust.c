/* Late events, corrections, voided invoices and closes in random order: in the end the documents of each customer and
 * month sum to what its events are worth, to the last digit, and `check` finds nothing. One customer has a reservation,
 * so that what comes late is covered as if it had come in time. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "book/book.h"
#include <stdlib.h>
#include <string.h>

#define CUSTOMERS 3
#define MONTHS 4
#define EVENTS_MAX 400
#define RESERVED_CUSTOMER 2
#define RESERVED 250 /* calls an hour at 0.001 */
#define HOURS_MAX 744

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: calls, event: e, value: n, unit: u}\n"
    "plans:\n"
    "  - name: p\n"
    "    prices: [{name: Calls, meter: calls, model: graduated, tiers: [{up_to: 500, price: 0.013}, {price: 0.007}]}]\n"
    "customers:\n"
    "  - {id: c0, name: A, country: NL, plan: p}\n"
    "  - {id: c1, name: B, country: NL, plan: p}\n"
    "  - id: c2\n"
    "    name: C\n"
    "    country: NL\n"
    "    contracts:\n"
    "      - {plan: p, from: 2026-09-01, reservations: [{name: R, meter: calls, quantity: 250, price: 0.001}]}\n";

/* Months of 2026 from September on, UTC, in seconds. */
static const int64_t starts_s[MONTHS + 2] = {1788220800, 1790812800, 1793491200, 1796083200, 1798761600, 1801440000};
static const char *const names[MONTHS + 1] = {"2026-09", "2026-10", "2026-11", "2026-12", "2027-01"};

struct sent {
  int customer, month, n;
  bool counts, corrected;
  int64_t hour; /* of the month */
  char source[16], id[64];
};
struct world {
  struct random rng;
  char dir[64];
  struct book *book;
  struct arena *arena;
  struct sent sent[EVENTS_MAX];
  size_t count;
  int month; /* the one under way */
  unsigned corrections;
};

static void fail(const struct error *err) {
  fprintf(stderr, "prop_adjust: %s\n", err->message);
  must(false);
}

static void set_time(const struct world *w, int64_t s) {
  (void)w;
  clock_set_test((instant){s * NS_PER_S});
}

static void make_event(struct world *w, struct sent *s, struct event *e) {
  struct event_field *field = arena_alloc(w->arena, sizeof *field);
  int64_t span = starts_s[s->month + 1] - starts_s[s->month];
  *field = (struct event_field){SLICE("n"), slice_of(arena_printf(w->arena, "%d", s->n)), true};
  /* The reserved customer's come in few hours, so that they meet in one. */
  bool few = s->customer == RESERVED_CUSTOMER;
  int64_t within_s = (int64_t)random_below(&w->rng, few ? 5 * 3600 : (uint64_t)span);
  s->hour = within_s / 3600;
  *e = (struct event){.id = slice_of(s->id),
                      .source = slice_of(s->source),
                      .type = SLICE("e"),
                      .subject = slice_of(arena_printf(w->arena, "c%d", s->customer)),
                      .time = {(starts_s[s->month] + within_s) * NS_PER_S},
                      .fields = field,
                      .field_count = 1};
}

static void begin(struct world *w) {
  struct error err = {0};
  if (!book_begin(w->book, &err)) {
    fail(&err);
  }
}

static void commit(struct world *w) {
  struct error err = {0};
  if (!book_commit(w->book, &err)) {
    fail(&err);
  }
}

static void send(struct world *w) {
  struct error err = {0};
  struct event e;
  struct ingest_result result;
  struct sent *s = &w->sent[w->count];
  *s = (struct sent){.customer = (int)random_below(&w->rng, CUSTOMERS),
                     .month = (int)random_below(&w->rng, (uint64_t)w->month + 1),
                     .n = (int)random_below(&w->rng, 400),
                     .counts = true,
                     .source = "test"};
  snprintf(s->id, sizeof s->id, "e%zu", w->count++);
  make_event(w, s, &e);
  begin(w);
  if (!book_ingest(w->book, w->arena, &e, 1, &result, &err)) {
    fail(&err);
  }
  must(result.verdict == EVENT_ACCEPTED);
  commit(w);
}

static void correct(struct world *w) {
  struct error err = {0};
  struct correction_result result;
  struct event replacement;
  struct sent *target = &w->sent[random_below(&w->rng, w->count)];
  bool amend = random_below(&w->rng, 2) && w->count < EVENTS_MAX;
  const char *id = arena_printf(w->arena, "k%u", w->corrections++);
  if (target->corrected) {
    return;
  }
  struct correction_request request = {.id = slice_of(id),
                                       .kind = amend ? CORRECT_AMEND : CORRECT_VOID,
                                       .source = slice_of(target->source),
                                       .event_id = slice_of(target->id)};
  if (amend) {
    struct sent *s = &w->sent[w->count++];
    *s = (struct sent){.customer = (int)random_below(&w->rng, CUSTOMERS),
                       .month = (int)random_below(&w->rng, (uint64_t)w->month + 1),
                       .n = (int)random_below(&w->rng, 400),
                       .counts = true,
                       .source = "meterhouse"};
    snprintf(s->id, sizeof s->id, "%s/replacement", id);
    make_event(w, s, &replacement);
    request.events = &replacement;
    request.count = 1;
  }
  begin(w);
  if (!book_correct(w->book, w->arena, &request, &result, &err)) {
    fail(&err);
  }
  commit(w);
  target->counts = false;
  target->corrected = true;
}

/* A backfill of a whole month of a customer by nothing: all that was sent for it until now is gone. */
static void backfill(struct world *w) {
  struct error err = {0};
  struct correction_result result;
  int customer = (int)random_below(&w->rng, CUSTOMERS), month = (int)random_below(&w->rng, (uint64_t)w->month + 1);
  struct correction_request request = {.id = slice_of(arena_printf(w->arena, "k%u", w->corrections++)),
                                       .kind = CORRECT_BACKFILL,
                                       .customer = slice_of(arena_printf(w->arena, "c%d", customer)),
                                       .meter = SLICE("calls"),
                                       .range = {{starts_s[month] * NS_PER_S}, {starts_s[month + 1] * NS_PER_S}}};
  begin(w);
  if (!book_correct(w->book, w->arena, &request, &result, &err)) {
    fail(&err);
  }
  commit(w);
  for (size_t i = 0; i < w->count; i++) {
    if (w->sent[i].customer == customer && w->sent[i].month == month) {
      w->sent[i].counts = false;
    }
  }
}

static void ignore(void *context, const char *what) {
  (void)context;
  (void)what;
}

static void close_month(struct world *w, int month) {
  struct close_result result;
  struct error err = {0};
  const struct close_options options = {0};
  if (!book_close_period(w->book, slice_of(names[month]), &options, ignore, NULL, &result, &err)) {
    fail(&err);
  }
}

struct pick {
  struct world *w;
  slice id;
};

static bool pick_one(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct pick *p = context;
  if (!slice_is(i->status, "void") && random_below(&p->w->rng, 3) == 0) {
    p->id = arena_copy(p->w->arena, i->id);
  }
  return true;
}

/* Voids an invoice, and invoices its month anew. */
static void void_one(struct world *w) {
  struct pick p = {.w = w};
  struct error err = {0};
  const struct invoice_query all = {.limit = SIZE_MAX};
  if (!invoice_list(book_db(w->book), &all, pick_one, &p, &err)) {
    fail(&err);
  }
  if (p.id.len == 0) {
    return;
  }
  begin(w);
  if (!invoice_void(book_db(w->book), book_ledger(w->book), p.id, clock_now(), &err)) {
    must(err.code == ERR_CONFLICT); /* a later document adjusts it */
    book_undo(w->book);
    return;
  }
  commit(w);
}

/* ---- the end ---- */

struct totals {
  struct world *w;
  int128 e12[CUSTOMERS][MONTHS];
};

static bool add_document(void *context, const struct stored_invoice *i, struct error *err) {
  struct totals *t = context;
  const struct json *document;
  if (slice_is(i->status, "void")) {
    return true;
  }
  if (!json_parse(t->w->arena, arena_copy(t->w->arena, i->document), &document, err)) {
    return false;
  }
  for (const struct json *l = json_get(document, "lines")->child; l; l = l->next) {
    const struct json *adjusts = json_get(l, "adjusts");
    slice period = adjusts ? json_text(adjusts, "period") : i->period;
    amount exact;
    must(amount_parse(json_text(l, "exact"), &exact, err));
    for (int m = 0; m < MONTHS; m++) {
      if (slice_is(period, names[m])) {
        t->e12[i->customer.ptr[1] - '0'][m] += exact.e12;
      }
    }
  }
  return true;
}

/* What no reservation covers, hour by hour, at the tiers of the month; and the reservation's fee, used or not. */
static int128 worth(const struct world *w, int customer, int month) {
  int64_t hours[HOURS_MAX] = {0}, n = 0;
  int64_t reserved = customer == RESERVED_CUSTOMER ? RESERVED : 0;
  for (size_t i = 0; i < w->count; i++) {
    const struct sent *s = &w->sent[i];
    hours[s->hour] += s->counts && s->customer == customer && s->month == month ? s->n : 0;
  }
  for (size_t i = 0; i < HOURS_MAX; i++) {
    n += hours[i] > reserved ? hours[i] - reserved : 0;
  }
  int64_t low = n < 500 ? n : 500, fee = reserved * (starts_s[month + 1] - starts_s[month]) / 3600;
  return ((int128)low * 13 + (int128)(n - low) * 7 + fee) * 1000000000;
}

static void complain(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "prop_adjust: %s\n", what);
}

static void check_world(struct world *w) {
  struct totals t = {.w = w};
  struct error err = {0};
  struct check_result result;
  const struct invoice_query all = {.limit = SIZE_MAX, .with_document = true};
  if (!invoice_list(book_db(w->book), &all, add_document, &t, &err)) {
    fail(&err);
  }
  for (int c = 0; c < CUSTOMERS; c++) {
    for (int m = 0; m < MONTHS; m++) {
      must(t.e12[c][m] == worth(w, c, m));
    }
  }
  if (!book_check(w->book, complain, NULL, &result, &err)) {
    fail(&err);
  }
  must(result.problems == 0);
}

static void step(struct world *w) {
  struct error err = {0};
  switch (random_below(&w->rng, 12)) {
  case 0:
  case 1:
    if (w->count > 0) {
      correct(w);
    }
    break;
  case 2:
    if (random_below(&w->rng, 3) == 0) {
      backfill(w);
    }
    break;
  case 3:
    if (!book_aggregate(w->book, &err)) {
      fail(&err);
    }
    break;
  case 4:
    void_one(w);
    break;
  default:
    if (w->count < EVENTS_MAX) {
      send(w);
    }
  }
}

static void close_all(struct world *w, int until) {
  for (int m = 0; m <= until; m++) {
    close_month(w, m);
  }
}

static void run_world(uint64_t seed) {
  struct world w = {.dir = "/tmp/mh_adjust.XXXXXX", .arena = arena_new()};
  struct error err = {0};
  char path[128], command[128];
  random_seed(&w.rng, seed, 0);
  must(mkdtemp(w.dir) != NULL);
  snprintf(path, sizeof path, "%s/catalog.yaml", w.dir);
  set_time(&w, starts_s[0]);
  if (!file_write(path, SLICE(catalog_text), &err) || !book_open(w.dir, path, BOOK_WRITE, &w.book, &err)) {
    fail(&err);
  }
  for (w.month = 0; w.month < MONTHS; w.month++) {
    set_time(&w, starts_s[w.month + 1] + 3600);
    for (size_t i = random_below(&w.rng, 30); i > 0; i--) {
      step(&w);
    }
    /* A voided month is invoiced again whenever months are closed, in whatever order that comes to. */
    close_all(&w, w.month);
  }
  /* What came in last is in the document of one more month, which has no usage of its own. */
  set_time(&w, starts_s[MONTHS + 1] + 3600);
  w.month = MONTHS - 1;
  close_month(&w, MONTHS);
  check_world(&w);
  book_close(w.book);
  arena_free(w.arena);
  snprintf(command, sizeof command, "rm -rf %s", w.dir);
  must(system(command) == 0);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 12;
  for (uint64_t i = 0; i < cases; i++) {
    printf("prop_adjust: SEED=%llu CASES=1\n", (unsigned long long)(seed + i));
    fflush(stdout);
    run_world(seed + i);
  }
  return 0;
}
