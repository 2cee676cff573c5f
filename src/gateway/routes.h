/* Which upstream takes a call: by priority, health, room and affinity; and what became of the calls it took. Shared by
 * all edges under one short lock; no sockets in here, the time is the caller's. docs/gateway.md states the rules. */
#ifndef METERHOUSE_GATEWAY_ROUTES_H
#define METERHOUSE_GATEWAY_ROUTES_H
#include "base/time.h"
#include "catalog/catalog.h"

struct routes;
/* `catalog` must outlive it; its upstreams and models are those of the catalog, by index. What an upstream costs an
 * hour is worked out here, from its pool's costs in the month of `now`. ERR_OVERFLOW for costs beyond all reason. */
MUST_USE bool routes_new(const struct catalog *catalog, instant now, struct routes **out, struct error *err);
void routes_free(struct routes *routes);

#define ROUTE_TRIES_MAX 3
struct route_call {
  const struct model *model;
  uint64_t affinity;               /* of the session or else the prefix; 0: none */
  uint32_t tried[ROUTE_TRIES_MAX]; /* targets of the model, by index, that failed this call already */
  size_t tried_count;
};
enum route_verdict {
  ROUTE_FOUND,
  ROUTE_FULL, /* all that are healthy have as many calls as they may: wait or answer 429/503. `*retry_ms` says when one
                 that refused takes calls again; 0: when a call ends */
  ROUTE_DOWN  /* none is healthy, or all were tried: `*retry_ms` says when one is tried again */
};
/* Picks a target and counts the call as running on its upstream. Among the targets of the lowest priority that are
 * healthy, closed (or half open and due a try) and below their concurrency: with an affinity, the one that rendezvous
 * hashing gives unless it would then run more than 1.25 times its weighted share of the running calls, rounded up (then
 * the next one in that order: Mirrokni, Thorup and Zadimoghaddam 2018); without, the one with the least running calls
 * for its weight, among equals by weight. */
struct route_place {
  const struct model_target *target;
  int128 clock_before_e24; /* what a call that ran since ever would have cost when this one began, in 1e-24 */
  uint32_t trial;          /* number of the try of a half-open upstream; 0: an ordinary call */
};
enum route_verdict route_pick(struct routes *routes, const struct route_call *call, instant now,
                              struct route_place *out, int64_t *retry_ms);
/* The upstream began to answer well (2xx). Need not be said; a half-open circuit then closes without waiting for the
 * end of what may be a long stream. */
void route_answered(struct routes *routes, const struct route_place *place, instant now);
enum route_outcome {
  ROUTE_OK,
  ROUTE_FAILED,   /* not reached, reset, timed out, 5xx: counts against the upstream */
  ROUTE_REFUSED,  /* 429 or 503 with Retry-After: it is full; not picked for that long */
  ROUTE_ABANDONED /* the client left, or it never mattered */
};
/* Ends what route_pick began. Five failures in a row, or half of at least 20 in 30 s, open the circuit for 1 s, doubled
 * with each time up to 60 s; then one call is let through to try: when it fails the circuit opens again, when it is
 * answered the circuit closes. After a minute closed it begins with 1 s again. Returns the call's share of what the
 * upstream costs, in the catalog's currency, rounded down to 1e-12: the cost per hour is split evenly over the calls
 * that run, moment by moment; zero when the upstream names no pool. */
amount route_ended(struct routes *routes, const struct route_place *place, enum route_outcome outcome,
                   int64_t retry_after_ms, instant now);
/* What a health check found. An upstream that failed two in a row is not picked until one succeeds. */
void route_health(struct routes *routes, const struct upstream *upstream, bool healthy);

struct route_figures {
  const struct upstream *upstream;
  const char *state; /* "up", "down", "open", "half-open", "full" */
  uint32_t running;
  uint64_t calls, failed, refused;
  amount cost;      /* borne by the calls that ended */
  amount cost_hour; /* of the upstream, idle or not; zero when it names no pool */
};
/* Writes at most `max`; returns how many there are. */
size_t route_figures(struct routes *routes, instant now, struct route_figures *out, size_t max);
#endif
