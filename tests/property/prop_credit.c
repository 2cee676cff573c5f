/* Credit under random grants, holds, settlements, invoices (two at a time), voids and ends, beside a naive model;
 * undone, re-opened, audited. The floor is never broken, and no credit is spent twice. */
#include "base/hash.h"
#include "bill/bill.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRANTS 400
#define HOLDS 300
#define INVOICES 300
#define POCKETS 4 /* all products, {A}, {B}, {A, B} */
#define DAY_NS (INT64_C(86400) * NS_PER_S)
#define MINOR 10 /* the unit is a thousandth */

struct model_grant {
  int pocket, priority, kind;
  int64_t amount, remaining, effective, expires, asked_expires; /* days; a void and an end move the one that counts */
  bool active, revoked;
};
struct model_hold {
  int64_t part[POCKETS], sum;
  char state; /* o s r */
  int64_t settled;
};
struct model_invoice {
  int64_t draw[GRANTS];
  char id[ID_TEXT_MAX];
  bool voided;
};
struct naive {
  struct model_grant grants[GRANTS];
  size_t grant_count;
  struct model_hold holds[HOLDS];
  size_t hold_count;
  struct model_invoice invoices[INVOICES];
  size_t invoice_count;
  int64_t day, next_period;
};

static struct random rng;
static struct db *db;
static struct ledger *ledger;
static struct catalog *catalog;
static const struct customer *acme;
static const slice products[2] = {{"A", 1}, {"B", 1}};

static amount units(int64_t n) {
  return (amount){(int128)n * 1000000000};
}
static instant at_day(int64_t day) {
  return (instant){(20000 + day) * DAY_NS};
}
static size_t below(size_t n) {
  return (size_t)random_below(&rng, n);
}
static size_t scope_of(int pocket, slice out[2]) {
  size_t n = 0;
  for (int p = 0; p < 2; p++) {
    if (pocket & (1 << p)) {
      out[n++] = products[p];
    }
  }
  return n;
}
static const char *pocket_name(int pocket, char name[CREDIT_POCKET_MAX]) {
  slice scope[2];
  size_t n = scope_of(pocket, scope);
  return credit_pocket(acme->id, scope, n, name);
}
static void grant_id(size_t g, char id[16]) {
  snprintf(id, 16, "g%04zu", g);
}
static void found(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "the book's own check is not clean: %s\n", what);
  abort();
}
static void stop(const char *what, const struct error *err) {
  fprintf(stderr, "%s: %s\n", what, err->message);
  abort();
}

/* ---- the model ---- */

static bool goes_first(const struct naive *m, size_t a, size_t b) {
  const struct model_grant *x = &m->grants[a], *y = &m->grants[b];
  if (x->priority != y->priority) {
    return x->priority < y->priority;
  }
  if (x->expires != y->expires) {
    return x->expires < y->expires;
  }
  return x->effective != y->effective ? x->effective < y->effective : a < b;
}

/* The first grant of the pocket (-1: any) that has some of `left`. */
static size_t first_with(const struct naive *m, int pocket, const int64_t left[GRANTS]) {
  size_t best = GRANTS;
  for (size_t g = 0; g < m->grant_count; g++) {
    if (left[g] > 0 && (pocket < 0 || m->grants[g].pocket == pocket) && (best == GRANTS || goes_first(m, g, best))) {
      best = g;
    }
  }
  return best;
}

static void model_free(const struct naive *m, int64_t out[GRANTS]) {
  for (size_t g = 0; g < m->grant_count; g++) {
    bool counted = m->grants[g].active || m->grants[g].effective <= m->day;
    out[g] = counted ? m->grants[g].remaining : 0;
  }
  for (int p = 0; p < POCKETS; p++) {
    int64_t held = 0;
    for (size_t h = 0; h < m->hold_count; h++) {
      held += m->holds[h].state == 'o' ? m->holds[h].part[p] : 0;
    }
    while (held > 0) {
      size_t g = first_with(m, p, out);
      must(g < GRANTS);
      int64_t taken = held < out[g] ? held : out[g];
      out[g] -= taken;
      held -= taken;
    }
  }
}

