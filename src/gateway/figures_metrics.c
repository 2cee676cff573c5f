/* The figures of all edges together, in Prometheus' text format. */
#include "gateway/figures_parts.h"
#include <stdlib.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define FIGURE_TEXT_MAX 40

/* One cell of each edge, added up. */
struct sums {
  uint64_t counts[BOUNDS_MAX + 1], sum, total;
};
struct cell_sum {
  const struct model *model;
  const struct model_target *target; /* NULL: none was found */
  enum call_operation operation;
  struct sums duration[CALL_STATUSES], first_token, per_token, input, output;
  uint64_t tokens[TOKEN_KINDS];
  int128 cost_e12;
};
struct gathered {
  VEC(struct cell_sum) cells;
};

static void add_tally(struct sums *to, const struct tally *t) {
  for (size_t i = 0; i <= BOUNDS_MAX; i++) {
    uint64_t count = figure_of(&t->counts[i]);
    to->counts[i] += count;
    to->total += count;
  }
  to->sum += figure_of(&t->sum);
}

static void add_cell(struct cell_sum *to, const struct cell *c) {
  for (size_t i = 0; i < CALL_STATUSES; i++) {
    add_tally(&to->duration[i], &c->duration[i]);
  }
  add_tally(&to->first_token, &c->first_token);
  add_tally(&to->per_token, &c->per_token);
  add_tally(&to->input, &c->input);
  add_tally(&to->output, &c->output);
  for (size_t i = 0; i < TOKEN_KINDS; i++) {
    to->tokens[i] += figure_of(&c->tokens[i]);
  }
  to->cost_e12 += exact_of(&c->cost);
}

static const struct cell *cell_at(const struct figures *f, unsigned edge, size_t model, size_t at) {
  struct model_shard *m = atomic_load_explicit(&f->shards[edge].models[model], memory_order_acquire);
  return m ? atomic_load_explicit(&m->cells[at], memory_order_acquire) : NULL;
}

static void gather(const struct figures *f, struct gathered *to) {
  for (size_t i = 0; i < f->catalog->model_count; i++) {
    const struct model *m = &f->catalog->models[i];
    for (size_t at = 0; at < (m->target_count + 1) * CALL_OPERATIONS; at++) {
      size_t target = at / CALL_OPERATIONS;
      struct cell_sum sum = {.model = m,
                             .target = target < m->target_count ? &m->targets[target] : NULL,
                             .operation = (enum call_operation)(at % CALL_OPERATIONS)};
      bool any = false;
      for (unsigned edge = 0; edge < f->edges; edge++) {
        const struct cell *c = cell_at(f, edge, i, at);
        if (c != NULL) {
          add_cell(&sum, c);
          any = true;
        }
      }
      if (any) {
        vec_push(&to->cells, sum);
      }
    }
  }
}

static void family(struct buf *out, const char *name, const char *type, const char *help) {
  buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* As the value of a label, in quotes. */
static void quoted(struct buf *out, slice text) {
  buf_addc(out, '"');
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '"' || c == '\\') {
      buf_addc(out, '\\');
    }
    if (c == '\n') {
      buf_add(out, SLICE("\\n"));
    } else {
      buf_addc(out, c);
    }
  }
  buf_addc(out, '"');
}

/* Whole numbers as they are, ns as seconds without zeros at the end. */
static const char *figure(uint64_t value, uint64_t unit, char text[FIGURE_TEXT_MAX]) {
  int n = snprintf(text, FIGURE_TEXT_MAX, "%llu", (unsigned long long)(value / unit));
  if (value % unit > 0) {
    n += snprintf(text + n, (size_t)(FIGURE_TEXT_MAX - n), ".%09llu", (unsigned long long)(value % unit));
    while (text[n - 1] == '0') {
      text[--n] = '\0';
    }
  }
  return text;
}

static slice upstream_name(const struct cell_sum *c) {
  return c->target ? c->target->upstream->name : SLICE("");
}

static void gen_ai_labels(struct buf *out, const struct cell_sum *c, const char *more) {
  buf_addf(out, "gen_ai_operation_name=\"%s\",gen_ai_provider_name=\"%s\",gen_ai_request_model=",
           call_operation_name(c->operation), c->target->upstream->anthropic ? "anthropic" : "openai");
  quoted(out, c->model->name);
  buf_addf(out, ",upstream=");
  quoted(out, upstream_name(c));
  buf_addf(out, "%s", more);
}

