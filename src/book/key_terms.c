/* The terms of keys: what they say when nothing is said, which are wrong, which are wider than others; and the rule of
 * scopes. */
#include "book/private.h"
#include <string.h>

#define SCOPES_ALL (KEY_SCOPE_MODELS | KEY_SCOPE_MANAGE)

const char *key_scope_name(unsigned scope) {
  return scope == KEY_SCOPE_MODELS ? "models" : "manage";
}

bool key_may(const struct key_identity *who, unsigned scope, struct error *err) {
  if (who->terms && (who->terms->scopes & scope)) {
    return true;
  }
  return scope == KEY_SCOPE_MODELS
             ? error_set(err, ERR_DENIED,
                         "this key does not call models: it takes a customer's key with the scope "
                         "\"models\"")
             : error_set(err, ERR_DENIED, "this key calls models alone: it takes one with the scope \"manage\"");
}

/* ---- models ---- */

static bool pattern_has(slice pattern, slice text) {
  if (pattern.len == 0 || pattern.ptr[pattern.len - 1] != '*') {
    return slice_eq(pattern, text);
  }
  return text.len >= pattern.len - 1 && memcmp(pattern.ptr, text.ptr, pattern.len - 1) == 0;
}

bool key_may_use_model(const struct key_terms *terms, slice model) {
  bool may = terms->model_count == 0;
  for (size_t i = 0; i < terms->model_count && !may; i++) {
    may = pattern_has(terms->models[i], model);
  }
  return may;
}

/* A beginning lies within another that it begins with; so what holds for a model's name holds for its pattern. */
static bool models_within(const struct key_terms *terms, const struct key_terms *bounds) {
  if (bounds->model_count == 0) {
    return true;
  }
  bool within = terms->model_count > 0;
  for (size_t i = 0; i < terms->model_count && within; i++) {
    within = key_may_use_model(bounds, terms->models[i]);
  }
  return within;
}

/* ---- right and wrong ---- */

/* In the store a line is a model; in a header or on a terminal none of these bytes does what one sees. */
static bool is_plain(slice text, char least) {
  bool plain = text.len <= KEY_NAME_BYTES_MAX;
  for (size_t i = 0; i < text.len && plain; i++) {
    plain = (unsigned char)text.ptr[i] >= (unsigned char)least && text.ptr[i] != 0x7f;
  }
  return plain;
}

static bool models_fit(const struct key_terms *terms, struct error *err) {
  if (terms->model_count > KEY_MODELS_MAX) {
    return error_set(err, ERR_INVALID, "models: a key names at most %d", KEY_MODELS_MAX);
  }
  for (size_t i = 0; i < terms->model_count; i++) {
    slice m = terms->models[i];
    const char *star = m.len > 0 ? memchr(m.ptr, '*', m.len) : NULL;
    if (m.len == 0 || !is_plain(m, '!') || (star && star != m.ptr + m.len - 1)) {
      return error_set(err, ERR_INVALID,
                       "models: each is a model's name of at most %d bytes without blanks, or how names begin and then "
                       "\"*\"",
                       KEY_NAME_BYTES_MAX);
    }
  }
  return true;
}

static bool limits_fit(const struct key_terms *t, struct error *err) {
  const struct {
    const char *name;
    int64_t value;
  } each[] = {{"requests_a_minute", t->limits.requests_a_minute},
              {"tokens_a_minute", t->limits.tokens_a_minute},
              {"concurrency", t->limits.concurrency}};
  for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
    if (each[i].value < 0) {
      return error_set(err, ERR_INVALID, "limits.%s: above zero; leave it out for none", each[i].name);
    }
  }
  if (t->has_spend_limit && amount_cmp(t->spend_limit, AMOUNT_ZERO) <= 0) {
    return error_set(err, ERR_INVALID, "spend_limit.amount: above zero; leave spend_limit out for none");
  }
  return t->spend_per == WATCH_MONTH || t->spend_per == WATCH_DAY ||
         error_set(err, ERR_INVALID, "spend_limit.per: month or day");
}

static bool terms_fit(enum role role, const struct key_terms *t, struct error *err) {
  bool calls_nothing = (t->scopes & KEY_SCOPE_MODELS) == 0 && t->project.len == 0 && t->model_count == 0 &&
                       t->limits.requests_a_minute == 0 && t->limits.tokens_a_minute == 0 &&
                       t->limits.concurrency == 0 && !t->has_spend_limit;
  if (role != ROLE_CUSTOMER && !calls_nothing) {
    return error_set(err, ERR_INVALID,
                     "a key of role %s calls no models: it has no scope \"models\", no project, models, limits or "
                     "spend_limit",
                     role_name(role));
  }
  if (t->scopes == 0 || (t->scopes & ~(unsigned)SCOPES_ALL)) {
    return error_set(err, ERR_INVALID, "scopes: models, manage, or both");
  }
  if (!is_plain(t->project, ' ')) {
    return error_set(err, ERR_INVALID, "project: at most %d bytes without control characters", KEY_NAME_BYTES_MAX);
  }
  if (t->expires.ns <= clock_now().ns) {
    return error_set(err, ERR_INVALID, "expires: a time to come");
  }
  return models_fit(t, err) && limits_fit(t, err);
}

