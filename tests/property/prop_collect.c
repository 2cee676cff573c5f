/* Payments, refunds, voids and dunning at random beside a naive model in cents; statements equal the ledger. */
#include "base/file.h"
#include "base/hash.h"
#include "book/book.h"
#include "collect/collect.h"
#include <stdlib.h>
#include <string.h>

#define CUSTOMERS 3
#define MONTHS 5
#define INVOICES (CUSTOMERS * MONTHS)
#define PAYMENTS 150
#define ALLOCATIONS 400
#define STEPS 120
#define DAY_S INT64_C(86400)
#define START_S INT64_C(1748736000) /* 2025-06-01 */

static const char catalog_text[] = "currency: EUR\n"
                                   "seller: {name: S, country: NL, invoice_prefix: T-}\n"
                                   "plans:\n"
                                   "  - {name: a, fees: [{name: f, price: 10}]}\n"
                                   "  - {name: b, fees: [{name: f, price: 25.55}]}\n"
                                   "customers:\n"
                                   "  - {id: c0, plan: a, since: 2025-01-01, payment_days: 14}\n"
                                   "  - {id: c1, plan: a, since: 2025-01-01, payment_days: 30}\n"
                                   "  - {id: c2, plan: b, since: 2025-01-01, payment_days: 0}\n";
static const char *const customers[CUSTOMERS] = {"c0", "c1", "c2"};
static const int64_t prices[CUSTOMERS] = {1000, 1000, 2555};
static const int reached_days[] = {3, 10, 21, 30};

struct model_invoice {
  char id[64], number[32];
  int customer;
  int64_t total, paid, due_s;
  bool is_void;
  int steps; /* rows of dunning */
};
struct model_payment {
  char id[64], key[16];
  int customer; /* -1: not known */
  int64_t amount, applied, refunded;
};
struct allocation {
  int payment, invoice;
  int64_t amount;
};
struct naive {
  struct model_invoice invoices[INVOICES];
  int invoice_count;
  struct model_payment payments[PAYMENTS];
  int payment_count;
  struct allocation allocations[ALLOCATIONS]; /* in the order they were made */
  int allocation_count;
  bool suspended[CUSTOMERS];
};
struct world {
  char dir[32];
  struct book *book;
  struct arena *arena;
  struct random rng;
  struct naive m;
  int64_t now_s;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fprintf(stderr, "prop_collect: %s\n", err->message);
    abort();
  }
}

static struct collect at(struct world *w) {
  return (struct collect){book_db(w->book), book_ledger(w->book), book_catalog(w->book), clock_now(), w->arena};
}

static int pick(struct world *w, int bound) {
  return (int)random_below(&w->rng, (uint64_t)bound);
}

static amount cents(int64_t c) {
  return (amount){(int128)c * 10000000000};
}

static void set_time(struct world *w, int64_t s) {
  w->now_s = s;
  clock_set_test((instant){s * NS_PER_S});
}

/* ---- the model ---- */

static bool is_open(const struct model_invoice *i) {
  return !i->is_void && i->paid < i->total;
}

static int64_t waits(const struct model_payment *p) {
  return p->amount - p->applied - p->refunded;
}

static int64_t days_late(const struct world *w, const struct model_invoice *i) {
  return w->now_s / DAY_S - i->due_s / DAY_S;
}

static bool any_overdue(const struct world *w, int customer) {
  bool any = false;
  for (int i = 0; i < w->m.invoice_count; i++) {
    const struct model_invoice *v = &w->m.invoices[i];
    any = any || (v->customer == customer && is_open(v) && days_late(w, v) >= 1);
  }
  return any;
}

static int64_t model_allocate(struct world *w, int payment, int invoice, int64_t most) {
  struct model_payment *p = &w->m.payments[payment];
  struct model_invoice *i = &w->m.invoices[invoice];
  int64_t open = is_open(i) ? i->total - i->paid : 0, value = waits(p) < open ? waits(p) : open;
  value = value < most ? value : most;
  if (value <= 0) {
    return 0;
  }
  if (p->customer < 0) {
    p->customer = i->customer;
  }
  p->applied += value;
  i->paid += value;
  must(w->m.allocation_count < ALLOCATIONS);
  w->m.allocations[w->m.allocation_count++] = (struct allocation){payment, invoice, value};
  if (i->paid == i->total && w->m.suspended[i->customer]) {
    w->m.suspended[i->customer] = any_overdue(w, i->customer);
  }
  return value;
}

