/* What a payment is for: the invoice that was named, numbers in its text, or the one open invoice of its amount. */
#include "collect/private.h"
#include <ctype.h>
#include <stdlib.h>

#define NUMBER_BYTES_MAX 60
#define NUMBER_BYTES_MIN 4
#define NUMBERS_MAX 50 /* that one text is looked through for */

/* ---- invoices ---- */

struct invoice_copy {
  struct arena *arena;
  struct stored_invoice *out;
  bool found;
};

static bool keep_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct invoice_copy *copy = context;
  copy->found = true;
  *copy->out = stored_invoice_copy(copy->arena, i);
  return true;
}

bool find_invoice(const struct collect *c, slice name, bool *found, struct stored_invoice *out, struct error *err) {
  struct invoice_copy copy = {.arena = c->arena, .out = out};
  struct invoice_query query = {.id = name, .limit = 1};
  bool ok = name.len == 0 || invoice_list(c->db, &query, keep_invoice, &copy, err);
  *found = copy.found;
  return ok;
}

bool invoice_open_amount(const struct stored_invoice *i, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return !slice_is(i->status, "finalized") || stored_invoice_open(i, out, err);
}

static bool take_open(const struct db_row *row, void *context, struct error *err) {
  struct open_invoices *all = context;
  amount open;
  struct stored_invoice i = {.id = db_bytes(row, 0),
                             .number = db_bytes(row, 1),
                             .customer = db_bytes(row, 2),
                             .currency = db_bytes(row, 3),
                             .period = db_bytes(row, 4),
                             .status = SLICE("finalized"),
                             .issued = {db_int(row, 7)},
                             .due = {db_int(row, 8)}};
  if (!db_amount(row, 5, &i.total, err) || !db_amount(row, 6, &i.paid, err) || !db_amount(row, 9, &i.credited, err) ||
      !invoice_open_amount(&i, &open, err)) {
    return false;
  }
  if (amount_cmp(open, AMOUNT_ZERO) > 0) {
    vec_push(&all->items, stored_invoice_copy(all->arena, &i));
  }
  return true;
}

bool open_invoices_load(const struct collect *c, slice customer, slice currency, instant due, struct open_invoices *out,
                        struct error *err) {
  *out = (struct open_invoices){.arena = c->arena};
  const char *of_one = "SELECT id, number, customer, currency, period, total, paid, issued, due, credited FROM invoice"
                       " WHERE status = 'finalized' AND customer = $1 AND ($2 = '' OR currency = $2) AND due < $3"
                       " ORDER BY due, id",
             *of_all = "SELECT id, number, customer, currency, period, total, paid, issued, due, credited FROM invoice"
                       " WHERE status = 'finalized' AND $1 = '' AND ($2 = '' OR currency = $2) AND due < $3"
                       " ORDER BY due, id";
  return db_query(c->db, customer.len ? of_one : of_all, DB_VALUES(DB_T(customer), DB_T(currency), DB_I(due.ns)),
                  take_open, out, err);
}

/* ---- numbers in a text ---- */

struct numbers {
  const struct collect *c;
  const struct payment *payment;
  VEC(struct stored_invoice) found;
  size_t looked;
};

struct hit {
  struct arena *arena;
  slice id;
};

static bool take_hit(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct hit *hit = context;
  hit->id = arena_copy(hit->arena, db_bytes(row, 0));
  return true;
}

/* By the number without its separators, which banks and people lose. */
static bool look_up(struct numbers *n, slice plain, struct error *err) {
  struct hit hit = {.arena = n->c->arena};
  struct stored_invoice invoice;
  bool found = false;
  if (plain.len < NUMBER_BYTES_MIN || n->looked++ >= NUMBERS_MAX) {
    return true;
  }
  if (!db_query(n->c->db,
                "SELECT id FROM invoice WHERE upper(replace(replace(replace(number, '-', ''), '_', ''), '.', '')) = $1"
                " LIMIT 1",
                DB_VALUES(DB_T(plain)), take_hit, &hit, err) ||
      !find_invoice(n->c, hit.id, &found, &invoice, err)) {
    return false;
  }
  bool fits = found && slice_eq(invoice.currency, n->payment->currency) &&
              (n->payment->customer.len == 0 || slice_eq(n->payment->customer, invoice.customer));
  for (size_t i = 0; fits && i < n->found.count; i++) {
    fits = !slice_eq(n->found.items[i].id, invoice.id);
  }
  if (fits) {
    vec_push(&n->found, invoice);
  }
  return true;
}

static bool separates(char c) {
  return !isalnum((unsigned char)c) && c != '-' && c != '_' && c != '.';
}