static void print_one(struct buf *out, const char *name, const struct cell_sum *c, const char *more,
                      const struct scale *scale, uint64_t unit, const struct sums *s) {
  char text[FIGURE_TEXT_MAX];
  uint64_t below = 0;
  for (size_t i = 0; i <= scale->count; i++) {
    below += s->counts[i];
    buf_addf(out, "%s_bucket{", name);
    gen_ai_labels(out, c, more);
    buf_addf(out, ",le=\"%s\"} %llu\n", i < scale->count ? figure(scale->bounds[i], unit, text) : "+Inf",
             (unsigned long long)below);
  }
  buf_addf(out, "%s_sum{", name);
  gen_ai_labels(out, c, more);
  buf_addf(out, "} %s\n%s_count{", figure(s->sum, unit, text), name);
  gen_ai_labels(out, c, more);
  buf_addf(out, "} %llu\n", (unsigned long long)s->total);
}

/* One of the histograms of struct cell_sum; those without a value are left out. */
struct shown_histogram {
  const char *more;
  size_t offset;
};
static void print_histogram(struct buf *out, const struct gathered *all, const char *name, const char *help,
                            const struct scale *scale, uint64_t unit, const struct shown_histogram *parts,
                            size_t part_count) {
  family(out, name, "histogram", help);
  for (size_t i = 0; i < all->cells.count; i++) {
    const struct cell_sum *c = &all->cells.items[i];
    for (size_t k = 0; k < part_count && c->target != NULL; k++) {
      const struct sums *s = (const void *)((const char *)c + parts[k].offset);
      if (s->total > 0) {
        print_one(out, name, c, parts[k].more, scale, unit, s);
      }
    }
  }
}

static void print_histograms(struct buf *out, const struct gathered *all) {
  static const struct shown_histogram durations[CALL_STATUSES] = {
      {"", offsetof(struct cell_sum, duration[STATUS_OK])},
      {",error_type=\"4xx\"", offsetof(struct cell_sum, duration[STATUS_4XX])},
      {",error_type=\"5xx\"", offsetof(struct cell_sum, duration[STATUS_5XX])},
      {",error_type=\"client_left\"", offsetof(struct cell_sum, duration[STATUS_LEFT])}};
  static const struct shown_histogram first = {"", offsetof(struct cell_sum, first_token)};
  static const struct shown_histogram per_token = {"", offsetof(struct cell_sum, per_token)};
  static const struct shown_histogram usage[2] = {{",gen_ai_token_type=\"input\"", offsetof(struct cell_sum, input)},
                                                  {",gen_ai_token_type=\"output\"", offsetof(struct cell_sum, output)}};
  print_histogram(out, all, "gen_ai_server_request_duration_seconds",
                  "From a call until its last byte; of calls that reached an upstream.", &scale_duration, NS_PER_SECOND,
                  durations, CALL_STATUSES);
  print_histogram(out, all, "gen_ai_server_time_to_first_token_seconds",
                  "From a call until the first content of its stream.", &scale_first_token, NS_PER_SECOND, &first, 1);
  print_histogram(out, all, "gen_ai_server_time_per_output_token_seconds",
                  "From the first content of a stream to its end, divided by the output tokens after the first.",
                  &scale_per_token, NS_PER_SECOND, &per_token, 1);
  print_histogram(out, all, "gen_ai_client_token_usage", "Tokens of a call.", &scale_tokens, 1, usage, 2);
}

static void cell_labels(struct buf *out, const char *name, const struct cell_sum *c) {
  buf_addf(out, "meterhouse_gateway_%s{operation=\"%s\",model=", name, call_operation_name(c->operation));
  quoted(out, c->model->name);
  buf_addf(out, ",upstream=");
  quoted(out, upstream_name(c));
}

