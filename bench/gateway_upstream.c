/* A model server that is never the bottleneck: one thread, answers made beforehand. Told by what stands in the body:
 * "stream":true streams CHUNKS events, the first at once and then one every 100 us; a model named bench-hold sends the
 * first and then nothing. usage: gateway-upstream [CHUNKS]      prints its port; ends with SIGTERM */
#include "base/base.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX 8192
#define CONNECTIONS_MAX 32768
#define CHUNKS_MAX 1000
#define ROUND_NS 100000 /* between the pieces of a stream */

struct connection {
  int fd;
  size_t got;
  size_t piece, pieces, sent; /* of the stream: the one to send, how many, bytes of it that are sent */
  char in[REQUEST_BYTES_MAX];
};
static struct {
  int epoll, listener;
  struct buf plain, pieces[CHUNKS_MAX + 2];
  size_t piece_count;
  struct connection *connections[CONNECTIONS_MAX]; /* by fd */
  struct connection *streaming[CONNECTIONS_MAX];
  size_t streaming_count;
  int64_t next_round_ns;
} server;

static const char usage[] = "{\"prompt_tokens\":120,\"completion_tokens\":24,\"total_tokens\":144,"
                            "\"prompt_tokens_details\":{\"cached_tokens\":0}}";

/* ---- the answers ---- */

static void make_plain(struct buf *b) {
  static const char text[] =
      "The quick brown fox jumps over the lazy dog and comes back the same way, as it does every "
      "day of the week but Sunday, when it rests.";
  char body[1024];
  int n = snprintf(body, sizeof body,
                   "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1795000000,"
                   "\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                   "\"%s\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":%s}",
                   text, usage);
  buf_addf(b, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
}

static void add_chunk(struct buf *b, const char *event) {
  buf_addf(b, "%zx\r\n%s\r\n", strlen(event), event);
}

static void make_pieces(size_t chunks) {
  static const char head[] = "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\","
                             "\"created\":1795000000,\"model\":\"bench\",\"choices\":[";
  char event[512];
  for (size_t i = 0; i <= chunks; i++) {
    struct buf *b = &server.pieces[i];
    buf_init(b, 1024);
    if (i == 0) {
      buf_addf(b, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    }
    if (i < chunks) {
      snprintf(event, sizeof event, "%s{\"index\":0,\"delta\":{\"content\":\" word%zu\"},\"finish_reason\":null}]}\n\n",
               head, i);
      add_chunk(b, event);
    } else {
      snprintf(event, sizeof event, "%s],\"usage\":%s}\n\n", head, usage);
      add_chunk(b, event);
      add_chunk(b, "data: [DONE]\n\n");
      buf_addf(b, "0\r\n\r\n");
    }
  }
  server.piece_count = chunks + 1;
}

/* ---- connections ---- */

static void stop_with(const char *what) {
  fprintf(stderr, "gateway-upstream: %s (%s)\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stop_streaming(const struct connection *c) {
  for (size_t i = 0; i < server.streaming_count; i++) {
    if (server.streaming[i] == c) {
      server.streaming[i] = server.streaming[--server.streaming_count];
      return;
    }
  }
}

static void hang_up(struct connection *c) {
  stop_streaming(c);
  close(c->fd);
  server.connections[c->fd] = NULL;
  free(c);
}

static void send_all(struct connection *c, slice text) {
  if (send(c->fd, text.ptr, text.len, MSG_NOSIGNAL) != (ssize_t)text.len) {
    hang_up(c);
  }
}

/* What does not fit waits for the next round. */
static void send_piece(struct connection *c) {
  const struct buf *b = &server.pieces[c->piece];
  ssize_t n = send(c->fd, b->ptr + c->sent, b->len - c->sent, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    hang_up(c);
    return;
  }
  c->sent += n > 0 ? (size_t)n : 0;
  if (c->sent == b->len) {
    c->sent = 0;
    if (++c->piece == c->pieces) {
      stop_streaming(c);
    }
  }
}

/* A piece of each stream, when the time of the next round has come. */
static void send_pieces(void) {
  if (server.streaming_count == 0 || now_ns() < server.next_round_ns) {
    return;
  }
  server.next_round_ns = now_ns() + ROUND_NS;
  for (size_t i = server.streaming_count; i-- > 0;) {
    send_piece(server.streaming[i]);
  }
}

/* Until something comes, or the next round. */
static int wait_for(struct epoll_event *events, int max) {
  int64_t left_ns = server.next_round_ns - now_ns();
  struct timespec left = {.tv_nsec = left_ns > 0 ? (long)left_ns : 0};
  return epoll_pwait2(server.epoll, events, max, server.streaming_count ? &left : NULL, NULL);
}

static void answer(struct connection *c, const char *body, size_t length) {
  bool hold = memmem(body, length, "\"bench-hold\"", 12) != NULL;
  if (!hold && memmem(body, length, "\"stream\":true", 13) == NULL) {
    send_all(c, buf_slice(&server.plain));
    return;
  }
  c->piece = c->sent = 0;
  c->pieces = hold ? 1 : server.piece_count;
  server.streaming[server.streaming_count++] = c;
  send_piece(c);
}

/* Takes one request off what was read; false when it is not whole. */
static bool take_request(struct connection *c) {
  const char *end = memmem(c->in, c->got, "\r\n\r\n", 4);
  if (end == NULL) {
    return false;
  }
  size_t head = (size_t)(end + 4 - c->in), length = 0;
  for (const char *line = c->in; line < end; line = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1) {
    if (strncasecmp(line, "content-length:", 15) == 0) {
      length = strtoul(line + 15, NULL, 10);
    }
  }
  if (head + length > c->got) {
    return false;
  }
  char body[REQUEST_BYTES_MAX];
  memcpy(body, c->in + head, length);
  memmove(c->in, c->in + head + length, c->got - head - length);
  c->got -= head + length;
  answer(c, body, length);
  return true;
}

static void receive(struct connection *c) {
  int fd = c->fd;
  ssize_t n = recv(fd, c->in + c->got, sizeof c->in - c->got, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) {
      hang_up(c);
    }
    return;
  }
  c->got += (size_t)n;
  while (take_request(c) && server.connections[fd] == c) {
  }
}

static void accept_all(void) {
  int fd, on = 1;
  while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    must(fd < CONNECTIONS_MAX);
    struct connection *c = mem_alloc(sizeof *c);
    c->fd = fd;
    c->got = 0;
    server.connections[fd] = c;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &e);
  }
}

static void listen_somewhere(void) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t length = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = server.listener};
  if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&at, length) != 0 ||
      listen(server.listener, 4096) != 0 || getsockname(server.listener, (struct sockaddr *)&at, &length) != 0 ||
      epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &e) != 0) {
    stop_with("no port to listen on");
  }
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
}

int main(int argc, char **argv) {
  size_t chunks = argc > 1 ? strtoul(argv[1], NULL, 10) : 24;
  if (chunks < 1 || chunks > CHUNKS_MAX) {
    fprintf(stderr, "usage: gateway-upstream [CHUNKS], 1 to %d\n", CHUNKS_MAX);
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1UL);
  buf_init(&server.plain, 4096);
  make_plain(&server.plain);
  make_pieces(chunks);
  server.epoll = epoll_create1(EPOLL_CLOEXEC);
  listen_somewhere();
  for (;;) {
    struct epoll_event events[512];
    int count = wait_for(events, 512);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == server.listener) {
        accept_all();
      } else if (server.connections[events[i].data.fd]) {
        receive(server.connections[events[i].data.fd]);
      }
    }
    send_pieces();
  }
}
