/* May this call be made: who calls, what for, within which limits, and is there credit for the most it can cost. Each
 * step may refuse the call, or park it until the book has answered. */
#include "base/log.h"
#include "gateway/private.h"
#include <string.h>

#define OUTPUT_FLOOR_TOKENS 256 /* max_tokens is not lowered below this for want of credit */
#define CREDIT_RETRY_MS 1000
#define FORWARDED_HEADER_BYTES_MAX 1024

static void refuse(struct call *call, int status, enum figures_cause cause, const char *code, const char *param,
                   const char *message) {
  const struct refusal refusal = {
      .status = status, .message = message, .code = code, .param = param, .cause = cause, .retry_ms = -1};
  call_refuse(call, &refusal);
}

/* ---- who ---- */

slice key_text_of(const struct http_request *r) {
  slice header = http_header(r, "authorization");
  if (header.len > 7 && strncasecmp(header.ptr, "Bearer ", 7) == 0) {
    return slice_trim((slice){header.ptr + 7, header.len - 7});
  }
  return slice_trim(http_header(r, "x-api-key"));
}

static bool identify(struct call *call) {
  struct error err = {0};
  slice text = key_text_of(call->http);
  if (text.len == 0) {
    refuse(call, 401, REFUSED_NO_KEY, "invalid_api_key", NULL,
           "This needs a key: send \"Authorization: Bearer mh_...\" or \"x-api-key: mh_...\".");
    return false;
  }
  if (!key_check(call->gateway->book, text, &call->who, &err)) {
    refuse(call, 401, REFUSED_NO_KEY, "invalid_api_key", NULL, err.message);
    return false;
  }
  if (!key_may(&call->who, KEY_SCOPE_MODELS, &err)) {
    refuse(call, 403, REFUSED_NO_KEY, "key_not_allowed", NULL, err.message);
    return false;
  }
  const struct customer *customer = catalog_customer(call->gateway->catalog, call->who.customer);
  if (call->who.role != ROLE_CUSTOMER || customer == NULL) {
    refuse(call, 403, REFUSED_NO_KEY, "key_not_allowed", NULL,
           "Models are called with the key of a customer, who pays for it.");
    return false;
  }
  call->buyer = buyer_of(call->gateway, customer);
  return true;
}

/* ---- what ---- */

static bool tier_of(slice text, enum model_tier *out) {
  *out = TIER_DEFAULT;
  for (enum model_tier t = TIER_DEFAULT; t < MODEL_TIERS; t++) {
    if (slice_is(text, model_tier_name(t))) {
      *out = t;
      return true;
    }
  }
  return text.len == 0 || slice_is(text, "auto") || slice_is(text, "standard_only") || slice_is(text, "scale");
}

static bool read_request(struct call *call) {
  struct error err = {0};
  if (!wire_request_read(call->arena, call->door, http_body(call->http), &call->request, &err)) {
    bool large = err.code == ERR_LIMIT;
    refuse(call, large ? 413 : 400, large ? REFUSED_TOO_LARGE : REFUSED_INVALID, NULL, NULL, err.message);
    return false;
  }
  enum model_tier tier;
  if (!tier_of(call->request.tier, &tier)) {
    refuse(call, 400, REFUSED_INVALID, NULL, "service_tier", "service_tier is auto, default, flex, priority or batch.");
    return false;
  }
  call->tier = tier;
  return true;
}

/* They go on to the upstream, where a line break in one would begin another. */
static bool check_header(struct call *call, const char *name) {
  slice value = http_header(call->http, name);
  bool clean = value.len <= FORWARDED_HEADER_BYTES_MAX;
  for (size_t i = 0; i < value.len && clean; i++) {
    clean = value.ptr[i] >= 0x20 && value.ptr[i] < 0x7f;
  }
  if (!clean) {
    char message[96];
    snprintf(message, sizeof message, "%s: must be at most %d characters of ASCII, all printable", name,
             FORWARDED_HEADER_BYTES_MAX);
    refuse(call, 400, REFUSED_INVALID, NULL, name, message);
  }
  return clean;
}

static bool refuse_model(struct call *call) {
  char message[2 * WIRE_NAME_BYTES_MAX];
  snprintf(message, sizeof message, "The model `%.*s` does not exist or you do not have access to it.",
           (int)(call->request.model.len < WIRE_NAME_BYTES_MAX ? call->request.model.len : WIRE_NAME_BYTES_MAX),
           call->request.model.len ? call->request.model.ptr : "");
  refuse(call, 404, REFUSED_MODEL, "model_not_found", "model", message);
  return false;
}

static bool has_target(const struct model *model, enum wire_door door) {
  for (size_t i = 0; i < model->target_count; i++) {
    if (!model->targets[i].upstream->anthropic || door == WIRE_MESSAGES) {
      return true;
    }
  }
  return false;
}

