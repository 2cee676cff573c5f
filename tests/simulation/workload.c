/* The work of a simulated day: batches of events, transfers and holds in one transaction, and the closing of a period.
 */
#include "sim.h"
#include <string.h>

#define BATCH_MAX 400

/* ---- events ---- */

struct choice {
  uint32_t number;
  unsigned variant;
};

static struct choice choose_event(struct sim *s) {
  if (s->sent == 0 || (s->sent < MODEL_EVENTS && chance(s, 60))) {
    return (struct choice){s->sent++, (unsigned)draw(s, MODEL_VARIANTS)};
  }
  uint32_t number = (uint32_t)draw(s, s->sent);
  unsigned accepted = s->promised.accepted[number];
  bool same = accepted > 0 && chance(s, 60);
  return (struct choice){number, same ? accepted - 1 : (unsigned)draw(s, MODEL_VARIANTS)};
}

static size_t batch_size(struct sim *s) {
  uint64_t kind = draw(s, 20);
  return 1 + (size_t)draw(s, kind == 0 ? BATCH_MAX : kind < 4 ? 60 : 8);
}

/* A negative value is refused by its meter. */
static struct event spoiled(struct arena *arena, struct event e) {
  struct event_field *fields = arena_array(arena, e.field_count, sizeof *fields);
  memcpy(fields, e.fields, e.field_count * sizeof *fields);
  fields[0].value = SLICE("-1");
  e.fields = fields;
  return e;
}

