/* The gateway's figures: what is recorded is what is told, to Prometheus, in the live view and in the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/json.h"
#include "gateway/figures.h"
#include "gateway_world.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define EDGES 3
#define TEXT_MAX ((size_t)16 << 20)

struct house {
  struct gateway_world world;
  struct routes *routes;
  struct figures *figures;
  struct buf text;
  struct arena *arena;
};

static void open_house(struct house *h) {
  struct error err = {0};
  world_start(&h->world, 2);
  assert_true(routes_new(&h->world.catalog, (instant){WORLD_NOW}, &h->routes, &err));
  h->figures = figures_new(&h->world.catalog, h->routes, EDGES);
  h->arena = arena_new();
  buf_init(&h->text, TEXT_MAX);
}

static void close_house(struct house *h) {
  figures_free(h->figures);
  routes_free(h->routes);
  arena_free(h->arena);
  buf_free(&h->text);
}

static instant at_ms(int64_t ms) {
  return (instant){WORLD_NOW + ms * MS};
}

/* A stream that began at `ms`, had its first token 30 ms and its end 1030 ms later. */
static struct figures_call a_call(struct house *h, int64_t ms) {
  return (struct figures_call){.id = "call_1",
                               .customer = &h->world.customers[0],
                               .key_id = SLICE("k7"),
                               .model = &h->world.models[0],
                               .door = WIRE_CHAT,
                               .stream = true,
                               .begun = at_ms(ms),
                               .target = &h->world.targets[1],
                               .status = 200,
                               .usage = {.input = 100, .cached = 28, .output = 41, .reported = true},
                               .settlement = CALL_SETTLED,
                               .charged = {AMOUNT_E12 / 8},
                               .cost = {AMOUNT_E12 / 16},
                               .finish = SLICE("stop"),
                               .tries = 1};
}

static void live_through(struct house *h, unsigned edge, struct figures_call *call) {
  figures_begin(h->figures, edge, call);
  figures_held(h->figures, edge, call, (amount){AMOUNT_E12});
  instant first = {call->begun.ns + 30 * MS}, last = {call->begun.ns + 1030 * MS};
  if (call->stream) {
    figures_first_token(h->figures, edge, call, first);
  }
  figures_end(h->figures, edge, call, last);
}

static void metrics(struct house *h) {
  h->text.len = 0;
  figures_metrics(h->figures, at_ms(0), &h->text);
  buf_addc(&h->text, '\0');
  assert_false(h->text.failed);
}

static void tells(struct house *h, const char *line) {
  char whole[512];
  snprintf(whole, sizeof whole, "\n%s\n", line);
  if (strstr(h->text.ptr, whole) == NULL) {
    fail_msg("no line\n%s\nin\n%s", line, h->text.ptr);
  }
}

static void is_silent_of(struct house *h, const char *text) {
  if (strstr(h->text.ptr, text) != NULL) {
    fail_msg("there is\n%s\nin\n%s", text, h->text.ptr);
  }
}

#define GEN_AI(model)                                                                                                  \
  "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"" model "\",upstream=\"gpu-"  \
  "b\""

