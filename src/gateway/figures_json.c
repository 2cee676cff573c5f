/* The live view: what the last minute and the last five came to, by model, upstream and customer. */
#include "base/json.h"
#include "gateway/figures_parts.h"
#include <stdlib.h>
#include <string.h>

struct live_row {
  const struct customer *customer;
  uint64_t open;
  struct live_sum minute, minutes;
};
struct live_rows {
  VEC(struct live_row) rows;
};

static void add_sum(struct live_sum *to, const struct live_sum *more) {
  to->calls += more->calls;
  to->foreign += more->foreign;
  to->input += more->input;
  to->output += more->output;
  to->charged += more->charged;
  to->cost += more->cost;
}

/* To one decimal, half up: whole tokens a second are too coarse for a call now and then. */
static void put_a_second(struct json_out *w, const char *key, uint64_t count, uint64_t seconds) {
  char text[32];
  uint64_t tenths = (count * 20 + seconds) / (2 * seconds);
  int n =
      snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10));
  json_key(w, key);
  json_raw(w, (slice){text, (size_t)n});
}

static uint64_t seconds_of(instant now, uint64_t slices) {
  int64_t present = now.ns / NS_PER_S % LIVE_SLICE_S + 1;
  return (slices - 1) * LIVE_SLICE_S + (uint64_t)present;
}

/* There is a margin only where all was charged in the currency of the costs. */
static void put_sum(struct json_out *w, const char *key, const struct live_sum *s, uint64_t seconds, bool comparable) {
  json_key(w, key);
  json_open_object(w);
  json_put_int(w, "seconds", (int64_t)seconds);
  json_put_int(w, "calls", (int64_t)s->calls);
  json_put_int(w, "input_tokens", (int64_t)s->input);
  json_put_int(w, "output_tokens", (int64_t)s->output);
  put_a_second(w, "output_tokens_a_second", s->output, seconds);
  json_put_amount(w, "charged", (amount){s->charged});
  json_put_amount(w, "cost", (amount){s->cost});
  if (comparable) {
    json_put_amount(w, "margin", (amount){s->charged - s->cost});
  }
  json_close_object(w);
}

static void put_models(struct json_out *w, const struct figures *f, instant now) {
  json_key(w, "models");
  json_open_array(w);
  for (size_t i = 0; i < f->catalog->model_count; i++) {
    struct live_sum minute = {0}, minutes = {0};
    uint64_t open = 0;
    for (unsigned edge = 0; edge < f->edges; edge++) {
      struct model_shard *m = atomic_load_explicit(&f->shards[edge].models[i], memory_order_acquire);
      if (m != NULL) {
        open += figure_of(&m->live.open);
        live_add_up(&m->live, now, LIVE_MINUTE, &minute);
        live_add_up(&m->live, now, LIVE_SLICES, &minutes);
      }
    }
    if (open > 0 || minutes.calls > 0) {
      json_open_object(w);
      json_put_str(w, "model", f->catalog->models[i].name);
      json_put_int(w, "open", (int64_t)open);
      put_sum(w, "last_minute", &minute, seconds_of(now, LIVE_MINUTE), minute.foreign == 0);
      put_sum(w, "last_5_minutes", &minutes, seconds_of(now, LIVE_SLICES), minutes.foreign == 0);
      json_close_object(w);
    }
  }
  json_close_array(w);
}

static void put_upstreams(struct json_out *w, const struct figures *f, instant now) {
  size_t count = f->catalog->upstream_count;
  struct route_figures *figures = mem_alloc((count + 1) * sizeof *figures);
  route_figures(f->routes, now, figures, count);
  json_key(w, "upstreams");
  json_open_array(w);
  for (size_t i = 0; i < count; i++) {
    json_open_object(w);
    json_put_str(w, "upstream", figures[i].upstream->name);
    json_put_cstr(w, "state", figures[i].state);
    json_put_int(w, "open", figures[i].running);
    if (figures[i].upstream->concurrency > 0) {
      json_put_int(w, "concurrency", figures[i].upstream->concurrency);
    }
    json_put_int(w, "calls", (int64_t)figures[i].calls);
    json_put_int(w, "failed", (int64_t)figures[i].failed);
    json_put_int(w, "refused", (int64_t)figures[i].refused);
    json_put_amount(w, "cost", figures[i].cost);
    json_put_amount(w, "cost_an_hour", figures[i].cost_hour);
    json_close_object(w);
  }
  json_close_array(w);
  free(figures);
}

