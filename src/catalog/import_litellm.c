/* Turns a price table of language models, as LiteLLM keeps it in JSON, into meters and a plan of a catalog. */
#include "catalog/private.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define MODEL_BYTES_MAX 150 /* the rest of NAME_BYTES_MAX is for what is priced */
#define RULES_MAX 64        /* of one model */
#define TIER_TEXT_MAX 24

/* What a key of the table prices. Units of a millionth of a currency are priced by the million. */
struct kind {
  const char *key, *meter, *unit, *dimensions;
  bool by_million;
};
#define TOKENS "model, context, service"
static const struct kind kinds[] = {
    {"input_cost_per_token", "input_tokens", "token", TOKENS, true},
    {"cache_read_input_token_cost", "cached_input_tokens", "token", TOKENS, true},
    {"input_cost_per_token_cache_hit", "cached_input_tokens", "token", TOKENS, true},
    {"cache_creation_input_token_cost", "cache_write_tokens", "token", TOKENS ", keep", true},
    {"output_cost_per_token", "output_tokens", "token", TOKENS, true},
    {"output_cost_per_reasoning_token", "reasoning_tokens", "token", TOKENS, true},
    {"citation_cost_per_token", "citation_tokens", "token", TOKENS, true},
    {"input_cost_per_audio_token", "input_audio_tokens", "token", TOKENS, true},
    {"output_cost_per_audio_token", "output_audio_tokens", "token", TOKENS, true},
    {"cache_read_input_audio_token_cost", "cached_input_audio_tokens", "token", TOKENS, true},
    {"cache_creation_input_audio_token_cost", "cache_write_audio_tokens", "token", TOKENS, true},
    {"input_cost_per_image_token", "input_image_tokens", "token", TOKENS, true},
    {"output_cost_per_image_token", "output_image_tokens", "token", TOKENS, true},
    {"input_cost_per_character", "input_characters", "character", TOKENS, true},
    {"output_cost_per_character", "output_characters", "character", TOKENS, true},
    {"input_cost_per_pixel", "input_pixels", "pixel", TOKENS, true},
    {"output_cost_per_pixel", "output_pixels", "pixel", TOKENS, true},
    {"input_cost_per_image", "input_images", "image", TOKENS, false},
    {"output_cost_per_image", "output_images", "image", TOKENS, false},
    {"input_cost_per_second", "input_seconds", "second", TOKENS, false},
    {"output_cost_per_second", "output_seconds", "second", TOKENS, false},
    {"input_cost_per_audio_per_second", "input_audio_seconds", "second", TOKENS, false},
    {"input_cost_per_video_per_second", "input_video_seconds", "second", TOKENS ", interval", false},
    {"output_cost_per_video_per_second", "output_video_seconds", "second", TOKENS ", interval", false},
    {"input_cost_per_query", "queries", "query", TOKENS, false},
    {"input_cost_per_request", "requests", "request", TOKENS, false},
    {"search_context_cost_per_query", "searches", "search", "model, search_context", false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Dimensions besides the model, in the order of their names here. */
enum tier_dimension { CONTEXT, SERVICE, INTERVAL, KEEP, SEARCH, TIER_DIMENSIONS };
static const char *const dimension_names[] = {"context", "service", "interval", "keep", "search_context"};

struct rule {
  const struct kind *kind;
  char tiers[TIER_DIMENSIONS][TIER_TEXT_MAX]; /* "": the base price */
  amount each;
  const char *per;
};

struct importing {
  struct arena *arena;
  const struct price_import *options;
  struct buf *out, meters, left;
  bool used[KINDS];
  slice model;
  struct rule rules[RULES_MAX]; /* of the model */
  size_t count;
  struct price_import_result *result;
  told *left_out;
  void *context;
};

/* How many bytes at the start are a character that YAML refuses or takes for the end of a line; 0 when they are not. */
static size_t unfit_bytes(slice s) {
  static const char *const unfit[] = {"\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF", "\xEF\xBF\xBE", "\xEF\xBF\xBF"};
  unsigned char c = (unsigned char)s.ptr[0], next = s.len > 1 ? (unsigned char)s.ptr[1] : 0;
  if (c < 0x20 || c == 0x7F) {
    return 1;
  }
  if (c == 0xC2 && next < 0xA0) {
    return s.len > 1 ? 2 : 1;
  }
  for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
    if (slice_starts(s, unfit[i])) {
      return 3;
    }
  }
  return 0;
}

/* With '?' for what does not fit on a line of YAML. */
static slice fit(struct arena *arena, slice text, size_t limit_bytes) {
  char *out = arena_alloc(arena, text.len + 1);
  size_t len = 0;
  while (text.len > 0 && len < limit_bytes) {
    size_t unfit = unfit_bytes(text), step = unfit > 0 ? unfit : 1;
    out[len++] = unfit > 0 ? '?' : *text.ptr;
    text = (slice){text.ptr + step, text.len - step};
  }
  while (text.len > 0 && len > 0 && ((unsigned char)out[len - 1] & 0xC0) == 0x80) {
    len--; /* not inside a character of UTF-8 */
  }
  if (text.len > 0 && len > 0 && (unsigned char)out[len - 1] >= 0xC0) {
    len--;
  }
  return (slice){out, len};
}

static void leave_out(struct importing *m, slice key, slice value, const char *why) {
  struct buf line;
  buf_init(&line, 4096);
  json_quote(&line, fit(m->arena, m->model, NAME_BYTES_MAX));
  key = fit(m->arena, key, 100);
  value = fit(m->arena, value, 60);
  buf_addf(&line, " " SLICE_FMT ": " SLICE_FMT ": %s", SLICE_ARG(key), SLICE_ARG(value), why);
  buf_addf(&m->left, "#   " SLICE_FMT "\n", SLICE_ARG(buf_slice(&line)));
  tell(m->left_out, m->context, SLICE_FMT, SLICE_ARG(buf_slice(&line)));
  buf_free(&line);
  m->result->left_out++;
}

/* ---- keys ---- */

static bool take(slice *text, const char *start) {
  size_t len = strlen(start);
  if (!slice_starts(*text, start)) {
    return false;
  }
  *text = (slice){text->ptr + len, text->len - len};
  return true;
}

/* "_above_128k_tokens" and the like; what follows "_above_" up to the next '_'. */
static bool take_above(slice *rest, const char *unit, const char *end, char out[TIER_TEXT_MAX]) {
  slice at = *rest;
  size_t digits = 0;
  if (!take(&at, "_above_")) {
    return false;
  }
  while (digits < at.len && at.ptr[digits] >= '0' && at.ptr[digits] <= '9') {
    digits++;
  }
  slice number = {at.ptr, digits};
  at = (slice){at.ptr + digits, at.len - digits};
  if (digits == 0 || digits > 6 || !take(&at, unit) || !take(&at, end)) {
    return false;
  }
  snprintf(out, TIER_TEXT_MAX, ">" SLICE_FMT "%s", SLICE_ARG(number), unit);
  *rest = at;
  return true;
}

static bool take_service(slice *rest, char out[TIER_TEXT_MAX]) {
  static const char *const words[][2] = {
      {"_batches", "batch"}, {"_batch_requests", "batch"}, {"_flex", "flex"}, {"_priority", "priority"}};
  for (size_t i = 0; i < 4; i++) {
    if (take(rest, words[i][0])) {
      snprintf(out, TIER_TEXT_MAX, "%s", words[i][1]);
      return true;
    }
  }
  return false;
}

/* All that stands behind the key of a kind must be tiers that its meter has dimensions for. */
static bool take_tiers(slice rest, const struct kind *kind, struct rule *out) {
  while (rest.len > 0) {
    if (!take_above(&rest, "k", "_tokens", out->tiers[CONTEXT]) && !take_service(&rest, out->tiers[SERVICE]) &&
        !take_above(&rest, "s", "_interval", out->tiers[INTERVAL]) && !take_above(&rest, "hr", "", out->tiers[KEEP])) {
      return false;
    }
  }
  for (size_t d = 0; d < TIER_DIMENSIONS; d++) {
    if (out->tiers[d][0] && !strstr(kind->dimensions, dimension_names[d])) {
      return false;
    }
  }
  return true;
}

static bool read_key(slice key, struct rule *out) {
  for (size_t k = 0; k < KINDS; k++) {
    slice rest = key;
    *out = (struct rule){.kind = &kinds[k]};
    if (take(&rest, kinds[k].key) && take_tiers(rest, &kinds[k], out)) {
      return true;
    }
  }
  return false;
}

/* ---- numbers ---- */

/* The number x 10^shift, marked up; false when it needs more digits than a price holds. */
static bool shifted(const struct importing *m, slice number, int shift, amount *out) {
  struct error err;
  size_t digits = 0;
  while (digits < number.len && number.ptr[digits] != 'e' && number.ptr[digits] != 'E') {
    digits++;
  }
  long exponent = digits + 1 < number.len ? strtol(number.ptr + digits + 1, NULL, 10) : 0;
  if (number.len > 60 || exponent < -90 || exponent > 90) {
    return false;
  }
  const char *text = arena_printf(m->arena, SLICE_FMT "e%ld", (int)digits, number.ptr, exponent + shift);
  amount up;
  return amount_parse(slice_of(text), out, &err) && out->e12 >= 0 &&
         amount_times_rate(*out, m->options->factor, ROUND_CEILING, &up, &err) &&
         amount_times_rate(*out, m->options->factor, ROUND_FLOOR, out, &err) && amount_cmp(up, *out) == 0;
}

static bool read_number(const struct importing *m, slice number, struct rule *rule) {
  static const struct {
    int shift;
    const char *per;
  } sizes[] = {{0, "1"}, {6, "1000000"}, {9, "1000000000"}, {12, "1000000000000"}};
  for (size_t i = rule->kind->by_million ? 1 : 0; i < 4; i++) {
    if (shifted(m, number, sizes[i].shift, &rule->each)) {
      rule->per = sizes[i].per;
      return true;
    }
  }
  return false;
}

/* ---- one model ---- */

static bool same_tiers(const struct rule *a, const struct rule *b) {
  bool same = strcmp(a->kind->meter, b->kind->meter) == 0;
  for (size_t d = 0; same && d < TIER_DIMENSIONS; d++) {
    same = strcmp(a->tiers[d], b->tiers[d]) == 0;
  }
  return same;
}

static void add_price(struct importing *m, const struct rule *rule, slice key, slice number) {
  for (size_t i = 0; i < m->count; i++) {
    if (same_tiers(&m->rules[i], rule)) {
      if (amount_cmp(m->rules[i].each, rule->each) != 0) {
        leave_out(m, key, number, "another key says another price for the same");
      }
      return;
    }
  }
  if (m->count == RULES_MAX) {
    leave_out(m, key, number, "the model has too many prices");
    return;
  }
  m->rules[m->count++] = *rule;
  m->used[rule->kind - kinds] = true;
}

static void read_price(struct importing *m, slice key, const struct json *value, const char *search) {
  struct rule rule;
  slice number = value->text;
  if (value->kind != JSON_NUMBER && value->kind != JSON_STRING) {
    if (value->kind != JSON_NULL) {
      leave_out(m, key, SLICE("?"), "not a number");
    }
  } else if (!read_key(key, &rule) || (strstr(rule.kind->dimensions, "search_context") != NULL) != (search != NULL)) {
    leave_out(m, key, number, "no meter counts what it prices");
  } else if (!read_number(m, number, &rule)) {
    leave_out(m, key, number, "not a price of 0 or more that can be kept exactly");
  } else {
    snprintf(rule.tiers[SEARCH], TIER_TEXT_MAX, "%s", search ? search : "");
    add_price(m, &rule, key, number);
  }
}

/* {"search_context_size_low": 0.03, ...} */
static void read_nested(struct importing *m, const struct json *group) {
  static const char start[] = "search_context_size_";
  for (const struct json *size = group->child; size; size = size->next) {
    slice name = size->key;
    bool fine = take(&name, start) && name.len > 0 && name.len < TIER_TEXT_MAX;
    char search[TIER_TEXT_MAX];
    snprintf(search, sizeof search, SLICE_FMT, (int)(fine ? name.len : 0), name.ptr);
    if (!fine || strspn(search, "abcdefghijklmnopqrstuvwxyz_") != name.len) {
      leave_out(m, size->key, size->text, "no meter counts what it prices");
    } else {
      read_price(m, group->key, size, search);
    }
  }
}

static bool is_cost(slice key) {
  for (size_t i = 0; i + 4 <= key.len; i++) {
    if (memcmp(key.ptr + i, "cost", 4) == 0) {
      return true;
    }
  }
  return false;
}

static void read_model_prices(struct importing *m, const struct json *model) {
  m->count = 0;
  for (const struct json *field = model->child; field; field = field->next) {
    if (is_cost(field->key) && field->kind == JSON_OBJECT) {
      read_nested(m, field);
    } else if (is_cost(field->key)) {
      read_price(m, field->key, field, NULL);
    }
  }
}

/* ---- writing ---- */

static void put_words(struct buf *b, const char *name) {
  for (; *name; name++) {
    buf_addc(b, *name == '_' ? ' ' : *name);
  }
}

static void put_name(const struct importing *m, const struct rule *rule) {
  struct buf name;
  buf_init(&name, 1000);
  buf_addf(&name, SLICE_FMT " ", SLICE_ARG(m->model));
  put_words(&name, rule->kind->meter);
  for (size_t d = 0; d < TIER_DIMENSIONS; d++) {
    if (rule->tiers[d][0]) {
      buf_addf(&name, " %s", rule->tiers[d]);
    }
  }
  json_quote(m->out, buf_slice(&name));
  buf_free(&name);
}

/* Has the model a tier of this dimension for the same meter and service? Then the base price is not for all. */
static bool has_tier(const struct importing *m, const struct rule *rule, size_t dimension) {
  for (size_t i = 0; i < m->count; i++) {
    const struct rule *other = &m->rules[i];
    if (strcmp(other->kind->meter, rule->kind->meter) == 0 &&
        strcmp(other->tiers[SERVICE], rule->tiers[SERVICE]) == 0 && other->tiers[dimension][0]) {
      return true;
    }
  }
  return false;
}

static void put_match(const struct importing *m, const struct rule *rule) {
  buf_addf(m->out, "match: {model: ");
  json_quote(m->out, m->model);
  for (size_t d = 0; d < TIER_DIMENSIONS; d++) {
    if (rule->tiers[d][0]) {
      buf_addf(m->out, ", %s: \"%s\"", dimension_names[d], rule->tiers[d]);
    } else if (d == SERVICE && strstr(rule->kind->dimensions, "service")) {
      buf_addf(m->out, ", service: [\"\", standard, default]");
    } else if (has_tier(m, rule, d)) {
      buf_addf(m->out, ", %s: \"\"", dimension_names[d]);
    }
  }
  buf_addc(m->out, '}');
}

static void put_rules(struct importing *m) {
  char text[DECIMAL_TEXT_MAX];
  for (size_t i = 0; i < m->count; i++) {
    const struct rule *rule = &m->rules[i];
    buf_addf(m->out, "      - {name: ");
    put_name(m, rule);
    buf_addf(m->out, ", meter: %s, ", rule->kind->meter);
    put_match(m, rule);
    buf_addf(m->out, ", price: %s", amount_text(rule->each, text));
    if (strcmp(rule->per, "1") != 0) {
      buf_addf(m->out, ", per: %s", rule->per);
    }
    buf_addf(m->out, "}\n");
    m->result->prices++;
  }
  m->result->models += m->count > 0;
}

static void put_meters(struct importing *m) {
  for (size_t k = 0; k < KINDS; k++) {
    bool again = false;
    for (size_t other = 0; other < k; other++) {
      again = again || (m->used[other] && strcmp(kinds[other].meter, kinds[k].meter) == 0);
    }
    if (m->used[k] && !again) {
      buf_addf(&m->meters, "  - {name: %s, event: ", kinds[k].meter);
      json_quote(&m->meters, m->options->event);
      buf_addf(&m->meters, ", value: %s, optional: true, unit: %s, dimensions: [%s], product: \"", kinds[k].meter,
               kinds[k].unit, kinds[k].dimensions);
      put_words(&m->meters, kinds[k].meter);
      buf_addf(&m->meters, "\"}\n");
      m->result->meters++;
    }
  }
}

/* ---- the table ---- */

static bool wanted(const struct importing *m, const struct json *model) {
  return model->kind == JSON_OBJECT && !slice_is(model->key, "sample_spec") && /* which explains the format */
         (!m->options->only || fnmatch(m->options->only, arena_copy(m->arena, model->key).ptr, 0) == 0);
}

static bool name_is_fine(const struct importing *m, slice name) {
  return name.len > 0 && name.len <= MODEL_BYTES_MAX && slice_eq(fit(m->arena, name, MODEL_BYTES_MAX), name);
}

static void import_models(struct importing *m, const struct json *table) {
  for (const struct json *model = table->child; model; model = model->next) {
    m->model = model->key;
    if (!wanted(m, model)) {
      continue;
    }
    if (!name_is_fine(m, model->key)) {
      leave_out(m, SLICE("(all)"), SLICE("?"), "the model's name is empty, too long or holds control characters");
      continue;
    }
    read_model_prices(m, model);
    put_rules(m);
  }
}

static void put_catalog(struct importing *m, struct buf *rules, struct buf *yaml) {
  put_meters(m);
  buf_addf(yaml, "# Prices of models by the token, image, second and so on, made from a price table.\n"
                 "# An event is a call: docs/model-prices.md tells its fields.\n");
  if (m->result->left_out > 0) {
    buf_addf(yaml, "#\n# Left out, %zu prices:\n", m->result->left_out);
    buf_add(yaml, buf_slice(&m->left));
  }
  buf_addf(yaml, "meters:\n");
  buf_add(yaml, buf_slice(&m->meters));
  buf_addf(yaml, "\nplans:\n  - name: ");
  json_quote(yaml, m->options->plan);
  buf_addf(yaml, "\n    currency: USD\n    prices:\n");
  buf_add(yaml, buf_slice(rules));
}

bool catalog_import_litellm(slice json, const struct price_import *options, struct buf *yaml, told *left_out,
                            void *context, struct price_import_result *result, struct error *err) {
  const struct json *table;
  struct buf rules;
  struct importing m = {.arena = arena_new(),
                        .options = options,
                        .out = &rules,
                        .result = result,
                        .left_out = left_out,
                        .context = context};
  *result = (struct price_import_result){0};
  buf_init(&rules, YAML_BYTES_MAX);
  buf_init(&m.meters, YAML_BYTES_MAX);
  buf_init(&m.left, YAML_BYTES_MAX);
  bool ok = json_parse(m.arena, json, &table, err);
  if (ok && table->kind != JSON_OBJECT) {
    ok = error_set(err, ERR_INVALID, "the price table should be an object: a member for each model");
  } else if (ok) {
    import_models(&m, table);
    ok = result->prices > 0 || error_set(err, ERR_NOT_FOUND, "the price table holds no price%s%s",
                                         options->only ? " of a model like " : "", options->only ? options->only : "");
  }
  if (ok) {
    put_catalog(&m, &rules, yaml);
    ok = (!yaml->failed && !rules.failed && !m.left.failed) ||
         error_set(err, ERR_LIMIT, "the prices make more than %u bytes of YAML", YAML_BYTES_MAX);
  }
  buf_free(&rules);
  buf_free(&m.meters);
  buf_free(&m.left);
  arena_free(m.arena);
  return ok;
}
