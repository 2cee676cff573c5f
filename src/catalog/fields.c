/* Reads the fields of a YAML map, each with its limits and with a message that says what was expected. */
#include "catalog/private.h"

#include <string.h>

bool is_map_of(struct loader *l, const struct yaml *node, const char *const *keys) {
  struct error err;
  if (node->kind != YAML_MAP) {
    problem(l, node, "expected a map of keys and values, such as {%s: ...}", keys[0]);
    return false;
  }
  if (!yaml_only_keys(node, keys, &err)) {
    problem_take(l, &err);
  }
  return true;
}

const struct yaml *field(const struct yaml *map, const char *key) {
  const struct yaml *node = yaml_get(map, key);
  bool null = node && node->kind == YAML_SCALAR && node->text.len == 0 && !node->quoted;
  return null ? NULL : node;
}

const struct yaml *needed(struct loader *l, const struct yaml *map, const char *key, const char *why) {
  const struct yaml *node = field(map, key);
  if (!node) {
    problem(l, map, "\"%s\" is missing: %s", key, why);
  }
  return node;
}

bool scalar(struct loader *l, const struct yaml *node) {
  if (node->kind == YAML_SCALAR) {
    return true;
  }
  problem(l, node, "expected one value, not a %s", node->kind == YAML_LIST ? "list" : "map");
  return false;
}

static bool has_control(slice text, bool lines_allowed) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if ((c < 0x20 && !(c == '\n' && lines_allowed)) || c == 0x7F) {
      return true;
    }
  }
  return false;
}

/* Empty when the text may not be used. */
static slice checked_text(struct loader *l, const struct yaml *node, slice text, size_t limit_bytes, bool lines) {
  if (text.len > limit_bytes) {
    problem(l, node, "is %zu bytes long, at most %zu are allowed", text.len, limit_bytes);
  } else if (has_control(text, lines)) {
    problem(l, node, "\"%s\" holds a control character%s", shown(l, text), lines ? "" : " or a line break");
  } else {
    return arena_copy(l->arena, text);
  }
  return (slice){0};
}

slice name_of(struct loader *l, const struct yaml *node) {
  if (!node || !scalar(l, node)) {
    return (slice){0};
  }
  slice text = slice_trim(node->text);
  if (text.len == 0) {
    problem(l, node, "must not be empty");
    return (slice){0};
  }
  return checked_text(l, node, text, NAME_BYTES_MAX, false);
}

slice text_of(struct loader *l, const struct yaml *node) {
  if (!node || !scalar(l, node)) {
    return (slice){0};
  }
  return checked_text(l, node, slice_trim(node->text), TEXT_BYTES_MAX, true);
}

/* A value to compare with: taken as it is, blanks and all; "" in quotes is a value. */
static slice value_of(struct loader *l, const struct yaml *node) {
  if (!scalar(l, node)) {
    return (slice){0};
  }
  if (node->text.len == 0 && !node->quoted) {
    problem(l, node, "has no value: write \"\" in quotes to mean the empty one");
  }
  return checked_text(l, node, node->text, NAME_BYTES_MAX, false);
}

slice key_of(struct loader *l, const struct yaml *node) {
  return checked_text(l, node, node->key, NAME_BYTES_MAX, false);
}

const slice *names_of(struct loader *l, const struct yaml *node, size_t max, size_t *count) {
  *count = 0;
  if (node->kind == YAML_MAP) {
    problem(l, node, "expected a value or a list of values, not a map");
    return NULL;
  }
  if (node->kind == YAML_LIST && (node->count == 0 || node->count > max)) {
    problem(l, node, "is a list of %u values, expected 1 to %zu", node->count, max);
    return NULL;
  }
  const struct yaml *item = node->kind == YAML_LIST ? node->child : node;
  size_t wanted = node->kind == YAML_LIST ? node->count : 1;
  slice *values = arena_array(l->arena, wanted, sizeof *values);
  for (; *count < wanted; item = item->next) {
    values[(*count)++] = value_of(l, item);
  }
  return values;
}

