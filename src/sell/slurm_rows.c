/* Rows of Slurm's accounting as sacct prints them, read so that no text of a customer's can pass for a field or a row.
 */
#include "sell/slurm_private.h"
#include <stdlib.h>

enum {
  ROW,
  JOB,
  CLUSTER,
  USER,
  ACCOUNT,
  QOS,
  PARTITION,
  STATE,
  EXIT,
  SUBMIT,
  START,
  END,
  SUSPENDED,
  ALLOCATED,
  REQUESTED,
  NODES,
  NAME,
  COMMENT,
  FIELDS
};
const char slurm_row_fields[] = "DBIndex,JobIDRaw,Cluster,User,Account,QOS,Partition,State,ExitCode,Submit,Start,End,"
                                "Suspended,AllocTRES,ReqTRES,NodeList,JobName,Comment";
static const char *const field_names[FIELDS] = {"DBIndex",   "JobIDRaw",  "Cluster",  "User",     "Account", "QOS",
                                                "Partition", "State",     "ExitCode", "Submit",   "Start",   "End",
                                                "Suspended", "AllocTRES", "ReqTRES",  "NodeList", "JobName", "Comment"};

enum engine_state slurm_state(slice state) {
  static const struct {
    const char *name;
    enum engine_state state;
  } states[] = {
      {"PENDING", ENGINE_PENDING},    {"REQUEUE_HOLD", ENGINE_PENDING}, {"CONFIGURING", ENGINE_PENDING},
      {"RUNNING", ENGINE_RUNNING},    {"SUSPENDED", ENGINE_RUNNING},    {"COMPLETING", ENGINE_RUNNING},
      {"STOPPED", ENGINE_RUNNING},    {"SIGNALING", ENGINE_RUNNING},    {"STAGE_OUT", ENGINE_RUNNING},
      {"COMPLETED", ENGINE_ENDED},    {"CANCELLED", ENGINE_ENDED},      {"FAILED", ENGINE_ENDED},
      {"TIMEOUT", ENGINE_ENDED},      {"DEADLINE", ENGINE_ENDED},       {"OUT_OF_MEMORY", ENGINE_ENDED},
      {"REQUEUED", ENGINE_ENDED},     {"RESIZING", ENGINE_ENDED},       {"REVOKED", ENGINE_ENDED},
      {"SPECIAL_EXIT", ENGINE_ENDED}, {"PREEMPTED", ENGINE_PREEMPTED},  {"NODE_FAIL", ENGINE_FAILED},
      {"BOOT_FAIL", ENGINE_FAILED},
  };
  slice word = slurm_until(&state, ' '); /* "CANCELLED by 1000" */
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    if (slice_is(word, states[i].name)) return states[i].state;
  }
  return ENGINE_UNKNOWN;
}

bool slurm_parse_elapsed(slice text, int64_t *seconds) {
  uint64_t part = 0, total = 0;
  slice rest = text;
  if (memchr(text.len ? text.ptr : "", '-', text.len)) {
    if (!slurm_number(slurm_until(&rest, '-'), 1000000, &part)) return false;
    total = part * 24;
  }
  int parts = 0;
  do {
    if (!slurm_number(slurm_until(&rest, ':'), 1000000000, &part)) return false;
    total = parts ? total * 60 + part : total + part;
    parts++;
  } while (rest.len && parts < 3);
  /* "05:07" is minutes; the days that may stand before count hours, so they need all three. */
  if (rest.len || parts < 2 || (total >= (UINT64_C(1) << 40)) ||
      (parts == 2 && rest.ptr && memchr(text.ptr, '-', text.len))) {
    return false;
  }
  *seconds = (int64_t)total;
  return true;
}

/* Types in the order in which they come, each once, with '+' between. */
static slice add_type(struct arena *arena, slice types, slice type) {
  if (!types.len) return type;
  char *both = arena_printf(arena, SLICE_FMT "+" SLICE_FMT, SLICE_ARG(types), SLICE_ARG(type));
  return slice_of(both);
}

bool slurm_parse_tres(struct arena *arena, slice text, uint64_t *gpus, slice *gpu) {
  uint64_t all = 0, typed = 0;
  bool has_all = false;
  slice types = {NULL, 0};
  while (text.len) {
    slice item = slurm_until(&text, ',');
    slice name = slurm_until(&item, '=');
    if (!slice_starts(name, "gres/gpu")) continue;
    slice type = {name.ptr + strlen("gres/gpu"), name.len - strlen("gres/gpu")};
    uint64_t count = 0;
    if (type.len && type.ptr[0] != ':') continue; /* gres/gpumem, gres/gpuutil: no GPUs */
    if (!slurm_number(item, SLURM_GPUS_MAX, &count) || (type.len && type.len < 2)) return false;
    if (!type.len) {
      if (has_all) return false;
      all = count;
      has_all = true;
    } else if (count) {
      typed += count;
      types = add_type(arena, types, (slice){type.ptr + 1, type.len - 1});
    }
    if (typed > SLURM_GPUS_MAX || types.len > 1000) return false;
  }
  *gpus = has_all ? all : typed;
  *gpu = has_all && typed != all ? (slice){NULL, 0} : types; /* a type that is not accounted for is not known */
  return true;
}

