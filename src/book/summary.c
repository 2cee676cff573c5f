/* The picture of a period: the same numbers as text for the terminal and as JSON for the API and the first page. */
#include "base/json.h"
#include "book/private.h"
#include <stdlib.h>
#include <string.h>

#define CUSTOMERS_SHOWN 8
#define BAR_CELLS 20

/* Invoices of the period as they are kept. */
struct invoice_totals {
  uint64_t count, open;
  amount total, paid;
};

struct picture {
  const struct book *book;
  slice period;
  struct book_stats stats;
  struct finance_summary finance;
  struct invoice_totals invoices;
};

static bool add_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  struct picture *p = context;
  if (slice_is(i->status, "void") || !slice_is(i->currency, p->finance.currency->code)) {
    return true;
  }
  p->invoices.count++;
  p->invoices.open += slice_is(i->status, "finalized") && i->corrects.len == 0;
  return amount_add(p->invoices.total, i->total, &p->invoices.total, err) &&
         amount_add(p->invoices.paid, i->paid, &p->invoices.paid, err);
}

static const char *money(const struct picture *p, amount a, char text[DECIMAL_TEXT_MAX * 2]) {
  amount rounded;
  struct error ignored = {0};
  if (!amount_round(a, p->finance.currency, ROUND_HALF_EVEN, &rounded, &ignored)) {
    rounded = a;
  }
  return amount_display(rounded, p->finance.currency, text);
}

static void bar(struct buf *out, rate r) {
  int cells = (int)(r.e12 * BAR_CELLS / RATE_ONE.e12);
  for (int i = 0; i < BAR_CELLS; i++) {
    buf_add(out, i < cells ? SLICE("█") : SLICE("·"));
  }
}

static void whole(quantity q, char text[DECIMAL_TEXT_MAX]) {
  quantity_text(q, text);
  char *dot = strchr(text, '.');
  if (dot) {
    *dot = '\0';
  }
}

static void text_pools(const struct picture *p, struct buf *out) {
  if (p->finance.pool_count == 0) {
    return;
  }
  buf_addf(out, "\nUtilization by pool (sold / available)\n");
  for (size_t i = 0; i < p->finance.pool_count; i++) {
    const struct pool_result *r = &p->finance.pools[i];
    char share[DECIMAL_TEXT_MAX], sold[DECIMAL_TEXT_MAX], available[DECIMAL_TEXT_MAX], cost[DECIMAL_TEXT_MAX * 2];
    whole(r->sold, sold);
    whole(r->available, available);
    buf_addf(out, "  %-18.*s ", (int)r->pool->name.len, r->pool->name.ptr);
    bar(out, r->utilization);
    buf_addf(out, " %7s  %9s of %9s  cost %14s\n", rate_percent(r->utilization, share), sold, available,
             money(p, r->cost.total, cost));
  }
}

static void text_shares(const struct picture *p, const char *title, const struct finance_share *shares, size_t count,
                        size_t shown, struct buf *out) {
  char text[DECIMAL_TEXT_MAX * 2], part[DECIMAL_TEXT_MAX];
  buf_addf(out, "\n%s\n", title);
  for (size_t i = 0; i < count && i < shown; i++) {
    rate share = {0};
    struct error ignored = {0};
    if (p->finance.revenue.e12 > 0 && !int128_muldiv(shares[i].amount.e12, RATE_ONE.e12, p->finance.revenue.e12,
                                                     ROUND_HALF_EVEN, &share.e12, &ignored)) {
      share.e12 = 0;
    }
    buf_addf(out, "  %-32.*s %16s  %7s\n", (int)shares[i].name.len, shares[i].name.ptr,
             money(p, shares[i].amount, text), rate_percent(share, part));
  }
  if (count > shown) {
    buf_addf(out, "  and %zu more\n", count - shown);
  }
}

