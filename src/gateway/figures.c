/* Recording of calls: each edge adds to its own shard, without a lock. */
#include "gateway/figures_parts.h"
#include <stdlib.h>
#include <string.h>

#define CURRENCIES_MAX 65535
#define MS_NS UINT64_C(1000000)

/* Boundaries as OpenTelemetry's semantic conventions say; times in ns. */
const struct scale scale_duration = {14,
                                     {10 * MS_NS, 20 * MS_NS, 40 * MS_NS, 80 * MS_NS, 160 * MS_NS, 320 * MS_NS,
                                      640 * MS_NS, 1280 * MS_NS, 2560 * MS_NS, 5120 * MS_NS, 10240 * MS_NS,
                                      20480 * MS_NS, 40960 * MS_NS, 81920 * MS_NS}};
const struct scale scale_first_token = {16,
                                        {MS_NS, 5 * MS_NS, 10 * MS_NS, 20 * MS_NS, 40 * MS_NS, 60 * MS_NS, 80 * MS_NS,
                                         100 * MS_NS, 250 * MS_NS, 500 * MS_NS, 750 * MS_NS, 1000 * MS_NS, 2500 * MS_NS,
                                         5000 * MS_NS, 7500 * MS_NS, 10000 * MS_NS}};
const struct scale scale_per_token = {13,
                                      {10 * MS_NS, 25 * MS_NS, 50 * MS_NS, 75 * MS_NS, 100 * MS_NS, 150 * MS_NS,
                                       200 * MS_NS, 300 * MS_NS, 400 * MS_NS, 500 * MS_NS, 750 * MS_NS, 1000 * MS_NS,
                                       2500 * MS_NS}};
const struct scale scale_tokens = {
    14, {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}};

const char *const token_kinds[TOKEN_KINDS] = {"input",  "cached",    "cache_write", "input_audio",
                                              "output", "reasoning", "output_audio"};

const char *figures_cause_name(enum figures_cause cause) {
  static const char *const names[REFUSED_CAUSES] = {
      "no_key",      "model",         "rate_requests", "rate_tokens", "concurrency", "credit", "credit_wait",
      "spend_limit", "upstream_full", "upstream_down", "invalid",     "too_large",   "books"};
  must((unsigned)cause < REFUSED_CAUSES);
  return names[cause];
}

const char *call_status_name(enum call_status status) {
  static const char *const names[CALL_STATUSES] = {"2xx", "4xx", "5xx", "left"};
  return names[status];
}

const char *call_operation_name(enum call_operation operation) {
  static const char *const names[CALL_OPERATIONS] = {"chat", "text_completion", "embeddings"};
  return names[operation];
}

static enum call_operation operation_of(enum wire_door door) {
  return door == WIRE_COMPLETIONS  ? OPERATION_COMPLETION
         : door == WIRE_EMBEDDINGS ? OPERATION_EMBEDDINGS
                                   : OPERATION_CHAT;
}

static enum call_status status_of(const struct figures_call *call) {
  if (call->client_left) {
    return STATUS_LEFT;
  }
  return call->status >= 500 ? STATUS_5XX : call->status >= 400 ? STATUS_4XX : STATUS_OK;
}

void usage_tokens(const struct wire_usage *u, uint64_t tokens[TOKEN_KINDS]) {
  const int64_t all[TOKEN_KINDS] = {u->input,  u->cached,    u->cache_write, u->input_audio,
                                    u->output, u->reasoning, u->output_audio};
  for (size_t i = 0; i < TOKEN_KINDS; i++) {
    must(all[i] >= 0);
    tokens[i] = (uint64_t)all[i];
  }
}

void tally_add(struct tally *t, const struct scale *scale, uint64_t value) {
  size_t bucket = 0;
  while (bucket < scale->count && value > scale->bounds[bucket]) {
    bucket++;
  }
  figure_add(&t->counts[bucket], 1);
  figure_add(&t->sum, value);
}

