/* Adjustments read back from a document: the stretches of the journal they are of, and the charges it states. */
#include "bill/private.h"

static bool take_number(const struct json *object, const char *key, uint64_t *out, struct error *err) {
  quantity q;
  if (!quantity_parse(json_text(object, key), &q, err) || q.e9 < 0) {
    return error_set(err, ERR_INVALID, "invoice document: %s should be a number", key);
  }
  *out = (uint64_t)(q.e9 / QUANTITY_E9);
  return true;
}

static bool take_time(const struct json *object, const char *key, instant *out, struct error *err) {
  return time_parse_rfc3339(json_text(object, key), out, err) || error_at(err, "invoice document: %s", key);
}

static bool take_quantity(const struct json *object, const char *key, quantity *out, struct error *err) {
  return quantity_parse(json_text(object, key), out, err) || error_at(err, "invoice document: %s", key);
}

static bool take_adjustment(const struct json *document, const struct json *a, struct adjustment *out,
                            struct error *err) {
  out->span.customer = json_text(json_get(document, "customer"), "id");
  out->span.period = json_text(a, "period");
  out->span.invoice = json_text(a, "invoice");
  out->span.catalog = json_text(a, "catalog");
  return take_number(a, "from_event", &out->span.from_event, err) &&
         take_number(a, "to_event", &out->span.to_event, err) &&
         take_time(a, "as_of_before", &out->span.as_of_before, err) &&
         take_time(a, "as_of_after", &out->span.as_of_after, err) &&
         take_quantity(a, "quantity_before", &out->units_before, err) &&
         take_quantity(a, "quantity_after", &out->units_after, err) &&
         document_amount(a, "exact_before", &out->exact_before, err) &&
         document_amount(a, "exact_after", &out->exact_after, err);
}

/* The plan as the document names it; the catalog may no longer hold that version. */
static bool take_segment(struct arena *arena, const struct json *line, struct segment *out, struct error *err) {
  struct plan *plan = arena_alloc(arena, sizeof *plan);
  plan->name = json_text(line, "plan");
  plan->prices_include_tax = json_get(line, "gross_exact") != NULL;
  out->plan = plan;
  return take_time(line, "plan_valid_from", &plan->valid_from, err) && take_time(line, "from", &out->from, err) &&
         take_time(line, "to", &out->to, err);
}

static bool take_charge(struct arena *arena, const struct catalog *catalog, const struct json *document,
                        const struct json *line, struct charge *out, struct error *err) {
  struct adjustment *adjustment = arena_alloc(arena, sizeof *adjustment);
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  *out = (struct charge){.kind = CHARGE_ADJUSTMENT,
                         .name = json_text(line, "description"),
                         .product = json_text(line, "product"),
                         .unit = json_text(line, "unit"),
                         .segment = segment,
                         .meter = catalog_meter(catalog, json_text(line, "meter")),
                         .adjustment = adjustment};
  bool ok = take_adjustment(document, json_get(line, "adjusts"), adjustment, err) &&
            take_segment(arena, line, segment, err) && take_quantity(line, "quantity", &out->units, err) &&
            document_amount(line, json_get(line, "gross_exact") ? "gross_exact" : "exact", &out->exact, err);
  out->raw = out->units;
  return ok && (json_text(line, "raw_quantity").len == 0 || take_quantity(line, "raw_quantity", &out->raw, err));
}

/* The difference of a line must be the difference of its two sides, and the two periods must be of one piece. */
static bool adds_up(const struct charge *c, struct error *err) {
  amount exact;
  quantity units;
  const struct adjustment *a = c->adjustment;
  if (!amount_sub(a->exact_after, a->exact_before, &exact, err) ||
      !quantity_sub(a->units_after, a->units_before, &units, err)) {
    return false;
  }
  return (amount_cmp(exact, c->exact) == 0 && quantity_cmp(units, c->units) == 0) ||
         error_set(err, ERR_INVALID, "line \"" SLICE_FMT "\": the adjustment is not after - before",
                   SLICE_ARG(c->name));
}

bool invoice_adjustments(struct arena *arena, const struct catalog *catalog, slice bytes,
                         struct adjustment_span **spans, size_t *span_count, struct charge **charges,
                         size_t *charge_count, struct error *err) {
  const struct json *document;
  if (!document_parse(arena, arena_copy(arena, bytes), &document, err)) {
    return false;
  }
  const struct json *lines = json_get(document, "lines");
  size_t count = lines ? lines->count : 0;
  *span_count = *charge_count = 0;
  *spans = arena_array(arena, count, sizeof **spans);
  *charges = arena_array(arena, count, sizeof **charges);
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    if (json_get(l, "adjusts") == NULL) {
      continue;
    }
    struct charge *c = &(*charges)[(*charge_count)++];
    if (!take_charge(arena, catalog, document, l, c, err) || !adds_up(c, err)) {
      return false;
    }
    const struct adjustment_span *s = &c->adjustment->span;
    if (*span_count == 0 || !slice_eq((*spans)[*span_count - 1].invoice, s->invoice)) {
      (*spans)[(*span_count)++] = *s;
    }
  }
  return true;
}
