/* The sample's usage as CloudEvents: leases by pool until its utilization is reached, tokens by the hour, storage, API
 * calls; one event in two hundred is sent twice, as networks do. */
#include "base/json.h"
#include "base/log.h"
#include "sample/private.h"
#include <string.h>
#include <zlib.h>

#define RESENT_ONE_IN 200
#define EVENT_TEXT_MAX ((size_t)4096)
#define HOUR_S INT64_C(3600)

struct sender {
  struct world *w;
  gzFile file;
  struct random random;
  struct buf text;
  struct json_out json;
  bool failed;
};

/* ---- one event ---- */

static void begin(struct sender *s, const char *type, const struct person *p, instant t, const char *id) {
  char time[TIME_TEXT_MAX];
  s->text.len = 0;
  json_out_init(&s->json, &s->text, false);
  json_open_object(&s->json);
  json_put_cstr(&s->json, "specversion", "1.0");
  json_put_cstr(&s->json, "id", id);
  json_put_cstr(&s->json, "source", "northwind/metering");
  json_put_cstr(&s->json, "type", type);
  json_put_cstr(&s->json, "subject", p->id);
  json_put_cstr(&s->json, "time", time_format(t, time));
  json_key(&s->json, "data");
  json_open_object(&s->json);
}

static void send(struct sender *s) {
  json_close_object(&s->json);
  json_close_object(&s->json);
  buf_addc(&s->text, '\n');
  bool twice = random_below(&s->random, RESENT_ONE_IN) == 0;
  for (int i = 0; i <= twice; i++) {
    s->failed = s->failed || gzwrite(s->file, s->text.ptr, (unsigned)s->text.len) != (int)s->text.len;
  }
  s->w->result->events += 1 + twice;
  s->w->result->repeated += twice;
}

/* ---- leases ---- */

static void lease_event(struct sender *s, const struct person *p, unsigned pool, const char *class, uint64_t lease,
                        instant t, const char *which, const char *gpus) {
  char id[64], name[40];
  snprintf(name, sizeof name, "lea-%s-%06llu", sample_pools[pool].name, (unsigned long long)lease);
  snprintf(id, sizeof id, "%s/%s", name, which);
  begin(s, "gpu.lease", p, t, id);
  json_put_cstr(&s->json, "lease", name);
  json_put_cstr(&s->json, "gpu", sample_pools[pool].gpu);
  json_put_cstr(&s->json, "class", class);
  json_put_cstr(&s->json, "site", sample_pools[pool].site);
  json_key(&s->json, "gpus");
  json_raw(&s->json, slice_of(gpus));
  send(s);
}

struct size {
  const char *text;
  unsigned quarters;
};

static void lease(struct sender *s, const struct person *p, unsigned pool, const char *class, uint64_t number,
                  const char *gpus, instant from, int64_t seconds) {
  lease_event(s, p, pool, class, number, from, "start", gpus);
  int64_t end = from.ns + seconds * NS_PER_S;
  /* A sample of some days ends every lease with its last day; one of a whole month lets them run on. */
  if (s->w->options.days < 28 && end > s->w->period.to.ns) {
    end = s->w->period.to.ns;
  }
  if (end <= s->w->period.to.ns) {
    lease_event(s, p, pool, class, number, (instant){end}, "end", "0");
  }
}

static const char *random_class(struct random *r) {
  uint64_t u = random_below(r, 100);
  return u < 62 ? "on_demand" : u < 75 ? "priority" : "spot";
}

static bool rents(const struct person *p, unsigned pool) {
  if (p->profile == FREEMIUM) {
    return false;
  }
  return p->profile != SUBSCRIPTION || strcmp(sample_pools[pool].gpu, "L40S") == 0;
}

/* Somebody who rents in this pool, the large ones more often. */
static const struct person *pick(struct sender *s, unsigned pool, uint64_t total_weight) {
  uint64_t at = random_below(&s->random, total_weight);
  for (uint64_t i = 0; i < s->w->options.customers; i++) {
    const struct person *p = &s->w->people[i];
    if (!rents(p, pool)) {
      continue;
    }
    if (at < p->weight) {
      return p;
    }
    at -= p->weight;
  }
  return NULL;
}

