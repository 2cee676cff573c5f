/* Usage that is not invoiced yet under random calls, slices, invoices, ends of credit and of the process, beside a
 * gateway that counts in memory as the real one does. What runs and what was used is always reserved; what was reserved
 * pays the invoice; nothing is left in the end. SEED and CASES may be set. */
#include "base/hash.h"
#include "credit/credit.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_NS (INT64_C(86400) * NS_PER_S)
#define STEPS 250
#define CALLS 8
#define MONTH 10 /* days of a period */
#define ACME SLICE("acme")
#define EUR SLICE("EUR")
#define SOLD SLICE("A") /* what the gateway sells */

/* What the gateway knows, and what it has told the book. */
struct gateway {
  int64_t granted, since; /* since: settled after the last reserve */
  int64_t running[CALLS];
  int64_t spent[64]; /* by period, not invoiced */
  int64_t line;
};
struct world {
  uint64_t seed;
  struct gateway gateway;
  int64_t day, period; /* the period that is invoiced next */
  int grants, holds, invoices;
  bool revoked; /* of a revoked credit nothing comes back */
  struct db *db;
  struct ledger *ledger;
  struct arena *arena;
};

static struct random rng;
static struct catalog *catalog;
static const struct customer *acme;

static _Noreturn void stop(const struct world *w, const char *what) {
  fprintf(stderr, "prop_unbilled: SEED=%llu CASES=1: day %lld: %s\n", (unsigned long long)w->seed, (long long)w->day,
          what);
  abort();
}
static void expect(const struct world *w, bool ok, const struct error *err) {
  if (!ok) {
    stop(w, err->message);
  }
}
static void hold_true(const struct world *w, bool ok, const char *what) {
  if (!ok) {
    stop(w, what);
  }
}
static int64_t below(int64_t n) {
  return (int64_t)random_below(&rng, (uint64_t)n);
}
static amount units(int64_t n) {
  return (amount){(int128)n * 10000};
}
static int64_t of_units(const struct world *w, amount a) {
  hold_true(w, a.e12 % 10000 == 0, "an amount that nobody gave");
  return (int64_t)(a.e12 / 10000);
}
static instant at_day(int64_t day) {
  return (instant){(20000 + day) * DAY_NS};
}
static instant period_end(int64_t period) {
  return at_day((period + 1) * MONTH);
}
static int64_t running(const struct gateway *g) {
  int64_t sum = 0;
  for (int i = 0; i < CALLS; i++) {
    sum += g->running[i];
  }
  return sum;
}
static int64_t spent(const struct gateway *g) {
  int64_t sum = 0;
  for (int i = 0; i < 64; i++) {
    sum += g->spent[i];
  }
  return sum;
}

static struct credit_unbilled unbilled(struct world *w) {
  struct error err = {0};
  struct credit_unbilled u;
  expect(w, credit_unbilled(w->db, ACME, EUR, &u, &err), &err);
  return u;
}
static int64_t available(struct world *w) {
  struct error err = {0};
  amount a;
  expect(w, credit_available(w->db, ACME, EUR, SOLD, at_day(w->day), &a, &err), &err);
  return of_units(w, a);
}

static void complain(void *context, const char *what) {
  stop(context, what);
}

static void check(struct world *w) {
  struct error err = {0};
  struct credit_unbilled u = unbilled(w);
  const struct gateway *g = &w->gateway;
  expect(w, credit_check(w->db, w->ledger, complain, w, &err) && ledger_check(w->ledger, complain, w, &err), &err);
  hold_true(w, of_units(w, u.spent) == spent(g), "what was spent is not what the gateway settled");
  int64_t held = of_units(w, u.in_pockets) + of_units(w, u.on_line);
  hold_true(w, held == of_units(w, u.reserved) + of_units(w, u.slice), "more or less is held than rows say");
  hold_true(w, held >= spent(g) + running(g), "less is held than was used and runs");
}

/* ---- the gateway ---- */

static void start_call(struct world *w) {
  struct gateway *g = &w->gateway;
  int64_t free = g->granted - g->since - running(g), wants = 1 + below(300);
  int slot = (int)below(CALLS);
  if (g->running[slot] == 0 && wants <= free) {
    g->running[slot] = wants;
  }
}

