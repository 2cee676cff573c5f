/* A circuit breaker: closed, open for a while that doubles, half open for one trial. */
#include "gateway/circuit.h"
#include <string.h>

#define ROW_MAX 5
#define WINDOW_CALLS_MIN 20
#define SLOT_NS (3 * NS_PER_S)
#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000
#define STEADY_NS (60 * NS_PER_S) /* closed for so long, it begins with the shortest wait again */
#define NS_PER_MS 1000000

static struct circuit_slot *slot_at(struct circuit *c, instant now) {
  int64_t number = now.ns / SLOT_NS;
  struct circuit_slot *slot = &c->slots[number % CIRCUIT_SLOTS];
  if (slot->number != number) {
    *slot = (struct circuit_slot){.number = number};
  }
  return slot;
}

static bool half_failed(const struct circuit *c, instant now) {
  int64_t oldest = now.ns / SLOT_NS - CIRCUIT_SLOTS + 1;
  uint64_t ok = 0, failed = 0;
  for (size_t i = 0; i < CIRCUIT_SLOTS; i++) {
    if (c->slots[i].number >= oldest) {
      ok += c->slots[i].ok;
      failed += c->slots[i].failed;
    }
  }
  return ok + failed >= WINDOW_CALLS_MIN && failed >= ok;
}

static void open_it(struct circuit *c, instant now) {
  bool steady = c->state == CIRCUIT_CLOSED && now.ns - c->closed.ns >= STEADY_NS;
  c->wait_ms = c->wait_ms == 0 || steady ? WAIT_MIN_MS : c->wait_ms * 2;
  if (c->wait_ms > WAIT_MAX_MS) {
    c->wait_ms = WAIT_MAX_MS;
  }
  c->state = CIRCUIT_OPEN;
  c->trying = false;
  c->until = (instant){now.ns + c->wait_ms * NS_PER_MS};
}

static void close_it(struct circuit *c, instant now) {
  c->state = CIRCUIT_CLOSED;
  c->trying = false;
  c->row = 0;
  c->closed = now;
  memset(c->slots, 0, sizeof c->slots);
}

static bool is_trial(const struct circuit *c, uint32_t trial) {
  return c->state == CIRCUIT_HALF_OPEN && c->trying && trial != 0 && trial == c->trial;
}

bool circuit_lets(const struct circuit *c, instant now) {
  return c->state == CIRCUIT_CLOSED || (c->state == CIRCUIT_OPEN && now.ns >= c->until.ns) ||
         (c->state == CIRCUIT_HALF_OPEN && !c->trying);
}

uint32_t circuit_take(struct circuit *c, instant now) {
  must(circuit_lets(c, now));
  if (c->state == CIRCUIT_CLOSED) {
    return 0;
  }
  c->state = CIRCUIT_HALF_OPEN;
  c->trying = true;
  c->trial = c->trial == UINT32_MAX ? 1 : c->trial + 1;
  return c->trial;
}

void circuit_answered(struct circuit *c, uint32_t trial, instant now) {
  if (is_trial(c, trial)) {
    close_it(c, now);
  }
}

void circuit_succeeded(struct circuit *c, uint32_t trial, instant now) {
  circuit_answered(c, trial, now);
  if (c->state == CIRCUIT_CLOSED) {
    c->row = 0;
    slot_at(c, now)->ok++;
  }
}

/* Calls that began before the circuit opened say nothing new when they fail after it did. */
void circuit_failed(struct circuit *c, uint32_t trial, instant now) {
  if (is_trial(c, trial)) {
    open_it(c, now);
  } else if (c->state == CIRCUIT_CLOSED) {
    c->row++;
    slot_at(c, now)->failed++;
    if (c->row >= ROW_MAX || half_failed(c, now)) {
      open_it(c, now);
    }
  }
}

void circuit_unknown(struct circuit *c, uint32_t trial) {
  if (is_trial(c, trial)) {
    c->trying = false;
  }
}

int64_t circuit_wait_ms(const struct circuit *c, instant now) {
  if (c->state != CIRCUIT_OPEN || now.ns >= c->until.ns) {
    return 0;
  }
  return (c->until.ns - now.ns + NS_PER_MS - 1) / NS_PER_MS;
}
