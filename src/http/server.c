/* The server: one listening socket shared by the edge threads, each with an event base of its own. */
#include "base/limits.h"
#include "http/private.h"
#include <errno.h>
#include <event2/thread.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024
#define FILES_BESIDES 256
#define WORKER_THREADS 2
#define GONE_GRACE_MS 500

/* "127.0.0.1:8080", "[::1]:8080" or "localhost:0". */
static bool parse_address(const char *text, struct sockaddr_storage *address, socklen_t *length, struct error *err) {
  char host[256];
  const char *colon = strrchr(text, ':');
  size_t host_length = colon ? (size_t)(colon - text) : 0;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
  bool brackets = host_length > 2 && text[0] == '[' && text[host_length - 1] == ']';
  snprintf(host, sizeof host, "%.*s", (int)(brackets ? host_length - 2 : host_length), text + brackets);
  if (host_length == 0 || host_length >= sizeof host || getaddrinfo(host, colon + 1, &hints, &found) != 0) {
    return error_set(err, ERR_USAGE, "--listen takes ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, not \"%s\"",
                     text);
  }
  memcpy(address, found->ai_addr, found->ai_addrlen);
  *length = found->ai_addrlen;
  freeaddrinfo(found);
  return true;
}

static bool open_socket(const char *listen_text, int *out, int *port, struct error *err) {
  struct sockaddr_storage address = {0};
  socklen_t length;
  int on = 1;
  if (!parse_address(listen_text, &address, &length, err)) {
    return false;
  }
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  socklen_t size = sizeof address;
  /* Accepted sockets inherit TCP_NODELAY: an answer of several segments is not to wait for a delayed acknowledgement.
   */
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    error_set(err, ERR_IO, "%s: %s%s", listen_text, strerror(errno),
              errno == EADDRINUSE ? "; another --listen ADDRESS:PORT helps" : "");
    if (fd >= 0) {
      close(fd);
    }
    return false;
  }
  *out = fd;
  *port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                              : ((struct sockaddr_in *)&address)->sin_port);
  return true;
}

/* A file descriptor for each connection that may be open, and one for where its request is forwarded to, as far as the
 * system lets us. */
static void raise_file_limit(void) {
  struct rlimit files;
  const rlim_t wanted = 2 * LIMIT_CONNECTIONS + FILES_BESIDES;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

static int socket_for_edge(int fd) {
  int own = dup(fd);
  must(own >= 0 && evutil_make_socket_closeonexec(own) == 0);
  return own;
}

bool http_start(const struct http_options *options, struct http_server **out, struct error *err) {
  int fd, port;
  if (!open_socket(options->listen, &fd, &port, err)) {
    return false;
  }
  must(evthread_use_pthreads() == 0);
  raise_file_limit();
  struct http_server *server = mem_alloc(sizeof *server);
  server->magic = HTTP_MAGIC;
  server->options = *options;
  server->port = port;
  server->workers = workers_start(WORKER_THREADS);
  unsigned wanted = options->edge_threads ? options->edge_threads : 1;
  server->edge_count = wanted < EDGE_THREADS_MAX ? wanted : EDGE_THREADS_MAX;
  for (unsigned i = 0; i < server->edge_count; i++) {
    edge_start(server, &server->edges[i], socket_for_edge(fd));
  }
  close(fd);
  *out = server;
  return true;
}

int http_port(const struct http_server *server) {
  return server->port;
}

static void stop_loop(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  event_base_loopbreak(((struct http_edge *)context)->base);
}

static void on_every_edge(struct http_server *server, event_callback_fn fn) {
  for (unsigned i = 0; i < server->edge_count; i++) {
    must(event_base_once(server->edges[i].base, -1, EV_TIMEOUT, fn, &server->edges[i], NULL) == 0);
  }
}

static void wait_for_requests(struct http_server *server, int grace_ms) {
  for (int waited_ms = 0; waited_ms < grace_ms && atomic_load(&server->in_flight) > 0; waited_ms += 10) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000L}, NULL);
  }
}

void http_stop(struct http_server *server, int grace_ms) {
  must(server->magic == HTTP_MAGIC);
  on_every_edge(server, edge_stop_accepting);
  wait_for_requests(server, grace_ms);
  on_every_edge(server, edge_tell_gone);
  wait_for_requests(server, GONE_GRACE_MS);
  workers_stop(server->workers);
  on_every_edge(server, stop_loop);
  for (unsigned i = 0; i < server->edge_count; i++) {
    pthread_join(server->edges[i].thread, NULL);
    edge_free(&server->edges[i]);
  }
  server->magic = 0;
  free(server);
}