static bool ingest(struct sim *s, struct naive *m, struct error *err) {
  size_t count = batch_size(s);
  struct event *events = arena_array(s->arena, count, sizeof *events);
  enum verdict *expected = arena_array(s->arena, count, sizeof *expected);
  struct ingest_result *results = arena_array(s->arena, count, sizeof *results);
  for (size_t i = 0; i < count; i++) {
    struct choice c = choose_event(s);
    events[i] = model_event(s->arena, s->seed, c.number, c.variant);
    if (chance(s, 2)) {
      events[i] = spoiled(s->arena, events[i]);
      expected[i] = EVENT_INVALID;
    } else {
      expected[i] = model_take(m, c.number, c.variant);
    }
  }
  if (!book_ingest(s->book, s->arena, events, count, results, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    expect(s, results[i].verdict == expected[i], "event " SLICE_FMT " was answered %s, expected %s",
           SLICE_ARG(events[i].id), verdict_name(results[i].verdict), verdict_name(expected[i]));
  }
  return true;
}

/* ---- the ledger ---- */

static struct model_transfer choose_transfer(struct sim *s) {
  int from = (int)draw(s, MODEL_ACCOUNTS);
  return (struct model_transfer){from, (from + 1 + (int)draw(s, MODEL_ACCOUNTS - 1)) % MODEL_ACCOUNTS,
                                 1 + (int64_t)draw(s, 5000)};
}

static struct transfer make(struct sim *s, const char *kind, size_t number, const struct model_transfer *t) {
  return (struct transfer){.id = slice_of(arena_printf(s->arena, "%s-%zu", kind, number)),
                           .from = model_account(t->from),
                           .to = model_account(t->to),
                           .currency = SLICE("EUR"),
                           .amount = model_amount(t->cents),
                           .time = clock_now(),
                           .cause = SLICE("test"),
                           .reference = SLICE("simulation")};
}

/* The answer of the ledger is what the model expected, or the disk failed. False: the transaction is lost. */
static bool answered(struct sim *s, const char *what, bool ok, enum error_code expected, const struct error *err) {
  enum error_code got = ok ? ERR_NONE : err->code;
  if (got == expected) {
    return true;
  }
  expect(s, got == ERR_IO || got == ERR_CORRUPT, "%s: %s, expected %s", what, ok ? "done" : err->message,
         error_code_name(expected));
  return false;
}

static bool transfer(struct sim *s, struct naive *m, struct error *err) {
  size_t number = m->transfer_count;
  struct model_transfer t = choose_transfer(s);
  enum transfer_outcome outcome;
  if (number == MODEL_TRANSFERS || (number > 0 && chance(s, 20))) {
    number = (size_t)draw(s, number);
    t = chance(s, 70) ? m->transfers[number] : t;
  }
  struct transfer wanted = make(s, "transfer", number, &t);
  enum error_code expected = model_transfer(m, number, &t);
  return answered(s, "transfer", ledger_transfer(book_ledger(s->book), &wanted, &outcome, err), expected, err);
}

static bool hold(struct sim *s, struct naive *m, struct error *err) {
  size_t number = m->hold_count;
  struct model_transfer t = choose_transfer(s);
  enum transfer_outcome outcome;
  instant expires = {clock_now().ns + (int64_t)draw(s, 7200) * NS_PER_S};
  if (number == MODEL_HOLDS || (number > 0 && chance(s, 20))) {
    number = (size_t)draw(s, number);
    t = chance(s, 70) ? m->holds[number].transfer : t;
  }
  struct transfer wanted = make(s, "hold", number, &t);
  enum error_code expected = model_hold(m, number, &t, expires);
  return answered(s, "hold", ledger_hold(book_ledger(s->book), &wanted, expires, &outcome, err), expected, err);
}

static bool settle(struct sim *s, struct naive *m, struct error *err) {
  size_t number = (size_t)draw(s, m->hold_count + 1);
  int64_t limit = number < m->hold_count ? m->holds[number].transfer.cents : 10;
  int64_t cents = (int64_t)draw(s, (uint64_t)(limit + limit / 10 + 1));
  slice id = slice_of(arena_printf(s->arena, "hold-%zu", number));
  enum error_code expected = model_settle(m, number, cents);
  bool ok = ledger_settle(book_ledger(s->book), id, model_amount(cents), clock_now(), err);
  return answered(s, "settle", ok, expected, err);
}

static bool release(struct sim *s, struct naive *m, struct error *err) {
  size_t number = (size_t)draw(s, m->hold_count + 1);
  slice id = slice_of(arena_printf(s->arena, "hold-%zu", number));
  enum error_code expected = model_release(m, number);
  return answered(s, "release", ledger_release(book_ledger(s->book), id, clock_now(), err), expected, err);
}

static bool set_floor(struct sim *s, struct naive *m, struct error *err) {
  int account = (int)draw(s, MODEL_ACCOUNTS);
  bool has_floor = chance(s, 70);
  int64_t cents = (int64_t)draw(s, 10000) - 9000;
  enum error_code expected = model_floor(m, account, has_floor, cents);
  bool ok =
      ledger_set_floor(book_ledger(s->book), model_account(account), SLICE("EUR"), has_floor, model_amount(cents), err);
  return answered(s, "floor", ok, expected, err);
}

static bool expire(struct sim *s, struct naive *m, struct error *err) {
  size_t released;
  model_expire(m, clock_now());
  return answered(s, "expire", ledger_expire(book_ledger(s->book), clock_now(), &released, err), ERR_NONE, err);
}

/* ---- a transaction ---- */

static bool one_command(struct sim *s, struct naive *m, struct error *err) {
  uint64_t kind = draw(s, 20);
  *err = (struct error){0};
  return kind < 10   ? ingest(s, m, err)
         : kind < 13 ? transfer(s, m, err)
         : kind < 15 ? hold(s, m, err)
         : kind < 17 ? settle(s, m, err)
         : kind < 18 ? release(s, m, err)
         : kind < 19 ? set_floor(s, m, err)
                     : expire(s, m, err);
}

/* As the API keeps what an idempotency key was answered: in the transaction of the work itself. */
static bool keep_answer(struct sim *s, struct naive *m, struct error *err) {
  m->answers++;
  m->last_answer = s->next_answer++;
  slice key = slice_of(arena_printf(s->arena, "%llu", (unsigned long long)m->last_answer));
  return db_run(book_db(s->book),
                "INSERT INTO answer(caller, key, request, status, type, body) VALUES('sim', $1, 'r', 200, 'text', $2)",
                DB_VALUES(DB_T(key), DB_T(key)), NULL, err);
}

static bool run_commands(struct sim *s, struct naive *m, struct error *err) {
  for (uint64_t left = 1 + draw(s, 5); left > 0; left--) {
    if (!one_command(s, m, err)) {
      return false;
    }
  }
  return keep_answer(s, m, err);
}

static void commit(struct sim *s, const struct naive *m) {
  struct error err = {0};
  if (book_commit(s->book, &err)) {
    s->promised = *m;
    s->doubt_count = 0;
    s->close_in_doubt = false;
    note(s, "committed: %u events", m->accepted_count);
    return;
  }
  expect_cause(s, &err);
  must(s->doubt_count < DOUBTS_MAX);
  s->doubts[s->doubt_count++] = *m;
  note(s, "in doubt: %s", err.message);
}

void work_transaction(struct sim *s) {
  static struct naive draft;
  struct error err = {0};
  if (!book_begin(s->book, &err)) {
    expect_cause(s, &err);
    note(s, "begin failed: %s", err.message);
    return;
  }
  draft = s->promised;
  if (!run_commands(s, &draft, &err)) {
    expect_cause(s, &err);
    note(s, "undone: %s", err.message);
    book_undo(s->book);
  } else if (chance(s, 10)) {
    note(s, "undone by choice");
    book_undo(s->book);
  } else {
    commit(s, &draft);
  }
}

/* ---- closing ---- */

static void ignore(void *context, const char *what) {
  (void)context;
  (void)what;
}

void work_close_period(struct sim *s) {
  static const char *const periods[] = {"2026-09", "2026-10", "2026-11"};
  struct civil now = time_civil_utc(clock_now());
  int last = now.month - 9 < 2 ? now.month - 9 : 2;
  slice period = slice_of(periods[draw(s, (uint64_t)(last < 0 ? 0 : last) + 1)]);
  struct close_options options = {.allow_unpriced = true, .early = true};
  struct close_result result;
  struct error err = {0};
  if (!book_close_period(s->book, period, &options, ignore, NULL, &result, &err)) {
    expect_cause(s, &err);
    s->close_in_doubt = true;
    note(s, "close failed: %s", err.message);
    return;
  }
  note(s, "closed " SLICE_FMT ": %llu invoices, %llu already", SLICE_ARG(period), (unsigned long long)result.invoices,
       (unsigned long long)result.already);
  if (result.invoices > 0) {
    s->doubt_count = 0;
    s->close_in_doubt = false;
    s->invoices_owed += result.invoices;
  }
}