static void gather_edge(const struct live_customers *all, instant now, struct live_rows *to) {
  uint32_t count = atomic_load_explicit(&all->count, memory_order_acquire);
  for (uint32_t slot = 0; slot < count; slot++) {
    struct live_row row = {0};
    row.customer = live_customer_read(live_customer_at(all, slot), now, &row.open, &row.minute, &row.minutes);
    if (row.open > 0 || row.minutes.calls > 0) {
      vec_push(&to->rows, row);
    }
  }
}

static int by_customer(const void *a, const void *b) {
  uint32_t x = ((const struct live_row *)a)->customer->index, y = ((const struct live_row *)b)->customer->index;
  return (x > y) - (x < y);
}

static uint64_t tokens_of(const struct live_row *row) {
  return row->minutes.input + row->minutes.output;
}

/* Most tokens of five minutes first, then most open calls, then by id. */
static int by_tokens(const void *a, const void *b) {
  const struct live_row *x = a, *y = b;
  if (tokens_of(x) != tokens_of(y)) {
    return tokens_of(x) > tokens_of(y) ? -1 : 1;
  }
  return x->open != y->open ? (x->open > y->open ? -1 : 1) : slice_cmp(x->customer->id, y->customer->id);
}

/* One row a customer, whatever edges it came to. */
static void merge(struct live_rows *all) {
  size_t kept = 0;
  qsort(all->rows.items, all->rows.count, sizeof *all->rows.items, by_customer);
  for (size_t i = 0; i < all->rows.count; i++) {
    const struct live_row *row = &all->rows.items[i];
    if (kept > 0 && all->rows.items[kept - 1].customer == row->customer) {
      all->rows.items[kept - 1].open += row->open;
      add_sum(&all->rows.items[kept - 1].minute, &row->minute);
      add_sum(&all->rows.items[kept - 1].minutes, &row->minutes);
    } else {
      all->rows.items[kept++] = *row;
    }
  }
  all->rows.count = kept;
  qsort(all->rows.items, kept, sizeof *all->rows.items, by_tokens);
}

static void put_customers(struct json_out *w, const struct figures *f, instant now) {
  struct live_rows all = {0};
  for (unsigned edge = 0; edge < f->edges; edge++) {
    gather_edge(&f->shards[edge].customers, now, &all);
  }
  if (all.rows.count > 0) {
    merge(&all);
  }
  json_put_int(w, "customers_active", (int64_t)all.rows.count);
  json_key(w, "customers");
  json_open_array(w);
  for (size_t i = 0; i < all.rows.count && i < FIGURES_CUSTOMERS_SHOWN; i++) {
    const struct live_row *row = &all.rows.items[i];
    bool comparable = strcmp(row->customer->currency->code, f->catalog->currency->code) == 0;
    json_open_object(w);
    json_put_str(w, "customer", row->customer->id);
    json_put_cstr(w, "currency", row->customer->currency->code);
    json_put_int(w, "open", (int64_t)row->open);
    put_sum(w, "last_minute", &row->minute, seconds_of(now, LIVE_MINUTE), comparable);
    put_sum(w, "last_5_minutes", &row->minutes, seconds_of(now, LIVE_SLICES), comparable);
    json_close_object(w);
  }
  json_close_array(w);
  vec_free(&all.rows);
}

void figures_json(struct figures *f, instant now, struct buf *out) {
  struct json_out w;
  json_out_init(&w, out, false);
  json_open_object(&w);
  json_put_instant(&w, "as_of", now);
  json_put_cstr(&w, "cost_currency", f->catalog->currency->code);
  put_models(&w, f, now);
  if (f->routes != NULL) {
    put_upstreams(&w, f, now);
  }
  put_customers(&w, f, now);
  json_close_object(&w);
}
