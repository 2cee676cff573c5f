/* The last five minutes, of a model or a customer, in slices of 15 s; and which customers are kept in memory. */
#include "gateway/figures_parts.h"
#include <sched.h>
#include <stdlib.h>

#define EVICT_LOOKS 32 /* at the least lately seen, for one without open calls */

bool read_holds(const struct written *w, uint32_t begun) {
  bool holds = begun % 2 == 0 && atomic_load_explicit(&w->times, memory_order_acquire) == begun;
  if (!holds) {
    sched_yield();
  }
  return holds;
}

void exact_add(struct exact *e, int128 more) {
  int128 value = halves_of(&e->value) + more;
  write_begin(&e->written);
  halves_set(&e->value, value);
  write_end(&e->written);
}

int128 exact_of(const struct exact *e) {
  for (;;) {
    uint32_t begun = read_begin(&e->written);
    int128 value = halves_of(&e->value);
    if (read_holds(&e->written, begun)) {
      return value;
    }
  }
}

static void slice_clear(struct live_slice *s, uint64_t number) {
  figure_set(&s->number, number);
  figure_set(&s->calls, 0);
  figure_set(&s->foreign, 0);
  figure_set(&s->input, 0);
  figure_set(&s->output, 0);
  halves_set(&s->charged, 0);
  halves_set(&s->cost, 0);
}

static uint64_t slice_number(instant now) {
  return (uint64_t)(now.ns / (LIVE_SLICE_S * NS_PER_S));
}

void figures_live_open(struct live *l) {
  figure_add(&l->open, 1);
}

void live_close(struct live *l, instant now, const struct live_sum *more) {
  uint64_t number = slice_number(now);
  struct live_slice *s = &l->slices[number % LIVE_SLICES];
  write_begin(&l->written);
  figure_set(&l->open, figure_of(&l->open) - 1);
  if (figure_of(&s->number) < number) {
    slice_clear(s, number);
  }
  figure_add(&s->calls, more->calls);
  figure_add(&s->foreign, more->foreign);
  figure_add(&s->input, more->input);
  figure_add(&s->output, more->output);
  halves_set(&s->charged, halves_of(&s->charged) + more->charged);
  halves_set(&s->cost, halves_of(&s->cost) + more->cost);
  write_end(&l->written);
}

static void add_up(const struct live *l, instant now, uint64_t slices, struct live_sum *sum) {
  uint64_t last = slice_number(now);
  for (size_t i = 0; i < LIVE_SLICES; i++) {
    const struct live_slice *s = &l->slices[i];
    uint64_t number = figure_of(&s->number);
    if (number <= last && number + slices > last) {
      sum->calls += figure_of(&s->calls);
      sum->foreign += figure_of(&s->foreign);
      sum->input += figure_of(&s->input);
      sum->output += figure_of(&s->output);
      sum->charged += halves_of(&s->charged);
      sum->cost += halves_of(&s->cost);
    }
  }
}

void live_add_up(const struct live *l, instant now, uint64_t slices, struct live_sum *sum) {
  for (;;) {
    struct live_sum found = *sum;
    uint32_t begun = read_begin(&l->written);
    add_up(l, now, slices, &found);
    if (read_holds(&l->written, begun)) {
      *sum = found;
      return;
    }
  }
}

struct live_customer *live_customer_at(const struct live_customers *all, uint32_t slot) {
  return &atomic_load_explicit(&all->chunks[slot / LIVE_CHUNK], memory_order_acquire)[slot % LIVE_CHUNK];
}

static void unlink_slot(struct live_customers *all, uint32_t slot) {
  struct live_customer *one = live_customer_at(all, slot);
  *(one->newer ? &live_customer_at(all, one->newer - 1u)->older : &all->newest) = one->older;
  *(one->older ? &live_customer_at(all, one->older - 1u)->newer : &all->oldest) = one->newer;
}

static void link_newest(struct live_customers *all, uint32_t slot) {
  struct live_customer *one = live_customer_at(all, slot);
  one->newer = 0;
  one->older = all->newest;
  *(all->newest ? &live_customer_at(all, all->newest - 1u)->newer : &all->oldest) = (uint16_t)(slot + 1);
  all->newest = (uint16_t)(slot + 1);
}

static uint32_t fresh_slot(struct live_customers *all) {
  uint32_t slot = atomic_load_explicit(&all->count, memory_order_relaxed);
  if (slot % LIVE_CHUNK == 0) {
    atomic_store_explicit(&all->chunks[slot / LIVE_CHUNK], mem_alloc(LIVE_CHUNK * sizeof(struct live_customer)),
                          memory_order_release);
  }
  return slot;
}

/* The slot of the least lately seen one without open calls, unlinked. */
static bool evict(struct live_customers *all, uint32_t *slot) {
  uint16_t at = all->oldest;
  for (int look = 0; look < EVICT_LOOKS && at != 0; look++) {
    struct live_customer *one = live_customer_at(all, at - 1u);
    if (figure_of(&one->live.open) == 0) {
      *slot = at - 1u;
      unlink_slot(all, *slot);
      all->slot_of[atomic_load_explicit(&one->customer, memory_order_relaxed)->index] = 0;
      return true;
    }
    at = one->newer;
  }
  return false;
}

static void settle_in(struct live_customer *one, const struct customer *customer) {
  write_begin(&one->live.written);
  atomic_store_explicit(&one->customer, customer, memory_order_release);
  for (size_t i = 0; i < LIVE_SLICES; i++) {
    slice_clear(&one->live.slices[i], 0);
  }
  write_end(&one->live.written);
}

uint32_t live_customer_take(struct live_customers *all, const struct customer *customer) {
  uint32_t slot = all->slot_of[customer->index];
  if (slot != 0) {
    unlink_slot(all, slot - 1);
    link_newest(all, slot - 1);
    return slot;
  }
  bool room = atomic_load_explicit(&all->count, memory_order_relaxed) < FIGURES_CUSTOMERS_MAX;
  if (room) {
    slot = fresh_slot(all);
  } else if (!evict(all, &slot)) {
    return 0;
  }
  settle_in(live_customer_at(all, slot), customer);
  link_newest(all, slot);
  all->slot_of[customer->index] = (uint16_t)(slot + 1);
  if (room) {
    atomic_store_explicit(&all->count, slot + 1, memory_order_release);
  }
  return slot + 1;
}

const struct customer *live_customer_read(const struct live_customer *one, instant now, uint64_t *open,
                                          struct live_sum *minute, struct live_sum *minutes) {
  for (;;) {
    uint32_t begun = read_begin(&one->live.written);
    const struct customer *customer = atomic_load_explicit(&one->customer, memory_order_acquire);
    *open = figure_of(&one->live.open);
    *minute = *minutes = (struct live_sum){0};
    add_up(&one->live, now, LIVE_MINUTE, minute);
    add_up(&one->live, now, LIVE_SLICES, minutes);
    if (read_holds(&one->live.written, begun)) {
      return customer;
    }
  }
}

void live_customers_free(struct live_customers *all) {
  for (size_t i = 0; i < FIGURES_CUSTOMERS_MAX / LIVE_CHUNK; i++) {
    free(atomic_load(&all->chunks[i]));
  }
  free(all->slot_of);
}