static void test_a_call_is_told_to_prometheus(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  struct figures_call call = a_call(&h, 0);
  live_through(&h, 0, &call);
  metrics(&h);
  tells(&h, "gen_ai_server_time_to_first_token_seconds_bucket{" GEN_AI("small") ",le=\"0.02\"} 0");
  tells(&h, "gen_ai_server_time_to_first_token_seconds_bucket{" GEN_AI("small") ",le=\"0.04\"} 1");
  tells(&h, "gen_ai_server_time_to_first_token_seconds_bucket{" GEN_AI("small") ",le=\"+Inf\"} 1");
  tells(&h, "gen_ai_server_time_to_first_token_seconds_sum{" GEN_AI("small") "} 0.03");
  tells(&h, "gen_ai_server_time_per_output_token_seconds_bucket{" GEN_AI("small") ",le=\"0.01\"} 0");
  tells(&h, "gen_ai_server_time_per_output_token_seconds_bucket{" GEN_AI("small") ",le=\"0.025\"} 1");
  tells(&h, "gen_ai_server_time_per_output_token_seconds_sum{" GEN_AI("small") "} 0.025");
  tells(&h, "gen_ai_server_request_duration_seconds_bucket{" GEN_AI("small") ",le=\"0.64\"} 0");
  tells(&h, "gen_ai_server_request_duration_seconds_bucket{" GEN_AI("small") ",le=\"1.28\"} 1");
  tells(&h, "gen_ai_client_token_usage_sum{" GEN_AI("small") ",gen_ai_token_type=\"input\"} 128");
  tells(&h, "gen_ai_client_token_usage_bucket{" GEN_AI("small") ",gen_ai_token_type=\"output\",le=\"16\"} 0");
  tells(&h, "gen_ai_client_token_usage_bucket{" GEN_AI("small") ",gen_ai_token_type=\"output\",le=\"64\"} 1");
  tells(&h, "meterhouse_gateway_calls_total{operation=\"chat\",model=\"small\",upstream=\"gpu-b\",status=\"2xx\"} 1");
  tells(&h,
        "meterhouse_gateway_tokens_total{operation=\"chat\",model=\"small\",upstream=\"gpu-b\",kind=\"cached\"} 28");
  tells(&h, "meterhouse_gateway_cost_total{operation=\"chat\",model=\"small\",upstream=\"gpu-b\"} 0.0625");
  tells(&h, "meterhouse_gateway_upstream_up{upstream=\"gpu-a\"} 1");
  tells(&h, "meterhouse_gateway_upstream_cost_per_hour{upstream=\"gpu-a\"} 12.5");
  tells(&h, "meterhouse_gateway_settlements_total{currency=\"USD\"} 1");
  tells(&h, "meterhouse_gateway_settled_amount_total{currency=\"USD\"} 0.125");
  tells(&h, "meterhouse_gateway_settled_amount_total{currency=\"EUR\"} 0");
  tells(&h, "meterhouse_gateway_calls_open{model=\"small\"} 0");
  tells(&h, "meterhouse_gateway_holds_open{currency=\"USD\"} 0");
  tells(&h, "meterhouse_gateway_held_amount{currency=\"USD\"} 0");
  is_silent_of(&h, "kind=\"reasoning\"");
  is_silent_of(&h, "error_type");
  close_house(&h);
}

static void test_what_goes_wrong_is_told_apart(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  struct figures_call left = a_call(&h, 0), failed = a_call(&h, 0), unfound = a_call(&h, 0), guessed = a_call(&h, 0);
  left.client_left = true;
  failed.status = 502;
  failed.tries = 3;
  failed.settlement = CALL_UNSETTLED;
  unfound.target = NULL;
  unfound.status = 503;
  unfound.stream = false;
  unfound.usage = (struct wire_usage){0};
  unfound.settlement = CALL_FREE;
  guessed.usage.reported = false;
  guessed.door = WIRE_MESSAGES;
  live_through(&h, 0, &left);
  live_through(&h, 1, &failed);
  live_through(&h, 2, &unfound);
  live_through(&h, 0, &guessed);
  figures_refused(h.figures, 0, REFUSED_CREDIT_WAIT);
  figures_refused(h.figures, 2, REFUSED_CREDIT_WAIT);
  figures_refused(h.figures, 1, REFUSED_TOO_LARGE);
  metrics(&h);
  tells(&h, "meterhouse_gateway_refused_total{cause=\"credit_wait\"} 2");
  tells(&h, "meterhouse_gateway_refused_total{cause=\"too_large\"} 1");
  tells(&h, "meterhouse_gateway_refused_total{cause=\"no_key\"} 0");
  tells(&h, "meterhouse_gateway_clients_left_total 1");
  tells(&h, "meterhouse_gateway_retries_total 2");
  tells(&h, "meterhouse_gateway_unsettled_total 1");
  tells(&h, "meterhouse_gateway_estimated_total 1");
  tells(&h, "meterhouse_gateway_calls_total{operation=\"chat\",model=\"small\",upstream=\"gpu-b\",status=\"left\"} 1");
  tells(&h, "meterhouse_gateway_calls_total{operation=\"chat\",model=\"small\",upstream=\"gpu-b\",status=\"5xx\"} 1");
  tells(&h, "meterhouse_gateway_calls_total{operation=\"chat\",model=\"small\",upstream=\"\",status=\"5xx\"} 1");
  tells(&h, "gen_ai_server_request_duration_seconds_count{" GEN_AI("small") ",error_type=\"client_left\"} 1");
  tells(&h, "gen_ai_server_request_duration_seconds_count{" GEN_AI("small") ",error_type=\"5xx\"} 1");
  tells(&h, "gen_ai_server_time_per_output_token_seconds_count{" GEN_AI("small") "} 1");
  close_house(&h);
}

