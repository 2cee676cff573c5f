/* One exchange with a receiver: a signed POST over http or https, a bounded answer, 15 seconds; its status decides. */
#include "notify/private.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

#define PORT_HTTP 80
#define PORT_HTTPS 443

/* ---- ending ---- */

static void set_reason(struct exchange *x, const char *reason) {
  snprintf(x->result.error, sizeof x->result.error, "%s", reason);
}

void exchange_drop(struct exchange *x) {
  if (x->connection) {
    evhttp_connection_free(x->connection);
  }
  x->connection = NULL;
  x->tls = NULL;
}

static void exchange_end(struct exchange *x) {
  exchange_drop(x);
  evtimer_del(x->end);
  x->state = EXCHANGE_ENDED;
  x->result.at = clock_now();
  if (x->result.status != 0) {
    x->result.error[0] = '\0';
  } else if (x->result.error[0] == '\0') {
    set_reason(x, "no answer within 15 seconds");
  }
  event_active(x->sender->pump, EV_TIMEOUT, 1);
}

/* A connection is not to be freed from within its own callbacks: this runs from the loop, after them. */
static void on_end(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  exchange_end(context);
}

/* ---- what libevent tells ---- */

/* The status is what counts: a 2xx whose body is cut short or too long was delivered all the same. */
static int on_headers(struct evhttp_request *request, void *context) {
  struct exchange *x = context;
  x->result.status = evhttp_request_get_response_code(request);
  return 0;
}

static void on_error(enum evhttp_request_error error, void *context) {
  switch (error) {
  case EVREQ_HTTP_TIMEOUT:
    set_reason(context, "no answer within 15 seconds");
    break;
  case EVREQ_HTTP_EOF:
    set_reason(context, "the connection was closed before an answer");
    break;
  case EVREQ_HTTP_INVALID_HEADER:
    set_reason(context, "the answer is not HTTP");
    break;
  case EVREQ_HTTP_BUFFER_ERROR:
  case EVREQ_HTTP_REQUEST_CANCEL:
    set_reason(context, "the connection failed");
    break;
  case EVREQ_HTTP_DATA_TOO_LONG:
    set_reason(context, "the answer's header is too long");
    break;
  }
}

/* Names and TLS have reasons of their own, which say more than a closed connection does. */
static void explain(struct exchange *x) {
  struct bufferevent *stream = evhttp_connection_get_bufferevent(x->connection);
  int name_error = bufferevent_socket_get_dns_error(stream);
  unsigned long tls_error = x->tls ? bufferevent_get_openssl_error(stream) : 0;
  long verified = x->tls ? SSL_get_verify_result(x->tls) : X509_V_OK;
  if (name_error != 0) {
    snprintf(x->result.error, sizeof x->result.error, "the host's name: %s", evutil_gai_strerror(name_error));
  } else if (verified != X509_V_OK) {
    snprintf(x->result.error, sizeof x->result.error, "the certificate was not accepted: %s",
             X509_verify_cert_error_string(verified));
  } else if (tls_error != 0) {
    const char *reason = ERR_reason_error_string(tls_error);
    snprintf(x->result.error, sizeof x->result.error, "TLS: %s", reason ? reason : "failed");
  } else if (x->result.error[0] == '\0') {
    set_reason(x, "could not connect");
  }
}

static void on_answer(struct evhttp_request *request, void *context) {
  struct exchange *x = context;
  (void)request;
  if (x->result.status == 0) {
    explain(x);
  }
  event_active(x->end, EV_TIMEOUT, 1);
}

/* ---- connecting ---- */

static bool expect_name(SSL *tls, const char *host) {
  X509_VERIFY_PARAM *wanted = SSL_get0_param(tls);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host) == 1) {
    return true;
  }
  return SSL_set_tlsext_host_name(tls, host) == 1 && X509_VERIFY_PARAM_set1_host(wanted, host, 0) == 1;
}