static bool older(const struct model_invoice *a, const struct model_invoice *b) {
  return a->due_s != b->due_s ? a->due_s < b->due_s : strcmp(a->id, b->id) < 0;
}

static void model_numbers(struct world *w, int payment, const int *named, int count) {
  bool taken[INVOICES] = {false}, same = true;
  struct model_payment *p = &w->m.payments[payment];
  for (int round = 0; round < count; round++) {
    int best = -1;
    for (int i = 0; i < count; i++) {
      if (!taken[named[i]] && (best < 0 || older(&w->m.invoices[named[i]], &w->m.invoices[best]))) {
        best = named[i];
      }
    }
    if (best < 0) {
      break;
    }
    taken[best] = true;
    if (p->customer < 0 || p->customer == w->m.invoices[best].customer) {
      model_allocate(w, payment, best, p->amount);
    }
  }
  for (int i = 1; i < count; i++) {
    same = same && w->m.invoices[named[i]].customer == w->m.invoices[named[0]].customer;
  }
  if (p->customer < 0 && same) {
    p->customer = w->m.invoices[named[0]].customer;
  }
}

static void model_amount(struct world *w, int payment) {
  struct model_payment *p = &w->m.payments[payment];
  int only = -1, equal = 0;
  for (int i = 0; i < w->m.invoice_count; i++) {
    const struct model_invoice *v = &w->m.invoices[i];
    if (v->customer == p->customer && is_open(v) && v->total - v->paid == p->amount) {
      only = i;
      equal++;
    }
  }
  if (equal == 1) {
    model_allocate(w, payment, only, p->amount);
  }
}

/* The allocations to an invoice are one to payment_refund: the last invoice that was first paid gives first. */
static void model_refund(struct world *w, int payment, int64_t total) {
  struct model_payment *p = &w->m.payments[payment];
  int64_t lacking = total - p->refunded - waits(p);
  while (lacking > 0) {
    int last = -1, order = -1;
    for (int i = 0; i < w->m.invoice_count; i++) {
      int64_t net = 0;
      int first = -1;
      for (int a = 0; a < w->m.allocation_count; a++) {
        if (w->m.allocations[a].payment == payment && w->m.allocations[a].invoice == i) {
          net += w->m.allocations[a].amount;
          first = first < 0 ? a : first;
        }
      }
      if (net > 0 && first > order) {
        order = first;
        last = i;
      }
    }
    must(last >= 0);
    int64_t net = 0;
    for (int a = 0; a < w->m.allocation_count; a++) {
      bool of = w->m.allocations[a].payment == payment && w->m.allocations[a].invoice == last;
      net += of ? w->m.allocations[a].amount : 0;
    }
    int64_t value = net < lacking ? net : lacking;
    w->m.allocations[w->m.allocation_count++] = (struct allocation){payment, last, -value};
    w->m.invoices[last].paid -= value;
    p->applied -= value;
    lacking -= value;
  }
  p->refunded = total;
}

/* ---- operations ---- */

static void begin(struct world *w) {
  struct error err = {0};
  done(book_begin(w->book, &err), &err);
}

static void commit(struct world *w) {
  struct error err = {0};
  done(book_commit(w->book, &err), &err);
}

static int64_t some_amount(struct world *w) {
  static const int64_t usual[] = {1000, 2555, 2000, 500, 3555};
  return pick(w, 2) ? usual[pick(w, 5)] : 1 + pick(w, 6000);
}