static void model_available(const struct naive *m, int64_t out[GRANTS]) {
  model_free(m, out);
  for (size_t g = 0; g < m->grant_count; g++) {
    const struct model_grant *x = &m->grants[g];
    if (x->revoked || x->effective > m->day || m->day >= x->expires) {
      out[g] = 0;
    }
  }
}

static void model_activate(struct naive *m) {
  for (size_t g = 0; g < m->grant_count; g++) {
    m->grants[g].active = m->grants[g].active || m->grants[g].effective <= m->day;
  }
}

static void same(const struct naive *m) {
  struct error err = {0};
  struct arena *arena = arena_new();
  int64_t available[GRANTS], all = 0, pockets[POCKETS] = {0};
  struct credit_grants open;
  model_available(m, available);
  must(credit_open(arena, db, acme->id, SLICE("EUR"), at_day(m->day), &open, &err));
  for (size_t i = 0; i < open.count; i++) {
    size_t g = strtoul(open.items[i].id.ptr + 1, NULL, 10);
    must(amount_cmp(open.items[i].available, units(available[g])) == 0);
    must(i == 0 || goes_first(m, strtoul(open.items[i - 1].id.ptr + 1, NULL, 10), g));
    all += available[g];
    available[g] = 0;
  }
  for (size_t g = 0; g < m->grant_count; g++) {
    must(available[g] == 0);
    pockets[m->grants[g].pocket] += m->grants[g].active ? m->grants[g].remaining : 0;
  }
  for (int p = 0; p < POCKETS; p++) {
    char name[CREDIT_POCKET_MAX];
    struct account a;
    if (ledger_account(ledger, slice_of(pocket_name(p, name)), SLICE("EUR"), &a, &err)) {
      must(amount_cmp(a.balance, units(pockets[p])) == 0);
    } else {
      must(pockets[p] == 0);
    }
  }
  struct credit_balance balance;
  must(credit_balance(arena, db, acme->id, SLICE("EUR"), at_day(m->day), &balance, &err));
  must(amount_cmp(balance.available, units(all)) == 0);
  arena_free(arena);
}

/* ---- grants ---- */

static void do_add(struct naive *m) {
  bool repeat = m->grant_count > 0 && below(6) == 0, repeated;
  size_t g = repeat ? below(m->grant_count) : m->grant_count;
  struct error err = {0};
  char id[16];
  if (g == GRANTS) {
    return;
  }
  struct model_grant *x = &m->grants[g];
  if (!repeat) {
    *x = (struct model_grant){.pocket = (int)below(POCKETS),
                              .priority = (int)below(3),
                              .kind = (int)below(CREDIT_KINDS),
                              .amount = 1 + (int64_t)below(9000),
                              .effective = m->day - 3 + (int64_t)below(8)};
    x->remaining = x->amount;
    x->expires = x->effective + 1 + (int64_t)below(20);
    x->asked_expires = x->expires;
    x->active = x->effective <= m->day;
    m->grant_count++;
  }
  slice scope[2];
  grant_id(g, id);
  struct credit_grant wanted = {.id = slice_of(id),
                                .kind = (enum credit_kind)x->kind,
                                .amount = units(x->amount),
                                .priority = x->priority,
                                .scope = scope,
                                .scope_count = scope_of(x->pocket, scope),
                                .effective = at_day(x->effective),
                                .expires = at_day(x->asked_expires)};
  if (!credit_add(db, ledger, acme, &wanted, at_day(m->day), &repeated, &err)) {
    stop("add", &err);
  }
  must(repeated == repeat);
  if (repeat) {
    wanted.amount = units(x->amount + 1);
    must(!credit_add(db, ledger, acme, &wanted, at_day(m->day), &repeated, &err) && err.code == ERR_CONFLICT);
  }
}

