/* Starting and stopping the gateway: its tables, the keys of its upstreams, and the thread that looks after them. */
#include "gateway/gateway.h"
#include "base/file.h"
#include "base/log.h"
#include "gateway/private.h"
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define UPSTREAM_KEY_BYTES_MAX 4096
#define REMEMBER_NS (60 * NS_PER_S)

/* ---- tables ---- */

struct purse *purse_of(struct gateway *gateway, const struct customer *payer) {
  pthread_mutex_lock(&gateway->lock);
  struct purse *purse = map_get(&gateway->purses, payer->id);
  if (purse == NULL) {
    purse = purse_new(gateway, payer);
    *map_put(&gateway->purses, payer->id) = purse;
  }
  pthread_mutex_unlock(&gateway->lock);
  return purse;
}

struct buyer *buyer_of(struct gateway *gateway, const struct customer *customer) {
  pthread_mutex_lock(&gateway->lock);
  struct buyer *buyer = map_get(&gateway->buyers, customer->id);
  pthread_mutex_unlock(&gateway->lock);
  if (buyer) {
    return buyer;
  }
  struct purse *purse = purse_of(gateway, customer->payer ? customer->payer : customer);
  pthread_mutex_lock(&gateway->lock);
  void **place = map_put(&gateway->buyers, customer->id);
  if (*place == NULL) {
    buyer = mem_alloc(sizeof *buyer);
    buyer->customer = customer;
    buyer->purse = purse;
    must(pthread_mutex_init(&buyer->lock, NULL) == 0);
    *place = buyer;
  }
  buyer = *place;
  pthread_mutex_unlock(&gateway->lock);
  return buyer;
}

static struct purse *find_purse(struct gateway *gateway, slice customer) {
  const struct customer *known = catalog_customer(gateway->catalog, customer);
  const struct customer *payer = known && known->payer ? known->payer : known;
  pthread_mutex_lock(&gateway->lock);
  struct purse *purse = payer ? map_get(&gateway->purses, payer->id) : NULL;
  pthread_mutex_unlock(&gateway->lock);
  return purse;
}

amount gateway_free_credit(struct gateway *gateway, slice customer) {
  struct purse *purse = find_purse(gateway, customer);
  return purse ? purse_free_credit(purse) : AMOUNT_ZERO;
}

amount gateway_held_credit(struct gateway *gateway, slice customer) {
  struct purse *purse = find_purse(gateway, customer);
  return purse ? purse_held_credit(purse) : AMOUNT_ZERO;
}

/* ---- what the catalog says ---- */

static void ask_for(struct gateway *gateway, slice *asked, slice name) {
  for (size_t i = 0; i < gateway->asked_count; i++) {
    if (slice_eq(asked[i], name)) {
      return;
    }
  }
  asked[gateway->asked_count++] = name;
}

/* Model, tier and door tell prices apart in any case. */
static void read_meters(struct gateway *gateway) {
  const struct meter *meters[CATALOG_METERS_PER_TYPE_MAX];
  size_t count = catalog_meters_of_type(gateway->catalog, gateway->catalog->gateway.event_type, meters,
                                        CATALOG_METERS_PER_TYPE_MAX),
         room = 3;
  for (size_t i = 0; i < count; i++) {
    room += meters[i]->dimension_count + meters[i]->filter_count;
  }
  slice *asked = arena_array(gateway->arena, room, sizeof *asked);
  ask_for(gateway, asked, SLICE("model"));
  ask_for(gateway, asked, SLICE("tier"));
  ask_for(gateway, asked, SLICE("door"));
  for (size_t i = 0; i < count; i++) {
    for (size_t d = 0; d < meters[i]->dimension_count; d++) {
      ask_for(gateway, asked, meters[i]->dimensions[d]);
    }
    for (size_t f = 0; f < meters[i]->filter_count; f++) {
      ask_for(gateway, asked, meters[i]->filters[f].field);
    }
  }
  gateway->asked = asked;
  gateway->product = count > 0 ? meters[0]->product : (slice){0};
}

