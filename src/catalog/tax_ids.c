/* Is a tax number well formed? The forms are those that VIES asks for; check digits are not computed, since some
 * members keep theirs to themselves. */
#include "catalog/catalog.h"

#include <string.h>

/* '#' a digit, '@' a letter, '*' either; forms of one member are parted by blanks. Greece writes EL. */
struct form {
  char country[3], prefix[3];
  const char *forms;
};
static const struct form forms[] = {
    {"AT", "AT", "U########"},
    {"BE", "BE", "##########"},
    {"BG", "BG", "######### ##########"},
    {"CY", "CY", "########@"},
    {"CZ", "CZ", "######## ######### ##########"},
    {"DE", "DE", "#########"},
    {"DK", "DK", "########"},
    {"EE", "EE", "#########"},
    {"ES", "ES", "*#######*"},
    {"FI", "FI", "########"},
    {"FR", "FR", "**#########"},
    {"GB", "GB", "######### ############ GD### HA###"},
    {"GR", "EL", "#########"},
    {"HR", "HR", "###########"},
    {"HU", "HU", "########"},
    {"IE", "IE", "#*#####@ #######@@"},
    {"IT", "IT", "###########"},
    {"LT", "LT", "######### ############"},
    {"LU", "LU", "########"},
    {"LV", "LV", "###########"},
    {"MT", "MT", "########"},
    {"NL", "NL", "#########B##"},
    {"PL", "PL", "##########"},
    {"PT", "PT", "#########"},
    {"RO", "RO", "## ### #### ##### ###### ####### ######## ######### ##########"},
    {"SE", "SE", "############"},
    {"SI", "SI", "########"},
    {"SK", "SK", "##########"},
};
#define FORMS (sizeof forms / sizeof *forms)
#define TAX_ID_MAX 20

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
  return c >= 'A' && c <= 'Z';
}

/* Capital letters and digits alone; empty when anything else than blanks, dots and dashes is in it, or too much. */
static size_t plain(slice text, char out[TAX_ID_MAX + 1]) {
  size_t n = 0;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    if (c == ' ' || c == '.' || c == '-') {
      continue;
    }
    if ((!is_digit(c) && !is_letter(c)) || n == TAX_ID_MAX) {
      return 0;
    }
    out[n++] = c;
  }
  out[n] = '\0';
  return n;
}

static bool has_form(const char *text, const char *form, size_t len) {
  for (size_t i = 0; i < len; i++) {
    bool fits = form[i] == '#'   ? is_digit(text[i])
                : form[i] == '@' ? is_letter(text[i])
                : form[i] == '*' ? is_digit(text[i]) || is_letter(text[i])
                                 : form[i] == text[i];
    if (!fits) {
      return false;
    }
  }
  return text[len] == '\0';
}

static bool has_any_form(const char *text, const char *list) {
  while (*list) {
    size_t len = strcspn(list, " ");
    if (has_form(text, list, len)) {
      return true;
    }
    list += len + (list[len] == ' ');
  }
  return false;
}

static bool follows_forms(slice country) {
  for (size_t i = 0; i < FORMS; i++) {
    if (slice_is(country, forms[i].country)) {
      return true;
    }
  }
  return false;
}

bool tax_id_well_formed(slice country, slice tax_id) {
  char text[TAX_ID_MAX + 1];
  size_t len = plain(tax_id, text);
  if (len < 4) {
    return false;
  }
  for (size_t i = 0; i < FORMS; i++) {
    if (memcmp(text, forms[i].prefix, 2) == 0 && has_any_form(text + 2, forms[i].forms)) {
      return true;
    }
  }
  return !follows_forms(country) && len >= 5 && strpbrk(text, "0123456789") != NULL;
}
