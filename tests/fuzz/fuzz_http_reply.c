/* Bytes of any kind as an answer of HTTP/1.1: read whole and split where the first byte says, the same comes out. */
#include "http/reply.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
  enum reply_step end;
  size_t fields, body_bytes;
  uint32_t body_sum;
};

static void feed(struct reply_reader *r, slice part, struct seen *seen) {
  char *fresh = malloc(part.len + 1); /* so that reading beyond it is found */
  must(fresh != NULL);
  memcpy(fresh, part.ptr, part.len);
  fresh = realloc(fresh, part.len ? part.len : 1);
  slice input = {fresh, part.len}, piece = {0};
  while ((seen->end = reply_read(r, &input, &piece)) == REPLY_HEAD || seen->end == REPLY_BODY) {
    seen->fields += seen->end == REPLY_HEAD ? r->reply.field_count : 0;
    for (size_t i = 0; seen->end == REPLY_BODY && i < piece.len; i++) {
      seen->body_sum = seen->body_sum * 31 + (uint8_t)piece.ptr[i];
      seen->body_bytes++;
    }
  }
  must(seen->end == REPLY_BAD ? r->problem != NULL : seen->end == REPLY_DONE || input.len == 0);
  free(fresh);
}

static struct seen read_split(slice bytes, size_t at, bool to_head) {
  struct reply_reader r;
  struct seen seen = {0};
  reply_init(&r, to_head);
  feed(&r, (slice){bytes.ptr, at}, &seen);
  if (seen.end == REPLY_MORE) {
    feed(&r, (slice){bytes.ptr + at, bytes.len - at}, &seen);
  }
  seen.end = seen.end == REPLY_MORE ? reply_closed(&r) : seen.end;
  reply_free(&r);
  return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) {
    return 0;
  }
  slice bytes = {(const char *)data + 2, size - 2};
  size_t at = bytes.len * data[0] / 255;
  struct seen whole = read_split(bytes, bytes.len, data[1] & 1), split = read_split(bytes, at, data[1] & 1);
  must(whole.end == split.end && whole.fields == split.fields);
  must(whole.body_bytes == split.body_bytes && whole.body_sum == split.body_sum);
  return 0;
}
