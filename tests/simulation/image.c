/* A file's bytes as a disk keeps them: written at once for readers, durable after a sync, and in between up to chance.
 */
#include "image.h"
#include "disk.h"
#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

static void resize(struct bytes *b, size_t size) {
  must(size <= IMAGE_BYTES_MAX);
  if (size > b->capacity) {
    b->capacity = size * 2;
    b->ptr = mem_grow(b->ptr, b->capacity, 1);
  }
  if (size > b->size) {
    memset(b->ptr + b->size, 0, size - b->size);
  }
  b->size = size;
}

static void put(struct bytes *b, size_t offset, const uint8_t *from, size_t length) {
  if (offset + length > b->size) {
    resize(b, offset + length);
  }
  memcpy(b->ptr + offset, from, length);
}

static void apply(struct bytes *b, const struct change *c) {
  if (c->bytes == NULL) {
    resize(b, c->offset);
  } else {
    put(b, c->offset, c->bytes, c->length);
  }
}

/* ---- files ---- */

static void forget_changes(struct image *image) {
  for (size_t i = 0; i < image->unsynced.count; i++) {
    free(image->unsynced.items[i].bytes);
  }
  image->unsynced.count = 0;
}

void image_free(struct image *image) {
  forget_changes(image);
  vec_free(&image->unsynced);
  free(image->live.ptr);
  free(image->durable.ptr);
}

size_t image_read(const struct image *image, size_t offset, void *to, size_t length) {
  size_t there = offset < image->live.size ? image->live.size - offset : 0;
  size_t count = there < length ? there : length;
  if (count > 0) {
    memcpy(to, image->live.ptr + offset, count);
  }
  memset((uint8_t *)to + count, 0, length - count);
  return count;
}

void image_write(struct image *image, size_t offset, const void *from, size_t length) {
  if (length == 0) {
    return;
  }
  struct change change = {offset, length, mem_alloc(length)};
  memcpy(change.bytes, from, length);
  apply(&image->live, &change);
  vec_push(&image->unsynced, change);
}

void image_resize(struct image *image, size_t size) {
  struct change change = {.offset = size};
  apply(&image->live, &change);
  vec_push(&image->unsynced, change);
}

void image_sync(struct image *image) {
  for (size_t i = 0; i < image->unsynced.count; i++) {
    apply(&image->durable, &image->unsynced.items[i]);
  }
  forget_changes(image);
}

/* ---- settling ---- */

struct lot {
  enum settling way;
  struct random *random;
  uint64_t salt;
  size_t changes, cut; /* IN_ORDER: changes before the cut are kept, the one at it is torn */
  bool zeros;          /* a lost write may still have grown the file: its size was written, its bytes were not */
};

static bool coin(struct random *random) {
  return random_below(random, 2) == 0;
}

/* Of a sector (or of the file's size) the history up to some moment is kept. */
static bool in_history(const struct lot *lot, size_t place, size_t change) {
  uint64_t moment = hash64((slice){(const char *)&place, sizeof place}, lot->salt) % (lot->changes + 1);
  return change < moment;
}

/* What happens to a whole change: 1 kept, 0 lost, -1 torn, that is decided upon by the sector. */
static int fate(const struct lot *lot, size_t change) {
  switch (lot->way) {
  case SETTLE_KEPT:
    return 1;
  case SETTLE_EACH_WRITE:
    return (int)random_below(lot->random, 3) - 1;
  case SETTLE_EACH_SECTOR:
    return -1;
  case SETTLE_IN_ORDER:
    return change < lot->cut ? 1 : change == lot->cut ? -1 : 0;
  case SETTLE_LOST:
  case SETTLE_WAYS:
    break;
  }
  return 0;
}

static bool sector_is_kept(const struct lot *lot, int whole, size_t sector, size_t change) {
  if (whole >= 0) {
    return whole == 1;
  }
  return lot->way == SETTLE_EACH_SECTOR ? in_history(lot, sector, change) : coin(lot->random);
}

static void settle_write(struct bytes *durable, const struct change *c, const struct lot *lot, size_t index) {
  int whole = fate(lot, index);
  for (size_t at = c->offset, end = c->offset + c->length; at < end;) {
    size_t border = (at / DISK_SECTOR_BYTES + 1) * DISK_SECTOR_BYTES, next = border < end ? border : end;
    if (sector_is_kept(lot, whole, at / DISK_SECTOR_BYTES, index)) {
      put(durable, at, c->bytes + (at - c->offset), next - at);
    } else if (lot->zeros && next > durable->size) {
      resize(durable, next);
    }
    at = next;
  }
}

static void settle_size(struct bytes *durable, const struct change *c, const struct lot *lot, size_t index) {
  int whole = fate(lot, index);
  if (whole == 1 || (whole < 0 && coin(lot->random))) {
    resize(durable, c->offset);
  }
}

void image_settle(struct image *image, enum settling way, struct random *random) {
  struct lot lot = {way, random, random_u64(random), image->unsynced.count, 0, coin(random)};
  lot.cut = (size_t)random_below(random, lot.changes + 1);
  for (size_t i = 0; i < image->unsynced.count; i++) {
    const struct change *c = &image->unsynced.items[i];
    if (c->bytes == NULL) {
      settle_size(&image->durable, c, &lot, i);
    } else {
      settle_write(&image->durable, c, &lot, i);
    }
  }
  forget_changes(image);
  image->live.size = 0;
  if (image->durable.size > 0) {
    put(&image->live, 0, image->durable.ptr, image->durable.size);
  }
}
