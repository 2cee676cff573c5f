/* The client against a server that answers well, slowly, wrongly, twice, not at all, and goes away. */
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
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- a server: what it does with a connection is each test's own ---- */

struct peer {
  int listener, port;
  void (*serve)(struct peer *peer, int fd, int nth); /* for each connection, one after the other */
  int connections;                                   /* how many to take */
  pthread_t thread;
  char request[8192]; /* the last one's head and what came with it */
  _Atomic int64_t gone_ms;
  _Atomic size_t sent_bytes;
  _Atomic bool go_on;
};

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *peer_run(void *context) {
  struct peer *peer = context;
  for (int i = 0; i < peer->connections; i++) {
    int fd = accept(peer->listener, NULL, NULL);
    if (fd < 0) {
      break;
    }
    peer->serve(peer, fd, i);
    close(fd);
  }
  return NULL;
}

static void peer_start(struct peer *peer, int connections, void (*serve)(struct peer *, int, int)) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  *peer = (struct peer){.serve = serve, .connections = connections};
  peer->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(listen(peer->listener, 8), 0);
  assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &length), 0);
  peer->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

static void peer_stop(struct peer *peer) {
  shutdown(peer->listener, SHUT_RDWR);
  pthread_join(peer->thread, NULL);
  close(peer->listener);
}

/* A head; the body stays unread but for what came with it. */
static bool read_head(struct peer *peer, int fd) {
  char text[sizeof peer->request] = "";
  for (size_t length = 0; strstr(text, "\r\n\r\n") == NULL;) {
    ssize_t got = read(fd, text + length, sizeof text - 1 - length);
    if (got <= 0) {
      return false;
    }
    length += (size_t)got;
  }
  memcpy(peer->request, text, sizeof text);
  return true;
}

static void say(int fd, const char *text) {
  for (size_t left = strlen(text); left > 0;) {
    ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
    if (sent <= 0) {
      return;
    }
    text += sent;
    left -= (size_t)sent;
  }
}

static void wait_ms(int ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* Until the other side closes or resets. */
static void wait_until_gone(struct peer *peer, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  char bytes[4096];
  while (poll(&p, 1, 5000) > 0 && read(fd, bytes, sizeof bytes) > 0) {
  }
  peer->gone_ms = now_ms();
}

/* ---- the client, and what it heard ---- */

struct world {
  struct event_base *base;
  struct http_client *client;
  struct peer peer;
};
struct heard {
  struct http_exchange *x;
  int heads, dones, failures, status;
  enum http_failure why;
  char detail[300], type[100];
  struct buf body;
  bool cancel_at_head, cancel_at_body, pause_at_body, ended;
  struct heard *send_next; /* from within done */
  struct world *world;
};

static const struct http_exchange_hooks hooks;

static void send_to(struct world *w, struct heard *h, const char *method, slice body) {
  h->world = w;
  buf_init(&h->body, 64 << 20);
  h->x = http_client_send(w->client, method, SLICE("/v1/x?a=b"), SLICE("x-test: 1\r\n"), body, &hooks, h);
}

static void on_head(void *context, const struct http_reply *reply) {
  struct heard *h = context;
  slice type = http_reply_header(reply, "content-type");
  h->heads++;
  h->status = reply->status;
  snprintf(h->type, sizeof h->type, SLICE_FMT, SLICE_ARG(type));
  if (h->cancel_at_head) {
    http_exchange_cancel(h->x);
    h->ended = true;
  }
}

static void on_body(void *context, slice piece) {
  struct heard *h = context;
  assert_false(h->ended);
  buf_add(&h->body, piece);
  if (h->pause_at_body) {
    http_exchange_pause(h->x);
  }
  if (h->cancel_at_body) {
    http_exchange_cancel(h->x);
    h->ended = true;
  }
}

static void on_done(void *context) {
  struct heard *h = context;
  assert_false(h->ended);
  h->dones++;
  h->ended = true;
  http_exchange_cancel(h->x); /* too late, and no harm */
  if (h->send_next) {
    send_to(h->world, h->send_next, "GET", (slice){0});
  }
}

static void on_failed(void *context, enum http_failure why, const char *detail) {
  struct heard *h = context;
  assert_false(h->ended);
  h->failures++;
  h->ended = true;
  h->why = why;
  snprintf(h->detail, sizeof h->detail, "%s", detail);
}

static const struct http_exchange_hooks hooks = {on_head, on_body, NULL, on_done, on_failed};

static void turn(struct world *w, int ms) {
  struct timeval wait = {.tv_usec = ms * 1000};
  event_base_loopexit(w->base, &wait);
  event_base_loop(w->base, EVLOOP_ONCE);
}

static void wait_for_end(struct world *w, const struct heard *h) {
  for (int64_t until = now_ms() + 5000; !h->ended && now_ms() < until;) {
    turn(w, 20);
  }
  assert_true(h->ended);
}

static void world_start(struct world *w, int connections, void (*serve)(struct peer *, int, int)) {
  struct error err = {0};
  signal(SIGPIPE, SIG_IGN);
  peer_start(&w->peer, connections, serve);
  w->base = event_base_new();
  struct http_origin origin = {.host = SLICE("127.0.0.1"), .port = w->peer.port, .silence_timeout_ms = 300};
  assert_true(http_client_new(w->base, &origin, &w->client, &err));
}

static void world_stop(struct world *w) {
  http_client_free(w->client);
  peer_stop(&w->peer);
  event_base_free(w->base);
}

static struct http_client_figures figures(const struct world *w) {
  struct http_client_figures f;
  http_client_figures(w->client, &f);
  return f;
}

static struct heard ask(struct world *w, const char *method, slice body) {
  struct heard h = {0};
  send_to(w, &h, method, body);
  wait_for_end(w, &h);
  return h;
}

static void assert_body(struct heard *h, const char *expected) {
  assert_int_equal(h->failures, 0);
  assert_true(slice_is(buf_slice(&h->body), expected));
  buf_free(&h->body);
}

/* ---- answers ---- */

#define OK_FIVE "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"

static void answer_each(struct peer *peer, int fd, int nth) {
  (void)nth;
  while (read_head(peer, fd)) {
    say(fd, OK_FIVE);
  }
}

static void requests_share_a_connection(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_each);
  for (int i = 0; i < 3; i++) {
    struct heard h = ask(&w, "POST", SLICE("{}"));
    assert_int_equal(h.status, 200);
    assert_string_equal(h.type, "text/plain");
    assert_body(&h, "hello");
  }
  char expected[200];
  snprintf(expected, sizeof expected,
           "POST /v1/x?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-length: 2\r\nx-test: 1\r\n\r\n{}", w.peer.port);
  assert_string_equal(w.peer.request, expected);
  struct http_client_figures f = figures(&w);
  assert_int_equal(f.connected, 1);
  assert_int_equal(f.reused, 2);
  assert_int_equal(f.idle, 1);
  assert_int_equal(f.busy, 0);
  world_stop(&w);
}

