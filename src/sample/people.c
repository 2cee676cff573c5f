/* The customers: names, countries, and what kind of buyer each is. */
#include "sample/private.h"
#include <string.h>

struct country {
  const char *code, *zone, *tax, *city;
};
static const struct country countries[] = {
    {"NL", "Europe/Amsterdam", "nl-standard", "1017 CA Amsterdam"},
    {"DE", "Europe/Berlin", "eu-reverse", "10117 Berlin"},
    {"FR", "Europe/Paris", "eu-reverse", "75002 Paris"},
    {"NO", "Europe/Oslo", "export", "0150 Oslo"},
    {"US", "UTC", "export", "San Francisco, CA 94105"},
    {"US", "UTC", "export", "Austin, TX 78701"},
    {"GB", "Europe/London", "export", "London EC1A 4HD"},
};
#define COUNTRIES (sizeof countries / sizeof *countries)

const char *country_code(unsigned c) {
  return countries[c].code;
}
const char *country_zone(unsigned c) {
  return countries[c].zone;
}
const char *country_tax(unsigned c) {
  return countries[c].tax;
}
const char *country_city(unsigned c) {
  return countries[c].city;
}

static const char *const first_words[] = {"Lattice", "Ember",   "Quill",    "Harbor",  "Cobalt", "Meridian", "Juniper",
                                          "Fathom",  "Orchard", "Vantage",  "Saffron", "Tundra", "Beacon",   "Cinder",
                                          "Willow",  "Granite", "Solstice", "Aspen",   "Drift",  "Kestrel"};
static const char *const second_words[] = {
    "Robotics", "Health",    "Labs",  "Analytics", "Genomics", "Media", "Capital", "Systems", "Motion",  "Retail",
    "Research", "Logistics", "Games", "Insurance", "Energy",   "Voice", "Vision",  "Legal",   "Weather", "Studios"};

/* Of twenty customers: seven pay as they go, four subscribe, four are on the free plan, three are enterprises, two
 * reserve. */
static enum profile profile_of(uint64_t i) {
  static const enum profile twenty[20] = {ENTERPRISE,    PAY_AS_YOU_GO, SUBSCRIPTION,  FREEMIUM,      RESERVED,
                                          PAY_AS_YOU_GO, PAY_AS_YOU_GO, SUBSCRIPTION,  FREEMIUM,      ENTERPRISE,
                                          PAY_AS_YOU_GO, SUBSCRIPTION,  PAY_AS_YOU_GO, FREEMIUM,      RESERVED,
                                          PAY_AS_YOU_GO, ENTERPRISE,    SUBSCRIPTION,  PAY_AS_YOU_GO, FREEMIUM};
  return twenty[i % 20];
}

/* A few are large, most are small. */
static unsigned weight_of(struct random *r, enum profile profile) {
  uint64_t u = random_below(r, 100);
  unsigned size = (unsigned)(4 + u * u * u / 12000);
  return profile == ENTERPRISE ? size * 3 + 40 : profile == RESERVED ? size + 25 : size;
}

static void name_person(struct person *p, uint64_t i, uint64_t shift) {
  const char *first = first_words[(i + shift) % 20], *second = second_words[(i / 20 + 7 * i + shift) % 20];
  uint64_t round = i / 400;
  snprintf(p->name, sizeof p->name, "%s %s", first, second);
  if (round > 0) {
    snprintf(p->name, sizeof p->name, "%s %s %llu", first, second, (unsigned long long)round + 1);
  }
  snprintf(p->id, sizeof p->id, "%s-%s", first, second);
  for (char *c = p->id; *c; c++) {
    *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
  }
  if (round > 0) {
    size_t length = strlen(p->id);
    snprintf(p->id + length, sizeof p->id - length, "-%llu", (unsigned long long)round + 1);
  }
}

void make_people(struct world *w) {
  struct random r;
  random_seed(&r, w->options.seed, 1);
  uint64_t shift = random_below(&r, 20);
  w->people = arena_array(w->arena, w->options.customers, sizeof *w->people);
  for (uint64_t i = 0; i < w->options.customers; i++) {
    struct person *p = &w->people[i];
    name_person(p, i, shift);
    p->profile = profile_of(i);
    p->country = (unsigned)random_below(&r, COUNTRIES);
    p->weight = weight_of(&r, p->profile);
    p->reserved_pool = 1 + (unsigned)random_below(&r, 2);
    p->reserved_gpus = p->profile == RESERVED ? 8 + 8 * (unsigned)random_below(&r, 3) : 0;
  }
}
