/* Spend limits of keys: what was settled on a key and its rotations in a period, and what its calls hold. */
#include "gateway/private.h"
#include <stdlib.h>

struct key_state *key_state_of(struct gateway *gateway, slice family) {
  pthread_mutex_lock(&gateway->lock);
  struct key_state *state = map_get(&gateway->key_states, family);
  if (state == NULL) {
    state = mem_alloc(sizeof *state);
    state->family = arena_copy(gateway->arena, family);
    must(pthread_mutex_init(&state->lock, NULL) == 0);
    *map_put(&gateway->key_states, state->family) = state;
  }
  pthread_mutex_unlock(&gateway->lock);
  return state;
}

void key_states_free(struct gateway *gateway) {
  for (size_t i = 0; i < gateway->key_states.capacity; i++) {
    struct key_state *state = gateway->key_states.slots[i].value;
    if (state) {
      pthread_mutex_destroy(&state->lock);
      free(state);
    }
  }
  map_free(&gateway->key_states);
}

bool key_period(const struct key_terms *terms, const struct customer *customer, instant now, struct period *out,
                struct error *err) {
  char day[TIME_TEXT_MAX];
  struct month month;
  if (terms->spend_per == WATCH_DAY) {
    return time_parse_period(slice_of(time_format_date(now, customer->time_zone, day)), customer->time_zone, out, err);
  }
  if (!time_month_at(now, 1, customer->time_zone, &month, err)) {
    return false;
  }
  *out = month.span;
  return true;
}

bool key_spend_known(struct key_state *state, struct period period) {
  pthread_mutex_lock(&state->lock);
  bool known = state->period.from.ns == period.from.ns;
  pthread_mutex_unlock(&state->lock);
  return known;
}

bool key_spend_learn(struct key_state *state, struct book *book, struct period period, struct error *err) {
  amount spent;
  if (!key_spend_read(book, state->family, period.from, &spent, err)) {
    return false;
  }
  pthread_mutex_lock(&state->lock);
  if (state->period.from.ns < period.from.ns) {
    state->period = period;
    state->spent = spent;
  }
  pthread_mutex_unlock(&state->lock);
  return true;
}

bool key_spend_hold(struct key_state *state, const struct key_terms *terms, amount value) {
  pthread_mutex_lock(&state->lock);
  bool fits = state->spent.e12 + state->held.e12 + value.e12 <= terms->spend_limit.e12;
  state->held.e12 += fits ? value.e12 : 0;
  pthread_mutex_unlock(&state->lock);
  return fits;
}

void key_spend_end(struct key_state *state, amount held) {
  pthread_mutex_lock(&state->lock);
  state->held.e12 -= held.e12;
  pthread_mutex_unlock(&state->lock);
}

void key_spend_count(struct key_state *state, struct period period, amount spent) {
  pthread_mutex_lock(&state->lock);
  if (state->period.from.ns == period.from.ns) {
    state->spent.e12 += spent.e12;
  }
  pthread_mutex_unlock(&state->lock);
}
