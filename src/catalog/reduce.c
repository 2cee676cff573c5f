/* The part of a catalog that concerns one customer, line for line where it stood, so that FILE:LINE stays true. */
#include "base/json.h"
#include "base/yaml.h"
#include "catalog/private.h"

/* What pricing one customer needs. Pools, reminders, payment providers and other customers stay behind. */
static const char *const KEPT[] = {"currency",  "time_zone",          "seller",        "sellers",
                                   "taxes",     "tax_rules",          "meters",        "plans",
                                   "customers", "virtual_currencies", "exchange_rates"};

struct reducing {
  struct arena *arena;
  slice customer;
  const struct yaml *const *roots; /* a file each */
  size_t count;
  const struct yaml *entry; /* the customer's own */
};
struct writing {
  const struct reducing *reducing;
  struct buf *out;
  int line;
};

static bool mentions(const struct yaml *node, slice name) {
  if (node->kind == YAML_SCALAR) {
    return slice_eq(node->text, name);
  }
  for (const struct yaml *c = node->child; c; c = c->next) {
    if (mentions(c, name)) {
      return true;
    }
  }
  return false;
}

static slice scalar_at(const struct yaml *map, const char *key) {
  const struct yaml *node = yaml_get(map, key);
  return node && node->kind == YAML_SCALAR ? node->text : (slice){0};
}

static bool is_kept_section(const struct yaml *section) {
  for (size_t i = 0; i < sizeof KEPT / sizeof *KEPT; i++) {
    if (slice_is(section->key, KEPT[i])) {
      return true;
    }
  }
  return false;
}

/* The customer, and those it pays for. */
static bool is_kept_customer(const struct reducing *r, const struct yaml *element) {
  return element == r->entry ||
         (slice_eq(scalar_at(element, "parent"), r->customer) && !slice_is(scalar_at(element, "pays"), "self"));
}

static bool anyone_mentions(const struct reducing *r, slice name) {
  bool found = false;
  for (size_t i = 0; i < r->count && !found; i++) {
    const struct yaml *customers = r->roots[i] ? yaml_get(r->roots[i], "customers") : NULL;
    for (const struct yaml *c = customers ? customers->child : NULL; c && !found; c = c->next) {
      found = is_kept_customer(r, c) && mentions(c, name);
    }
  }
  return found;
}

/* An element of a list at the top: of the customers those on its invoices, of the plans those that they name. */
static bool is_kept_element(const struct reducing *r, const struct yaml *element) {
  const struct yaml *list = element->parent;
  if (slice_is(list->key, "customers")) {
    return is_kept_customer(r, element);
  }
  return !slice_is(list->key, "plans") || anyone_mentions(r, scalar_at(element, "name"));
}

/* Who pays for the customer is told to nobody but the seller. */
static bool is_of_parent(const struct reducing *r, const struct yaml *node) {
  return node->parent == r->entry && (slice_is(node->key, "parent") || slice_is(node->key, "pays"));
}

static bool is_kept(const struct reducing *r, const struct yaml *node) {
  const struct yaml *parent = node->parent;
  if (parent && parent->parent == NULL) {
    return is_kept_section(node);
  }
  if (parent && parent->kind == YAML_LIST && parent->parent->parent == NULL) {
    return is_kept_element(r, node);
  }
  return !is_of_parent(r, node);
}

static void go_to_line(struct writing *w, const struct yaml *node) {
  while (w->line < node->line) {
    buf_addc(w->out, '\n');
    w->line++;
  }
}

/* JSON's quoting is YAML's as well. Nothing, which is not the empty text, stays nothing. */
static void write_scalar(struct writing *w, const struct yaml *node) {
  if (node->text.len == 0 && !node->quoted) {
    buf_addc(w->out, '~');
  } else {
    json_quote(w->out, node->text);
  }
}

static void write_node(struct writing *w, const struct yaml *node) {
  if (node->kind == YAML_SCALAR) {
    write_scalar(w, node);
    return;
  }
  bool list = node->kind == YAML_LIST, first = true;
  buf_addc(w->out, list ? '[' : '{');
  for (const struct yaml *c = node->child; c; c = c->next) {
    if (!is_kept(w->reducing, c)) {
      continue;
    }
    buf_add(w->out, first ? SLICE("") : SLICE(", "));
    first = false;
    go_to_line(w, c);
    if (!list) {
      json_quote(w->out, c->key);
      buf_add(w->out, SLICE(": "));
    }
    write_node(w, c);
  }
  buf_addc(w->out, list ? ']' : '}');
}

static bool keeps_anything(const struct yaml *root) {
  for (const struct yaml *c = root->child; c; c = c->next) {
    if (is_kept_section(c)) {
      return true;
    }
  }
  return false;
}

static void find_entry(struct reducing *r) {
  for (size_t i = 0; i < r->count; i++) {
    const struct yaml *list = yaml_get(r->roots[i], "customers");
    for (const struct yaml *c = list ? list->child : NULL; c; c = c->next) {
      if (slice_eq(scalar_at(c, "id"), r->customer)) {
        r->entry = c;
      }
    }
  }
}

static bool reduce_files(struct reducing *r, const struct catalog *catalog, struct catalog_text *texts, size_t *count,
                         struct error *err) {
  *count = 0;
  for (size_t i = 0; i < r->count; i++) {
    struct buf out;
    if (!keeps_anything(r->roots[i])) {
      continue;
    }
    buf_init(&out, YAML_BYTES_MAX);
    struct writing w = {.reducing = r, .out = &out, .line = 1};
    write_node(&w, r->roots[i]);
    buf_addc(&out, '\n');
    bool failed = out.failed;
    texts[(*count)++] = (struct catalog_text){catalog->texts[i].name, arena_copy(r->arena, buf_slice(&out))};
    buf_free(&out);
    if (failed) {
      return error_set(err, ERR_LIMIT, "%s: the part of one customer is larger than %u bytes", catalog->texts[i].name,
                       YAML_BYTES_MAX);
    }
  }
  return true;
}

bool catalog_reduce(struct arena *arena, const struct catalog *catalog, slice customer, struct catalog_text **texts,
                    size_t *count, struct error *err) {
  const struct yaml **roots = arena_array(arena, catalog->text_count, sizeof *roots);
  for (size_t i = 0; i < catalog->text_count; i++) {
    if (!yaml_parse(arena, catalog->texts[i].name, catalog->texts[i].text, &roots[i], err)) {
      return false;
    }
  }
  struct reducing r = {.arena = arena, .customer = customer, .roots = roots, .count = catalog->text_count};
  find_entry(&r);
  if (r.entry == NULL) {
    return error_set(err, ERR_NOT_FOUND, "customer \"" SLICE_FMT "\" is not in the catalog", SLICE_ARG(customer));
  }
  *texts = arena_array(arena, catalog->text_count, sizeof **texts);
  struct catalog *again;
  if (!reduce_files(&r, catalog, *texts, count, err)) {
    return false;
  }
  if (!catalog_parse(*texts, *count, &again, err)) {
    return error_at(err, "the part of customer " SLICE_FMT " does not stand alone", SLICE_ARG(customer));
  }
  catalog_free(again);
  return true;
}
