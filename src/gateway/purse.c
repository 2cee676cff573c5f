/* A payer's credit in memory: a slice of it is reserved on the book, calls hold and spend of the slice, and the core is
 * asked for more in good time. */
#include "base/log.h"
#include "gateway/private.h"
#include <stdlib.h>
#include <time.h>

#define SLACK_CALLS 16     /* at least so many calls' holds are reserved ahead */
#define LOW_CALLS 4        /* and more is asked for when it is less than this many */
#define BUSY_NS (NS_PER_S) /* reserves that follow each other sooner ask for twice as much */
#define QUIET_NS (NS_PER_S * 10)
#define DRY_NS (NS_PER_S / 50) /* the book is not asked again so soon after it had no more */
#define REST_NS (NS_PER_S * 5)
#define SLACK_MAX_E12 (AMOUNT_E12 * 1000000000)

instant steady_now(void) {
  struct timespec t;
  must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
  return (instant){(int64_t)t.tv_sec * NS_PER_S + t.tv_nsec};
}

struct purse *purse_new(struct gateway *gateway, const struct customer *payer) {
  struct purse *purse = mem_alloc(sizeof *purse);
  purse->gateway = gateway;
  purse->payer = payer;
  purse->unlimited = payer->unlimited_credit;
  must(pthread_mutex_init(&purse->lock, NULL) == 0);
  return purse;
}

void purse_free(struct purse *purse) {
  pthread_mutex_destroy(&purse->lock);
  free(purse);
}

/* Amounts are far below the bounds of their type: each is at most the slice, which is money that exists. */
static amount free_of(const struct purse *purse) {
  return (amount){purse->granted.e12 - purse->settled.e12 - purse->pending.e12 - purse->held.e12};
}

amount purse_free_credit(struct purse *purse) {
  pthread_mutex_lock(&purse->lock);
  amount left = purse->unlimited ? AMOUNT_ZERO : free_of(purse);
  pthread_mutex_unlock(&purse->lock);
  return left;
}

amount purse_held_credit(struct purse *purse) {
  pthread_mutex_lock(&purse->lock);
  amount held = purse->held;
  pthread_mutex_unlock(&purse->lock);
  return held;
}

/* ---- reserving ---- */

static int128 larger(int128 a, int128 b) {
  return a > b ? a : b;
}

static bool reserve_apply(struct command *command, struct book *book, struct error *err) {
  struct purse *purse = (struct purse *)command;
  pthread_mutex_lock(&purse->lock);
  purse->asked.e12 = purse->held.e12 + purse->pending.e12 + purse->needed.e12 + purse->wanted.e12;
  /* The slice may become smaller: what goes back is not to be held by calls that come before the answer. */
  int128 most = purse->settled.e12 + purse->asked.e12;
  purse->granted.e12 = purse->granted.e12 < most ? purse->granted.e12 : most;
  pthread_mutex_unlock(&purse->lock);
  return reserve_credit(book, purse->payer, purse->gateway->product, purse->asked, &purse->given, err);
}

static struct call *take_waiting(struct purse *purse) {
  struct call *list = purse->waiting;
  purse->waiting = NULL;
  purse->needed = AMOUNT_ZERO;
  return list;
}

static void reserve_done(struct command *command, const struct error *err) {
  struct purse *purse = (struct purse *)command;
  if (err) {
    log_line(LOG_ERROR, "gateway", "credit of customer " SLICE_FMT " can not be reserved: %s",
             SLICE_ARG(purse->payer->id), err->message);
  }
  pthread_mutex_lock(&purse->lock);
  if (err == NULL) {
    purse->granted = purse->given;
    purse->settled = AMOUNT_ZERO;
    purse->dry = amount_cmp(purse->given, purse->asked) < 0;
  }
  purse->failed = err != NULL;
  purse->reserving = false;
  purse->rounds_done = purse->round;
  purse->reserved_at = steady_now();
  struct call *list = take_waiting(purse);
  pthread_mutex_unlock(&purse->lock);
  calls_resume(list);
}

/* The lock is held. */
static void start_reserve(struct purse *purse, amount more) {
  struct error err = {0};
  purse->command = (struct command){.apply = reserve_apply, .done = reserve_done};
  purse->wanted = more;
  purse->reserving = true;
  purse->round++;
  if (!core_submit(purse->gateway->core, &purse->command, &err)) {
    purse->reserving = false;
    purse->rounds_done = purse->round;
  }
}

/* How much beyond what is held and waited for to ask for: at least some calls' worth, twice as much each time the last
 * is used up within a second. The lock is held. */
static amount more_to_ask(struct purse *purse, instant now) {
  int64_t since_ns = now.ns - purse->reserved_at.ns;
  int128 least = purse->typical.e12 * SLACK_CALLS;
  int128 slack = purse->slack.e12;
  slack = since_ns < BUSY_NS ? slack * 2 : since_ns > QUIET_NS ? slack / 2 : slack;
  slack = larger(slack, least);
  purse->slack.e12 = slack < SLACK_MAX_E12 ? slack : SLACK_MAX_E12;
  return purse->slack;
}

