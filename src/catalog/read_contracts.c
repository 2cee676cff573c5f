/* Reads contracts: plan, term, phases, changes, add-ons and a customer's own prices. contract_parts.c cuts them. */
#include "catalog/private.h"

#include <stdlib.h>

#define PHASES_MAX 20
#define CHANGES_MAX 500

/* In any of its versions, of which `plan` is the first. */
static bool plan_commits(const struct catalog *c, const struct plan *plan) {
  bool any = false;
  for (const struct plan *p = plan; p < c->plans + c->plan_count && slice_eq(p->name, plan->name); p++) {
    any |= p->commitment_count > 0;
  }
  return any;
}

static const struct plan *plan_named(struct loader *l, const struct yaml *node, const struct customer *customer) {
  const struct catalog *c = l->catalog;
  if (!node || !scalar(l, node)) {
    return NULL;
  }
  const struct plan *plan = first_version(c, slice_trim(node->text));
  if (!plan) {
    problem(l, node, "there is no plan \"%s\"%s", shown(l, node->text),
            did_you_mean_any(l, node->text, plan_name_at, c->plans, c->plan_count));
  } else if (plan->currency != customer->currency && !any_exchange_rate(c, plan->currency, customer->currency)) {
    problem(l, node,
            "plan \"%s\" is in %s but the customer pays in %s: both must be the same, or exchange_rates must hold a "
            "rate from %s to %s",
            shown(l, plan->name), plan->currency->code, customer->currency->code, plan->currency->code,
            customer->currency->code);
  }
  if (plan && plan->currency != customer->currency && plan_commits(l->catalog, plan)) {
    problem(l, node, "plan \"%s\" has commitments in %s but the customer pays in %s: write them in the contract",
            shown(l, plan->name), plan->currency->code, customer->currency->code);
  }
  return plan;
}

static slice plan_name_of(struct loader *l, const struct yaml *node, const struct customer *customer) {
  const struct plan *plan = plan_named(l, node, customer);
  return plan ? plan->name : (slice){0};
}

/* ---- term ---- */

static bool span_of(struct loader *l, const struct yaml *node, struct time_span *out) {
  struct error err = {0};
  if (!node || !scalar(l, node)) {
    return false;
  }
  if (!time_parse_span(slice_trim(node->text), out, &err)) {
    problem(l, node, "%s", err.message);
    return false;
  }
  return true;
}

/* `term` with `renew` leaves the contract open: it only says at which ends it may be left. */
static void read_length(struct loader *l, const struct yaml *map, const struct customer *customer,
                        struct contract_draft *out) {
  const struct yaml *term = field(map, "term"), *to = field(map, "to"), *renew = field(map, "renew");
  struct error err = {0};
  bool renews = flag_of(l, renew, false);
  if (renew && !term) {
    problem(l, renew, "goes with a term, such as term: 1 year");
  }
  if (!span_of(l, term, &out->term)) {
    return;
  }
  out->has_term = true;
  out->base.term = out->term;
  if (to) {
    problem(l, to, "the contract has a term on line %d as well: keep one of the two", term->line);
  } else if (!renews && !time_add_span(out->base.from, out->term, customer->time_zone, &out->base.to, &err)) {
    problem(l, term, "%s", err.message);
  }
}

/* Dates count in the customer's time zone, in which the customer is billed. */
static void read_term(struct loader *l, const struct yaml *map, const char *from_key, const struct plan *first,
                      const struct customer *customer, struct contract_draft *draft) {
  const struct yaml *from = field(map, from_key), *to = field(map, "to");
  struct contract *out = &draft->base;
  char text[TIME_TEXT_MAX];
  out->from = first ? first->valid_from : (instant){0};
  out->to = INSTANT_MAX;
  bool has_from = instant_of(l, from, customer->time_zone, &out->from);
  instant_of(l, to, customer->time_zone, &out->to);
  read_length(l, map, customer, draft);
  if (has_from && first && out->from.ns < first->valid_from.ns) {
    problem(l, from,
            "plan \"%s\" is valid from %s only (%s:%d): begin the contract then, or leave the plan's first "
            "valid_from out",
            shown(l, first->name), time_format(first->valid_from, text), first->place.file, first->place.line);
  }
  if (out->to.ns <= out->from.ns) {
    problem(l, to ? to : map, "the contract ends before it begins");
  }
}

/* ---- what it adds to the plan ---- */

