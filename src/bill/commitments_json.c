/* Commitments on the document: each interval as it stood before and as it stands after, written and read back. */
#include "bill/private.h"

static void put_more(struct json_out *w, const struct invoice *i, const char *key, amount a) {
  if (!amount_is_zero(a)) {
    put_money(w, i, key, a);
  }
}

/* Left out when there is nothing to divide by. */
static void put_share(struct json_out *w, const char *key, int128 part, int128 whole) {
  struct error ignored = {0};
  rate share;
  if (whole > 0 && int128_muldiv(part, RATE_ONE.e12, whole, ROUND_HALF_EVEN, &share.e12, &ignored)) {
    json_put_rate(w, key, share);
  }
}

static void put_before(struct json_out *w, const struct invoice *i, const struct commitment_state *before) {
  put_money(w, i, "opening", before->balance);
  if (amount_is_zero(before->committed) && amount_is_zero(before->spent) && amount_is_zero(before->billed)) {
    return;
  }
  json_key(w, "before");
  json_open_object(w);
  put_money(w, i, "committed", before->committed);
  put_money(w, i, "spent", before->spent);
  put_money(w, i, "billed", before->billed);
  json_close_object(w);
}

static void put_shares(struct json_out *w, const struct invoice *i, const struct invoice_commitment *c) {
  const struct commitment_span *span = c->span;
  instant until = i->as_of.ns != 0 ? time_earlier(i->as_of, i->period.to) : i->period.to;
  until = time_later(span->from, time_earlier(until, span->to));
  put_share(w, "utilization", c->spent.e12, c->available.e12);
  put_share(w, "coverage", c->covered.e12, c->eligible.e12);
  if (span->to.ns < INSTANT_MAX.ns) {
    put_share(w, "elapsed", until.ns - span->from.ns, span->to.ns - span->from.ns);
  }
}

void commitment_put(struct json_out *w, const struct invoice *i, const struct invoice_commitment *c) {
  const struct commitment_span *span = c->span;
  const struct commitment *commitment = span->commitment;
  json_open_object(w);
  json_put_str(w, "name", commitment->name);
  json_put_cstr(w, "kind", commitment_kind_name(commitment->kind));
  json_put_cstr(w, "shape", commitment_shape_name(commitment->shape));
  json_put_cstr(w, "per", commitment_per_name(commitment->per));
  json_put_instant(w, "from", span->from);
  json_put_instant(w, "to", span->to);
  put_money(w, i, "amount", span->amount);
  put_before(w, i, &c->before);
  put_money(w, i, "bought", c->bought);
  put_more(w, i, "carried", c->carried);
  put_money(w, i, "drawn", c->drawn);
  put_money(w, i, "expired", c->expired);
  put_more(w, i, "rolled", c->rolled);
  put_money(w, i, "closing", c->closing);
  put_money(w, i, "spent", c->spent);
  if (commitment->shape == COMMITMENT_PREPAID) {
    put_money(w, i, "billed", c->billed);
    put_money(w, i, "unbilled", c->unbilled);
  }
  put_money(w, i, "eligible", c->eligible);
  put_money(w, i, "covered", c->covered);
  put_shares(w, i, c);
  json_close_object(w);
}

/* ---- read back ---- */

bool commitment_is_spend(const struct json *element) {
  slice kind = json_text(element, "kind");
  return slice_is(kind, commitment_kind_name(COMMITMENT_SPEND)) ||
         slice_is(kind, commitment_kind_name(COMMITMENT_MINIMUM));
}

static bool take_state(const struct json *element, struct commitment_state *out, struct error *err) {
  const struct json *before = json_get(element, "before");
  *out = (struct commitment_state){.name = json_text(element, "name")};
  bool ok = time_parse_rfc3339(json_text(element, "from"), &out->from, err) &&
            document_amount(element, "opening", &out->balance, err) &&
            (before == NULL || (document_amount(before, "committed", &out->committed, err) &&
                                document_amount(before, "spent", &out->spent, err) &&
                                document_amount(before, "billed", &out->billed, err)));
  return ok || error_at(err, "invoice document: commitment \"%.*s\"", out->name.len > 60 ? 60 : (int)out->name.len,
                        out->name.ptr);
}

bool commitments_stated(struct arena *arena, const struct json *document, struct invoice_purse *out,
                        struct error *err) {
  const struct json *list = json_get(document, "commitments");
  struct commitment_state *states = arena_array(arena, list ? list->count : 0, sizeof *states);
  out->commitments = states;
  for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
    if (commitment_is_spend(c) && !take_state(c, &states[out->commitment_count++], err)) {
      return false;
    }
  }
  return true;
}