static void print_cells(struct buf *out, const struct gathered *all) {
  char text[DECIMAL_TEXT_MAX];
  family(out, "meterhouse_gateway_calls_total", "counter", "Calls that ended; upstream is empty where none was found.");
  for (size_t i = 0; i < all->cells.count; i++) {
    const struct cell_sum *c = &all->cells.items[i];
    for (size_t k = 0; k < CALL_STATUSES; k++) {
      if (c->duration[k].total > 0) {
        cell_labels(out, "calls_total", c);
        buf_addf(out, ",status=\"%s\"} %llu\n", call_status_name((enum call_status)k),
                 (unsigned long long)c->duration[k].total);
      }
    }
  }
  family(out, "meterhouse_gateway_tokens_total", "counter", "Tokens by kind, each counted once.");
  for (size_t i = 0; i < all->cells.count; i++) {
    for (size_t k = 0; k < TOKEN_KINDS; k++) {
      if (all->cells.items[i].tokens[k] > 0) {
        cell_labels(out, "tokens_total", &all->cells.items[i]);
        buf_addf(out, ",kind=\"%s\"} %llu\n", token_kinds[k], (unsigned long long)all->cells.items[i].tokens[k]);
      }
    }
  }
  family(out, "meterhouse_gateway_cost_total", "counter", "What the calls cost on their upstreams.");
  for (size_t i = 0; i < all->cells.count; i++) {
    cell_labels(out, "cost_total", &all->cells.items[i]);
    buf_addf(out, "} %s\n", amount_text((amount){all->cells.items[i].cost_e12}, text));
  }
}

static void print_open(struct buf *out, const struct figures *f) {
  family(out, "meterhouse_gateway_calls_open", "gauge", "Calls under way.");
  for (size_t i = 0; i < f->catalog->model_count; i++) {
    uint64_t open = 0;
    bool any = false;
    for (unsigned edge = 0; edge < f->edges; edge++) {
      struct model_shard *m = atomic_load_explicit(&f->shards[edge].models[i], memory_order_acquire);
      any = any || m != NULL;
      open += m ? figure_of(&m->live.open) : 0;
    }
    if (any) {
      buf_addf(out, "meterhouse_gateway_calls_open{model=");
      quoted(out, f->catalog->models[i].name);
      buf_addf(out, "} %llu\n", (unsigned long long)open);
    }
  }
}

static uint64_t over_edges(const struct figures *f, size_t offset) {
  uint64_t sum = 0;
  for (unsigned edge = 0; edge < f->edges; edge++) {
    sum += figure_of((const void *)((const char *)&f->shards[edge] + offset));
  }
  return sum;
}

static void print_counters(struct buf *out, const struct figures *f) {
  static const struct {
    const char *name, *help;
    size_t offset;
  } all[] = {
      {"clients_left_total", "Calls whose client left before the end.", offsetof(struct shard, left)},
      {"estimated_total", "Calls whose tokens no upstream reported: they were estimated.",
       offsetof(struct shard, estimated)},
      {"retries_total", "Times another upstream was asked after one failed.", offsetof(struct shard, retries)},
      {"unsettled_total", "Calls that could not be settled before they ended.", offsetof(struct shard, unsettled)}};
  family(out, "meterhouse_gateway_refused_total", "counter", "Calls that were not taken, by cause.");
  for (size_t i = 0; i < REFUSED_CAUSES; i++) {
    size_t offset = offsetof(struct shard, refused) + i * sizeof(_Atomic uint64_t);
    buf_addf(out, "meterhouse_gateway_refused_total{cause=\"%s\"} %llu\n", figures_cause_name((enum figures_cause)i),
             (unsigned long long)over_edges(f, offset));
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    buf_addf(out, "# HELP meterhouse_gateway_%s %s\n# TYPE meterhouse_gateway_%s counter\nmeterhouse_gateway_%s %llu\n",
             all[i].name, all[i].help, all[i].name, all[i].name, (unsigned long long)over_edges(f, all[i].offset));
  }
}

static void print_amounts(struct buf *out, const struct figures *f, const char *name, const char *type,
                          const char *help, size_t offset) {
  char text[DECIMAL_TEXT_MAX];
  family(out, name, type, help);
  for (size_t i = 0; i < f->currency_count; i++) {
    int128 sum = 0;
    for (unsigned edge = 0; edge < f->edges; edge++) {
      sum += exact_of((const void *)((const char *)&f->shards[edge].money[i] + offset));
    }
    buf_addf(out, "%s{currency=\"%s\"} %s\n", name, f->currencies[i]->code, amount_text((amount){sum}, text));
  }
}

static void print_numbers(struct buf *out, const struct figures *f, const char *name, const char *type,
                          const char *help, size_t offset) {
  family(out, name, type, help);
  for (size_t i = 0; i < f->currency_count; i++) {
    uint64_t sum = 0;
    for (unsigned edge = 0; edge < f->edges; edge++) {
      sum += figure_of((const void *)((const char *)&f->shards[edge].money[i] + offset));
    }
    buf_addf(out, "%s{currency=\"%s\"} %llu\n", name, f->currencies[i]->code, (unsigned long long)sum);
  }
}

