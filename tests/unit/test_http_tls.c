/* The client over TLS: certificates that are right, of another host, of nobody known; sessions; answers cut short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"
#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LARGE_BYTES ((size_t)3 << 20)

/* ---- certificates ---- */

struct identity {
  EVP_PKEY *key;
  X509 *certificate;
};

static void add_extension(X509 *certificate, int what, const char *value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, what, value);
  assert_non_null(extension);
  assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

/* Signed by `issuer`, or by itself. */
static struct identity make_identity(const char *name, const char *hosts, const struct identity *issuer) {
  static long serial = 1;
  struct identity made = {EVP_EC_gen("P-256"), X509_new()};
  X509 *c = made.certificate;
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
  X509_gmtime_adj(X509_getm_notBefore(c), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c), 3600);
  X509_set_pubkey(c, made.key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
  X509_set_issuer_name(c, X509_get_subject_name(issuer ? issuer->certificate : c));
  add_extension(c, NID_basic_constraints, hosts ? "critical,CA:FALSE" : "critical,CA:TRUE");
  if (hosts) {
    add_extension(c, NID_subject_alt_name, hosts);
  }
  assert_true(X509_sign(c, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
  return made;
}

static void identity_free(struct identity *i) {
  EVP_PKEY_free(i->key);
  X509_free(i->certificate);
}

/* ---- a server with a certificate ---- */

struct peer {
  int listener, port, connections;
  bool until_close, cut_short;
  SSL_CTX *tls;
  pthread_t thread;
  char server_name[100];
  _Atomic int reused, handshakes;
  size_t body_bytes;
};

static void answer(struct peer *peer, SSL *ssl) {
  static char bytes[65536];
  static char large[LARGE_BYTES];
  for (int n; (n = SSL_read(ssl, bytes, sizeof bytes - 1)) > 0;) {
    bytes[n] = '\0';
    const char *length = strstr(bytes, "content-length: "), *blank = strstr(bytes, "\r\n\r\n");
    size_t wanted = length ? strtoul(length + 16, NULL, 10) : 0, got = (size_t)(bytes + n - (blank + 4));
    while (got < wanted && (n = SSL_read(ssl, bytes, sizeof bytes)) > 0) {
      got += (size_t)n;
    }
    peer->body_bytes = got;
    if (peer->until_close) {
      SSL_write(ssl, "HTTP/1.1 200 OK\r\n\r\nhalf", 23);
      SSL_set_quiet_shutdown(ssl, peer->cut_short);
      return;
    }
    memset(large, 'l', sizeof large);
    char head[100];
    int head_bytes = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", sizeof large);
    SSL_write(ssl, head, head_bytes);
    SSL_write(ssl, large, sizeof large);
  }
}

static void *peer_run(void *context) {
  struct peer *peer = context;
  for (int i = 0; i < peer->connections; i++) {
    int fd = accept(peer->listener, NULL, NULL);
    if (fd < 0) {
      break;
    }
    SSL *ssl = SSL_new(peer->tls);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
      const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
      snprintf(peer->server_name, sizeof peer->server_name, "%s", name ? name : "");
      peer->handshakes++;
      peer->reused += SSL_session_reused(ssl);
      answer(peer, ssl);
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
  }
  return NULL;
}

static void peer_start(struct peer *peer, int connections, const struct identity *who) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  *peer = (struct peer){.connections = connections, .tls = SSL_CTX_new(TLS_server_method())};
  assert_int_equal(SSL_CTX_use_certificate(peer->tls, who->certificate), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey(peer->tls, who->key), 1);
  SSL_CTX_set_session_id_context(peer->tls, (const unsigned char *)"t", 1);
  peer->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(listen(peer->listener, 8), 0);
  assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &length), 0);
  peer->port = ntohs(address.sin_port);
}