static uint64_t pool_weight(const struct world *w, unsigned pool) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < w->options.customers; i++) {
    total += rents(&w->people[i], pool) ? w->people[i].weight : 0;
  }
  return total;
}

/* What the reserved customers hold all month, in GPU-quarter-seconds. */
static int64_t reserved_leases(struct sender *s, unsigned pool, uint64_t *number) {
  int64_t seconds = (s->w->period.to.ns - s->w->period.from.ns) / NS_PER_S, sold = 0;
  for (uint64_t i = 0; i < s->w->options.customers; i++) {
    const struct person *p = &s->w->people[i];
    if (p->profile != RESERVED || p->reserved_pool != pool) {
      continue;
    }
    char gpus[16];
    unsigned used = p->reserved_gpus - (unsigned)random_below(&s->random, 4);
    snprintf(gpus, sizeof gpus, "%u", used);
    lease(s, p, pool, "reserved", (*number)++, gpus, s->w->period.from, seconds + HOUR_S);
    sold += seconds * 4 * used;
  }
  return sold;
}

static void pool_leases(struct sender *s, unsigned pool) {
  static const struct size sizes[] = {{"0.25", 1}, {"0.5", 2}, {"1", 4},   {"2", 8},   {"4", 16},
                                      {"8", 32},   {"8", 32},  {"16", 64}, {"32", 128}};
  int64_t seconds = (s->w->period.to.ns - s->w->period.from.ns) / NS_PER_S;
  int64_t wanted = seconds * 4 * pool_count(s->w, pool) / 100 * sample_pools[pool].utilization_percent;
  uint64_t number = 1, weight = pool_weight(s->w, pool);
  bool small = strcmp(sample_pools[pool].gpu, "L40S") == 0;
  for (int64_t sold = reserved_leases(s, pool, &number); sold < wanted && weight > 0; number++) {
    const struct person *p = pick(s, pool, weight);
    const struct size *size = &sizes[random_below(&s->random, small ? 5 : sizeof sizes / sizeof *sizes)];
    int64_t start = (int64_t)random_below(&s->random, (uint64_t)seconds),
            length = 900 + (int64_t)random_below(&s->random, 96 * HOUR_S);
    instant from = {s->w->period.from.ns + start * NS_PER_S + (int64_t)random_below(&s->random, 1000) * 1000000};
    lease(s, p, pool, random_class(&s->random), number, size->text, from, length);
    sold += (start + length < seconds ? length : seconds - start) * size->quarters;
  }
}

/* ---- tokens, storage, calls ---- */

/* People work by day and the models with them: the factor of an hour, of 100. */
static unsigned busy(int64_t hour) {
  static const unsigned by_hour[24] = {35,  30,  26,  24,  24,  28, 38, 55, 80, 100, 112, 115,
                                       110, 112, 118, 116, 108, 96, 84, 74, 66, 58,  50,  42};
  bool weekend = (hour / 24 + 4) % 7 == 6 || (hour / 24 + 4) % 7 == 0; /* 1970-01-01 was a Thursday */
  return by_hour[hour % 24] * (weekend ? 55u : 100u) / 100u;
}

static void put_count(struct sender *s, const char *key, uint64_t n) {
  json_put_int(&s->json, key, (int64_t)n);
}

static void hour_of_tokens(struct sender *s, const struct person *p, unsigned model, instant hour) {
  char id[96];
  uint64_t h = (uint64_t)(hour.ns / NS_PER_S / HOUR_S);
  uint64_t calls = (uint64_t)p->weight * sample_models[model].weight * busy((int64_t)h) *
                   (80 + random_below(&s->random, 40)) / (p->profile == FREEMIUM ? 40000 : 1500);
  uint64_t input = calls * (900 + random_below(&s->random, 1500)),
           cached = input / 100 * (10 + random_below(&s->random, 30));
  bool embeds = strcmp(sample_models[model].output, "0") == 0;
  if (calls == 0) {
    return;
  }
  snprintf(id, sizeof id, "%s/%s/%llu", p->id, sample_models[model].name, (unsigned long long)h);
  begin(s, "model.usage", p, (instant){hour.ns + HOUR_S * NS_PER_S - 1}, id);
  json_put_cstr(&s->json, "model", sample_models[model].name);
  put_count(s, "calls", calls);
  put_count(s, "input_tokens", input - cached);
  put_count(s, "cached_input_tokens", cached);
  put_count(s, "output_tokens", embeds ? 0 : calls * (180 + random_below(&s->random, 240)));
  send(s);
}

