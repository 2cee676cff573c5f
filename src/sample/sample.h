/* A believable operator to try things on: a catalog and a month of usage, the same for the same seed, at any scale. */
#ifndef METERHOUSE_SAMPLE_SAMPLE_H
#define METERHOUSE_SAMPLE_SAMPLE_H
#include "base/base.h"

struct sample_options {
  const char *out_dir; /* gets the folders catalog and usage, and the file period ("YYYY-MM\n") */
  uint64_t seed;
  uint64_t customers; /* 1 to 100000 */
  uint64_t days;      /* 1 to 366, from the first of the period's month */
  const char *period; /* first month, "YYYY-MM"; NULL: the last month that has ended */
};
struct sample_result {
  uint64_t events, repeated;
  char period[16];
};
/* Refuses a folder that holds anything but an earlier sample. */
MUST_USE bool sample_write(const struct sample_options *options, struct sample_result *out, struct error *err);
#endif