static bool find_model(struct call *call) {
  const struct model *model = catalog_model(call->gateway->catalog, call->request.model);
  if (model == NULL || !key_may_use_model(call->who.terms, model->name)) {
    return refuse_model(call);
  }
  call->model = model;
  if ((model->doors & (1u << call->door)) == 0 || !has_target(model, call->door)) {
    char message[2 * WIRE_NAME_BYTES_MAX];
    snprintf(message, sizeof message, "The model `%.*s` is not served at %s.", (int)model->name.len, model->name.ptr,
             wire_door_path(call->door));
    refuse(call, 404, REFUSED_MODEL, "model_not_served_here", "model", message);
    return false;
  }
  if ((model->tiers & (1u << call->tier)) == 0) {
    call->tier = TIER_DEFAULT;
  }
  int64_t most = model->output_tokens_max, asked = call->request.max_tokens;
  call->max_tokens = asked < 0 || asked > most ? most : asked;
  return true;
}

static struct call_facts facts_of(const struct call *call) {
  slice tier = slice_of(model_tier_name(call->tier));
  return (struct call_facts){.model = call->model->name,
                             .tier = tier,
                             .service = tier,
                             .door = slice_of(wire_door_name(call->door)),
                             .key = call->who.key_id,
                             .project = call->who.terms ? call->who.terms->project : (slice){0},
                             .upstream = call->placed ? call->place.target->upstream->name : (slice){0}};
}

bool call_quote(struct call *call, struct error *err) {
  struct call_facts facts = facts_of(call);
  pthread_mutex_lock(&call->buyer->lock);
  bool ok = terms_quote(call->gateway, call->buyer, call->terms, &facts, call->begun, &call->quote, err);
  pthread_mutex_unlock(&call->buyer->lock);
  return ok;
}

static bool find_price(struct call *call) {
  struct error err = {0};
  call->terms = buyer_terms(call->gateway, call->buyer, call->begun, &err);
  if (call->terms == NULL) {
    return refuse_model(call);
  }
  if (!call_quote(call, &err)) {
    log_line(LOG_ERROR, http_request_id(call->http), "customer " SLICE_FMT ": %s", SLICE_ARG(call->buyer->customer->id),
             err.message);
    refuse(call, 500, REFUSED_BOOKS, NULL, NULL, "The price of this call can not be told at the moment.");
    return false;
  }
  return call->quote->sold || refuse_model(call);
}

/* ---- how much ---- */

static void put_number(struct http_request *r, const char *name, int64_t value) {
  char text[DIGITS_MAX + 1];
  text[DIGITS_MAX] = '\0';
  http_add_header(r, name, number_digits((uint64_t)value, text).ptr);
}

void call_put_limits(struct call *call) {
  const struct limit_state *state = &call->limit_state;
  char text[32];
  if (state->requests_limit > 0) {
    put_number(call->http, "x-ratelimit-limit-requests", state->requests_limit);
    put_number(call->http, "x-ratelimit-remaining-requests", state->requests_remaining);
    http_add_header(call->http, "x-ratelimit-reset-requests", limit_reset_text(state->requests_reset_ms, text));
  }
  if (state->tokens_limit > 0) {
    put_number(call->http, "x-ratelimit-limit-tokens", state->tokens_limit);
    put_number(call->http, "x-ratelimit-remaining-tokens", state->tokens_remaining);
    http_add_header(call->http, "x-ratelimit-reset-tokens", limit_reset_text(state->tokens_reset_ms, text));
  }
}

/* Of two limiters the headers tell of the one with less left. */
static void tighter(struct limit_state *a, const struct limit_state *b) {
  if (b->requests_limit > 0 && (a->requests_limit == 0 || b->requests_remaining < a->requests_remaining)) {
    a->requests_limit = b->requests_limit;
    a->requests_remaining = b->requests_remaining;
    a->requests_reset_ms = b->requests_reset_ms;
  }
  if (b->tokens_limit > 0 && (a->tokens_limit == 0 || b->tokens_remaining < a->tokens_remaining)) {
    a->tokens_limit = b->tokens_limit;
    a->tokens_remaining = b->tokens_remaining;
    a->tokens_reset_ms = b->tokens_reset_ms;
  }
}