static void settle_call(struct world *w) {
  struct gateway *g = &w->gateway;
  struct error err = {0};
  int slot = (int)below(CALLS);
  if (g->running[slot] == 0) {
    return;
  }
  int64_t cost = below(4) == 0 ? g->running[slot] : below(g->running[slot] + 1);
  /* Some calls end in the period before: they ran over its end. */
  int64_t period = w->day / MONTH;
  period -= period > w->period && below(5) == 0;
  expect(w, credit_unbilled_add(w->db, ACME, EUR, period_end(period), units(cost), &err), &err);
  g->spent[period] += cost;
  g->since += cost;
  g->running[slot] = 0;
}

static void reserve(struct world *w) {
  struct gateway *g = &w->gateway;
  struct error err = {0};
  struct credit_unbilled before = unbilled(w), after;
  int64_t wanted = running(g) + below(2000), least = below(3) == 0 ? below(wanted + 1) : 0;
  int64_t line_before = of_units(w, before.on_line), line = g->line > line_before ? g->line : line_before;
  int64_t reach = of_units(w, before.in_pockets) + available(w) + line - spent(g);
  struct credit_slice_request r = {.customer = ACME,
                                   .currency = EUR,
                                   .product = SOLD,
                                   .wanted = units(wanted),
                                   .least = units(least),
                                   .line = units(g->line)};
  amount granted = AMOUNT_ZERO;
  expect(w, credit_slice_reserve(w->db, w->ledger, &r, at_day(w->day), &granted, &err), &err);
  g->granted = of_units(w, granted);
  g->since = 0;
  after = unbilled(w);
  hold_true(w, g->granted == of_units(w, after.slice), "what is granted is not the slice");
  hold_true(w, amount_cmp(after.reserved, after.spent) == 0, "a reserve leaves usage unreserved");
  hold_true(w, g->granted >= running(g), "less is granted than runs");
  hold_true(w, of_units(w, after.on_line) <= line, "more is held on the line than may be");
  if (reach >= least) {
    hold_true(w, g->granted == (reach < wanted ? reach : wanted), "not as much is granted as there is");
    hold_true(w, amount_is_zero(after.on_line) || available(w) == 0, "the line is used before credit");
  } else {
    hold_true(w,
              of_units(w, after.in_pockets) + of_units(w, after.on_line) <=
                  of_units(w, before.in_pockets) + of_units(w, before.on_line),
              "more is taken though it is not enough");
  }
}

static void idle(struct world *w) {
  struct error err = {0};
  if (running(&w->gateway) > 0) {
    return;
  }
  expect(w, credit_slice_release(w->db, w->ledger, ACME, EUR, at_day(w->day), &err), &err);
  w->gateway.granted = w->gateway.since = 0;
}

/* ---- credit ---- */

static void give(struct world *w) {
  struct error err = {0};
  char id[16];
  bool repeated = false;
  slice scope = below(2) ? SOLD : SLICE("B");
  snprintf(id, sizeof id, "g%d", w->grants++);
  struct credit_grant g = {.id = slice_of(id),
                           .kind = (enum credit_kind)below(CREDIT_KINDS),
                           .amount = units(1 + below(3000)),
                           .priority = (int)below(3),
                           .scope = &scope,
                           .scope_count = below(3) == 0,
                           .effective = at_day(w->day - 2 + below(5))};
  g.expires = below(3) ? (instant){g.effective.ns + (1 + below(30)) * DAY_NS} : INSTANT_MAX;
  expect(w, credit_add(w->db, w->ledger, acme, &g, at_day(w->day), &repeated, &err), &err);
}

static void end_one(struct world *w) {
  struct error err = {0};
  char id[16];
  bool revoke = below(3) == 0;
  if (w->grants == 0) {
    return;
  }
  snprintf(id, sizeof id, "g%lld", (long long)below(w->grants));
  w->revoked |= revoke;
  expect(w, (revoke ? credit_revoke : credit_end)(w->db, w->ledger, slice_of(id), at_day(w->day), &err), &err);
}

static void hold_other(struct world *w) {
  struct error err = {0};
  enum transfer_outcome outcome;
  char id[16];
  if (w->holds > 0 && below(2)) {
    snprintf(id, sizeof id, "h%lld", (long long)below(w->holds));
    if (!credit_settle(w->db, w->ledger, slice_of(id), AMOUNT_ZERO, at_day(w->day), &err)) {
      hold_true(w, err.code == ERR_CONFLICT || err.code == ERR_NOT_FOUND, err.message);
    }
    return;
  }
  snprintf(id, sizeof id, "h%d", w->holds++);
  struct credit_hold_request r = {.id = slice_of(id),
                                  .customer = ACME,
                                  .currency = EUR,
                                  .product = SLICE("B"),
                                  .to = SLICE("revenue/B"),
                                  .amount = units(1 + below(400)),
                                  .expires = INSTANT_MAX};
  if (!credit_hold(w->db, w->ledger, &r, at_day(w->day), &outcome, &err)) {
    hold_true(w, err.code == ERR_FUNDS, err.message);
  }
}