static void record(struct world *w) {
  struct naive *m = &w->m;
  if (m->payment_count == PAYMENTS || m->invoice_count == 0) {
    return;
  }
  int n = m->payment_count++, way = pick(w, 4), named[3], count = 0;
  struct model_payment *p = &m->payments[n];
  char text[128] = "";
  struct collect c = at(w);
  struct payment_result result, again;
  struct error err = {0};
  *p = (struct model_payment){.customer = -1, .amount = some_amount(w)};
  snprintf(p->key, sizeof p->key, "k%d", n);
  struct payment_request r = {.source = PAYMENT_BANK,
                              .key = slice_of(p->key),
                              .currency = SLICE("EUR"),
                              .amount = cents(p->amount),
                              .received = c.now};
  begin(w);
  if (way == 0) {
    named[count++] = pick(w, m->invoice_count);
    p->customer = m->invoices[named[0]].customer;
    r.invoice = slice_of(m->invoices[named[0]].number);
  } else if (way == 1) {
    for (int i = 1 + pick(w, 3); i > 0; i--) {
      named[count++] = pick(w, m->invoice_count);
      size_t length = strlen(text);
      snprintf(text + length, sizeof text - length, "%s%s", length ? ", " : "for ",
               m->invoices[named[count - 1]].number);
    }
    r.text = slice_of(text);
  } else if (way == 2) {
    p->customer = pick(w, CUSTOMERS);
    r.customer = slice_of(customers[p->customer]);
  }
  done(payment_record(&c, &r, &result, &err), &err);
  must(!result.repeated && result.id.len < sizeof p->id);
  snprintf(p->id, sizeof p->id, SLICE_FMT, SLICE_ARG(result.id));
  done(payment_record(&c, &r, &again, &err), &err);
  must(again.repeated && slice_eq(again.id, result.id));
  commit(w);
  if (way == 0) {
    model_allocate(w, n, named[0], p->amount);
  } else if (way == 1) {
    model_numbers(w, n, named, count);
  } else if (way == 2) {
    model_amount(w, n);
  }
}

static void apply(struct world *w) {
  struct naive *m = &w->m;
  struct error err = {0};
  if (m->payment_count == 0) {
    return;
  }
  int payment = pick(w, m->payment_count), invoice = pick(w, m->invoice_count);
  int64_t most = pick(w, 2) ? 1 + pick(w, 2000) : 0;
  const struct model_payment *p = &m->payments[payment];
  const struct model_invoice *i = &m->invoices[invoice];
  struct collect c = at(w);
  begin(w);
  bool ok = payment_apply(&c, slice_of(p->id), slice_of(i->id), cents(most), &err);
  must(ok == (waits(p) > 0 && is_open(i)));
  must(ok || err.code == ERR_CONFLICT);
  if (ok) {
    commit(w);
    must(model_allocate(w, payment, invoice, most ? most : p->amount) > 0);
  } else {
    book_undo(w->book);
  }
}

static void refund(struct world *w) {
  struct naive *m = &w->m;
  struct error err = {0};
  if (m->payment_count == 0) {
    return;
  }
  int n = pick(w, m->payment_count);
  struct model_payment *p = &m->payments[n];
  int64_t total = pick(w, 3) ? 1 + pick(w, (int)p->amount + 10) : p->amount;
  struct collect c = at(w);
  begin(w);
  bool ok = payment_refund(&c, slice_of(p->id), cents(total), &err);
  must(ok == (total <= p->amount));
  /* Sometimes the whole step fails later on: nothing of it stays. */
  if (!ok || pick(w, 6) == 0) {
    book_undo(w->book);
    return;
  }
  commit(w);
  if (total > p->refunded) {
    model_refund(w, n, total);
  }
}

static void make_void(struct world *w) {
  struct error err = {0};
  struct model_invoice *i = &w->m.invoices[pick(w, w->m.invoice_count)];
  struct collect c = at(w);
  begin(w);
  bool ok = invoice_void(c.db, c.ledger, slice_of(i->id), c.now, &err);
  must(ok == (i->is_void || i->paid == 0));
  if (!ok) {
    book_undo(w->book);
    return;
  }
  done(suspension_review(&c, slice_of(customers[i->customer]), &err), &err);
  commit(w);
  i->is_void = true;
  w->m.suspended[i->customer] = w->m.suspended[i->customer] && any_overdue(w, i->customer);
}

static void dun(struct world *w) {
  struct error err = {0};
  struct collect c = at(w);
  begin(w);
  done(collect_dunning(&c, NULL, NULL, &err), &err);
  commit(w);
  for (int k = 0; k < CUSTOMERS; k++) {
    w->m.suspended[k] = w->m.suspended[k] && any_overdue(w, k);
  }
  for (int n = 0; n < w->m.invoice_count; n++) {
    struct model_invoice *i = &w->m.invoices[n];
    int steps = is_open(i) && days_late(w, i) >= 1;
    for (size_t s = 0; is_open(i) && s < 4; s++) {
      steps += days_late(w, i) >= reached_days[s];
    }
    i->steps = steps > i->steps ? steps : i->steps;
    w->m.suspended[i->customer] = w->m.suspended[i->customer] || steps == 5;
  }
}

/* ---- comparing ---- */

