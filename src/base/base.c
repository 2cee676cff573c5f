/* Slices, errors, arenas and growable buffers. */
#include "base/base.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

BASE_NORETURN void base_fail(const char *file, int line, const char *cond) {
  fprintf(stderr, "meterhouse: %s:%d: this must hold: %s\n", file, line, cond);
  abort();
}

/* ---- slices ---- */

slice number_digits(uint64_t value, char text[DIGITS_MAX]) {
  size_t at = DIGITS_MAX;
  do {
    text[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  return (slice){text + at, DIGITS_MAX - at};
}

int slice_cmp(slice a, slice b) {
  size_t shared = a.len < b.len ? a.len : b.len;
  int order = shared ? memcmp(a.ptr, b.ptr, shared) : 0;
  return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

slice slice_trim(slice s) {
  while (s.len > 0 && is_blank(s.ptr[0])) {
    s = (slice){s.ptr + 1, s.len - 1};
  }
  while (s.len > 0 && is_blank(s.ptr[s.len - 1])) {
    s.len--;
  }
  return s;
}

bool slice_starts(slice s, const char *prefix) {
  size_t length = strlen(prefix);
  return s.len >= length && memcmp(s.ptr, prefix, length) == 0;
}

/* ---- errors ---- */

bool(error_set)(struct error *err, enum error_code code, const char *fmt, ...) {
  va_list args;
  err->code = code;
  va_start(args, fmt);
  vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  return false;
}

bool(error_at)(struct error *err, const char *fmt, ...) {
  char text[sizeof err->message];
  va_list args;
  va_start(args, fmt);
  int length = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  size_t used = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
  snprintf(text + used, sizeof text - used, ": %s", err->message);
  memcpy(err->message, text, sizeof text);
  return false;
}

void tell(told *to, void *context, const char *fmt, ...) {
  char text[640];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  to(context, text);
}

const char *error_code_name(enum error_code code) {
  static const char *const names[] = {
      "none", "invalid", "not_found", "conflict", "limit", "overflow", "denied", "funds", "idempotency_key_reused",
      "busy", "corrupt", "io",        "usage"};
  must((unsigned)code < sizeof names / sizeof *names);
  return names[code];
}

/* ---- memory ---- */

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define CHUNK_BYTES ((size_t)64 << 10)
#define SMALL_BYTES_MAX ((size_t)1024)
#define FIRST_CHUNK_BYTES ((size_t)4 << 10)
#define ARENA_ALIGN ((size_t)16)

struct chunk {
  struct chunk *next;
  size_t size, used;
  _Alignas(16) char bytes[];
};
struct arena {
  struct chunk *chunks; /* the first one is being filled */
  size_t used_bytes;
};

/* Small memory comes from where malloc keeps it at hand, which calloc does not look into; large memory is zero already
 * when the system gives it. */
void *mem_alloc(size_t size) {
  if (size > SMALL_BYTES_MAX) {
    void *large = calloc(1, size);
    must(large != NULL);
    return large;
  }
  void *p = malloc(size ? size : 1);
  must(p != NULL);
  return memset(p, 0, size);
}

void *mem_table(size_t count, size_t size) {
  size_t bytes;
  void *p = NULL;
  must(!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX / 2);
  if (bytes < 2 * HUGE_PAGE_BYTES) {
    return mem_alloc(bytes);
  }
  must(posix_memalign(&p, HUGE_PAGE_BYTES, bytes) == 0);
  madvise(p, bytes, MADV_HUGEPAGE); /* a wish: without it the table is only slower */
  memset(p, 0, bytes);
  return p;
}

void *mem_grow(void *old, size_t count, size_t size) {
  size_t bytes;
  must(!__builtin_mul_overflow(count, size, &bytes));
  void *p = realloc(old, bytes ? bytes : 1);
  must(p != NULL);
  return p;
}

struct arena *arena_new(void) {
  return mem_alloc(sizeof(struct arena));
}

static void free_chunks(struct chunk *c) {
  while (c) {
    struct chunk *next = c->next;
    free(c);
    c = next;
  }
}

void arena_free(struct arena *arena) {
  if (arena == NULL) {
    return;
  }
  free_chunks(arena->chunks);
  free(arena);
}

/* Keeps one ordinary chunk for reuse; the memory given out before is gone. */
void arena_reset(struct arena *arena) {
  struct chunk *keep = arena->chunks;
  if (keep) {
    free_chunks(keep->next);
    keep->next = NULL;
    memset(keep->bytes, 0, keep->used);
    keep->used = 0;
    if (keep->size > CHUNK_BYTES) {
      free(keep);
      arena->chunks = NULL;
    }
  }
  arena->used_bytes = 0;
}

static struct chunk *add_chunk(struct arena *arena, size_t size) {
  must(size < SIZE_MAX / 2);
  struct chunk *c = mem_alloc(sizeof *c + size);
  c->size = size;
  /* A large one goes second, so that the chunk being filled is not wasted. */
  if (size > CHUNK_BYTES && arena->chunks) {
    c->next = arena->chunks->next;
    arena->chunks->next = c;
  } else {
    c->next = arena->chunks;
    arena->chunks = c;
  }
  return c;
}

/* Grows with the arena: there are thousands of small ones while answers stream. */
static size_t next_chunk_bytes(const struct arena *arena) {
  size_t size = arena->used_bytes > FIRST_CHUNK_BYTES ? arena->used_bytes : FIRST_CHUNK_BYTES;
  return size < CHUNK_BYTES ? size : CHUNK_BYTES;
}

void *arena_alloc(struct arena *arena, size_t size) {
  must(size < SIZE_MAX / 2);
  size_t rounded = (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
  struct chunk *c = arena->chunks;
  if (c == NULL || c->size - c->used < rounded) {
    size_t usual = next_chunk_bytes(arena);
    c = add_chunk(arena, rounded > CHUNK_BYTES / 4 || rounded > usual ? rounded : usual);
  }
  void *p = c->bytes + c->used;
  c->used += rounded;
  arena->used_bytes += rounded;
  return p;
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
  size_t bytes;
  must(!__builtin_mul_overflow(count, size, &bytes));
  return arena_alloc(arena, bytes);
}

slice arena_copy(struct arena *arena, slice s) {
  char *p = arena_alloc(arena, s.len + 1);
  if (s.len > 0) {
    memcpy(p, s.ptr, s.len);
  }
  return (slice){p, s.len};
}

char *arena_printf(struct arena *arena, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  must(length >= 0);
  char *p = arena_alloc(arena, (size_t)length + 1);
  vsnprintf(p, (size_t)length + 1, fmt, again);
  va_end(again);
  return p;
}

size_t arena_used_bytes(const struct arena *arena) {
  return arena->used_bytes;
}

/* ---- buffers ---- */

void buf_init(struct buf *b, size_t limit_bytes) {
  *b = (struct buf){.limit = limit_bytes};
}

void buf_free(struct buf *b) {
  free(b->ptr);
  *b = (struct buf){.limit = b->limit};
}

static bool buf_room(struct buf *b, size_t more) {
  if (b->failed || more > b->limit - b->len) {
    b->failed = true;
    return false;
  }
  if (b->capacity - b->len < more) {
    size_t wanted = b->capacity < 256 ? 256 : b->capacity * 2;
    while (wanted - b->len < more) {
      wanted *= 2;
    }
    wanted = wanted < b->limit ? wanted : b->limit; /* so that room is within the limit, always */
    b->ptr = mem_grow(b->ptr, wanted, 1);
    b->capacity = wanted;
  }
  return true;
}

void buf_add_slowly(struct buf *b, slice s) {
  if (s.len == 0 || !buf_room(b, s.len)) {
    return;
  }
  memcpy(b->ptr + b->len, s.ptr, s.len);
  b->len += s.len;
}

void buf_addf(struct buf *b, const char *fmt, ...) {
  char text[512];
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int length = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  must(length >= 0);
  if ((size_t)length < sizeof text) {
    buf_add(b, (slice){text, (size_t)length});
  } else {
    char *longer = mem_alloc((size_t)length + 1);
    vsnprintf(longer, (size_t)length + 1, fmt, again);
    buf_add(b, (slice){longer, (size_t)length});
    free(longer);
  }
  va_end(again);
}

slice buf_slice(const struct buf *b) {
  return (slice){b->ptr, b->len};
}
