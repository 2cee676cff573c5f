/* Inside the limits: one limiter as it lies in memory. */
#ifndef METERHOUSE_GATEWAY_LIMITS_PRIVATE_H
#define METERHOUSE_GATEWAY_LIMITS_PRIVATE_H
#include "gateway/limits.h"
#include <pthread.h>
#include <stdatomic.h>

#define LIMITER_BUCKETS 112 /* a limiter stays below 2 KiB */

/* Calls that count until 60 s after the last of them. */
struct limit_bucket {
  uint32_t last_us, requests;
  int64_t tokens;
};
struct limiter {
  /* under the lock of its shard */
  struct limiter *next;
  uint64_t hash;
  uint32_t references;
  /* under its own */
  uint32_t head, tail; /* of the buckets */
  pthread_mutex_t lock;
  _Atomic int64_t latest_us; /* the latest time it was told; others may look at it */
  int64_t running;
  int64_t requests, tokens; /* sums of the buckets */
  struct limit_bucket buckets[LIMITER_BUCKETS];
  size_t name_bytes;
  char name[];
};
#endif
