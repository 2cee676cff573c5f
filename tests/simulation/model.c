/* The promises of a book as arrays: events made from their number, balances in cents, holds with their state. */
#include "model.h"
#include <string.h>

#define FIRST_TIME_NS (INT64_C(1790380800) * NS_PER_S) /* 2026-09-26 */
#define DAYS 45

/* ---- events ---- */

static uint64_t mix(uint64_t seed, uint32_t number, uint64_t salt) {
  uint64_t words[2] = {number, salt};
  return hash64((slice){(const char *)words, sizeof words}, seed);
}

static const char *const customers[] = {"acme", "bolt", "crow"};
static const char *const regions[] = {"eu", "us"};

static struct event usage_event(struct arena *arena, uint64_t bits, unsigned variant) {
  struct event_field *f = arena_array(arena, 3, sizeof *f);
  f[0] =
      (struct event_field){SLICE("n"), slice_of(arena_printf(arena, "%u", (unsigned)(bits % 997) * 3 + variant)), true};
  f[1] = (struct event_field){SLICE("region"), slice_of(regions[bits / 1000 % 2]), false};
  f[2] = (struct event_field){SLICE("user"), slice_of(arena_printf(arena, "u%u", (unsigned)(bits / 2000 % 40))), false};
  return (struct event){.type = SLICE("api.usage"), .fields = f, .field_count = 3};
}

static struct event lease_event(struct arena *arena, uint64_t bits, unsigned variant) {
  struct event_field *f = arena_array(arena, 2, sizeof *f);
  f[0] = (struct event_field){SLICE("gpus"), slice_of(arena_printf(arena, "%u", (unsigned)(bits % 3) * 3 + variant)),
                              true};
  f[1] = (struct event_field){SLICE("lease"), slice_of(arena_printf(arena, "l%u", (unsigned)(bits / 8 % 12))), false};
  return (struct event){.type = SLICE("gpu.lease"), .fields = f, .field_count = 2};
}

/* Ids run on in some sources and are random in others. */
static slice event_id(struct arena *arena, uint64_t seed, uint32_t number) {
  if (mix(seed, 0, 1) % 3 == 0) {
    return slice_of(arena_printf(arena, "e-%u", number));
  }
  return slice_of(arena_printf(arena, "%016llx-%u", (unsigned long long)mix(seed, number, 2), number));
}

struct event model_event(struct arena *arena, uint64_t seed, uint32_t number, unsigned variant) {
  uint64_t bits = mix(seed, number, 3), when = mix(seed, number, 4);
  struct event e = bits % 7 == 0 ? lease_event(arena, bits / 7, variant) : usage_event(arena, bits / 7, variant);
  e.id = event_id(arena, seed, number);
  e.source = slice_of(arena_printf(arena, "//sim/%u", number % 3));
  e.subject = slice_of(customers[bits / 100000 % 3]);
  e.time.ns = FIRST_TIME_NS + (int64_t)(when % (DAYS * 86400)) * NS_PER_S + (bits % 4 == 0 ? (int64_t)(bits % 999) : 0);
  return e;
}

bool model_event_number(slice id, uint32_t *number) {
  size_t at = id.len;
  while (at > 0 && id.ptr[at - 1] >= '0' && id.ptr[at - 1] <= '9') {
    at--;
  }
  *number = 0;
  for (size_t i = at; i < id.len && *number < MODEL_EVENTS; i++) {
    *number = *number * 10 + (uint32_t)(id.ptr[i] - '0');
  }
  return at > 0 && at < id.len && id.ptr[at - 1] == '-' && *number < MODEL_EVENTS;
}

enum verdict model_take(struct naive *m, uint32_t number, unsigned variant) {
  must(number < MODEL_EVENTS && variant < MODEL_VARIANTS);
  if (m->accepted[number] == 0) {
    m->accepted[number] = (uint8_t)(variant + 1);
    m->accepted_count++;
    return EVENT_ACCEPTED;
  }
  return m->accepted[number] == variant + 1 ? EVENT_DUPLICATE : EVENT_CONFLICT;
}

