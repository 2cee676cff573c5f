/* How FOCUS writes times, units, numbers, and what kind of service a product is. */
#include "documents/focus.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

slice focus_time(struct arena *arena, slice instant_text) {
  char text[TIME_TEXT_MAX];
  instant t;
  struct error ignored = {0};
  if (!time_parse_rfc3339(instant_text, &t, &ignored)) {
    return (slice){0};
  }
  t.ns -= t.ns % NS_PER_S;
  return arena_copy(arena, slice_of(time_format(t, text)));
}

slice focus_wide(struct arena *arena, const struct wide *w) {
  char text[WIDE_TEXT_MAX];
  return arena_copy(arena, slice_of(wide_text(w, text)));
}

slice focus_decimal(struct arena *arena, struct decimal d) {
  struct wide w = wide_of(d);
  return focus_wide(arena, &w);
}

/* Each part begins with a capital, the last is plural unless it is an abbreviation such as GB. */
slice focus_unit(struct arena *arena, slice unit) {
  if (unit.len == 0) {
    return SLICE("Units");
  }
  char *text = arena_alloc(arena, unit.len + 2);
  bool begins = true, abbreviated = true;
  for (size_t i = 0; i < unit.len; i++) {
    char c = unit.ptr[i];
    if (begins) {
      abbreviated = true;
    }
    abbreviated = abbreviated && !islower((unsigned char)c);
    text[i] = begins ? (char)toupper((unsigned char)c) : c;
    begins = c == '-' || c == ' ';
  }
  size_t length = unit.len;
  bool plural = text[length - 1] == 's' || abbreviated || (unsigned char)text[length - 1] >= 0x80;
  if (!plural) {
    text[length++] = 's';
  }
  return (slice){text, length};
}

static bool contains(slice text, const char *word) {
  size_t length = strlen(word);
  for (size_t i = 0; i + length <= text.len; i++) {
    if (strncasecmp(text.ptr + i, word, length) == 0) {
      return true;
    }
  }
  return false;
}

/* By words in the product's name, so that a product is always of one category. */
void focus_service(slice product, slice *category, slice *subcategory) {
  static const struct {
    const char *word, *category, *subcategory;
  } kinds[] = {{"token", "AI and Machine Learning", "Generative AI"},
               {"model", "AI and Machine Learning", "Generative AI"},
               {"inference", "AI and Machine Learning", "Generative AI"},
               {"training", "AI and Machine Learning", "Machine Learning"},
               {"vector", "Databases", "Other (Databases)"},
               {"database", "Databases", "Other (Databases)"},
               {"storage", "Storage", "Storage Platforms"},
               {"gpu", "Compute", "Virtual Machines"},
               {"compute", "Compute", "Virtual Machines"},
               {"cpu", "Compute", "Virtual Machines"},
               {"network", "Networking", "Network Connectivity"},
               {"traffic", "Networking", "Network Connectivity"},
               {"egress", "Networking", "Network Connectivity"},
               {"support", "Other", "Other (Other)"}};
  *category = SLICE("Other");
  *subcategory = SLICE("Other (Other)");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (contains(product, kinds[i].word)) {
      *category = slice_of(kinds[i].category);
      *subcategory = slice_of(kinds[i].subcategory);
      return;
    }
  }
}