static void text_head(const struct picture *p, struct buf *out) {
  const struct catalog *catalog = p->book->catalog;
  buf_addf(out, SLICE_FMT " · " SLICE_FMT "\n\n", SLICE_ARG(catalog->seller.party.name), SLICE_ARG(p->period));
  buf_addf(out, "  events kept       %12llu   duplicates %llu · conflicts %llu · invalid %llu\n",
           (unsigned long long)p->stats.events, (unsigned long long)p->stats.duplicates,
           (unsigned long long)p->stats.conflicts, (unsigned long long)p->stats.invalid);
  char revenue[DECIMAL_TEXT_MAX * 2], cost[DECIMAL_TEXT_MAX * 2], margin[DECIMAL_TEXT_MAX * 2], share[DECIMAL_TEXT_MAX];
  const char *code = p->finance.currency->code;
  buf_addf(out, "  revenue           %12s %s   before tax and rounding\n", money(p, p->finance.revenue, revenue), code);
  buf_addf(out, "  cost of capacity  %12s %s\n", money(p, p->finance.cost, cost), code);
  buf_addf(out, "  gross margin      %12s %s   %s\n", money(p, p->finance.margin, margin), code,
           rate_percent(p->finance.margin_share, share));
}

static void text_tail(const struct picture *p, struct buf *out) {
  char total[DECIMAL_TEXT_MAX * 2], paid[DECIMAL_TEXT_MAX * 2], top[DECIMAL_TEXT_MAX];
  const char *code = p->finance.currency->code;
  buf_addf(out, "\n  largest customer  %s of revenue\n", rate_percent(p->finance.top_share, top));
  buf_addf(out, "  invoices          %llu, %s %s with tax; paid %s %s\n", (unsigned long long)p->invoices.count,
           money(p, p->invoices.total, total), code, money(p, p->invoices.paid, paid), code);
  if (p->finance.unpriced > 0) {
    buf_addf(out, "  UNPRICED          %llu kinds of usage matched no price: `meterhouse close` lists them\n",
             (unsigned long long)p->finance.unpriced);
  }
  if (p->finance.skipped > 0) {
    buf_addf(out, "  not shown         %llu customers billed in another currency\n",
             (unsigned long long)p->finance.skipped);
  }
  if (p->invoices.count > 0) {
    buf_addf(out, "  PDFs              %s/invoices/\n", p->book->dir);
  }
}

static void text_picture(const struct picture *p, struct buf *out) {
  text_head(p, out);
  text_pools(p, out);
  text_shares(p, "Revenue by product", p->finance.products, p->finance.product_count, SIZE_MAX, out);
  text_shares(p, "Top customers", p->finance.customers, p->finance.customer_count, CUSTOMERS_SHOWN, out);
  text_tail(p, out);
}

static void json_pools(const struct picture *p, struct json_out *w) {
  json_key(w, "pools");
  json_open_array(w);
  for (size_t i = 0; i < p->finance.pool_count; i++) {
    const struct pool_result *r = &p->finance.pools[i];
    json_open_object(w);
    json_put_str(w, "name", r->pool->name);
    json_put_str(w, "kind", r->pool->kind);
    json_put_str(w, "site", r->pool->site);
    json_put_str(w, "unit", r->pool->meter ? r->pool->meter->unit : SLICE(""));
    json_put_quantity(w, "count", r->pool->count);
    json_put_quantity(w, "available", r->available);
    json_put_quantity(w, "sold", r->sold);
    json_put_rate(w, "utilization", r->utilization);
    json_put_amount(w, "cost", r->cost.total);
    json_put_amount(w, "cost_per_sold_unit", r->cost_per_sold_unit);
    json_close_object(w);
  }
  json_close_array(w);
}

static void json_shares(struct json_out *w, const char *key, const struct finance_share *shares, size_t count) {
  json_key(w, key);
  json_open_array(w);
  for (size_t i = 0; i < count; i++) {
    json_open_object(w);
    json_put_str(w, "name", shares[i].name);
    json_put_amount(w, "amount", shares[i].amount);
    json_close_object(w);
  }
  json_close_array(w);
}

