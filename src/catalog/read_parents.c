/* Reads who pays for whom: a customer's parent has it on its own invoices, unless the customer pays itself. */
#include "catalog/private.h"
#include <string.h>

/* One invoice has one currency and one period. */
static void check_fits(struct loader *l, const struct yaml *node, const struct customer *child,
                       const struct customer *parent) {
  const char *differs = child->currency != parent->currency                ? "currency"
                        : strcmp(child->time_zone, parent->time_zone) != 0 ? "time_zone"
                        : !billing_same(&child->billing, &parent->billing) ? "billing"
                                                                           : NULL;
  if (differs) {
    problem(l, node,
            "customer \"" SLICE_FMT "\" and its parent \"" SLICE_FMT "\" differ in %s: one invoice can not hold "
            "both; make them alike, or say pays: self",
            SLICE_ARG(child->id), SLICE_ARG(parent->id), differs);
  }
}

static bool plan_commits(const struct catalog *c, slice name) {
  for (const struct plan *p = first_version(c, name); p && p < c->plans + c->plan_count && slice_eq(p->name, name);
       p++) {
    if (p->commitment_count > 0) {
      return true;
    }
  }
  return false;
}

/* What is drawn from a commitment is settled by the invoice, and whose it is would be the parent's to say. */
static void check_commits_nothing(struct loader *l, const struct yaml *node, const struct customer *child) {
  for (size_t i = 0; i < child->contract_count; i++) {
    const struct contract *part = &child->contracts[i];
    if ((part->own && part->own->commitment_count > 0) || plan_commits(l->catalog, part->plan_name)) {
      problem(l, node,
              "customer \"" SLICE_FMT "\" has a commitment, which its parent's invoice can not settle: give the "
              "commitment to the parent, or say pays: self",
              SLICE_ARG(child->id));
      return;
    }
  }
}

static struct customer *find_customer(struct customer *customers, size_t count, slice id) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(customers[middle].id, id);
    if (order == 0) {
      return &customers[middle];
    }
    low = order < 0 ? middle + 1 : low;
    high = order < 0 ? high : middle;
  }
  return NULL;
}

static void read_parent(struct loader *l, const struct yaml *map, struct customer *customers, size_t count) {
  static const char *const who[] = {"parent", "self", NULL};
  const struct yaml *id = field(map, "id"), *node = field(map, "parent"), *pays = field(map, "pays");
  struct customer *child = id ? find_customer(customers, count, slice_trim(id->text)) : NULL;
  if (pays && !node) {
    problem(l, pays, "has no meaning without \"parent\"");
  }
  if (child == NULL || !node || !scalar(l, node)) {
    return;
  }
  bool self = pays && choice_of(l, pays, who, 0) == 1;
  const struct customer *parent = find_customer(customers, count, slice_trim(node->text));
  if (parent == NULL || parent == child) {
    problem(l, node, "there is no other customer \"%s\"", shown(l, node->text));
    return;
  }
  child->parent = parent->id;
  if (!self) {
    child->payer = parent;
    check_fits(l, node, child, parent);
    check_commits_nothing(l, node, child);
  }
}

static void check_depth(struct loader *l, const struct yaml *map, struct customer *customers, size_t count) {
  const struct yaml *id = field(map, "id"), *node = field(map, "parent");
  const struct customer *child = id && node ? find_customer(customers, count, slice_trim(id->text)) : NULL;
  const struct customer *parent = child ? find_customer(customers, count, child->parent) : NULL;
  if (parent && parent->parent.len > 0) {
    problem(l, node, "customer \"" SLICE_FMT "\" has a parent itself: parents are one deep", SLICE_ARG(parent->id));
  }
}

/* Once all customers are known: the parent may stand after its child. */
void read_parents(struct loader *l, struct customer *customers, size_t count) {
  struct section first = {.key = "customers"}, second = first;
  for (const struct yaml *node; count > 0 && (node = section_next(l, &first));) {
    if (node->kind == YAML_MAP) {
      read_parent(l, node, customers, count);
    }
  }
  for (const struct yaml *node; count > 0 && (node = section_next(l, &second));) {
    if (node->kind == YAML_MAP) {
      check_depth(l, node, customers, count);
    }
  }
}
