/* On the core: calls become durable, with their share of the credit. An edge has one settlement under way at a time;
 * the calls that end meanwhile are the next one, so that the more there are, the less each costs. */
#include "base/log.h"
#include "credit/credit.h"
#include "gateway/private.h"
#include <event2/event.h>

#define FAILING_NS (NS_PER_S / 2)
#define GATHER_NS (2 * NS_PER_S / 1000)
#define MANY_CALLS 16
#define ENOUGH_OF 4 /* a quarter of them need not wait for more */

/* ---- what is written ---- */

static bool is_controlled(const struct call *call) {
  return call->kept_in_book && !call->buyer->purse->unlimited && !amount_is_zero(call->paid.gross);
}

static bool add_unbilled(struct book *book, const struct customer *payer, instant period_to, amount gross,
                         struct error *err) {
  return credit_unbilled_add(book_db(book), payer->id, slice_of(payer->currency->code), period_to, gross, err);
}

static bool keep_call(struct call *call, struct book *book, struct error *err) {
  enum verdict verdict;
  if (!book_append(book, &call->event, 1, &verdict, err) || (call->noted && !note_drop(book, call->event.id, err))) {
    return false;
  }
  call->kept_in_book = verdict == EVENT_ACCEPTED;
  return !call->kept_in_book || call->key_state == NULL || amount_is_zero(call->paid.gross) ||
         key_spend_add(book, call->key_state->family, call->key_period.from, call->paid.gross, err);
}

/* One row a purse, as long as its calls are of the same period. */
static bool add_spend(struct call *calls, struct book *book, struct error *err) {
  for (struct call *c = calls; c; c = c->next_waiting) {
    c->buyer->purse->batch = AMOUNT_ZERO;
    c->buyer->purse->batch_to = c->period_to;
  }
  for (struct call *c = calls; c; c = c->next_waiting) {
    struct purse *purse = c->buyer->purse;
    if (!is_controlled(c)) {
      continue;
    }
    if (c->period_to.ns == purse->batch_to.ns) {
      purse->batch.e12 += c->paid.gross.e12;
    } else if (!add_unbilled(book, purse->payer, c->period_to, c->paid.gross, err)) {
      return false;
    }
  }
  for (struct call *c = calls; c; c = c->next_waiting) {
    struct purse *purse = c->buyer->purse;
    if (!amount_is_zero(purse->batch) && !add_unbilled(book, purse->payer, purse->batch_to, purse->batch, err)) {
      return false;
    }
    purse->batch = AMOUNT_ZERO;
  }
  return true;
}

static bool settle_apply(struct command *command, struct book *book, struct error *err) {
  struct settlement *s = (struct settlement *)command;
  for (struct call *c = s->calls; c; c = c->next_waiting) {
    if (!keep_call(c, book, err)) {
      return false;
    }
  }
  return add_spend(s->calls, book, err);
}

/* ---- what comes of it ---- */

static void tell_failure(struct call *call, const struct error *err) {
  log_line(LOG_ERROR, http_request_id(call->http), "the call could not be booked: %s", err->message);
  atomic_store(&call->gateway->failing_until_ns, steady_now().ns + FAILING_NS);
  call->why = "The call could not be booked.";
  call->unbooked = true;
  if (call->key_state) {
    key_spend_count(call->key_state, call->key_period, (amount){-call->paid.gross.e12});
  }
}

/* Calls are answered in the order in which they ended; each may be gone once it was handed to its edge. */
static void settle_done(struct command *command, const struct error *err) {
  struct settlement *s = (struct settlement *)command;
  struct call *call = s->calls;
  s->calls = NULL;
  atomic_store(&s->busy, false);
  while (call) {
    struct call *next = call->next_waiting;
    purse_spent(call->buyer->purse, call->paid.gross, err == NULL && call->kept_in_book);
    if (err) {
      tell_failure(call, err);
    }
    http_on_edge(call->http, call_settled, call);
    call = next;
  }
}

/* ---- from the edge ---- */

/* A commit costs as much as dozens of calls do. When many are under way, those that end within a moment share one. */
static bool gathers(struct edge *edge) {
  int64_t wait_ns = edge->settlement.begun_ns + GATHER_NS - steady_now().ns;
  if (edge->call_count < MANY_CALLS || edge->ended_count >= edge->call_count / ENOUGH_OF || wait_ns <= 0) {
    return false;
  }
  const struct timeval wait = {.tv_usec = wait_ns / 1000 + 1};
  must(event_add(edge->gathered, &wait) == 0);
  return true;
}

void edge_settle(struct edge *edge) {
  struct settlement *s = &edge->settlement;
  struct error err = {0};
  if (edge->ended == NULL || atomic_load(&s->busy) || gathers(edge)) {
    return;
  }
  s->command = (struct command){.apply = settle_apply, .done = settle_done};
  s->calls = edge->ended;
  atomic_store(&s->busy, true);
  if (core_submit(edge->gateway->core, &s->command, &err)) {
    edge->ended = NULL;
    edge->ended_count = 0;
    s->begun_ns = steady_now().ns;
    edge->last_ended = &edge->ended;
  } else { /* the core has no room: the edge's tick tries again */
    atomic_store(&s->busy, false);
  }
}

void edge_add_settled(struct edge *edge, struct call *call) {
  call->next_waiting = NULL;
  call->settles_later = atomic_load(&edge->settlement.busy);
  *edge->last_ended = call;
  edge->last_ended = &call->next_waiting;
  edge->ended_count++;
  edge_settle(edge);
}