static void next_request_from_within_done(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_each);
  struct heard second = {0}, first = {.send_next = &second};
  send_to(&w, &first, "GET", (slice){0});
  wait_for_end(&w, &second);
  assert_body(&first, "hello");
  assert_body(&second, "hello");
  assert_null(strstr(w.peer.request, "content-length"));
  assert_int_equal(figures(&w).reused, 1);
  world_stop(&w);
}

static void answer_in_bits(struct peer *peer, int fd, int nth) {
  static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nx-sum: 1\r\n\r\n";
  (void)nth;
  if (!read_head(peer, fd)) {
    return;
  }
  for (const char *p = text; *p; p++) {
    send(fd, p, 1, MSG_NOSIGNAL);
    wait_ms(1);
  }
  answer_each(peer, fd, nth);
}

static void reads_an_answer_that_drips(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_in_bits);
  struct heard h = ask(&w, "GET", (slice){0});
  assert_int_equal(h.heads, 1);
  assert_body(&h, "hello");
  h = ask(&w, "GET", (slice){0});
  assert_body(&h, "hello");
  assert_int_equal(figures(&w).reused, 1);
  world_stop(&w);
}

static void answer_until_close(struct peer *peer, int fd, int nth) {
  (void)nth;
  if (read_head(peer, fd)) {
    say(fd, "HTTP/1.1 200 OK\r\n\r\nto the end");
  }
}

static void an_answer_may_end_with_its_connection(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 2, answer_until_close);
  for (int i = 0; i < 2; i++) {
    struct heard h = ask(&w, "GET", (slice){0});
    assert_body(&h, "to the end");
  }
  assert_int_equal(figures(&w).connected, 2);
  assert_int_equal(figures(&w).sent_again, 0);
  world_stop(&w);
}

static void answer_to_head(struct peer *peer, int fd, int nth) {
  (void)nth;
  if (read_head(peer, fd)) {
    say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n");
  }
  answer_each(peer, fd, nth);
}

static void head_has_no_body(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_to_head);
  struct heard h = ask(&w, "HEAD", (slice){0});
  assert_body(&h, "");
  h = ask(&w, "GET", (slice){0});
  assert_body(&h, "hello");
  world_stop(&w);
}

