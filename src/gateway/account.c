/* A payer's credit in memory: a slice of it is reserved on the book, calls hold and spend of the slice, and the core is
 * asked for more in good time. */
#include "base/log.h"
#include "gateway/private.h"
#include <stdlib.h>

#define SLACK_CALLS 16        /* at least so many calls' holds are reserved ahead */
#define LOW_CALLS 4           /* and more is asked for when it is less than this many */
#define BUSY_NS (NS_PER_S)    /* reserves that follow each other sooner ask for twice as much */
#define QUIET_NS (NS_PER_S * 10)
#define DRY_NS (NS_PER_S / 50) /* the book is not asked again so soon after it had no more */
#define REST_NS (NS_PER_S * 5)
#define SLACK_MAX_E12 (AMOUNT_E12 * 1000000000)

struct account *account_new(struct gateway *gateway, const struct customer *payer) {
  struct account *account = mem_alloc(sizeof *account);
  account->gateway = gateway;
  account->payer = payer;
  account->unlimited = payer->unlimited_credit;
  must(pthread_mutex_init(&account->lock, NULL) == 0);
  return account;
}

void account_free(struct account *account) {
  pthread_mutex_destroy(&account->lock);
  free(account);
}

/* Amounts are far below the bounds of their type: each is at most the slice, which is money that exists. */
static amount free_of(const struct account *account) {
  return (amount){account->granted.e12 - account->settled.e12 - account->pending.e12 - account->held.e12};
}

amount account_free_credit(struct account *account) {
  pthread_mutex_lock(&account->lock);
  amount left = account->unlimited ? AMOUNT_ZERO : free_of(account);
  pthread_mutex_unlock(&account->lock);
  return left;
}

amount account_held_credit(struct account *account) {
  pthread_mutex_lock(&account->lock);
  amount held = account->held;
  pthread_mutex_unlock(&account->lock);
  return held;
}

/* ---- reserving ---- */

static int128 larger(int128 a, int128 b) {
  return a > b ? a : b;
}

static bool reserve_apply(struct command *command, struct book *book, struct error *err) {
  struct account *account = (struct account *)command;
  pthread_mutex_lock(&account->lock);
  amount wanted = {account->held.e12 + account->pending.e12 + account->wanted.e12};
  pthread_mutex_unlock(&account->lock);
  amount given;
  if (!reserve_credit(book, account->payer, account->gateway->product, wanted, &given, err)) {
    return false;
  }
  account->given = given;
  account->dry = amount_cmp(given, wanted) < 0;
  return true;
}

static struct call *take_waiting(struct account *account) {
  struct call *list = account->waiting;
  account->waiting = NULL;
  return list;
}

static void reserve_done(struct command *command, const struct error *err) {
  struct account *account = (struct account *)command;
  if (err) {
    log_line(LOG_ERROR, "gateway", "credit of customer " SLICE_FMT " can not be reserved: %s",
             SLICE_ARG(account->payer->id), err->message);
  }
  pthread_mutex_lock(&account->lock);
  if (err == NULL) {
    account->granted = account->given;
    account->settled = AMOUNT_ZERO;
  }
  account->reserving = false;
  account->rounds_done = account->round;
  account->reserved_at = clock_now();
  struct call *list = take_waiting(account);
  pthread_mutex_unlock(&account->lock);
  calls_resume(list);
}

/* The lock is held. */
static void start_reserve(struct account *account, amount more) {
  struct error err = {0};
  account->command = (struct command){.apply = reserve_apply, .done = reserve_done};
  account->wanted = more;
  account->reserving = true;
  account->round++;
  if (!core_submit(account->gateway->core, &account->command, &err)) {
    account->reserving = false;
    account->rounds_done = account->round;
  }
}

/* How much beyond what is held to ask for: at least some calls' worth, twice as much each time the last is used up
 * within a second. The lock is held. */
static amount more_to_ask(struct account *account, amount needed, instant now) {
  int64_t since_ns = now.ns - account->reserved_at.ns;
  int128 least = account->typical.e12 * SLACK_CALLS;
  int128 slack = account->slack.e12;
  slack = since_ns < BUSY_NS ? slack * 2 : since_ns > QUIET_NS ? slack / 2 : slack;
  slack = larger(slack, least);
  account->slack.e12 = slack < SLACK_MAX_E12 ? slack : SLACK_MAX_E12;
  return (amount){needed.e12 + account->slack.e12};
}