static void pass_days(struct world *w) {
  struct error err = {0};
  size_t count = 0;
  bool due = false;
  w->day += below(4);
  if (below(2)) {
    expect(w,
           credit_expire(w->db, w->ledger, at_day(w->day), &count, &err) &&
               credit_is_due(w->db, at_day(w->day), &due, &err),
           &err);
    hold_true(w, !due, "what is due was done, and is due still");
  }
}

/* ---- invoices ---- */

static struct credit_grants view_then_end(struct world *w, instant until) {
  struct error err = {0};
  struct credit_grants before, after;
  instant now = at_day(w->day);
  expect(w, credit_open_to_invoice(w->arena, w->db, ACME, EUR, until, now, &before, &err), &err);
  expect(w, credit_unbilled_end(w->db, w->ledger, ACME, EUR, until, now, &err), &err);
  expect(w, credit_open(w->arena, w->db, ACME, EUR, now, &after, &err), &err);
  hold_true(w, before.count == after.count, "a draft sees other credit than the invoice");
  for (size_t i = 0; i < before.count; i++) {
    const struct credit_grant *x = &before.items[i], *y = &after.items[i];
    hold_true(w,
              slice_eq(x->id, y->id) && amount_cmp(x->available, y->available) == 0 && x->expires.ns == y->expires.ns,
              "a draft sees a credit as it is not");
  }
  return after;
}

static void draw(struct world *w, const struct credit_grants *open, int64_t owed) {
  struct error err = {0};
  struct credit_use *uses = arena_array(w->arena, open->count, sizeof *uses);
  slice invoice = slice_of(arena_printf(w->arena, "i%d", w->invoices++));
  size_t count = 0;
  expect(w, credit_activate(w->db, w->ledger, ACME, at_day(w->day), &err), &err);
  for (size_t i = 0; i < open->count && owed > 0; i++) {
    const struct credit_grant *g = &open->items[i];
    int64_t has = of_units(w, g->available), taken = owed < has ? owed : has;
    enum transfer_outcome outcome;
    struct transfer t = {.id = slice_of(arena_printf(w->arena, SLICE_FMT "/%zu", SLICE_ARG(invoice), i)),
                         .from = g->pocket,
                         .to = SLICE("customer/acme/receivable"),
                         .currency = EUR,
                         .amount = units(taken),
                         .time = at_day(w->day),
                         .cause = SLICE("credit"),
                         .reference = invoice};
    if (!credit_covers(g, SOLD)) {
      continue;
    }
    expect(w, ledger_transfer(w->ledger, &t, &outcome, &err), &err);
    uses[count++] = (struct credit_use){g, units(taken)};
    owed -= taken;
  }
  expect(w, credit_draw(w->db, uses, count, invoice, at_day(w->day), &err), &err);
}

static void invoice(struct world *w) {
  struct gateway *g = &w->gateway;
  if (w->day < (w->period + 1) * MONTH) {
    return;
  }
  struct credit_unbilled before = unbilled(w);
  struct credit_grants open = view_then_end(w, period_end(w->period));
  struct credit_unbilled after = unbilled(w);
  int64_t owed = g->spent[w->period], in_reach = 0;
  int64_t freed = of_units(w, before.in_pockets) - of_units(w, after.in_pockets);
  for (size_t i = 0; i < open.count; i++) {
    in_reach += credit_covers(&open.items[i], SOLD) ? of_units(w, open.items[i].available) : 0;
  }
  hold_true(w, w->revoked || in_reach >= freed, "what was reserved in pockets can not be drawn");
  hold_true(w, freed + of_units(w, before.on_line) - of_units(w, after.on_line) == owed,
            "more or less is free than was spent");
  g->spent[w->period++] = 0;
  draw(w, &open, owed);
}

/* ---- ends ---- */

static void crash(struct world *w) {
  struct error err = {0};
  size_t count = 0;
  expect(w, db_commit(w->db, &err), &err);
  ledger_close(w->ledger);
  expect(w,
         ledger_open(w->db, &w->ledger, &err) && db_begin(w->db, &err) &&
             credit_slices_recover(w->db, w->ledger, at_day(w->day), &count, &err),
         &err);
  struct gateway *g = &w->gateway;
  memset(g->running, 0, sizeof g->running);
  g->granted = g->since = 0;
  struct credit_unbilled u = unbilled(w);
  hold_true(w, amount_is_zero(u.slice) && amount_cmp(u.reserved, u.spent) == 0,
            "a start leaves more than what is spent");
}