static void test_what_is_open_is_told_while_it_is(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  struct figures_call a = a_call(&h, 0), b = a_call(&h, 0);
  b.customer = &h.world.customers[1];
  figures_begin(h.figures, 0, &a);
  figures_begin(h.figures, 1, &b);
  figures_held(h.figures, 0, &a, (amount){5 * AMOUNT_E12});
  figures_held(h.figures, 0, &a, (amount){3 * AMOUNT_E12});
  figures_held(h.figures, 1, &b, (amount){1});
  metrics(&h);
  tells(&h, "meterhouse_gateway_calls_open{model=\"small\"} 2");
  tells(&h, "meterhouse_gateway_holds_open{currency=\"USD\"} 1");
  tells(&h, "meterhouse_gateway_held_amount{currency=\"USD\"} 3");
  tells(&h, "meterhouse_gateway_held_amount{currency=\"EUR\"} 0.000000000001");
  figures_held(h.figures, 0, &a, AMOUNT_ZERO);
  figures_end(h.figures, 0, &a, at_ms(10));
  figures_end(h.figures, 1, &b, at_ms(10));
  metrics(&h);
  tells(&h, "meterhouse_gateway_calls_open{model=\"small\"} 0");
  tells(&h, "meterhouse_gateway_holds_open{currency=\"USD\"} 0");
  tells(&h, "meterhouse_gateway_held_amount{currency=\"EUR\"} 0");
  close_house(&h);
}

