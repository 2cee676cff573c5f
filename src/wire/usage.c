/* Usage in either shape, brought to one count in which no token counts twice. */
#include "usage.h"
#include "base/limits.h"

int64_t wire_usage_input(const struct wire_usage *u) {
  return u->input + u->cached + u->cache_write + u->input_audio;
}

int64_t wire_usage_output(const struct wire_usage *u) {
  return u->output + u->reasoning + u->output_audio;
}

int64_t wire_estimate(uint64_t text_bytes) {
  return (int64_t)(text_bytes / 4 + (text_bytes % 4 != 0));
}

static enum usage_field anthropic_field(enum name name) {
  switch (name) {
  case NAME_INPUT_TOKENS:
    return USAGE_INPUT;
  case NAME_OUTPUT_TOKENS:
    return USAGE_OUTPUT;
  case NAME_CACHE_READ_INPUT_TOKENS:
    return USAGE_CACHED;
  case NAME_CACHE_CREATION_INPUT_TOKENS:
    return USAGE_CACHE_WRITE;
  default:
    return USAGE_FIELDS;
  }
}

static enum usage_field openai_field(enum wire_door door, enum name name) {
  if (name == (door == WIRE_RESPONSES ? NAME_INPUT_TOKENS : NAME_PROMPT_TOKENS)) {
    return USAGE_INPUT;
  }
  return name == (door == WIRE_RESPONSES ? NAME_OUTPUT_TOKENS : NAME_COMPLETION_TOKENS) ? USAGE_OUTPUT : USAGE_FIELDS;
}

static bool is_details(enum name name) {
  return name == NAME_PROMPT_TOKENS_DETAILS || name == NAME_INPUT_TOKENS_DETAILS ||
         name == NAME_COMPLETION_TOKENS_DETAILS || name == NAME_OUTPUT_TOKENS_DETAILS;
}

static enum usage_field detail_field(enum name of, enum name name) {
  const bool input = of == NAME_PROMPT_TOKENS_DETAILS || of == NAME_INPUT_TOKENS_DETAILS;
  switch (name) {
  case NAME_CACHED_TOKENS:
    return input ? USAGE_CACHED : USAGE_FIELDS;
  case NAME_CACHE_WRITE_TOKENS:
    return input ? USAGE_CACHE_WRITE : USAGE_FIELDS;
  case NAME_AUDIO_TOKENS:
    return input ? USAGE_INPUT_AUDIO : USAGE_OUTPUT_AUDIO;
  case NAME_REASONING_TOKENS:
    return input ? USAGE_FIELDS : USAGE_REASONING;
  default:
    return USAGE_FIELDS;
  }
}

void usage_token(struct usage_fields *u, enum wire_door door, enum wire_shape shape, uint8_t base,
                 const struct scan_token *t) {
  enum usage_field field = USAGE_FIELDS;
  if (t->kind == SCAN_KEY || t->kind == SCAN_CLOSE) {
    return;
  }
  const enum name name = t->path[base + 1];
  if (t->depth == base + 1) {
    if (shape == WIRE_OPENAI && is_details(name)) {
      u->wrong |= t->kind != SCAN_NULL && !(t->kind == SCAN_OPEN && t->bracket == '{');
      return;
    }
    field = shape == WIRE_ANTHROPIC ? anthropic_field(name) : openai_field(door, name);
  } else if (t->depth == base + 2 && shape == WIRE_OPENAI && is_details(name)) {
    field = detail_field(name, t->path[base + 2]);
  }
  if (field == USAGE_FIELDS || t->kind == SCAN_NULL) {
    return;
  }
  if (t->kind != SCAN_NUMBER || !scan_integer(t->text, true, &u->value[field])) {
    u->wrong = true;
    return;
  }
  u->given[field] = true;
}

void usage_merge(struct usage_fields *u, const struct usage_fields *news) {
  for (size_t i = 0; i < USAGE_FIELDS; i++) {
    if (news->given[i]) {
      u->value[i] = news->value[i];
      u->given[i] = true;
    }
  }
}

bool usage_is_whole(const struct usage_fields *u, enum wire_shape shape) {
  if (u->wrong) {
    return false;
  }
  return u->given[USAGE_INPUT] || (shape == WIRE_ANTHROPIC && u->given[USAGE_OUTPUT]);
}

/* Takes a part out of what is left of the whole. */
static int64_t take_part(int64_t *left, int64_t part) {
  const int64_t taken = part < *left ? part : *left;
  *left -= taken;
  return taken;
}

void usage_settle(const struct usage_fields *u, enum wire_shape shape, struct wire_usage *out) {
  const int64_t *v = u->value;
  int64_t input = v[USAGE_INPUT], output = v[USAGE_OUTPUT];
  *out = (struct wire_usage){.reported = true};
  if (shape == WIRE_ANTHROPIC) { /* input_tokens holds neither of the two */
    out->cached = v[USAGE_CACHED];
    out->cache_write = v[USAGE_CACHE_WRITE];
  } else {
    out->cached = take_part(&input, v[USAGE_CACHED]);
    out->cache_write = take_part(&input, v[USAGE_CACHE_WRITE]);
    out->input_audio = take_part(&input, v[USAGE_INPUT_AUDIO]);
    out->reasoning = take_part(&output, v[USAGE_REASONING]);
    out->output_audio = take_part(&output, v[USAGE_OUTPUT_AUDIO]);
  }
  out->input = input;
  out->output = output;
}

struct whole {
  struct usage_fields fields;
  enum wire_door door;
  enum wire_shape shape;
};

static bool heard(void *context, const struct scan_token *t) {
  struct whole *w = context;
  if (t->depth == 0) {
    return t->bracket == '{';
  }
  usage_token(&w->fields, w->door, w->shape, 0, t);
  return true;
}

bool wire_usage_read(enum wire_door door, enum wire_shape shape, slice json, struct wire_usage *out) {
  struct whole w = {.door = door, .shape = shape};
  struct scan scan;
  scan_start(&scan, heard, &w, false, LIMIT_NESTING);
  if (!scan_whole(&scan, json) || !usage_is_whole(&w.fields, shape)) {
    return false;
  }
  usage_settle(&w.fields, shape, out);
  return true;
}
