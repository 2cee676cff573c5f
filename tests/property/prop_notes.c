/* Random credit notes on random invoices, some voided again: never more than was billed, on no line and of no tax; and
 * whatever the steps, all of them together are the invoice to the last digit, on paper and in every account. */
#include "base/hash.h"
#include "base/json.h"
#include "bill/bill.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 7
#define DAY_NS (INT64_C(86400) * NS_PER_S)
#define CENT ((int128)10000000000)

static struct random rng;
static struct db *db;
static struct ledger *ledger;
static struct catalog *catalog;
static int64_t next_period;
static uint64_t next_note, notes_made, refused;

static size_t below(size_t n) {
  return (size_t)random_below(&rng, n);
}
static void stop(const char *what, const struct error *err) {
  fprintf(stderr, "%s: %s\n", what, err->message);
  abort();
}
static void found(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "the book's own check is not clean: %s\n", what);
  abort();
}

static void open_world(const char *path) {
  static const char yaml[] =
      "currency: EUR\nseller: {name: S, country: NL, invoice_prefix: T-}\n"
      "taxes: [{name: vat, label: VAT, rate: 21 %, category: S}, {name: odd, label: Odd, rate: 7.75 %, "
      "category: S}]\n"
      "meters: [{name: calls, event: a, value: n, unit: call}]\n"
      "plans: [{name: p, prices: [{meter: calls, price: 1}]}]\n"
      "customers: [{id: acme, name: A, country: NL, tax: vat, plan: p}, {id: bolt, name: B, country: "
      "NL, plan: p}, {id: crow, name: C, country: NL, tax: odd, plan: p}]\n";
  struct catalog_text file = {"all.yaml", {yaml, sizeof yaml - 1}};
  struct error err = {0};
  VEC(struct db_migration) all = {0};
  const struct db_migration *rooms[] = {ledger_migrations, notify_migrations, credit_migrations, bill_migrations};
  const size_t counts[] = {ledger_migration_count, notify_migration_count, credit_migration_count,
                           bill_migration_count};
  for (size_t r = 0; r < 4; r++) {
    for (size_t i = 0; i < counts[r]; i++) {
      vec_push(&all, rooms[r][i]);
    }
  }
  if (!catalog_parse(&file, 1, &catalog, &err) || !db_open(path, DB_READ_WRITE, &db, &err) ||
      !db_migrate(db, all.items, all.count, &err) || !ledger_open(db, &ledger, &err)) {
    stop("open", &err);
  }
  vec_free(&all);
}

/* ---- invoices ---- */

static struct rating random_rating(struct arena *arena, bool below_zero) {
  static const slice products[] = {{"A", 1}, {"B", 1}, {"C", 1}};
  size_t count = 1 + below(LINES_MAX);
  struct charge *charges = arena_array(arena, count, sizeof *charges);
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  struct rating r = {.customer = &catalog->customers[below(3)], .charges = charges, .charge_count = count};
  struct error err = {0};
  r.period = (struct period){{next_period * DAY_NS}, {(next_period + 1) * DAY_NS}};
  next_period++;
  *segment = (struct segment){.plan = &catalog->plans[0], .from = r.period.from, .to = r.period.to};
  for (size_t i = 0; i < count; i++) {
    amount exact = {(int128)(below(2000000) + 1) * (below(3) == 0 ? 10000000 : CENT / 3)};
    bool negative = below_zero && i > 0 && below(3) == 0;
    exact.e12 = negative ? -exact.e12 / 20 : exact.e12;
    charges[i] = (struct charge){.kind = CHARGE_USAGE,
                                 .name = SLICE("x"),
                                 .product = products[below(3)],
                                 .segment = segment,
                                 .units = {(int128)(1 + below(50)) * QUANTITY_E9},
                                 .raw = QUANTITY_ONE,
                                 .exact = exact};
    must(amount_add(r.total, exact, &r.total, &err));
  }
  return r;
}