static bool refuse_limit(struct call *call, enum limit_verdict verdict, const struct limit_state *state,
                         int64_t retry_ms) {
  static const char *const messages[] = {
      [LIMIT_REQUESTS] = "Rate limit reached: as many requests as this key or customer may make in a minute.",
      [LIMIT_TOKENS] = "Rate limit reached: as many tokens as this key or customer may use in a minute.",
      [LIMIT_CONCURRENCY] = "Rate limit reached: as many calls at a time as this key or customer may make."};
  static const enum figures_cause causes[] = {[LIMIT_REQUESTS] = REFUSED_RATE_REQUESTS,
                                              [LIMIT_TOKENS] = REFUSED_RATE_TOKENS,
                                              [LIMIT_CONCURRENCY] = REFUSED_CONCURRENCY};
  call->limit_state = *state;
  call_put_limits(call);
  const struct refusal refusal = {.status = 429,
                                  .message = messages[verdict],
                                  .code = "rate_limit_exceeded",
                                  .cause = causes[verdict],
                                  .retry_ms = retry_ms > 0 ? retry_ms : 1000};
  call_refuse(call, &refusal);
  return false;
}

static bool has_limits(const struct call_limits *l) {
  return l->requests_a_minute > 0 || l->tokens_a_minute > 0 || l->concurrency > 0;
}

static void find_limiters(struct call *call) {
  char name[300];
  call->limits[0] = catalog_call_limits(call->gateway->catalog, call->buyer->customer, call->begun);
  call->limits[1] = call->who.terms ? call->who.terms->limits : (struct call_limits){0};
  slice names[2] = {call->buyer->customer->id, call->who.family};
  for (size_t i = 0; i < 2; i++) {
    if (has_limits(&call->limits[i])) {
      snprintf(name, sizeof name, "%s/" SLICE_FMT, i == 0 ? "customer" : "key", SLICE_ARG(names[i]));
      call->limiters[i] = limiter_of(call->gateway->limiters, slice_of(name));
    }
  }
}

static void leave_limiter(struct call *call, size_t i) {
  limiter_drop(call->gateway->limiters, call->limiters[i]);
  call->limiters[i] = NULL;
}

static bool take_limits(struct call *call) {
  struct limit_state all = {0};
  find_limiters(call);
  call->tokens_estimated = wire_estimate((uint64_t)call->request.input_tokens_max) +
                           (call->request.max_tokens > 0 ? call->max_tokens * call->request.choices : 0);
  for (size_t i = 0; i < 2; i++) {
    struct limit_state state = {0};
    int64_t retry_ms = 0;
    if (call->limiters[i] == NULL) {
      continue;
    }
    enum limit_verdict verdict =
        limiter_take(call->limiters[i], &call->limits[i], call->tokens_estimated, call->begun, &state, &retry_ms);
    tighter(&all, &state);
    if (verdict != LIMIT_PASSED) {
      leave_limiter(call, i);
      if (i == 0 && call->limiters[1]) {
        leave_limiter(call, 1);
      }
      return refuse_limit(call, verdict, &all, retry_ms);
    }
  }
  call->limit_state = all;
  return true;
}

/* ---- credit ---- */

/* Read over the core, which has the book at hand and is not busy for long. */
static bool learn_apply(struct command *command, struct book *book, struct error *err) {
  struct call *call = (struct call *)command;
  return (terms_know(call->terms) || terms_learn(call->gateway, call->buyer, call->terms, book, err)) &&
         (call->key_state == NULL || key_spend_known(call->key_state, call->key_period) ||
          key_spend_learn(call->key_state, book, call->key_period, err));
}

static void learn_done(struct command *command, const struct error *err) {
  struct call *call = (struct call *)command;
  if (err) {
    log_line(LOG_ERROR, http_request_id(call->http), "what was used before can not be read: %s", err->message);
    call->why = "unreadable";
  }
  calls_resume(call);
}

static bool learn(struct call *call) {
  struct error err = {0};
  bool known = true;
  if (call->who.terms && call->who.terms->has_spend_limit) {
    call->key_state = key_state_of(call->gateway, call->who.family);
    known = key_period(call->who.terms, call->buyer->customer, call->begun, &call->key_period, &err) &&
            key_spend_known(call->key_state, call->key_period);
  }
  pthread_mutex_lock(&call->buyer->lock);
  known = known && terms_know(call->terms);
  pthread_mutex_unlock(&call->buyer->lock);
  if (known) {
    return true;
  }
  if (call->learning) {
    refuse(call, 503, REFUSED_BOOKS, NULL, NULL, "The books can not be read at the moment.");
    return false;
  }
  call->learning = call->waits = true;
  call->next_waiting = NULL;
  call->command = (struct command){.apply = learn_apply, .done = learn_done, .reads_only = true};
  if (!core_submit(call->gateway->core, &call->command, &err)) {
    call->waits = false;
    refuse(call, 503, REFUSED_BOOKS, NULL, NULL, "Too many requests are waiting for the books.");
  }
  return false;
}

