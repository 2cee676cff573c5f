/* Credit in memory under threads: calls hold and spend from a purse over a real book, while credit is given and ends,
 * other holds come and go, bookings fail, and periods are invoiced. What calls hold and have spent is never more than
 * there is, each invoice finds the money for what it charges, and in the end nothing is reserved but what was spent.
 * SEED and CASES may be set; threads make each run another. */
#include "credit/credit.h"
#include "gateway/private.h"
#include "http/private.h"
#include <event2/thread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, CALLS = 250, ROUNDS = 25 };
#define START INT64_C(1793491200) /* 2026-11-01T00:00:00Z */
#define UNIT_E12 INT64_C(10000000000)

struct world {
  uint64_t seed;
  char dir[64];
  struct book *book;
  struct core *core;
  struct gateway *gateway;
  struct purse *purse;
  struct random random; /* of the main thread */
  int64_t line_units;
  _Atomic int64_t spent_units, period_to_ns;
  int64_t given_units;
  _Atomic int64_t held_count, later_count, never_count, failed_count;
  atomic_bool stopped;
  int64_t drawn_units, line_again_units; /* what an invoice frees of the line can be used again: nobody owes it here */
  /* of the deed that is done, which may be done twice before it stands */
  int number;
  int64_t chance, ended_units, off_line_units;
};
/* One caller; what the core hands back to it comes through an edge of its own. */
struct caller {
  struct world *world;
  struct random random;
  struct http_edge edge;
  struct http_request http;
  struct call call;
  unsigned index;
  pthread_t thread;
};
struct booking {
  struct command command; /* first */
  struct world *world;
  amount spent;
  int64_t period_to_ns;
  bool fails;
};

static _Noreturn void fail(const struct world *w, const char *what) {
  fprintf(stderr, "prop_purse: SEED=%llu CASES=1: %s\n", (unsigned long long)w->seed, what);
  abort();
}
static void expect(const struct world *w, bool ok, const char *what) {
  if (!ok) {
    fail(w, what);
  }
}
static amount units(int64_t n) {
  return (amount){(int128)n * UNIT_E12};
}
static int64_t of_units(amount a) {
  return (int64_t)(a.e12 / UNIT_E12);
}

/* ---- callers ---- */

static bool settle_apply(struct command *command, struct book *book, struct error *err) {
  const struct booking *s = (const struct booking *)command;
  if (s->fails) {
    return error_set(err, ERR_IO, "it fails on purpose");
  }
  return credit_unbilled_add(book_db(book), SLICE("acme"), SLICE("USD"), (instant){s->period_to_ns}, s->spent, err);
}

static void settle_done(struct command *command, const struct error *err) {
  struct booking *s = (struct booking *)command;
  expect(s->world, (err != NULL) == s->fails, err ? err->message : "a booking did not fail");
  if (err == NULL) {
    atomic_fetch_add(&s->world->spent_units, of_units(s->spent));
  }
  purse_spent(s->world->purse, s->spent, err == NULL);
  free(s);
}

static void settle(struct caller *c, amount held) {
  struct world *w = c->world;
  struct booking *s = mem_alloc(sizeof *s);
  struct error err = {0};
  *s = (struct booking){.command = {.apply = settle_apply, .done = settle_done},
                        .world = w,
                        .spent = units((int64_t)random_below(&c->random, (uint64_t)of_units(held) + 1)),
                        .period_to_ns = atomic_load(&w->period_to_ns),
                        .fails = random_below(&c->random, 20) == 0};
  purse_release(w->purse, held, s->spent);
  while (!core_submit(w->core, &s->command, &err)) {
    usleep(1000);
  }
}

/* Until the core has handed the call back. */
static void wait_for_core(struct caller *c) {
  for (bool back = false; !back; usleep(50)) {
    pthread_mutex_lock(&c->edge.lock);
    back = c->edge.handed != NULL;
    c->edge.handed = NULL;
    c->edge.last_handed = &c->edge.handed;
    pthread_mutex_unlock(&c->edge.lock);
  }
}

