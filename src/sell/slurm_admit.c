/* An account for each customer, our user in it with the QOS of all classes, and its fence of GPU-minutes. */
#include "sell/slurm_private.h"

struct admission {
  struct slurm *slurm;
  struct arena *arena;
  const char *account;
  bool has_account, has_user;
  bool has_qos[ENGINE_CLASSES];
  slice limit; /* of GPU-minutes, as it stands; empty: none */
};

static bool manage(struct admission *a, const char *const *words, size_t count, slice *out, struct error *err) {
  struct slurm_arguments arguments = {0};
  slurm_argument(&arguments, "--immediate");
  slurm_argument(&arguments, "--noheader");
  slurm_argument(&arguments, "--parsable2");
  for (size_t i = 0; i < count; i++) slurm_argument(&arguments, words[i]);
  return slurm_ask(a->slurm, a->arena, "sacctmgr", &arguments, out, err);
}
#define WORDS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

static const char *cluster_word(const struct admission *a) {
  return arena_printf(a->arena, "cluster=%s", a->slurm->options.cluster);
}

static slice tres_value(slice list, const char *name) {
  while (list.len) {
    slice item = slurm_until(&list, ',');
    if (slice_is(slurm_until(&item, '='), name)) return item;
  }
  return (slice){NULL, 0};
}

/* Rows of "account|user|limits|qos,qos". */
static bool look(struct admission *a, struct error *err) {
  slice out = {NULL, 0}, line;
  if (!manage(a,
              WORDS("show", "associations", "where", arena_printf(a->arena, "account=%s", a->account), cluster_word(a),
                    "format=Account,User,GrpTRESMins,QOS"),
              &out, err)) {
    return false;
  }
  while (slurm_line(&out, &line)) {
    slice account = slurm_until(&line, '|'), user = slurm_until(&line, '|'), limits = slurm_until(&line, '|');
    if (!slice_is(account, a->account)) continue;
    if (!user.len) {
      a->has_account = true;
      a->limit = tres_value(limits, "gres/gpu");
    }
    if (!slice_is(user, a->slurm->options.user)) continue;
    a->has_user = true;
    for (slice list = line; list.len;) {
      slice qos = slurm_until(&list, ',');
      for (int i = 0; i < ENGINE_CLASSES; i++) {
        const char *ours = a->slurm->options.qos[i];
        if (ours && slice_is(qos, ours)) a->has_qos[i] = true;
      }
    }
  }
  return true;
}

static const char *missing_qos(const struct admission *a) {
  const char *list = NULL;
  for (int i = 0; i < ENGINE_CLASSES; i++) {
    const char *qos = a->slurm->options.qos[i];
    if (!qos || a->has_qos[i]) continue;
    list = list ? arena_printf(a->arena, "%s,%s", list, qos) : qos;
  }
  return list;
}

static bool make(struct admission *a, struct error *err) {
  slice out;
  const char *user = arena_printf(a->arena, "name=%s", a->slurm->options.user);
  if (!a->has_account && !manage(a,
                                 WORDS("add", "account", arena_printf(a->arena, "name=%s", a->account), cluster_word(a),
                                       "description=customer", "organization=meterhouse"),
                                 &out, err)) {
    return false;
  }
  const char *qos = missing_qos(a);
  if (!a->has_user) {
    return manage(a,
                  WORDS("add", "user", user, arena_printf(a->arena, "account=%s", a->account), cluster_word(a),
                        arena_printf(a->arena, "qos=%s", qos)),
                  &out, err);
  }
  return !qos || manage(a,
                        WORDS("modify", "user", "where", user, arena_printf(a->arena, "account=%s", a->account),
                              cluster_word(a), "set", arena_printf(a->arena, "qos+=%s", qos)),
                        &out, err);
}

/* "Name=" in a line of words; what follows it up to the blank. */
static slice word_after(slice line, const char *name) {
  size_t len = strlen(name);
  while (line.len) {
    slice word = slurm_until(&line, ' ');
    if (word.len >= len && memcmp(word.ptr, name, len) == 0) return (slice){word.ptr + len, word.len - len};
  }
  return (slice){NULL, 0};
}

bool slurm_parse_used(slice out, slice cluster, slice account, uint64_t *minutes, struct error *err) {
  slice line;
  while (slurm_line(&out, &line)) {
    if (!slice_eq(word_after(line, "ClusterName="), cluster) || !slice_eq(word_after(line, "Account="), account) ||
        word_after(line, "UserName=").len) {
      continue;
    }
    slice value = tres_value(word_after(line, "GrpTRESMins="), "gres/gpu"); /* "N(5)": no limit, 5 used */
    (void)slurm_until(&value, '(');
    if (slurm_number(slurm_until(&value, ')'), INT64_MAX / 4, minutes)) return true;
    break;
  }
  return error_set(err, ERR_CORRUPT, "scontrol show assoc_mgr: account " SLICE_FMT " has no GrpTRESMins of gres/gpu",
                   SLICE_ARG(account));
}

/* Slurm counts an account's GPU-minutes from its beginning, so what is left comes on top of what was used. */
static bool fence(struct admission *a, int64_t gpu_minutes, struct error *err) {
  const char *limit = "-1";
  if (gpu_minutes >= 0) {
    struct slurm_arguments arguments = {0};
    slice out = {NULL, 0};
    uint64_t used = 0;
    slurm_argument(&arguments, "--oneliner");
    slurm_argument(&arguments, "show");
    slurm_argument(&arguments, "assoc_mgr");
    slurm_argument(&arguments, arena_printf(a->arena, "accounts=%s", a->account));
    slurm_argument(&arguments, "flags=assoc");
    if (!slurm_ask(a->slurm, a->arena, "scontrol", &arguments, &out, err) ||
        !slurm_parse_used(out, slice_of(a->slurm->options.cluster), slice_of(a->account), &used, err)) {
      return false;
    }
    uint64_t allowed = used + (uint64_t)gpu_minutes;
    limit = arena_printf(a->arena, "%llu", (unsigned long long)allowed);
  } else if (!a->limit.len) {
    return true;
  }
  slice out;
  return slice_is(a->limit, limit) ||
         manage(a,
                WORDS("modify", "account", "where", arena_printf(a->arena, "name=%s", a->account), cluster_word(a),
                      "set", arena_printf(a->arena, "GrpTRESMins=gres/gpu=%s", limit)),
                &out, err);
}

bool slurm_admit(struct engine *engine, slice customer, int64_t gpu_minutes, struct error *err) {
  struct slurm *slurm = (struct slurm *)engine;
  char account[SLURM_ACCOUNT_BYTES_MAX + 1];
  if (gpu_minutes < -1 || gpu_minutes > INT64_MAX / 4) {
    return error_set(err, ERR_INVALID, "GPU-minutes of a customer are 0 or more, or -1 for no limit");
  }
  if (!slurm_account_name(slurm->options.account_prefix, customer, account, err)) return false;
  struct admission a = {.slurm = slurm, .arena = arena_new(), .account = account};
  bool done = look(&a, err) && make(&a, err) && fence(&a, gpu_minutes, err);
  arena_free(a.arena);
  return done || error_at(err, "customer " SLICE_FMT, SLICE_ARG(customer));
}
