/* Runs the book under a simulated disk and clock, one run a seed, and says which seed broke a promise and where.
 * usage: simulate [--seed N] [--seeds COUNT] [--steps COUNT] [--jobs COUNT] [--verbose] [--careless]
 * --careless: the store does not sync, to see that this is caught. */
#include "base/file.h"
#include "base/log.h"
#include "sim.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS (INT64_C(1792080000) * NS_PER_S) /* 2026-10-15T12:00:00Z */
#define DAY_S 86400
#define OPEN_TRIES 8
#define JOBS_MAX 64

struct options {
  uint64_t seed, seeds;
  unsigned steps, jobs;
  bool verbose, careless;
};

static const char catalog_text[] =
    "# The catalog of the simulator: every kind of aggregation that keeps state.\n"
    "currency: EUR\n"
    "seller: {name: Simhouse, country: NL, invoice_prefix: S-}\n"
    "taxes: [{name: vat, label: VAT 21 %, rate: 21 %, category: S}]\n"
    "meters:\n"
    "  - {name: calls, event: api.usage, value: n, unit: call, dimensions: [region]}\n"
    "  - {name: peak, event: api.usage, value: n, aggregation: max, unit: call}\n"
    "  - {name: users, event: api.usage, value: user, aggregation: unique, unit: user}\n"
    "  - {name: gpu_hours, event: gpu.lease, value: gpus, aggregation: integral, over: hour, unit: GPU-hour, series: "
    "lease}\n"
    "plans:\n"
    "  - name: p\n"
    "    prices: [{meter: calls, price: 0.10}, {meter: gpu_hours, price: 2.50}]\n"
    "customers:\n"
    "  - {id: acme, name: Acme, country: NL, tax: vat, plan: p}\n"
    "  - {id: bolt, name: Bolt, country: NL, plan: p}\n"
    "  - {id: crow, name: Crow, country: NL, plan: p, time_zone: America/New_York}\n";

/* ---- words and chance ---- */

uint64_t draw(struct sim *s, uint64_t bound) {
  return random_below(&s->random, bound);
}

bool chance(struct sim *s, unsigned percent) {
  return draw(s, 100) < percent;
}

void note(const struct sim *s, const char *fmt, ...) {
  va_list args;
  if (!s->verbose) {
    return;
  }
  printf("  %u: ", s->step);
  va_start(args, fmt);
  vprintf(fmt, args);
  va_end(args);
  printf("\n");
}

/* The folder of the run is removed by whoever started it. */
void broken(const struct sim *s, const char *fmt, ...) {
  char what[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(what, sizeof what, fmt, args);
  va_end(args);
  printf("not ok seed %llu step %u: %s\n", (unsigned long long)s->seed, s->step, what);
  fflush(stdout);
  _exit(1);
}

void expect_cause(const struct sim *s, const struct error *err) {
  struct disk_counts now = disk_counts(s->disk), before = s->counts_before;
  bool cause = disk_crashed(s->disk) || now.failed_reads > before.failed_reads ||
               now.failed_writes > before.failed_writes || now.failed_syncs > before.failed_syncs ||
               now.full > before.full;
  expect(s, cause, "failed though the disk did not: %s", err->message);
}

/* ---- opening and closing ---- */

static void calm(struct sim *s) {
  disk_set_faults(s->disk, (struct disk_faults){0});
  disk_crash_after(s->disk, 0);
}

/* Small logs and caches make SQLite checkpoint and spill in the middle of the work. */
static void tune(struct sim *s) {
  struct error err = {0};
  struct db *db = book_db(s->book);
  bool ok = (!s->small_log || db_run(db, "PRAGMA wal_autocheckpoint = 12", DB_NO_VALUES, NULL, &err)) &&
            (!s->small_cache || db_run(db, "PRAGMA cache_size = 12", DB_NO_VALUES, NULL, &err));
  ok = ok && (!s->careless || db_run(db, "PRAGMA synchronous = OFF", DB_NO_VALUES, NULL, &err));
  expect(s, ok, "tune: %s", err.message);
}

/* The index of identities is only a cache of the journal: whatever a crash left of it must do. */
static void spoil_file(struct sim *s, const char *path) {
  struct stat about;
  if (stat(path, &about) != 0 || !S_ISREG(about.st_mode)) {
    return;
  }
  uint64_t kind = draw(s, 5);
  if (kind == 0) {
    unlink(path);
  } else if (kind == 1) {
    must(truncate(path, (off_t)draw(s, (uint64_t)about.st_size + 1)) == 0);
  } else if (kind == 2 && about.st_size > 0) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    off_t at = (off_t)draw(s, (uint64_t)about.st_size);
    uint8_t byte = 0;
    must(file >= 0 && pread(file, &byte, 1, at) == 1);
    byte ^= (uint8_t)(1u << draw(s, 8));
    must(pwrite(file, &byte, 1, at) == 1 && close(file) == 0);
  }
}