static void do_end(struct naive *m) {
  if (m->grant_count == 0) {
    return;
  }
  size_t g = below(m->grant_count);
  struct model_grant *x = &m->grants[g];
  bool revoke = below(2);
  int64_t free_of[GRANTS];
  struct error err = {0};
  char id[16];
  grant_id(g, id);
  model_activate(m);
  model_free(m, free_of);
  if (!(revoke ? credit_revoke : credit_end)(db, ledger, slice_of(id), at_day(m->day), &err)) {
    stop("end", &err);
  }
  x->remaining = x->active ? x->remaining - free_of[g] : 0;
  x->active = true;
  x->revoked = x->revoked || revoke;
  x->expires = x->expires < m->day ? x->expires : m->day;
}

static void do_expire(struct naive *m) {
  int64_t free_of[GRANTS];
  size_t count, expected = 0;
  struct error err = {0};
  m->day += (int64_t)below(4);
  if (!credit_expire(db, ledger, at_day(m->day), &count, &err)) {
    stop("expire", &err);
  }
  model_activate(m);
  model_free(m, free_of);
  for (size_t g = 0; g < m->grant_count; g++) {
    if (m->grants[g].expires <= m->day && free_of[g] > 0) {
      m->grants[g].remaining -= free_of[g];
      expected++;
    }
  }
  must(count == expected);
  must(credit_expire(db, ledger, at_day(m->day), &count, &err) && count == 0);
}

/* ---- holds ---- */

static void do_hold(struct naive *m) {
  int64_t available[GRANTS], wanted = 1 + (int64_t)below(6000), left = wanted;
  int product = (int)below(3); /* A, B, none */
  struct model_hold h = {.sum = wanted, .state = 'o'};
  struct error err = {0};
  char id[16];
  enum transfer_outcome outcome;
  if (m->hold_count == HOLDS) {
    return;
  }
  model_activate(m);
  model_available(m, available);
  for (size_t g = 0; g < m->grant_count; g++) {
    int pocket = m->grants[g].pocket;
    available[g] = pocket == 0 || (product < 2 && (pocket & (1 << product))) ? available[g] : 0;
  }
  for (size_t g = first_with(m, -1, available); left > 0 && g < GRANTS; g = first_with(m, -1, available)) {
    int64_t taken = left < available[g] ? left : available[g];
    h.part[m->grants[g].pocket] += taken;
    available[g] -= taken;
    left -= taken;
  }
  snprintf(id, sizeof id, "h%zu", m->hold_count);
  struct credit_hold_request r = {.id = slice_of(id),
                                  .customer = acme->id,
                                  .currency = SLICE("EUR"),
                                  .product = product < 2 ? products[product] : (slice){0},
                                  .to = SLICE("revenue/gateway"),
                                  .reference = SLICE("lease"),
                                  .amount = units(wanted),
                                  .expires = INSTANT_MAX};
  bool ok = credit_hold(db, ledger, &r, at_day(m->day), &outcome, &err);
  must(ok == (left == 0));
  if (!ok) {
    must(err.code == ERR_FUNDS);
    return;
  }
  must(outcome == TRANSFER_DONE && credit_hold(db, ledger, &r, at_day(m->day), &outcome, &err) &&
       outcome == TRANSFER_REPEATED);
  m->holds[m->hold_count++] = h;
}

/* Parts settle in the order in which the hold's grants first named their pockets, which the model does not keep: what
 * each pocket gave is read back, and held to its part and to the sum. */
static void take_settled(struct naive *m, size_t n, int64_t value) {
  int64_t sum = 0;
  for (int p = 0; p < POCKETS; p++) {
    char name[CREDIT_POCKET_MAX];
    struct account a;
    struct error err = {0};
    int64_t before = 0, left[GRANTS];
    for (size_t g = 0; g < m->grant_count; g++) {
      bool here = m->grants[g].active && m->grants[g].pocket == p;
      before += here ? m->grants[g].remaining : 0;
      left[g] = here ? m->grants[g].remaining : 0;
    }
    if (!ledger_account(ledger, slice_of(pocket_name(p, name)), SLICE("EUR"), &a, &err)) {
      continue;
    }
    int64_t gone = before - (int64_t)(a.balance.e12 / 1000000000);
    must(gone >= 0 && gone <= m->holds[n].part[p]);
    sum += gone;
    while (gone > 0) {
      size_t g = first_with(m, p, left);
      must(g < GRANTS);
      int64_t taken = gone < left[g] ? gone : left[g];
      left[g] -= taken;
      m->grants[g].remaining -= taken;
      gone -= taken;
    }
  }
  must(sum == value);
  m->holds[n].settled = value;
  m->holds[n].state = 's';
}

