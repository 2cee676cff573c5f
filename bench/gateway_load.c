/* Calls of a model through one door or several in turn: time to the first byte, whole calls, processor time of the
 * server. The first target is what the others are compared with: the model server itself.
 * usage: gateway-load plain|stream CONNECTIONS SECONDS ROUNDS TARGET... (TARGET is NAME:PORT:PID[:KEY]);
 *        gateway-load hold STREAMS TARGET... opens so many streams: memory, and calls beside them;
 *        gateway-load sync FOLDER: what the disk there takes for a durable write */
#include "measure.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16384
#define CALLS_MAX ((size_t)1 << 22)
#define TARGETS_MAX 8
#define ANSWER_BYTES_MAX 65536
#define PATIENCE_MS 10000
#define CALLS_BESIDE 1000

struct target {
  char name[32], key[128];
  int port, pid;
  double *first_s, *whole_s; /* of each call */
  size_t calls;
  double cpu_s, wall_s;
  struct buf calls_request, hold_request;
};
struct connection {
  int fd;
  bool warm;      /* its first call, which opens the way to the model server, does not count */
  bool has_first; /* byte of the body */
  size_t got;
  double sent_at, first_at;
  char *answer;
};
static struct {
  const char *mode;
  size_t connection_count, target_count;
  double slot_s;
  long rounds;
  struct target targets[TARGETS_MAX];
  struct connection connections[CONNECTIONS_MAX];
  int epoll;
} load;

static void stop_with(const char *what, const char *detail) {
  fprintf(stderr, "gateway-load: %s: %s\n", what, detail);
  exit(1);
}

/* ---- requests ---- */

static void make_request(const struct target *t, const char *model, bool stream, struct buf *request) {
  struct buf body;
  buf_init(&body, 8192);
  buf_addf(&body,
           "{\"model\":\"%s\",\"max_tokens\":64,%s\"messages\":[{\"role\":\"system\",\"content\":\"You answer.\"},"
           "{\"role\":\"user\",\"content\":\"",
           model, stream ? "\"stream\":true," : "");
  for (int i = 0; i < 12; i++) {
    buf_addf(&body, "What does the fox do on the day that comes after day %d? ", i);
  }
  buf_addf(&body, "\"}]}");
  buf_init(request, 16384);
  buf_addf(request,
           "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer %s\r\n"
           "content-type: application/json\r\ncontent-length: %zu\r\n\r\n",
           t->port, t->key[0] ? t->key : "none", body.len);
  buf_add(request, buf_slice(&body));
  buf_free(&body);
}

static void take_target(struct target *t, const char *text) {
  if (sscanf(text, "%31[^:]:%d:%d:%127s", t->name, &t->port, &t->pid, t->key) < 3) {
    stop_with("not NAME:PORT:PID[:KEY]", text);
  }
  t->first_s = mem_alloc(CALLS_MAX * sizeof *t->first_s);
  t->whole_s = mem_alloc(CALLS_MAX * sizeof *t->whole_s);
  make_request(t, "bench", strcmp(load.mode, "stream") == 0, &t->calls_request);
  make_request(t, "bench-hold", true, &t->hold_request);
}

static void send_request(const struct target *t, const struct buf *request, struct connection *c) {
  c->got = 0;
  c->has_first = false;
  c->sent_at = measure_wall_s();
  if (send(c->fd, request->ptr, request->len, MSG_NOSIGNAL) != (ssize_t)request->len) {
    stop_with(t->name, strerror(errno));
  }
}

static int connect_to(const struct target *t) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)t->port)};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
    stop_with(t->name, strerror(errno));
  }
  return fd;
}

static void open_connections(const struct target *t, const struct buf *request) {
  for (size_t i = 0; i < load.connection_count; i++) {
    struct connection *c = &load.connections[i];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    c->fd = connect_to(t);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e) != 0) {
      stop_with(t->name, strerror(errno));
    }
    c->warm = false;
    send_request(t, request, c);
  }
}

static void close_connections(void) {
  for (size_t i = 0; i < load.connection_count; i++) {
    close(load.connections[i].fd);
  }
}

/* ---- answers ---- */

/* Where the body begins; 0 while the head is not there. */
static size_t body_at(const struct connection *c) {
  const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
  return end ? (size_t)(end + 4 - c->answer) : 0;
}

