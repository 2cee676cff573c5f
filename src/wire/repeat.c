/* Most events of a stream are the one before with other text. */
#include "repeat.h"

void repeat_remember(struct repeat *r, slice raw, size_t from, size_t to) {
  r->len = 0;
  if (raw.len <= REPEAT_BYTES_MAX && from <= to && to < raw.len) {
    memcpy(r->text, raw.ptr, raw.len);
    r->len = raw.len;
    r->from = from;
    r->to = to;
  }
}

/* What a string may hold that stands for itself: the scanner takes bytes of 0x80 and more as they are. */
static bool is_plain(slice text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c < 0x20 || c == '"' || c == '\\') {
      return false;
    }
  }
  return true;
}

bool repeat_is(const struct repeat *r, slice raw, size_t *text_bytes) {
  size_t rest = r->len - r->to;
  if (r->len == 0 || raw.len < r->from + rest || memcmp(raw.ptr, r->text, r->from) != 0 ||
      memcmp(raw.ptr + raw.len - rest, r->text + r->to, rest) != 0) {
    return false;
  }
  *text_bytes = raw.len - rest - r->from;
  return is_plain((slice){raw.ptr + r->from, *text_bytes});
}