bool amount_of(struct loader *l, const struct yaml *node, amount *out) {
  struct error err;
  if (!node || !scalar(l, node)) {
    return false;
  }
  if (!amount_parse(node->text, out, &err)) {
    problem(l, node, "%s", err.message);
  } else if (amount_cmp(*out, AMOUNT_ZERO) < 0) {
    problem(l, node, "%s is negative: expected 0 or more; a credit is not a price", shown(l, node->text));
  } else {
    return true;
  }
  *out = AMOUNT_ZERO;
  return false;
}

bool quantity_of(struct loader *l, const struct yaml *node, quantity *out) {
  struct error err;
  if (!node || !scalar(l, node)) {
    return false;
  }
  if (!quantity_parse(node->text, out, &err)) {
    problem(l, node, "%s", err.message);
  } else if (quantity_cmp(*out, QUANTITY_ZERO) <= 0) {
    problem(l, node, "is %s: expected more than 0", shown(l, node->text));
  } else {
    return true;
  }
  *out = QUANTITY_ZERO;
  return false;
}

bool rate_of(struct loader *l, const struct yaml *node, rate low, rate high, rate *out) {
  struct error err;
  char low_text[DECIMAL_TEXT_MAX], high_text[DECIMAL_TEXT_MAX];
  rate r;
  if (!node || !scalar(l, node)) {
    return false;
  }
  if (!rate_parse(slice_trim(node->text), &r, &err)) {
    problem(l, node, "expected a rate such as 21 %% or 0.21: %s", err.message);
  } else if (r.e12 < low.e12 || r.e12 > high.e12) {
    problem(l, node, "is %s: expected %s to %s (0.21 is 21 %%)", shown(l, node->text), rate_text(low, low_text),
            rate_text(high, high_text));
  } else {
    *out = r;
    return true;
  }
  return false;
}

int64_t whole_of(struct loader *l, const struct yaml *node, int64_t low, int64_t high, int64_t otherwise) {
  if (!node || !scalar(l, node)) {
    return otherwise;
  }
  int64_t value = 0;
  bool digits = node->text.len > 0 && node->text.len <= 15;
  for (size_t i = 0; digits && i < node->text.len; i++) {
    digits = node->text.ptr[i] >= '0' && node->text.ptr[i] <= '9';
    value = value * 10 + (node->text.ptr[i] - '0');
  }
  if (!digits || value < low || value > high) {
    problem(l, node, "is \"%s\": expected a whole number from %lld to %lld", shown(l, node->text), (long long)low,
            (long long)high);
    return otherwise;
  }
  return value;
}

int integer_of(struct loader *l, const struct yaml *node, int low, int high, int otherwise) {
  return (int)whole_of(l, node, low, high, otherwise);
}

bool instant_of(struct loader *l, const struct yaml *node, const char *zone, instant *out) {
  struct error err;
  if (!node || !scalar(l, node)) {
    return false;
  }
  if (!time_parse_loose(node->text, zone, out, &err)) {
    problem(l, node, "expected a date such as 2026-01-01: %s", err.message);
    return false;
  }
  return true;
}

/* "usd" means USD; otherwise a well-known one that is spelled nearly so. */
static const char *currency_meant(struct loader *l, slice text) {
  static const char *const common[] = {"USD", "EUR", "GBP", "JPY", "CHF", "CNY", "INR", "KRW", "SEK", "NOK",
                                       "DKK", "PLN", "CZK", "HUF", "CAD", "AUD", "NZD", "SGD", "HKD", "BRL",
                                       "MXN", "ZAR", "AED", "SAR", "ILS", "TRY", "KWD", NULL};
  char upper[3];
  for (size_t i = 0; text.len == 3 && i < 3; i++) {
    bool lower = text.ptr[i] >= 'a' && text.ptr[i] <= 'z';
    upper[i] = lower ? (char)(text.ptr[i] - 'a' + 'A') : text.ptr[i];
  }
  const struct currency *found = text.len == 3 ? currency_find((slice){upper, 3}) : NULL;
  return found ? arena_printf(l->scratch, ": did you mean \"%s\"?", found->code) : did_you_mean(l, text, common);
}

