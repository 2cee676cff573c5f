/* An answer that is one JSON text passes while it is heard; its last byte waits. */
#include "turned.h"

#define BLANKS_MAX 4096 /* held behind a byte that may be the last */

static bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void let_go(struct wire_reader *r, struct buf *out) {
  buf_add(out, buf_slice(&r->kept));
  r->kept.len = 0;
}

/* Blanks at the end of a piece are held with what stands before them, unless there are too many. */
static void hold_tail(struct wire_reader *r, slice tail, struct buf *out) {
  for (size_t i = 0; i < tail.len; i++) {
    if (r->kept.len == 0 && is_blank(tail.ptr[i])) {
      buf_addc(out, tail.ptr[i]);
      continue;
    }
    if (r->kept.len > BLANKS_MAX) {
      let_go(r, out);
      i--;
      continue;
    }
    buf_addc(&r->kept, tail.ptr[i]);
  }
}

static void pass(struct wire_reader *r, slice piece, struct buf *out) {
  size_t last = piece.len;
  while (last > 0 && is_blank(piece.ptr[last - 1])) {
    last--;
  }
  if (last > 0) {
    let_go(r, out);
    buf_add(out, (slice){piece.ptr, last - 1});
    hold_tail(r, (slice){piece.ptr + last - 1, 1}, out);
  }
  hold_tail(r, (slice){piece.ptr + last, piece.len - last}, out);
}

/* Gathered until it is whole, then turned; what follows it is ignored. */
static void gather(struct wire_reader *r, slice piece, struct buf *out) {
  buf_add(&r->joined, piece);
  if (!r->scan.done) {
    r->broken = r->failed_reading || r->joined.failed;
    if (r->broken) {
      error_set(&r->why_broken, ERR_INVALID, "the model server's answer is %s",
                r->joined.failed ? "too long" : "not valid JSON");
    }
    return;
  }
  struct buf whole;
  const slice body = {r->joined.ptr, (size_t)r->heard.end < r->joined.len ? (size_t)r->heard.end : r->joined.len};
  buf_init(&whole, 4 * r->joined.limit);
  r->broken = !turned_answer(r, body, &whole, &r->why_broken);
  if (!r->broken) {
    pass(r, buf_slice(&whole), out);
  }
  buf_free(&whole);
}

/* True when it was not whole before. */
static bool hear(struct wire_reader *r, slice piece) {
  const bool was_done = r->scan.done;
  if (!r->failed_reading && !scan_take(&r->scan, piece)) {
    r->failed_reading = true;
  }
  if (r->scan.done && !was_done) {
    reader_absorb(r, &r->heard);
  }
  r->seen.complete = r->scan.done && !r->failed_reading;
  return !was_done;
}

void json_answer_take(struct wire_reader *r, slice piece, struct buf *out) {
  if (r->turned == NULL) {
    pass(r, piece, out);
    if (r->options.hear_later) {
      r->unheard = piece;
    } else {
      hear(r, piece);
    }
  } else if (hear(r, piece) && !r->broken) {
    gather(r, piece, out);
  }
}

void wire_reader_hear(struct wire_reader *r) {
  hear(r, r->unheard);
  r->unheard = (slice){0};
}