/* false: it came out at nothing, or below. */
static bool make_invoice(struct arena *arena, bool below_zero, struct invoice *out) {
  struct rating *rating = arena_alloc(arena, sizeof *rating);
  struct error err = {0};
  char digest[65] = "";
  bool existed;
  slice id;
  *rating = random_rating(arena, below_zero);
  if (!invoice_build(arena, catalog, rating, NULL, 0, digest, out, &err)) {
    stop("build", &err);
  }
  if (amount_cmp(out->total, AMOUNT_ZERO) <= 0) {
    return false;
  }
  if (!invoice_finalize(arena, db, ledger, out, (instant){20000 * DAY_NS}, 0, &existed, &id, &err)) {
    stop("finalize", &err);
  }
  return true;
}

/* ---- what stands, read from the documents alone ---- */

struct standing {
  struct arena *arena;
  slice invoice;
  amount lines[LINES_MAX], exact[LINES_MAX], tax, total;
};

static void add(const struct json *object, const char *key, amount *sum) {
  struct error err = {0};
  amount value;
  must(amount_parse(json_text(object, key), &value, &err) && amount_add(*sum, value, sum, &err));
}

static bool add_document(void *context, const struct stored_invoice *i, struct error *err) {
  struct standing *s = context;
  const struct json *document;
  if (!slice_eq(i->corrects, s->invoice) || slice_is(i->status, "void")) {
    return true;
  }
  must(document_parse(s->arena, arena_copy(s->arena, i->document), &document, err));
  for (const struct json *l = json_get(document, "lines")->child; l; l = l->next) {
    slice number = json_text(json_get(l, "corrects"), "line");
    size_t at = strtoul(arena_printf(s->arena, SLICE_FMT, SLICE_ARG(number)), NULL, 10) - 1;
    must(at < LINES_MAX);
    add(l, "amount", &s->lines[at]);
    add(l, "exact", &s->exact[at]);
  }
  add(document, "tax", &s->tax);
  add(document, "total", &s->total);
  return true;
}

static struct standing standing_of(struct arena *arena, const struct invoice *i) {
  struct standing s = {.arena = arena, .invoice = i->id};
  struct invoice_query query = {.customer = i->customer->id,
                                .kind = SLICE("credit_note"),
                                .after_id = i->id,
                                .limit = SIZE_MAX,
                                .with_document = true};
  struct error err = {0};
  if (!invoice_list(db, &query, add_document, &s, &err)) {
    stop("list", &err);
  }
  return s;
}

static void within(const struct invoice *i, const struct standing *s) {
  for (size_t l = 0; l < i->line_count; l++) {
    must(amount_cmp(s->lines[l], AMOUNT_ZERO) <= 0);
    must(amount_is_zero(s->lines[l]) || -s->lines[l].e12 <= i->lines[l].amount.e12);
  }
  must(s->tax.e12 <= 0 && -s->tax.e12 <= i->tax.e12 && s->total.e12 <= 0 && -s->total.e12 <= i->total.e12);
}

/* ---- notes ---- */

static struct note_request random_request(struct arena *arena, const struct invoice *i) {
  struct note_request r = {.invoice = i->id, .reason = SLICE("because")};
  struct note_line_request *lines = arena_array(arena, i->line_count, sizeof *lines);
  r.id = slice_of(arena_printf(arena, "n%llu", (unsigned long long)next_note++));
  if (below(3) == 0) {
    r.by_amount = true;
    r.amount.e12 = (int128)(1 + below((size_t)(i->total.e12 / CENT))) * CENT;
    return r;
  }
  for (size_t l = 0; l < i->line_count; l++) {
    const struct invoice_line *line = &i->lines[l];
    if (below(2) == 0 || line->amount.e12 <= 0) {
      continue;
    }
    struct note_line_request *one = &lines[r.line_count++];
    *one = (struct note_line_request){.line = line->number, .by = below(4) == 0 ? NOTE_REST : NOTE_AMOUNT};
    one->amount.e12 = (int128)(1 + below((size_t)(line->amount.e12 / CENT))) * CENT;
    if (one->by == NOTE_AMOUNT && below(3) == 0) {
      one->by = NOTE_QUANTITY;
      one->quantity.e9 = 1 + (int128)below((size_t)line->charge->units.e9);
    }
  }
  r.lines = lines;
  r.full = r.line_count == 0;
  return r;
}

