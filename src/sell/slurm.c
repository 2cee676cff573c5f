/* Opens and closes a Slurm engine: options taken over and looked at, the table of its calls. */
#include "sell/slurm_private.h"
#include <stdlib.h>

#define TIMEOUT_MS_DEFAULT 30000
#define HEARTBEAT_MS_DEFAULT 1000
#define LOOK_BACK_S_DEFAULT (INT64_C(90) * 86400)
#define NAME_BYTES_MAX 100
#define TYPES_MAX 256

static void slurm_close(struct engine *engine) {
  struct slurm *slurm = (struct slurm *)engine;
  vec_free(&slurm->open_rows);
  map_free(&slurm->pulses);
  arena_free(slurm->arena);
  free(slurm);
}

static const struct engine_driver driver = {
    .name = "slurm",
    .start = slurm_start,
    .stop = slurm_stop,
    .set_end = slurm_set_end,
    .runs = slurm_runs,
    .nodes = slurm_nodes,
    .admit = slurm_admit,
    .close = slurm_close,
};

/* What stands in arguments beside other words: commas, blanks or '=' would mean something. */
static bool is_name(const char *text) {
  size_t len = text ? strlen(text) : 0;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && !(i && memchr("_-.", c, 3)) && !(c == '_' && i == 0)) return false;
  }
  return len > 0 && len <= NAME_BYTES_MAX;
}

static bool check_name(const char *option, const char *value, bool needed, struct error *err) {
  if (!value && !needed) return true;
  if (value && is_name(value)) return true;
  return error_set(err, ERR_INVALID, "slurm: %s %s: say a name of letters, digits, '_', '-' and '.'", option,
                   value ? "is not a name" : "is missing");
}

static bool check_options(const struct slurm_options *o, struct error *err) {
  bool any_qos = false;
  if (!check_name("cluster", o->cluster, true, err) || !check_name("user", o->user, true, err) ||
      !check_name("partition", o->partition, false, err)) {
    return false;
  }
  for (int i = 0; i < ENGINE_CLASSES; i++) {
    if (!check_name(engine_class_name((enum engine_class)i), o->qos[i], false, err)) return error_at(err, "qos");
    any_qos = any_qos || o->qos[i];
    for (int j = 0; j < i; j++) {
      if (o->qos[i] && o->qos[j] && strcmp(o->qos[i], o->qos[j]) == 0) {
        return error_set(err, ERR_INVALID, "slurm: qos %s is that of two classes: give each its own", o->qos[i]);
      }
    }
  }
  if (!any_qos) return error_set(err, ERR_INVALID, "slurm: qos is missing: name one for each class that is sold");
  for (size_t i = 0; o->gpus && o->gpus[i]; i++) {
    if (!check_name("gpus", o->gpus[i], true, err)) return false;
    if (i == TYPES_MAX) return error_set(err, ERR_LIMIT, "slurm: gpus: more than %d types", TYPES_MAX);
  }
  for (const char *p = o->account_prefix; p && *p; p++) {
    if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_') ||
        p - o->account_prefix > 32) {
      return error_set(err, ERR_INVALID, "slurm: account_prefix: up to 32 of a to z, 0 to 9, '-' and '_'");
    }
  }
  if (o->directory && o->directory[0] != '/') {
    return error_set(err, ERR_INVALID, "slurm: directory: say an absolute path");
  }
  if (o->timeout_ms < 0 || o->heartbeat_ms < 0 || o->look_back_s < 0) {
    return error_set(err, ERR_INVALID, "slurm: times are positive");
  }
  return true;
}

static const char *keep(struct arena *arena, const char *text, const char *otherwise) {
  return text || otherwise ? arena_copy(arena, slice_of(text ? text : otherwise)).ptr : NULL;
}

static struct slurm_options copy_options(struct arena *arena, const struct slurm_options *from) {
  struct slurm_options o = *from;
  o.programs = keep(arena, from->programs, "/usr/bin");
  o.conf = keep(arena, from->conf, NULL);
  o.cluster = keep(arena, from->cluster, NULL);
  o.partition = keep(arena, from->partition, NULL);
  o.user = keep(arena, from->user, NULL);
  o.account_prefix = keep(arena, from->account_prefix, "");
  o.directory = keep(arena, from->directory, "/tmp");
  for (int i = 0; i < ENGINE_CLASSES; i++) o.qos[i] = keep(arena, from->qos[i], NULL);
  size_t types = 0;
  while (from->gpus && from->gpus[types]) types++;
  const char **gpus = arena_array(arena, types + 1, sizeof *gpus);
  for (size_t i = 0; i < types; i++) gpus[i] = keep(arena, from->gpus[i], NULL);
  o.gpus = gpus;
  o.cpus_each_gpu = from->cpus_each_gpu ? from->cpus_each_gpu : 1;
  o.memory_mb_each_gpu = from->memory_mb_each_gpu ? from->memory_mb_each_gpu : 1024;
  o.timeout_ms = from->timeout_ms ? from->timeout_ms : TIMEOUT_MS_DEFAULT;
  o.heartbeat_ms = from->heartbeat_ms ? from->heartbeat_ms : HEARTBEAT_MS_DEFAULT;
  o.look_back_s = from->look_back_s ? from->look_back_s : LOOK_BACK_S_DEFAULT;
  return o;
}

struct engine *slurm_open(const struct slurm_options *options, struct error *err) {
  if (!check_options(options, err)) return NULL;
  struct slurm *slurm = mem_alloc(sizeof *slurm);
  slurm->engine.driver = &driver;
  slurm->arena = arena_new();
  slurm->options = copy_options(slurm->arena, options);
  size_t count = 0;
  /* Nothing of ours: a job would inherit it. */
  slurm->environment[count++] = "SLURM_TIME_FORMAT=%s"; /* first: slurm_ask leaves it out for what jobs inherit */
  slurm->environment[count++] = "PATH=/usr/local/bin:/usr/bin:/bin";
  slurm->environment[count++] = "HOME=/";
  slurm->environment[count++] = "LC_ALL=C.UTF-8";
  slurm->environment[count++] = "TZ=UTC";
  if (slurm->options.conf) {
    slurm->environment[count++] = arena_printf(slurm->arena, "SLURM_CONF=%s", slurm->options.conf);
  }
  return &slurm->engine;
}