static void do_settle(struct naive *m) {
  if (m->hold_count == 0) {
    return;
  }
  size_t n = below(m->hold_count);
  struct model_hold *h = &m->holds[n];
  int64_t value = (int64_t)below((size_t)h->sum + 200);
  struct error err = {0};
  char id[16];
  snprintf(id, sizeof id, "h%zu", n);
  bool open = h->state == 'o', ok = credit_settle(db, ledger, slice_of(id), units(value), at_day(m->day), &err);
  must(ok == ((open && value <= h->sum) || (h->state == 's' && h->settled == value)));
  if (open && ok) {
    model_activate(m);
    take_settled(m, n, value);
    must(credit_settle(db, ledger, slice_of(id), units(value), at_day(m->day), &err));
  }
}

static void do_release(struct naive *m) {
  if (m->hold_count == 0) {
    return;
  }
  size_t n = below(m->hold_count);
  struct error err = {0};
  char id[16];
  snprintf(id, sizeof id, "h%zu", n);
  bool ok = credit_release(db, ledger, slice_of(id), at_day(m->day), &err);
  must(ok == (m->holds[n].state != 's'));
  if (ok) {
    m->holds[n].state = 'r';
  }
}

/* ---- invoices ---- */

static struct rating random_rating(struct arena *arena, struct naive *m) {
  size_t count = 1 + below(4);
  struct charge *charges = arena_array(arena, count, sizeof *charges);
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  struct rating r = {.customer = acme, .charges = charges, .charge_count = count};
  struct error err = {0};
  r.period = (struct period){at_day(-4000 + m->next_period), at_day(-3999 + m->next_period)};
  m->next_period++;
  *segment = (struct segment){.plan = &catalog->plans[0], .from = r.period.from, .to = r.period.to};
  for (size_t i = 0; i < count; i++) {
    int64_t exact = (int64_t)below(9000) - (below(4) == 0 ? 6000 : 0);
    charges[i] = (struct charge){.kind = CHARGE_USAGE,
                                 .name = SLICE("x"),
                                 .product = below(3) ? products[below(2)] : SLICE("C"),
                                 .segment = segment,
                                 .exact = units(exact)};
    must(amount_add(r.total, units(exact), &r.total, &err));
  }
  return r;
}

static void build(struct arena *arena, struct naive *m, struct invoice *out) {
  struct rating *rating = arena_alloc(arena, sizeof *rating);
  struct credit_grants open;
  struct error err = {0};
  char digest[65] = "";
  *rating = random_rating(arena, m);
  must(credit_open(arena, db, acme->id, SLICE("EUR"), at_day(m->day), &open, &err));
  struct invoice_purse purse = {.grants = open.items, .grant_count = open.count};
  if (!invoice_build(arena, catalog, rating, &purse, 0, digest, out, &err)) {
    stop("build", &err);
  }
}

static int64_t as_units(amount a) {
  must(a.e12 % 1000000000 == 0);
  return (int64_t)(a.e12 / 1000000000);
}

