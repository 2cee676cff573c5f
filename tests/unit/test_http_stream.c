/* The server's answers in pieces, over real sockets: what is on the wire, who leaves when, and how much waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"
#include "http/http.h"
#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAST_BYTES ((size_t)64 << 20)
#define PIECE_BYTES ((size_t)16 << 10)

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_ms(int ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* ---- what the routes do; what they saw ---- */

static struct {
  _Atomic int gone, drained, freed_slots, arrived;
  _Atomic int64_t gone_ms;
  _Atomic size_t produced, most_waiting;
} seen;

struct stream {
  struct http_request *r;
  struct event *timer;
  int pieces_left;
  bool answers_whole; /* by http_answer, once the client is gone */
};

static void stream_free(struct stream *s) {
  event_free(s->timer);
  free(s);
}

static void on_gone(void *context) {
  struct stream *s = context;
  seen.gone_ms = now_ms();
  seen.gone++;
  if (s->answers_whole) {
    http_answer(s->r, 200, "text/plain", SLICE("for nobody"));
  } else {
    http_stream_abort(s->r);
  }
  stream_free(s);
}

static void tick(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct stream *s = context;
  if (--s->pieces_left > 0) {
    http_stream_send(s->r, SLICE("piece "));
    evtimer_add(s->timer, &(struct timeval){.tv_usec = 2000});
  } else {
    http_stream_finish(s->r, SLICE("last"));
    stream_free(s);
  }
}

static struct stream *watched(struct http_request *r, event_callback_fn on_timer) {
  static const struct http_watch watch = {.gone = on_gone};
  struct stream *s = mem_alloc(sizeof *s);
  s->r = r;
  s->timer = evtimer_new(http_base(r), on_timer, s);
  seen.arrived++;
  http_watch(r, &watch, s);
  return s;
}

static void handle_pieces(struct http_request *r, void *context) {
  (void)context;
  struct stream *s = watched(r, tick);
  s->pieces_left = 4;
  http_add_header(r, "x-mine", "1");
  http_stream_begin(r, 200, "text/event-stream", -1);
  http_stream_send(r, SLICE("first "));
  evtimer_add(s->timer, &(struct timeval){.tv_usec = 2000});
}

static void handle_at_once(struct http_request *r, void *context) {
  (void)context;
  http_stream_begin(r, 200, "text/plain", 10);
  http_stream_send(r, SLICE("hello"));
  http_stream_finish(r, SLICE("world"));
}

static void finish_empty(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct stream *s = context;
  http_stream_end(s->r);
  stream_free(s);
}

#define LARGE_BYTES ((size_t)12 << 20)

static void handle_large(struct http_request *r, void *context) {
  (void)context;
  static char large[LARGE_BYTES];
  memset(large, 'l', sizeof large);
  http_stream_begin(r, 200, "text/plain", sizeof large);
  http_stream_finish(r, (slice){large, sizeof large});
}

/* All of a known length has left before the end is said. */
static void handle_length(struct http_request *r, void *context) {
  (void)context;
  struct stream *s = watched(r, finish_empty);
  http_stream_begin(r, 200, "text/plain", 5);
  http_stream_send(r, SLICE("hello"));
  evtimer_add(s->timer, &(struct timeval){.tv_usec = 2000});
}

static void handle_nothing(struct http_request *r, void *context) {
  (void)context;
  watched(r, tick);
}

static void handle_late_answer(struct http_request *r, void *context) {
  (void)context;
  watched(r, tick)->answers_whole = true;
}

static void answer_on_worker(struct http_request *r, void *context) {
  (void)context;
  wait_ms(5);
  http_add_header(r, "x-from", "a worker");
  http_answer(r, 200, "text/plain", SLICE("worked"));
}

static void note_gone(void *context) {
  (void)context;
  seen.gone++;
}

/* Its client may leave while another thread answers. */
static void handle_work(struct http_request *r, void *context) {
  static const struct http_watch watch = {.gone = note_gone};
  struct error err = {0};
  http_watch(r, &watch, context);
  if (!http_work(r, answer_on_worker, NULL, &err)) {
    http_problem(r, &err);
  }
}

static void cut(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct stream *s = context;
  http_stream_abort(s->r);
  stream_free(s);
}