static void print_money(struct buf *out, const struct figures *f) {
  print_numbers(out, f, "meterhouse_gateway_holds_open", "gauge", "Calls that credit is held for.",
                offsetof(struct money_shard, held));
  print_amounts(out, f, "meterhouse_gateway_held_amount", "gauge", "Credit held for calls under way.",
                offsetof(struct money_shard, held_amount));
  print_numbers(out, f, "meterhouse_gateway_settlements_total", "counter", "Calls that were settled.",
                offsetof(struct money_shard, settled));
  print_amounts(out, f, "meterhouse_gateway_settled_amount_total", "counter",
                "What settled calls were charged, before tax.", offsetof(struct money_shard, settled_amount));
}

static void print_upstreams(struct buf *out, const struct route_figures *figures, size_t count) {
  static const struct {
    const char *name, *help;
    size_t offset;
  } all[] = {{"calls_total", "Calls sent to the upstream.", offsetof(struct route_figures, calls)},
             {"failures_total", "Calls that failed there.", offsetof(struct route_figures, failed)},
             {"refusals_total", "Calls it refused because it was full.", offsetof(struct route_figures, refused)}};
  family(out, "meterhouse_gateway_upstream_up", "gauge", "1 when the upstream is healthy and its circuit is closed.");
  for (size_t i = 0; i < count; i++) {
    bool up = strcmp(figures[i].state, "up") == 0 || strcmp(figures[i].state, "full") == 0;
    buf_addf(out, "meterhouse_gateway_upstream_up{upstream=");
    quoted(out, figures[i].upstream->name);
    buf_addf(out, "} %d\n", up);
  }
  family(out, "meterhouse_gateway_upstream_calls_open", "gauge", "Calls under way on the upstream.");
  for (size_t i = 0; i < count; i++) {
    buf_addf(out, "meterhouse_gateway_upstream_calls_open{upstream=");
    quoted(out, figures[i].upstream->name);
    buf_addf(out, "} %u\n", figures[i].running);
  }
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    buf_addf(out, "# HELP meterhouse_gateway_upstream_%s %s\n# TYPE meterhouse_gateway_upstream_%s counter\n",
             all[k].name, all[k].help, all[k].name);
    for (size_t i = 0; i < count; i++) {
      const uint64_t *value = (const void *)((const char *)&figures[i] + all[k].offset);
      buf_addf(out, "meterhouse_gateway_upstream_%s{upstream=", all[k].name);
      quoted(out, figures[i].upstream->name);
      buf_addf(out, "} %llu\n", (unsigned long long)*value);
    }
  }
}

static void print_upstream_costs(struct buf *out, const struct route_figures *figures, size_t count) {
  static const struct {
    const char *name, *type, *help;
    size_t offset;
  } all[] = {{"meterhouse_gateway_upstream_cost_total", "counter", "What calls that ended bore of the upstream's cost.",
              offsetof(struct route_figures, cost)},
             {"meterhouse_gateway_upstream_cost_per_hour", "gauge", "What the upstream costs an hour, idle or not.",
              offsetof(struct route_figures, cost_hour)}};
  char text[DECIMAL_TEXT_MAX];
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    family(out, all[k].name, all[k].type, all[k].help);
    for (size_t i = 0; i < count; i++) {
      const amount *value = (const void *)((const char *)&figures[i] + all[k].offset);
      buf_addf(out, "%s{upstream=", all[k].name);
      quoted(out, figures[i].upstream->name);
      buf_addf(out, "} %s\n", amount_text(*value, text));
    }
  }
}

void figures_metrics(struct figures *f, instant now, struct buf *out) {
  struct gathered all = {0};
  gather(f, &all);
  print_histograms(out, &all);
  print_cells(out, &all);
  print_open(out, f);
  print_counters(out, f);
  print_money(out, f);
  if (f->routes != NULL) {
    struct route_figures *upstreams = mem_alloc((f->catalog->upstream_count + 1) * sizeof *upstreams);
    size_t count = route_figures(f->routes, now, upstreams, f->catalog->upstream_count);
    print_upstreams(out, upstreams, count);
    print_upstream_costs(out, upstreams, count);
    free(upstreams);
  }
  vec_free(&all.cells);
}
