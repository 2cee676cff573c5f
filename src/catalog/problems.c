/* What is wrong with a catalog, collected so that people mend it in one go. */
#include "catalog/private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES_MAX 60
#define SUGGESTION_NAMES_MAX 2000

/* What a file holds may reach a terminal: no escapes, and a problem stays on its line. */
static void hide_controls(char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    text[i] = c < 0x20 || c == 0x7F ? '?' : text[i];
  }
}

void problem_take(struct loader *l, const struct error *err) {
  struct problems *p = &l->problems;
  p->count++;
  if (p->count > PROBLEMS_MAX) {
    return;
  }
  if (p->text.len > 0) {
    buf_addc(&p->text, '\n');
  }
  size_t start = p->text.len;
  buf_add(&p->text, slice_of(err->message));
  hide_controls(p->text.ptr + start, p->text.len - start);
}

void problem(struct loader *l, const struct yaml *node, const char *fmt, ...) {
  if (l->problems.count >= PROBLEMS_MAX) {
    l->problems.count++;
    return;
  }
  char text[sizeof((struct error *)0)->message];
  struct error err;
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  yaml_error(&err, node, "%s", text);
  problem_take(l, &err);
}

#define MORE_BYTES 40 /* of the line that counts what is left out */

/* As many whole lines of `text` as leave room for that line; at least the first, cut if it must be. */
static slice fitting_lines(slice text, size_t room, size_t *lines) {
  size_t used = 0;
  for (*lines = 0; used < text.len; (*lines)++) {
    const char *end = memchr(text.ptr + used, '\n', text.len - used);
    size_t next = end ? (size_t)(end - text.ptr) + 1 : text.len;
    if (next > room && *lines > 0) {
      break;
    }
    used = next;
  }
  return slice_trim((slice){text.ptr, used < room ? used : room});
}

bool problems_report(struct problems *p, struct error *err) {
  slice text = buf_slice(&p->text);
  if (p->count == 0) {
    return true;
  }
  if (text.len < sizeof err->message && p->count <= PROBLEMS_MAX) {
    return error_set(err, ERR_INVALID, SLICE_FMT, SLICE_ARG(text));
  }
  size_t lines;
  text = fitting_lines(text, sizeof err->message - MORE_BYTES, &lines);
  return error_set(err, ERR_INVALID, SLICE_FMT "\n(and %zu more)", SLICE_ARG(text), p->count - lines);
}

const char *shown(struct loader *l, slice text) {
  bool cut = text.len > SHOWN_BYTES_MAX;
  size_t len = cut ? SHOWN_BYTES_MAX : text.len;
  while (cut && len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) {
    len--; /* not inside a character of UTF-8 */
  }
  return arena_printf(l->scratch, SLICE_FMT "%s", (int)len, len ? text.ptr : "", cut ? "..." : "");
}

const char *did_you_mean(struct loader *l, slice text, const char *const *names) {
  const char *near = nearest_name(text, names);
  return near ? arena_printf(l->scratch, ": did you mean \"%s\"?", near) : "";
}

const char *did_you_mean_any(struct loader *l, slice text, slice (*name_at)(const void *items, size_t i),
                             const void *items, size_t count) {
  if (l->problems.count >= PROBLEMS_MAX) {
    return "";
  }
  size_t used = count < SUGGESTION_NAMES_MAX ? count : SUGGESTION_NAMES_MAX;
  const char **names = arena_array(l->scratch, used + 1, sizeof *names);
  for (size_t i = 0; i < used; i++) {
    names[i] = arena_copy(l->scratch, name_at(items, i)).ptr;
  }
  return did_you_mean(l, text, names);
}

void must_be_new(struct loader *l, struct map *seen, slice name, const struct yaml *node, const char *what) {
  if (name.len == 0) {
    return;
  }
  void **slot = map_put(seen, name);
  const struct yaml *first = *slot;
  if (first) {
    problem(l, node, "the %s \"%s\" stands on %s:%d already: give each a name of its own", what, shown(l, name),
            first->file, first->line);
    return;
  }
  *slot = (void *)(uintptr_t)node;
}