/* Draws by grant; and what must hold of them whatever the lines are. */
static void draws_of(const struct naive *m, const struct invoice *i, const int64_t available[GRANTS],
                     int64_t draw[GRANTS]) {
  int64_t prepaid = 0;
  memset(draw, 0, sizeof(int64_t) * GRANTS);
  for (size_t l = 0; l < i->line_count; l++) {
    const struct credit_use *use = i->lines[l].credit;
    if (use) {
      must(m->grants[strtoul(use->grant->id.ptr + 1, NULL, 10)].kind != CREDIT_PREPAID);
      draw[strtoul(use->grant->id.ptr + 1, NULL, 10)] += as_units(use->amount);
    }
  }
  for (size_t c = 0; c < i->credit_count; c++) {
    size_t g = strtoul(i->credits[c].grant->id.ptr + 1, NULL, 10);
    must(m->grants[g].kind == CREDIT_PREPAID);
    draw[g] += as_units(i->credits[c].amount);
    prepaid += draw[g];
  }
  must(prepaid == as_units(i->prepaid) && as_units(i->total) - prepaid == as_units(i->amount_due));
  bool drew = false;
  for (size_t g = 0; g < m->grant_count; g++) {
    must(draw[g] >= 0 && draw[g] <= available[g] && draw[g] % MINOR == 0);
    drew = drew || draw[g] > 0;
    /* One that pays for everything stops short only when nothing is left to pay. */
    bool short_of = m->grants[g].pocket == 0 && draw[g] < available[g] - available[g] % MINOR;
    if (short_of && as_units(i->subtotal) > 0) {
      must(m->grants[g].kind == CREDIT_PREPAID && amount_is_zero(i->amount_due));
    }
  }
  must(!drew || (as_units(i->subtotal) >= 0 && as_units(i->amount_due) >= 0));
}

static void same_again(struct arena *arena, const struct invoice *i) {
  struct buf first, second;
  struct invoice_purse purse;
  struct invoice again;
  struct error err = {0};
  char digest[65] = "";
  buf_init(&first, 1 << 24);
  buf_init(&second, 1 << 24);
  invoice_to_json(i, &first);
  if (!invoice_purse_stated(arena, buf_slice(&first), &purse, &err) ||
      !invoice_build(arena, catalog, i->rating, &purse, 0, digest, &again, &err)) {
    stop("built again", &err);
  }
  invoice_to_json(&again, &second);
  must(slice_eq(buf_slice(&first), buf_slice(&second)));
  buf_free(&first);
  buf_free(&second);
}

/* One of two drafts of the same credit: it stands if what it takes is still there. */
static void finalize(struct arena *arena, struct naive *m, struct invoice *draft, const int64_t draw[GRANTS]) {
  int64_t available[GRANTS];
  bool enough = true, existed;
  slice id;
  struct error err = {0};
  model_activate(m);
  model_available(m, available);
  for (size_t g = 0; g < m->grant_count; g++) {
    enough = enough && draw[g] <= available[g];
  }
  must(db_savepoint(db, &err));
  bool ok = invoice_finalize(arena, db, ledger, draft, at_day(m->day), 1, &existed, &id, &err);
  must(ok == enough && (ok ? !existed : err.code == ERR_CONFLICT));
  if (!ok) {
    db_savepoint_rollback(db); /* nothing was moved in memory: the draw is refused before the transfers */
    return;
  }
  must(db_savepoint_release(db, &err));
  struct model_invoice *i = &m->invoices[m->invoice_count++];
  memcpy(i->draw, draw, sizeof i->draw);
  snprintf(i->id, sizeof i->id, SLICE_FMT, SLICE_ARG(id));
  i->voided = false;
  for (size_t g = 0; g < m->grant_count; g++) {
    m->grants[g].remaining -= draw[g];
  }
}

static void do_invoices(struct naive *m) {
  struct arena *arena = arena_new();
  struct invoice drafts[2];
  int64_t available[GRANTS], draws[2][GRANTS];
  if (m->invoice_count + 2 > INVOICES) {
    arena_free(arena);
    return;
  }
  struct error err = {0};
  must(credit_activate(db, ledger, acme->id, at_day(m->day), &err));
  model_activate(m);
  model_available(m, available);
  for (int i = 0; i < 2; i++) {
    build(arena, m, &drafts[i]);
    draws_of(m, &drafts[i], available, draws[i]);
    same_again(arena, &drafts[i]);
  }
  for (int i = 0; i < 2; i++) {
    finalize(arena, m, &drafts[i], draws[i]);
  }
  arena_free(arena);
}

static void do_void(struct naive *m) {
  if (m->invoice_count == 0) {
    return;
  }
  struct model_invoice *i = &m->invoices[below(m->invoice_count)];
  struct error err = {0};
  if (!invoice_void(db, ledger, slice_of(i->id), at_day(m->day), &err)) {
    stop("void", &err);
  }
  for (size_t g = 0; !i->voided && g < m->grant_count; g++) {
    struct model_grant *x = &m->grants[g];
    if (i->draw[g] == 0 || x->revoked) {
      continue;
    }
    x->remaining += i->draw[g];
    x->expires = x->expires < m->day + CREDIT_RETURN_DAYS ? m->day + CREDIT_RETURN_DAYS : x->expires;
  }
  i->voided = true;
}

