/* The book beside the model: every promise is kept exactly once, and nothing is there that was not asked for. */
#include "bill/bill.h"
#include "sim.h"
#include <string.h>

#define CHUNK 500

/* ---- events ---- */

struct reading {
  struct sim *sim;
  struct arena *arena;
  uint8_t seen[MODEL_EVENTS];
  uint32_t count;
};

static bool same_event(const struct event *a, const struct event *b) {
  bool same = slice_eq(a->id, b->id) && slice_eq(a->source, b->source) && slice_eq(a->type, b->type) &&
              slice_eq(a->subject, b->subject) && a->time.ns == b->time.ns && a->field_count == b->field_count;
  for (size_t i = 0; same && i < a->field_count; i++) {
    same = slice_eq(a->fields[i].name, b->fields[i].name) && slice_eq(a->fields[i].value, b->fields[i].value) &&
           a->fields[i].number == b->fields[i].number;
  }
  return same;
}

static bool read_event(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  (void)err;
  (void)arrival;
  struct reading *r = context;
  uint32_t number;
  expect(r->sim, model_event_number(e->id, &number) && number < r->sim->sent, "event " SLICE_FMT " was never sent",
         SLICE_ARG(e->id));
  unsigned accepted = r->sim->promised.accepted[number];
  expect(r->sim, accepted > 0, "event %u is there and was not acknowledged", number);
  expect(r->sim, r->seen[number] == 0, "event %u is there twice", number);
  struct event wanted = model_event(r->arena, r->sim->seed, number, accepted - 1);
  expect(r->sim, same_event(e, &wanted), "event %u has another content than was acknowledged", number);
  r->seen[number] = 1;
  r->count++;
  arena_reset(r->arena);
  return true;
}

void verify_events(struct sim *s, struct db *db) {
  struct reading r = {.sim = s, .arena = arena_new()};
  struct journal_range everything = {0};
  struct error err = {0};
  expect(s, journal_scan(db, &everything, read_event, &r, &err), "the journal can not be read: %s", err.message);
  expect(s, r.count == s->promised.accepted_count, "%u events are there, %u were acknowledged", r.count,
         s->promised.accepted_count);
  arena_free(r.arena);
}

static void probe(struct sim *s, struct arena *arena, const uint32_t *numbers, size_t count) {
  struct event *events = arena_array(arena, count, sizeof *events);
  unsigned *variants = arena_array(arena, count, sizeof *variants);
  struct ingest_result *results = arena_array(arena, count, sizeof *results);
  struct error err = {0};
  for (size_t i = 0; i < count; i++) {
    variants[i] = (unsigned)draw(s, MODEL_VARIANTS);
    events[i] = model_event(arena, s->seed, numbers[i], variants[i]);
  }
  expect(s, book_ingest(s->book, arena, events, count, results, &err), "ingest: %s", err.message);
  for (size_t i = 0; i < count; i++) {
    unsigned accepted = s->promised.accepted[numbers[i]];
    enum verdict expected = accepted == 0                 ? EVENT_ACCEPTED
                            : accepted == variants[i] + 1 ? EVENT_DUPLICATE
                                                          : EVENT_CONFLICT;
    expect(s, results[i].verdict == expected, "event %u sent again was answered %s, expected %s", numbers[i],
           verdict_name(results[i].verdict), verdict_name(expected));
  }
}

/* Different events, so that one does not decide the next; undone afterwards. */
void verify_verdicts(struct sim *s, size_t samples) {
  struct arena *arena = arena_new();
  struct error err = {0};
  uint32_t numbers[CHUNK];
  size_t count = 0;
  uint64_t stride = s->sent / samples + 1;
  expect(s, book_begin(s->book, &err), "begin: %s", err.message);
  for (uint64_t n = draw(s, stride); n < s->sent; n += stride) {
    numbers[count++] = (uint32_t)n;
    if (count == CHUNK) {
      probe(s, arena, numbers, count);
      count = 0;
    }
  }
  if (count > 0) {
    probe(s, arena, numbers, count);
  }
  book_undo(s->book);
  arena_free(arena);
}

/* ---- the ledger ---- */

static void verify_accounts(struct sim *s) {
  for (int i = 0; i < MODEL_ACCOUNTS; i++) {
    struct account a = {0};
    struct error err = {0};
    bool found = ledger_account(book_ledger(s->book), model_account(i), SLICE("EUR"), &a, &err);
    expect(s, found || err.code == ERR_NOT_FOUND, "account: %s", err.message);
    expect(s, amount_cmp(a.balance, model_amount(s->promised.balance[i])) == 0, "the balance of " SLICE_FMT " is wrong",
           SLICE_ARG(model_account(i)));
    expect(s, amount_cmp(a.held, model_amount(s->promised.held[i])) == 0, "what is held of " SLICE_FMT " is wrong",
           SLICE_ARG(model_account(i)));
    expect(s, a.has_floor == s->promised.has_floor[i], "the floor of " SLICE_FMT " is wrong",
           SLICE_ARG(model_account(i)));
  }
}

