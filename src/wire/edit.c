/* Writes a request with a few values changed: splices in the client's own bytes. */
#include "base/json.h"
#include "request.h"
#include <stdlib.h>

#define SPLICES_MAX (REQUEST_LIMITS + 4)

struct splice {
  size_t begin, end;
  char text[64]; /* what goes in, unless */
  bool is_model; /* the model's name does */
};

struct splices {
  struct splice items[SPLICES_MAX];
  size_t count;
};

static struct splice *add(struct splices *s, size_t begin, size_t end) {
  must(s->count < SPLICES_MAX);
  struct splice *splice = &s->items[s->count++];
  *splice = (struct splice){.begin = begin, .end = end};
  return splice;
}

/* A new member at the head of the object that opens before `inside`. */
static void add_member(struct splices *s, size_t inside, bool empty, const char *member) {
  struct splice *splice = add(s, inside, inside);
  snprintf(splice->text, sizeof splice->text, "%s%s", member, empty ? "" : ",");
}

static void limit_tokens(struct splices *s, const struct wire_request *request, int64_t max_tokens) {
  const struct places *p = request->places;
  bool given = false;
  enum request_limit null = REQUEST_LIMITS;
  for (enum request_limit i = BY_MAX_TOKENS; i < REQUEST_LIMITS; i++) {
    if (p->limits[i].end == 0) {
      continue;
    }
    const bool binds = request_limit_binds(request->door, i);
    if (p->limit_values[i] < 0) {
      null = binds && null == REQUEST_LIMITS ? i : null;
      continue;
    }
    given |= binds;
    if (p->limit_values[i] > max_tokens) {
      struct splice *splice = add(s, p->limits[i].begin, p->limits[i].end);
      snprintf(splice->text, sizeof splice->text, "%lld", (long long)max_tokens);
    }
  }
  if (given) {
    return;
  }
  if (null < REQUEST_LIMITS) {
    struct splice *splice = add(s, p->limits[null].begin, p->limits[null].end);
    snprintf(splice->text, sizeof splice->text, "%lld", (long long)max_tokens);
    return;
  }
  char member[48];
  snprintf(member, sizeof member, "\"%s\":%lld", request->door == WIRE_RESPONSES ? "max_output_tokens" : "max_tokens",
           (long long)max_tokens);
  add_member(s, p->inside, false, member);
}

static void ask_usage(struct splices *s, const struct wire_request *request) {
  const struct places *p = request->places;
  if (!request->stream || request->usage_asked || (request->door != WIRE_CHAT && request->door != WIRE_COMPLETIONS)) {
    return;
  }
  if (p->include_usage.end) {
    struct splice *splice = add(s, p->include_usage.begin, p->include_usage.end);
    snprintf(splice->text, sizeof splice->text, "true");
  } else if (p->stream_options.end == 0) {
    add_member(s, p->inside, false, "\"stream_options\":{\"include_usage\":true}");
  } else if (p->options_null) {
    struct splice *splice = add(s, p->stream_options.begin, p->stream_options.end);
    snprintf(splice->text, sizeof splice->text, "{\"include_usage\":true}");
  } else {
    add_member(s, p->stream_options.begin + 1, p->options_empty, "\"include_usage\":true");
  }
}

static int by_place(const void *a, const void *b) {
  const struct splice *x = a, *y = b;
  return x->begin < y->begin ? -1 : x->begin > y->begin;
}

void wire_request_write(const struct wire_request *request, const struct wire_edits *edits, struct buf *out) {
  const struct places *p = request->places;
  struct splices s = {.count = 0};
  size_t at = 0;
  if (edits->model.len && p->model.end) {
    add(&s, p->model.begin, p->model.end)->is_model = true;
  }
  if (edits->max_tokens >= 0 && request->door != WIRE_EMBEDDINGS) {
    limit_tokens(&s, request, edits->max_tokens);
  }
  if (edits->ask_usage) {
    ask_usage(&s, request);
  }
  qsort(s.items, s.count, sizeof *s.items, by_place);
  for (size_t i = 0; i < s.count; i++) {
    buf_add(out, (slice){request->body.ptr + at, s.items[i].begin - at});
    if (s.items[i].is_model) {
      json_quote(out, edits->model);
    } else {
      buf_add(out, slice_of(s.items[i].text));
    }
    at = s.items[i].end;
  }
  buf_add(out, (slice){request->body.ptr + at, request->body.len - at});
}
