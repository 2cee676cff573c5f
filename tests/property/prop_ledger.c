/* The ledger under random operations, beside a naive model of balances and holds; rolled back, re-opened, audited. */
#include "base/hash.h"
#include "ledger/ledger.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNTS 6
#define HOLDS 400
#define TRANSFERS 4000

struct model_hold {
  int from, to;
  int64_t amount;
  int64_t expires;
  char state; /* o open, s settled, r released */
  int64_t settled;
};
struct naive {
  int64_t balance[ACCOUNTS], held[ACCOUNTS], floor[ACCOUNTS];
  bool has_floor[ACCOUNTS];
  struct model_hold holds[HOLDS];
  size_t hold_count;
  struct {
    int from, to;
    int64_t amount;
  } transfers[TRANSFERS];
  size_t transfer_count;
};

static struct random rng;
static const char *const names[ACCOUNTS] = {"cash",  "revenue/a", "customer/x/wallet", "customer/y/wallet",
                                            "tax/b", "rounding"};

static amount cents(int64_t c) {
  return (amount){(int128)c * 10000000000};
}

static void same_balances(struct ledger *l, const struct naive *m) {
  for (int i = 0; i < ACCOUNTS; i++) {
    struct account a;
    struct error err = {0};
    if (!ledger_account(l, slice_of(names[i]), SLICE("EUR"), &a, &err)) {
      must(m->balance[i] == 0 && m->held[i] == 0);
      continue;
    }
    must(amount_cmp(a.balance, cents(m->balance[i])) == 0);
    must(amount_cmp(a.held, cents(m->held[i])) == 0);
  }
}

static void found(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "the ledger's own check is not clean: %s\n", what);
  abort();
}

static bool leaves_floor(const struct naive *m, int from, int64_t amount_cents) {
  return !m->has_floor[from] || m->balance[from] - m->held[from] - amount_cents >= m->floor[from];
}

static struct transfer make(char *id, int from, int to, int64_t c) {
  return (struct transfer){.id = slice_of(id),
                           .from = slice_of(names[from]),
                           .to = slice_of(names[to]),
                           .currency = SLICE("EUR"),
                           .amount = cents(c),
                           .time = {1},
                           .cause = SLICE("test"),
                           .reference = SLICE("ref")};
}

static void do_transfer(struct ledger *l, struct naive *m) {
  char id[32];
  struct error err = {0};
  enum transfer_outcome outcome;
  bool repeat = m->transfer_count > 0 && random_below(&rng, 5) == 0;
  size_t n = repeat ? random_below(&rng, m->transfer_count) : m->transfer_count;
  int from = (int)random_below(&rng, ACCOUNTS), to = (from + 1 + (int)random_below(&rng, ACCOUNTS - 1)) % ACCOUNTS;
  int64_t c = 1 + (int64_t)random_below(&rng, 5000);
  bool same = repeat && random_below(&rng, 2);
  if (!repeat && m->transfer_count == TRANSFERS) {
    return;
  }
  if (same) {
    from = m->transfers[n].from;
    to = m->transfers[n].to;
    c = m->transfers[n].amount;
  }
  snprintf(id, sizeof id, "t%zu", n);
  struct transfer t = make(id, from, to, c);
  bool ok = ledger_transfer(l, &t, &outcome, &err);
  if (repeat) {
    same = m->transfers[n].from == from && m->transfers[n].to == to && m->transfers[n].amount == c;
    must(ok == same && (ok ? outcome == TRANSFER_REPEATED : err.code == ERR_CONFLICT));
    return;
  }
  must(ok == leaves_floor(m, from, c));
  if (!ok) {
    must(err.code == ERR_FUNDS);
    return;
  }
  must(outcome == TRANSFER_DONE);
  m->transfers[m->transfer_count].from = from;
  m->transfers[m->transfer_count].to = to;
  m->transfers[m->transfer_count++].amount = c;
  m->balance[from] -= c;
  m->balance[to] += c;
}

static void do_hold(struct ledger *l, struct naive *m) {
  char id[32];
  struct error err = {0};
  enum transfer_outcome outcome;
  int from = (int)random_below(&rng, ACCOUNTS), to = (from + 1) % ACCOUNTS;
  int64_t c = 1 + (int64_t)random_below(&rng, 3000), expires = 100 + (int64_t)random_below(&rng, 1000);
  if (m->hold_count == HOLDS) {
    return;
  }
  snprintf(id, sizeof id, "h%zu", m->hold_count);
  struct transfer t = make(id, from, to, c);
  bool ok = ledger_hold(l, &t, (instant){expires}, &outcome, &err);
  must(ok == leaves_floor(m, from, c));
  if (!ok) {
    return;
  }
  m->holds[m->hold_count++] = (struct model_hold){from, to, c, expires, 'o', 0};
  m->held[from] += c;
  must(ledger_hold(l, &t, (instant){expires}, &outcome, &err) && outcome == TRANSFER_REPEATED);
}

