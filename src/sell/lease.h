/* Leases: what was sold, from the quote to the end. One function owns the moves between their states; what the engine
 * delivered becomes usage events at the engine's own times, in one batch with the state. All that changes anything is
 * called by the book's writer inside its batch; after a batch that was undone call leases_reload, for the calendars are
 * memory. docs/leases.md. */
#ifndef METERHOUSE_SELL_LEASE_H
#define METERHOUSE_SELL_LEASE_H
#include "book/book.h"
#include "sell/engine.h"
#include "sell/offers.h"

#define LEASE_SOURCE SLICE("leases") /* of the usage events */
#define LEASE_WHY_BYTES_MAX 200
#define LEASE_QUOTE_S 600 /* a quote is firm so long when nothing else is said */
#define LEASE_QUOTE_S_MAX (7 * 86400)
#define LEASE_RUNS_MAX 1000 /* of one lease */

enum lease_state {
  LEASE_QUOTED,
  LEASE_PENDING,
  LEASE_ACTIVE,
  LEASE_ENDED,
  LEASE_PREEMPTED,
  LEASE_STOPPED_FOR_CREDIT,
  LEASE_FAILED,
  LEASE_STATES
};
const char *lease_state_name(enum lease_state state); /* "quoted" ... */
/* quoted -> pending, ended; pending -> active, ended, stopped_for_credit, failed; active -> every end; ended, preempted
 * and failed -> active, when the engine runs it again. Nothing else. */
bool lease_may_move(enum lease_state from, enum lease_state to);
/* DIRECT: started straight at the engine, past us. */
enum lease_kind { LEASE_SOLD, LEASE_DIRECT };
struct lease {
  slice id, customer, pool;
  enum lease_kind kind;
  enum pool_class class;
  enum lease_state state;
  quantity units;       /* DIRECT: of its last run */
  struct period span;   /* as agreed; `to` INSTANT_MAX: open */
  struct period placed; /* in the calendar; empty: not, for it runs where there was no room */
  slice reference;      /* the engine's name of what was started last; empty: nothing yet */
  instant created, changed;
  slice why;         /* of the last move; may be empty */
  uint32_t last_run; /* of lease_run; 0: none */
  amount minimum;    /* charged at least once it has begun, with tax */
  amount held;       /* of it, on the customer's credit while it is pending */
  amount accrued;    /* cost so far, with tax, that was told to the credits as unbilled */
  slice currency;
};

/* ---- all leases of a book, and the calendar of each pool that is sold ---- */
struct leases;
/* Makes the calendars from the store: owner's share, maintenance, quotes that hold, leases that are pending or active.
 * The book must outlive it, and its catalog must not change meanwhile. */
MUST_USE bool leases_open(struct book *book, struct leases **out, struct error *err);
void leases_close(struct leases *leases); /* NULL is fine */
MUST_USE bool leases_reload(struct leases *leases, struct error *err);
/* The pools that are sold, in the catalog's order. */
const struct pool_calendar *leases_pools(const struct leases *leases, size_t *count);
const struct pool_calendar *leases_pool(const struct leases *leases, slice name); /* NULL: not sold */

/* ---- quotes ---- */
struct lease_quote_request {
  const struct customer *customer;
  slice pool;
  enum pool_class class;
  quantity units;
  struct period span; /* from before now: now; `to` INSTANT_MAX is refused, a quote has a total */
  int64_t valid_s;    /* 0: LEASE_QUOTE_S */
};
struct lease_quote {
  slice id, lease, currency;
  instant expires;
  bool used;
  amount unit_hour, total, with_tax, minimum;
};
/* Prices it and holds the capacity until it expires. ERR_LIMIT: there is no room, with what is free. ERR_INVALID: a
 * pool, class, number of units or time that is not sold. In the arena. */
MUST_USE bool lease_quote_make(struct leases *leases, struct arena *arena, const struct lease_quote_request *request,
                               instant now, struct lease_quote *out, struct error *err);
/* Once, by its customer: the lease is pending from then on, and the minimum charge is held on the customer's credit.
 * ERR_CONFLICT: used before, or expired. ERR_FUNDS: credit and credit line do not cover the minimum charge.
 * ERR_NOT_FOUND. */
MUST_USE bool lease_quote_take(struct leases *leases, struct arena *arena, slice quote, slice customer, instant now,
                               struct lease *out, struct error *err);
/* Those that were not used in time end, and their capacity is free. *count: how many. */
MUST_USE bool lease_quotes_expire(struct leases *leases, instant now, size_t *count, struct error *err);
/* ERR_NOT_FOUND. In the arena. */
MUST_USE bool lease_quote_find(struct db *db, struct arena *arena, slice id, struct lease_quote *out,
                               struct error *err);

