/* Inside http: the client's connections, from a name to bytes on a socket. */
#ifndef METERHOUSE_HTTP_CLIENT_H
#define METERHOUSE_HTTP_CLIENT_H
#include "http/reply.h"
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define CLIENT_READ_BYTES ((size_t)64 << 10)
#define CLIENT_ADDRESSES_MAX 16

struct client_address {
  struct sockaddr_storage address;
  socklen_t length;
};
struct client_connection;
LIST_HEAD(connection_list, client_connection);

struct http_client {
  struct event_base *base;
  char *host, *host_line; /* "host: name:port\r\n" */
  int port;
  int64_t connect_timeout_ms, silence_timeout_ms;
  size_t idle_max;
  SSL_CTX *tls; /* NULL: plain */
  SSL_SESSION *session;
  struct connection_list idle, busy; /* the last used first */
  struct http_client_figures figures;
  /* names.c */
  struct client_address addresses[CLIENT_ADDRESSES_MAX];
  size_t address_count;
  bool is_literal;
  int64_t resolved_ms;
  struct evdns_base *dns;
  struct evdns_getaddrinfo_request *resolving;
};

enum connection_state { CONNECTION_RESOLVING, CONNECTION_CONNECTING, CONNECTION_HANDSHAKE, CONNECTION_OPEN };
struct client_connection {
  struct http_client *client;
  LIST_ENTRY(client_connection) entry;
  struct http_exchange *exchange; /* NULL: idle */
  enum connection_state state;
  int fd; /* -1: none yet */
  SSL *ssl;
  size_t next_address;
  struct event readable, writable, timer;
  bool has_events;
  int64_t active_ms; /* when something last went either way */
  struct reply_reader reader;
  bool *freed; /* set when it is freed under the feet of who reads from it */
  /* what ended it, told from the loop */
  bool has_failed;
  enum http_failure failure;
  char detail[200];
};

/* A request and what is read of its answer. */
struct http_exchange {
  struct http_client *client;
  struct client_connection *connection;
  struct http_exchange_hooks hooks;
  void *context;
  char *head;
  size_t head_bytes, sent_bytes; /* of head and body together */
  slice body;
  char *own_body; /* what is left of it to send, when the answer came first */
  char *kept;     /* read, while paused */
  size_t kept_bytes;
  bool to_head, reused, answered, paused, over;
};

int64_t client_now_ms(void); /* monotonic */

/* client_names.c: true when client->addresses are fresh; else calls client_resolved, at once or later. */
bool client_resolve(struct http_client *client);
void client_resolved(struct http_client *client, const char *problem); /* NULL: there are addresses */
bool client_names_init(struct http_client *client, struct error *err);
void client_names_free(struct http_client *client);

/* client_connection.c */
struct client_connection *connection_new(struct http_client *client, struct http_exchange *x); /* connects */
void connection_free(struct client_connection *c);
void connection_reset(struct client_connection *c); /* so that closing it is noticed at once, whatever is under way */
void connection_address_known(struct client_connection *c, const char *problem);
/* As much as the network takes; the rest follows by itself. */
void connection_write(struct client_connection *c);
void connection_want_read(struct client_connection *c, bool wanted);
void connection_read_soon(struct client_connection *c);
/* Told from the loop, not at once. */
void connection_fail(struct client_connection *c, enum http_failure why, const char *detail);
enum io { IO_SOME, IO_WAIT, IO_END, IO_BROKEN };
enum io connection_read(struct client_connection *c, slice *out); /* into memory that the thread shares */

/* client_tls.c */
SSL_CTX *tls_context(struct error *err); /* one for the program; NULL with ERR_IO */
SSL *tls_start(struct http_client *client, int fd);
const char *tls_problem(const SSL *ssl); /* in words */

/* client.c: what a connection tells its exchange */
void exchange_readable(struct client_connection *c);
void exchange_failed(struct client_connection *c, enum http_failure why, const char *detail);
#endif