static void handle_cut(struct http_request *r, void *context) {
  (void)context;
  struct stream *s = watched(r, cut);
  http_stream_begin(r, 200, "text/plain", -1);
  http_stream_send(r, SLICE("half"));
  evtimer_add(s->timer, &(struct timeval){.tv_usec = 20000});
}

static void handle_abort(struct http_request *r, void *context) {
  (void)context;
  http_stream_abort(r);
}

/* As fast as it may. */
static void produce(struct stream *s) {
  static char filler[PIECE_BYTES];
  memset(filler, 'f', sizeof filler);
  while (seen.produced < FAST_BYTES && http_stream_waiting(s->r) < HTTP_STREAM_HIGH_BYTES) {
    http_stream_send(s->r, (slice){filler, sizeof filler});
    seen.produced += sizeof filler;
    size_t waiting = http_stream_waiting(s->r);
    seen.most_waiting = waiting > seen.most_waiting ? waiting : seen.most_waiting;
  }
  if (seen.produced == FAST_BYTES) {
    http_stream_end(s->r);
    stream_free(s);
  }
}

static void on_drained(void *context) {
  seen.drained++;
  produce(context);
}

static void handle_fast(struct http_request *r, void *context) {
  static const struct http_watch watch = {.gone = on_gone, .drained = on_drained};
  (void)context;
  struct stream *s = mem_alloc(sizeof *s);
  s->r = r;
  s->timer = evtimer_new(http_base(r), tick, s);
  http_watch(r, &watch, s);
  http_stream_begin(r, 200, "text/plain", -1);
  produce(s);
}

static void handle_body(struct http_request *r, void *context) {
  (void)context;
  char text[100];
  size_t before = http_body(r).len;
  http_forget_body(r);
  int length = snprintf(text, sizeof text, "%zu %zu", before, http_body(r).len);
  http_answer(r, 200, "text/plain", (slice){text, (size_t)length});
}

static void handle_slot(struct http_request *r, void *context) {
  (void)context;
  void **slot = http_edge_slot(r);
  char text[40];
  *slot = *slot ? *slot : mem_alloc(sizeof(int));
  int length = snprintf(text, sizeof text, "edge %u: %d", http_edge_index(r), ++*(int *)*slot);
  http_answer(r, 200, "text/plain", (slice){text, (size_t)length});
}

static void handle_refused(struct http_request *r, void *context) {
  (void)context;
  http_problem_status(r, 429, "limit", "too many");
}

static void own_problem(struct http_request *r, int status, const char *code, const char *detail) {
  char text[200];
  int length = snprintf(text, sizeof text, "{\"own\":\"%s %s\"}", code, detail);
  http_answer(r, status, "application/json", (slice){text, (size_t)length});
}

static void free_slot(void *held) {
  seen.freed_slots++;
  free(held);
}

/* ---- a client of few words ---- */

static struct http_server *server;

static void start(void **state) {
  (void)state;
  static const struct http_route routes[] = {
      {"GET", "/pieces", NULL, handle_pieces},      {"GET", "/at-once", NULL, handle_at_once},
      {"GET", "/length", NULL, handle_length},      {"GET", "/nothing", NULL, handle_nothing},
      {"GET", "/late", NULL, handle_late_answer},   {"GET", "/cut", NULL, handle_cut},
      {"GET", "/abort", NULL, handle_abort},        {"GET", "/fast", NULL, handle_fast},
      {"POST", "/body", NULL, handle_body},         {"GET", "/slot", NULL, handle_slot},
      {"GET", "/large", NULL, handle_large},        {"GET", "/work", NULL, handle_work},
      {"GET", "/v1/refused", NULL, handle_refused}, {"GET", "/other/refused", NULL, handle_refused},
  };
  struct http_options options = {.listen = "127.0.0.1:0",
                                 .edge_threads = 1,
                                 .routes = routes,
                                 .route_count = sizeof routes / sizeof *routes,
                                 .problem_prefix = "/v1/",
                                 .problem = own_problem,
                                 .edge_slot_free = free_slot};
  struct error err = {0};
  signal(SIGPIPE, SIG_IGN);
  memset(&seen, 0, sizeof seen);
  assert_true(http_start(&options, &server, &err));
}

static int set_up(void **state) {
  start(state);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  http_stop(server, 1000);
  return 0;
}