static void spoil_identity_cache(struct sim *s) {
  char folder[160], path[512];
  snprintf(folder, sizeof folder, "%s/identity", s->data);
  struct dirent **list;
  int count = scandir(folder, &list, NULL, alphasort);
  note(s, "%d names in the identity cache", count);
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
    spoil_file(s, path);
    free(list[i]);
  }
  if (count >= 0) {
    free(list);
  }
}

/* True when the power was off; else it was the process that died. */
static bool come_back(struct sim *s) {
  bool power_was_off = chance(s, 70);
  note(s, "back after %s", power_was_off ? "a power failure" : "a kill");
  disk_settle(s->disk, power_was_off);
  if (power_was_off) {
    spoil_identity_cache(s);
  }
  return power_was_off;
}

/* Opening may fail as well: by a fault, or by another crash. True when the power was off. */
static bool open_book(struct sim *s) {
  bool power_was_off = false;
  for (unsigned tries = 0;; tries++) {
    struct error err = {0};
    if (disk_crashed(s->disk)) {
      power_was_off = come_back(s) || power_was_off;
    }
    if (tries >= 2) {
      calm(s);
    }
    if (book_open(s->data, s->catalog, BOOK_WRITE, &s->book, &err)) {
      return power_was_off;
    }
    s->book = NULL;
    note(s, "open failed: %s", err.message);
    expect_cause(s, &err);
    expect(s, tries < OPEN_TRIES, "the book can not be opened: %s", err.message);
  }
}

/* What is not there after a power failure will not come back; else a log that was deleted still may. */
static void reopen(struct sim *s) {
  bool power_was_off = open_book(s);
  calm(s);
  tune(s);
  verify_adopt(s);
  verify_all(s);
  if (power_was_off) {
    s->doubt_count = 0;
    s->close_in_doubt = false;
  }
}

static void restart(struct sim *s) {
  book_close(s->book);
  s->book = NULL;
  reopen(s);
}

/* ---- a run ---- */

static void jump_clock(struct sim *s) {
  int64_t days = chance(s, 20) ? -(int64_t)draw(s, 12) : (int64_t)draw(s, chance(s, 20) ? 20 : 2);
  int64_t now = clock_now().ns + (days * DAY_S + (int64_t)draw(s, DAY_S)) * NS_PER_S;
  clock_set_test((instant){now > START_NS - 20 * DAY_S * NS_PER_S ? now : START_NS});
}

static void change_faults(struct sim *s) {
  struct disk_faults faults = {.read = chance(s, 30) ? 5000 : 0,
                               .write = chance(s, 30) ? 20000 : 0,
                               .sync = chance(s, 40) ? 100000 : 0,
                               .full = chance(s, 20)};
  note(s, "faults: read %u, write %u, sync %u, full %d", faults.read, faults.write, faults.sync, faults.full);
  disk_set_faults(s->disk, faults);
}

static void crash(struct sim *s) {
  note(s, "a crash between two steps");
  disk_crash(s->disk);
}