static bool read_key(struct arena *arena, const struct upstream *upstream, slice *out, struct error *err) {
  if (upstream->key_env.len > 0) {
    char name[256];
    snprintf(name, sizeof name, SLICE_FMT, SLICE_ARG(upstream->key_env));
    const char *value = getenv(name);
    if (value == NULL || *value == '\0') {
      return error_set(err, ERR_INVALID, "%s:%d: upstream " SLICE_FMT ": the environment has no %s: set it to its key",
                       upstream->place.file, upstream->place.line, SLICE_ARG(upstream->name), name);
    }
    *out = slice_of(value);
  } else if (upstream->key_file.len > 0) {
    char path[4096];
    snprintf(path, sizeof path, SLICE_FMT, SLICE_ARG(upstream->key_file));
    return file_read(arena, path, UPSTREAM_KEY_BYTES_MAX, out, err) ||
           error_at(err, "upstream " SLICE_FMT, SLICE_ARG(upstream->name));
  }
  return true;
}

static bool key_is_clean(slice key) {
  for (size_t i = 0; i < key.len; i++) {
    if ((unsigned char)key.ptr[i] < 0x21 || (unsigned char)key.ptr[i] > 0x7e) {
      return false;
    }
  }
  return key.len > 0;
}

static bool read_upstream(struct gateway *gateway, const struct upstream *upstream, struct error *err) {
  slice key = {0};
  bool ok = read_key(gateway->arena, upstream, &key, err);
  key = slice_trim(key);
  if (ok && upstream->key_env.len + upstream->key_file.len > 0) {
    ok = key_is_clean(key) ||
         error_set(err, ERR_INVALID, "upstream " SLICE_FMT ": its key is empty or not one line of text",
                   SLICE_ARG(upstream->name));
    const char *form = upstream->anthropic ? "x-api-key: " SLICE_FMT "\r\n" : "authorization: Bearer " SLICE_FMT "\r\n";
    gateway->upstream_headers[upstream->index] = slice_of(arena_printf(gateway->arena, form, SLICE_ARG(key)));
  }
  return ok;
}

static bool read_upstreams(struct gateway *gateway, struct error *err) {
  const struct catalog *catalog = gateway->catalog;
  gateway->upstream_headers = arena_array(gateway->arena, catalog->upstream_count + 1, sizeof(slice));
  for (size_t i = 0; i < catalog->upstream_count; i++) {
    if (!read_upstream(gateway, &catalog->upstreams[i], err)) {
      return false;
    }
  }
  return true;
}

static void open_doors(struct gateway *gateway) {
  for (enum wire_door d = WIRE_CHAT; d < WIRE_DOORS; d++) {
    gateway->doors[d] = (struct door){gateway, d};
    gateway->routes_of_http[d] = (struct http_route){
        .method = "POST", .path = wire_door_path(d), .data = &gateway->doors[d], .handle = call_arrived_at_door};
  }
  for (size_t i = 0; i < 2; i++) {
    gateway->routes_of_http[WIRE_DOORS + i] = (struct http_route){.method = "GET",
                                                                  .path = i == 0 ? "/v1/models" : "/v1/models/{model}",
                                                                  .data = &gateway->doors[WIRE_CHAT],
                                                                  .handle = models_arrived};
  }
}

const struct http_route *gateway_routes(struct gateway *gateway, size_t *count) {
  *count = sizeof gateway->routes_of_http / sizeof *gateway->routes_of_http;
  return gateway->routes_of_http;
}

/* ---- what was called just before a restart still counts towards limits of a minute ---- */

static int64_t number_of(const struct event *e, const char *field) {
  quantity q;
  struct error ignored = {0};
  return quantity_parse(event_field_value(e, slice_of(field)), &q, &ignored) ? (int64_t)(q.e9 / QUANTITY_E9) : 0;
}

static bool remember_one(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  struct gateway *gateway = context;
  (void)arrival;
  (void)err;
  slice names[2] = {e->subject, key_family(gateway->book, event_field_value(e, SLICE("key")))};
  const instant begun = {e->time.ns - number_of(e, "ms") * (NS_PER_S / 1000)};
  if (!slice_eq(e->source, CALL_SOURCE) || begun.ns < clock_now().ns - REMEMBER_NS) {
    return true;
  }
  int64_t tokens = 0;
  for (enum kind k = KIND_INPUT; k < KINDS; k++) {
    tokens += number_of(e, kind_name(k));
  }
  for (size_t i = 0; i < 2; i++) {
    char name[300];
    snprintf(name, sizeof name, "%s/" SLICE_FMT, i == 0 ? "customer" : "key", SLICE_ARG(names[i]));
    struct limiter *limiter = limiter_of(gateway->limiters, slice_of(name));
    limiter_remember(limiter, begun, tokens);
    limiter_drop(gateway->limiters, limiter);
  }
  return true;
}

