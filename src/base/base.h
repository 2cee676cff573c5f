/* The ground every room stands on: slices, errors, arenas, assertions. Knows nothing of money or meters. */
#ifndef METERHOUSE_BASE_BASE_H
#define METERHOUSE_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))
#ifdef __cplusplus
#define BASE_NORETURN [[noreturn]]
#else
#define BASE_NORETURN _Noreturn
#endif
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* An invariant of the program itself. On in production: a wrong book is worse than a stopped one.
 * Prints file, line and the condition, then aborts. Never used on input. */
#define must(cond) ((cond) ? (void)0 : base_fail(__FILE__, __LINE__, #cond))
BASE_NORETURN void base_fail(const char *file, int line, const char *cond);

/* ---- slices: a view of bytes, not owned, not NUL-terminated ---- */
typedef struct slice {
  const char *ptr;
  size_t len;
} slice;

#define SLICE(literal) ((slice){(literal), sizeof(literal) - 1})
#define SLICE_FMT "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr
/* NULL gives the empty slice. */
static inline slice slice_of(const char *cstr) {
  return cstr ? (slice){cstr, strlen(cstr)} : (slice){NULL, 0};
}
static inline bool slice_eq(slice a, slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool slice_is(slice a, const char *cstr) {
  return slice_eq(a, slice_of(cstr));
}
int slice_cmp(slice a, slice b); /* byte order; a shorter prefix comes first */
slice slice_trim(slice s);       /* without ASCII blanks at both ends */
bool slice_starts(slice s, const char *prefix);

/* A number's decimal digits, at the end of `text`: printf is too slow on the way of every call. */
#define DIGITS_MAX 20
slice number_digits(uint64_t value, char text[DIGITS_MAX]);

/* ---- errors: what went wrong, where, and what to do; filled by whoever fails first ---- */
enum error_code {
  ERR_NONE = 0,
  ERR_INVALID,   /* the input is wrong: HTTP 400/422, exit 1 */
  ERR_NOT_FOUND, /* HTTP 404 */
  ERR_CONFLICT,  /* same identity, other content: HTTP 409 */
  ERR_LIMIT,     /* a documented limit was passed: HTTP 413/429 */
  ERR_OVERFLOW,  /* a number left its range */
  ERR_DENIED,    /* not allowed: HTTP 401/403 */
  ERR_FUNDS,     /* an account would fall below its floor: HTTP 402 */
  ERR_REUSED,    /* an idempotency key came again with another request: HTTP 422 */
  ERR_BUSY,      /* someone else holds it: HTTP 409/503 */
  ERR_CORRUPT,   /* a checksum or an invariant of stored data does not hold */
  ERR_IO,        /* the operating system said no */
  ERR_USAGE      /* the command line is wrong: exit 2 */
};

struct error {
  enum error_code code;
  char message[640]; /* one sentence, with place ("FILE:LINE: path: ...") and the fix */
};

/* Sets code and message; returns false, so that a failing function can say `return error_set(...)`. */
bool error_set(struct error *err, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "prefix: " before the message (callers add their place on the way up); returns false. */
bool error_at(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Both are known to return false, to whoever reads the code and to whatever analyses it. */
static inline bool error_said(bool said) {
  (void)said;
  return false;
}
#define error_set(...) error_said((error_set)(__VA_ARGS__))
#define error_at(...) error_said((error_at)(__VA_ARGS__))
/* A finding for whoever collects them: the words are put together, cut at 640 bytes, and handed over. */
typedef void told(void *context, const char *what);
void tell(told *to, void *context, const char *fmt, ...) PRINTF_LIKE(3, 4);
const char *error_code_name(enum error_code code); /* stable, as in problem+json: "invalid", "not_found" ... */

/* ---- memory: an arena is freed in one go; running out of memory stops the program (crash-only) ---- */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *arena);                /* NULL is fine */
void arena_reset(struct arena *arena);               /* everything given out is gone, the memory is kept for reuse */
void *arena_alloc(struct arena *arena, size_t size); /* zeroed, 16-byte aligned */
void *arena_array(struct arena *arena, size_t count, size_t size); /* overflow-checked */
slice arena_copy(struct arena *arena, slice s);                    /* the copy is NUL-terminated as well */
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
size_t arena_used_bytes(const struct arena *arena);

void *mem_alloc(size_t size); /* zeroed; never NULL; free() it */
/* For tables of megabytes that are read all over: zeroed, on huge pages where the system gives them; free() it. */
void *mem_table(size_t count, size_t size);
void *mem_grow(void *old, size_t count, size_t size); /* realloc with overflow check; new part is not zeroed */

/* A growable array: struct vec of T is {T *items; size_t count, capacity}. VEC(T) declares one. */
#define VEC(T)                                                                                                         \
  struct {                                                                                                             \
    T *items;                                                                                                          \
    size_t count, capacity;                                                                                            \
  }
#define vec_push(v, ...)                                                                                               \
  do {                                                                                                                 \
    if ((v)->count == (v)->capacity) {                                                                                 \
      (v)->capacity = (v)->capacity ? (v)->capacity * 2 : 8;                                                           \
      (v)->items = mem_grow((v)->items, (v)->capacity, sizeof *(v)->items);                                            \
    }                                                                                                                  \
    (v)->items[(v)->count++] = (__VA_ARGS__);                                                                          \
  } while (0)
#define vec_free(v)                                                                                                    \
  do {                                                                                                                 \
    free((v)->items);                                                                                                  \
    (v)->items = NULL;                                                                                                 \
    (v)->count = (v)->capacity = 0;                                                                                    \
  } while (0)

/* A growable byte buffer, born with a limit. Past the limit `failed` is set and further appends do nothing. */
struct buf {
  char *ptr;
  size_t len, capacity, limit;
  bool failed;
};
void buf_init(struct buf *b, size_t limit_bytes);
void buf_free(struct buf *b);
void buf_add_slowly(struct buf *b, slice s); /* makes room */
static inline void buf_add(struct buf *b, slice s) {
  if (s.len <= b->capacity - b->len && !b->failed && s.len > 0) {
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
  } else {
    buf_add_slowly(b, s);
  }
}
static inline void buf_addc(struct buf *b, char c) {
  buf_add(b, (slice){&c, 1});
}
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
slice buf_slice(const struct buf *b);

#endif