static void look(struct sim *s) {
  calm(s);
  if (chance(s, 50)) {
    verify_reader(s);
  } else {
    verify_verdicts(s, 50);
  }
}

static void one_step(struct sim *s) {
  uint64_t kind = draw(s, 100);
  s->step++;
  s->counts_before = disk_counts(s->disk);
  arena_reset(s->arena);
  if (s->doubt_count == DOUBTS_MAX || kind < 1) {
    crash(s);
  } else if (kind < 70) {
    work_transaction(s);
  } else if (kind < 73) {
    work_close_period(s);
  } else if (kind < 75) {
    restart(s);
  } else if (kind < 81) {
    jump_clock(s);
  } else if (kind < 88) {
    change_faults(s);
  } else if (kind < 93) {
    disk_crash_after(s->disk, 1 + draw(s, chance(s, 50) ? 20 : 200));
  } else {
    look(s);
  }
  if (disk_crashed(s->disk)) {
    restart(s);
    disk_crash_after(s->disk, chance(s, 30) ? 1 + draw(s, 6) : 0); /* troubles do not come alone */
  }
}

static struct sim *sim_new(uint64_t seed, const struct options *o, const char *dir) {
  struct sim *s = mem_alloc(sizeof *s);
  struct error err = {0};
  s->seed = seed;
  s->verbose = o->verbose;
  s->careless = o->careless;
  s->arena = arena_new();
  random_seed(&s->random, seed, 0);
  s->rots = seed % 8 == 0;
  s->next_answer = 1;
  s->small_log = chance(s, 60);
  s->small_cache = chance(s, 30);
  registry_options.window_events = chance(s, 80) ? 8 + (uint32_t)draw(s, 200) : 0;
  registry_options.fingerprint_bits = chance(s, 30) ? 10 + (unsigned)draw(s, 14) : 0;
  snprintf(s->catalog, sizeof s->catalog, "%s/catalog", dir);
  snprintf(s->data, sizeof s->data, "%s/data", dir);
  must(mkdir(s->catalog, 0700) == 0);
  char path[160];
  snprintf(path, sizeof path, "%s/all.yaml", s->catalog);
  expect(s, file_write(path, slice_of(catalog_text), &err), "%s", err.message);
  clock_set_test((instant){START_NS});
  s->disk = disk_new(seed, o->verbose);
  return s;
}

static void sim_free(struct sim *s) {
  book_close(s->book);
  disk_free(s->disk);
  arena_free(s->arena);
  free(s);
}

static void run_seed(uint64_t seed, const struct options *o, const char *dir) {
  struct sim *s = sim_new(seed, o, dir);
  reopen(s);
  while (s->step < o->steps) {
    one_step(s);
  }
  calm(s);
  restart(s);
  if (s->rots) {
    rot_and_verify(s);
  }
  if (o->verbose) {
    struct disk_counts c = disk_counts(s->disk);
    printf("seed %llu: %u events, %zu transfers, %zu invoices; %llu disk steps, %llu crashes, %llu reads, %llu writes, "
           "%llu syncs failed, %llu times full\n",
           (unsigned long long)seed, s->promised.accepted_count, s->promised.transfer_count, s->promised.invoice_count,
           (unsigned long long)c.steps, (unsigned long long)c.crashes, (unsigned long long)c.failed_reads,
           (unsigned long long)c.failed_writes, (unsigned long long)c.failed_syncs, (unsigned long long)c.full);
  }
  sim_free(s);
}

/* ---- the program ---- */

static struct random system_random;

static const char *random_name(void) {
  return "seeded";
}
static uint32_t random_word(void) {
  return (uint32_t)random_u64(&system_random);
}
static void random_bytes(void *to, size_t size) {
  for (size_t i = 0; i < size; i++) {
    ((uint8_t *)to)[i] = (uint8_t)random_below(&system_random, 256);
  }
}