static void do_settle(struct ledger *l, struct naive *m) {
  char id[32];
  struct error err = {0};
  if (m->hold_count == 0) {
    return;
  }
  size_t n = random_below(&rng, m->hold_count);
  struct model_hold *h = &m->holds[n];
  int64_t c = (int64_t)random_below(&rng, (uint64_t)h->amount * 5 / 4 + 1);
  snprintf(id, sizeof id, "h%zu", n);
  bool ok = ledger_settle(l, slice_of(id), cents(c), (instant){5}, &err);
  must(ok == ((h->state == 'o' && c <= h->amount) || (h->state == 's' && c == h->settled)));
  if (!ok || h->state != 'o') {
    return;
  }
  h->state = 's';
  h->settled = c;
  m->held[h->from] -= h->amount;
  m->balance[h->from] -= c;
  m->balance[h->to] += c;
}

static void release_in_model(struct naive *m, struct model_hold *h) {
  h->state = 'r';
  m->held[h->from] -= h->amount;
}

static void do_release(struct ledger *l, struct naive *m) {
  char id[32];
  struct error err = {0};
  if (m->hold_count == 0) {
    return;
  }
  size_t n = random_below(&rng, m->hold_count);
  snprintf(id, sizeof id, "h%zu", n);
  bool ok = ledger_release(l, slice_of(id), (instant){5}, &err);
  must(ok == (m->holds[n].state != 's'));
  if (m->holds[n].state == 'o') {
    release_in_model(m, &m->holds[n]);
  }
}

static void do_expire(struct ledger *l, struct naive *m) {
  struct error err = {0};
  size_t released, expected = 0;
  int64_t now = (int64_t)random_below(&rng, 1200);
  for (size_t i = 0; i < m->hold_count; i++) {
    if (m->holds[i].state != 'o' || m->holds[i].expires > now) {
      continue;
    }
    release_in_model(m, &m->holds[i]);
    expected++;
  }
  must(ledger_expire(l, (instant){now}, &released, &err) && released == expected);
}

static void do_floor(struct ledger *l, struct naive *m) {
  struct error err = {0};
  int i = (int)random_below(&rng, ACCOUNTS);
  bool has = random_below(&rng, 4) > 0;
  int64_t floor = -(int64_t)random_below(&rng, 20000);
  bool ok = ledger_set_floor(l, slice_of(names[i]), SLICE("EUR"), has, cents(floor), &err);
  must(ok == (!has || m->balance[i] - m->held[i] >= floor));
  if (!ok) {
    return;
  }
  m->has_floor[i] = has;
  m->floor[i] = floor;
}

static void step(struct ledger *l, struct naive *m) {
  switch (random_below(&rng, 10)) {
  case 0:
  case 1:
    do_hold(l, m);
    break;
  case 2:
    do_settle(l, m);
    break;
  case 3:
    do_release(l, m);
    break;
  case 4:
    do_floor(l, m);
    break;
  case 5:
    if (random_below(&rng, 8) == 0) {
      do_expire(l, m);
    }
    break;
  default:
    do_transfer(l, m);
  }
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 7,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 300;
  printf("prop_ledger: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  char path[] = "/tmp/prop_ledger.XXXXXX";
  int fd = mkstemp(path);
  must(fd >= 0);
  close(fd);
  struct db *db;
  struct ledger *l;
  struct error err = {0};
  struct naive *m = mem_alloc(sizeof *m), *before = mem_alloc(sizeof *m);
  must(db_open(path, DB_READ_WRITE, &db, &err) && db_migrate(db, ledger_migrations, ledger_migration_count, &err) &&
       ledger_open(db, &l, &err));
  for (uint64_t i = 0; i < cases; i++) {
    *before = *m;
    must(db_begin(db, &err));
    for (uint64_t n = random_below(&rng, 12); n > 0; n--) {
      step(l, m);
    }
    if (random_below(&rng, 5) == 0) {
      db_rollback(db);
      ledger_undo(l);
      *m = *before;
    } else {
      must(db_commit(db, &err));
      ledger_done(l);
    }
    same_balances(l, m);
    if (i % 10 == 0) {
      must(ledger_check(l, found, NULL, &err));
    }
    if (random_below(&rng, 20) == 0) {
      ledger_close(l);
      must(ledger_open(db, &l, &err));
      same_balances(l, m);
    }
  }
  ledger_close(l);
  db_close(db);
  unlink(path);
  char side[64];
  snprintf(side, sizeof side, "%s-wal", path);
  unlink(side);
  snprintf(side, sizeof side, "%s-shm", path);
  unlink(side);
  free(m);
  free(before);
  return 0;
}