/* Which currencies customers have: few, whatever the number of customers. */
static void list_currencies(struct figures *f) {
  const struct catalog *c = f->catalog;
  f->currency_of = mem_alloc((c->customer_count + 1) * sizeof *f->currency_of);
  for (size_t i = 0; i < c->customer_count; i++) {
    const struct currency *currency = c->customers[i].currency;
    size_t at = 0;
    while (at < f->currency_count && strcmp(f->currencies[at]->code, currency->code) != 0) {
      at++;
    }
    if (at == f->currency_count) {
      must(at < CURRENCIES_MAX);
      f->currencies = mem_grow(f->currencies, at + 1, sizeof(struct currency *));
      f->currencies[f->currency_count++] = currency;
    }
    f->currency_of[i] = (uint16_t)at;
  }
}

struct figures *figures_new(const struct catalog *catalog, struct routes *routes, unsigned edges) {
  must(edges > 0 && edges <= FIGURES_EDGES_MAX);
  struct figures *f = mem_alloc(sizeof *f);
  f->catalog = catalog;
  f->routes = routes;
  f->edges = edges;
  list_currencies(f);
  f->shards = mem_alloc(edges * sizeof *f->shards);
  for (unsigned i = 0; i < edges; i++) {
    struct shard *s = &f->shards[i];
    s->money = mem_alloc((f->currency_count + 1) * sizeof *s->money);
    s->models = mem_alloc((catalog->model_count + 1) * sizeof *s->models);
    s->customers.slot_of = mem_alloc((catalog->customer_count + 1) * sizeof *s->customers.slot_of);
  }
  return f;
}

static size_t cell_count(const struct model *m) {
  return (m->target_count + 1) * CALL_OPERATIONS;
}

static void shard_free(const struct catalog *catalog, struct shard *s) {
  for (size_t i = 0; i < catalog->model_count; i++) {
    struct model_shard *m = atomic_load(&s->models[i]);
    for (size_t k = 0; m != NULL && k < cell_count(&catalog->models[i]); k++) {
      free(atomic_load(&m->cells[k]));
    }
    free(m);
  }
  live_customers_free(&s->customers);
  free(s->money);
  free(s->models);
}

void figures_free(struct figures *f) {
  for (unsigned i = 0; f != NULL && i < f->edges; i++) {
    shard_free(f->catalog, &f->shards[i]);
  }
  if (f != NULL) {
    free(f->shards);
    free(f->currency_of);
    free(f->currencies);
    free(f);
  }
}

static struct shard *shard_of(struct figures *f, unsigned edge) {
  must(edge < f->edges);
  return &f->shards[edge];
}

static struct model_shard *model_of(struct shard *s, const struct model *m) {
  struct model_shard *found = atomic_load_explicit(&s->models[m->index], memory_order_relaxed);
  if (found == NULL) {
    found = mem_alloc(sizeof *found + cell_count(m) * sizeof found->cells[0]);
    atomic_store_explicit(&s->models[m->index], found, memory_order_release);
  }
  return found;
}

static struct cell *cell_of(struct shard *s, const struct figures_call *call) {
  struct model_shard *m = model_of(s, call->model);
  size_t target = call->target ? call->target->index : call->model->target_count;
  _Atomic(struct cell *) *place = &m->cells[target * CALL_OPERATIONS + operation_of(call->door)];
  struct cell *found = atomic_load_explicit(place, memory_order_relaxed);
  if (found == NULL) {
    found = mem_alloc(sizeof *found);
    atomic_store_explicit(place, found, memory_order_release);
  }
  return found;
}

static struct money_shard *money_of(struct figures *f, struct shard *s, const struct customer *customer) {
  return &s->money[f->currency_of[customer->index]];
}

void figures_begin(struct figures *f, unsigned edge, struct figures_call *call) {
  struct shard *s = shard_of(f, edge);
  figures_live_open(&model_of(s, call->model)->live);
  call->customer_slot = live_customer_take(&s->customers, call->customer);
  if (call->customer_slot != 0) {
    figures_live_open(&live_customer_at(&s->customers, call->customer_slot - 1)->live);
  }
}