static void make_call(struct caller *c) {
  struct world *w = c->world;
  amount value = units(1 + (int64_t)random_below(&c->random, random_below(&c->random, 10) ? 40 : 2000)), most;
  enum hold_verdict verdict;
  c->call.credit_round = 0;
  while ((verdict = purse_hold(w->purse, &c->call, value, steady_now(), &most)) == HOLD_WAITS) {
    wait_for_core(c);
  }
  _Atomic int64_t *counts[] = {&w->held_count, NULL, &w->later_count, &w->never_count, &w->failed_count};
  atomic_fetch_add(counts[verdict], 1);
  if (verdict != HOLD_DONE) {
    usleep((useconds_t)random_below(&c->random, 2000));
    return;
  }
  if (random_below(&c->random, 2)) {
    usleep((useconds_t)random_below(&c->random, 3000));
  }
  if (random_below(&c->random, 5) == 0) {
    purse_release(w->purse, value, AMOUNT_ZERO);
  } else {
    settle(c, value);
  }
}

static void *run_caller(void *context) {
  struct caller *c = context;
  for (int i = 0; i < CALLS && !atomic_load(&c->world->stopped); i++) {
    make_call(c);
  }
  return NULL;
}

static void start_caller(struct world *w, struct caller *c, unsigned index) {
  *c = (struct caller){.world = w, .index = index};
  random_seed(&c->random, w->seed, index + 1);
  c->edge.base = event_base_new();
  c->edge.last_handed = &c->edge.handed;
  must(pthread_mutex_init(&c->edge.lock, NULL) == 0);
  c->edge.wake = event_new(c->edge.base, -1, EV_PERSIST, NULL, NULL);
  c->http.edge = &c->edge;
  c->call.http = &c->http;
  must(pthread_create(&c->thread, NULL, run_caller, c) == 0);
}

static void end_caller(struct caller *c) {
  pthread_join(c->thread, NULL);
  event_free(c->edge.wake);
  event_base_free(c->edge.base);
  pthread_mutex_destroy(&c->edge.lock);
}

/* ---- what must hold ---- */

static bool compare(void *work, struct book *book, struct error *err) {
  struct world *w = work;
  struct credit_unbilled u;
  if (!credit_unbilled(book_db(book), SLICE("acme"), SLICE("USD"), &u, err)) {
    return false;
  }
  amount held = purse_held_credit(w->purse);
  expect(w, held.e12 <= u.slice.e12, "calls hold more than is reserved for them");
  expect(w, u.reserved.e12 + u.slice.e12 >= u.spent.e12, "more is spent than was reserved");
  expect(w, of_units(u.on_line) <= w->line_units, "more stands on the line than may");
  return true;
}

/* ---- what happens to the credit meanwhile; on the core's thread ---- */

static const struct customer *acme(struct book *book) {
  return catalog_customer(book_catalog(book), SLICE("acme"));
}

static bool give(void *work, struct book *book, struct error *err) {
  struct world *w = work;
  char id[24];
  bool repeated = false;
  instant now = clock_now();
  snprintf(id, sizeof id, "g%d", w->number);
  struct credit_grant g = {.id = slice_of(id),
                           .kind = (enum credit_kind)(w->chance % CREDIT_KINDS),
                           .amount = units(1 + w->chance),
                           .priority = 10,
                           .effective = now,
                           .expires =
                               w->chance % 2 ? INSTANT_MAX : (instant){now.ns + w->chance % 40 * NS_PER_S / 1000 + 1}};
  return credit_add(book_db(book), book_ledger(book), acme(book), &g, now, &repeated, err);
}

static bool expire(void *work, struct book *book, struct error *err) {
  size_t count = 0;
  (void)work;
  return credit_expire(book_db(book), book_ledger(book), clock_now(), &count, err);
}