static void end_all(struct world *w) {
  struct error err = {0};
  struct account line = {0};
  instant until = at_day(10000);
  view_then_end(w, until);
  memset(&w->gateway, 0, sizeof w->gateway);
  expect(w, credit_slice_release(w->db, w->ledger, ACME, EUR, at_day(w->day), &err), &err);
  struct credit_unbilled u = unbilled(w);
  hold_true(w, amount_is_zero(u.spent) && amount_is_zero(u.in_pockets) && amount_is_zero(u.on_line),
            "something is left in the end");
  hold_true(w, !ledger_account(w->ledger, SLICE("customer/acme/line"), EUR, &line, &err) || amount_is_zero(line.held),
            "the line is held in the end");
  check(w);
}

typedef void step(struct world *w);
static void change_line(struct world *w) {
  w->gateway.line = below(3) ? below(2500) : 0;
}
static step *const steps[] = {start_call, start_call, start_call, settle_call, settle_call, settle_call, reserve,
                              reserve,    give,       hold_other, pass_days,   invoice,     change_line};

/* Now and then a batch is undone: then nothing of it happened. */
static void one_step(struct world *w) {
  struct error err = {0};
  struct world before = *w;
  expect(w, db_commit(w->db, &err) && db_begin(w->db, &err), &err);
  ledger_done(w->ledger);
  int64_t rare = below(60);
  step *chosen = rare == 0   ? crash
                 : rare == 1 ? idle
                 : rare == 2 ? end_one
                             : steps[below(sizeof steps / sizeof *steps)];
  chosen(w);
  if (chosen != crash && below(12) == 0) {
    db_rollback(w->db);
    ledger_undo(w->ledger);
    expect(w, db_begin(w->db, &err), &err);
    *w = before;
  }
  check(w);
}

static void open_world(struct world *w, const char *path) {
  struct error err = {0};
  struct db_migration all[64];
  size_t count = 0;
  memcpy(all, ledger_migrations, ledger_migration_count * sizeof *all);
  count += ledger_migration_count;
  memcpy(all + count, notify_migrations, notify_migration_count * sizeof *all);
  count += notify_migration_count;
  memcpy(all + count, credit_migrations, credit_migration_count * sizeof *all);
  count += credit_migration_count;
  expect(w,
         db_open(path, DB_READ_WRITE, &w->db, &err) && db_migrate(w->db, all, count, &err) &&
             db_run(w->db, "PRAGMA synchronous = OFF", DB_NO_VALUES, NULL, &err) &&
             ledger_open(w->db, &w->ledger, &err) && db_begin(w->db, &err),
         &err);
}

static void run(uint64_t seed) {
  char dir[] = "/tmp/prop_unbilled.XXXXXX", path[64], command[64];
  struct world w = {.seed = seed, .arena = arena_new()};
  must(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/db", dir);
  random_seed(&rng, seed, 0);
  open_world(&w, path);
  for (int i = 0; i < STEPS && w.day < 60 * MONTH; i++) {
    one_step(&w);
  }
  end_all(&w);
  db_rollback(w.db);
  ledger_close(w.ledger);
  db_close(w.db);
  arena_free(w.arena);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  must(system(command) == 0);
}

int main(void) {
  static const char text[] = "currency: EUR\nseller: {name: S, invoice_prefix: T-}\n"
                             "meters:\n  - {name: calls, event: call, value: n, unit: call}\n"
                             "plans:\n  - {name: p, prices: [{meter: calls, price: 1}]}\n"
                             "customers:\n  - {id: acme, plan: p}\n";
  struct catalog_text file = {"catalog.yaml", SLICE(text)};
  struct error err = {0};
  const char *seed = getenv("SEED"), *cases = getenv("CASES");
  uint64_t first = seed ? strtoull(seed, NULL, 10) : 1, count = cases ? strtoull(cases, NULL, 10) : 60;
  if (!catalog_parse(&file, 1, &catalog, &err)) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  acme = catalog_customer(catalog, ACME);
  for (uint64_t s = first; s < first + count; s++) {
    run(s);
  }
  catalog_free(catalog);
  printf("%llu cases from SEED=%llu\n", (unsigned long long)count, (unsigned long long)first);
  return 0;
}