static bool remember(struct gateway *gateway, struct error *err) {
  struct book *reader;
  const struct journal_range range = {.from = {clock_now().ns - REMEMBER_NS}};
  if (!book_open_reader(gateway->book, &reader, err)) {
    return false;
  }
  bool ok = journal_scan(book_db(reader), &range, remember_one, gateway, err);
  book_close(reader);
  return ok;
}

/* ---- starting ---- */

bool gateway_start(struct book *book, struct core *core, struct gateway **out, struct error *err) {
  struct gateway *gateway = mem_alloc(sizeof *gateway);
  gateway->magic = GATEWAY_MAGIC;
  gateway->book = book;
  gateway->core = core;
  gateway->catalog = book_catalog(book);
  gateway->arena = arena_new();
  must(pthread_mutex_init(&gateway->lock, NULL) == 0);
  read_meters(gateway);
  gateway->limiters = limiters_new();
  open_doors(gateway);
  bool ok = routes_new(gateway->catalog, clock_now(), &gateway->routes, err);
  if (ok) {
    gateway->figures = figures_new(gateway->catalog, gateway->routes, FIGURES_EDGES_MAX);
  }
  if (!ok || !read_upstreams(gateway, err) || !remember(gateway, err)) {
    gateway_free(gateway);
    return false;
  }
  keeper_start_thread(gateway);
  *out = gateway;
  return true;
}

/* ---- what is asked of it ---- */

void gateway_metrics(struct gateway *gateway, struct buf *out) {
  figures_metrics(gateway->figures, clock_now(), out);
}

void gateway_view(struct gateway *gateway, struct buf *out) {
  figures_json(gateway->figures, clock_now(), out);
}

void gateway_problem(struct http_request *r, int status, const char *code, const char *detail) {
  struct buf out;
  bool anthropic = slice_starts(http_path(r), wire_door_path(WIRE_MESSAGES));
  if (anthropic) {
    http_add_header(r, "request-id", http_request_id(r));
  }
  buf_init(&out, 1u << 16);
  wire_error(anthropic ? WIRE_MESSAGES : WIRE_CHAT, status, detail, code, NULL, http_request_id(r), &out);
  http_answer(r, status, "application/json", buf_slice(&out));
  buf_free(&out);
}

/* ---- stopping ---- */

static void return_credit(struct gateway *gateway) {
  for (size_t i = 0; i < gateway->purses.capacity; i++) {
    struct purse *purse = gateway->purses.slots[i].value;
    struct error err = {0};
    if (purse && !purse_return(purse, &err)) {
      log_line(LOG_ERROR, "gateway", "credit reserved for customer " SLICE_FMT ": %s", SLICE_ARG(purse->payer->id),
               err.message);
    }
  }
}

void gateway_stop(struct gateway *gateway) {
  if (gateway) {
    keeper_stop_thread(gateway);
    return_credit(gateway);
  }
}

static void free_tables(struct gateway *gateway) {
  for (size_t i = 0; i < gateway->buyers.capacity; i++) {
    struct buyer *buyer = gateway->buyers.slots[i].value;
    if (buyer) {
      terms_drop(buyer->terms);
      pthread_mutex_destroy(&buyer->lock);
      free(buyer);
    }
  }
  for (size_t i = 0; i < gateway->purses.capacity; i++) {
    if (gateway->purses.slots[i].value) {
      purse_free(gateway->purses.slots[i].value);
    }
  }
  map_free(&gateway->buyers);
  map_free(&gateway->purses);
  key_states_free(gateway);
}

void gateway_free(struct gateway *gateway) {
  if (gateway == NULL) {
    return;
  }
  must(gateway->magic == GATEWAY_MAGIC);
  free_tables(gateway);
  figures_free(gateway->figures);
  limiters_free(gateway->limiters);
  routes_free(gateway->routes);
  pthread_mutex_destroy(&gateway->lock);
  arena_free(gateway->arena); /* with it the keys of the upstreams */
  gateway->magic = 0;
  free(gateway);
}