/* ISO 11649: "RF", two check digits, then the reference. The whole modulo 97, turned by four, is 1. */
static bool is_creditor_reference(slice plain) {
  unsigned rest = 0;
  if (plain.len < 5 || plain.len > 25 || plain.ptr[0] != 'R' || plain.ptr[1] != 'F' ||
      !isdigit((unsigned char)plain.ptr[2]) || !isdigit((unsigned char)plain.ptr[3])) {
    return false;
  }
  for (size_t i = 0; i < plain.len; i++) {
    char c = plain.ptr[(i + 4) % plain.len];
    unsigned value = isdigit((unsigned char)c) ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest == 1;
}

static bool look_for_word(struct numbers *n, slice word, struct error *err) {
  char plain[NUMBER_BYTES_MAX];
  size_t length = 0;
  if (word.len > NUMBER_BYTES_MAX) {
    return true;
  }
  for (size_t i = 0; i < word.len; i++) {
    if (isalnum((unsigned char)word.ptr[i])) {
      plain[length++] = (char)toupper((unsigned char)word.ptr[i]);
    }
  }
  slice whole = {plain, length};
  return look_up(n, whole, err) && (!is_creditor_reference(whole) || look_up(n, (slice){plain + 4, length - 4}, err));
}

static bool find_numbers(struct numbers *n, slice text, struct error *err) {
  for (size_t i = 0; i < text.len;) {
    size_t end = i;
    while (end < text.len && !separates(text.ptr[end])) {
      end++;
    }
    if (end > i && !look_for_word(n, (slice){text.ptr + i, end - i}, err)) {
      return false;
    }
    i = end + 1;
  }
  return true;
}

/* Of two that were due at once, the one that was made first. */
static bool is_older(const struct stored_invoice *a, const struct stored_invoice *b) {
  return a->due.ns != b->due.ns ? a->due.ns < b->due.ns : slice_cmp(a->id, b->id) < 0;
}

static bool apply_oldest_first(const struct collect *c, struct payment *p, struct numbers *n, struct error *err) {
  for (size_t done = 0; done < n->found.count; done++) {
    size_t oldest = done;
    for (size_t i = done + 1; i < n->found.count; i++) {
      oldest = is_older(&n->found.items[i], &n->found.items[oldest]) ? i : oldest;
    }
    struct stored_invoice invoice = n->found.items[oldest];
    n->found.items[oldest] = n->found.items[done];
    n->found.items[done] = invoice;
    if (p->customer.len > 0 && !slice_eq(p->customer, invoice.customer)) {
      continue; /* two customers' numbers in one text: the first one's it is */
    }
    if (!allocate(c, p, &invoice, p->amount, err)) {
      return false;
    }
  }
  return true;
}

/* Invoices that are paid already still say whose the money is, when they agree. */
static bool learn_customer(const struct collect *c, struct payment *p, const struct numbers *n, struct error *err) {
  bool agree = p->customer.len == 0 && n->found.count > 0;
  for (size_t i = 1; agree && i < n->found.count; i++) {
    agree = slice_eq(n->found.items[i].customer, n->found.items[0].customer);
  }
  return !agree || payment_assign(c, p, n->found.items[0].customer, err);
}

/* ---- the amount ---- */

static bool match_amount(const struct collect *c, struct payment *p, struct error *err) {
  struct open_invoices open;
  const struct stored_invoice *only = NULL;
  size_t equal = 0;
  amount value;
  if (p->customer.len == 0) {
    return true;
  }
  bool ok = open_invoices_load(c, p->customer, p->currency, INSTANT_MAX, &open, err);
  for (size_t i = 0; ok && i < open.items.count; i++) {
    ok = invoice_open_amount(&open.items.items[i], &value, err);
    if (ok && amount_cmp(value, p->amount) == 0) {
      only = &open.items.items[i];
      equal++;
    }
  }
  ok = ok && (equal != 1 || allocate(c, p, only, p->amount, err));
  vec_free(&open.items);
  return ok;
}

static bool match_named(const struct collect *c, struct payment *p, slice name, struct error *err) {
  struct stored_invoice invoice;
  bool found;
  if (!find_invoice(c, name, &found, &invoice, err)) {
    return false;
  }
  bool fits = found && slice_eq(invoice.currency, p->currency) &&
              (p->customer.len == 0 || slice_eq(p->customer, invoice.customer));
  return !fits || allocate(c, p, &invoice, p->amount, err);
}

bool match_payment(const struct collect *c, struct payment *p, slice named_invoice, struct error *err) {
  struct numbers n = {.c = c, .payment = p};
  if (named_invoice.len > 0) {
    return match_named(c, p, named_invoice, err);
  }
  bool ok = find_numbers(&n, p->text, err);
  bool named = n.found.count > 0;
  ok = ok && apply_oldest_first(c, p, &n, err) && learn_customer(c, p, &n, err) && (named || match_amount(c, p, err));
  vec_free(&n.found);
  return ok;
}
