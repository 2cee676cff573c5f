/* The Slurm engine by hand, for tests/acceptance/slurm: one call a run, told as plain lines. The options are those of
 * the cluster that the tests start. */
#include "sell/slurm.h"
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int failed(const struct error *err) {
  printf("error %s: %s\n", error_code_name(err->code), err->message);
  return 1;
}

static instant in_seconds(const char *text) {
  return strcmp(text, "-") == 0 ? INSTANT_MAX : (instant){clock_now().ns + strtoll(text, NULL, 10) * NS_PER_S};
}

static const char *seconds(struct arena *arena, instant t) {
  return t.ns == INSTANT_MAX.ns ? "-" : arena_printf(arena, "%" PRId64, t.ns / NS_PER_S);
}

/* start LEASE CUSTOMER CLASS GPUS NODES SECONDS|- NOTICE [COMMAND [DIRECTORY]] */
static int start(struct engine *engine, struct arena *arena, int argc, char **argv) {
  struct error err = {0};
  struct engine_request r = {.lease = slice_of(argv[0]), .customer = slice_of(argv[1]), .gpu = SLICE("h100")};
  for (int i = 0; i < ENGINE_CLASSES; i++) {
    if (strcmp(argv[2], engine_class_name((enum engine_class)i)) == 0) r.class = (enum engine_class)i;
  }
  if (!quantity_parse(slice_of(argv[3]), &r.gpus, &err)) return failed(&err);
  r.nodes = (uint32_t)strtoul(argv[4], NULL, 10);
  r.ends = in_seconds(argv[5]);
  r.notice_s = strtoll(argv[6], NULL, 10);
  r.command = slice_of(argc > 7 ? argv[7] : NULL);
  r.directory = slice_of(argc > 8 ? argv[8] : NULL);
  slice reference;
  if (!engine->driver->start(engine, arena, &r, &reference, &err)) return failed(&err);
  printf("reference " SLICE_FMT "\n", SLICE_ARG(reference));
  return 0;
}

/* LEASE|- NUMBER CUSTOMER CLASS GPUS GPU FROM TO SUSPENDED STATE EXIT NODES REFERENCE */
static int runs(struct engine *engine, struct arena *arena, const char *since) {
  struct error err = {0};
  struct engine_run *run = NULL;
  size_t count = 0;
  if (!engine->driver->runs(engine, arena, (instant){strtoll(since, NULL, 10) * NS_PER_S}, &run, &count, &err)) {
    return failed(&err);
  }
  for (size_t i = 0; i < count; i++) {
    char gpus[DECIMAL_TEXT_MAX];
    printf("%s %u %s %s %s %s %s %s %" PRId64 " %s %d %s " SLICE_FMT "\n",
           run[i].lease.len ? arena_copy(arena, run[i].lease).ptr : "-", run[i].number,
           run[i].customer.len ? arena_copy(arena, run[i].customer).ptr : "-", engine_class_name(run[i].class),
           quantity_text(run[i].gpus, gpus), run[i].gpu.len ? arena_copy(arena, run[i].gpu).ptr : "-",
           seconds(arena, run[i].from), seconds(arena, run[i].to), run[i].suspended_s, engine_state_name(run[i].state),
           run[i].exit_status, run[i].nodes.len ? arena_copy(arena, run[i].nodes).ptr : "-",
           SLICE_ARG(run[i].reference));
  }
  return 0;
}

/* nodes TIMES: every half second, so that the heartbeat has something to remember. */
static int nodes(struct engine *engine, struct arena *arena, const char *times) {
  struct error err = {0};
  for (long left = strtol(times, NULL, 10); left > 0; left--) {
    struct engine_node *node = NULL;
    size_t count = 0;
    char gpus[DECIMAL_TEXT_MAX];
    if (!engine->driver->nodes(engine, arena, &node, &count, &err)) return failed(&err);
    for (size_t i = 0; i < count; i++) {
      printf(SLICE_FMT " " SLICE_FMT " %s %s %s\n", SLICE_ARG(node[i].name), SLICE_ARG(node[i].gpu),
             quantity_text(node[i].gpus, gpus), node[i].up ? "up" : "down", seconds(arena, node[i].down_since));
    }
    fflush(stdout);
    usleep(500000);
  }
  return 0;
}

static void say(void *context, const char *what) {
  (void)context;
  printf("setting %s\n", what);
}

static int run(struct engine *engine, struct arena *arena, int argc, char **argv) {
  struct error err = {0};
  const struct engine_driver *d = engine->driver;
  const char *what = argv[0];
  bool done = true;
  if (strcmp(what, "start") == 0 && argc >= 8) return start(engine, arena, argc - 1, argv + 1);
  if (strcmp(what, "runs") == 0 && argc == 2) return runs(engine, arena, argv[1]);
  if (strcmp(what, "nodes") == 0 && argc == 2) return nodes(engine, arena, argv[1]);
  if (strcmp(what, "stop") == 0 && argc == 3) {
    done = d->stop(engine, slice_of(argv[1]), strtoll(argv[2], NULL, 10), &err);
  } else if (strcmp(what, "set_end") == 0 && argc == 3) {
    done = d->set_end(engine, slice_of(argv[1]), in_seconds(argv[2]), &err);
  } else if (strcmp(what, "admit") == 0 && argc == 3) {
    done = d->admit(engine, slice_of(argv[1]), strtoll(argv[2], NULL, 10), &err);
  } else if (strcmp(what, "settings") == 0) {
    done = slurm_check_settings(engine, say, NULL, &err);
  } else {
    done = error_set(&err, ERR_USAGE, "start, stop, set_end, runs, nodes, admit or settings");
  }
  if (!done) return failed(&err);
  printf("done\n");
  return 0;
}

int main(int argc, char **argv) {
  static const char *const gpus[] = {"h100", NULL};
  const char *programs = getenv("SLURM_PROGRAMS"), *timeout = getenv("SLURM_TIMEOUT_MS");
  const struct slurm_options options = {
      .programs = programs,
      .conf = getenv("SLURM_CONF"),
      .cluster = "lab",
      .user = "root",
      .qos = {"ondemand", "reserved", "priority", "spot"},
      .requeues = {[CLASS_SPOT] = true},
      .gpus = gpus,
      .timeout_ms = timeout ? strtoll(timeout, NULL, 10) : 0,
  };
  struct error err = {0};
  if (argc < 2) return 2;
  struct engine *engine = slurm_open(&options, &err);
  if (!engine) return failed(&err);
  struct arena *arena = arena_new();
  int status = run(engine, arena, argc - 1, argv + 1);
  arena_free(arena);
  engine->driver->close(engine);
  return status;
}
