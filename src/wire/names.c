/* Looks a name up among those of its length. */
#include "names.h"
#include <string.h>

#define COMPARE(constant, literal)                                                                                     \
  if (memcmp(text.ptr, literal, sizeof(literal) - 1) == 0) return NAME_##constant;
#define COMPARE_ALL(length, list)                                                                                      \
  case length:                                                                                                         \
    list(COMPARE) break;

enum name wire_field_name(slice text) {
  switch (text.len) {
    NAMES(COMPARE_ALL)
  default:
    break;
  }
  return NAME_OTHER;
}

const char *name_text(enum name name) {
#define NAME_LITERAL(constant, text) text,
#define NAME_LITERALS(length, list) list(NAME_LITERAL)
  static const char *const texts[] = {"", NAMES(NAME_LITERALS)};
  return texts[name];
}