/* ---- connections that end ---- */

static void answer_then_close(struct peer *peer, int fd, int nth) {
  (void)nth;
  if (read_head(peer, fd)) {
    say(fd, OK_FIVE);
  }
}

static void a_closed_idle_connection_is_dropped(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 2, answer_then_close);
  struct heard h = ask(&w, "GET", (slice){0});
  assert_body(&h, "hello");
  for (int i = 0; i < 100 && figures(&w).idle > 0; i++) {
    turn(&w, 10);
  }
  assert_int_equal(figures(&w).idle, 0);
  h = ask(&w, "GET", (slice){0});
  assert_body(&h, "hello");
  assert_int_equal(figures(&w).sent_again, 0);
  world_stop(&w);
}

/* The second request is on its way when the connection closes. */
static void close_on_second(struct peer *peer, int fd, int nth) {
  if (read_head(peer, fd)) {
    say(fd, OK_FIVE);
    if (nth == 0) {
      read_head(peer, fd);
    }
  }
}

static void a_stale_connection_is_made_up_for(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 2, close_on_second);
  struct heard h = ask(&w, "POST", SLICE("one"));
  assert_body(&h, "hello");
  h = ask(&w, "POST", SLICE("two"));
  assert_body(&h, "hello");
  assert_non_null(strstr(w.peer.request, "\r\n\r\ntwo"));
  assert_int_equal(figures(&w).sent_again, 1);
  world_stop(&w);
}

static void close_unanswered(struct peer *peer, int fd, int nth) {
  (void)nth;
  read_head(peer, fd);
}

static void a_fresh_connection_is_not_tried_again(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 2, close_unanswered);
  struct heard h = ask(&w, "POST", SLICE("one"));
  assert_int_equal(h.failures, 1);
  assert_int_equal(h.why, HTTP_FAILED_CLOSED);
  assert_int_equal(h.heads, 0);
  assert_int_equal(figures(&w).connected, 1);
  world_stop(&w);
}

static void close_half_way(struct peer *peer, int fd, int nth) {
  if (nth == 0 && read_head(peer, fd)) {
    say(fd, OK_FIVE);
  }
  if (read_head(peer, fd)) {
    say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel");
  }
}

static void half_an_answer_is_a_failure(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 2, close_half_way);
  struct heard h = ask(&w, "GET", (slice){0});
  assert_body(&h, "hello");
  h = ask(&w, "GET", (slice){0});
  assert_int_equal(h.why, HTTP_FAILED_CLOSED);
  assert_int_equal(h.heads, 1);
  assert_int_equal(figures(&w).sent_again, 0);
  buf_free(&h.body);
  world_stop(&w);
}

static void answer_nonsense(struct peer *peer, int fd, int nth) {
  static const char *const answers[] = {"SSH-2.0-OpenSSH_9.6\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
                                        "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
                                        "HTTP/1.1 200 OK\r\nx : a\r\n\r\n",
                                        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                                        "HTTP/2 200\r\n\r\n"};
  if (read_head(peer, fd)) {
    say(fd, answers[nth]);
    wait_until_gone(peer, fd);
  }
}

static void nonsense_is_refused(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 11, answer_nonsense);
  for (int i = 0; i < 11; i++) {
    struct heard h = ask(&w, "GET", (slice){0});
    assert_int_equal(h.why, HTTP_FAILED_MALFORMED);
    assert_int_equal(h.heads, 0);
    assert_true(h.detail[0] != '\0');
  }
  world_stop(&w);
}

static void answer_endless_head(struct peer *peer, int fd, int nth) {
  (void)nth;
  if (read_head(peer, fd)) {
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 8000; i++) {
      say(fd, "x-filler: 0123456789\r\n");
    }
    wait_until_gone(peer, fd);
  }
}

static void an_endless_head_is_refused(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_endless_head);
  struct heard h = ask(&w, "GET", (slice){0});
  assert_int_equal(h.why, HTTP_FAILED_MALFORMED);
  world_stop(&w);
}

/* ---- time ---- */

static void never_answer(struct peer *peer, int fd, int nth) {
  (void)nth;
  read_head(peer, fd);
  wait_until_gone(peer, fd);
}

static void silence_has_an_end(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, never_answer);
  int64_t begun = now_ms();
  struct heard h = ask(&w, "GET", (slice){0});
  int64_t took = now_ms() - begun;
  assert_int_equal(h.why, HTTP_FAILED_TIMEOUT);
  assert_in_range(took, 290, 1500);
  world_stop(&w);
}

