/* HTTP ingest, figures: starts the real server, posts events with random ids over loopback, one JSON line of results.
 * The book lies in $TMPDIR or /tmp; what the disk there takes for one write to be durable is part of the line.
 * usage: load-bench METERHOUSE batch|lines|single [SECONDS [CONNECTIONS]] */
#include "base/file.h"
#include "base/hash.h"
#include "measure.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CUSTOMERS 1000
#define BATCH_EVENTS 1000
#define CONNECTIONS_MAX 1024
#define REQUEST_BYTES_MAX ((size_t)1 << 20)
#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define LATENCIES_MAX ((size_t)1 << 23)
#define ID_HEX 32

struct server {
  pid_t pid;
  int port, instructions; /* a counter of the system's, or -1 */
  char key[128], folder[80];
};
struct connection {
  int fd;
  struct buf request;
  size_t sent, got;
  char *answer;
  double sent_at;
};
struct load {
  const char *mode, *content_type;
  size_t batch, connection_count;
  double seconds, until;
  struct connection connections[CONNECTIONS_MAX];
  int epoll;
  size_t under_way, answered;
  double *latencies;
};

static uint64_t id_state;

static void stop_with(const char *what) {
  fprintf(stderr, "load-bench: %s (%s)\n", what, strerror(errno));
  exit(1);
}

/* ---- the server ---- */

static void write_catalog(const char *path) {
  struct buf b;
  struct error err = {0};
  buf_init(&b, 1u << 24);
  buf_add(&b, SLICE("currency: USD\n"
                    "seller: {name: Bench, country: NL, invoice_prefix: B-}\n"
                    "meters:\n"
                    "  - {name: input, event: model.usage, value: input_tokens, unit: token, dimensions: [model]}\n"
                    "  - {name: output, event: model.usage, value: output_tokens, unit: token, dimensions: [model]}\n"
                    "plans:\n"
                    "  - name: p\n"
                    "    prices:\n"
                    "      - {name: in, meter: input, price: 0.55, per: 1000000}\n"
                    "      - {name: out, meter: output, price: 2.19, per: 1000000}\n"
                    "customers:\n"));
  for (int i = 0; i < CUSTOMERS; i++) {
    buf_addf(&b, "  - {id: c%06d, name: C%d, country: NL, plan: p}\n", i, i);
  }
  if (!file_write(path, buf_slice(&b), &err)) {
    stop_with(err.message);
  }
  buf_free(&b);
}

/* Counts what a child executes in user mode from its exec on, all its threads; -1 where the machine does not tell. */
static int count_instructions(pid_t pid) {
  struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
                                 .size = sizeof attr,
                                 .config = PERF_COUNT_HW_INSTRUCTIONS,
                                 .disabled = 1,
                                 .inherit = 1,
                                 .exclude_kernel = 1,
                                 .enable_on_exec = 1};
  return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t instructions_so_far(const struct server *s) {
  uint64_t count = 0;
  return s->instructions >= 0 && read(s->instructions, &count, sizeof count) == sizeof count ? count : 0;
}

/* Once `go` is closed. */
static void run_server(const char *program, const char *folder, int out, int go) {
  char data[128], catalog[128], nothing;
  while (read(go, &nothing, 1) > 0) {
  }
  snprintf(data, sizeof data, "%s/book", folder);
  snprintf(catalog, sizeof catalog, "%s/catalog.yaml", folder);
  dup2(out, STDOUT_FILENO);
  execl(program, program, "serve", "--data", data, "--catalog", catalog, "--listen", "127.0.0.1:0", (char *)NULL);
  stop_with(program);
}

