/* Holds a cluster's settings against what selling on it needs. */
#include "sell/slurm_private.h"
#include <stdarg.h>

struct inspection {
  struct slurm *slurm;
  struct arena *arena;
  told *to;
  void *context;
  const char *first_about_money; /* NULL: none */
};

static void finding(struct inspection *i, bool money, const char *what) {
  if (money && !i->first_about_money) i->first_about_money = what;
  if (i->to) i->to(i->context, what);
}

/* Of "Name   = value" lines; empty when it is not there. */
static slice setting(slice config, const char *name) {
  slice line;
  while (slurm_line(&config, &line)) {
    slice value = line;
    slice left = slice_trim(slurm_until(&value, '='));
    if (slice_is(left, name)) return slice_trim(value);
  }
  return (slice){NULL, 0};
}

static bool lists(slice list, const char *word) {
  while (list.len) {
    if (slice_is(slice_trim(slurm_until(&list, ',')), word)) return true;
  }
  return false;
}

static void must_list(struct inspection *i, slice config, bool money, const char *name, const char *word,
                      const char *why) {
  if (lists(setting(config, name), word)) return;
  finding(i, money, arena_printf(i->arena, "slurm.conf: %s lacks %s: %s", name, word, why));
}

static void inspect_accounting(struct inspection *i, slice config) {
  const struct slurm_options *o = &i->slurm->options;
  if (!slice_is(setting(config, "ClusterName"), o->cluster)) {
    finding(i, true,
            arena_printf(i->arena, "slurm.conf: this is the cluster " SLICE_FMT ", not %s",
                         SLICE_ARG(setting(config, "ClusterName")), o->cluster));
  }
  must_list(i, config, true, "AccountingStorageType", "accounting_storage/slurmdbd", "usage comes from its database");
  must_list(i, config, true, "AccountingStoreFlags", "job_comment", "without it no job is known to be a lease's");
  must_list(i, config, true, "AccountingStorageTRES", "gres/gpu", "without it no GPU is accounted for");
  must_list(i, config, true, "AccountingStorageEnforce", "associations", "without it anyone runs under any account");
  must_list(i, config, true, "AccountingStorageEnforce", "limits", "without it the fence of an account holds nothing");
  must_list(i, config, true, "AccountingStorageEnforce", "qos", "without it anyone runs in any class");
  for (size_t t = 0; o->gpus[t]; t++) {
    const char *type = arena_printf(i->arena, "gres/gpu:%s", o->gpus[t]);
    must_list(i, config, o->gpus[1] != NULL, "AccountingStorageTRES", type, "types could not be told apart");
  }
  must_list(i, config, false, "AccountingStorageEnforce", "safe",
            "jobs would be admitted that overrun the fence of their account");
}

static void inspect_preemption(struct inspection *i, slice config) {
  if (!i->slurm->options.qos[CLASS_SPOT]) return;
  must_list(i, config, false, "PreemptType", "preempt/qos", "spot would never give way");
  must_list(i, config, false, "SlurmctldParameters", "preempt_send_user_signal", "spot would end without notice");
}

static void inspect_qos(struct inspection *i, slice table) {
  const struct slurm_options *o = &i->slurm->options;
  for (int class = 0; class < ENGINE_CLASSES; class ++) {
    slice rest = table, line, preempts = {NULL, 0};
    bool found = false;
    if (!o->qos[class]) continue;
    while (!found && slurm_line(&rest, &line)) {
      found = slice_is(slurm_until(&line, '|'), o->qos[class]);
      preempts = slurm_until(&line, '|');
    }
    if (!found) {
      finding(i, false,
              arena_printf(i->arena, "QOS %s is not there: sacctmgr add qos %s", o->qos[class], o->qos[class]));
    } else if (class != CLASS_SPOT && o->qos[CLASS_SPOT] && !lists(preempts, o->qos[CLASS_SPOT])) {
      finding(i, false,
              arena_printf(i->arena, "QOS %s does not pre-empt %s: sacctmgr modify qos %s set Preempt+=%s",
                           o->qos[class], o->qos[CLASS_SPOT], o->qos[class], o->qos[CLASS_SPOT]));
    }
  }
}

static bool inspect(struct inspection *i, struct error *err) {
  struct slurm_arguments config = {0}, qos = {0};
  slice out = {NULL, 0};
  slurm_argument(&config, "show");
  slurm_argument(&config, "config");
  if (!slurm_ask(i->slurm, i->arena, "scontrol", &config, &out, err)) return false;
  inspect_accounting(i, out);
  inspect_preemption(i, out);
  const char *const words[] = {"--noheader", "--parsable2", "show", "qos", "format=Name,Preempt"};
  for (size_t w = 0; w < sizeof words / sizeof *words; w++) slurm_argument(&qos, words[w]);
  if (!slurm_ask(i->slurm, i->arena, "sacctmgr", &qos, &out, err)) return false;
  inspect_qos(i, out);
  i->slurm->settings_fit = i->first_about_money == NULL;
  return true;
}

bool slurm_check_settings(struct engine *engine, told *to, void *context, struct error *err) {
  struct inspection i = {.slurm = (struct slurm *)engine, .arena = arena_new(), .to = to, .context = context};
  bool done = inspect(&i, err);
  arena_free(i.arena);
  return done;
}

bool slurm_fit(struct slurm *slurm, struct error *err) {
  if (slurm->settings_fit) return true;
  struct inspection i = {.slurm = slurm, .arena = arena_new()};
  bool done = inspect(&i, err);
  if (done && i.first_about_money) {
    done = error_set(err, ERR_INVALID, "cluster %s can not be sold: %s", slurm->options.cluster, i.first_about_money);
  }
  arena_free(i.arena);
  return done;
}