static void drip_then_nothing(struct peer *peer, int fd, int nth) {
  (void)nth;
  if (read_head(peer, fd)) {
    say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n");
    for (int i = 0; i < 8; i++) {
      wait_ms(50);
      say(fd, ".");
    }
    wait_until_gone(peer, fd);
  }
}

static void silence_counts_from_the_last_byte(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, drip_then_nothing);
  int64_t begun = now_ms();
  struct heard h = ask(&w, "GET", (slice){0});
  int64_t took = now_ms() - begun;
  assert_int_equal(h.why, HTTP_FAILED_TIMEOUT);
  assert_int_equal(h.body.len, 8);
  assert_in_range(took, 690, 2500);
  buf_free(&h.body);
  world_stop(&w);
}

static void nobody_listens(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, never_answer);
  peer_stop(&w.peer);
  struct heard h = {0};
  send_to(&w, &h, "GET", (slice){0});
  assert_int_equal(h.failures, 0); /* told from the loop only */
  wait_for_end(&w, &h);
  assert_int_equal(h.why, HTTP_FAILED_CONNECT);
  http_client_free(w.client);
  event_base_free(w.base);
}

static void names_are_looked_up(void **state) {
  (void)state;
  struct world w;
  struct error err = {0};
  world_start(&w, 1, answer_each);
  http_client_free(w.client);
  struct http_origin origin = {.host = SLICE("localhost"), .port = w.peer.port};
  assert_true(http_client_new(w.base, &origin, &w.client, &err));
  struct heard h = ask(&w, "GET", (slice){0}); /* ::1 may come first: nobody is there */
  assert_body(&h, "hello");
  assert_non_null(strstr(w.peer.request, "host: localhost:"));
  world_stop(&w);
}

/* ---- leaving, and flow ---- */

static void a_cancelled_exchange_is_noticed(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, never_answer);
  struct heard h = {0};
  send_to(&w, &h, "POST", SLICE("{}"));
  for (int i = 0; i < 100 && w.peer.request[0] == '\0'; i++) {
    turn(&w, 5);
  }
  wait_ms(20);
  int64_t left = now_ms();
  http_exchange_cancel(h.x);
  for (int i = 0; i < 200 && w.peer.gone_ms == 0; i++) {
    wait_ms(5);
  }
  assert_in_range(w.peer.gone_ms - left, 0, 100);
  assert_int_equal(h.failures + h.dones, 0);
  assert_int_equal(figures(&w).busy, 0);
  world_stop(&w);
}

static void hooks_may_cancel(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 2, answer_each);
  struct heard first = {.cancel_at_head = true}, second = {.cancel_at_body = true};
  send_to(&w, &first, "GET", (slice){0});
  wait_for_end(&w, &first);
  send_to(&w, &second, "GET", (slice){0});
  wait_for_end(&w, &second);
  assert_body(&second, "hello");
  assert_int_equal(first.dones + first.failures + second.dones + second.failures, 0);
  assert_int_equal(figures(&w).idle + figures(&w).busy, 0);
  world_stop(&w);
}

#define FAST_BYTES ((size_t)32 << 20)

static void answer_fast(struct peer *peer, int fd, int nth) {
  char text[100];
  static char filler[64 << 10];
  (void)nth;
  memset(filler, 'f', sizeof filler);
  if (!read_head(peer, fd)) {
    return;
  }
  snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", FAST_BYTES);
  say(fd, text);
  while (peer->sent_bytes < FAST_BYTES) {
    ssize_t sent = send(fd, filler, sizeof filler, MSG_NOSIGNAL);
    if (sent <= 0) {
      return;
    }
    peer->sent_bytes += (size_t)sent;
  }
  answer_each(peer, fd, nth);
}

static void a_paused_exchange_holds_back_the_other_side(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_fast);
  struct heard h = {.pause_at_body = true};
  send_to(&w, &h, "GET", (slice){0});
  for (int64_t until = now_ms() + 700; now_ms() < until;) { /* longer than silence may be */
    turn(&w, 20);
  }
  assert_false(h.ended);
  assert_true(h.body.len <= 64 << 10);
  size_t sent = w.peer.sent_bytes;
  assert_true(sent < FAST_BYTES); /* what is not read waits there, but for the kernel's share */
  h.pause_at_body = false;
  http_exchange_resume(h.x);
  wait_for_end(&w, &h);
  assert_int_equal(h.dones, 1);
  assert_int_equal(h.body.len, FAST_BYTES);
  buf_free(&h.body);
  world_stop(&w);
}

