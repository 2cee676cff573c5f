/* TLS for the client: certificates verified against the system's store and the origin's host, sessions used again. */
#include "http/client.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>

static SSL_CTX *shared;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Called when the other side hands out a ticket, which with TLS 1.3 is after the handshake. */
static int keep_session(SSL *ssl, SSL_SESSION *session) {
  struct http_client *client = SSL_get_app_data(ssl);
  SSL_SESSION_free(client->session);
  client->session = session;
  return 1; /* the reference is ours */
}

static void make_shared(void) {
  static const unsigned char http_1_1[] = "\x08http/1.1";
  SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
  if (tls == NULL || SSL_CTX_set_default_verify_paths(tls) != 1 ||
      SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_alpn_protos(tls, http_1_1, sizeof http_1_1 - 1) != 0) {
    SSL_CTX_free(tls);
    return;
  }
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(tls, keep_session);
  shared = tls;
}

/* The system's certificates are read once: they take some milliseconds and a megabyte. */
SSL_CTX *tls_context(struct error *err) {
  pthread_once(&once, make_shared);
  if (shared == NULL) {
    error_set(err, ERR_IO, "the system's certificates can not be read: see SSL_CERT_FILE");
  }
  return shared;
}

static bool is_address(const char *host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

SSL *tls_start(struct http_client *client, int fd) {
  SSL *ssl = SSL_new(client->tls);
  bool address = is_address(client->host);
  must(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
  SSL_set_app_data(ssl, client);
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  must(address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), client->host) == 1
               : SSL_set1_host(ssl, client->host) == 1 && SSL_set_tlsext_host_name(ssl, client->host) == 1);
  if (client->session) {
    SSL_set_session(ssl, client->session);
  }
  SSL_set_connect_state(ssl);
  return ssl;
}

const char *tls_problem(const SSL *ssl) {
  long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    return X509_verify_cert_error_string(verdict);
  }
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason ? reason : "the other side ended the TLS handshake";
}