/* ---- holding ---- */

static void take(struct purse *purse, amount value, instant now) {
  purse->held.e12 += value.e12;
  purse->typical.e12 = larger(value.e12, purse->typical.e12 - purse->typical.e12 / 8);
  purse->used_at = now;
  bool low = free_of(purse).e12 < purse->typical.e12 * LOW_CALLS;
  bool worth = !purse->dry || now.ns - purse->reserved_at.ns > BUSY_NS;
  if (low && worth && !purse->reserving && !purse->unlimited) {
    start_reserve(purse, more_to_ask(purse, now));
  }
}

/* Has the book been asked since the call came, or a moment ago, and had no more, or could not be asked? While a test
 * clock stands still each call asks. */
static bool has_asked(const struct purse *purse, const struct call *call, instant now) {
  int64_t since_ns = now.ns - purse->reserved_at.ns;
  bool lately = !purse->reserving && since_ns != 0 && since_ns < DRY_NS;
  return (purse->dry || purse->failed) &&
         (lately || (call->credit_round > 0 && purse->rounds_done >= call->credit_round));
}

/* A reserve that runs may have looked before this call came: then it waits for the one after. */
static void wait_for_more(struct purse *purse, struct call *call, amount value, instant now) {
  call->credit_round = purse->round + 1;
  call->next_waiting = purse->waiting;
  purse->waiting = call;
  purse->needed.e12 += value.e12;
  purse->typical.e12 = larger(value.e12, purse->typical.e12);
  if (!purse->reserving) {
    start_reserve(purse, more_to_ask(purse, now));
  }
}

enum hold_verdict purse_hold(struct purse *purse, struct call *call, amount value, instant now, amount *most) {
  enum hold_verdict verdict = HOLD_DONE;
  pthread_mutex_lock(&purse->lock);
  amount left = free_of(purse);
  *most = left;
  if (purse->unlimited || amount_cmp(value, left) <= 0) {
    take(purse, value, now);
  } else if (has_asked(purse, call, now)) {
    verdict = purse->failed ? HOLD_FAILED : left.e12 + purse->held.e12 >= value.e12 ? HOLD_LATER : HOLD_NEVER;
  } else {
    wait_for_more(purse, call, value, now);
    /* It could not be asked: the queue of the core is full. */
    verdict = purse->reserving ? HOLD_WAITS : HOLD_LATER;
    if (verdict == HOLD_LATER) {
      purse->waiting = call->next_waiting;
      purse->needed.e12 -= value.e12;
    }
  }
  pthread_mutex_unlock(&purse->lock);
  return verdict;
}

void purse_release(struct purse *purse, amount held, amount spent) {
  pthread_mutex_lock(&purse->lock);
  purse->held.e12 -= held.e12;
  must(purse->held.e12 >= 0);
  if (!purse->unlimited) {
    purse->pending.e12 += spent.e12;
  }
  pthread_mutex_unlock(&purse->lock);
}

void purse_spent(struct purse *purse, amount spent, bool booked) {
  pthread_mutex_lock(&purse->lock);
  if (!purse->unlimited) {
    purse->pending.e12 -= spent.e12;
    purse->settled.e12 += booked ? spent.e12 : 0;
    must(purse->pending.e12 >= 0);
  }
  pthread_mutex_unlock(&purse->lock);
}

bool purse_period(struct purse *purse, instant at, instant *to, struct error *err) {
  bool ok = true;
  pthread_mutex_lock(&purse->lock);
  if (at.ns < purse->period.from.ns || at.ns >= purse->period.to.ns) {
    ok = billing_period_at(purse->payer, at, &purse->period, err);
  }
  *to = purse->period.to;
  pthread_mutex_unlock(&purse->lock);
  return ok;
}

/* ---- giving back ---- */

void purse_rest(struct purse *purse, instant now) {
  pthread_mutex_lock(&purse->lock);
  bool idle = purse->held.e12 == 0 && purse->pending.e12 == 0 && purse->granted.e12 > purse->settled.e12 &&
              now.ns - purse->used_at.ns > REST_NS;
  if (idle && !purse->reserving && !purse->unlimited) {
    purse->slack = AMOUNT_ZERO;
    start_reserve(purse, AMOUNT_ZERO);
  }
  pthread_mutex_unlock(&purse->lock);
}

static bool return_apply(void *work, struct book *book, struct error *err) {
  struct purse *purse = work;
  amount given;
  return reserve_credit(book, purse->payer, purse->gateway->product, AMOUNT_ZERO, &given, err);
}

bool purse_return(struct purse *purse, struct error *err) {
  pthread_mutex_lock(&purse->lock);
  bool nothing = purse->unlimited || purse->granted.e12 == 0;
  purse->granted = purse->settled = AMOUNT_ZERO;
  pthread_mutex_unlock(&purse->lock);
  return nothing || core_do(purse->gateway->core, return_apply, purse, err);
}