/* ---- what is left open ---- */

static void inherit_limit(int64_t *limit, int64_t bound) {
  if (*limit == 0) {
    *limit = bound;
  }
}

static void inherit(struct key_terms *t, const struct key_terms *from) {
  if (t->scopes == 0) {
    t->scopes = from->scopes;
  }
  if (t->expires.ns == 0) {
    t->expires = from->expires;
  }
  if (t->model_count == 0) {
    t->models = from->models;
    t->model_count = from->model_count;
  }
  inherit_limit(&t->limits.requests_a_minute, from->limits.requests_a_minute);
  inherit_limit(&t->limits.tokens_a_minute, from->limits.tokens_a_minute);
  inherit_limit(&t->limits.concurrency, from->limits.concurrency);
  if (!t->has_spend_limit && from->has_spend_limit) {
    t->has_spend_limit = true;
    t->spend_limit = from->spend_limit;
    t->spend_per = from->spend_per;
  }
}

static bool limit_within(int64_t limit, int64_t bound) {
  return bound == 0 || (limit != 0 && limit <= bound);
}

bool key_terms_within(const struct key_terms *t, const struct key_terms *bounds, struct error *err) {
  const char *wider = NULL;
  if (t->scopes & ~bounds->scopes) {
    wider = "scopes";
  } else if (!models_within(t, bounds)) {
    wider = "models";
  } else if (t->expires.ns > bounds->expires.ns) {
    wider = "expires";
  } else if (!limit_within(t->limits.requests_a_minute, bounds->limits.requests_a_minute)) {
    wider = "limits.requests_a_minute";
  } else if (!limit_within(t->limits.tokens_a_minute, bounds->limits.tokens_a_minute)) {
    wider = "limits.tokens_a_minute";
  } else if (!limit_within(t->limits.concurrency, bounds->limits.concurrency)) {
    wider = "limits.concurrency";
  } else if (bounds->has_spend_limit && (!t->has_spend_limit || t->spend_per != bounds->spend_per ||
                                         amount_cmp(t->spend_limit, bounds->spend_limit) > 0)) {
    wider = "spend_limit";
  }
  return wider == NULL || error_set(err, ERR_DENIED, "%s: wider than that of the key that asks", wider);
}

bool key_terms_settle(const struct key_request *request, struct key_terms *out, struct error *err) {
  const struct key_terms *bounds =
      request->maker && request->maker->role == ROLE_CUSTOMER ? request->maker->terms : NULL;
  *out = request->terms;
  if (bounds) {
    inherit(out, bounds);
  }
  if (out->scopes == 0) {
    out->scopes = request->role == ROLE_CUSTOMER ? SCOPES_ALL : KEY_SCOPE_MANAGE;
  }
  if (out->expires.ns == 0) {
    out->expires = INSTANT_MAX;
  }
  return terms_fit(request->role, out, err) && (bounds == NULL || key_terms_within(out, bounds, err));
}

/* ---- in the store ---- */

slice key_models_text(struct arena *arena, const struct key_terms *terms) {
  size_t length = 0, at = 0;
  for (size_t i = 0; i < terms->model_count; i++) {
    length += terms->models[i].len + 1;
  }
  char *text = arena_alloc(arena, length + 1);
  for (size_t i = 0; i < terms->model_count; i++) {
    memcpy(text + at, terms->models[i].ptr, terms->models[i].len);
    at += terms->models[i].len;
    text[at++] = '\n';
  }
  return (slice){text, length};
}

static void read_models(struct arena *arena, slice text, struct key_terms *out) {
  size_t count = 0;
  for (size_t i = 0; i < text.len; i++) {
    count += text.ptr[i] == '\n';
  }
  if (count == 0) {
    return;
  }
  slice *models = arena_array(arena, count, sizeof *models);
  const char *line = arena_copy(arena, text).ptr;
  for (size_t i = 0; i < count; i++) {
    models[i] = (slice){line, strcspn(line, "\n")};
    line += models[i].len + 1;
  }
  out->models = models;
  out->model_count = count;
}

bool key_terms_read(struct arena *arena, const struct db_row *row, int first, struct key_terms *out,
                    struct error *err) {
  *out = (struct key_terms){.scopes = (unsigned)db_int(row, first),
                            .project = arena_copy(arena, db_bytes(row, first + 1)),
                            .expires = {db_int(row, first + 3)},
                            .limits = {.requests_a_minute = db_int(row, first + 4),
                                       .tokens_a_minute = db_int(row, first + 5),
                                       .concurrency = db_int(row, first + 6)},
                            .has_spend_limit = !db_is_null(row, first + 7),
                            .spend_per = (enum watch_per)db_int(row, first + 8)};
  read_models(arena, db_bytes(row, first + 2), out);
  return !out->has_spend_limit || db_amount(row, first + 7, &out->spend_limit, err);
}