/* What `promtool check metrics` says of a text: its exit status, 127 when it is not installed. */
static int promtool(slice text) {
  int in[2], status;
  assert_int_equal(pipe(in), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(in[0], STDIN_FILENO);
    close(in[1]);
    execlp("promtool", "promtool", "check", "metrics", (char *)NULL);
    _exit(127);
  }
  close(in[0]);
  ssize_t written = write(in[1], text.ptr, text.len);
  close(in[1]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_true(written == (ssize_t)text.len || WEXITSTATUS(status) == 127);
  return WEXITSTATUS(status);
}

static void test_promtool_finds_nothing_wrong(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  h.world.models[1].name = SLICE("odd \"name\" with \\ and\nlines");
  struct figures_call a = a_call(&h, 0), b = a_call(&h, 5), c = a_call(&h, 9);
  b.model = &h.world.models[1];
  b.target = &h.world.targets[0];
  b.door = WIRE_EMBEDDINGS;
  c.client_left = true;
  live_through(&h, 0, &a);
  live_through(&h, 1, &b);
  live_through(&h, 2, &c);
  metrics(&h);
  void (*before)(int) = signal(SIGPIPE, SIG_IGN);
  int status = promtool((slice){h.text.ptr, h.text.len - 1});
  signal(SIGPIPE, before);
  close_house(&h);
  if (status == 127) {
    print_message("promtool is not installed\n");
    skip();
  }
  assert_int_equal(status, 0);
}

/* ---- the live view ---- */
static const struct json *live(struct house *h, int64_t ms) {
  const struct json *root;
  struct error err = {0};
  h->text.len = 0;
  figures_json(h->figures, at_ms(ms), &h->text);
  if (!json_parse(h->arena, arena_copy(h->arena, buf_slice(&h->text)), &root, &err)) {
    fail_msg("%s", err.message);
  }
  return root;
}

static const struct json *row(const struct json *root, const char *list, const char *key, const char *name) {
  const struct json *at = json_get(root, list);
  for (at = at ? at->child : NULL; at != NULL; at = at->next) {
    if (slice_is(json_text(at, key), name)) {
      return at;
    }
  }
  return NULL;
}

static void says(const struct json *object, const char *key, const char *text) {
  slice found = json_text(object, key);
  if (!slice_is(found, text)) {
    fail_msg("%s is " SLICE_FMT " instead of %s", key, SLICE_ARG(found), text);
  }
}

static void test_the_live_view_of_what_was_lately(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  struct figures_call a = a_call(&h, 0), b = a_call(&h, 0), open = a_call(&h, 0);
  b.customer = &h.world.customers[1];
  b.model = &h.world.models[1];
  b.target = &h.world.targets[0];
  live_through(&h, 0, &a);
  live_through(&h, 1, &b);
  a = a_call(&h, 0);
  live_through(&h, 2, &a);
  figures_begin(h.figures, 1, &open);
  const struct json *root = live(&h, 2000), *acme = row(root, "customers", "customer", "acme");
  says(acme, "currency", "USD");
  says(acme, "open", "1");
  const struct json *minute = json_get(acme, "last_minute");
  says(minute, "calls", "2");
  says(minute, "input_tokens", "256");
  says(minute, "output_tokens", "82");
  says(minute, "seconds", "63"); /* 12:00:02: two seconds of the present slice and the one it is in */
  says(minute, "output_tokens_a_second", "1.3");
  says(minute, "charged", "0.25");
  says(minute, "cost", "0.125");
  says(minute, "margin", "0.125");
  const struct json *euro = json_get(row(root, "customers", "customer", "euro"), "last_minute");
  says(euro, "charged", "0.125");
  assert_null(json_get(euro, "margin"));
  const struct json *tiny = json_get(row(root, "models", "model", "tiny"), "last_5_minutes");
  says(tiny, "calls", "1");
  says(tiny, "charged", "0"); /* euros are not added to dollars */
  assert_null(json_get(tiny, "margin"));
  says(json_get(row(root, "models", "model", "small"), "last_5_minutes"), "margin", "0.125");
  says(row(root, "upstreams", "upstream", "gpu-a"), "state", "up");
  says(row(root, "upstreams", "upstream", "gpu-a"), "cost_an_hour", "12.5");
  says(root, "customers_active", "2");
  figures_end(h.figures, 1, &open, at_ms(2000));
  close_house(&h);
}

static void test_the_live_view_forgets(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  struct figures_call a = a_call(&h, 0);
  live_through(&h, 0, &a); /* ended at 12:00:01 */
  const struct json *late = row(live(&h, 74999), "customers", "customer", "acme");
  says(json_get(late, "last_minute"), "calls", "1");
  late = row(live(&h, 75000), "customers", "customer", "acme");
  says(json_get(late, "last_minute"), "calls", "0");
  says(json_get(late, "last_5_minutes"), "calls", "1");
  assert_non_null(row(live(&h, 314999), "customers", "customer", "acme"));
  assert_null(row(live(&h, 315000), "customers", "customer", "acme"));
  assert_null(row(live(&h, 315000), "models", "model", "small"));
  struct figures_call b = a_call(&h, 315000); /* comes to lie in the same slice of the ring */
  live_through(&h, 0, &b);
  says(json_get(row(live(&h, 317000), "customers", "customer", "acme"), "last_5_minutes"), "calls", "1");
  close_house(&h);
}

static void test_more_customers_than_are_kept(void **unused) {
  (void)unused;
  enum { MANY = FIGURES_CUSTOMERS_MAX + 500 };
  struct house h;
  open_house(&h);
  figures_free(h.figures);
  struct customer *customers = mem_alloc(MANY * sizeof *customers);
  char(*ids)[16] = mem_alloc(MANY * sizeof *ids);
  for (uint32_t i = 0; i < MANY; i++) {
    snprintf(ids[i], sizeof ids[i], "c%05u", i);
    customers[i] = (struct customer){.id = slice_of(ids[i]), .currency = h.world.catalog.currency, .index = i};
  }
  h.world.catalog.customers = customers;
  h.world.catalog.customer_count = MANY;
  h.figures = figures_new(&h.world.catalog, NULL, 1);
  struct figures_call long_call = a_call(&h, 0);
  long_call.customer = &customers[0];
  figures_begin(h.figures, 0, &long_call);
  for (uint32_t i = 1; i < MANY; i++) {
    struct figures_call call = a_call(&h, 0);
    call.customer = &customers[i];
    call.usage.input = i;
    live_through(&h, 0, &call);
  }
  const struct json *root = live(&h, 2000), *list = json_get(root, "customers");
  says(root, "customers_active", "10000"); /* the open one, and those that came last */
  assert_int_equal(list->count, FIGURES_CUSTOMERS_SHOWN);
  says(list->child, "customer", ids[MANY - 1]);
  assert_null(json_get(root, "upstreams"));
  long_call.usage.input = 1000000;
  figures_end(h.figures, 0, &long_call, at_ms(2000));
  says(json_get(live(&h, 2000), "customers")->child, "customer", ids[0]);
  close_house(&h);
  free(customers);
  free(ids);
}

static void test_the_live_view_shows_nothing_of_nothing(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  const struct json *root = live(&h, 0);
  assert_int_equal(json_get(root, "customers")->count, 0);
  assert_int_equal(json_get(root, "models")->count, 0);
  assert_int_equal(json_get(root, "upstreams")->count, 2);
  close_house(&h);
}

/* ---- the log ---- */
static void test_a_line_a_call(void **unused) {
  (void)unused;
  struct house h;
  open_house(&h);
  struct figures_call call = a_call(&h, 0);
  live_through(&h, 0, &call);
  figures_log_line(&call, &h.text);
  buf_addc(&h.text, '\0');
  assert_string_equal(h.text.ptr,
                      "call=call_1 customer=acme key=k7 model=small upstream=gpu-b door=chat stream=true status=200 "
                      "input=100 cached=28 output=41 estimated=false ttft_ms=30.000 ms=1030.000 cost=0.0625 "
                      "charged=0.125 currency=USD settlement=settled finish=stop tries=1");
  h.text.len = 0;
  call.finish = SLICE("stop\nlevel=error msg=\"x\"");
  call.project = SLICE("two words");
  call.client_left = true;
  call.target = NULL;
  figures_log_line(&call, &h.text);
  buf_addc(&h.text, '\0');
  assert_null(strchr(h.text.ptr, '\n'));
  assert_non_null(strstr(h.text.ptr, " finish=\"stop\\nlevel=error msg=\\\"x\\\"\""));
  assert_non_null(strstr(h.text.ptr, " project=\"two words\""));
  assert_non_null(strstr(h.text.ptr, " tries=1 left=true"));
  assert_null(strstr(h.text.ptr, "upstream="));
  close_house(&h);
}

/* ---- many calls on several edges, read while they are written ---- */
#define CALLS_EACH 20000
struct worker {
  struct house *house;
  unsigned edge;
  uint64_t calls, tokens;
  int128 charged;
  _Atomic bool *stop;
};

static void *work(void *context) {
  struct worker *w = context;
  struct random rng;
  random_seed(&rng, 11, w->edge);
  for (int64_t i = 0; i < CALLS_EACH; i++) {
    struct figures_call call = a_call(w->house, i / 100);
    uint64_t tokens = 1 + random_below(&rng, 5000);
    call.usage = (struct wire_usage){.input = (int64_t)tokens, .output = (int64_t)tokens, .reported = true};
    call.charged = (amount){(int128)tokens << 50}; /* both halves are used */
    call.cost = call.charged;
    live_through(w->house, w->edge, &call);
    w->calls++;
    w->tokens += tokens;
    w->charged += call.charged.e12;
  }
  return NULL;
}

/* Each call has as many tokens in as out, and a charge that follows from them: so must each look at the sums. */
static void *look(void *context) {
  struct worker *w = context;
  struct house *h = w->house;
  struct buf text;
  char expected[DECIMAL_TEXT_MAX];
  buf_init(&text, TEXT_MAX);
  while (!atomic_load(w->stop)) {
    struct arena *arena = arena_new();
    const struct json *root;
    struct error err = {0};
    text.len = 0;
    figures_metrics(h->figures, at_ms(0), &text);
    must(!text.failed);
    text.len = 0;
    figures_json(h->figures, at_ms(CALLS_EACH / 100), &text);
    must(json_parse(arena, buf_slice(&text), &root, &err));
    const struct json *acme = row(root, "customers", "customer", "acme");
    if (acme != NULL) {
      const struct json *sum = json_get(acme, "last_5_minutes");
      slice in = json_text(sum, "input_tokens");
      must(slice_eq(in, json_text(sum, "output_tokens")));
      int128 e12 = (int128)strtoull(in.ptr, NULL, 10) << 50;
      must(slice_is(json_text(sum, "charged"), amount_text((amount){e12}, expected)));
      w->calls++;
    }
    arena_free(arena);
  }
  buf_free(&text);
  return NULL;
}

static void test_edges_write_while_others_read(void **unused) {
  (void)unused;
  struct house h;
  _Atomic bool stop = false;
  open_house(&h);
  struct worker workers[EDGES], reader = {.house = &h, .stop = &stop};
  pthread_t threads[EDGES], reading;
  for (unsigned i = 0; i < EDGES; i++) {
    workers[i] = (struct worker){.house = &h, .edge = i};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  assert_int_equal(pthread_create(&reading, NULL, look, &reader), 0);
  uint64_t tokens = 0;
  int128 charged = 0;
  for (unsigned i = 0; i < EDGES; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    tokens += workers[i].tokens;
    charged += workers[i].charged;
  }
  atomic_store(&stop, true);
  assert_int_equal(pthread_join(reading, NULL), 0);
  char line[256], text[DECIMAL_TEXT_MAX];
  metrics(&h);
  snprintf(line, sizeof line,
           "meterhouse_gateway_calls_total{operation=\"chat\",model=\"small\",upstream=\"gpu-b\",status=\"2xx\"} %d",
           EDGES * CALLS_EACH);
  tells(&h, line);
  snprintf(line, sizeof line, "gen_ai_client_token_usage_sum{" GEN_AI("small") ",gen_ai_token_type=\"output\"} %llu",
           (unsigned long long)tokens);
  tells(&h, line);
  snprintf(line, sizeof line, "meterhouse_gateway_settled_amount_total{currency=\"USD\"} %s",
           amount_text((amount){charged}, text));
  tells(&h, line);
  tells(&h, "meterhouse_gateway_calls_open{model=\"small\"} 0");
  tells(&h, "meterhouse_gateway_held_amount{currency=\"USD\"} 0");
  assert_true(reader.calls > 0);
  close_house(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_call_is_told_to_prometheus),
      cmocka_unit_test(test_what_goes_wrong_is_told_apart),
      cmocka_unit_test(test_what_is_open_is_told_while_it_is),
      cmocka_unit_test(test_promtool_finds_nothing_wrong),
      cmocka_unit_test(test_the_live_view_of_what_was_lately),
      cmocka_unit_test(test_the_live_view_forgets),
      cmocka_unit_test(test_more_customers_than_are_kept),
      cmocka_unit_test(test_the_live_view_shows_nothing_of_nothing),
      cmocka_unit_test(test_a_line_a_call),
      cmocka_unit_test(test_edges_write_while_others_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
