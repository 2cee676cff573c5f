/* Calls that run long are noted in the book every few seconds, as they would be settled now: after a crash each of them
 * is settled by its last note. */
#include "base/json.h"
#include "base/log.h"
#include "gateway/private.h"
#include <stdlib.h>

#define NOTE_AFTER_NS (2 * NS_PER_S)

struct note {
  slice id, customer, currency, family, event;
  instant period_to, key_period;
  amount gross;
};
struct notes {
  struct command command; /* first: the core hands back this address */
  struct arena *arena;
  VEC(struct note) list;
};

/* ---- writing ---- */

static bool keep(struct book *book, const struct note *n, struct error *err) {
  return db_run(book_db(book),
                "INSERT INTO call_note(id, customer, currency, period_to, gross, family, key_period, event)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT(id) DO UPDATE SET gross = excluded.gross,"
                " period_to = excluded.period_to, event = excluded.event",
                DB_VALUES(DB_T(n->id), DB_T(n->customer), DB_T(n->currency), DB_I(n->period_to.ns), DB_A(n->gross),
                          DB_T(n->family), DB_I(n->key_period.ns), DB_T(n->event)),
                NULL, err);
}

static bool notes_apply(struct command *command, struct book *book, struct error *err) {
  struct notes *notes = (struct notes *)command;
  for (size_t i = 0; i < notes->list.count; i++) {
    if (!keep(book, &notes->list.items[i], err)) {
      return false;
    }
  }
  return true;
}

static void notes_free(struct notes *notes) {
  vec_free(&notes->list);
  arena_free(notes->arena);
  free(notes);
}

static void notes_done(struct command *command, const struct error *err) {
  if (err) {
    log_line(LOG_WARN, "gateway", "calls that run can not be noted: %s", err->message);
  }
  notes_free((struct notes *)command);
}

static bool note_one(struct arena *arena, struct call *call, instant now, struct note *out, struct error *err) {
  const struct customer *payer = call->buyer->purse->payer;
  struct event event;
  struct buf json;
  if (!call_price(call, END_CLIENT_GONE, now, err) || !purse_period(call->buyer->purse, now, &out->period_to, err)) {
    return false;
  }
  buf_init(&json, 1u << 16);
  call_record(arena, call, "interrupted", now, &event);
  event_to_json(&event, &json);
  out->id = event.id;
  out->customer = payer->id;
  out->currency = slice_of(payer->currency->code);
  out->family = call->key_state ? call->key_state->family : (slice){0};
  out->key_period = call->key_period.from;
  out->gross = call->buyer->purse->unlimited ? AMOUNT_ZERO : call->paid.gross;
  out->event = arena_copy(arena, buf_slice(&json));
  buf_free(&json);
  return true;
}

void edge_note_calls(struct edge *edge, instant now) {
  struct notes *notes = mem_alloc(sizeof *notes);
  struct error err = {0};
  notes->arena = arena_new();
  notes->command = (struct command){.apply = notes_apply, .done = notes_done};
  for (struct call *call = edge->calls; call; call = call->next_on_edge) {
    struct note note = {0};
    if (!call->settling && call->first_byte.ns > 0 && now.ns - call->begun.ns > NOTE_AFTER_NS &&
        note_one(notes->arena, call, now, &note, &err)) {
      vec_push(&notes->list, note);
      call->noted = true;
    }
  }
  notes->command.bytes = arena_used_bytes(notes->arena);
  if (notes->list.count == 0 || !core_submit(edge->gateway->core, &notes->command, &err)) {
    notes_free(notes);
  }
}

bool note_drop(struct book *book, slice id, struct error *err) {
  return db_run(book_db(book), "DELETE FROM call_note WHERE id = $1", DB_VALUES(DB_T(id)), NULL, err);
}

/* ---- after a crash ---- */

struct left {
  struct arena *arena;
  VEC(struct note) list;
};

static bool take_left(const struct db_row *row, void *context, struct error *err) {
  struct left *left = context;
  struct note n = {.id = arena_copy(left->arena, db_bytes(row, 0)),
                   .customer = arena_copy(left->arena, db_bytes(row, 1)),
                   .currency = arena_copy(left->arena, db_bytes(row, 2)),
                   .period_to = {db_int(row, 3)},
                   .family = arena_copy(left->arena, db_bytes(row, 5)),
                   .key_period = {db_int(row, 6)},
                   .event = arena_copy(left->arena, db_bytes(row, 7))};
  if (!db_amount(row, 4, &n.gross, err)) {
    return false;
  }
  vec_push(&left->list, n);
  return true;
}

static bool settle_left(struct book *book, struct arena *arena, const struct note *n, struct error *err) {
  struct event event;
  enum verdict verdict;
  return event_from_text(arena, n->event, clock_now(), &event, err) && book_append(book, &event, 1, &verdict, err) &&
         (verdict != EVENT_ACCEPTED || amount_is_zero(n->gross) ||
          (credit_unbilled_add(book_db(book), n->customer, n->currency, n->period_to, n->gross, err) &&
           (n->family.len == 0 || key_spend_add(book, n->family, n->key_period, n->gross, err)))) &&
         note_drop(book, n->id, err);
}

static bool recover(struct book *book, struct left *left, size_t *slices, struct error *err) {
  if (!db_query(book_db(book),
                "SELECT id, customer, currency, period_to, gross, family, key_period, event FROM call_note ORDER BY id",
                DB_NO_VALUES, take_left, left, err)) {
    return false;
  }
  for (size_t i = 0; i < left->list.count; i++) {
    if (!settle_left(book, left->arena, &left->list.items[i], err)) {
      return false;
    }
  }
  return credit_slices_recover(book_db(book), book_ledger(book), clock_now(), slices, err);
}

bool gateway_recover(struct book *book, struct error *err) {
  struct left left = {.arena = arena_new()};
  size_t slices = 0;
  bool ok = book_begin(book, err);
  if (ok) {
    ok = recover(book, &left, &slices, err);
    if (!ok) {
      book_undo(book);
    }
    ok = ok && book_commit(book, err);
  }
  if (ok && left.list.count + slices > 0) {
    log_line(LOG_WARN, "gateway",
             "%zu calls that a crash cut off are settled, the credit reserved for calls of %zu "
             "customers is free again",
             left.list.count, slices);
  }
  vec_free(&left.list);
  arena_free(left.arena);
  return ok;
}