static void a_pause_at_each_piece_loses_nothing(void **state) {
  (void)state;
  struct world w;
  world_start(&w, 1, answer_in_bits);
  struct heard h = {.pause_at_body = true};
  send_to(&w, &h, "GET", (slice){0});
  for (int64_t until = now_ms() + 5000; !h.ended && now_ms() < until;) {
    turn(&w, 2);
    if (!h.ended) {
      http_exchange_resume(h.x);
    }
  }
  assert_int_equal(h.dones, 1);
  assert_body(&h, "hello");
  world_stop(&w);
}

/* Answers before it has read the request, which it then reads. */
static void answer_early(struct peer *peer, int fd, int nth) {
  (void)nth;
  if (!read_head(peer, fd)) {
    return;
  }
  say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
  wait_ms(100);
  size_t total = 0;
  char bytes[65536];
  for (struct pollfd p = {.fd = fd, .events = POLLIN}; poll(&p, 1, 200) > 0;) {
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got <= 0) {
      break;
    }
    for (ssize_t i = 0; i < got; i++) {
      total += bytes[i] == 'b' ? 1 : 0;
    }
  }
  peer->sent_bytes = total + (size_t)(strlen(strstr(peer->request, "\r\n\r\n")) - 4);
  say(fd, "done");
}

static void a_large_body_outlives_its_owner_once_answered(void **state) {
  (void)state;
  struct world w;
  const size_t size = 12 << 20;
  world_start(&w, 1, answer_early);
  char *body = malloc(size);
  assert_non_null(body);
  memset(body, 'b', size);
  struct heard h = {0};
  send_to(&w, &h, "POST", (slice){body, size});
  for (int i = 0; i < 400 && h.heads == 0; i++) {
    turn(&w, 5);
  }
  assert_int_equal(h.heads, 1);
  memset(body, 'x', size);
  free(body);
  wait_for_end(&w, &h);
  assert_body(&h, "done");
  assert_int_equal(w.peer.sent_bytes, size);
  world_stop(&w);
}

/* The whole answer, and the request left unread: what is left of it would be taken for the next one. */
static void answer_unread(struct peer *peer, int fd, int nth) {
  char bytes[5];
  if (nth == 1) {
    answer_each(peer, fd, nth);
  } else if (recv(fd, bytes, sizeof bytes, MSG_WAITALL) > 0) {
    say(fd, OK_FIVE);
    wait_until_gone(peer, fd);
  }
}

static void a_connection_with_an_unsent_request_is_not_kept(void **state) {
  (void)state;
  static char body[16 << 20];
  struct world w;
  world_start(&w, 2, answer_unread);
  struct heard h = ask(&w, "POST", (slice){body, sizeof body});
  assert_body(&h, "hello");
  assert_int_equal(figures(&w).idle, 0);
  h = ask(&w, "GET", (slice){0});
  assert_body(&h, "hello");
  assert_int_equal(figures(&w).reused, 0);
  world_stop(&w);
}

static void hosts_that_can_not_be(void **state) {
  (void)state;
  struct event_base *base = event_base_new();
  static const char *const hosts[] = {"", "a b", "a/b", "user@host", "[::1]", "a\r\nb"};
  struct http_client *client;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    struct error err = {0};
    struct http_origin origin = {.host = slice_of(hosts[i])};
    assert_false(http_client_new(base, &origin, &client, &err));
    assert_int_equal(err.code, ERR_INVALID);
  }
  event_base_free(base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_share_a_connection),
      cmocka_unit_test(next_request_from_within_done),
      cmocka_unit_test(reads_an_answer_that_drips),
      cmocka_unit_test(an_answer_may_end_with_its_connection),
      cmocka_unit_test(head_has_no_body),
      cmocka_unit_test(a_closed_idle_connection_is_dropped),
      cmocka_unit_test(a_stale_connection_is_made_up_for),
      cmocka_unit_test(a_fresh_connection_is_not_tried_again),
      cmocka_unit_test(half_an_answer_is_a_failure),
      cmocka_unit_test(nonsense_is_refused),
      cmocka_unit_test(an_endless_head_is_refused),
      cmocka_unit_test(silence_has_an_end),
      cmocka_unit_test(silence_counts_from_the_last_byte),
      cmocka_unit_test(nobody_listens),
      cmocka_unit_test(names_are_looked_up),
      cmocka_unit_test(a_cancelled_exchange_is_noticed),
      cmocka_unit_test(hooks_may_cancel),
      cmocka_unit_test(a_paused_exchange_holds_back_the_other_side),
      cmocka_unit_test(a_pause_at_each_piece_loses_nothing),
      cmocka_unit_test(a_large_body_outlives_its_owner_once_answered),
      cmocka_unit_test(a_connection_with_an_unsent_request_is_not_kept),
      cmocka_unit_test(hosts_that_can_not_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