const struct currency *currency_of(struct loader *l, const struct yaml *node, const struct currency *otherwise) {
  if (!node || !scalar(l, node)) {
    return otherwise;
  }
  const struct currency *found = currency_find(node->text);
  if (!found) {
    problem(l, node, "\"%s\" is not a currency of ISO 4217, such as USD or EUR%s", shown(l, node->text),
            currency_meant(l, node->text));
    return otherwise;
  }
  return found;
}

const char *zone_of(struct loader *l, const struct yaml *node, const char *otherwise) {
  static const char *const common[] = {"UTC",
                                       "Europe/Amsterdam",
                                       "Europe/Berlin",
                                       "Europe/London",
                                       "Europe/Paris",
                                       "Europe/Madrid",
                                       "Europe/Rome",
                                       "Europe/Zurich",
                                       "Europe/Warsaw",
                                       "Europe/Stockholm",
                                       "Europe/Oslo",
                                       "Europe/Helsinki",
                                       "Europe/Dublin",
                                       "America/New_York",
                                       "America/Chicago",
                                       "America/Denver",
                                       "America/Los_Angeles",
                                       "America/Toronto",
                                       "Asia/Tokyo",
                                       "Asia/Shanghai",
                                       "Asia/Singapore",
                                       "Asia/Kolkata",
                                       "Asia/Dubai",
                                       "Asia/Seoul",
                                       "Asia/Kathmandu",
                                       "America/Sao_Paulo",
                                       "Australia/Sydney",
                                       NULL};
  if (!node || !scalar(l, node)) {
    return otherwise;
  }
  void **known = map_put(&l->zones, node->text);
  if (*known) {
    return *known;
  }
  slice name = name_of(l, node);
  if (name.len == 0) {
    return otherwise;
  }
  if (!time_zone_known(name.ptr)) {
    problem(l, node, "\"%s\" is not a time zone, expected UTC or a name such as Europe/Amsterdam%s", shown(l, name),
            did_you_mean(l, name, common));
    return otherwise;
  }
  *known = (void *)(uintptr_t)name.ptr;
  return name.ptr;
}

int choice_of(struct loader *l, const struct yaml *node, const char *const *names, int otherwise) {
  if (!node || !scalar(l, node)) {
    return otherwise;
  }
  struct buf all;
  buf_init(&all, 1000);
  for (int i = 0; names[i]; i++) {
    if (slice_is(node->text, names[i])) {
      buf_free(&all);
      return i;
    }
    buf_addf(&all, "%s%s", i ? ", " : "", names[i]);
  }
  problem(l, node, "is \"%s\", expected one of " SLICE_FMT "%s", shown(l, node->text), SLICE_ARG(buf_slice(&all)),
          did_you_mean(l, node->text, names));
  buf_free(&all);
  return otherwise;
}

bool flag_of(struct loader *l, const struct yaml *node, bool otherwise) {
  static const char *const flags[] = {"false", "true", NULL};
  return choice_of(l, node, flags, otherwise) == 1;
}

/* The node's own file name goes with the tree. */
struct place place_of(struct loader *l, const struct yaml *node) {
  return (struct place){map_get(&l->file_names, slice_of(node->file)), node->line};
}

/* ---- lists ---- */

size_t list_count(struct loader *l, const struct yaml *list, size_t max) {
  if (!list) {
    return 0;
  }
  if (list->kind != YAML_LIST) {
    problem(l, list, "expected a list, each item after a \"- \"");
    return 0;
  }
  if (list->count > max) {
    problem(l, list, "has %u items, at most %zu are allowed", list->count, max);
    return 0;
  }
  return list->count;
}

