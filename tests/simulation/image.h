/* One file of the simulated disk: what is durable, what a reader sees, and the writes that lie between the two. */
#ifndef METERHOUSE_SIMULATION_IMAGE_H
#define METERHOUSE_SIMULATION_IMAGE_H
#include "base/hash.h"

#define IMAGE_BYTES_MAX (256u << 20)

struct bytes {
  uint8_t *ptr;
  size_t size, capacity;
};
struct change {
  size_t offset, length;
  uint8_t *bytes; /* NULL: the file was cut or grown to `offset` */
};
struct image {
  struct bytes live, durable;
  VEC(struct change) unsynced;
};
void image_free(struct image *image);
/* Fills what lies past the end with zeros; returns the number of bytes that were there. */
size_t image_read(const struct image *image, size_t offset, void *to, size_t length);
void image_write(struct image *image, size_t offset, const void *from, size_t length);
void image_resize(struct image *image, size_t size);
void image_sync(struct image *image);

/* How the unsynced changes end. Each sector of each change is decided upon by the way drawn. */
enum settling { SETTLE_LOST, SETTLE_KEPT, SETTLE_EACH_WRITE, SETTLE_EACH_SECTOR, SETTLE_IN_ORDER, SETTLE_WAYS };
/* What a reader sees is the durable part afterwards. */
void image_settle(struct image *image, enum settling way, struct random *random);
#endif
