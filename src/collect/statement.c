/* A statement of account, from the entries of the customer's receivable alone: it can not disagree with the ledger. */
#include "collect/private.h"
#include <stdlib.h>
#include <string.h>

#define DAY_NS (INT64_C(86400) * NS_PER_S)

struct document {
  slice id, number;
  slice corrects; /* id of the document it is a credit note for */
  instant due;
  amount open; /* what its entries sum to at the end of the period */
};

struct making {
  const struct collect *c;
  struct period period;
  struct statement *out;
  VEC(struct statement_line) lines;
  slice last_reference; /* of the entries the last line is of */
  VEC(struct document) documents;
  struct map by_id; /* invoice id to its place in documents, from 1 */
};

/* ---- documents ---- */

static bool take_document(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct making *m = context;
  struct document d = {.id = arena_copy(m->c->arena, db_bytes(row, 0)),
                       .number = arena_copy(m->c->arena, db_bytes(row, 1)),
                       .due = {db_int(row, 2)},
                       .corrects = arena_copy(m->c->arena, db_bytes(row, 3))};
  vec_push(&m->documents, d);
  *map_put(&m->by_id, d.id) = (void *)(uintptr_t)m->documents.count;
  return true;
}

static bool load_documents(struct making *m, slice customer, struct error *err) {
  return db_query(m->c->db, "SELECT id, number, due, corrects FROM invoice WHERE customer = $1",
                  DB_VALUES(DB_T(customer)), take_document, m, err);
}

/* A transfer's reference is the invoice, or the invoice and "/void". */
static struct document *document_of(struct making *m, slice reference) {
  static const char suffix[] = "/void";
  const size_t length = sizeof suffix - 1;
  if (reference.len > length && memcmp(reference.ptr + reference.len - length, suffix, length) == 0) {
    reference.len -= length;
  }
  size_t place = (size_t)(uintptr_t)map_get(&m->by_id, reference);
  return place ? &m->documents.items[place - 1] : NULL;
}

/* A credit note for one document takes off what is open of that one. */
static struct document *settled_by(struct making *m, struct document *d) {
  size_t place = d && d->corrects.len > 0 ? (size_t)(uintptr_t)map_get(&m->by_id, d->corrects) : 0;
  return place ? &m->documents.items[place - 1] : d;
}

/* ---- entries ---- */

static bool ends_with(slice s, const char *suffix) {
  size_t length = strlen(suffix);
  return s.len >= length && memcmp(s.ptr + s.len - length, suffix, length) == 0;
}

static const char *kind_of(const struct entry *e) {
  static const char *const of_document[] = {"charge", "tax", "credit", "rounding up", "rounding down"};
  if (ends_with(e->reference, "/void")) {
    return "void";
  }
  if (slice_eq(e->cause, CAUSE_PAYMENT)) {
    return "payment";
  }
  if (slice_eq(e->cause, CAUSE_REFUND)) {
    return "refund";
  }
  for (size_t i = 0; i < sizeof of_document / sizeof *of_document; i++) {
    if (slice_is(e->cause, of_document[i])) {
      return "invoice";
    }
  }
  return "credit";
}

/* "pay_.../2": the payment stands before the slash; the transfers of old books were named by the payer. */
static slice payment_of(struct arena *arena, const struct entry *e) {
  const char *slash = slice_starts(e->transfer_id, "pay_") ? memchr(e->transfer_id.ptr, '/', e->transfer_id.len) : NULL;
  return arena_copy(arena, slash ? (slice){e->transfer_id.ptr, (size_t)(slash - e->transfer_id.ptr)} : e->transfer_id);
}

static void begin_line(struct making *m, const struct entry *e, const char *kind, const struct document *d) {
  bool moved = strcmp(kind, "payment") == 0 || strcmp(kind, "refund") == 0;
  vec_push(&m->lines, (struct statement_line){.time = e->time,
                                              .kind = kind,
                                              .number = d ? d->number : (slice){0},
                                              .payment = moved ? payment_of(m->c->arena, e) : (slice){0}});
  m->last_reference = arena_copy(m->c->arena, e->reference);
}

/* The entries of one document, or of its void, were made together and are one line. */
static bool continues(const struct making *m, const struct entry *e, const char *kind) {
  if (m->lines.count == 0 || (strcmp(kind, "invoice") != 0 && strcmp(kind, "void") != 0)) {
    return false;
  }
  return strcmp(m->lines.items[m->lines.count - 1].kind, kind) == 0 && slice_eq(m->last_reference, e->reference);
}

static bool add_entry(void *context, const struct entry *e, struct error *err) {
  struct making *m = context;
  struct statement *s = m->out;
  amount owed = amount_negate(e->amount);
  struct document *d = document_of(m, e->reference), *of = settled_by(m, d);
  if (e->time.ns >= m->period.to.ns) {
    return true;
  }
  if (!amount_add(s->closing, owed, &s->closing, err) || (of && !amount_add(of->open, owed, &of->open, err))) {
    return false;
  }
  if (e->time.ns < m->period.from.ns) {
    return amount_add(s->opening, owed, &s->opening, err);
  }
  const char *kind = kind_of(e);
  if (!continues(m, e, kind)) {
    begin_line(m, e, kind, d);
  }
  struct statement_line *line = &m->lines.items[m->lines.count - 1];
  return amount_add(line->amount, owed, &line->amount, err);
}

