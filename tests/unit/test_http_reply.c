/* Heads of answers, one rule of HTTP/1.1 at a time: what keeps a connection, what ends a body, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/reply.h"
#include <string.h>

struct result {
  enum reply_step step;
  bool keep_alive, until_close;
  char problem[100], value[100];
  size_t left, body_bytes;
};

static struct result read_all(slice text, bool to_head) {
  struct reply_reader r;
  struct result got = {0};
  slice piece;
  reply_init(&r, to_head);
  while ((got.step = reply_read(&r, &text, &piece)) == REPLY_HEAD || got.step == REPLY_BODY) {
    if (got.step == REPLY_HEAD) {
      slice value = http_reply_header(&r.reply, "X-Value");
      snprintf(got.value, sizeof got.value, SLICE_FMT, SLICE_ARG(value));
      assert_int_equal(http_reply_header(&r.reply, "x-valu").len, 0);
    } else {
      got.body_bytes += piece.len;
    }
  }
  got.keep_alive = r.keep_alive;
  got.until_close = r.until_close;
  got.left = text.len;
  snprintf(got.problem, sizeof got.problem, "%s", got.step == REPLY_BAD ? r.problem : "");
  reply_free(&r);
  return got;
}

static void what_keeps_a_connection(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool keeps, until_close;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true, false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n", false, false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive, x ,close\r\n\r\n", false, false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: enclosed\r\n\r\n", true, false},
      {"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false, false},
      {"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nConnection: Keep-Alive\r\n\r\n", true, false},
      {"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n", false, true},
      {"HTTP/1.1 204\r\n\r\n", true, false},
      {"HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n", true, false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n", true, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct result got = read_all(slice_of(cases[i].text), false);
    assert_int_equal(got.step, cases[i].until_close ? REPLY_MORE : REPLY_DONE);
    assert_int_equal(got.keep_alive, cases[i].keeps);
    assert_int_equal(got.until_close, cases[i].until_close);
  }
}

static void what_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *words;
  } cases[] = {
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 600 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 2000\r\n\r\n", "status line"},
      {"HTTP/1.2 200 OK\r\n\r\n", "status line"},
      {"http/1.1 200 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 200 OK\n\n", "status line"},
      {"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "name: value"},
      {"HTTP/1.1 200 OK\r\nname\r\n\r\n", "name: value"},
      {"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", "name: value"},
      {"HTTP/1.1 200 OK\r\nx: a\n\r\n", "name: value"},
      {"HTTP/1.1 200 OK\r\nx: a\r\n\n", "CRLF"},
      {"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "transfer-encoding"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", "transfer-encoding"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n", "transfer-encoding"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "both"},
      {"HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n", "content-length"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n", "content-length"},
      {"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n", "content-length"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775808\r\n\r\n", "content-length"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\nhello", "chunks"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello0\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8000000000000000\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n", "chunks"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n folded\r\n\r\n", "chunks"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct result got = read_all(slice_of(cases[i].text), false);
    assert_int_equal(got.step, REPLY_BAD);
    assert_non_null(strstr(got.problem, cases[i].words));
  }
}

static void values_are_trimmed_and_the_rest_is_left(void **state) {
  (void)state;
  struct result got = read_all(
      SLICE("HTTP/1.1 200 \r\nX-VALUE: \t a b \t\r\nx-value: second\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 "), false);
  assert_int_equal(got.step, REPLY_DONE);
  assert_string_equal(got.value, "a b");
  assert_int_equal(got.body_bytes, 2);
  assert_int_equal(got.left, 9);
  got = read_all(SLICE("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnext"), true);
  assert_int_equal(got.step, REPLY_DONE);
  assert_int_equal(got.left, 4);
}

static struct result read_repeated(const char *before, const char *piece, size_t times, const char *after) {
  struct buf text;
  buf_init(&text, 1 << 20);
  buf_add(&text, slice_of(before));
  for (size_t i = 0; i < times; i++) {
    buf_add(&text, slice_of(piece));
  }
  buf_add(&text, slice_of(after));
  struct result got = read_all(buf_slice(&text), false);
  buf_free(&text);
  return got;
}

#define CHUNKED_HEAD "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

static void limits_hold(void **state) {
  (void)state;
  const char *head = "HTTP/1.1 200 OK\r\n", *end = "content-length: 0\r\n\r\n";
  assert_int_equal(read_repeated(head, "a: b\r\n", 999, end).step, REPLY_DONE);
  assert_non_null(strstr(read_repeated(head, "a: b\r\n", 1000, end).problem, "1000"));
  assert_int_equal(read_repeated("HTTP/1.1 200 OK\r\nx: ", "y", 65000, "\r\ncontent-length: 0\r\n\r\n").step,
                   REPLY_DONE);
  assert_non_null(strstr(read_repeated("HTTP/1.1 200 OK\r\nx: ", "y", 65536, "").problem, "64 KiB"));
  assert_non_null(strstr(read_repeated("", "HTTP/1.1 100 Continue\r\n\r\n", 3000, "").problem, "64 KiB"));
  assert_int_equal(read_repeated(CHUNKED_HEAD "0\r\n", "x: y\r\n", 100, "\r\n").step, REPLY_DONE);
  assert_int_equal(read_repeated(CHUNKED_HEAD "0\r\n", "x: y\r\n", 20000, "\r\n").step, REPLY_BAD);
  assert_int_equal(read_repeated(CHUNKED_HEAD "1", ";x", 2000, "\r\na\r\n0\r\n\r\n").step, REPLY_DONE);
  assert_int_equal(read_repeated(CHUNKED_HEAD "1", ";x", 3000, "\r\na\r\n0\r\n\r\n").step, REPLY_BAD);
  assert_int_equal(read_repeated(CHUNKED_HEAD, "0", 5000, "\r\n\r\n").step, REPLY_BAD);
}

static void an_end_too_soon_is_none(void **state) {
  (void)state;
  static const char text[] = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
  for (size_t length = 0; length < sizeof text; length++) {
    struct reply_reader r;
    slice input = {text, length}, piece;
    reply_init(&r, false);
    while (reply_read(&r, &input, &piece) == REPLY_HEAD || (input.len > 0 && r.problem == NULL)) {
    }
    assert_int_equal(reply_closed(&r), length == sizeof text - 1 ? REPLY_DONE : REPLY_BAD);
    reply_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_keeps_a_connection),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(values_are_trimmed_and_the_rest_is_left),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(an_end_too_soon_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
