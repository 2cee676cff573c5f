/* Inside the simulator: one run, that is a seed, its disk, its book and what the book has promised so far. */
#ifndef METERHOUSE_SIMULATION_SIM_H
#define METERHOUSE_SIMULATION_SIM_H
#include "book/book.h"
#include "disk.h"
#include "model.h"

#define DOUBTS_MAX 16

struct sim {
  uint64_t seed;
  bool verbose, rots; /* rots: the aim of the run is to see bit rot named */
  unsigned step;
  struct random random;
  struct disk *disk;
  struct book *book; /* NULL while it is closed */
  struct arena *arena;
  char catalog[128], data[128];
  uint32_t sent; /* events numbered below this were sent at least once */
  uint64_t next_answer;
  struct naive promised;
  /* What commits that were not acknowledged would have led to: at most one of them may turn out to be there. */
  struct naive doubts[DOUBTS_MAX];
  size_t doubt_count;
  bool close_in_doubt;
  uint64_t invoices_owed;           /* acknowledged, but the power failed before they could be looked at */
  struct disk_counts counts_before; /* of this step: a failure must have a cause */
  bool small_log, small_cache, careless;
};

uint64_t draw(struct sim *s, uint64_t bound);
bool chance(struct sim *s, unsigned percent);
void note(const struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3); /* with --verbose */
BASE_NORETURN void broken(const struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define expect(s, condition, ...) ((condition) ? (void)0 : broken(s, __VA_ARGS__))
/* The disk has given a reason for a failure since this step began. */
void expect_cause(const struct sim *s, const struct error *err);

/* ---- registry_small.c: what the journal is opened with ---- */
extern struct journal_options registry_options;

/* ---- workload.c: one step ---- */
void work_transaction(struct sim *s);
void work_close_period(struct sim *s);

/* ---- verify.c: the book beside the model; the disk must be without faults ---- */
void verify_all(struct sim *s);
void verify_events(struct sim *s, struct db *db);
void verify_verdicts(struct sim *s, size_t samples);
void verify_reader(struct sim *s);
/* Of the transactions in doubt the one that is there becomes part of the model. */
void verify_adopt(struct sim *s);

/* ---- rot.c: the end of a run whose aim is bit rot; closes the book ---- */
void rot_and_verify(struct sim *s);
#endif