static const struct plan *own_terms(struct loader *l, const struct yaml *map, const struct contract *contract,
                                    const struct plan *first, const struct customer *customer) {
  static const char *const keys[] = {TERMS_KEYS, NULL};
  bool any = false;
  for (size_t i = 0; keys[i]; i++) {
    any |= field(map, keys[i]) != NULL;
  }
  if (!any) {
    return NULL;
  }
  struct plan *own = arena_alloc(l->arena, sizeof *own);
  own->name = contract->plan_name;
  own->title = first ? first->title : contract->plan_name;
  own->valid_from = contract->from;
  own->currency = first ? first->currency : customer->currency;
  own->place = contract->place;
  read_terms(l, map, own);
  read_covers(l, map, customer->time_zone, contract, own);
  read_commitments(l, map, customer->time_zone, contract, own);
  return own;
}

static const struct add_on *read_add_ons(struct loader *l, const struct yaml *list, const struct customer *customer,
                                         size_t *count) {
  static const char *const keys[] = {"plan", "count", NULL};
  *count = list_count(l, list, CONTRACT_ADD_ONS_MAX);
  struct add_on *add_ons = arena_array(l->arena, *count, sizeof *add_ons);
  const struct yaml *item = *count ? list->child : NULL;
  for (size_t i = 0; i < *count; i++, item = item->next) {
    add_ons[i].count = QUANTITY_ONE;
    if (is_map_of(l, item, keys)) {
      const struct yaml *name = needed(l, item, "plan", "what is added");
      const struct plan *plan = plan_named(l, name, customer);
      add_ons[i].plan_name = plan ? plan->name : (slice){0};
      if (plan && plan_commits(l->catalog, plan)) {
        problem(l, name, "plan \"%s\" has commitments: it can not be an add-on, write them in the contract",
                shown(l, plan->name));
      }
      quantity_of(l, field(item, "count"), &add_ons[i].count);
    }
  }
  return add_ons;
}

/* {Seats: 12}: counts of fees by their names. */
static const struct fee_count *read_fee_counts(struct loader *l, const struct yaml *map, size_t *count) {
  *count = 0;
  if (!map) {
    return NULL;
  }
  if (map->kind != YAML_MAP || map->count > CONTRACT_FEE_COUNTS_MAX) {
    problem(l, map, "expected a map of fees and their counts, such as {Seats: 12}");
    return NULL;
  }
  struct fee_count *counts = arena_array(l->arena, map->count, sizeof *counts);
  for (const struct yaml *item = map->child; item; item = item->next, (*count)++) {
    counts[*count].fee = arena_copy(l->arena, item->key);
    quantity_of(l, item, &counts[*count].count);
  }
  return counts;
}

/* ---- phases and changes ---- */

static void read_phases(struct loader *l, const struct yaml *list, const struct customer *customer,
                        struct contract_draft *out) {
  static const char *const keys[] = {"plan", "for", NULL};
  out->phase_count = list_count(l, list, PHASES_MAX);
  struct phase *phases = arena_array(l->scratch, out->phase_count, sizeof *phases);
  const struct yaml *item = out->phase_count ? list->child : NULL;
  for (size_t i = 0; i < out->phase_count; i++, item = item->next) {
    phases[i].node = item;
    if (is_map_of(l, item, keys)) {
      phases[i].plan_name = plan_name_of(l, needed(l, item, "plan", "which prices hold in this phase"), customer);
      span_of(l, needed(l, item, "for", "how long, such as 14 days"), &phases[i].length);
    }
  }
  out->phases = phases;
}

static void read_change(struct loader *l, const struct yaml *map, const struct customer *customer,
                        const struct contract_draft *draft, struct change *out) {
  static const char *const keys[] = {"at", "when", "plan", "quantities", "add_ons", "remove", "cancel", "credit", NULL};
  static const char *const when[] = {"now", "period_end", "term_end", NULL};
  out->node = map;
  out->at = draft->base.from;
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *at = needed(l, map, "at", "when it was decided");
  if (instant_of(l, at, customer->time_zone, &out->at) &&
      (out->at.ns <= draft->base.from.ns || out->at.ns >= draft->base.to.ns)) {
    problem(l, at, "is not within the contract: a change comes after its beginning and before its end");
  }
  out->when = (enum change_when)choice_of(l, field(map, "when"), when, CHANGE_NOW);
  if (out->when == CHANGE_TERM_END && !draft->has_term) {
    problem(l, field(map, "when"), "the contract has no term: add one, such as term: 1 year");
  }
  out->plan_name = plan_name_of(l, field(map, "plan"), customer);
  out->fee_counts = read_fee_counts(l, field(map, "quantities"), &out->fee_count_count);
  out->add_ons = read_add_ons(l, field(map, "add_ons"), customer, &out->add_on_count);
  if (field(map, "remove")) {
    out->removed = names_of(l, field(map, "remove"), CONTRACT_ADD_ONS_MAX, &out->removed_count);
  }
  out->cancels = flag_of(l, field(map, "cancel"), false);
  out->keeps_rest = !flag_of(l, field(map, "credit"), true);
  check_change(l, out);
}