/* ---- the ledger ---- */

slice model_account(int account) {
  static const char *const names[MODEL_ACCOUNTS] = {"sim/bank", "sim/wallet/a", "sim/wallet/b", "sim/wallet/c",
                                                    "sim/shop"};
  return slice_of(names[account]);
}

amount model_amount(int64_t cents) {
  return (amount){(int128)cents * 10000000000};
}

static bool same(const struct model_transfer *a, const struct model_transfer *b) {
  return a->from == b->from && a->to == b->to && a->cents == b->cents;
}

static bool covered(const struct naive *m, int from, int64_t cents) {
  return !m->has_floor[from] || m->balance[from] - m->held[from] - cents >= m->floor[from];
}

enum error_code model_transfer(struct naive *m, size_t number, const struct model_transfer *t) {
  must(number <= m->transfer_count && number < MODEL_TRANSFERS);
  if (number < m->transfer_count) {
    return same(&m->transfers[number], t) ? ERR_NONE : ERR_CONFLICT;
  }
  if (!covered(m, t->from, t->cents)) {
    return ERR_FUNDS;
  }
  m->transfers[m->transfer_count++] = *t;
  m->balance[t->from] -= t->cents;
  m->balance[t->to] += t->cents;
  return ERR_NONE;
}

enum error_code model_hold(struct naive *m, size_t number, const struct model_transfer *t, instant expires) {
  must(number <= m->hold_count && number < MODEL_HOLDS);
  if (number < m->hold_count) {
    return same(&m->holds[number].transfer, t) ? ERR_NONE : ERR_CONFLICT;
  }
  if (!covered(m, t->from, t->cents)) {
    return ERR_FUNDS;
  }
  m->holds[m->hold_count++] = (struct model_hold){.transfer = *t, .expires_ns = expires.ns, .state = HOLD_OPEN};
  m->held[t->from] += t->cents;
  return ERR_NONE;
}

enum error_code model_settle(struct naive *m, size_t number, int64_t cents) {
  if (number >= m->hold_count) {
    return ERR_NOT_FOUND;
  }
  struct model_hold *h = &m->holds[number];
  if (h->state != HOLD_OPEN) {
    return h->state == HOLD_SETTLED && h->settled == cents ? ERR_NONE : ERR_CONFLICT;
  }
  if (cents > h->transfer.cents) {
    return ERR_INVALID;
  }
  h->state = HOLD_SETTLED;
  h->settled = cents;
  m->held[h->transfer.from] -= h->transfer.cents;
  m->balance[h->transfer.from] -= cents;
  m->balance[h->transfer.to] += cents;
  return ERR_NONE;
}

enum error_code model_release(struct naive *m, size_t number) {
  if (number >= m->hold_count) {
    return ERR_NOT_FOUND;
  }
  struct model_hold *h = &m->holds[number];
  if (h->state == HOLD_SETTLED) {
    return ERR_CONFLICT;
  }
  if (h->state == HOLD_OPEN) {
    h->state = HOLD_RELEASED;
    m->held[h->transfer.from] -= h->transfer.cents;
  }
  return ERR_NONE;
}

enum error_code model_floor(struct naive *m, int account, bool has_floor, int64_t cents) {
  if (has_floor && m->balance[account] - m->held[account] < cents) {
    return ERR_FUNDS;
  }
  m->has_floor[account] = has_floor;
  m->floor[account] = cents;
  return ERR_NONE;
}

void model_expire(struct naive *m, instant now) {
  for (size_t i = 0; i < m->hold_count; i++) {
    if (m->holds[i].state == HOLD_OPEN && m->holds[i].expires_ns <= now.ns) {
      must(model_release(m, i) == ERR_NONE);
    }
  }
}