static int dial(void) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)http_port(server))};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static void say(int fd, const char *text) {
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Until `last` has come `times` times, or the end. */
static char *hear(int fd, const char *last, int times) {
  static char text[65536];
  size_t length = 0;
  text[0] = '\0';
  for (struct pollfd p = {.fd = fd, .events = POLLIN}; poll(&p, 1, 3000) > 0;) {
    ssize_t got = read(fd, text + length, sizeof text - 1 - length);
    if (got <= 0) {
      return text;
    }
    length += (size_t)got;
    text[length] = '\0';
    int found = 0;
    for (const char *at = text; last && (at = strstr(at, last)) != NULL; at += strlen(last)) {
      found++;
    }
    if (last && found >= times) {
      return text;
    }
  }
  return text;
}

static const char *body_of(const char *text) {
  const char *blank = strstr(text, "\r\n\r\n");
  return blank ? blank + 4 : "";
}

static void wait_for(_Atomic int *count, int wanted) {
  for (int64_t until = now_ms() + 3000; *count < wanted && now_ms() < until;) {
    wait_ms(1);
  }
  assert_int_equal(*count, wanted);
}

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"
#define CHUNKED "6\r\nfirst \r\n6\r\npiece \r\n6\r\npiece \r\n6\r\npiece \r\n4\r\nlast\r\n0\r\n\r\n"

/* ---- pieces ---- */

static void pieces_come_in_chunks(void **state) {
  (void)state;
  int fd = dial();
  for (int i = 0; i < 3; i++) { /* the connection stays good for more */
    say(fd, GET("/pieces"));
    const char *text = hear(fd, "0\r\n\r\n", 1);
    assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "x-mine: 1\r\n"));
    assert_non_null(strstr(text, "x-request-id: req_"));
    assert_non_null(strstr(text, "cache-control: no-store\r\n"));
    assert_string_equal(body_of(text), CHUNKED);
  }
  close(fd);
  wait_ms(50);
  assert_int_equal(seen.gone, 0); /* between requests nobody is told */
}

static void http_1_0_gets_no_chunks(void **state) {
  (void)state;
  int fd = dial();
  say(fd, "GET /pieces HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  const char *text = hear(fd, NULL, 0);
  assert_null(strstr(text, "chunked"));
  assert_null(strcasestr(text, "content-length"));
  assert_string_equal(body_of(text), "first piece piece piece last");
  close(fd);
}

static void head_gets_no_pieces(void **state) {
  (void)state;
  int fd = dial();
  say(fd, "HEAD /pieces HTTP/1.1\r\nhost: x\r\n\r\n");
  assert_string_equal(body_of(hear(fd, "\r\n\r\n", 1)), "");
  wait_ms(50);
  say(fd, GET("/at-once"));
  assert_non_null(strstr(hear(fd, "world", 1), "helloworld"));
  close(fd);
}

static void a_length_may_be_known(void **state) {
  (void)state;
  int fd = dial();
  for (int i = 0; i < 3; i++) {
    say(fd, GET("/at-once"));
    const char *text = hear(fd, "world", 1);
    assert_non_null(strstr(text, "content-length: 10\r\n"));
    assert_null(strstr(text, "chunked"));
    assert_string_equal(body_of(text), "helloworld");
    say(fd, GET("/length"));
    assert_string_equal(body_of(hear(fd, "hello", 1)), "hello");
  }
  close(fd);
}

#define CLOSE(path) "GET " path " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

static void the_last_answer_is_whole_before_the_close(void **state) {
  (void)state;
  static char bytes[1 << 16];
  int fd = dial();
  say(fd, CLOSE("/large"));
  wait_ms(50);
  size_t total = 0;
  for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0; total += (size_t)got) {
  }
  assert_in_range(total, LARGE_BYTES, LARGE_BYTES + 1000);
  close(fd);
  const char *const endings[] = {CLOSE("/at-once"), "GET /at-once HTTP/1.0\r\n\r\n", CLOSE("/abort")};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    fd = dial();
    say(fd, endings[i]);
    assert_string_equal(body_of(hear(fd, NULL, 0)), i < 2 ? "helloworld" : "");
    close(fd);
  }
}

