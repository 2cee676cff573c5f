/* Which nodes there are, with how many GPUs, and since when one does not answer. */
#include "sell/slurm_private.h"

/* " Name=" up to the next blank: of the names asked for, the first is meant, since free text comes behind them. */
static slice value_of(slice line, const char *name) {
  size_t len = strlen(name);
  for (slice rest = line; rest.len;) {
    slice word = slurm_until(&rest, ' ');
    if (word.len > len && memcmp(word.ptr, name, len) == 0 && word.ptr[len] == '=') {
      return (slice){word.ptr + len + 1, word.len - len - 1};
    }
  }
  return (slice){NULL, 0};
}

/* "Reason=Not responding [slurm@1795270597]" */
static instant reason_time(slice line) {
  instant at = INSTANT_MAX;
  const char *start = line.len ? memmem(line.ptr, line.len, " Reason=", 8) : NULL;
  slice rest = {start, start ? (size_t)(line.ptr + line.len - start) : 0};
  const char *mark = rest.len ? memrchr(rest.ptr, '@', rest.len) : NULL;
  if (!mark) return INSTANT_MAX;
  rest = (slice){mark + 1, (size_t)(rest.ptr + rest.len - mark - 1)};
  return slurm_instant(slurm_until(&rest, ']'), &at) ? at : INSTANT_MAX;
}

bool slurm_parse_nodes(struct arena *arena, slice out, struct slurm_node **nodes, size_t *count, struct error *err) {
  size_t lines = 0;
  slice line;
  for (size_t i = 0; i < out.len; i++) lines += out.ptr[i] == '\n';
  if (lines >= SLURM_NODES_MAX) return error_set(err, ERR_LIMIT, "scontrol: more than %d nodes", SLURM_NODES_MAX);
  *nodes = arena_array(arena, lines + 1, sizeof **nodes);
  *count = 0;
  while (slurm_line(&out, &line)) {
    struct slurm_node node = {.name = value_of(line, "NodeName"), .reason_at = reason_time(line)};
    uint64_t port = 0;
    if (!slice_trim(line).len || slice_starts(line, "No nodes in the system")) continue;
    slice port_text = value_of(line, "Port");
    node.address = value_of(line, "NodeAddr");
    node.state = value_of(line, "State");
    node.gres = value_of(line, "Gres");
    bool good = node.name.len && node.state.len && (!port_text.len || slurm_number(port_text, 65535, &port));
    if (!good) return error_set(err, ERR_CORRUPT, "scontrol show node: row %zu is not a node's", *count + 1);
    node.port = (uint16_t)(port ? port : 6818); /* slurmd's own, which scontrol leaves out */
    (*nodes)[(*count)++] = node;
  }
  return true;
}

static bool has_word(slice state, const char *word) {
  return state.len && memmem(state.ptr, state.len, word, strlen(word)) != NULL;
}

static struct slurm_pulse *pulse_of(struct slurm *slurm, slice name) {
  struct slurm_pulse *pulse = map_get(&slurm->pulses, name);
  if (!pulse) {
    pulse = arena_alloc(slurm->arena, sizeof *pulse);
    *map_put(&slurm->pulses, arena_copy(slurm->arena, name)) = pulse;
  }
  return pulse;
}

/* Slurm marks with '*' who does not answer it, even where the port still takes calls. */
static struct engine_node judge(struct slurm *slurm, const struct slurm_node *node, instant now) {
  struct slurm_pulse *pulse = pulse_of(slurm, node->name);
  bool answers = node->answers && !has_word(node->state, "*") && !has_word(node->state, "NOT_RESPONDING");
  bool given_up = has_word(node->state, "DOWN") || has_word(node->state, "FAIL");
  struct engine_node seen = {.name = node->name, .up = answers && !given_up, .down_since = INSTANT_MAX};
  if (!seen.up) {
    seen.down_since = time_earlier(node->reason_at, now);
    if (pulse->last_answer.ns) seen.down_since = time_earlier(seen.down_since, pulse->last_answer);
  } else {
    pulse->last_answer = now;
  }
  return seen;
}

/* "gpu:h100:8(S:0-1)", "gpu:4": type and count; false for what is no GPU. */
static bool read_gres(slice item, slice *type, uint64_t *count) {
  slice rest = slurm_until(&item, '(');
  if (!slice_is(slurm_until(&rest, ':'), "gpu")) return false;
  slice first = slurm_until(&rest, ':');
  *type = rest.len ? first : (slice){NULL, 0};
  return slurm_number(rest.len ? rest : first, SLURM_GPUS_MAX, count);
}

/* Commas within brackets, as in "gpu:h100:8(S:0,2)", part nothing. */
static slice next_gres(slice *rest) {
  size_t depth = 0, len = 0;
  for (; len < rest->len && (depth || rest->ptr[len] != ','); len++) {
    if (rest->ptr[len] == '(') depth++;
    if (rest->ptr[len] == ')' && depth) depth--;
  }
  slice item = {rest->ptr, len};
  size_t used = len < rest->len ? len + 1 : len;
  *rest = (slice){rest->ptr + used, rest->len - used};
  return item;
}

static size_t tell_node(struct slurm *slurm, const struct slurm_node *node, instant now, struct engine_node *to) {
  struct engine_node seen = judge(slurm, node, now);
  bool drained = has_word(node->state, "DRAIN") || has_word(node->state, "MAINT");
  size_t count = 0;
  for (slice rest = node->gres; rest.len;) {
    uint64_t gpus = 0;
    if (!read_gres(next_gres(&rest), &seen.gpu, &gpus)) continue;
    seen.gpus.e9 = drained ? 0 : (int128)gpus * QUANTITY_E9;
    if (to) to[count] = seen;
    count++;
  }
  return count;
}

bool slurm_nodes(struct engine *engine, struct arena *arena, struct engine_node **nodes, size_t *count,
                 struct error *err) {
  struct slurm *slurm = (struct slurm *)engine;
  struct slurm_arguments arguments = {0};
  const char *const words[] = {"--oneliner", "--all", "show", "node"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) slurm_argument(&arguments, words[i]);
  struct slurm_node *found = NULL;
  size_t found_count = 0, rows = 0;
  slice out = {NULL, 0};
  if (!slurm_ask(slurm, arena, "scontrol", &arguments, &out, err) ||
      !slurm_parse_nodes(arena, out, &found, &found_count, err)) {
    return false;
  }
  slurm_ask_pulses(found, found_count, slurm->options.heartbeat_ms);
  instant now = clock_now();
  for (size_t i = 0; i < found_count; i++) rows += tell_node(slurm, &found[i], now, NULL);
  *nodes = arena_array(arena, rows + 1, sizeof **nodes);
  *count = 0;
  for (size_t i = 0; i < found_count; i++) *count += tell_node(slurm, &found[i], now, *nodes + *count);
  return true;
}
