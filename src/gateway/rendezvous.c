/* Weighted rendezvous hashing with a logarithm in whole numbers, so that every build chooses alike. */
#include "gateway/rendezvous.h"

#define LOG_BITS 40
#define STEP_SHIFT 55 /* a normalized number: 1 bit before the point, 8 that name the step, 55 within it */
#define WITHIN_BITS 28

/* log2 of x / 2^62 in [1, 2], one bit for each squaring. */
static uint64_t log2_e40(uint64_t x) {
  uint64_t log = 0;
  for (int bit = 0; bit < LOG_BITS; bit++) {
    x = (uint64_t)((unsigned __int128)x * x >> 62);
    log <<= 1;
    if (x >> 63) {
      x >>= 1;
      log |= 1;
    }
  }
  return log;
}

void rendezvous_start(struct rendezvous *r) {
  for (uint64_t i = 0; i < RENDEZVOUS_STEPS; i++) {
    r->log2_e40[i] = log2_e40((RENDEZVOUS_STEPS + i) << 54);
  }
  r->log2_e40[RENDEZVOUS_STEPS] = UINT64_C(1) << LOG_BITS;
}

/* The finalizer of SplitMix64. */
static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

uint64_t rendezvous_distance(const struct rendezvous *r, uint64_t affinity, uint64_t target) {
  uint64_t hash = mix(mix(affinity) ^ target) | 1;
  unsigned zeros = (unsigned)__builtin_clzll(hash);
  uint64_t normal = hash << zeros;
  size_t step = (normal >> STEP_SHIFT) & (RENDEZVOUS_STEPS - 1);
  uint64_t within = (normal & ((UINT64_C(1) << STEP_SHIFT) - 1)) >> (STEP_SHIFT - WITHIN_BITS);
  uint64_t rise = r->log2_e40[step + 1] - r->log2_e40[step];
  uint64_t log = r->log2_e40[step] + (rise * within >> WITHIN_BITS);
  return ((uint64_t)(zeros + 1) << LOG_BITS) - log;
}

int rendezvous_cmp(uint64_t distance_a, int64_t weight_a, uint64_t distance_b, int64_t weight_b) {
  uint64_t a = distance_a * (uint64_t)weight_b, b = distance_b * (uint64_t)weight_a;
  return (a > b) - (a < b);
}
