/* Reads what holds for the whole catalog: currency, time zone, the seller, and the taxes. */
#include "catalog/private.h"

#include <string.h>

/* A setting stands in one file only; a second one is a problem. */
const struct yaml *setting(struct loader *l, const char *key) {
  const struct yaml *first = NULL;
  for (size_t i = 0; i < l->file_count; i++) {
    const struct yaml *node = l->files[i] ? field(l->files[i], key) : NULL;
    if (node && first) {
      problem(l, node, "is set on %s:%d already: keep one of the two", first->file, first->line);
    }
    first = first ? first : node;
  }
  return first;
}

static bool any_file_has(const struct loader *l, const char *key) {
  for (size_t i = 0; i < l->file_count; i++) {
    if (l->files[i] && field(l->files[i], key)) {
      return true;
    }
  }
  return false;
}

/* A catalog that prices nothing (meters alone) needs no currency; there USD stands in, so that it is never NULL. */
static void read_currency(struct loader *l) {
  const struct yaml *node = setting(l, "currency");
  if (!node && (any_file_has(l, "plans") || any_file_has(l, "customers") || any_file_has(l, "pools"))) {
    for (size_t i = 0; i < l->file_count; i++) {
      if (l->files[i]) {
        problem(l, l->files[i], "\"currency\" is missing: write it once in any of the files, such as currency: USD");
        break;
      }
    }
  }
  l->catalog->currency = currency_of(l, node, currency_find(SLICE("USD")));
}

slice file_path_of(struct loader *l, const struct yaml *node) {
  slice name = name_of(l, node);
  const char *slash = node ? strrchr(node->file, '/') : NULL;
  if (name.len == 0 || name.ptr[0] == '/' || !slash) {
    return name;
  }
  return slice_of(arena_printf(l->arena, SLICE_FMT "/%s", (int)(slash - node->file), node->file, name.ptr));
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

static void read_seller(struct loader *l) {
  static const char *const keys[] = {"name", "address", "country",        "tax_id", "registration", "email",
                                     "logo", "bank",    "invoice_prefix", "footer", "endpoint",     NULL};
  const struct yaml *map = setting(l, "seller");
  struct seller *seller = &l->catalog->seller;
  if (!map || !is_map_of(l, map, keys)) {
    return;
  }
  needed(l, map, "name", "it stands on top of every invoice");
  party_of(l, map, &seller->party);
  seller->logo_path = file_path_of(l, field(map, "logo"));
  seller->invoice_prefix = invoice_prefix(l, field(map, "invoice_prefix"));
  seller->bank = text_of(l, field(map, "bank"));
  seller->footer = text_of(l, field(map, "footer"));
}

static void read_invoicing(struct loader *l) {
  static const char *const keys[] = {"automatic", "from", NULL};
  static const char *const no_yes[] = {"false", "true", NULL};
  const struct yaml *map = setting(l, "invoicing");
  if (map && is_map_of(l, map, keys)) {
    l->catalog->invoicing.automatic = choice_of(l, field(map, "automatic"), no_yes, 0) == 1;
    instant_of(l, field(map, "from"), l->catalog->time_zone, &l->catalog->invoicing.from);
  }
}

void read_settings(struct loader *l) {
  read_virtual_currencies(l);
  read_currency(l);
  l->catalog->time_zone = zone_of(l, setting(l, "time_zone"), "UTC");
  read_exchange_rates(l);
  read_seller(l);
  read_invoicing(l);
}

/* ---- taxes ---- */

static void read_tax(struct loader *l, const struct yaml *map, struct tax *out) {
  static const char *const keys[] = {"name", "label", "rate", "category", "note", NULL};
  static const char *const categories[] = {"S", "Z", "E", "AE", "G", "O", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *category = field(map, "category");
  const struct yaml *label = field(map, "label");
  out->name = name_of(l, needed(l, map, "name", "customers refer to a tax by its name"));
  out->label = label ? name_of(l, label) : out->name;
  bool known = rate_of(l, needed(l, map, "rate", "such as 21 % or 0.21"), (rate){0}, RATE_ONE, &out->rate);
  int choice = choice_of(l, category, categories, 0);
  out->category = slice_of(categories[choice]);
  out->note = text_of(l, field(map, "note"));
  if (known && (choice == 0) != (out->rate.e12 > 0)) {
    problem(l, category ? category : map,
            "category %s %s (EN 16931: S standard, Z zero, E exempt, AE reverse charge, "
            "G export, O out of scope)",
            categories[choice], choice == 0 ? "needs a rate above 0" : "needs a rate of 0");
  }
}

void read_taxes(struct loader *l) {
  size_t count = section_count(l, "taxes", ENTRIES_MAX);
  struct tax *taxes = arena_array(l->arena, count, sizeof *taxes);
  struct section section = {.key = "taxes"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    taxes[i].place = place_of(l, node);
    read_tax(l, node, &taxes[i]);
    must_be_new(l, &seen, taxes[i].name, node, "tax");
  }
  map_free(&seen);
  l->catalog->taxes = taxes;
  l->catalog->tax_count = count;
}
