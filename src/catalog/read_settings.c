/* Reads what holds for the whole catalog: currency, time zone, and whether invoices are made by themselves. */
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

static void read_invoicing(struct loader *l) {
  static const char *const keys[] = {"automatic", "from", NULL};
  const struct yaml *map = setting(l, "invoicing");
  if (map && is_map_of(l, map, keys)) {
    l->catalog->invoicing.automatic = flag_of(l, field(map, "automatic"), false);
    instant_of(l, field(map, "from"), l->catalog->time_zone, &l->catalog->invoicing.from);
  }
}

void read_settings(struct loader *l) {
  read_virtual_currencies(l);
  read_currency(l);
  l->catalog->time_zone = zone_of(l, setting(l, "time_zone"), "UTC");
  read_exchange_rates(l);
  read_sellers(l);
  read_invoicing(l);
}
