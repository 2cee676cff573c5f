/* meterhouse key: makes, lists, rotates and revokes API keys. A key is shown once; only its hash is kept. */
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>

/* ---- the terms ---- */

/* The words of "a,b,c", blanks aside; at most `max` of them. */
static bool take_list(const char *option, slice text, slice *words, size_t max, size_t *count, struct error *err) {
  *count = 0;
  for (size_t at = 0; at < text.len;) {
    const char *comma = memchr(text.ptr + at, ',', text.len - at);
    size_t end = comma ? (size_t)(comma - text.ptr) : text.len;
    if (*count == max) {
      return error_set(err, ERR_USAGE, "%s takes at most %zu names", option, max);
    }
    words[(*count)++] = slice_trim((slice){text.ptr + at, end - at});
    at = end + 1;
  }
  return true;
}

static bool take_scopes(const struct cli_args *args, unsigned *out, struct error *err) {
  slice words[4];
  size_t count;
  if (!take_list("--scope", slice_of(cli_value(args, "--scope")), words, 4, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    unsigned scope = slice_is(words[i], key_scope_name(KEY_SCOPE_MODELS))   ? KEY_SCOPE_MODELS
                     : slice_is(words[i], key_scope_name(KEY_SCOPE_MANAGE)) ? KEY_SCOPE_MANAGE
                                                                            : 0;
    if (scope == 0) {
      return error_set(err, ERR_USAGE, "--scope is models, manage, or both with a comma in between");
    }
    *out |= scope;
  }
  return true;
}

static bool take_count(const struct cli_args *args, const char *option, int64_t *out, struct error *err) {
  uint64_t n;
  if (!cli_number(args, option, 0, 1, INT64_MAX, &n, err)) {
    return false;
  }
  *out = (int64_t)n;
  return true;
}

static bool take_limits(const struct cli_args *args, struct key_terms *out, struct error *err) {
  const char *spend = cli_value(args, "--spend-limit"), *per = cli_value(args, "--spend-per");
  if (!take_count(args, "--requests-a-minute", &out->limits.requests_a_minute, err) ||
      !take_count(args, "--tokens-a-minute", &out->limits.tokens_a_minute, err) ||
      !take_count(args, "--concurrency", &out->limits.concurrency, err)) {
    return false;
  }
  if (spend && !amount_parse(slice_of(spend), &out->spend_limit, err)) {
    return error_at(err, "--spend-limit");
  }
  out->has_spend_limit = spend != NULL;
  out->spend_per = per && strcmp(per, "day") == 0 ? WATCH_DAY : WATCH_MONTH;
  return per == NULL || (spend && (strcmp(per, "day") == 0 || strcmp(per, "month") == 0)) ||
         error_set(err, ERR_USAGE, "--spend-per is month or day, and goes with --spend-limit");
}

static bool take_terms(const struct cli_args *args, struct book *book, slice models[KEY_MODELS_MAX],
                       struct key_terms *out, struct error *err) {
  const char *expires = cli_value(args, "--expires");
  *out = (struct key_terms){.project = slice_of(cli_value(args, "--project")), .models = models};
  if (expires && !time_parse_loose(slice_of(expires), book_catalog(book)->time_zone, &out->expires, err)) {
    return error_at(err, "--expires");
  }
  return take_scopes(args, &out->scopes, err) &&
         take_list("--model", slice_of(cli_value(args, "--model")), models, KEY_MODELS_MAX, &out->model_count, err) &&
         take_limits(args, out, err);
}

/* ---- acts ---- */

static enum role role_of(const char *text) {
  for (enum role r = ROLE_CUSTOMER; r <= ROLE_OPERATOR; r++) {
    if (text && strcmp(text, role_name(r)) == 0) {
      return r;
    }
  }
  return ROLE_NONE;
}

static bool create(const struct cli_args *args, struct book *book, struct error *err) {
  slice models[KEY_MODELS_MAX];
  struct key_made made;
  struct key_request request = {.role = role_of(cli_value(args, "--role")),
                                .customer = slice_of(cli_value(args, "--customer")),
                                .name = slice_of(cli_value(args, "--name"))};
  if (request.role == ROLE_NONE) {
    return error_set(err, ERR_USAGE, "--role is operator, customer or investor");
  }
  if (!take_terms(args, book, models, &request.terms, err) || !book_begin(book, err)) {
    return false;
  }
  if (!key_create(book, &request, &made, err)) {
    book_undo(book);
    return false;
  }
  if (!book_commit(book, err)) {
    return false;
  }
  printf("%s\n", made.text);
  return true;
}

static bool print_key(void *context, const struct key_info *key, struct error *err) {
  (void)context;
  (void)err;
  char when[TIME_TEXT_MAX], end[TIME_TEXT_MAX];
  bool ends = key->terms.expires.ns != INSTANT_MAX.ns;
  printf(SLICE_FMT "  %-8s  %-12.*s  %s%s%s%s  " SLICE_FMT "\n", SLICE_ARG(key->id), role_name(key->role),
         (int)key->customer.len, key->customer.ptr, time_format(key->created, when), key->revoked ? "  revoked" : "",
         ends ? "  until " : "", ends ? time_format(key->terms.expires, end) : "", SLICE_ARG(key->name));
  return true;
}

static bool revoke(const struct cli_args *args, struct book *book, struct error *err) {
  if (args->rest_count != 2) {
    return error_set(err, ERR_USAGE, "`key revoke` takes the id of a key; `key list` shows them");
  }
  if (!book_begin(book, err)) {
    return false;
  }
  if (!key_revoke(book, slice_of(args->rest[1]), NULL, err)) {
    book_undo(book);
    return false;
  }
  return book_commit(book, err);
}

/* "3600", "90m", "24h", "7d". */
static bool take_overlap(const struct cli_args *args, int64_t *out, struct error *err) {
  static const struct {
    const char *name;
    int64_t seconds;
  } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  const char *text = cli_value(args, "--overlap");
  *out = 0;
  if (text == NULL) {
    return true;
  }
  char *unit;
  unsigned long long count = strtoull(text, &unit, 10);
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (*text >= '0' && *text <= '9' && strcmp(unit, units[i].name) == 0 && count <= KEY_OVERLAP_S_MAX) {
      *out = (int64_t)count * units[i].seconds;
      return true;
    }
  }
  return error_set(err, ERR_USAGE, "--overlap is a length of time such as 90m, 24h or 7d, not \"%s\"", text);
}