static bool hold_other(void *work, struct book *book, struct error *err) {
  struct world *w = work;
  enum transfer_outcome outcome;
  char id[24];
  snprintf(id, sizeof id, "h%d", w->number);
  const struct credit_hold_request r = {.id = slice_of(id),
                                        .customer = SLICE("acme"),
                                        .currency = SLICE("USD"),
                                        .to = SLICE("revenue/other"),
                                        .amount = units(1 + w->chance % 500),
                                        .expires = INSTANT_MAX};
  return credit_hold(book_db(book), book_ledger(book), &r, clock_now(), &outcome, err) || err->code == ERR_FUNDS;
}

static bool release_other(void *work, struct book *book, struct error *err) {
  struct world *w = work;
  char id[24];
  snprintf(id, sizeof id, "h%lld", (long long)(w->chance % (w->number + 1)));
  return credit_release(book_db(book), book_ledger(book), slice_of(id), clock_now(), err) ||
         err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND;
}

static bool draw(struct world *w, struct book *book, int64_t drawn, struct error *err) {
  enum transfer_outcome outcome;
  char id[24];
  snprintf(id, sizeof id, "i%d", w->number);
  const struct credit_hold_request r = {.id = slice_of(id),
                                        .customer = SLICE("acme"),
                                        .currency = SLICE("USD"),
                                        .to = SLICE("revenue/calls"),
                                        .amount = units(drawn),
                                        .expires = INSTANT_MAX};
  return drawn == 0 || (credit_hold(book_db(book), book_ledger(book), &r, clock_now(), &outcome, err) &&
                        credit_settle(book_db(book), book_ledger(book), r.id, units(drawn), clock_now(), err));
}

/* What the ended period used can be had at once, as far as no line stood in for it. */
static bool invoice(void *work, struct book *book, struct error *err) {
  struct world *w = work;
  struct credit_unbilled before, after;
  instant until = {atomic_load(&w->period_to_ns) - NS_PER_S};
  if (!credit_unbilled(book_db(book), SLICE("acme"), SLICE("USD"), &before, err) ||
      !credit_unbilled_end(book_db(book), book_ledger(book), SLICE("acme"), SLICE("USD"), until, clock_now(), err) ||
      !credit_unbilled(book_db(book), SLICE("acme"), SLICE("USD"), &after, err)) {
    return false;
  }
  int64_t freed = of_units(before.in_pockets) - of_units(after.in_pockets);
  w->off_line_units = of_units(before.on_line) - of_units(after.on_line);
  w->ended_units = of_units(before.spent) - of_units(after.spent);
  expect(w, freed + w->off_line_units == w->ended_units, "an invoice finds less reserved than was used");
  return draw(w, book, freed, err);
}

static void do_something(struct world *w) {
  static bool (*const deeds[])(void *, struct book *, struct error *) = {give,       give,          expire,
                                                                         hold_other, release_other, invoice};
  struct error err = {0};
  bool (*deed)(void *, struct book *, struct error *) = deeds[random_below(&w->random, sizeof deeds / sizeof *deeds)];
  w->number++;
  w->chance = (int64_t)random_below(&w->random, 3000);
  w->ended_units = w->off_line_units = 0;
  if (deed == invoice) {
    atomic_fetch_add(&w->period_to_ns, NS_PER_S);
  }
  expect(w, core_do(w->core, deed, w, &err), err.message);
  w->given_units += deed == give ? 1 + w->chance : 0;
  w->drawn_units += w->ended_units;
  w->line_again_units += w->off_line_units;
  expect(w, core_ask(w->core, compare, w, &err), err.message);
}

/* ---- the end ---- */

static void complain(void *context, const char *what) {
  fail(context, what);
}

