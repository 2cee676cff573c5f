/* Asking Slurm's client programs: one environment, times in seconds, complaints sorted into errors. */
#include "base/run.h"
#include "sell/slurm_private.h"

void slurm_argument(struct slurm_arguments *to, const char *argument) {
  must(to->count < SLURM_ARGUMENTS_MAX);
  to->items[to->count++] = argument;
  to->items[to->count] = NULL;
}

/* Words of Slurm's own messages, the first that is found decides. */
static const struct {
  const char *words;
  enum error_code code;
} complaints[] = {
    {"Unable to contact slurm", ERR_BUSY},
    {"Socket timed out", ERR_BUSY},
    {"Connection refused", ERR_BUSY},
    {"Zero Bytes were transmitted", ERR_BUSY},
    {"Unable to connect to database", ERR_BUSY},
    {"Problem talking to the database", ERR_BUSY},
    {"slurm_persist_conn_open", ERR_BUSY},
    {"Transport endpoint is not connected", ERR_BUSY},
    {"Resource temporarily unavailable", ERR_BUSY},
    {"in standby mode", ERR_BUSY},
    {"Invalid account", ERR_NOT_FOUND},
    {"accounting/QOS policy", ERR_LIMIT},
    {"Requested node configuration is not available", ERR_LIMIT},
    {"Requested partition configuration not available", ERR_LIMIT},
    {"Node count specification invalid", ERR_LIMIT},
    {"Memory required by task is not available", ERR_LIMIT},
    {"More processors requested than permitted", ERR_LIMIT},
    {"maximum number of jobs", ERR_LIMIT},
    {"ermission denied", ERR_DENIED},
    {"doesn't have privilege", ERR_DENIED},
    {"Invalid user", ERR_DENIED},
};

enum error_code slurm_complaint(slice words) {
  for (size_t i = 0; i < sizeof complaints / sizeof *complaints; i++) {
    if (words.len && memmem(words.ptr, words.len, complaints[i].words, strlen(complaints[i].words))) {
      return complaints[i].code;
    }
  }
  return ERR_IO;
}

/* For people: one line, nothing that could steer a terminal or a log. */
static const char *first_words(struct arena *arena, slice words) {
  words = slice_trim(words);
  slice copy = arena_copy(arena, (slice){words.ptr, words.len < 300 ? words.len : 300});
  char *text = (char *)(uintptr_t)copy.ptr;
  for (size_t i = 0; i < copy.len; i++) {
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = ' ';
  }
  return copy.len ? text : "no reason given";
}

bool slurm_ask(struct slurm *slurm, struct arena *arena, const char *program, const struct slurm_arguments *arguments,
               slice *out, struct error *err) {
  const struct run_command command = {
      .program = arena_printf(arena, "%s/%s", slurm->options.programs, program),
      .arguments = arguments->items,
      .environment = slurm->environment + (strcmp(program, "sbatch") == 0),
      .timeout_ms = slurm->options.timeout_ms,
      .output_bytes_max = SLURM_OUTPUT_BYTES_MAX,
  };
  struct run_result result;
  if (!run_program(arena, &command, &result, err)) return error_at(err, "cluster %s", slurm->options.cluster);
  if (result.status != 0) {
    slice words = result.err.len ? result.err : result.out;
    return error_set(err, slurm_complaint(words), "cluster %s: %s ended with %d: %s", slurm->options.cluster, program,
                     result.status, first_words(arena, words));
  }
  *out = result.out;
  return true;
}

bool slurm_number(slice text, uint64_t max, uint64_t *out) {
  uint64_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    uint64_t digit = (uint64_t)(text.ptr[i] - '0');
    if (value > (max - digit) / 10 || digit > max) return false;
    value = value * 10 + digit;
  }
  *out = value;
  return text.len > 0;
}

slice slurm_until(slice *rest, char separator) {
  const char *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
  slice part = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
  size_t used = part.len + (end != NULL);
  *rest = (slice){rest->len ? rest->ptr + used : rest->ptr, rest->len - used};
  return part;
}

bool slurm_line(slice *rest, slice *line) {
  if (!rest->len) return false;
  *line = slurm_until(rest, '\n');
  return true;
}

bool slurm_instant(slice text, instant *out) {
  uint64_t seconds = 0;
  if (!text.len || slice_is(text, "Unknown") || slice_is(text, "None") || slice_is(text, "N/A")) {
    *out = INSTANT_MAX;
    return true;
  }
  if (!slurm_number(text, (uint64_t)(INSTANT_MAX.ns / NS_PER_S), &seconds)) return false;
  *out = (instant){(int64_t)seconds * NS_PER_S};
  return true;
}