static void pipelined_requests_wait_their_turn(void **state) {
  (void)state;
  int fd = dial();
  say(fd, GET("/pieces") GET("/length") GET("/at-once") GET("/pieces"));
  const char *text = hear(fd, CHUNKED, 2);
  const char *first = strstr(text, CHUNKED), *length = strstr(text, "\r\n\r\nhello"),
             *at_once = strstr(text, "helloworld");
  assert_true(first && length > first && at_once > length && strstr(at_once, CHUNKED));
  close(fd);
}

static void a_client_that_goes_on_sending_is_held(void **state) {
  (void)state;
  static char bytes[1 << 20];
  int fd = dial();
  say(fd, GET("/nothing"));
  wait_for(&seen.arrived, 1);
  size_t sent = 0;
  for (int64_t until = now_ms() + 400; now_ms() < until && sent < FAST_BYTES;) {
    ssize_t taken = send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    sent += taken > 0 ? (size_t)taken : 0;
    wait_ms(taken > 0 ? 0 : 5);
  }
  assert_true(sent < FAST_BYTES / 2); /* the kernel's buffers take some megabytes */
  close(fd);
}

static void more_than_may_wait_is_read_later(void **state) {
  (void)state;
  static char padded[HTTP_WATCH_BYTES_MAX + 20000];
  int fd = dial();
  int length = snprintf(padded, sizeof padded, GET("/pieces") "GET /at-once HTTP/1.1\r\nhost: x\r\nx-pad: ");
  memset(padded + length, 'p', sizeof padded - (size_t)length - 5);
  memcpy(padded + sizeof padded - 5, "\r\n\r\n", 5);
  say(fd, padded);
  assert_non_null(strstr(hear(fd, "helloworld", 1), CHUNKED));
  close(fd);
}

/* ---- those who leave ---- */

static void leaves(const char *request, bool reset, const char *heard_before) {
  int fd = dial();
  say(fd, request);
  if (heard_before) {
    hear(fd, heard_before, 1);
  } else {
    wait_for(&seen.arrived, 1);
    wait_ms(20);
  }
  struct linger now = {.l_onoff = 1};
  if (reset) {
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  }
  int64_t left = now_ms();
  close(fd);
  wait_for(&seen.gone, 1);
  assert_in_range(seen.gone_ms - left, 0, 100);
}

static void one_who_leaves_before_the_answer_is_noticed(void **state) {
  (void)state;
  leaves(GET("/nothing"), false, NULL);
}
static void one_who_resets_before_the_answer_is_noticed(void **state) {
  (void)state;
  leaves(GET("/nothing"), true, NULL);
}
static void one_who_leaves_with_requests_unread_is_noticed(void **state) {
  (void)state;
  leaves(GET("/nothing") GET("/pieces"), false, NULL);
}
static void a_late_answer_for_nobody_is_no_harm(void **state) {
  (void)state;
  leaves(GET("/late"), false, NULL);
}
static void one_who_leaves_a_stream_is_noticed(void **state) {
  (void)state;
  leaves(GET("/fast"), false, "HTTP/1.1 200 OK");
}
static void one_who_resets_a_stream_is_noticed(void **state) {
  (void)state;
  leaves(GET("/fast"), true, "HTTP/1.1 200 OK");
}

static void a_watched_request_may_be_answered_from_any_thread(void **state) {
  (void)state;
  int fd = dial();
  for (int i = 0; i < 3; i++) {
    say(fd, GET("/work"));
    assert_non_null(strstr(hear(fd, "worked", 1), "x-from: a worker\r\n"));
  }
  assert_int_equal(seen.gone, 0);
  close(fd);
  for (int i = 0; i < 20; i++) {
    fd = dial();
    say(fd, GET("/work"));
    wait_ms(i % 8);
    close(fd);
  }
  wait_ms(100);
  assert_true(seen.gone > 0);
}

static void those_who_stay_until_the_stop_are_gone(void **state) {
  start(state);
  int fd = dial();
  say(fd, GET("/nothing"));
  wait_for(&seen.arrived, 1);
  http_stop(server, 20);
  assert_int_equal(seen.gone, 1);
  close(fd);
}

/* ---- aborts, flow, the rest ---- */

