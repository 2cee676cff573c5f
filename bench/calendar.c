/* The capacity calendar with 100,000 leases, sold one after another as customers come: times of a lease and of each
 * question, one JSON line each. The peer is what a first version would do: a plain list of leases, of which those that
 * touch the stretch are picked out and their changes sorted. */
#include "sell/calendar.h"
#include "base/hash.h"
#include "measure.h"
#include <stdlib.h>
#include <time.h>

#define LEASES 100000
#define QUESTIONS 20000
#define PEER_QUESTIONS 500
#define WORST_QUESTIONS 200
#define HOUR_NS (3600 * NS_PER_S)
#define POOL_GPUS 1536
#define HOURS (3 * 365 * 24)

/* Times by the clock; the longest by the processor's time, since the clock counts whoever else it is given to. */
struct times {
  const char *what;
  double *seconds, most_cpu_s;
  size_t count;
};
struct begun {
  double cpu_s, wall_s;
};

static struct random rng;

static struct times times_new(const char *what, size_t count) {
  return (struct times){what, mem_alloc(count * sizeof(double)), 0, 0};
}

static double cpu_s(void) {
  struct timespec t;
  must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct begun begin(void) {
  double cpu = cpu_s();
  return (struct begun){cpu, measure_wall_s()};
}

static void times_add(struct times *t, struct begun begun) {
  t->seconds[t->count++] = measure_wall_s() - begun.wall_s;
  double took_s = cpu_s() - begun.cpu_s;
  t->most_cpu_s = took_s > t->most_cpu_s ? took_s : t->most_cpu_s;
}

/* Prints the figures and returns the median, in us. */
static double times_end(struct times *t) {
  double median_us = measure_median(t->seconds, t->count) * 1e6;
  printf("{\"bench\":\"calendar\",\"what\":\"%s\",\"leases\":%d,\"count\":%zu,\"p50_us\":%.2f,\"p99_us\":%.2f,"
         "\"most_cpu_us\":%.1f}\n",
         t->what, LEASES, t->count, median_us, measure_quantile(t->seconds, t->count, 0.99) * 1e6, t->most_cpu_s * 1e6);
  free(t->seconds);
  return median_us;
}

static instant hour(int64_t hours) {
  return (instant){INT64_C(1789862400) * NS_PER_S + hours * HOUR_NS};
}

static quantity gpus(int64_t count) {
  return (quantity){count * QUANTITY_E9};
}

/* A customer who wants 1 to 16 GPUs for 1 to 72 hours, as soon as may be after some time. */
struct wish {
  instant after;
  int64_t length_ns;
  quantity units;
};

static struct wish random_wish(void) {
  return (struct wish){.after = hour((int64_t)random_below(&rng, HOURS)),
                       .length_ns = (int64_t)(1 + random_below(&rng, 72)) * HOUR_NS,
                       .units = gpus((int64_t)(1 + random_below(&rng, 16)))};
}

static struct calendar_entry entry_of(const char *id, const struct wish *wish, instant from) {
  return (struct calendar_entry){slice_of(id), CALENDAR_FIRM, from, (instant){from.ns + wish->length_ns}, wish->units};
}

static bool find_start(const struct calendar *c, const struct wish *wish, instant *start) {
  return calendar_earliest(c, wish->units, wish->length_ns, wish->after, INSTANT_MAX, CALENDAR_FIRM, false, start);
}

/* ---- the peer ---- */

struct change {
  int64_t at_ns;
  int128 units_e9;
};
struct list {
  VEC(struct calendar_entry) leases;
  VEC(struct change) changes;
};

static int by_time(const void *a, const void *b) {
  const struct change *x = a, *y = b;
  int order = (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
  return order != 0 ? order : (x->units_e9 > y->units_e9) - (x->units_e9 < y->units_e9);
}

static bool keep(void *context, const struct calendar_entry *entry) {
  struct list *list = context;
  vec_push(&list->leases, *entry);
  return true;
}

static quantity list_free_units(struct list *list, instant from, instant to) {
  int128 held_e9 = 0, most_e9 = 0;
  list->changes.count = 0;
  for (size_t i = 0; i < list->leases.count; i++) {
    const struct calendar_entry *e = &list->leases.items[i];
    if (e->from.ns < to.ns && e->to.ns > from.ns) {
      vec_push(&list->changes, (struct change){time_later(e->from, from).ns, e->units.e9});
      vec_push(&list->changes, (struct change){e->to.ns, -e->units.e9});
    }
  }
  if (list->changes.count > 0) {
    qsort(list->changes.items, list->changes.count, sizeof *list->changes.items, by_time);
  }
  for (size_t i = 0; i < list->changes.count && list->changes.items[i].at_ns < to.ns; i++) {
    held_e9 += list->changes.items[i].units_e9;
    most_e9 = held_e9 > most_e9 ? held_e9 : most_e9;
  }
  return (quantity){POOL_GPUS * QUANTITY_E9 - most_e9};
}

/* ---- the parts ---- */

static void fill(struct calendar *c) {
  struct times earliest = times_new("earliest, while it fills", LEASES), put = times_new("put", LEASES);
  struct error err = {0};
  for (int i = 0; i < LEASES; i++) {
    char id[16];
    struct wish wish = random_wish();
    instant start = wish.after;
    snprintf(id, sizeof id, "lea_%d", i);
    struct begun begun = begin();
    must(find_start(c, &wish, &start));
    times_add(&earliest, begun);
    struct calendar_entry e = entry_of(id, &wish, start);
    begun = begin();
    measure_check(calendar_put(c, &e, false, NULL, &err), &err);
    times_add(&put, begun);
  }
  times_end(&earliest);
  times_end(&put);
}

static void ask(struct calendar *c) {
  struct times units = times_new("free", QUESTIONS), peer = times_new("free, a list of leases", PEER_QUESTIONS);
  struct times earliest = times_new("earliest", QUESTIONS);
  struct list list = {0};
  calendar_list(c, hour(0), INSTANT_MAX, keep, &list);
  for (int i = 0; i < QUESTIONS; i++) {
    struct wish wish = random_wish();
    instant to = {wish.after.ns + wish.length_ns}, start;
    struct begun begun = begin();
    quantity found = calendar_free_units(c, wish.after, to, CALENDAR_FIRM, false);
    times_add(&units, begun);
    begun = begin();
    must(find_start(c, &wish, &start));
    times_add(&earliest, begun);
    if (i < PEER_QUESTIONS) {
      begun = begin();
      quantity again = list_free_units(&list, wish.after, to);
      times_add(&peer, begun);
      must(quantity_cmp(found, again) == 0);
    }
  }
  times_end(&earliest);
  double ours_us = times_end(&units), peers_us = times_end(&peer);
  measure_report(&(struct figure){.bench = "calendar",
                                  .unit = "free/s, by the median",
                                  .peer = "a list of leases",
                                  .ours = 1e6 / ours_us,
                                  .peers = 1e6 / peers_us});
  vec_free(&list.leases);
  vec_free(&list.changes);
}

static void end_all(struct calendar *c) {
  struct times end = times_new("end", LEASES);
  for (int i = 0; i < LEASES; i++) {
    char id[16];
    snprintf(id, sizeof id, "lea_%d", (int)((int64_t)i * 7919 % LEASES));
    struct begun begun = begin();
    must(calendar_end(c, slice_of(id), hour(0)));
    times_add(&end, begun);
  }
  must(calendar_count(c) == 0);
  times_end(&end);
}

/* A lease every second hour that takes all there is: no gap will do, and each has to be looked at. */
static void worst_case(void) {
  struct calendar *c = calendar_new();
  struct error err = {0};
  struct times earliest = times_new("earliest, no gap of 100,000 will do", WORST_QUESTIONS),
               refused = times_new("put that is refused there", WORST_QUESTIONS);
  struct wish wish = {hour(0), HOUR_NS, gpus(POOL_GPUS)};
  instant start;
  calendar_set_capacity(c, hour(0), gpus(POOL_GPUS));
  for (int i = 0; i < LEASES; i++) {
    char id[16];
    snprintf(id, sizeof id, "lea_%d", i);
    struct calendar_entry e = entry_of(id, &wish, hour(2 * i));
    measure_check(calendar_put(c, &e, false, NULL, &err), &err);
  }
  wish.length_ns = 2 * HOUR_NS;
  struct calendar_entry e = entry_of("one more", &wish, hour(0));
  for (int i = 0; i < WORST_QUESTIONS; i++) {
    struct begun begun = begin();
    must(find_start(c, &wish, &start) && start.ns == hour(2 * LEASES - 1).ns);
    times_add(&earliest, begun);
    begun = begin();
    must(!calendar_put(c, &e, false, NULL, &err));
    times_add(&refused, begun);
  }
  times_end(&earliest);
  times_end(&refused);
  calendar_free(c);
}

int main(void) {
  random_seed(&rng, 1, 0);
  struct calendar *c = calendar_new();
  calendar_set_capacity(c, hour(0), gpus(POOL_GPUS));
  fill(c);
  ask(c);
  end_all(c);
  worst_case();
  calendar_free(c);
  return 0;
}
