/* Reads what plans may be priced in besides the customer's money: virtual currencies, and dated exchange rates. */
#include "catalog/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- virtual currencies ---- */

static bool code_is_fine(slice code) {
  bool fine = code.len >= 3 && code.len <= 8 && code.ptr[0] >= 'A' && code.ptr[0] <= 'Z';
  for (size_t i = 1; fine && i < code.len; i++) {
    fine = (code.ptr[i] >= 'A' && code.ptr[i] <= 'Z') || (code.ptr[i] >= '0' && code.ptr[i] <= '9');
  }
  return fine;
}

static void read_virtual_currency(struct loader *l, const struct yaml *map, struct virtual_currency *out) {
  static const char *const keys[] = {"code", "name", "decimals", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *code = needed(l, map, "code", "plans and exchange rates refer to it, such as CRED");
  slice text = name_of(l, code);
  if (text.len == 0) {
    return; /* told already */
  }
  if (!code_is_fine(text)) {
    problem(l, code, "is \"%s\", expected 3 to 8 capital letters and digits, such as CRED", shown(l, text));
    return;
  }
  if (currency_find(text)) {
    problem(l, code, "%s is a currency of ISO 4217: give yours a code of its own", shown(l, text));
  }
  memcpy(out->currency.code, text.ptr, text.len);
  memcpy(out->currency.symbol, text.ptr, text.len < 7 ? text.len : 7);
  out->currency.minor_units = (uint8_t)integer_of(l, field(map, "decimals"), 0, 4, 2);
  out->name = field(map, "name") ? name_of(l, field(map, "name")) : text;
}

void read_virtual_currencies(struct loader *l) {
  size_t count = section_count(l, "virtual_currencies", ENTRIES_MAX);
  struct virtual_currency *list = arena_array(l->arena, count, sizeof *list);
  struct section section = {.key = "virtual_currencies"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    list[i].place = place_of(l, node);
    read_virtual_currency(l, node, &list[i]);
    must_be_new(l, &seen, slice_of(list[i].currency.code), node, "virtual currency");
  }
  map_free(&seen);
  l->catalog->virtual_currencies = list;
  l->catalog->virtual_currency_count = count;
}

const struct currency *any_currency_of(struct loader *l, const struct yaml *node, const struct currency *otherwise) {
  for (size_t i = 0; node && node->kind == YAML_SCALAR && i < l->catalog->virtual_currency_count; i++) {
    const struct currency *currency = &l->catalog->virtual_currencies[i].currency;
    if (node->text.len > 0 && slice_is(node->text, currency->code)) {
      return currency;
    }
  }
  return currency_of(l, node, otherwise);
}

/* ---- exchange rates ---- */

struct read_rate {
  struct exchange_rate rate;
  const struct yaml *node;
};

static void read_exchange_rate(struct loader *l, const struct yaml *map, struct exchange_rate *out) {
  static const char *const keys[] = {"from", "to", "rate", "on", NULL};
  static const rate lowest = {1}, highest = {1000000000 * AMOUNT_E12};
  out->from = out->to = l->catalog->currency;
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *to = needed(l, map, "to", "what it is changed into");
  size_t before = l->problems.count;
  out->from = any_currency_of(l, needed(l, map, "from", "the currency of prices"), out->from);
  out->to = any_currency_of(l, to, out->to);
  rate_of(l, needed(l, map, "rate", "how much of `to` one of `from` is worth"), lowest, highest, &out->rate);
  instant_of(l, needed(l, map, "on", "the day from which it holds"), l->catalog->time_zone, &out->on);
  if (out->from == out->to && before == l->problems.count) {
    problem(l, to, "is the same as \"from\"");
  }
}

static int compare_pairs(const struct exchange_rate *r, const struct currency *from, const struct currency *to) {
  int order = strcmp(r->from->code, from->code);
  return order != 0 ? order : strcmp(r->to->code, to->code);
}

static int compare_rates(const void *a, const void *b) {
  const struct read_rate *x = a, *y = b;
  int order = compare_pairs(&x->rate, y->rate.from, y->rate.to);
  if (order == 0) {
    order = (x->rate.on.ns > y->rate.on.ns) - (x->rate.on.ns < y->rate.on.ns);
  }
  return order != 0 ? order : (x->node->line > y->node->line) - (x->node->line < y->node->line);
}

void read_exchange_rates(struct loader *l) {
  size_t count = section_count(l, "exchange_rates", RATES_MAX);
  struct read_rate *read = arena_array(l->scratch, count, sizeof *read);
  struct exchange_rate *rates = arena_array(l->arena, count, sizeof *rates);
  struct section section = {.key = "exchange_rates"};
  for (size_t i = 0; i < count; i++) {
    read[i].node = section_next(l, &section);
    read[i].rate.place = place_of(l, read[i].node);
    read_exchange_rate(l, read[i].node, &read[i].rate);
  }
  if (count > 0) {
    qsort(read, count, sizeof *read, compare_rates);
  }
  for (size_t i = 0; i < count; i++) {
    rates[i] = read[i].rate;
    if (i > 0 && compare_pairs(&rates[i], rates[i - 1].from, rates[i - 1].to) == 0 &&
        rates[i].on.ns == rates[i - 1].on.ns && rates[i].rate.e12 > 0) {
      problem(l, read[i].node, "there is a rate from %s to %s of that day on %s:%d already", rates[i].from->code,
              rates[i].to->code, rates[i - 1].place.file, rates[i - 1].place.line);
    }
  }
  l->catalog->exchange_rates = rates;
  l->catalog->exchange_rate_count = count;
}

/* ---- checking ---- */

static void check_part(struct loader *l, const struct contract *part) {
  const struct plan *plan = first_version(l->catalog, part->plan_name), *other = part->own;
  for (size_t i = 0; i < part->add_on_count && (!other || other->currency == plan->currency); i++) {
    other = first_version(l->catalog, part->add_ons[i].plan_name);
  }
  if (other && other->currency != plan->currency) {
    struct error err;
    (void)error_set(&err, ERR_INVALID,
                    "%s:%d: plan \"%s\" is in %s but \"%s\", which holds at the same time, is in %s: all of a contract "
                    "that holds at a time has one currency",
                    part->place.file, part->place.line, shown(l, plan->name), plan->currency->code,
                    shown(l, other == part->own ? SLICE("the contract's own terms") : other->name),
                    other->currency->code);
    problem_take(l, &err);
  }
}

void check_currencies(struct loader *l) {
  const struct catalog *c = l->catalog;
  for (size_t i = 0; l->problems.count == 0 && i < c->customer_count; i++) {
    for (size_t k = 0; k < c->customers[i].contract_count; k++) {
      check_part(l, &c->customers[i].contracts[k]);
    }
  }
}

/* ---- looking up ---- */

/* How many rates come before the first of the pair that begins after `t`. */
static size_t rates_until(const struct catalog *c, const struct currency *from, const struct currency *to, instant t) {
  size_t low = 0, high = c->exchange_rate_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct exchange_rate *r = &c->exchange_rates[middle];
    int order = compare_pairs(r, from, to);
    if (order < 0 || (order == 0 && r->on.ns <= t.ns)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

const struct exchange_rate *catalog_exchange_rate(const struct catalog *c, const struct currency *from,
                                                  const struct currency *to, instant t) {
  size_t after = rates_until(c, from, to, t);
  const struct exchange_rate *found = after > 0 ? &c->exchange_rates[after - 1] : NULL;
  return found && found->from == from && found->to == to ? found : NULL;
}

bool any_exchange_rate(const struct catalog *c, const struct currency *from, const struct currency *to) {
  return catalog_exchange_rate(c, from, to, INSTANT_MAX) != NULL;
}