/* Is all of it there? The last chunk is told by its end: no event holds such bytes. */
static bool is_whole(struct connection *c, size_t body) {
  static const char last_chunk[] = "\r\n0\r\n\r\n";
  c->answer[body - 1] = '\0';
  const char *length = strcasestr(c->answer, "content-length:");
  c->answer[body - 1] = '\n';
  if (length) {
    return c->got >= body + strtoul(length + 15, NULL, 10);
  }
  size_t n = strlen(last_chunk);
  return c->got >= body + n && memcmp(c->answer + c->got - n, last_chunk, n) == 0;
}

/* Reads on; true when the answer is whole. */
static bool receive(const struct target *t, struct connection *c) {
  ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_BYTES_MAX - 1 - c->got, 0);
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) {
      return false;
    }
    stop_with(t->name, "the server hung up");
  }
  c->got += (size_t)n;
  size_t body = body_at(c);
  if (body == 0) {
    return false;
  }
  if (!c->has_first && c->got > body) {
    c->has_first = true;
    c->first_at = measure_wall_s();
    if (memcmp(c->answer, "HTTP/1.1 200", 12) != 0) {
      c->answer[c->got] = '\0';
      stop_with(t->name, c->answer);
    }
  }
  return is_whole(c, body);
}

static void note(struct target *t, struct connection *c, double now) {
  if (c->warm && t->calls < CALLS_MAX) {
    t->first_s[t->calls] = c->first_at - c->sent_at;
    t->whole_s[t->calls++] = now - c->sent_at;
  }
  c->warm = true;
}

/* One slot of one target: every connection calls again as soon as it is answered. */
static void run_slot(struct target *t) {
  struct epoll_event events[256];
  open_connections(t, &t->calls_request);
  size_t under_way = load.connection_count;
  double begin = measure_wall_s(), cpu = measure_process_cpu_s(t->pid), until = begin + load.slot_s;
  while (under_way > 0) {
    int count = epoll_wait(load.epoll, events, 256, PATIENCE_MS);
    if (count <= 0) {
      stop_with(t->name, "no answer for ten seconds");
    }
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      if (!receive(t, c)) {
        continue;
      }
      double now = measure_wall_s();
      note(t, c, now);
      if (now < until) {
        send_request(t, &t->calls_request, c);
      } else {
        under_way--;
      }
    }
  }
  t->wall_s += measure_wall_s() - begin;
  t->cpu_s += measure_process_cpu_s(t->pid) - cpu;
  close_connections();
}

/* ---- figures ---- */

static void report(struct target *t) {
  const struct target *direct = &load.targets[0];
  double calls = (double)t->calls;
  double first = measure_median(t->first_s, t->calls), whole = measure_median(t->whole_s, t->calls);
  double first_p99 = measure_quantile(t->first_s, t->calls, 0.99);
  printf("{\"bench\":\"gateway\",\"mode\":\"%s\",\"connections\":%zu,\"through\":\"%s\",\"calls\":%zu,\"calls_per_s\":%"
         ".0f,"
         "\"first_byte_p50_us\":%.1f,\"first_byte_p99_us\":%.1f,\"call_p50_us\":%.1f,\"call_p99_us\":%.1f,"
         "\"cpu_us_per_call\":%.1f",
         load.mode, load.connection_count, t->name, t->calls, calls / t->wall_s, first * 1e6, first_p99 * 1e6,
         whole * 1e6, measure_quantile(t->whole_s, t->calls, 0.99) * 1e6, t->cpu_s / calls * 1e6);
  if (t != direct) {
    printf(",\"added_first_byte_p50_us\":%.1f,\"added_first_byte_p99_us\":%.1f,\"added_call_p50_us\":%.1f",
           (first - measure_quantile(direct->first_s, direct->calls, 0.5)) * 1e6,
           (first_p99 - measure_quantile(direct->first_s, direct->calls, 0.99)) * 1e6,
           (whole - measure_quantile(direct->whole_s, direct->calls, 0.5)) * 1e6);
  }
  if (t > &load.targets[1]) {
    const struct target *peer = &load.targets[1];
    printf(",\"calls_to_%s\":%.2f", peer->name, calls / t->wall_s * peer->wall_s / (double)peer->calls);
  }
  printf("}\n");
}

