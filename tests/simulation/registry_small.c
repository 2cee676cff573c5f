/* Linked in place of two functions of the meter: windows so small that a run seals and merges many, and on no thread of
 * its own, so that a seed is the same run every time. */
#include "meter/registry.h"
#include "sim.h"

bool __real_journal_open(struct db *db, const char *dir, const struct journal_options *options, struct journal **out,
                         struct error *err);
bool __wrap_journal_open(struct db *db, const char *dir, const struct journal_options *options, struct journal **out,
                         struct error *err);
struct seal *__real_seal_start(const char *dir, uint64_t key_check, const struct recent *window,
                               struct run *const *runs, size_t run_count, bool wait);
struct seal *__wrap_seal_start(const char *dir, uint64_t key_check, const struct recent *window,
                               struct run *const *runs, size_t run_count, bool wait);

struct journal_options registry_options;

bool __wrap_journal_open(struct db *db, const char *dir, const struct journal_options *options, struct journal **out,
                         struct error *err) {
  (void)options;
  return __real_journal_open(db, dir, &registry_options, out, err);
}

struct seal *__wrap_seal_start(const char *dir, uint64_t key_check, const struct recent *window,
                               struct run *const *runs, size_t run_count, bool wait) {
  (void)wait;
  return __real_seal_start(dir, key_check, window, runs, run_count, true);
}
