/* Weighted rendezvous hashing (Thaler and Ravishankar 1998, weights after Schindelhauer and Schomaker 2005) in whole
 * numbers: of all targets an affinity has one it likes best, then one it likes second best, and so on; a target that
 * goes away moves its own affinities alone. */
#ifndef METERHOUSE_GATEWAY_RENDEZVOUS_H
#define METERHOUSE_GATEWAY_RENDEZVOUS_H
#include "base/base.h"

#define RENDEZVOUS_STEPS 256
struct rendezvous {
  uint64_t log2_e40[RENDEZVOUS_STEPS + 1]; /* log2(1 + i/256) x 2^40 */
};
void rendezvous_start(struct rendezvous *r);
/* How far `affinity` is from a target: -log2 of a uniform hash, x 2^40, below 2^47. Of two targets with weights it
 * likes the one better whose distance / weight is less. */
uint64_t rendezvous_distance(const struct rendezvous *r, uint64_t affinity, uint64_t target);
/* -1 when the first is liked better, 1 when the second is; weights from 1 to 65535. */
int rendezvous_cmp(uint64_t distance_a, int64_t weight_a, uint64_t distance_b, int64_t weight_b);
#endif