/* Its first line names the port and, on a new book, the operator key it made. */
static void start_server(const char *program, struct server *s) {
  char path[128], line[512];
  int ends[2], go[2];
  const char *parent = getenv("TMPDIR");
  snprintf(s->folder, sizeof s->folder, "%.40s/meterhouse-load.XXXXXX", parent ? parent : "/tmp");
  if (mkdtemp(s->folder) == NULL || pipe2(ends, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0) {
    stop_with("no folder to work in");
  }
  snprintf(path, sizeof path, "%s/catalog.yaml", s->folder);
  write_catalog(path);
  s->pid = fork();
  if (s->pid == 0) {
    close(go[1]);
    run_server(program, s->folder, ends[1], go[0]);
  }
  s->instructions = count_instructions(s->pid);
  close(go[0]);
  close(go[1]);
  close(ends[1]);
  FILE *from = fdopen(ends[0], "r");
  if (from == NULL || fgets(line, sizeof line, from) == NULL ||
      sscanf(line, "meterhouse: http://127.0.0.1:%d/#key=%127s", &s->port, s->key) != 2) {
    stop_with("the server did not start");
  }
}

static void end_server(const struct server *s) {
  char command[128];
  kill(s->pid, SIGTERM);
  waitpid(s->pid, NULL, 0);
  snprintf(command, sizeof command, "rm -rf %s", s->folder);
  if (system(command) != 0) {
    stop_with(command);
  }
}

/* ---- requests: made once, only the ids are new each time ---- */

static uint64_t next_random(void) {
  uint64_t z = id_state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void put_id(char *to) {
  static const char hex[] = "0123456789abcdef";
  for (int half = 0; half < 2; half++) {
    uint64_t word = next_random();
    for (int i = 0; i < ID_HEX / 2; i++, word >>= 4) {
      *to++ = hex[word & 15];
    }
  }
}

static const char id_before[] = "\"id\":\"";

static void renew_ids(struct buf *request) {
  char *at = request->ptr, *end = request->ptr + request->len;
  while ((at = memmem(at, (size_t)(end - at), id_before, strlen(id_before))) != NULL) {
    put_id(at + strlen(id_before));
    at += strlen(id_before) + ID_HEX;
  }
}

static void add_event(struct buf *b, unsigned n) {
  static const char *const models[] = {"llama-70b", "qwen-32b", "mixtral", "phi-4"};
  buf_addf(b,
           "{\"specversion\":\"1.0\",%s%032d\",\"source\":\"gateway/eu-1\",\"type\":\"model.usage\","
           "\"subject\":\"c%06u\",\"time\":\"2026-10-%02uT%02u:%02u:%02u.%03uZ\","
           "\"data\":{\"model\":\"%s\",\"input_tokens\":%u,\"output_tokens\":%u}}",
           id_before, 0, n * 7 % CUSTOMERS, 1 + n % 28, n * 3 % 24, n * 11 % 60, n * 13 % 60, n * 17 % 1000,
           models[n % 4], n * 37 % 8000, n * 19 % 2000);
}

static void make_request(const struct load *l, const struct server *s, struct buf *request, unsigned seed) {
  struct buf body;
  bool batch = strcmp(l->mode, "batch") == 0, lines = strcmp(l->mode, "lines") == 0;
  buf_init(&body, REQUEST_BYTES_MAX);
  for (size_t i = 0; i < l->batch; i++) {
    buf_add(&body, batch ? (i ? SLICE(",") : SLICE("[")) : SLICE(""));
    add_event(&body, seed + (unsigned)i);
    buf_add(&body, lines ? SLICE("\n") : SLICE(""));
  }
  buf_add(&body, batch ? SLICE("]") : SLICE(""));
  buf_init(request, REQUEST_BYTES_MAX);
  buf_addf(request,
           "POST /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer %s\r\n"
           "content-type: %s\r\ncontent-length: %zu\r\n\r\n",
           s->port, s->key, l->content_type, body.len);
  buf_add(request, buf_slice(&body));
  if (request->failed) {
    stop_with("the request is too long");
  }
  buf_free(&body);
}

/* ---- connections ---- */

static void open_connection(struct load *l, const struct server *s, struct connection *c, unsigned number) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
  int on = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
      setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0) {
    stop_with("no connection");
  }
  make_request(l, s, &c->request, number * BATCH_EVENTS);
  c->answer = mem_alloc(ANSWER_BYTES_MAX);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
  if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0) {
    stop_with("epoll");
  }
}

static void send_more(struct connection *c) {
  while (c->sent < c->request.len) {
    ssize_t n = send(c->fd, c->request.ptr + c->sent, c->request.len - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      return;
    }
    if (n <= 0) {
      stop_with("the server hung up");
    }
    c->sent += (size_t)n;
  }
}

static void begin_request(struct load *l, struct connection *c) {
  renew_ids(&c->request);
  c->sent = c->got = 0;
  c->sent_at = measure_wall_s();
  l->under_way++;
  send_more(c);
}

/* Length of the whole answer; 0 while its head is not there. */
static size_t answer_length(const struct connection *c) {
  char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
  if (end == NULL) {
    return 0;
  }
  *end = '\0';
  const char *length = strcasestr(c->answer, "content-length:");
  size_t body = length ? (size_t)strtoul(length + strlen("content-length:"), NULL, 10) : 0;
  *end = '\r';
  return (size_t)(end + 4 - c->answer) + body;
}

static void end_request(struct load *l, struct connection *c) {
  if (memcmp(c->answer, "HTTP/1.1 200", 12) != 0) {
    fprintf(stderr, "load-bench: %.*s\n", (int)(c->got < 600 ? c->got : 600), c->answer);
    exit(1);
  }
  double now = measure_wall_s();
  if (l->answered < LATENCIES_MAX) {
    l->latencies[l->answered++] = now - c->sent_at;
  }
  l->under_way--;
  if (now < l->until) {
    begin_request(l, c);
  }
}