/* Keys and ids of the book are drawn from the seed as well. */
static void seed_system_random(uint64_t seed) {
  static randombytes_implementation seeded = {
      .implementation_name = random_name, .random = random_word, .buf = random_bytes};
  random_seed(&system_random, seed, 2);
  must(randombytes_set_implementation(&seeded) == 0);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place) {
  (void)about;
  (void)kind;
  (void)place;
  return remove(path);
}

static void remove_folder(const char *dir) {
  must(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static const char *work_folder(void) {
  static char dir[64];
  snprintf(dir, sizeof dir, "%s/meterhouse-simulation.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  must(mkdtemp(dir) != NULL);
  return dir;
}

/* Each seed in a process of its own: one that aborts is reported as well, and nothing is left over for the next. */
static pid_t start_seed(const struct options *o, uint64_t seed, const char *dir) {
  char own[96];
  snprintf(own, sizeof own, "%s/%llu", dir, (unsigned long long)seed);
  must(mkdir(own, 0700) == 0);
  pid_t child = fork();
  must(child >= 0);
  if (child == 0) {
    seed_system_random(seed);
    run_seed(seed, o, own);
    exit(0);
  }
  return child;
}

struct running {
  pid_t process;
  uint64_t seed;
};

static bool finish_one(const struct options *o, struct running *running, unsigned *count, const char *dir) {
  int status;
  unsigned at = 0;
  pid_t ended = wait(&status);
  must(ended > 0);
  while (at < *count && running[at].process != ended) {
    at++;
  }
  must(at < *count);
  if (status != 0) {
    printf("seed %llu failed (%s %d); again: simulate --seed %llu --steps %u --verbose\n",
           (unsigned long long)running[at].seed, WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (unsigned long long)running[at].seed,
           o->steps);
    fflush(stdout);
  }
  char own[96];
  snprintf(own, sizeof own, "%s/%llu", dir, (unsigned long long)running[at].seed);
  remove_folder(own);
  running[at] = running[--*count];
  return status == 0;
}

static uint64_t run_all(const struct options *o, const char *dir) {
  struct running running[JOBS_MAX];
  unsigned count = 0;
  uint64_t failed = 0;
  for (uint64_t seed = o->seed; seed < o->seed + o->seeds; seed++) {
    if (count == o->jobs) {
      failed += !finish_one(o, running, &count, dir);
    }
    running[count++] = (struct running){start_seed(o, seed, dir), seed};
  }
  while (count > 0) {
    failed += !finish_one(o, running, &count, dir);
  }
  return failed;
}

static bool read_number(const char *name, uint64_t value, struct options *o) {
  if (strcmp(name, "--seed") == 0) {
    o->seed = value;
  } else if (strcmp(name, "--seeds") == 0) {
    o->seeds = value;
  } else if (strcmp(name, "--steps") == 0) {
    o->steps = (unsigned)value;
  } else if (strcmp(name, "--jobs") == 0) {
    o->jobs = (unsigned)value;
  } else {
    return false;
  }
  return true;
}

static bool read_options(int argc, char **argv, struct options *o) {
  *o = (struct options){.seed = 1, .seeds = 1, .steps = 300, .jobs = 2};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--verbose") == 0) {
      o->verbose = true;
    } else if (strcmp(argv[i], "--careless") == 0) {
      o->careless = true;
    } else if (i + 1 == argc || !read_number(argv[i], strtoull(argv[i + 1], NULL, 10), o)) {
      return false;
    } else {
      i++;
    }
  }
  return o->jobs > 0 && o->jobs <= JOBS_MAX;
}

int main(int argc, char **argv) {
  struct options o;
  if (!read_options(argc, argv, &o)) {
    fprintf(stderr,
            "usage: simulate [--seed N] [--seeds COUNT] [--steps COUNT] [--jobs COUNT] [--verbose] [--careless]\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  log_set_level(LOG_ERROR);
  const char *dir = work_folder();
  uint64_t failed = run_all(&o, dir);
  remove_folder(dir);
  printf("%llu seeds from %llu, %llu failed\n", (unsigned long long)o.seeds, (unsigned long long)o.seed,
         (unsigned long long)failed);
  return failed > 0;
}