static void json_events(const struct picture *p, struct json_out *w) {
  json_key(w, "events");
  json_open_object(w);
  json_put_int(w, "kept", (int64_t)p->stats.events);
  json_put_int(w, "duplicates", (int64_t)p->stats.duplicates);
  json_put_int(w, "conflicts", (int64_t)p->stats.conflicts);
  json_put_int(w, "invalid", (int64_t)p->stats.invalid);
  json_close_object(w);
}

static void json_invoices(const struct picture *p, struct json_out *w) {
  json_key(w, "invoices");
  json_open_object(w);
  json_put_int(w, "count", (int64_t)p->invoices.count);
  json_put_int(w, "open", (int64_t)p->invoices.open);
  json_put_amount(w, "total", p->invoices.total);
  json_put_amount(w, "paid", p->invoices.paid);
  json_close_object(w);
}

static void json_picture(const struct picture *p, struct buf *out) {
  struct json_out w;
  json_out_init(&w, out, true);
  json_open_object(&w);
  json_put_str(&w, "seller", p->book->catalog->seller.party.name);
  json_put_str(&w, "period", p->period);
  json_put_cstr(&w, "currency", p->finance.currency->code);
  json_put_int(&w, "minor_units", p->finance.currency->minor_units);
  json_events(p, &w);
  json_put_amount(&w, "revenue", p->finance.revenue);
  json_put_amount(&w, "cost", p->finance.cost);
  json_put_amount(&w, "gross_margin", p->finance.margin);
  json_put_rate(&w, "gross_margin_share", p->finance.margin_share);
  json_put_rate(&w, "concentration_hhi", p->finance.hhi);
  json_put_rate(&w, "largest_customer_share", p->finance.top_share);
  json_pools(p, &w);
  json_shares(&w, "products", p->finance.products, p->finance.product_count);
  json_shares(&w, "customers", p->finance.customers, p->finance.customer_count);
  json_invoices(p, &w);
  json_put_int(&w, "unpriced", (int64_t)p->finance.unpriced);
  json_put_int(&w, "other_currency_customers", (int64_t)p->finance.skipped);
  json_close_object(&w);
  buf_addc(out, '\n');
}

bool book_summary(struct book *book, slice period, struct buf *text, struct buf *json, struct error *err) {
  struct picture p = {.book = book, .period = period};
  struct period bounds;
  struct rating_set set;
  if (!time_parse_period(period, book->catalog->time_zone, &bounds, err) || !book_stats(book, &p.stats, err) ||
      !book_rate(book, (slice){0}, period, &set, err)) {
    return false;
  }
  struct invoice_query query = {.period = period, .limit = SIZE_MAX};
  size_t count;
  const struct rating *ratings = rating_set_all(&set, &count);
  bool ok =
      finance_summarize(set.arena, book->catalog, bounds, ratings, count, set.rows, set.row_count, &p.finance, err) &&
      invoice_list(book->db, &query, add_invoice, &p, err);
  if (ok && text) {
    text_picture(&p, text);
  }
  if (ok && json) {
    json_picture(&p, json);
  }
  rating_set_free(&set);
  return ok;
}

struct newest {
  struct arena *arena;
  slice period;
};

static bool take_newest(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct newest *newest = context;
  newest->period = arena_copy(newest->arena, db_bytes(row, 0));
  return true;
}

bool book_default_period(struct book *book, slice wanted, struct arena *arena, slice *out, struct error *err) {
  struct newest newest = {.arena = arena, .period = wanted};
  if (wanted.len == 0 && !db_query(book->db, "SELECT period FROM invoice ORDER BY period_from DESC, id LIMIT 1",
                                   DB_NO_VALUES, take_newest, &newest, err)) {
    return false;
  }
  if (newest.period.len == 0) {
    struct civil now = time_civil_utc(clock_now());
    newest.period = slice_of(arena_printf(arena, "%04d-%02d", now.year, now.month));
  }
  *out = newest.period;
  return true;
}