/* ---- the life of a lease ---- */
/* The one place where states change: keeps the move with its time and reason, frees or takes the calendar, lets go of
 * held credit. ERR_CONFLICT: no such move. ERR_NOT_FOUND. */
MUST_USE bool lease_move(struct leases *leases, slice id, enum lease_state to, instant at, slice why, instant now,
                         struct error *err);
/* A later end, where there is room: ERR_LIMIT. ERR_CONFLICT when it is over. */
MUST_USE bool lease_extend(struct leases *leases, slice id, instant to, instant now, struct error *err);
/* ERR_NOT_FOUND. In the arena. */
MUST_USE bool lease_find(struct db *db, struct arena *arena, slice id, struct lease *out, struct error *err);
struct lease_query {
  slice customer, after; /* empties match all; by id, which is by age */
  bool one_state;
  enum lease_state state;
  size_t limit; /* 0: all */
};
typedef bool (*lease_each)(void *context, const struct lease *lease, struct error *err);
MUST_USE bool lease_list(struct db *db, const struct lease_query *query, lease_each each, void *context,
                         struct error *err);
struct lease_change {
  enum lease_state from, to;
  instant at, told; /* when it was, and when we knew */
  slice why;
};
typedef bool (*lease_change_each)(void *context, const struct lease_change *change, struct error *err);
MUST_USE bool lease_changes(struct db *db, slice lease, lease_change_each each, void *context, struct error *err);

/* ---- what the engine delivered ---- */
struct lease_run {
  uint32_t run; /* of its lease, from 1, in the order in which we saw them */
  slice reference;
  uint32_t number; /* the engine's */
  enum engine_state state;
  quantity units;
  instant from, to; /* the engine's; INSTANT_MAX: it runs */
  int64_t suspended_s;
  slice nodes;
  int exit_status;
  instant charged_from, charged_to; /* by the usage events; equal: nothing; INSTANT_MAX: open */
};
typedef bool (*lease_run_each)(void *context, const struct lease_run *run, struct error *err);
MUST_USE bool lease_runs(struct db *db, slice lease, lease_run_each each, void *context, struct error *err);
struct lease_followed {
  size_t runs;     /* new or changed */
  size_t moves;    /* of states */
  size_t events;   /* usage events and corrections of them */
  size_t direct;   /* leases made for runs without one */
  size_t unknown;  /* runs that nobody is billed for: no customer, or no pool of their kind */
  size_t refused;  /* rows that can not be: the log says why */
  size_t unplaced; /* that run beyond what the calendar has room for */
};
/* Brings leases in line with what an engine says; the same rows again change nothing. Each stretch is a series of its
 * own ("LEASE/1", "LEASE/2" ...) of the pool's meter: held from its start until its end less the time it was suspended.
 * The last stretch of a lease that ended by itself goes on until the class's minimum and increment are filled. What was
 * said wrong before is amended. Runs without a lease, or with the lease of another customer, become leases of their own
 * (DIRECT). The arena must live until the batch is committed. */
MUST_USE bool lease_follow(struct leases *leases, struct arena *arena, const struct engine_run *runs, size_t count,
                           instant now, struct lease_followed *out, struct error *err);

/* ---- what it costs while it runs ---- */
/* Tells the credits what active leases have cost since the last time, with tax, and of those that ended the rest;
 * *count: leases with something new. To be called hourly, and after lease_follow. */
MUST_USE bool lease_accrue(struct leases *leases, instant now, size_t *count, struct error *err);
/* What a customer without unlimited credit can still spend, and what its active leases cost an hour, with tax. */
struct lease_burn {
  bool unlimited;
  amount balance, hour;
};
MUST_USE bool lease_burn(struct leases *leases, const struct customer *customer, instant now, struct lease_burn *out,
                         struct error *err);
enum lease_credit { LEASE_CREDIT_FINE, LEASE_CREDIT_LOW, LEASE_CREDIT_GRACE, LEASE_CREDIT_STOP };
struct lease_outlook {
  enum lease_credit state;
  instant runs_out; /* or ran out; INSTANT_MAX: not as things are */
  instant stops;    /* runs_out and the grace after it */
};
/* LOW less than `notice_s` before credit runs out, GRACE less than `grace_s` after, then STOP. Pure: how long ago it
 * ran out follows from what is owed. */
struct lease_outlook lease_outlook(const struct lease_burn *burn, int64_t notice_s, int64_t grace_s, instant now);
#endif