static bool parse_exit(slice text, int *status) {
  uint64_t code = 0, signal = 0;
  slice rest = text;
  if (!slurm_number(slurm_until(&rest, ':'), 255, &code) || !slurm_number(rest, 255, &signal)) return false;
  *status = signal ? 128 + (int)signal : (int)code;
  return true;
}

/* The field that can not be read; FIELDS when all could. */
static int fill_row(struct arena *arena, const slice f[FIELDS], struct slurm_row *row) {
  uint64_t asked = 0;
  slice asked_type = {NULL, 0};
  if (!slurm_number(f[ROW], INT64_MAX, &row->row)) return ROW;
  if (!slurm_number(f[JOB], INT64_MAX, &row->job)) return JOB;
  if (!parse_exit(f[EXIT], &row->exit_status)) return EXIT;
  if (!slurm_instant(f[SUBMIT], &row->submitted) || row->submitted.ns == INSTANT_MAX.ns) return SUBMIT;
  if (!slurm_instant(f[START], &row->from)) return START;
  if (!slurm_instant(f[END], &row->to)) return END;
  if (!slurm_parse_elapsed(f[SUSPENDED], &row->suspended_s)) return SUSPENDED;
  if (!slurm_parse_tres(arena, f[ALLOCATED], &row->gpus, &row->gpu)) return ALLOCATED;
  if (!slurm_parse_tres(arena, f[REQUESTED], &asked, &asked_type)) return REQUESTED;
  row->cluster = f[CLUSTER];
  row->user = f[USER];
  row->account = f[ACCOUNT];
  row->qos = f[QOS];
  row->partition = f[PARTITION];
  row->state = f[STATE];
  row->name = f[NAME];
  row->comment = f[COMMENT];
  row->nodes = slice_is(f[NODES], "None assigned") ? (slice){NULL, 0} : f[NODES];
  row->allocated = f[ALLOCATED].len > 0;
  if (!row->allocated) {
    row->gpus = asked;
    row->gpu = asked_type;
  }
  return FIELDS;
}

slice slurm_row_lease(const struct slurm_row *row, const char *user) {
  const slice none = {NULL, 0};
  size_t skip = strlen(SLURM_JOB_NAME);
  struct error err;
  if (!slice_is(row->user, user) || !slice_starts(row->name, SLURM_JOB_NAME)) return none;
  slice lease = {row->name.ptr + skip, row->name.len - skip};
  bool open = !row->allocated || row->to.ns == INSTANT_MAX.ns;
  bool agree = slice_eq(row->comment, lease) || (open && !row->comment.len);
  return agree && slurm_check_lease(lease, &err) ? lease : none;
}

static bool next_field(slice *rest, slice separator, slice *field) {
  must(separator.ptr && separator.len);
  const char *end = rest->len ? memmem(rest->ptr, rest->len, separator.ptr, separator.len) : NULL;
  if (!end) return false;
  *field = (slice){rest->ptr, (size_t)(end - rest->ptr)};
  *rest = (slice){end + separator.len, rest->len - field->len - separator.len};
  return true;
}

bool slurm_parse_rows(struct arena *arena, slice out, slice separator, struct slurm_row **rows, size_t *count,
                      struct error *err) {
  VEC(struct slurm_row) found = {0};
  bool good = true;
  while (out.len && good) {
    slice fields[FIELDS] = {{NULL, 0}};
    int i = 0;
    while (i < FIELDS && next_field(&out, separator, &fields[i])) i++;
    struct slurm_row row = {0};
    bool whole = i == FIELDS && out.len && out.ptr[0] == '\n';
    int bad = whole ? fill_row(arena, fields, &row) : FIELDS;
    if (!whole || bad < FIELDS) {
      good = error_set(err, ERR_CORRUPT, "sacct: row %zu, %s: is not what Slurm prints: is it 22.05 or later?",
                       found.count + 1, whole ? field_names[bad] : "its end");
    } else {
      out = (slice){out.ptr + 1, out.len - 1};
      vec_push(&found, row);
    }
  }
  if (good) {
    *count = found.count;
    *rows = arena_array(arena, found.count + 1, sizeof **rows);
    if (found.count) memcpy(*rows, found.items, found.count * sizeof **rows);
  }
  vec_free(&found);
  return good;
}

bool slurm_ask_rows(struct slurm *slurm, struct arena *arena, const struct slurm_arguments *selection,
                    struct slurm_row **rows, size_t *count, struct error *err) {
  char nonce[ID_TEXT_MAX];
  slice separator = slice_of(arena_printf(arena, "<%s>", id_new("field", nonce)));
  struct slurm_arguments arguments = *selection;
  slurm_argument(&arguments, "--noheader");
  slurm_argument(&arguments, "--allocations");
  slurm_argument(&arguments, "--duplicates");
  slurm_argument(&arguments, "--parsable");
  slurm_argument(&arguments, arena_printf(arena, "--clusters=%s", slurm->options.cluster));
  slurm_argument(&arguments, arena_printf(arena, "--delimiter=" SLICE_FMT, SLICE_ARG(separator)));
  slurm_argument(&arguments, arena_printf(arena, "--format=%s", slurm_row_fields));
  slice out = {NULL, 0};
  return slurm_ask(slurm, arena, "sacct", &arguments, &out, err) &&
         slurm_parse_rows(arena, out, separator, rows, count, err);
}