static bool try_note(struct arena *arena, const struct note_request *r, struct note_result *out) {
  const struct note_keeping k = {db, ledger, catalog, {20001 * DAY_NS}};
  struct error err = {0};
  must(db_savepoint(db, &err));
  if (note_create(arena, &k, r, out, &err)) {
    must(db_savepoint_release(db, &err) && !out->repeated);
    notes_made++;
    struct note_result again;
    must(note_create(arena, &k, r, &again, &err) && again.repeated && slice_eq(again.id, out->id));
    return true;
  }
  must(err.code == ERR_CONFLICT || err.code == ERR_INVALID);
  db_savepoint_rollback(db);
  refused++;
  return false;
}

static void remember(struct arena *arena, const struct invoice *i, amount balances[5]) {
  static const char *const names[] = {"revenue/A", "revenue/B", "revenue/C", "rounding"};
  char receivable[ACCOUNT_NAME_MAX];
  for (size_t a = 0; a < 5; a++) {
    struct account account = {0};
    struct error err = {0};
    slice name = a < 4 ? slice_of(names[a]) : slice_of(account_receivable(i->customer->id, receivable));
    bool known = ledger_account(ledger, name, SLICE("EUR"), &account, &err);
    balances[a] = known ? account.balance : AMOUNT_ZERO;
  }
  (void)arena;
}

/* The rest in full: then nothing is left, of the document nor in the accounts. */
static void finish(struct arena *arena, const struct invoice *i, const amount before[5], bool below_zero) {
  struct note_request rest = {.invoice = i->id, .reason = SLICE("the rest"), .full = true};
  struct note_result made;
  rest.id = slice_of(arena_printf(arena, "n%llu", (unsigned long long)next_note++));
  (void)!try_note(arena, &rest, &made);
  struct standing s = standing_of(arena, i);
  amount after[5];
  remember(arena, i, after);
  must(-s.total.e12 == i->total.e12 && -s.tax.e12 == i->tax.e12);
  must(amount_cmp(after[4], before[4]) == 0);
  for (size_t l = 0; !below_zero && l < i->line_count; l++) {
    must(-s.lines[l].e12 == i->lines[l].amount.e12);
  }
  for (size_t a = 0; !below_zero && a < 4; a++) {
    must(amount_cmp(after[a], before[a]) == 0);
  }
}

static void run_case(struct arena *arena) {
  bool below_zero = below(3) == 0;
  struct invoice i;
  struct error err = {0};
  amount before[5];
  struct invoice shell = {.customer = &catalog->customers[0]};
  must(db_begin(db, &err));
  /* The receivable is the customer's, who is drawn with the invoice. */
  remember(arena, &shell, before);
  if (make_invoice(arena, below_zero, &i)) {
    before[4] = AMOUNT_ZERO;
    struct account account;
    char receivable[ACCOUNT_NAME_MAX];
    must(
        ledger_account(ledger, slice_of(account_receivable(i.customer->id, receivable)), SLICE("EUR"), &account, &err));
    must(amount_add(account.balance, i.total, &before[4], &err));
    for (size_t n = below(6); n > 0; n--) {
      struct note_request r = random_request(arena, &i);
      struct note_result made;
      if (try_note(arena, &r, &made) && below(4) == 0 &&
          !invoice_void(db, ledger, made.id, (instant){20002 * DAY_NS}, &err)) {
        stop("void", &err);
      }
      struct standing s = standing_of(arena, &i);
      within(&i, &s);
    }
    finish(arena, &i, before, below_zero);
  }
  must(db_commit(db, &err));
  ledger_done(ledger);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 7, checked;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : 150;
  printf("prop_notes: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  char dir[] = "/tmp/prop_notes.XXXXXX", path[64];
  struct error err = {0};
  must(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/db", dir);
  open_world(path);
  for (uint64_t n = 0; n < cases; n++) {
    struct arena *arena = arena_new();
    run_case(arena);
    arena_free(arena);
  }
  must(invoice_check(db, ledger, found, NULL, &checked, &err) && ledger_check(ledger, found, NULL, &err));
  printf("%llu documents, %llu notes, %llu refused\n", (unsigned long long)checked, (unsigned long long)notes_made,
         (unsigned long long)refused);
  must(notes_made > cases && refused > 0);
  ledger_close(ledger);
  db_close(db);
  catalog_free(catalog);
  for (int i = 0; i < 3; i++) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    snprintf(path, sizeof path, "%s/db%s", dir, ends[i]);
    unlink(path);
  }
  rmdir(dir);
  return 0;
}