void figures_held(struct figures *f, unsigned edge, struct figures_call *call, amount held) {
  struct money_shard *m = money_of(f, shard_of(f, edge), call->customer);
  if (amount_is_zero(call->held) != amount_is_zero(held)) {
    figure_add(&m->held, amount_is_zero(held) ? UINT64_MAX : 1); /* UINT64_MAX: one less */
  }
  if (call->held.e12 != held.e12) {
    exact_add(&m->held_amount, held.e12 - call->held.e12);
  }
  call->held = held;
}

static uint64_t between(instant from, instant to) {
  return to.ns > from.ns ? (uint64_t)(to.ns - from.ns) : 0;
}

void figures_first_token(struct figures *f, unsigned edge, struct figures_call *call, instant now) {
  if (call->first_token.ns == 0) {
    call->first_token = now;
    tally_add(&cell_of(shard_of(f, edge), call)->first_token, &scale_first_token, between(call->begun, now));
  }
}

static void count_times(struct cell *cell, const struct figures_call *call, uint64_t output) {
  tally_add(&cell->duration[status_of(call)], &scale_duration, between(call->begun, call->ended));
  if (call->first_token.ns != 0 && output > 1 && status_of(call) == STATUS_OK) {
    tally_add(&cell->per_token, &scale_per_token, between(call->first_token, call->ended) / (output - 1));
  }
}

static void count_tokens(struct cell *cell, const struct figures_call *call, uint64_t input, uint64_t output) {
  uint64_t tokens[TOKEN_KINDS];
  usage_tokens(&call->usage, tokens);
  for (size_t i = 0; i < TOKEN_KINDS; i++) {
    if (tokens[i] > 0) {
      figure_add(&cell->tokens[i], tokens[i]);
    }
  }
  if (input + output > 0) {
    tally_add(&cell->input, &scale_tokens, input);
    tally_add(&cell->output, &scale_tokens, output);
  }
}

static void count_in_shard(struct figures *f, struct shard *s, const struct figures_call *call, uint64_t tokens) {
  struct money_shard *m = money_of(f, s, call->customer);
  if (call->settlement == CALL_SETTLED) {
    figure_add(&m->settled, 1);
    exact_add(&m->settled_amount, call->charged.e12);
  }
  figure_add(&s->unsettled, call->settlement == CALL_UNSETTLED);
  figure_add(&s->left, call->client_left);
  figure_add(&s->estimated, tokens > 0 && !call->usage.reported);
  figure_add(&s->retries, call->tries > 1 ? call->tries - 1 : 0);
}

/* A model's charges are only added up in the currency of its costs; a customer has one currency. */
static void count_live(struct figures *f, struct shard *s, const struct figures_call *call, uint64_t input,
                       uint64_t output) {
  bool foreign = strcmp(call->customer->currency->code, f->catalog->currency->code) != 0;
  struct live_sum more = {.calls = 1,
                          .foreign = foreign,
                          .input = input,
                          .output = output,
                          .charged = call->charged.e12,
                          .cost = call->cost.e12};
  if (call->customer_slot != 0) {
    live_close(&live_customer_at(&s->customers, call->customer_slot - 1)->live, call->ended, &more);
  }
  if (foreign) {
    more.charged = 0;
  }
  live_close(&model_of(s, call->model)->live, call->ended, &more);
}

void figures_end(struct figures *f, unsigned edge, struct figures_call *call, instant now) {
  struct shard *s = shard_of(f, edge);
  struct cell *cell = cell_of(s, call);
  uint64_t input = (uint64_t)wire_usage_input(&call->usage), output = (uint64_t)wire_usage_output(&call->usage);
  call->ended = now;
  figures_held(f, edge, call, AMOUNT_ZERO);
  count_times(cell, call, output);
  count_tokens(cell, call, input, output);
  if (!amount_is_zero(call->cost)) {
    exact_add(&cell->cost, call->cost.e12);
  }
  count_in_shard(f, s, call, input + output);
  count_live(f, s, call, input, output);
}

void figures_refused(struct figures *f, unsigned edge, enum figures_cause cause) {
  must((unsigned)cause < REFUSED_CAUSES);
  figure_add(&shard_of(f, edge)->refused[cause], 1);
}
