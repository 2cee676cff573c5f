/* Ingest beside its peers: the same events of random ids into each, run after run in turn; medians, a JSON line each.
 * usage: ingest-peers FOLDER [SOCKET_FOLDER], of a PostgreSQL server where the superuser `bench` is trusted */
#include "base/file.h"
#include "calls.h"
#include "measure.h"
#include "peers.h"
#include <string.h>

#define RUNS 3
#define EVENTS 1000000

/* The first is us. A slow one gets the first of the same events. */
static const struct contest {
  const char *name, *way;
  const struct peer *peer;
  size_t batch;
  uint64_t events;
} contests[] = {
    {"Meterhouse", "8,192 a commit", &peer_meterhouse, 8192, EVENTS},
    {"SQLite", "row by row, a commit each", &peer_sqlite, 1, 5000},
    {"SQLite", "row by row, 10,000 a commit", &peer_sqlite, 10000, EVENTS},
    {"PostgreSQL", "COPY and INSERT ON CONFLICT, 8,192 a commit", &peer_postgres, 8192, EVENTS},
};
#define CONTESTS (sizeof contests / sizeof *contests)

struct outcome {
  bool left_out;
  char name[100];
  double events_per_s[RUNS], cpu_ns[RUNS], instructions[RUNS];
};

static slice data_of(struct arena *arena, const struct event *e) {
  struct buf b;
  buf_init(&b, 4096);
  for (size_t i = 0; i < e->field_count; i++) {
    const struct event_field *f = &e->fields[i];
    const char *quote = f->number ? "" : "\"";
    buf_addf(&b, "%c\"" SLICE_FMT "\":%s" SLICE_FMT "%s", i ? ',' : '{', SLICE_ARG(f->name), quote, SLICE_ARG(f->value),
             quote);
  }
  buf_addc(&b, '}');
  slice text = arena_copy(arena, buf_slice(&b));
  buf_free(&b);
  return text;
}

/* Only what happens inside `store` counts, not the making up of events and of their JSON. */
static struct measure fill(struct peer *p, size_t batch, uint64_t count) {
  struct arena *arena = arena_new();
  struct random random;
  struct measure sum = {0};
  random_seed(&random, 42, 0);
  for (uint64_t done = 0; done < count;) {
    size_t some = count - done < batch ? (size_t)(count - done) : batch;
    arena_reset(arena);
    struct event *events = arena_array(arena, some, sizeof *events);
    slice *data = arena_array(arena, some, sizeof *data);
    calls_make(arena, &random, events, some, done, EVENTS);
    for (size_t i = 0; i < some; i++) {
      data[i] = data_of(arena, &events[i]);
    }
    struct measure begin = measure_now();
    p->store(p, events, data, some);
    measure_add(&sum, &begin);
    done += some;
  }
  arena_free(arena);
  return sum;
}

static void run_once(const struct contest *c, const char *folder, struct outcome *out, size_t run) {
  struct peer peer = *c->peer;
  if (out->left_out || !peer.open(&peer, folder)) {
    out->left_out = true;
    return;
  }
  snprintf(out->name, sizeof out->name, "%s %s %s", c->name, peer.version, c->way);
  double server = peer.server_cpu_s(&peer);
  struct measure took = fill(&peer, c->batch, c->events);
  took.cpu_s += peer.server_cpu_s(&peer) - server;
  must(peer.count(&peer) == c->events);
  peer.close(&peer);
  double events = (double)c->events;
  out->events_per_s[run] = events / took.wall_s;
  out->cpu_ns[run] = took.cpu_s / events * 1e9;
  out->instructions[run] = took.instructions / events;
}

static void report(struct outcome *outcomes, size_t i) {
  struct figure f = {.bench = "ingest",
                     .unit = "events/s",
                     .peer = outcomes[i].name,
                     .ours = measure_median(outcomes[0].events_per_s, RUNS),
                     .peers = measure_median(outcomes[i].events_per_s, RUNS),
                     .events = contests[0].events,
                     .peer_events = contests[i].events};
  measure_report(&f);
  f.unit = "CPU ns/event";
  f.ours = measure_median(outcomes[0].cpu_ns, RUNS);
  f.peers = measure_median(outcomes[i].cpu_ns, RUNS);
  measure_report(&f);
}

int main(int argc, char **argv) {
  struct outcome outcomes[CONTESTS] = {0};
  struct error err = {0};
  if (argc < 2 || strlen(argv[1]) > 200) {
    fprintf(stderr, "usage: ingest-peers FOLDER [SOCKET_FOLDER]\n");
    return 2;
  }
  peer_postgres_at(argc > 2 ? argv[2] : NULL);
  measure_check(file_make_dirs(argv[1], &err), &err);
  bool counted = measure_counts_instructions();
  for (size_t run = 0; run < RUNS; run++) {
    for (size_t i = 0; i < CONTESTS; i++) {
      run_once(&contests[i], argv[1], &outcomes[i], run);
    }
  }
  for (size_t i = 1; i < CONTESTS; i++) {
    if (!outcomes[i].left_out) {
      report(outcomes, i);
    }
  }
  if (counted) {
    printf("{\"bench\":\"ingest\",\"unit\":\"instructions/event\",\"meterhouse\":%.0f,\"events\":%llu}\n",
           measure_median(outcomes[0].instructions, RUNS), (unsigned long long)contests[0].events);
  } else {
    fprintf(stderr, "ingest-peers: no counter of instructions on this machine: that figure is left out\n");
  }
  return 0;
}