/* ---- holding ---- */

static void take(struct account *account, amount value, instant now) {
  account->held.e12 += value.e12;
  account->typical.e12 = larger(value.e12, account->typical.e12 - account->typical.e12 / 8);
  account->used_at = now;
  bool low = free_of(account).e12 < account->typical.e12 * LOW_CALLS;
  bool worth = !account->dry || now.ns - account->reserved_at.ns > BUSY_NS;
  if (low && worth && !account->reserving && !account->unlimited) {
    start_reserve(account, more_to_ask(account, AMOUNT_ZERO, now));
  }
}

static bool has_asked(const struct account *account, const struct call *call, instant now) {
  bool dry = account->dry && !account->reserving && now.ns - account->reserved_at.ns < DRY_NS;
  return dry || (call->credit_round > 0 && account->rounds_done >= call->credit_round);
}

/* A reserve that runs may have looked before this call came: then it waits for the one after. */
static void wait_for_more(struct account *account, struct call *call, amount value, instant now) {
  if (call->credit_round == 0) {
    call->credit_round = account->round + 1;
  }
  call->next_waiting = account->waiting;
  account->waiting = call;
  if (!account->reserving) {
    start_reserve(account, more_to_ask(account, value, now));
  }
}

enum hold_verdict account_hold(struct account *account, struct call *call, amount value, instant now, amount *most) {
  enum hold_verdict verdict = HOLD_DONE;
  pthread_mutex_lock(&account->lock);
  amount left = free_of(account);
  *most = left;
  if (account->unlimited || amount_cmp(value, left) <= 0) {
    take(account, value, now);
  } else if (has_asked(account, call, now)) {
    verdict = left.e12 + account->held.e12 >= value.e12 ? HOLD_LATER : HOLD_NEVER;
  } else {
    wait_for_more(account, call, value, now);
    /* It could not be asked: the queue of the core is full. */
    verdict = account->reserving ? HOLD_WAITS : HOLD_LATER;
    if (verdict == HOLD_LATER) {
      account->waiting = call->next_waiting;
    }
  }
  pthread_mutex_unlock(&account->lock);
  return verdict;
}

void account_release(struct account *account, amount held, amount spent) {
  pthread_mutex_lock(&account->lock);
  account->held.e12 -= held.e12;
  must(account->held.e12 >= 0);
  if (!account->unlimited) {
    account->pending.e12 += spent.e12;
  }
  pthread_mutex_unlock(&account->lock);
}

void account_spent(struct account *account, amount spent, bool booked) {
  pthread_mutex_lock(&account->lock);
  if (!account->unlimited) {
    account->pending.e12 -= spent.e12;
    account->settled.e12 += booked ? spent.e12 : 0;
    must(account->pending.e12 >= 0);
  }
  pthread_mutex_unlock(&account->lock);
}

/* ---- giving back ---- */

void account_rest(struct account *account, instant now) {
  pthread_mutex_lock(&account->lock);
  bool idle = account->held.e12 == 0 && account->pending.e12 == 0 && account->granted.e12 > account->settled.e12 &&
              now.ns - account->used_at.ns > REST_NS;
  if (idle && !account->reserving && !account->unlimited) {
    account->slack = AMOUNT_ZERO;
    start_reserve(account, AMOUNT_ZERO);
  }
  pthread_mutex_unlock(&account->lock);
}

static bool return_apply(void *work, struct book *book, struct error *err) {
  struct account *account = work;
  amount given;
  return reserve_credit(book, account->payer, account->gateway->product, AMOUNT_ZERO, &given, err);
}

bool account_return(struct account *account, struct error *err) {
  pthread_mutex_lock(&account->lock);
  bool nothing = account->unlimited || account->granted.e12 == 0;
  account->granted = account->settled = AMOUNT_ZERO;
  pthread_mutex_unlock(&account->lock);
  return nothing || core_do(account->gateway->core, return_apply, account, err);
}