size_t section_count(struct loader *l, const char *key, size_t max) {
  size_t count = 0;
  for (size_t i = 0; i < l->file_count; i++) {
    const struct yaml *list = l->files[i] ? field(l->files[i], key) : NULL;
    count += list_count(l, list, max);
    if (count > max) {
      problem(l, list, "makes %zu %s in all files together, at most %zu are allowed", count, key, max);
      return 0;
    }
  }
  return count;
}

const struct yaml *section_next(const struct loader *l, struct section *s) {
  s->item = s->item ? s->item->next : NULL;
  while (!s->item && s->file < l->file_count) {
    const struct yaml *root = l->files[s->file++];
    const struct yaml *list = root ? field(root, s->key) : NULL;
    s->item = list && list->kind == YAML_LIST ? list->child : NULL;
  }
  return s->item;
}

/* ---- parties ---- */

/* An address is a list of lines, or a text with line breaks. */
static const slice *address_lines(struct loader *l, const struct yaml *node, size_t *count) {
  if (node->kind == YAML_LIST) {
    return names_of(l, node, LINES_MAX, count);
  }
  slice rest = text_of(l, node);
  slice *lines = arena_array(l->arena, LINES_MAX, sizeof *lines);
  for (*count = 0; rest.len > 0 && *count < LINES_MAX; (*count)++) {
    const char *end = memchr(rest.ptr, '\n', rest.len);
    size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
    lines[*count] = slice_trim((slice){rest.ptr, len});
    len += end ? 1 : 0;
    rest = (slice){rest.ptr + len, rest.len - len};
  }
  if (rest.len > 0) {
    problem(l, node, "has more than %d lines", LINES_MAX);
  }
  return lines;
}

static slice country_of(struct loader *l, const struct yaml *node) {
  slice text = name_of(l, node);
  bool letters = text.len == 2;
  for (size_t i = 0; letters && i < 2; i++) {
    letters = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z';
  }
  if (text.len > 0 && !letters) {
    problem(l, node, "is \"%s\", expected two capital letters as of ISO 3166, such as NL", shown(l, text));
  }
  return text;
}

static slice email_of(struct loader *l, const struct yaml *node) {
  slice text = name_of(l, node);
  const char *at = text.len > 0 ? memchr(text.ptr, '@', text.len) : NULL;
  if (text.len > 0 && (!at || at == text.ptr || at + 1 == text.ptr + text.len)) {
    problem(l, node, "\"%s\" is not an e-mail address such as billing@example.com", shown(l, text));
  }
  return text;
}

/* EAS codes: four digits, or letters such as EM for an e-mail address. */
static bool is_scheme(slice s) {
  bool fine = s.len >= 2 && s.len <= 4;
  for (size_t i = 0; fine && i < s.len; i++) {
    fine = (s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z');
  }
  return fine;
}

static void endpoint_of(struct loader *l, const struct yaml *map, struct party *out) {
  static const char *const keys[] = {"scheme", "id", NULL};
  if (!map || !is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *scheme = needed(l, map, "scheme", "which list the id is of, such as 0106");
  out->endpoint_scheme = name_of(l, scheme);
  out->endpoint_id = name_of(l, needed(l, map, "id", "where electronic invoices are sent"));
  if (scheme && !is_scheme(out->endpoint_scheme)) {
    problem(l, scheme, "is \"%s\", expected a code of the EAS list, such as 0106, 9930 or EM",
            shown(l, out->endpoint_scheme));
  }
}

void party_of(struct loader *l, const struct yaml *map, struct party *out) {
  const struct yaml *address = field(map, "address");
  *out = (struct party){
      .name = name_of(l, field(map, "name")),
      .email = email_of(l, field(map, "email")),
      .tax_id = name_of(l, field(map, "tax_id")),
      .country = country_of(l, field(map, "country")),
      .registration = name_of(l, field(map, "registration")),
  };
  if (address) {
    out->address = address_lines(l, address, &out->address_count);
  }
  endpoint_of(l, field(map, "endpoint"), out);
}