static void an_abort_is_seen(void **state) {
  (void)state;
  int fd = dial();
  say(fd, GET("/cut"));
  assert_string_equal(body_of(hear(fd, NULL, 0)), "4\r\nhalf\r\n");
  close(fd);
  fd = dial();
  say(fd, GET("/abort"));
  assert_string_equal(hear(fd, NULL, 0), "");
  close(fd);
  fd = dial();
  say(fd, "GET /cut HTTP/1.0\r\n\r\n");
  hear(fd, "half", 1);
  char byte;
  assert_int_equal(read(fd, &byte, 1), -1); /* reset: it would look whole else */
  close(fd);
  assert_int_equal(seen.gone, 0);
}

static void what_waits_for_a_slow_client_is_bounded(void **state) {
  (void)state;
  static char bytes[1 << 20];
  int fd = dial();
  say(fd, GET("/fast"));
  wait_ms(300);
  assert_true(seen.produced < FAST_BYTES);
  assert_true(seen.most_waiting > HTTP_STREAM_LOW_BYTES);
  size_t total = 0, ends = 0;
  for (ssize_t got; ends == 0 && (got = read(fd, bytes, sizeof bytes)) > 0; total += (size_t)got) {
    ends = got >= 5 && memcmp(bytes + got - 5, "0\r\n\r\n", 5) == 0;
  }
  assert_true(ends == 1 && total > FAST_BYTES);
  assert_true(seen.drained > 10);
  assert_in_range(seen.most_waiting, HTTP_STREAM_LOW_BYTES, HTTP_STREAM_HIGH_BYTES + PIECE_BYTES + 16);
  say(fd, GET("/at-once"));
  assert_non_null(strstr(hear(fd, "world", 1), "helloworld"));
  close(fd);
}

static void a_body_can_be_forgotten(void **state) {
  (void)state;
  int fd = dial();
  say(fd, "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345");
  assert_string_equal(body_of(hear(fd, "5 0", 1)), "5 0");
  close(fd);
}

static void an_edge_has_a_slot(void **state) {
  start(state);
  int fd = dial();
  say(fd, GET("/slot"));
  assert_string_equal(body_of(hear(fd, "edge", 1)), "edge 0: 1");
  say(fd, GET("/slot"));
  assert_string_equal(body_of(hear(fd, "edge", 1)), "edge 0: 2");
  close(fd);
  http_stop(server, 1000);
  assert_int_equal(seen.freed_slots, 1);
}

static void problems_have_the_shape_of_their_paths(void **state) {
  (void)state;
  int fd = dial();
  say(fd, GET("/v1/refused"));
  const char *text = hear(fd, "}", 1);
  assert_non_null(strstr(text, "429"));
  assert_string_equal(body_of(text), "{\"own\":\"limit too many\"}");
  say(fd, GET("/v1/unknown"));
  assert_non_null(strstr(hear(fd, "}", 1), "{\"own\":\"not_found"));
  say(fd, GET("/other/refused"));
  assert_non_null(strstr(hear(fd, "}", 1), "application/problem+json"));
  close(fd);
}

int main(void) {
#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      SERVED(pieces_come_in_chunks),
      SERVED(http_1_0_gets_no_chunks),
      SERVED(head_gets_no_pieces),
      SERVED(a_length_may_be_known),
      SERVED(the_last_answer_is_whole_before_the_close),
      SERVED(a_client_that_goes_on_sending_is_held),
      SERVED(pipelined_requests_wait_their_turn),
      SERVED(more_than_may_wait_is_read_later),
      SERVED(one_who_leaves_before_the_answer_is_noticed),
      SERVED(one_who_resets_before_the_answer_is_noticed),
      SERVED(one_who_leaves_with_requests_unread_is_noticed),
      SERVED(a_late_answer_for_nobody_is_no_harm),
      SERVED(one_who_leaves_a_stream_is_noticed),
      SERVED(one_who_resets_a_stream_is_noticed),
      SERVED(a_watched_request_may_be_answered_from_any_thread),
      cmocka_unit_test(those_who_stay_until_the_stop_are_gone),
      SERVED(an_abort_is_seen),
      SERVED(what_waits_for_a_slow_client_is_bounded),
      SERVED(a_body_can_be_forgotten),
      cmocka_unit_test(an_edge_has_a_slot),
      SERVED(problems_have_the_shape_of_their_paths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