static bool same_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  const struct world *w = context;
  (void)err;
  for (int n = 0; n < w->m.invoice_count; n++) {
    const struct model_invoice *v = &w->m.invoices[n];
    if (slice_is(i->id, v->id)) {
      must(amount_cmp(i->paid, cents(v->paid)) == 0);
      must(slice_is(i->status, v->is_void ? "void" : v->paid == v->total ? "paid" : "finalized"));
    }
  }
  return true;
}

static void same_payments(struct world *w, const struct collect *c) {
  struct error err = {0};
  for (int n = 0; n < w->m.payment_count; n++) {
    const struct model_payment *p = &w->m.payments[n];
    struct payment kept;
    done(payment_find(c, slice_of(p->id), &kept, &err), &err);
    must(amount_cmp(kept.applied, cents(p->applied)) == 0 && amount_cmp(kept.refunded, cents(p->refunded)) == 0);
    must(slice_is(kept.customer, p->customer < 0 ? "" : customers[p->customer]));
    must(slice_is(kept.state, p->refunded == p->amount ? "refunded" : waits(p) ? "unmatched" : "matched"));
  }
}

static bool count_step(void *context, const struct dunning_event *e, struct error *err) {
  int *count = context;
  (void)e;
  (void)err;
  ++*count;
  return true;
}

static void same_dunning(struct world *w, const struct collect *c) {
  struct error err = {0};
  for (int k = 0; k < CUSTOMERS; k++) {
    int rows = 0, expected = 0;
    bool suspended;
    instant since;
    done(dunning_list(c->db, slice_of(customers[k]), (slice){0}, SIZE_MAX, count_step, &rows, &err), &err);
    for (int n = 0; n < w->m.invoice_count; n++) {
      expected += w->m.invoices[n].customer == k ? w->m.invoices[n].steps : 0;
    }
    must(rows == expected);
    done(suspension_find(c->db, slice_of(customers[k]), &suspended, &since, &err), &err);
    must(suspended == w->m.suspended[k]);
  }
}

static void same_statements(struct world *w, const struct collect *c) {
  struct error err = {0};
  for (int k = 0; k < CUSTOMERS; k++) {
    struct statement now, later;
    struct account account = {0};
    char name[64];
    int64_t owed = 0, waiting = 0;
    for (int n = 0; n < w->m.invoice_count; n++) {
      const struct model_invoice *i = &w->m.invoices[n];
      owed += i->customer == k && !i->is_void ? i->total - i->paid : 0;
    }
    for (int n = 0; n < w->m.payment_count; n++) {
      waiting += w->m.payments[n].customer == k ? waits(&w->m.payments[n]) : 0;
    }
    struct period all = {{0}, {c->now.ns + 1}}, split = {{(START_S + pick(w, 200) * DAY_S) * NS_PER_S}, all.to};
    done(statement_make(c, slice_of(customers[k]), all, &now, &err), &err);
    must(amount_cmp(now.closing, cents(owed)) == 0 && amount_is_zero(now.opening));
    must(amount_cmp(now.unapplied, cents(waiting)) == 0);
    snprintf(name, sizeof name, "customer/%s/receivable", customers[k]);
    if (ledger_account(c->ledger, slice_of(name), SLICE("EUR"), &account, &err)) {
      must(amount_cmp(account.balance, cents(-owed)) == 0);
    }
    /* Aging: each open invoice in the bucket of its days. */
    int64_t buckets[AGING_BUCKETS] = {0};
    for (int n = 0; n < w->m.invoice_count; n++) {
      const struct model_invoice *i = &w->m.invoices[n];
      int64_t days = days_late(w, i);
      int bucket = days <= 0 ? 0 : days <= 30 ? 1 : days <= 60 ? 2 : days <= 90 ? 3 : 4;
      buckets[bucket] += i->customer == k && is_open(i) ? i->total - i->paid : 0;
    }
    for (int b = 0; b < AGING_BUCKETS; b++) {
      must(amount_cmp(now.aging[b], cents(buckets[b])) == 0);
    }
    if (split.from.ns < split.to.ns) {
      amount sum;
      done(statement_make(c, slice_of(customers[k]), split, &later, &err), &err);
      sum = later.opening;
      for (size_t l = 0; l < later.line_count; l++) {
        done(amount_add(sum, later.lines[l].amount, &sum, &err), &err);
        must(amount_cmp(sum, later.lines[l].balance) == 0);
      }
      must(amount_cmp(sum, now.closing) == 0 && amount_cmp(later.closing, now.closing) == 0);
    }
  }
}