static bool bound(struct call *call, int64_t max_tokens, amount *out) {
  struct error err = {0};
  pthread_mutex_lock(&call->buyer->lock);
  bool ok =
      quote_bound(call->terms, call->quote, call->request.input_tokens_max,
                  call->door == WIRE_EMBEDDINGS ? 0 : max_tokens * call->request.choices, &call->aside, out, &err);
  call->set_aside = ok;
  pthread_mutex_unlock(&call->buyer->lock);
  return ok;
}

static void unbound(struct call *call) {
  pthread_mutex_lock(&call->buyer->lock);
  if (call->set_aside) {
    quote_give_back(call->terms, call->quote, &call->aside);
    call->set_aside = false;
  }
  pthread_mutex_unlock(&call->buyer->lock);
}

/* How many tokens of output the credit at hand allows beside the rest of the call; 0 when it is below the floor. */
static int64_t tokens_for(struct call *call, amount most) {
  amount fixed, whole;
  int64_t tokens = 0;
  if (call->max_tokens <= OUTPUT_FLOOR_TOKENS || call->door == WIRE_EMBEDDINGS || !bound(call, 0, &fixed)) {
    return 0;
  }
  unbound(call);
  if (!bound(call, call->max_tokens, &whole)) {
    return 0;
  }
  unbound(call);
  if (most.e12 > fixed.e12 && whole.e12 > fixed.e12) {
    tokens = (int64_t)((most.e12 - fixed.e12) * call->max_tokens / (whole.e12 - fixed.e12));
  }
  return tokens < OUTPUT_FLOOR_TOKENS || tokens >= call->max_tokens ? 0 : tokens;
}

static bool refuse_for_books(struct call *call) {
  refuse(call, 503, REFUSED_BOOKS, NULL, NULL,
         "The books can not be written at the moment: nothing is sold until they can.");
  return false;
}

static bool refuse_credit(struct call *call, enum hold_verdict verdict) {
  if (verdict == HOLD_FAILED) {
    return refuse_for_books(call);
  }
  const struct refusal later = {.status = 402,
                                .message =
                                    "Calls under way hold the credit that is left: try again when they have ended.",
                                .code = "credit_held",
                                .cause = REFUSED_CREDIT_WAIT,
                                .retry_ms = CREDIT_RETRY_MS};
  const struct refusal never = {.status = 402,
                                .message = "There is not enough credit for the most this call can cost: add credit, or "
                                           "lower max_tokens.",
                                .code = "insufficient_quota",
                                .cause = REFUSED_CREDIT,
                                .retry_ms = 0};
  call_refuse(call, verdict == HOLD_LATER ? &later : &never);
  return false;
}

/* A shorter answer, when that is what the credit at hand allows. */
static enum hold_verdict hold_less(struct call *call, amount most, enum hold_verdict verdict, amount *value) {
  unbound(call);
  int64_t tokens = tokens_for(call, most);
  if (tokens == 0 || !bound(call, tokens, value)) {
    return verdict;
  }
  call->max_tokens = tokens;
  return purse_hold(call->buyer->purse, call, *value, steady_now(), &most);
}

static bool hold(struct call *call) {
  amount value, most;
  if (!bound(call, call->max_tokens, &value)) {
    refuse(call, 400, REFUSED_INVALID, NULL, NULL, "The call is larger than can be priced.");
    return false;
  }
  enum hold_verdict verdict = purse_hold(call->buyer->purse, call, value, steady_now(), &most);
  if (verdict == HOLD_LATER || verdict == HOLD_NEVER) {
    verdict = hold_less(call, most, verdict, &value);
  }
  call->holds = verdict == HOLD_DONE;
  call->waits = verdict == HOLD_WAITS;
  if (call->holds) {
    call->held = value;
    return true;
  }
  unbound(call);
  return !call->waits && refuse_credit(call, verdict);
}

static bool hold_on_key(struct call *call) {
  if (call->key_state == NULL) {
    return true;
  }
  call->key_holds = key_spend_hold(call->key_state, call->who.terms, call->held);
  if (!call->key_holds) {
    const struct refusal refusal = {.status = 402,
                                    .message = "This key has a spend limit, and the most this call can cost passes it.",
                                    .code = "key_spend_limit",
                                    .cause = REFUSED_SPEND_LIMIT,
                                    .retry_ms = 0};
    call_refuse(call, &refusal);
    return false;
  }
  return true;
}

/* ---- all of it ---- */

static bool first_steps(struct call *call) {
  if (call->terms) {
    return true;
  }
  if (steady_now().ns < atomic_load(&call->gateway->failing_until_ns)) {
    return refuse_for_books(call);
  }
  return identify(call) && read_request(call) && check_header(call, "anthropic-version") &&
         check_header(call, "anthropic-beta") && find_model(call) && find_price(call) && take_limits(call);
}

bool call_admit(struct call *call) {
  return first_steps(call) && learn(call) && (call->holds || hold(call)) && (call->key_holds || hold_on_key(call));
}
