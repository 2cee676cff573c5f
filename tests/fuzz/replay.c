/* Runs a fuzzer without libFuzzer: its corpus as it stands, then random mutations of it. SEED, CASES and FUZZ_SECONDS
 * come from the environment; files named on the command line are replayed alone. A failing input is kept as NAME.crash.
 */
#include "base/file.h"
#include "base/hash.h"
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t)64 * 1024)
#define CORPUS_FILES_MAX 4096
#define CASES_DEFAULT 20000
#define SECONDS_DEFAULT 15
#define MUTATIONS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
  uint8_t *bytes;
  size_t len;
};

struct corpus {
  struct input *items;
  size_t count, capacity;
};

static const char *const tokens[] = {"0",
                                     "-1",
                                     "1e999",
                                     "9223372036854775808",
                                     "-170141183460469231731687303715884105728",
                                     "0.000000000001",
                                     "NaN",
                                     "null",
                                     "true",
                                     "\"",
                                     "\\u0000",
                                     "\\",
                                     "{}",
                                     "[[[[[[[[",
                                     ",",
                                     ":",
                                     "\r\n",
                                     "\n",
                                     "- ",
                                     "&a",
                                     "*a",
                                     "\t",
                                     "%n",
                                     "\xff",
                                     "\xf0\x9f\x92\xb0",
                                     "2026-02-30T24:00:60Z",
                                     "+14:00",
                                     "usd"};

static const char *program;
static char crash_path[PATH_MAX], crash_message[PATH_MAX];
static const uint8_t *current_bytes;
static size_t current_len;
static uint64_t cases_run;

static void write_all(int fd, const void *bytes, size_t len) {
  const char *at = bytes;
  while (len > 0) {
    ssize_t done = write(fd, at, len);
    if (done <= 0) {
      return;
    }
    at += done;
    len -= (size_t)done;
  }
}

/* Called while the program dies: nothing but system calls, on what was made ready in time. */
static void keep_input(void) {
  int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return;
  }
  write_all(fd, current_bytes, current_len);
  close(fd);
  write_all(STDERR_FILENO, crash_message, strlen(crash_message));
}

static void on_abort(int signal_number) {
  keep_input();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void report_deaths(void) {
  snprintf(crash_path, sizeof crash_path, "%s.crash", program);
  snprintf(crash_message, sizeof crash_message, "%s: failed; the input is in %s.crash\n", program, program);
  if (__sanitizer_set_death_callback) {
    __sanitizer_set_death_callback(keep_input);
  } else {
    signal(SIGSEGV, on_abort);
  }
  signal(SIGABRT, on_abort);
}

/* The copy has its exact size, so that the sanitizer sees a read past its end. */
static void run_one(const uint8_t *bytes, size_t len) {
  uint8_t *exact = malloc(len ? len : 1);
  must(exact);
  if (len) {
    memcpy(exact, bytes, len);
  }
  current_bytes = exact;
  current_len = len;
  LLVMFuzzerTestOneInput(exact, len);
  current_len = 0; /* leaks are found after the last case, and have no input */
  free(exact);
  cases_run++;
}

static bool load_file(struct corpus *corpus, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    return false;
  }
  struct input input = {mem_alloc(INPUT_BYTES_MAX), 0};
  input.len = fread(input.bytes, 1, INPUT_BYTES_MAX, file);
  fclose(file);
  vec_push(corpus, input);
  return true;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

/* Sorted, so that a seed gives the same cases on every machine. */
static void load_folder(struct corpus *corpus, const char *folder) {
  struct dirent **entries = NULL;
  int count = scandir(folder, &entries, NULL, by_name);
  for (int i = 0; i < count; i++) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    bool fits = len > 0 && (size_t)len < sizeof path && corpus->count < CORPUS_FILES_MAX;
    if (fits && entries[i]->d_name[0] != '.') {
      load_file(corpus, path);
    }
    free(entries[i]);
  }
  free(entries);
}

/* tests/fuzz/corpus/NAME, where the program is fuzz_NAME. */
static void load_corpus(struct corpus *corpus) {
  const char *root = getenv("MH_ROOT");
  const char *name = strncmp(program, "fuzz_", 5) == 0 ? program + 5 : program;
  char folder[PATH_MAX];
  int len = snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", root ? root : ".", name);
  if (len > 0 && (size_t)len < sizeof folder) {
    load_folder(corpus, folder);
  }
}