static void bad(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "prop_collect: the check is not clean: %s\n", what);
  abort();
}

static void compare(struct world *w) {
  struct error err = {0};
  struct invoice_query query = {.limit = SIZE_MAX};
  struct collect c = at(w);
  uint64_t invoices;
  done(invoice_list(c.db, &query, same_invoice, w, &err), &err);
  same_payments(w, &c);
  same_dunning(w, &c);
  same_statements(w, &c);
  done(collect_check(&c, bad, NULL, &err), &err);
  done(ledger_check(c.ledger, bad, NULL, &err), &err);
  done(invoice_check(c.db, c.ledger, bad, NULL, &invoices, &err), &err);
  arena_reset(w->arena);
}

/* ---- the world ---- */

static void ignore(void *context, const char *what) {
  (void)context;
  (void)what;
}

static bool take_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  struct world *w = context;
  (void)err;
  for (int n = 0; n < w->m.invoice_count; n++) {
    if (slice_is(i->id, w->m.invoices[n].id)) {
      return true;
    }
  }
  must(w->m.invoice_count < INVOICES);
  struct model_invoice *v = &w->m.invoices[w->m.invoice_count++];
  *v = (struct model_invoice){.customer = i->customer.ptr[1] - '0', .due_s = i->due.ns / NS_PER_S};
  v->total = prices[v->customer];
  must(amount_cmp(i->total, cents(v->total)) == 0);
  snprintf(v->id, sizeof v->id, SLICE_FMT, SLICE_ARG(i->id));
  snprintf(v->number, sizeof v->number, SLICE_FMT, SLICE_ARG(i->number));
  return true;
}

static void close_month(struct world *w, int month) {
  static const char *const names[MONTHS] = {"2025-01", "2025-02", "2025-03", "2025-04", "2025-05"};
  struct close_options options = {0};
  struct close_result result;
  struct invoice_query query = {.period = slice_of(names[month]), .limit = SIZE_MAX};
  struct error err = {0};
  done(book_close_period(w->book, slice_of(names[month]), &options, ignore, NULL, &result, &err), &err);
  must(result.invoices == CUSTOMERS);
  done(invoice_list(book_db(w->book), &query, take_invoice, w, &err), &err);
}

static void reopen(struct world *w) {
  struct error err = {0};
  book_close(w->book);
  done(book_open(w->dir, NULL, BOOK_WRITE, &w->book, &err), &err);
}

static void step(struct world *w) {
  switch (pick(w, 12)) {
  case 0:
    apply(w);
    break;
  case 1:
    refund(w);
    break;
  case 2:
    if (pick(w, 4) == 0) {
      make_void(w);
    }
    break;
  case 3:
    set_time(w, w->now_s + pick(w, (int)(12 * DAY_S)));
    break;
  case 4:
    dun(w);
    break;
  case 5:
    if (pick(w, 8) == 0) {
      reopen(w);
    }
    break;
  default:
    if (pick(w, 2)) {
      record(w);
    } else {
      apply(w);
    }
  }
}

static void run_world(uint64_t seed) {
  struct world *w = mem_alloc(sizeof *w);
  struct error err = {0};
  char path[128], command[128];
  snprintf(w->dir, sizeof w->dir, "/tmp/mh_collect.XXXXXX");
  w->arena = arena_new();
  random_seed(&w->rng, seed, 0);
  must(mkdtemp(w->dir) != NULL);
  snprintf(path, sizeof path, "%s/catalog.yaml", w->dir);
  set_time(w, START_S);
  done(file_write(path, SLICE(catalog_text), &err), &err);
  done(book_open(w->dir, path, BOOK_WRITE, &w->book, &err), &err);
  for (int n = 0, month = 0; n < STEPS; n++) {
    if (month < MONTHS && (n == 0 || pick(w, STEPS / MONTHS) == 0)) {
      close_month(w, month++);
    }
    step(w);
    if (n % 5 == 0) {
      compare(w);
    }
  }
  compare(w);
  book_close(w->book);
  arena_free(w->arena);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  must(system(command) == 0);
  free(w);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 12;
  for (uint64_t i = 0; i < cases; i++) {
    printf("prop_collect: SEED=%llu CASES=1\n", (unsigned long long)(seed + i));
    fflush(stdout);
    run_world(seed + i);
  }
  return 0;
}