static bool rotate(const struct cli_args *args, struct book *book, struct error *err) {
  struct key_made made;
  int64_t overlap_s;
  if (args->rest_count != 2) {
    return error_set(err, ERR_USAGE, "`key rotate` takes the id of a key; `key list` shows them");
  }
  if (!take_overlap(args, &overlap_s, err) || !book_begin(book, err)) {
    return false;
  }
  if (!key_rotate(book, slice_of(args->rest[1]), overlap_s, NULL, &made, err)) {
    book_undo(book);
    return false;
  }
  if (!book_commit(book, err)) {
    return false;
  }
  printf("%s\n", made.text);
  return true;
}

static bool act(const struct cli_args *args, struct book *book, struct error *err) {
  const char *action = args->rest[0];
  if (strcmp(action, "create") == 0) {
    return create(args, book, err);
  }
  if (strcmp(action, "list") == 0) {
    return key_list(book, &(struct key_query){.customer = slice_of(cli_value(args, "--customer"))}, print_key, NULL,
                    err);
  }
  if (strcmp(action, "rotate") == 0) {
    return rotate(args, book, err);
  }
  if (strcmp(action, "revoke") == 0) {
    return revoke(args, book, err);
  }
  return error_set(err, ERR_USAGE, "there is no `key %s`: create, list, rotate or revoke", action);
}

static int run(const struct cli_args *args) {
  return cli_on_book(args, act);
}

const struct cli_command cli_key = {
    .name = "key",
    .summary = "create, list, rotate and revoke API keys",
    .rest = "create|list|rotate|revoke [ID]",
    .rest_min = 1,
    .rest_max = 2,
    .example = "meterhouse key create --data book --role customer --customer acme --name ci",
    .options = {CLI_OPTION_DATA,
                {"--role", "ROLE", "operator, customer or investor", false},
                {"--customer", "ID", "whose key it is (role customer)", false},
                {"--name", "TEXT", "a reminder of what it is for", false},
                {"--scope", "LIST", "models, manage (a customer's: both)", false},
                {"--project", "TEXT", "in the events of its calls", false},
                {"--model", "LIST", "models it may call: names, or beginnings as \"llama-*\" (all)", false},
                {"--expires", "TIME", "when it ends (never)", false},
                {"--requests-a-minute", "N", "calls in any 60 seconds", false},
                {"--tokens-a-minute", "N", "tokens in any 60 seconds", false},
                {"--concurrency", "N", "calls at a time", false},
                {"--spend-limit", "AMOUNT", "with tax, in the customer's currency", false},
                {"--spend-per", "month|day", "the period of the spend limit (month)", false},
                {"--overlap", "TIME", "rotate: how long the old key works on, as 24h (0)", false},
                {"--catalog", "DIR", "the catalog; remembered by the book", false}},
    .run = run,
};
