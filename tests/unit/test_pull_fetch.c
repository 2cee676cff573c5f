/* The client against servers that answer well, badly, too much, too late and not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pull/private.h"
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server that takes one connection, reads the request and sends what it was told to. */
struct fake {
  int listener;
  uint16_t port;
  const char *answer; /* NULL: nothing, until the client goes away */
  size_t padding;     /* blanks that follow */
  char request[4096];
  pthread_t thread;
};

static void send_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t sent = write(fd, bytes, len);
    if (sent <= 0) {
      return;
    }
    bytes += sent;
    len -= (size_t)sent;
  }
}

static void *fake_run(void *context) {
  struct fake *fake = context;
  static const char blanks[1024] = {0};
  int fd = accept(fake->listener, NULL, NULL);
  if (fd < 0 || read(fd, fake->request, sizeof fake->request - 1) <= 0) {
    return NULL;
  }
  if (fake->answer == NULL) {
    char byte;
    (void)!read(fd, &byte, 1);
  } else {
    send_all(fd, fake->answer, strlen(fake->answer));
  }
  for (size_t left = fake->padding; left >= sizeof blanks; left -= sizeof blanks) {
    send_all(fd, blanks, sizeof blanks);
  }
  close(fd);
  return NULL;
}

static void fake_start(struct fake *fake) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  fake->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(listen(fake->listener, 4), 0);
  assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &length), 0);
  fake->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
}

static void fake_stop(struct fake *fake) {
  shutdown(fake->listener, SHUT_RDWR);
  pthread_join(fake->thread, NULL);
  close(fake->listener);
}

struct outcome {
  int answers;
  bool ok, open_metrics;
  char text[700];
};

static void take(void *context, const struct fetch_answer *answer) {
  struct outcome *o = context;
  o->answers++;
  o->ok = answer->failure == NULL;
  o->open_metrics = answer->open_metrics;
  if (answer->failure) {
    snprintf(o->text, sizeof o->text, "%s", answer->failure->message);
  } else {
    snprintf(o->text, sizeof o->text, SLICE_FMT, SLICE_ARG(answer->body));
  }
}

static struct outcome fetch(const char *host, uint16_t port, const char *bearer_file) {
  struct event_base *base = event_base_new();
  struct evdns_base *dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
  struct pull_target target = {.host = slice_of(host),
                               .port = port,
                               .path = SLICE("/metrics?x=1"),
                               .timeout = {NS_PER_S / 2},
                               .bearer_file = slice_of(bearer_file)};
  struct outcome o = {0};
  fetch_start(base, dns, &target, take, &o);
  for (int i = 0; i < 5000 && o.answers == 0; i++) {
    event_base_loop(base, EVLOOP_ONCE);
  }
  event_base_loop(base, EVLOOP_NONBLOCK);
  if (dns) {
    evdns_base_free(dns, 0);
  }
  event_base_free(base);
  assert_int_equal(o.answers, 1);
  return o;
}

static struct outcome fetch_from(struct fake *fake) {
  fake_start(fake);
  struct outcome o = fetch("127.0.0.1", fake->port, NULL);
  fake_stop(fake);
  return o;
}

static void fails(struct fake fake, const char *why) {
  struct outcome o = fetch_from(&fake);
  assert_false(o.ok);
  if (strstr(o.text, why) == NULL) {
    fail_msg("\"%s\" should say \"%s\"", o.text, why);
  }
}

static void takes_an_answer(void **state) {
  (void)state;
  struct fake fake = {.answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                                "Content-Length: 4\r\n\r\na 1\n"};
  struct outcome o = fetch_from(&fake);
  assert_true(o.ok);
  assert_false(o.open_metrics);
  assert_string_equal(o.text, "a 1\n");
  assert_non_null(strstr(fake.request, "GET /metrics?x=1 HTTP/1.1\r\n"));
  assert_non_null(strstr(fake.request, "Host: 127.0.0.1:"));
  assert_null(strstr(fake.request, "Authorization"));
}

static void takes_chunks_and_open_metrics(void **state) {
  (void)state;
  struct fake fake = {.answer = "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n6\r\n# EOF\n\r\n0\r\n\r\n"};
  struct outcome o = fetch_from(&fake);
  assert_true(o.ok);
  assert_true(o.open_metrics);
  assert_string_equal(o.text, "a 1\n# EOF\n");
}

static void finds_a_name(void **state) {
  (void)state;
  struct fake fake = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n"};
  fake_start(&fake);
  struct outcome o = fetch("localhost", fake.port, NULL);
  fake_stop(&fake);
  assert_string_equal(o.text, "a 1\n");
}

static void shows_its_token(void **state) {
  (void)state;
  char path[] = "/tmp/test_pull_fetch.XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, "abc\n", 4), 4);
  struct fake fake = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
  fake_start(&fake);
  struct outcome o = fetch("127.0.0.1", fake.port, path);
  fake_stop(&fake);
  assert_true(o.ok);
  assert_non_null(strstr(fake.request, "Authorization: Bearer abc\r\n"));
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(pwrite(fd, "abc\r\nX: y\n", 10, 0), 10);
  assert_non_null(strstr(fetch("127.0.0.1", 1, path).text, "no token of one line"));
  close(fd);
  unlink(path);
  assert_non_null(strstr(fetch("127.0.0.1", 1, path).text, path));
}

static void says_what_went_wrong(void **state) {
  (void)state;
  fails((struct fake){.answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, "HTTP status 503");
  fails((struct fake){.answer = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"}, "HTTP status 302");
  fails((struct fake){.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\na 1\n"}, "closed before");
  fails((struct fake){.answer = "no http at all\r\n\r\n"}, "");
  fails((struct fake){.answer = ""}, "");
  fails((struct fake){.answer = NULL}, "no answer within 500 ms");
  fails((struct fake){.answer = "HTTP/1.1 200 OK\r\nContent-Length: 17000000\r\n\r\n", .padding = 17000000}, "16 MiB");
  fails((struct fake){.answer = "HTTP/1.1 200 OK\r\n\r\n", .padding = 17 << 20}, "16 MiB");
  fails((struct fake){.answer = "HTTP/1.1 200 OK\r\nX: ", .padding = 1 << 20}, "");
  struct outcome o = fetch("127.0.0.1", 1, NULL);
  assert_false(o.ok);
  assert_true(o.text[0] != '\0');
}

static void can_be_cancelled(void **state) {
  (void)state;
  struct fake fake = {.answer = NULL};
  struct event_base *base = event_base_new();
  struct outcome o = {0};
  fake_start(&fake);
  struct pull_target target = {
      .host = SLICE("127.0.0.1"), .port = fake.port, .path = SLICE("/"), .timeout = {NS_PER_S}};
  struct fetch *f = fetch_start(base, NULL, &target, take, &o);
  for (int i = 0; i < 20; i++) {
    event_base_loop(base, EVLOOP_NONBLOCK);
    usleep(5000);
  }
  fetch_cancel(f);
  event_base_free(base);
  fake_stop(&fake);
  assert_int_equal(o.answers, 0);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_an_answer),      cmocka_unit_test(takes_chunks_and_open_metrics),
      cmocka_unit_test(finds_a_name),         cmocka_unit_test(shows_its_token),
      cmocka_unit_test(says_what_went_wrong), cmocka_unit_test(can_be_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