/* ---- answers ---- */

struct answers {
  uint64_t count, newest;
};

static bool take_answers(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct answers *a = context;
  a->count = (uint64_t)db_int(row, 0);
  a->newest = (uint64_t)db_int(row, 1);
  return true;
}

static struct answers answers_of(struct sim *s, struct db *db) {
  struct answers a = {0};
  struct error err = {0};
  expect(s,
         db_query(db, "SELECT count(*), coalesce(max(CAST(key AS INTEGER)), 0) FROM answer", DB_NO_VALUES, take_answers,
                  &a, &err),
         "answers: %s", err.message);
  return a;
}

static void verify_answers(struct sim *s) {
  struct answers a = answers_of(s, book_db(s->book));
  expect(s, a.count == s->promised.answers && a.newest == s->promised.last_answer,
         "%llu answers are kept, the newest %llu; %llu were given, the newest %llu", (unsigned long long)a.count,
         (unsigned long long)a.newest, (unsigned long long)s->promised.answers,
         (unsigned long long)s->promised.last_answer);
}

void verify_adopt(struct sim *s) {
  uint64_t newest = answers_of(s, book_db(s->book)).newest;
  for (size_t i = 0; i < s->doubt_count; i++) {
    if (s->doubts[i].last_answer == newest) {
      s->promised = s->doubts[i];
      s->doubt_count = 0;
      note(s, "what was in doubt is there: %u events", s->promised.accepted_count);
    }
  }
}

/* ---- invoices ---- */

struct listing {
  struct sim *sim;
  struct naive found;
};

static bool take_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct listing *l = context;
  uint64_t digest = hash64(i->document, hash64(i->number, hash64(i->id, 1)));
  expect(l->sim, l->found.invoice_count < MODEL_INVOICES, "more invoices than customers and periods");
  l->found.invoices[l->found.invoice_count++] = digest;
  return true;
}

static void list_invoices(struct sim *s, struct listing *l) {
  struct invoice_query query = {.limit = SIZE_MAX, .with_document = true};
  struct error err = {0};
  l->sim = s;
  l->found.invoice_count = 0;
  expect(s, invoice_list(book_db(s->book), &query, take_invoice, l, &err), "invoices: %s", err.message);
}

static bool is_there(const struct naive *found, uint64_t digest) {
  for (size_t i = 0; i < found->invoice_count; i++) {
    if (found->invoices[i] == digest) {
      return true;
    }
  }
  return false;
}

static void verify_invoices(struct sim *s) {
  static struct listing l;
  list_invoices(s, &l);
  for (size_t i = 0; i < s->promised.invoice_count; i++) {
    expect(s, is_there(&l.found, s->promised.invoices[i]), "an invoice is gone or was changed");
  }
  uint64_t least = s->promised.invoice_count + s->invoices_owed;
  expect(s, l.found.invoice_count >= least, "invoices of a close that was done are gone");
  expect(s, l.found.invoice_count == least || s->close_in_doubt, "there are invoices of a close that was not done");
  if (l.found.invoice_count > least) {
    s->doubt_count = 0;
  }
  memcpy(s->promised.invoices, l.found.invoices, sizeof l.found.invoices);
  s->promised.invoice_count = l.found.invoice_count;
  s->invoices_owed = 0;
}

/* ---- the whole ---- */

static void complain(void *context, const char *what) {
  struct sim *s = context;
  broken(s, "check: %s", what);
}

void verify_all(struct sim *s) {
  struct check_result result;
  struct error err = {0};
  verify_answers(s);
  verify_events(s, book_db(s->book));
  verify_accounts(s);
  verify_invoices(s);
  verify_verdicts(s, 200);
  expect(s, book_check(s->book, complain, s, &result, &err), "check: %s", err.message);
  expect(s, result.events == s->promised.accepted_count && result.invoices == s->promised.invoice_count,
         "check counts %llu events and %llu invoices", (unsigned long long)result.events,
         (unsigned long long)result.invoices);
}

void verify_reader(struct sim *s) {
  struct book *reader;
  struct error err = {0};
  expect(s, book_open_reader(s->book, &reader, &err), "a reader: %s", err.message);
  verify_events(s, book_db(reader));
  book_close(reader);
}