static bool add_waiting(void *context, const struct entry *e, struct error *err) {
  struct making *m = context;
  return e->time.ns >= m->period.to.ns || amount_add(m->out->unapplied, e->amount, &m->out->unapplied, err);
}

/* ---- what it comes to ---- */

static bool number_lines(struct making *m, struct error *err) {
  amount balance = m->out->opening;
  for (size_t i = 0; i < m->lines.count; i++) {
    struct statement_line *line = &m->lines.items[i];
    if (strcmp(line->kind, "invoice") == 0 && amount_cmp(line->amount, AMOUNT_ZERO) < 0) {
      line->kind = "credit_note";
    }
    if (!amount_add(balance, line->amount, &balance, err)) {
      return false;
    }
    line->balance = balance;
  }
  struct statement_line *lines = arena_array(m->c->arena, m->lines.count, sizeof *lines);
  if (m->lines.count > 0) {
    memcpy(lines, m->lines.items, m->lines.count * sizeof *lines);
  }
  m->out->lines = lines;
  m->out->line_count = m->lines.count;
  return true;
}

static int by_due(const void *a, const void *b) {
  const struct statement_open *x = a, *y = b;
  return (x->due.ns > y->due.ns) - (x->due.ns < y->due.ns);
}

/* Days of the customer's calendar between the due day and the day of the last instant. */
static bool days_late(const struct making *m, instant due, int64_t *out, struct error *err) {
  const char *zone = m->out->customer->time_zone;
  char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
  instant first, last, end = {m->period.to.ns > 0 ? m->period.to.ns - 1 : 0};
  if (!time_parse_loose(slice_of(time_format_date(due, zone, from)), "UTC", &first, err) ||
      !time_parse_loose(slice_of(time_format_date(end, zone, to)), "UTC", &last, err)) {
    return false;
  }
  *out = last.ns > first.ns ? (last.ns - first.ns) / DAY_NS : 0;
  return true;
}

static enum aging bucket_of(int64_t days) {
  return days == 0    ? AGING_CURRENT
         : days <= 30 ? AGING_30
         : days <= 60 ? AGING_60
         : days <= 90 ? AGING_90
                      : AGING_OLDER;
}

static bool age(struct making *m, struct error *err) {
  struct statement *s = m->out;
  struct statement_open *open = arena_array(m->c->arena, m->documents.count, sizeof *open);
  for (size_t i = 0; i < m->documents.count; i++) {
    const struct document *d = &m->documents.items[i];
    struct statement_open o = {.number = d->number, .due = d->due, .amount = d->open};
    if (amount_is_zero(d->open)) {
      continue;
    }
    bool credit = amount_cmp(d->open, AMOUNT_ZERO) < 0;
    if (!credit && !days_late(m, d->due, &o.days_overdue, err)) {
      return false;
    }
    amount *sum = credit ? &s->credits : &s->aging[bucket_of(o.days_overdue)];
    if (!amount_add(*sum, d->open, sum, err)) {
      return false;
    }
    open[s->open_count++] = o;
  }
  if (s->open_count > 0) {
    qsort(open, s->open_count, sizeof *open, by_due);
  }
  s->open = open;
  return true;
}

/* What no document of the customer's is behind (there is none today) must not be lost from the sums. */
static bool complete(struct statement *s, struct error *err) {
  amount sum = s->credits, rest;
  for (enum aging a = AGING_CURRENT; a < AGING_BUCKETS; a++) {
    if (!amount_add(sum, s->aging[a], &sum, err)) {
      return false;
    }
  }
  if (!amount_sub(s->closing, sum, &rest, err)) {
    return false;
  }
  amount *to = amount_cmp(rest, AMOUNT_ZERO) < 0 ? &s->credits : &s->aging[AGING_CURRENT];
  return amount_add(*to, rest, to, err);
}

static bool make(struct making *m, struct error *err) {
  const struct customer *customer = m->out->customer;
  char receivable[ACCOUNT_NAME_MAX];
  slice currency = slice_of(customer->currency->code);
  return load_documents(m, customer->id, err) &&
         ledger_entries(m->c->ledger, slice_of(account_receivable(customer->id, receivable)), currency, 0, SIZE_MAX,
                        add_entry, m, err) &&
         ledger_entries(m->c->ledger, account_waiting(m->c->arena, customer->id), currency, 0, SIZE_MAX, add_waiting, m,
                        err) &&
         number_lines(m, err) && age(m, err) && complete(m->out, err);
}

bool statement_make(const struct collect *c, slice customer, struct period period, struct statement *out,
                    struct error *err) {
  struct making m = {.c = c, .period = period, .out = out};
  *out = (struct statement){.customer = catalog_customer(c->catalog, customer), .period = period};
  if (out->customer == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"%.*s\"", (int)(customer.len > 60 ? 60 : customer.len),
                     customer.len ? customer.ptr : "");
  }
  bool ok = make(&m, err);
  vec_free(&m.lines);
  vec_free(&m.documents);
  map_free(&m.by_id);
  return ok;
}
