/* A usage object as it is heard, member by member, and what it comes to. */
#ifndef METERHOUSE_WIRE_USAGE_H
#define METERHOUSE_WIRE_USAGE_H
#include "names.h"
#include "scan.h"
#include "wire.h"

enum usage_field {
  USAGE_INPUT,
  USAGE_OUTPUT,
  USAGE_CACHED,
  USAGE_CACHE_WRITE,
  USAGE_INPUT_AUDIO,
  USAGE_REASONING,
  USAGE_OUTPUT_AUDIO,
  USAGE_FIELDS
};
struct usage_fields {
  int64_t value[USAGE_FIELDS];
  bool given[USAGE_FIELDS]; /* a number, not null */
  bool wrong;               /* something in it is no count of tokens */
};
/* A token inside of a usage object whose own name stands in path[base]; base 0: the object is the whole text. */
void usage_token(struct usage_fields *u, enum wire_door door, enum wire_shape shape, uint8_t base,
                 const struct scan_token *t);
/* What is given in `news` counts from now on: for Anthropic's, which come in parts. */
void usage_merge(struct usage_fields *u, const struct usage_fields *news);
bool usage_is_whole(const struct usage_fields *u, enum wire_shape shape);
void usage_settle(const struct usage_fields *u, enum wire_shape shape, struct wire_usage *out);
#endif