static void check_end(struct world *w) {
  struct credit_unbilled u;
  struct check_result result;
  struct error err = {0};
  struct db *db = book_db(w->book);
  expect(w, credit_unbilled(db, SLICE("acme"), SLICE("USD"), &u, &err), err.message);
  expect(w, amount_is_zero(u.slice), "in the end credit is reserved for calls");
  expect(w, amount_cmp(u.reserved, u.spent) == 0, "in the end what is reserved is not what was spent");
  expect(w, of_units(u.spent) + w->drawn_units == w->spent_units, "the books know of other spending");
  expect(w, w->spent_units <= w->given_units + w->line_units + w->line_again_units, "more was spent than there was");
  expect(w, book_check(w->book, complain, w, &result, &err), err.message);
}

/* ---- a case ---- */

static void open_world(struct world *w) {
  struct error err = {0};
  char path[128];
  snprintf(w->dir, sizeof w->dir, "/tmp/mh_purse.XXXXXX");
  must(mkdtemp(w->dir) != NULL);
  snprintf(path, sizeof path, "%s/catalog.yaml", w->dir);
  FILE *file = fopen(path, "w");
  must(file != NULL);
  fprintf(file,
          "currency: USD\nseller: {name: S, country: NL, invoice_prefix: S-}\n"
          "upstreams: [{name: u, url: \"http://127.0.0.1:1\"}]\nmodels: [{name: m, upstream: u}]\n"
          "meters: [{name: input, event: model.call, value: input_tokens}]\n"
          "plans: [{name: p, prices: [{name: input, meter: input, price: 1}]}]\n"
          "customers: [{id: acme, name: A, country: NL, plan: p, credit_line: %lld}]\n",
          (long long)w->line_units / 100);
  must(fclose(file) == 0);
  expect(w, book_open(w->dir, path, BOOK_WRITE, &w->book, &err), err.message);
  w->core = core_start(w->book);
  expect(w, gateway_start(w->book, w->core, &w->gateway, &err), err.message);
  w->purse = purse_of(w->gateway, acme(w->book));
}

static void close_world(struct world *w) {
  char command[128];
  gateway_stop(w->gateway);
  core_stop(w->core);
  check_end(w);
  gateway_free(w->gateway);
  book_close(w->book);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  must(system(command) == 0);
}

static void run(uint64_t seed) {
  struct world *w = mem_alloc(sizeof *w);
  struct caller *callers = mem_alloc(THREADS * sizeof *callers);
  unsigned threads = 1 + (unsigned)(seed % THREADS);
  w->seed = seed;
  random_seed(&w->random, seed, 0);
  w->line_units = random_below(&w->random, 2) ? 0 : 100 * (int64_t)random_below(&w->random, 20);
  w->period_to_ns = START * NS_PER_S;
  open_world(w);
  for (unsigned i = 0; i < threads; i++) {
    start_caller(w, &callers[i], i);
  }
  for (int i = 0; i < ROUNDS; i++) {
    do_something(w);
    for (uint64_t n = random_below(&w->random, 40); n > 0; n--) {
      purse_rest(w->purse, (instant){steady_now().ns + 3600 * NS_PER_S}); /* as if nobody had called for long */
      usleep((useconds_t)random_below(&w->random, 200));
    }
  }
  atomic_store(&w->stopped, true);
  for (unsigned i = 0; i < threads; i++) {
    end_caller(&callers[i]);
  }
  printf("SEED=%llu: %lld held, %lld later, %lld never, %lld failed; %lld of %lld spent\n", (unsigned long long)seed,
         (long long)w->held_count, (long long)w->later_count, (long long)w->never_count, (long long)w->failed_count,
         (long long)w->spent_units, (long long)w->given_units);
  fflush(stdout);
  close_world(w);
  free(callers);
  free(w);
}

int main(void) {
  const char *seed = getenv("SEED"), *cases = getenv("CASES");
  uint64_t first = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_now().ns;
  uint64_t count = cases ? strtoull(cases, NULL, 10) : 20;
  must(evthread_use_pthreads() == 0);
  printf("prop_purse: SEED=%llu CASES=%llu\n", (unsigned long long)first, (unsigned long long)count);
  for (uint64_t i = 0; i < count; i++) {
    run(first + i);
  }
  return 0;
}
