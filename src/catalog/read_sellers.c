/* Reads who sells: the seller, and further legal entities beside it, each with number series of its own. */
#include "catalog/private.h"

#include <string.h>

#define SELLERS_MAX 1000
#define SELLER_KEYS                                                                                                    \
  "name", "address", "country", "tax_id", "registration", "email", "logo", "bank", "invoice_prefix", "footer",         \
      "endpoint", "id", NULL

slice seller_id_at(const void *sellers, size_t i) {
  return ((const struct seller *)sellers)[i].id;
}

static bool prefix_byte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Invoice numbers become file names and parts of URLs. */
static slice invoice_prefix(struct loader *l, const struct yaml *node) {
  slice text = name_of(l, node);
  bool fine = text.len <= 20;
  for (size_t i = 0; fine && i < text.len; i++) {
    fine = prefix_byte(text.ptr[i]);
  }
  if (!fine) {
    problem(l, node, "is \"%s\", expected up to 20 letters, digits, '-', '_' or '.', such as NW-", shown(l, text));
  }
  return text;
}

static void read_seller(struct loader *l, const struct yaml *map, struct seller *out) {
  static const char *const keys[] = {SELLER_KEYS};
  out->place = place_of(l, map);
  if (!is_map_of(l, map, keys)) {
    return;
  }
  needed(l, map, "name", "it stands on top of every invoice");
  party_of(l, map, &out->party);
  out->id = name_of(l, field(map, "id"));
  out->logo_path = file_path_of(l, field(map, "logo"));
  out->invoice_prefix = invoice_prefix(l, field(map, "invoice_prefix"));
  out->bank = text_of(l, field(map, "bank"));
  out->footer = text_of(l, field(map, "footer"));
}

/* ---- series ---- */

/* Credit notes have a series of their own: the prefix and CN-. Two entities may not meet in either. */
static void claim_series(struct loader *l, struct map *series, const struct yaml *node, const struct seller *seller) {
  const char *names[] = {"%.*s", "%.*sCN-"};
  for (size_t i = 0; i < 2; i++) {
    char *name = arena_printf(l->scratch, names[i], SLICE_ARG(seller->invoice_prefix));
    void **slot = map_put(series, slice_of(name));
    const struct seller *other = *slot;
    if (other && other != seller) {
      problem(l, node,
              "numbers that begin with \"%s\" are those of the seller on %s:%d: give each an invoice_prefix of its own",
              name, other->place.file, other->place.line);
      return;
    }
    *slot = (void *)(uintptr_t)seller;
  }
}

static void add_seller(struct loader *l, struct map *series, const struct yaml *node, const struct seller *seller) {
  if (seller->id.len > 0) {
    *map_put(&l->sellers, seller->id) = (void *)(uintptr_t)seller;
  }
  claim_series(l, series, node, seller);
}

void read_sellers(struct loader *l) {
  const struct yaml *first = setting(l, "seller");
  size_t count = section_count(l, "sellers", SELLERS_MAX);
  struct seller *sellers = arena_array(l->arena, count, sizeof *sellers);
  struct section section = {.key = "sellers"};
  struct map series = {0}, seen = {0};
  if (first) {
    read_seller(l, first, &l->catalog->seller);
    must_be_new(l, &seen, l->catalog->seller.id, first, "seller");
    add_seller(l, &series, first, &l->catalog->seller);
  }
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    read_seller(l, node, &sellers[i]);
    if (node->kind == YAML_MAP) {
      needed(l, node, "id", "customers refer to a seller by its id");
    }
    must_be_new(l, &seen, sellers[i].id, node, "seller");
    add_seller(l, &series, node, &sellers[i]);
  }
  map_free(&series);
  map_free(&seen);
  l->catalog->sellers = sellers;
  l->catalog->seller_count = count;
}

const struct seller *seller_named(struct loader *l, const struct yaml *node, const struct yaml *customer) {
  const struct catalog *c = l->catalog;
  if (!node) {
    if (c->seller_count > 0 && c->seller.party.name.len == 0) {
      problem(l, customer,
              "\"seller\" is missing: there is no \"seller\" in the catalog that customers have otherwise");
    }
    return &c->seller;
  }
  const struct seller *found = scalar(l, node) ? map_get(&l->sellers, slice_trim(node->text)) : NULL;
  if (!found && node->kind == YAML_SCALAR) {
    problem(l, node, "there is no seller with the id \"%s\"%s", shown(l, node->text),
            did_you_mean_any(l, node->text, seller_id_at, c->sellers, c->seller_count));
  }
  return found ? found : &c->seller;
}