static void receive(struct load *l, struct connection *c) {
  for (;;) {
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_BYTES_MAX - c->got, 0);
    if (n < 0 && errno == EAGAIN) {
      return;
    }
    if (n <= 0) {
      stop_with("the server hung up");
    }
    c->got += (size_t)n;
    size_t whole = answer_length(c);
    if (whole > 0 && c->got >= whole) {
      end_request(l, c);
    }
  }
}

static void run_load(struct load *l) {
  struct epoll_event events[256];
  l->until = measure_wall_s() + l->seconds;
  for (size_t i = 0; i < l->connection_count; i++) {
    begin_request(l, &l->connections[i]);
  }
  while (l->under_way > 0) {
    int count = epoll_wait(l->epoll, events, 256, 10000);
    if (count <= 0) {
      stop_with("no answer for ten seconds");
    }
    for (int i = 0; i < count; i++) {
      send_more(events[i].data.ptr);
      if (events[i].events & EPOLLIN) {
        receive(l, events[i].data.ptr);
      }
    }
  }
}

/* ---- figures ---- */

static void report(const struct load *l, const struct server *s, double wall_s, double cpu_s, double client_cpu_s,
                   uint64_t instructions) {
  double events = (double)(l->answered * l->batch);
  double median_s = measure_median(l->latencies, l->answered);
  char counted[32] = "null";
  if (instructions > 0) {
    snprintf(counted, sizeof counted, "%.0f", (double)instructions / events);
  }
  printf("{\"bench\":\"http-%s\",\"connections\":%zu,\"events\":%.0f,\"events_per_s\":%.0f,\"p50_ms\":%.2f,"
         "\"p99_ms\":%.2f,\"server_cpu_ns_per_event\":%.0f,\"client_cpu_ns_per_event\":%.0f,\"instructions_per_event\":"
         "%s,\"server_peak_mb\":%.0f,"
         "\"disk_sync_ms\":%.2f}\n",
         l->mode, l->connection_count, events, events / wall_s, median_s * 1e3,
         measure_quantile(l->latencies, l->answered, 0.99) * 1e3, cpu_s / events * 1e9, client_cpu_s / events * 1e9,
         counted, measure_process_kb(s->pid, "VmHWM") / 1024, measure_sync_ms(s->folder));
}

static bool take_mode(struct load *l, const char *mode) {
  l->mode = mode;
  l->batch = BATCH_EVENTS;
  l->connection_count = 8;
  if (strcmp(mode, "batch") == 0) {
    l->content_type = "application/cloudevents-batch+json";
  } else if (strcmp(mode, "lines") == 0) {
    l->content_type = "application/x-ndjson";
  } else if (strcmp(mode, "single") == 0) {
    l->content_type = "application/cloudevents+json";
    l->batch = 1;
    l->connection_count = 64;
  } else {
    return false;
  }
  return true;
}

int main(int argc, char **argv) {
  static struct load l;
  struct server s = {0};
  if (argc < 3 || !take_mode(&l, argv[2])) {
    fprintf(stderr, "usage: load-bench METERHOUSE batch|lines|single [SECONDS [CONNECTIONS]]\n");
    return 2;
  }
  l.seconds = argc > 3 ? strtod(argv[3], NULL) : 10;
  l.connection_count = argc > 4 ? (size_t)strtoul(argv[4], NULL, 10) : l.connection_count;
  if (l.connection_count == 0 || l.connection_count > CONNECTIONS_MAX) {
    fprintf(stderr, "load-bench: CONNECTIONS is a number from 1 to %d\n", CONNECTIONS_MAX);
    return 2;
  }
  l.latencies = mem_alloc(LATENCIES_MAX * sizeof *l.latencies);
  l.epoll = epoll_create1(EPOLL_CLOEXEC);
  id_state = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
  start_server(argv[1], &s);
  for (size_t i = 0; i < l.connection_count; i++) {
    open_connection(&l, &s, &l.connections[i], (unsigned)i);
  }
  double begin = measure_wall_s(), cpu = measure_process_cpu_s(s.pid), client = (double)clock() / CLOCKS_PER_SEC;
  uint64_t instructions = instructions_so_far(&s);
  run_load(&l);
  report(&l, &s, measure_wall_s() - begin, measure_process_cpu_s(s.pid) - cpu,
         (double)clock() / CLOCKS_PER_SEC - client, instructions_so_far(&s) - instructions);
  end_server(&s);
  return 0;
}