/* ---- the run ---- */

static void step(struct naive *m) {
  switch (random_below(&rng, 12)) {
  case 0:
  case 1:
  case 2:
    do_add(m);
    break;
  case 3:
  case 4:
    do_hold(m);
    break;
  case 5:
  case 6:
    do_settle(m);
    break;
  case 7:
    do_release(m);
    break;
  case 8:
    do_invoices(m);
    break;
  case 9:
    do_void(m);
    break;
  case 10:
    do_end(m);
    break;
  default:
    do_expire(m);
  }
}

static void audit(void) {
  struct error err = {0};
  uint64_t invoices;
  if (!ledger_check(ledger, found, NULL, &err) || !credit_check(db, ledger, found, NULL, &err) ||
      !invoice_check(db, ledger, found, NULL, &invoices, &err)) {
    stop("check", &err);
  }
}

static void run(struct naive *m, struct naive *before, uint64_t cases) {
  struct error err = {0};
  for (uint64_t i = 0; i < cases; i++) {
    *before = *m;
    must(db_begin(db, &err));
    for (uint64_t n = random_below(&rng, 8); n > 0; n--) {
      step(m);
    }
    if (random_below(&rng, 5) == 0) {
      db_rollback(db);
      ledger_undo(ledger);
      *m = *before;
    } else {
      must(db_commit(db, &err));
      ledger_done(ledger);
    }
    same(m);
    if (i % 20 == 0) {
      audit();
    }
    if (random_below(&rng, 20) == 0) {
      ledger_close(ledger);
      must(ledger_open(db, &ledger, &err));
      same(m);
    }
  }
  audit();
}

static void open_world(const char *path) {
  static const char text[] = "currency: EUR\n"
                             "seller: {name: S, invoice_prefix: T-}\n"
                             "taxes: [{name: vat, label: VAT, rate: 21 %, category: S}]\n"
                             "meters:\n  - {name: calls, event: call, value: n, unit: call}\n"
                             "plans:\n  - {name: p, prices: [{meter: calls, price: 1}]}\n"
                             "customers:\n  - {id: acme, plan: p, tax: vat}\n";
  struct catalog_text file = {"catalog.yaml", SLICE(text)};
  struct error err = {0};
  const struct {
    const struct db_migration *steps;
    size_t count;
  } rooms[] = {{ledger_migrations, ledger_migration_count},
               {notify_migrations, notify_migration_count},
               {credit_migrations, credit_migration_count},
               {bill_migrations, bill_migration_count}};
  VEC(struct db_migration) all = {0};
  for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
    for (size_t i = 0; i < rooms[r].count; i++) {
      vec_push(&all, rooms[r].steps[i]);
    }
  }
  if (!catalog_parse(&file, 1, &catalog, &err) || !db_open(path, DB_READ_WRITE, &db, &err) ||
      !db_migrate(db, all.items, all.count, &err) || !ledger_open(db, &ledger, &err)) {
    stop("open", &err);
  }
  vec_free(&all);
  acme = catalog_customer(catalog, SLICE("acme"));
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 7,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 200;
  printf("prop_credit: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  char dir[] = "/tmp/prop_credit.XXXXXX", path[64];
  must(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/db", dir);
  open_world(path);
  struct naive *m = mem_alloc(sizeof *m), *before = mem_alloc(sizeof *m);
  run(m, before, cases);
  printf("%zu grants, %zu holds, %zu invoices\n", m->grant_count, m->hold_count, m->invoice_count);
  ledger_close(ledger);
  db_close(db);
  catalog_free(catalog);
  for (int i = 0; i < 3; i++) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    snprintf(path, sizeof path, "%s/db%s", dir, ends[i]);
    unlink(path);
  }
  rmdir(dir);
  free(m);
  free(before);
  return 0;
}
