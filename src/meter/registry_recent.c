/* The recent identities: an open table of fingerprints and offsets that stays between half and four fifths full. */
#include "meter/registry.h"
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 1024
/* 12 bytes a slot, at most four fifths full, grown by two fifths: never more than 21 bytes an event. */
#define FULL_OF 5
#define FULL_PARTS 4

void recent_init(struct recent *w, uint64_t first) {
  *w = (struct recent){.first = first, .capacity = SLOTS_MIN};
  w->prints = mem_table(w->capacity, sizeof *w->prints);
  w->offsets = mem_table(w->capacity, sizeof *w->offsets);
}

void recent_free(struct recent *w) {
  free(w->prints);
  free(w->offsets);
  *w = (struct recent){0};
}

size_t recent_home(const struct recent *w, uint64_t print) {
  return (size_t)((unsigned __int128)print * w->capacity >> 64);
}

static size_t after(const struct recent *w, size_t at) {
  return at + 1 == w->capacity ? 0 : at + 1;
}

bool recent_next(const struct recent *w, uint64_t print, size_t *at, uint32_t *offset) {
  for (; w->prints[*at] != 0; *at = after(w, *at)) {
    if (w->prints[*at] == print) {
      *offset = w->offsets[*at];
      *at = after(w, *at);
      return true;
    }
  }
  return false;
}

static void put(struct recent *w, uint64_t print, uint32_t offset) {
  size_t at = recent_home(w, print);
  while (w->prints[at] != 0) {
    at = after(w, at);
  }
  w->prints[at] = print;
  w->offsets[at] = offset;
}

static void widen(struct recent *w) {
  struct recent old = *w;
  w->capacity = old.capacity / 5 * 7;
  w->prints = mem_table(w->capacity, sizeof *w->prints);
  w->offsets = mem_table(w->capacity, sizeof *w->offsets);
  for (size_t at = 0; at < old.capacity; at++) {
    if (old.prints[at] != 0) {
      put(w, old.prints[at], old.offsets[at]);
    }
  }
  recent_free(&old);
}

void recent_add(struct recent *w, uint64_t print, uint32_t offset) {
  must(print != 0);
  if (++w->count * FULL_OF > w->capacity * FULL_PARTS) {
    widen(w);
  }
  put(w, print, offset);
}

/* Closes the gap, so that no later entry of the same stretch is cut off from its home. */
void recent_remove(struct recent *w, uint64_t print, uint32_t offset) {
  size_t hole = recent_home(w, print);
  while (w->prints[hole] != print || w->offsets[hole] != offset) {
    must(w->prints[hole] != 0);
    hole = after(w, hole);
  }
  for (size_t at = after(w, hole); w->prints[at] != 0; at = after(w, at)) {
    size_t home = recent_home(w, w->prints[at]);
    size_t from_home = at >= home ? at - home : at + w->capacity - home;
    size_t from_hole = at >= hole ? at - hole : at + w->capacity - hole;
    if (from_home < from_hole) {
      continue;
    }
    w->prints[hole] = w->prints[at];
    w->offsets[hole] = w->offsets[at];
    hole = at;
  }
  w->prints[hole] = 0;
  w->count--;
}