static void free_corpus(struct corpus *corpus) {
  for (size_t i = 0; i < corpus->count; i++) {
    free(corpus->items[i].bytes);
  }
  vec_free(corpus);
}

/* Puts `len` bytes in at `at`; what would pass the limit falls off the end. */
static void splice_in(struct input *input, size_t at, const uint8_t *bytes, size_t len) {
  if (len > INPUT_BYTES_MAX - at) {
    len = INPUT_BYTES_MAX - at;
  }
  size_t tail = input->len - at;
  if (tail > INPUT_BYTES_MAX - at - len) {
    tail = INPUT_BYTES_MAX - at - len;
  }
  memmove(input->bytes + at + len, input->bytes + at, tail);
  memmove(input->bytes + at, bytes, len);
  input->len = at + len + tail;
}

static void cut_out(struct input *input, struct random *random) {
  if (!input->len) {
    return;
  }
  size_t at = random_below(random, input->len);
  size_t len = 1 + random_below(random, input->len - at);
  memmove(input->bytes + at, input->bytes + at + len, input->len - at - len);
  input->len -= len;
}

static void change_byte(struct input *input, struct random *random) {
  if (!input->len) {
    return;
  }
  size_t at = random_below(random, input->len);
  if (random_below(random, 2)) {
    input->bytes[at] = (uint8_t)(input->bytes[at] ^ (1U << random_below(random, 8)));
  } else {
    input->bytes[at] = (uint8_t)random_below(random, 256);
  }
}

static void insert_token(struct input *input, struct random *random) {
  const char *token = tokens[random_below(random, sizeof tokens / sizeof *tokens)];
  splice_in(input, random_below(random, input->len + 1), (const uint8_t *)token, strlen(token));
}

static void insert_from(struct input *input, const struct input *other, struct random *random) {
  if (!other->len) {
    return;
  }
  size_t at = random_below(random, other->len);
  size_t len = 1 + random_below(random, other->len - at);
  splice_in(input, random_below(random, input->len + 1), other->bytes + at, len);
}

static void mutate(struct input *input, const struct corpus *corpus, struct random *random) {
  switch (random_below(random, 6)) {
  case 0:
    cut_out(input, random);
    break;
  case 1:
    insert_token(input, random);
    break;
  case 2:
    insert_from(input, &corpus->items[random_below(random, corpus->count)], random);
    break;
  default:
    change_byte(input, random);
    break;
  }
}

static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void run_mutations(const struct corpus *corpus, uint64_t seed, uint64_t cases, uint64_t end_ms) {
  struct random random;
  random_seed(&random, seed, 0);
  struct input work = {mem_alloc(INPUT_BYTES_MAX), 0};
  for (uint64_t i = 0; i < cases && (i % 64 || now_ms() < end_ms); i++) {
    const struct input *start = &corpus->items[random_below(&random, corpus->count)];
    work.len = start->len;
    memcpy(work.bytes, start->bytes, start->len);
    for (uint64_t left = 1 + random_below(&random, MUTATIONS_MAX); left > 0; left--) {
      mutate(&work, corpus, &random);
    }
    run_one(work.bytes, work.len);
  }
  free(work.bytes);
}

int main(int argc, char **argv) {
  const char *slash = strrchr(argv[0], '/');
  program = slash ? slash + 1 : argv[0];
  report_deaths();
  struct corpus corpus = {0};
  for (int i = 1; i < argc; i++) {
    if (!load_file(&corpus, argv[i])) {
      fprintf(stderr, "%s: %s can not be read\n", program, argv[i]);
      free_corpus(&corpus);
      return 2;
    }
  }
  if (argc == 1) {
    load_corpus(&corpus);
  }
  size_t files = corpus.count;
  for (size_t i = 0; i < files; i++) {
    run_one(corpus.items[i].bytes, corpus.items[i].len);
  }
  if (argc == 1) {
    uint64_t seed = setting("SEED", (uint64_t)time(NULL));
    if (!files) {
      vec_push(&corpus, (struct input){mem_alloc(INPUT_BYTES_MAX), 0});
    }
    printf("%s: seed %" PRIu64 ", %zu files of corpus\n", program, seed, files);
    fflush(stdout);
    run_mutations(&corpus, seed, setting("CASES", CASES_DEFAULT),
                  now_ms() + 1000 * setting("FUZZ_SECONDS", SECONDS_DEFAULT));
  }
  printf("%s: %" PRIu64 " inputs, none failed\n", program, cases_run);
  free_corpus(&corpus);
  return 0;
}