static void read_changes(struct loader *l, const struct yaml *list, const struct customer *customer,
                         struct contract_draft *out) {
  out->change_count = list_count(l, list, CHANGES_MAX);
  struct change *changes = arena_array(l->scratch, out->change_count, sizeof *changes);
  const struct yaml *item = out->change_count ? list->child : NULL;
  for (size_t i = 0; i < out->change_count; i++, item = item->next) {
    changes[i].index = i;
    read_change(l, item, customer, out, &changes[i]);
  }
  out->changes = changes;
}

/* ---- contracts ---- */

static void read_contract(struct loader *l, const struct yaml *map, const struct customer *customer,
                          struct contract_draft *out) {
  static const char *const keys[] = {"plan",    "from",       "to",      "term",     "renew", "phases",
                                     "changes", "quantities", "add_ons", TERMS_KEYS, NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  struct contract *base = &out->base;
  const struct plan *plan = plan_named(l, needed(l, map, "plan", "which prices hold"), customer);
  base->plan_name = plan ? plan->name : (slice){0};
  read_phases(l, field(map, "phases"), customer, out);
  const struct plan *first = out->phase_count > 0 ? first_version(l->catalog, out->phases[0].plan_name) : plan;
  read_term(l, map, "from", first, customer, out);
  base->own = own_terms(l, map, base, first, customer);
  base->fee_counts = read_fee_counts(l, field(map, "quantities"), &base->fee_count_count);
  base->add_ons = read_add_ons(l, field(map, "add_ons"), customer, &base->add_on_count);
  read_changes(l, field(map, "changes"), customer, out);
  check_fee_counts(l, out);
}

static int compare_contracts(const void *a, const void *b) {
  const struct contract_draft *x = a, *y = b;
  int order = (x->base.from.ns > y->base.from.ns) - (x->base.from.ns < y->base.from.ns);
  return order != 0 ? order : (x->node->line > y->node->line) - (x->node->line < y->node->line);
}

static void cut_all(struct loader *l, struct contract_draft *drafts, size_t count, size_t problems_before,
                    struct customer *out) {
  struct parts parts = {0};
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && drafts[i - 1].end.ns > drafts[i].base.from.ns) {
      problem(l, drafts[i].node, "overlaps the contract on line %d: end that one where this one begins",
              drafts[i - 1].base.place.line);
    }
    drafts[i].end = drafts[i].base.to;
    if (l->problems.count == problems_before) { /* half-read contracts would only raise false alarms */
      contract_cut(l, out, &drafts[i], &parts);
    }
  }
  if (parts.count > CONTRACTS_MAX) {
    problem(l, drafts[0].node, "the contracts of a customer have at most %d parts", CONTRACTS_MAX);
  }
  struct contract *copy = arena_array(l->arena, parts.count, sizeof *copy);
  for (size_t i = 0; i < parts.count; i++) {
    copy[i] = parts.items[i];
  }
  out->contracts = copy;
  out->contract_count = parts.count;
  vec_free(&parts);
}

void read_contracts(struct loader *l, const struct yaml *list, struct customer *out) {
  size_t problems_before = l->problems.count;
  size_t count = list_count(l, list, CONTRACTS_MAX);
  struct contract_draft *drafts = arena_array(l->scratch, count, sizeof *drafts);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    drafts[i].node = item;
    drafts[i].base.place = place_of(l, item);
    read_contract(l, item, out, &drafts[i]);
  }
  if (count > 0) {
    qsort(drafts, count, sizeof *drafts, compare_contracts);
    cut_all(l, drafts, count, problems_before, out);
  }
}

/* `plan: on-demand` and `since:` say in short what a list of one contract says. */
void read_short_contract(struct loader *l, const struct yaml *map, struct customer *out) {
  const struct yaml *plan = field(map, "plan"), *since = field(map, "since");
  if (!plan) {
    if (since) {
      problem(l, since, "goes with the short form \"plan:\"; in a list of contracts each has its own \"from\"");
    }
    return;
  }
  size_t problems_before = l->problems.count;
  struct contract_draft *draft = arena_array(l->scratch, 1, sizeof *draft);
  const struct plan *first = plan_named(l, plan, out);
  draft->node = plan;
  draft->base.place = place_of(l, plan);
  draft->base.plan_name = first ? first->name : (slice){0};
  read_term(l, map, "since", first, out, draft);
  cut_all(l, draft, 1, problems_before, out);
}
