/* Answers of HTTP/1.1 made at random, whole or damaged, read in pieces of any size: always the same comes out, and of a
 * whole one what went into it. */
#include "base/hash.h"
#include "http/reply.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_BYTES_MAX 5000
#define SECONDS 5

struct made {
  struct buf wire, body;
  int status;
  bool to_head, until_close;
};
struct outcome {
  enum reply_step end; /* DONE, BAD or MORE */
  int status;
  size_t fields, taken;
  struct buf body;
  char problem[100];
};

static void add_noise_headers(struct made *m, struct random *r) {
  for (uint64_t n = random_below(r, 6); n > 0; n--) {
    buf_addf(&m->wire, "x-%c%" PRIu64 ":%s%" PRIu64 "%s\r\n", (int)('a' + random_below(r, 26)), random_below(r, 100),
             random_below(r, 2) ? " " : "", random_u64(r), random_below(r, 2) ? " \t" : "");
  }
}

static void add_chunks(struct made *m, struct random *r, slice body) {
  while (body.len > 0) {
    size_t length = 1 + random_below(r, body.len);
    buf_addf(&m->wire, random_below(r, 2) ? "%zx" : "00%zX", length);
    buf_addf(&m->wire, "%s\r\n", random_below(r, 4) == 0 ? ";name=\"value\"" : "");
    buf_add(&m->wire, (slice){body.ptr, length});
    buf_addf(&m->wire, "\r\n");
    body = (slice){body.ptr + length, body.len - length};
  }
  buf_addf(&m->wire, "0\r\n%s\r\n", random_below(r, 4) == 0 ? "x-trailer: 1\r\nx-sum: abc\r\n" : "");
}

static void make(struct made *m, struct random *r) {
  static const int statuses[] = {200, 200, 200, 201, 204, 304, 400, 429, 503};
  buf_init(&m->wire, 1 << 20);
  buf_init(&m->body, 1 << 20);
  m->status = statuses[random_below(r, sizeof statuses / sizeof *statuses)];
  m->to_head = random_below(r, 10) == 0;
  for (uint64_t n = random_below(r, 10) == 0 ? 1 + random_below(r, 2) : 0; n > 0; n--) {
    buf_addf(&m->wire, "HTTP/1.1 10%d Continue\r\nx-early: hint\r\n\r\n", random_below(r, 2) ? 0 : 3);
  }
  buf_addf(&m->wire, "HTTP/1.1 %d%s\r\n", m->status, random_below(r, 2) ? " A reason" : "");
  add_noise_headers(m, r);
  bool has_body = !m->to_head && m->status != 204 && m->status != 304;
  for (uint64_t n = has_body ? random_below(r, random_below(r, 2) ? BODY_BYTES_MAX : 20) : 0; n > 0; n--) {
    buf_addc(&m->body, (char)random_below(r, 256));
  }
  uint64_t how = random_below(r, 3);
  m->until_close = has_body && how == 2;
  if (how == 0) {
    buf_addf(&m->wire, "Content-Length: %zu\r\n\r\n", m->body.len);
  } else {
    buf_addf(&m->wire, how == 1 ? "transfer-encoding: Chunked\r\n\r\n" : "\r\n");
  }
  if (has_body && how == 1) {
    add_chunks(m, r, buf_slice(&m->body));
  } else {
    buf_add(&m->wire, buf_slice(&m->body));
  }
}

static void damage(struct buf *wire, struct random *r) {
  static const char marks[] = "\r\n: ;,0\t\x00gF";
  for (uint64_t n = 1 + random_below(r, 3); n > 0 && wire->len > 0; n--) {
    size_t at = random_below(r, wire->len);
    wire->ptr[at] = random_below(r, 2) ? marks[random_below(r, sizeof marks)] : (char)random_below(r, 256);
  }
}

/* Pieces of `step` bytes, or of random sizes with `step` 0. */
static struct outcome read_in_pieces(slice wire, bool to_head, size_t step, struct random *r) {
  struct outcome o = {.end = REPLY_MORE};
  struct reply_reader reader;
  reply_init(&reader, to_head);
  buf_init(&o.body, 1 << 20);
  while (wire.len > 0 && o.end == REPLY_MORE) {
    size_t length = step ? step : 1 + random_below(r, 1 + random_below(r, 300));
    length = length < wire.len ? length : wire.len;
    char *fresh = malloc(length); /* so that reading beyond it is found */
    must(fresh != NULL);
    memcpy(fresh, wire.ptr, length);
    slice input = {fresh, length}, piece;
    enum reply_step got;
    while ((got = reply_read(&reader, &input, &piece)) == REPLY_HEAD || got == REPLY_BODY) {
      if (got == REPLY_BODY) {
        must(piece.len > 0);
        buf_add(&o.body, piece);
      } else {
        o.status = reader.reply.status;
        o.fields = reader.reply.field_count;
      }
    }
    must(got != REPLY_MORE || input.len == 0);
    o.end = got;
    o.taken += length - input.len;
    wire = (slice){wire.ptr + length, wire.len - length};
    free(fresh);
  }
  o.end = o.end == REPLY_MORE ? reply_closed(&reader) : o.end;
  snprintf(o.problem, sizeof o.problem, "%s", o.end == REPLY_BAD ? reader.problem : "");
  reply_free(&reader);
  return o;
}

static void check_same(const struct outcome *a, const struct outcome *b) {
  must(a->end == b->end && a->status == b->status && a->fields == b->fields);
  must(strcmp(a->problem, b->problem) == 0);
  must(slice_eq(buf_slice(&a->body), buf_slice(&b->body)));
  must(a->end == REPLY_BAD || a->taken == b->taken);
}

static void one_case(struct random *r) {
  struct made m;
  make(&m, r);
  bool whole = random_below(r, 2);
  if (!whole) {
    damage(&m.wire, r);
  }
  slice wire = buf_slice(&m.wire);
  struct outcome all = read_in_pieces(wire, m.to_head, wire.len + 1, r);
  if (whole) {
    must(all.end == REPLY_DONE && all.status == m.status);
    must(slice_eq(buf_slice(&all.body), buf_slice(&m.body)) && all.taken == wire.len);
  }
  struct outcome bytes = read_in_pieces(wire, m.to_head, 1, r), random = read_in_pieces(wire, m.to_head, 0, r);
  check_same(&all, &bytes);
  check_same(&all, &random);
  buf_free(&all.body);
  buf_free(&bytes.body);
  buf_free(&random.body);
  buf_free(&m.wire);
  buf_free(&m.body);
}

int main(void) {
  const char *given = getenv("SEED");
  uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL), cases = 0;
  fprintf(stderr, "SEED=%" PRIu64 "\n", seed);
  struct random r;
  random_seed(&r, seed, 0);
  for (time_t until = time(NULL) + SECONDS; time(NULL) < until; cases++) {
    one_case(&r);
  }
  fprintf(stderr, "%" PRIu64 " answers\n", cases);
  return 0;
}
