/* Holds an invoice document against the same invoice derived again: every member, then the seal. */
#include "bill/private.h"
#include <string.h>

struct comparison {
  void (*bad)(void *context, const char *what);
  void *context;
  uint64_t differences;
};

static void differ(struct comparison *c, const char *path, slice given, slice derived) {
  char text[1024];
  snprintf(text, sizeof text, "%s: the document says \"%.*s\", the usage gives \"%.*s\"", path,
           (int)(given.len > 200 ? 200 : given.len), given.ptr ? given.ptr : "",
           (int)(derived.len > 200 ? 200 : derived.len), derived.ptr ? derived.ptr : "");
  c->differences++;
  c->bad(c->context, text);
}

static slice words_for(const struct json *node) {
  switch (node->kind) {
  case JSON_NULL:
    return SLICE("null");
  case JSON_BOOL:
    return node->boolean ? SLICE("true") : SLICE("false");
  case JSON_NUMBER:
  case JSON_STRING:
    return node->text;
  case JSON_ARRAY:
    return SLICE("a list");
  case JSON_OBJECT:
    break;
  }
  return SLICE("an object");
}

static void compare(struct comparison *c, const char *path, const struct json *given, const struct json *derived);

/* Members and elements are compared in order: the document is canonical, so order is content. */
static void compare_children(struct comparison *c, const char *path, const struct json *given,
                             const struct json *derived) {
  const struct json *g = given->child, *d = derived->child;
  for (size_t i = 0; g || d; i++) {
    char deeper[512];
    const struct json *named = g ? g : d;
    if (given->kind == JSON_OBJECT) {
      snprintf(deeper, sizeof deeper, "%.400s%s%.*s", path, *path ? "." : "",
               (int)(named->key.len > 80 ? 80 : named->key.len), named->key.ptr);
    } else {
      snprintf(deeper, sizeof deeper, "%.400s[%zu]", path, i);
    }
    if (g == NULL || d == NULL) {
      differ(c, deeper, g ? words_for(g) : SLICE("(nothing)"), d ? words_for(d) : SLICE("(nothing)"));
      return;
    }
    if (given->kind == JSON_OBJECT && !slice_eq(g->key, d->key)) {
      differ(c, deeper, g->key, d->key);
      return;
    }
    compare(c, deeper, g, d);
    g = g->next;
    d = d->next;
  }
}

static void compare(struct comparison *c, const char *path, const struct json *given, const struct json *derived) {
  if (given->kind != derived->kind) {
    differ(c, path, words_for(given), words_for(derived));
  } else if (given->kind == JSON_ARRAY || given->kind == JSON_OBJECT) {
    compare_children(c, path, given, derived);
  } else if (!slice_eq(words_for(given), words_for(derived))) {
    differ(c, path, words_for(given), words_for(derived));
  }
}

/* What can not be derived is taken over: id, number, the time of issue. */
static bool take_over(struct arena *arena, const struct json *document, struct invoice *derived, struct error *err) {
  if (slice_is(json_text(document, "status"), "draft")) {
    return true;
  }
  instant issued;
  if (!time_parse_rfc3339(json_text(document, "issued"), &issued, err)) {
    return error_at(err, "invoice document: issued");
  }
  invoice_issue(arena, derived, json_text(document, "id"), json_text(document, "number"), issued);
  return true;
}

static bool verify(struct arena *arena, slice bytes, const struct invoice *derived, struct comparison *c,
                   struct error *err) {
  const struct json *given, *again;
  struct invoice expected = *derived;
  if (!document_parse(arena, bytes, &given, err) || !take_over(arena, given, &expected, err)) {
    return false;
  }
  struct buf text;
  buf_init(&text, DOCUMENT_BYTES_MAX);
  invoice_to_json(&expected, &text);
  bool ok = json_parse(arena, buf_slice(&text), &again, err);
  if (ok) {
    char seal[65];
    document_seal(given, seal);
    if (!slice_is(json_text(given, "seal"), seal)) {
      differ(c, "seal (content of the document)", json_text(given, "seal"), slice_of(seal));
    }
    compare(c, "", given, again);
  }
  buf_free(&text);
  return ok;
}

bool invoice_verify(slice document, const struct invoice *derived, void (*bad)(void *context, const char *what),
                    void *context, struct error *err) {
  struct comparison c = {bad, context, 0};
  struct arena *arena = arena_new();
  bool ok = verify(arena, document, derived, &c, err);
  arena_free(arena);
  if (!ok) {
    return false;
  }
  return c.differences == 0 || error_set(err, ERR_INVALID, "the invoice differs from its usage in %llu places",
                                         (unsigned long long)c.differences);
}
