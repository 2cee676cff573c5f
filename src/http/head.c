/* The head of an answer: written as text in one go, since evhttp's own way costs more than all else of a small answer.
 */
#include "http/private.h"
#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HEAD_BYTES_MAX ((size_t)32 << 10)

/* Nothing that would end the line, whoever chose it. */
static bool is_one_line(slice value) {
  for (size_t i = 0; i < value.len; i++) {
    unsigned char c = (unsigned char)value.ptr[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return false;
    }
  }
  return true;
}

static void add_line(struct buf *to, slice name, slice value) {
  buf_add(to, name);
  buf_add(to, SLICE(": "));
  buf_add(to, value);
  buf_add(to, SLICE("\r\n"));
}

void http_add_header(struct http_request *r, const char *name, const char *value) {
  slice text = slice_of(value);
  if (strcasecmp(name, "cache-control") == 0) {
    r->has_cache_control = true;
  }
  if (r->headers.limit == 0) {
    buf_init(&r->headers, HEAD_BYTES_MAX);
  }
  if (is_one_line(text)) {
    add_line(&r->headers, slice_of(name), text);
  }
}

static const char *reason_of(int status) {
  static const struct {
    int status;
    const char *reason;
  } all[] = {{200, "OK"},
             {201, "Created"},
             {202, "Accepted"},
             {204, "No Content"},
             {207, "Multi-Status"},
             {304, "Not Modified"},
             {400, "Bad Request"},
             {401, "Unauthorized"},
             {402, "Payment Required"},
             {403, "Forbidden"},
             {404, "Not Found"},
             {405, "Method Not Allowed"},
             {408, "Request Timeout"},
             {409, "Conflict"},
             {413, "Content Too Large"},
             {415, "Unsupported Media Type"},
             {422, "Unprocessable Content"},
             {429, "Too Many Requests"},
             {500, "Internal Server Error"},
             {502, "Bad Gateway"},
             {503, "Service Unavailable"},
             {504, "Gateway Timeout"}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (all[i].status == status) {
      return all[i].reason;
    }
  }
  return "Status";
}

/* Put together once a second. */
static slice date_of(struct http_edge *edge) {
  struct timespec now;
  must(clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0);
  if (edge->date_s != now.tv_sec) {
    struct tm parts;
    must(gmtime_r(&now.tv_sec, &parts) != NULL);
    edge->date_s = now.tv_sec;
    edge->date_length = strftime(edge->date, sizeof edge->date, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  }
  return (slice){edge->date, edge->date_length};
}

static void add_number(struct buf *to, int64_t value) {
  char text[DIGITS_MAX];
  buf_add(to, number_digits((uint64_t)value, text));
}

/* evhttp closes or keeps the connection by the request's headers; what it will do is told here. */
static void add_connection(const struct http_request *r, struct buf *to, bool until_close) {
  const char *asked = evhttp_find_header(evhttp_request_get_input_headers(r->ev), "connection");
  bool old = r->ev->major == 1 && r->ev->minor == 0;
  if (until_close || (asked && strcasecmp(asked, "close") == 0)) {
    buf_add(to, SLICE("connection: close\r\n"));
  } else if (old && asked && strcasecmp(asked, "keep-alive") == 0) {
    buf_add(to, SLICE("connection: keep-alive\r\n"));
  }
}

static void add_framing(struct http_request *r, struct buf *to, int status, int64_t length) {
  bool bare = status == 204 || status == 304, old = r->ev->major == 1 && r->ev->minor == 0;
  r->ev->chunked = !bare && length < 0 && !old && evhttp_request_get_command(r->ev) != EVHTTP_REQ_HEAD;
  add_connection(r, to, !bare && length < 0 && old);
  if (r->ev->chunked) {
    buf_add(to, SLICE("transfer-encoding: chunked\r\n"));
  } else if (!bare && length >= 0) {
    buf_add(to, SLICE("content-length: "));
    add_number(to, length);
    buf_add(to, SLICE("\r\n"));
  }
}

void head_write(struct http_request *r, struct evbuffer *output, int status, slice content_type, int64_t length) {
  struct buf head;
  buf_init(&head, HEAD_BYTES_MAX + 4096);
  buf_add(&head, r->ev->minor == 0 && r->ev->major == 1 ? SLICE("HTTP/1.0 ") : SLICE("HTTP/1.1 "));
  add_number(&head, status);
  buf_add(&head, SLICE(" "));
  buf_add(&head, slice_of(reason_of(status)));
  buf_add(&head, SLICE("\r\n"));
  buf_add(&head, buf_slice(&r->headers));
  add_line(&head, SLICE("content-type"), is_one_line(content_type) ? content_type : SLICE("application/octet-stream"));
  add_line(&head, SLICE("x-request-id"), slice_of(r->id));
  buf_add(&head, SLICE("x-content-type-options: nosniff\r\n"));
  if (!r->has_cache_control) {
    buf_add(&head, SLICE("cache-control: no-store\r\n"));
  }
  buf_add(&head, date_of(r->edge));
  add_framing(r, &head, status, length);
  buf_add(&head, SLICE("\r\n"));
  must(!head.failed && evbuffer_add(output, head.ptr, head.len) == 0);
  r->ev->response_code = status;
  buf_free(&head);
}
