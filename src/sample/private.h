/* Inside sample: the imagined operator, its pools and its customers. */
#ifndef METERHOUSE_SAMPLE_PRIVATE_H
#define METERHOUSE_SAMPLE_PRIVATE_H
#include "base/hash.h"
#include "base/time.h"
#include "sample/sample.h"

enum profile { PAY_AS_YOU_GO, SUBSCRIPTION, FREEMIUM, ENTERPRISE, RESERVED };
struct person {
  char id[32], name[64];
  enum profile profile;
  unsigned country, weight, reserved_pool, reserved_gpus;
};
struct sample_pool {
  const char *name, *gpu, *site;
  unsigned count_per_40; /* GPUs for 40 customers */
  unsigned utilization_percent;
  const char *price, *later_price, *capex, *power_kw;
};
#define SAMPLE_POOLS 5
extern const struct sample_pool sample_pools[SAMPLE_POOLS];
struct model {
  const char *name, *input, *cached, *output;
  unsigned weight;
};
#define SAMPLE_MODELS 5
extern const struct model sample_models[SAMPLE_MODELS];

struct world {
  struct sample_options options;
  struct arena *arena;
  struct person *people;
  struct period period;
  char month[16];
  struct sample_result *result;
};
unsigned pool_count(const struct world *w, unsigned pool);
void make_people(struct world *w);
const char *country_code(unsigned country);
const char *country_zone(unsigned country);
const char *country_tax(unsigned country);
const char *country_city(unsigned country);
MUST_USE bool write_catalog(const struct world *w, struct error *err);
MUST_USE bool write_usage(struct world *w, struct error *err);
MUST_USE bool write_logo(const char *path, struct error *err);
#endif