/* NULL when OpenSSL refuses: a host name it can not check. */
static struct bufferevent *tls_stream(struct exchange *x, const char *host) {
  x->tls = SSL_new(sender_tls(x->sender));
  must(x->tls != NULL);
  struct bufferevent *stream = NULL;
  if (expect_name(x->tls, host)) {
    stream =
        bufferevent_openssl_socket_new(x->sender->base, -1, x->tls, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
  }
  if (stream == NULL) {
    SSL_free(x->tls);
    x->tls = NULL;
    return NULL;
  }
  bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
  return stream;
}

/* evhttp_uri keeps the brackets of "[::1]"; a connection wants it bare. */
static void bare_host(const char *host, char *out, size_t size) {
  size_t length = strlen(host);
  bool brackets = length > 2 && host[0] == '[' && host[length - 1] == ']';
  snprintf(out, size, "%.*s", (int)(length - (brackets ? 2 : 0)), host + brackets);
}

static bool connect_to(struct exchange *x, const struct evhttp_uri *uri) {
  char host[256];
  bool secure = strcmp(evhttp_uri_get_scheme(uri), "https") == 0;
  int port = evhttp_uri_get_port(uri);
  struct bufferevent *stream = NULL;
  bare_host(evhttp_uri_get_host(uri), host, sizeof host);
  if (port <= 0 || port > UINT16_MAX) {
    port = secure ? PORT_HTTPS : PORT_HTTP;
  }
  if (secure && (stream = tls_stream(x, host)) == NULL) {
    return false;
  }
  x->connection =
      evhttp_connection_base_bufferevent_new(x->sender->base, x->sender->names, stream, host, (uint16_t)port);
  if (x->connection == NULL) {
    return false;
  }
  evhttp_connection_set_timeout(x->connection, NOTIFY_TIMEOUT_S);
  evhttp_connection_set_max_body_size(x->connection, NOTIFY_ANSWER_BYTES_MAX);
  evhttp_connection_set_max_headers_size(x->connection, NOTIFY_ANSWER_BYTES_MAX);
  return true;
}

/* ---- the request ---- */

static void add_host(struct evkeyvalq *headers, const struct evhttp_uri *uri) {
  char host[320];
  int port = evhttp_uri_get_port(uri);
  if (port > 0) {
    snprintf(host, sizeof host, "%s:%d", evhttp_uri_get_host(uri), port);
  } else {
    snprintf(host, sizeof host, "%s", evhttp_uri_get_host(uri));
  }
  evhttp_add_header(headers, "Host", host);
}

static bool sign(const struct exchange *x, const struct notify_due_one *one, int64_t now_s,
                 char out[2 * NOTIFY_SIGNATURE_TEXT_MAX], struct error *err) {
  struct notify_secret secret;
  char text[NOTIFY_SIGNATURE_TEXT_MAX], old_text[NOTIFY_SIGNATURE_TEXT_MAX] = "";
  if (!notify_unseal(x->sender->vault, one->sealed, &secret, err)) {
    return false;
  }
  notify_sign(&secret, one->message, now_s, one->body, text);
  if (one->old_sealed.len > 0 && notify_unseal(x->sender->vault, one->old_sealed, &secret, err)) {
    notify_sign(&secret, one->message, now_s, one->body, old_text);
  }
  snprintf(out, 2 * NOTIFY_SIGNATURE_TEXT_MAX, "%s%s%s", text, old_text[0] ? " " : "", old_text);
  return true;
}

static bool add_headers(struct exchange *x, struct evhttp_request *request, const struct evhttp_uri *uri,
                        const struct notify_due_one *one, struct error *err) {
  struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
  int64_t now_s = clock_now().ns / NS_PER_S;
  char time[32], signature[2 * NOTIFY_SIGNATURE_TEXT_MAX];
  if (!sign(x, one, now_s, signature, err)) {
    return false;
  }
  snprintf(time, sizeof time, "%lld", (long long)now_s);
  add_host(headers, uri);
  evhttp_add_header(headers, "Connection", "close");
  evhttp_add_header(headers, "Content-Type", "application/json");
  evhttp_add_header(headers, "User-Agent", "Meterhouse");
  evhttp_add_header(headers, "webhook-id", x->result.of.message);
  evhttp_add_header(headers, "webhook-timestamp", time);
  evhttp_add_header(headers, "webhook-signature", signature);
  return true;
}

static bool post(struct exchange *x, const struct evhttp_uri *uri, const struct notify_due_one *one,
                 struct error *err) {
  const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
  char target[NOTIFY_URL_BYTES_MAX + 2];
  struct evhttp_request *request = evhttp_request_new(on_answer, x);
  must(request != NULL);
  if (!add_headers(x, request, uri, one, err)) {
    evhttp_request_free(request);
    return false;
  }
  evhttp_request_set_header_cb(request, on_headers);
  evhttp_request_set_error_cb(request, on_error);
  must(evbuffer_add(evhttp_request_get_output_buffer(request), one->body.ptr, one->body.len) == 0);
  snprintf(target, sizeof target, "%s%s%s", path && path[0] ? path : "/", query ? "?" : "", query ? query : "");
  return evhttp_make_request(x->connection, request, EVHTTP_REQ_POST, target) == 0 ||
         error_set(err, ERR_IO, "could not connect");
}

static bool begin(struct exchange *x, const struct notify_due_one *one, struct error *err) {
  char url[NOTIFY_URL_BYTES_MAX + 1];
  if (!url_check(one->url, err)) {
    return false;
  }
  snprintf(url, sizeof url, SLICE_FMT, SLICE_ARG(one->url));
  struct evhttp_uri *uri = evhttp_uri_parse(url);
  must(uri != NULL);
  bool ok = connect_to(x, uri) ? post(x, uri, one, err)
                               : error_set(err, ERR_INVALID, "the host of the URL can not be connected to");
  evhttp_uri_free(uri);
  return ok;
}

void exchange_start(struct exchange *x, const struct notify_due_one *one) {
  const struct timeval time_out = {.tv_sec = NOTIFY_TIMEOUT_S};
  struct error err = {0};
  must(x->state == EXCHANGE_FREE);
  x->state = EXCHANGE_RUNS;
  x->result = (struct notify_result){0};
  snprintf(x->result.of.endpoint, sizeof x->result.of.endpoint, SLICE_FMT, SLICE_ARG(one->endpoint));
  snprintf(x->result.of.message, sizeof x->result.of.message, SLICE_FMT, SLICE_ARG(one->message));
  must(evtimer_add(x->end, &time_out) == 0);
  if (!begin(x, one, &err)) {
    set_reason(x, err.message);
    event_active(x->end, EV_TIMEOUT, 1);
  }
}

struct event *exchange_event(struct event_base *base, struct exchange *x) {
  return evtimer_new(base, on_end, x);
}
