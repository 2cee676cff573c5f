/* A statement of account as JSON and as text. */
#include "collect/private.h"

static const char *const aging_keys[] = {"current", "days_1_30", "days_31_60", "days_61_90", "days_over_90"};
static const char *const aging_titles[] = {"current", "1-30", "31-60", "61-90", "over 90"};

static void put_line(struct json_out *w, const struct statement_line *l) {
  json_open_object(w);
  json_put_instant(w, "time", l->time);
  json_put_cstr(w, "kind", l->kind);
  if (l->number.len > 0) {
    json_put_str(w, "number", l->number);
  }
  if (l->payment.len > 0) {
    json_put_str(w, "payment", l->payment);
  }
  json_put_amount(w, "amount", l->amount);
  json_put_amount(w, "balance", l->balance);
  json_close_object(w);
}

static void put_open(struct json_out *w, const struct statement_open *o) {
  json_open_object(w);
  json_put_str(w, "number", o->number);
  json_put_instant(w, "due", o->due);
  json_put_int(w, "days_overdue", o->days_overdue);
  json_put_amount(w, "amount", o->amount);
  json_close_object(w);
}

static void put_aging(struct json_out *w, const struct statement *s) {
  json_key(w, "aging");
  json_open_object(w);
  for (enum aging a = AGING_CURRENT; a < AGING_BUCKETS; a++) {
    json_put_amount(w, aging_keys[a], s->aging[a]);
  }
  json_put_amount(w, "credits", s->credits);
  json_close_object(w);
}

void statement_put(struct json_out *w, const struct statement *s) {
  json_open_object(w);
  json_put_str(w, "customer", s->customer->id);
  json_put_str(w, "name", s->customer->party.name);
  json_put_cstr(w, "currency", s->customer->currency->code);
  json_put_instant(w, "from", s->period.from);
  json_put_instant(w, "to", s->period.to);
  json_put_amount(w, "opening", s->opening);
  json_key(w, "lines");
  json_open_array(w);
  for (size_t i = 0; i < s->line_count; i++) {
    put_line(w, &s->lines[i]);
  }
  json_close_array(w);
  json_put_amount(w, "closing", s->closing);
  json_put_amount(w, "unapplied", s->unapplied);
  json_key(w, "open");
  json_open_array(w);
  for (size_t i = 0; i < s->open_count; i++) {
    put_open(w, &s->open[i]);
  }
  json_close_array(w);
  put_aging(w, s);
  json_close_object(w);
}

/* ---- text ---- */

static void add_row(struct buf *out, const struct statement *s, const char *date, const char *what, amount value,
                    const amount *balance) {
  char shown[DECIMAL_TEXT_MAX * 2], after[DECIMAL_TEXT_MAX * 2] = "";
  if (balance) {
    amount_display(*balance, s->customer->currency, after);
  }
  buf_addf(out, "%-10s  %-44s %16s %16s\n", date, what, amount_display(value, s->customer->currency, shown), after);
}

static void add_line(struct buf *out, const struct statement *s, const struct statement_line *l) {
  char date[TIME_TEXT_MAX], what[256], kind[16];
  snprintf(kind, sizeof kind, "%s", l->kind);
  for (char *c = kind; *c; c++) {
    *c = *c == '_' ? ' ' : *c;
  }
  snprintf(what, sizeof what, "%s%s" SLICE_FMT, kind, l->number.len ? " " : "", SLICE_ARG(l->number));
  add_row(out, s, time_format_date(l->time, s->customer->time_zone, date), what, l->amount, &l->balance);
}

static void add_open(struct buf *out, const struct statement *s, const struct statement_open *o) {
  char date[TIME_TEXT_MAX], what[256];
  int n = snprintf(what, sizeof what, "open: " SLICE_FMT, SLICE_ARG(o->number));
  if (o->days_overdue > 0 && n > 0 && (size_t)n < sizeof what) {
    snprintf(what + n, sizeof what - (size_t)n, ", %lld days overdue", (long long)o->days_overdue);
  }
  add_row(out, s, time_format_date(o->due, s->customer->time_zone, date), what, o->amount, NULL);
}

void statement_text(const struct statement *s, struct buf *out) {
  char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
  const char *zone = s->customer->time_zone;
  instant last = {s->period.to.ns > 0 ? s->period.to.ns - 1 : 0};
  buf_addf(out, "Statement of account: " SLICE_FMT " (" SLICE_FMT "), %s to %s, in %s\n\n",
           SLICE_ARG(s->customer->party.name), SLICE_ARG(s->customer->id), time_format_date(s->period.from, zone, from),
           time_format_date(last, zone, to), s->customer->currency->code);
  add_row(out, s, from, "opening balance", s->opening, &s->opening);
  for (size_t i = 0; i < s->line_count; i++) {
    add_line(out, s, &s->lines[i]);
  }
  add_row(out, s, to, "closing balance", s->closing, &s->closing);
  if (!amount_is_zero(s->unapplied)) {
    add_row(out, s, to, "received and not applied", s->unapplied, NULL);
  }
  buf_addc(out, '\n');
  for (size_t i = 0; i < s->open_count; i++) {
    add_open(out, s, &s->open[i]);
  }
  for (enum aging a = AGING_CURRENT; a < AGING_BUCKETS; a++) {
    char what[64];
    snprintf(what, sizeof what, "%s%s", aging_titles[a], a == AGING_CURRENT ? "" : " days overdue");
    add_row(out, s, "", what, s->aging[a], NULL);
  }
  if (!amount_is_zero(s->credits)) {
    add_row(out, s, "", "credit notes not used", s->credits, NULL);
  }
}