static void run_rounds(void) {
  for (long round = 0; round < load.rounds; round++) {
    for (size_t i = 0; i < load.target_count; i++) {
      run_slot(&load.targets[i]);
    }
  }
  for (size_t i = 0; i < load.target_count; i++) {
    report(&load.targets[i]);
  }
}

static void open_streams(struct target *t) {
  struct epoll_event events[256];
  open_connections(t, &t->hold_request);
  for (size_t begun = 0; begun < load.connection_count;) {
    int count = epoll_wait(load.epoll, events, 256, PATIENCE_MS);
    if (count <= 0) {
      stop_with(t->name, "no answer for ten seconds");
    }
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      bool had_first = c->has_first;
      if (receive(t, c)) {
        stop_with(t->name, "a stream that was to be held has ended");
      }
      begun += !had_first && c->has_first;
    }
  }
}

/* Whole calls one after the other on a connection of their own. */
static void call_beside(struct target *t) {
  struct connection c = {.fd = connect_to(t), .answer = mem_alloc(ANSWER_BYTES_MAX)};
  for (int i = 0; i <= CALLS_BESIDE; i++) {
    send_request(t, &t->calls_request, &c);
    while (!receive(t, &c)) {
    }
    note(t, &c, measure_wall_s());
  }
  close(c.fd);
  free(c.answer);
}

/* Streams that have begun and do not end: what does each cost in memory, and are other calls slower for them? */
static void hold_streams(struct target *t) {
  double idle_kb = measure_process_kb(t->pid, "VmRSS"), begin = measure_wall_s();
  open_streams(t);
  double kb = measure_process_kb(t->pid, "VmRSS"), begun_s = measure_wall_s() - begin;
  call_beside(t);
  double first = measure_median(t->first_s, t->calls);
  printf(
      "{\"bench\":\"gateway\",\"mode\":\"hold\",\"streams\":%zu,\"through\":\"%s\",\"before_kb\":%.0f,\"open_kb\":%.0f,"
      "\"kb_per_stream\":%.1f,\"begun_s\":%.2f,\"beside_first_byte_p50_us\":%.1f,\"beside_first_byte_p99_us\":%.1f}\n",
      load.connection_count, t->name, idle_kb, kb, (kb - idle_kb) / (double)load.connection_count, begun_s, first * 1e6,
      measure_quantile(t->first_s, t->calls, 0.99) * 1e6);
  close_connections();
}

static void take_targets(char **words, int count) {
  for (int i = 0; i < count && load.target_count < TARGETS_MAX; i++) {
    take_target(&load.targets[load.target_count++], words[i]);
  }
  if (load.connection_count < 1 || load.connection_count > CONNECTIONS_MAX) {
    stop_with("connections", "a number from 1 to 16384");
  }
  load.epoll = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < load.connection_count; i++) {
    load.connections[i].answer = mem_alloc(ANSWER_BYTES_MAX);
  }
}

int main(int argc, char **argv) {
  load.mode = argc > 1 ? argv[1] : "";
  load.connection_count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  if (argc == 3 && strcmp(load.mode, "sync") == 0) {
    printf("{\"bench\":\"gateway\",\"disk_sync_ms\":%.3f}\n", measure_sync_ms(argv[2]));
  } else if (argc > 3 && strcmp(load.mode, "hold") == 0) {
    take_targets(argv + 3, argc - 3);
    for (size_t i = 0; i < load.target_count; i++) {
      hold_streams(&load.targets[i]);
    }
  } else if (argc > 5 && (strcmp(load.mode, "plain") == 0 || strcmp(load.mode, "stream") == 0)) {
    load.slot_s = strtod(argv[3], NULL);
    load.rounds = strtol(argv[4], NULL, 10);
    take_targets(argv + 5, argc - 5);
    run_rounds();
  } else {
    fprintf(stderr, "usage: gateway-load plain|stream CONNECTIONS SECONDS ROUNDS TARGET...\n"
                    "       gateway-load hold STREAMS TARGET...\n"
                    "       gateway-load sync FOLDER\n"
                    "TARGET is NAME:PORT:PID[:KEY], the model server itself first\n");
    return 2;
  }
  return 0;
}