static void hour_of_calls(struct sender *s, const struct person *p, instant hour) {
  char id[96];
  uint64_t h = (uint64_t)(hour.ns / NS_PER_S / HOUR_S);
  snprintf(id, sizeof id, "%s/calls/%llu", p->id, (unsigned long long)h);
  begin(s, "api.usage", p, (instant){hour.ns + HOUR_S * NS_PER_S - 1}, id);
  put_count(s, "calls", 20 + (uint64_t)p->weight * busy((int64_t)h) / 20 + random_below(&s->random, 60));
  send(s);
}

static void day_of_storage(struct sender *s, const struct person *p, instant day, const char *tier,
                           uint64_t gigabytes) {
  char id[96], volume[64];
  snprintf(volume, sizeof volume, "%s-%s", p->id, tier);
  snprintf(id, sizeof id, "%s/%lld", volume, (long long)(day.ns / NS_PER_S));
  begin(s, "storage.level", p, day, id);
  json_put_cstr(&s->json, "volume", volume);
  json_put_cstr(&s->json, "tier", tier);
  put_count(s, "gigabytes", gigabytes);
  send(s);
}

static void person_platform(struct sender *s, const struct person *p) {
  unsigned first = (unsigned)random_below(&s->random, SAMPLE_MODELS),
           second = (unsigned)random_below(&s->random, SAMPLE_MODELS);
  uint64_t object = 50 + (uint64_t)p->weight * (20 + random_below(&s->random, 80)),
           fast = 10 + (uint64_t)p->weight * (5 + random_below(&s->random, 20));
  for (instant t = s->w->period.from; t.ns < s->w->period.to.ns; t.ns += HOUR_S * NS_PER_S) {
    if (t.ns % (24 * HOUR_S * NS_PER_S) == 0) {
      day_of_storage(s, p, t, "object", object += object / 100 * random_below(&s->random, 3));
      if (p->profile != FREEMIUM) {
        day_of_storage(s, p, t, "nvme", fast += random_below(&s->random, 9));
      }
    }
    hour_of_tokens(s, p, first, t);
    if (second != first) {
      hour_of_tokens(s, p, second, t);
    }
    hour_of_calls(s, p, t);
  }
}

/* ---- files ---- */

static bool open_file(struct sender *s, struct world *w, const char *name, uint64_t stream, struct error *err) {
  const char *path = arena_printf(w->arena, "%s/usage/%s.ndjson.gz", w->options.out_dir, name);
  *s = (struct sender){.w = w, .file = gzopen(path, "wb6")};
  if (s->file == NULL) {
    return error_set(err, ERR_IO, "%s can not be written", path);
  }
  random_seed(&s->random, w->options.seed, stream);
  buf_init(&s->text, EVENT_TEXT_MAX);
  return true;
}

static bool close_file(struct sender *s, const char *name, struct error *err) {
  bool ok = gzclose(s->file) == Z_OK && !s->failed && !s->text.failed;
  buf_free(&s->text);
  return ok || error_set(err, ERR_IO, "usage/%s.ndjson.gz: not all of it could be written", name);
}

static bool write_leases(struct world *w, struct error *err) {
  struct sender s;
  if (!open_file(&s, w, "leases", 2, err)) {
    return false;
  }
  for (unsigned pool = 0; pool < SAMPLE_POOLS; pool++) {
    pool_leases(&s, pool);
  }
  return close_file(&s, "leases", err);
}

static bool write_platform(struct world *w, struct error *err) {
  struct sender s;
  if (!open_file(&s, w, "platform", 3, err)) {
    return false;
  }
  for (uint64_t i = 0; i < w->options.customers; i++) {
    person_platform(&s, &w->people[i]);
    log_progress("customers", i + 1, w->options.customers);
  }
  return close_file(&s, "platform", err);
}

bool write_usage(struct world *w, struct error *err) {
  return write_leases(w, err) && write_platform(w, err);
}