static void peer_run_in_thread(struct peer *peer) {
  assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

static void peer_stop(struct peer *peer) {
  shutdown(peer->listener, SHUT_RDWR);
  pthread_join(peer->thread, NULL);
  close(peer->listener);
  SSL_CTX_free(peer->tls);
}

/* ---- the client ---- */

struct heard {
  bool ended, failed;
  enum http_failure why;
  char detail[300];
  size_t body_bytes;
  struct http_exchange *x;
  bool pauses;
};

static void on_head(void *context, const struct http_reply *reply) {
  (void)context;
  assert_int_equal(reply->status, 200);
}
static void on_body(void *context, slice piece) {
  struct heard *h = context;
  h->body_bytes += piece.len;
  if (h->pauses) {
    http_exchange_pause(h->x);
    http_exchange_resume(h->x);
    http_exchange_pause(h->x);
  }
}
static void on_done(void *context) {
  ((struct heard *)context)->ended = true;
}
static void on_failed(void *context, enum http_failure why, const char *detail) {
  struct heard *h = context;
  h->ended = h->failed = true;
  h->why = why;
  snprintf(h->detail, sizeof h->detail, "%s", detail);
}

static struct heard ask(struct event_base *base, struct http_client *client, slice body, bool pauses) {
  static const struct http_exchange_hooks hooks = {on_head, on_body, NULL, on_done, on_failed};
  struct heard h = {.pauses = pauses};
  h.x = http_client_send(client, "POST", SLICE("/"), (slice){0}, body, &hooks, &h);
  for (time_t until = time(NULL) + 5; !h.ended && time(NULL) < until;) {
    event_base_loopexit(base, &(struct timeval){.tv_usec = 2000});
    event_base_loop(base, EVLOOP_ONCE);
    if (!h.ended && pauses) {
      http_exchange_resume(h.x);
    }
  }
  assert_true(h.ended);
  return h;
}

static struct identity authority, stranger;
static struct event_base *base;

static struct http_client *client_to(const struct peer *peer, const char *host) {
  struct http_client *client;
  struct error err = {0};
  struct http_origin origin = {.host = slice_of(host), .port = peer->port, .tls = true};
  assert_true(http_client_new(base, &origin, &client, &err));
  return client;
}

static int set_up(void **state) {
  (void)state;
  static char path[] = "/tmp/test_http_tls_XXXXXX";
  signal(SIGPIPE, SIG_IGN);
  authority = make_identity("authority", NULL, NULL);
  stranger = make_identity("stranger", NULL, NULL);
  FILE *file = fdopen(mkstemp(path), "w");
  assert_non_null(file);
  PEM_write_X509(file, authority.certificate);
  fclose(file);
  setenv("SSL_CERT_FILE", path, 1);
  base = event_base_new();
  struct http_client *first = client_to(&(struct peer){.port = 1}, "127.0.0.1"); /* the file is read here, once */
  http_client_free(first);
  unlink(path);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  identity_free(&authority);
  identity_free(&stranger);
  event_base_free(base);
  return 0;
}

static void large_bodies_go_both_ways(void **state) {
  (void)state;
  static char body[LARGE_BYTES];
  struct identity who = make_identity("server", "IP:127.0.0.1", &authority);
  struct peer peer;
  peer_start(&peer, 2, &who);
  peer_run_in_thread(&peer);
  struct http_client *client = client_to(&peer, "127.0.0.1");
  memset(body, 'b', sizeof body);
  for (int i = 0; i < 2; i++) { /* over one connection */
    struct heard h = ask(base, client, (slice){body, sizeof body}, false);
    assert_false(h.failed);
    assert_int_equal(h.body_bytes, LARGE_BYTES);
    assert_int_equal(peer.body_bytes, LARGE_BYTES);
  }
  struct http_client_figures f;
  http_client_figures(client, &f);
  assert_int_equal(f.connected, 1);
  assert_int_equal(f.reused, 1);
  assert_string_equal(peer.server_name, ""); /* an address is no name */
  http_client_free(client);
  peer_stop(&peer);
  identity_free(&who);
}

static void a_name_is_told_and_verified(void **state) {
  (void)state;
  struct identity who = make_identity("server", "DNS:localhost", &authority);
  struct peer peer;
  peer_start(&peer, 1, &who);
  peer_run_in_thread(&peer);
  struct http_client *client = client_to(&peer, "localhost");
  struct heard h = ask(base, client, SLICE("{}"), true);
  assert_false(h.failed);
  assert_int_equal(h.body_bytes, LARGE_BYTES);
  assert_string_equal(peer.server_name, "localhost");
  http_client_free(client);
  peer_stop(&peer);
  identity_free(&who);
}

static void refused(const char *hosts, const struct identity *issuer, const char *words) {
  struct identity who = make_identity("server", hosts, issuer);
  struct peer peer;
  peer_start(&peer, 1, &who);
  peer_run_in_thread(&peer);
  struct http_client *client = client_to(&peer, "127.0.0.1");
  struct heard h = ask(base, client, SLICE("secret"), false);
  assert_true(h.failed);
  assert_int_equal(h.why, HTTP_FAILED_TLS);
  assert_non_null(strstr(h.detail, words));
  assert_int_equal(peer.body_bytes, 0);
  http_client_free(client);
  peer_stop(&peer);
  identity_free(&who);
}

static void another_host_is_refused(void **state) {
  (void)state;
  refused("DNS:other.example,IP:127.0.0.2", &authority, "mismatch");
}
static void an_unknown_authority_is_refused(void **state) {
  (void)state;
  refused("IP:127.0.0.1", &stranger, "certificate");
}

/* The end of such an answer is the end of the connection, which over TLS has to be said. */
static void until_close(bool cut_short) {
  struct identity who = make_identity("server", "IP:127.0.0.1", &authority);
  struct peer peer;
  peer_start(&peer, 3, &who);
  peer.until_close = true;
  peer.cut_short = cut_short;
  peer_run_in_thread(&peer);
  struct http_client *client = client_to(&peer, "127.0.0.1");
  for (int i = 0; i < 3; i++) {
    struct heard h = ask(base, client, SLICE("{}"), false);
    assert_int_equal(h.failed, cut_short);
    assert_int_equal(h.why, cut_short ? HTTP_FAILED_CLOSED : 0);
    assert_int_equal(h.body_bytes, 4);
  }
  assert_int_equal(peer.handshakes, 3);
  assert_int_equal(peer.reused, cut_short ? 0 : 2); /* the session, not the connection */
  http_client_free(client);
  peer_stop(&peer);
  identity_free(&who);
}

static void a_session_is_used_again(void **state) {
  (void)state;
  until_close(false);
}
static void an_answer_cut_short_is_a_failure(void **state) {
  (void)state;
  until_close(true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(large_bodies_go_both_ways), cmocka_unit_test(a_name_is_told_and_verified),
      cmocka_unit_test(another_host_is_refused),   cmocka_unit_test(an_unknown_authority_is_refused),
      cmocka_unit_test(a_session_is_used_again),   cmocka_unit_test(an_answer_cut_short_is_a_failure),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
