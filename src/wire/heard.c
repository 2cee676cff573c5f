/* Hears model, usage, ends and generated text in the answers of either shape. */
#include "heard.h"
#include <string.h>

void heard_start(struct heard *h) {
  *h = (struct heard){.door = h->door, .shape = h->shape, .stream = h->stream};
}

static bool is_printable(slice s) {
  for (size_t i = 0; i < s.len; i++) {
    if (s.ptr[i] < ' ' || s.ptr[i] > '~') {
      return false;
    }
  }
  return true;
}

/* What does not fit is no name of ours. */
static void keep_name(char *to, size_t size, const struct scan_token *t) {
  if (t->kind == SCAN_STRING && t->text_bytes > 0 && t->text_bytes < size && !memchr(t->text.ptr, 0, t->text.len)) {
    memcpy(to, t->text.ptr, t->text.len);
    to[t->text.len] = 0;
  }
}

/* Words go into books and logs: those that are not plain ASCII are none. */
static void keep_word(char *to, size_t size, const struct scan_token *t) {
  if (is_printable(t->text)) {
    keep_name(to, size, t);
  }
}

static bool is_value(const struct scan_token *t) {
  return t->kind != SCAN_KEY && t->kind != SCAN_CLOSE;
}

static void text(struct heard *h, const struct scan_token *t) {
  if (t->kind == SCAN_STRING) {
    h->text_bytes += t->text_bytes;
    h->texts++;
    h->text_is_plain = !t->escaped;
    h->text_begin = t->begin + 1;
    h->text_end = t->end - 1;
  }
}

static void add_cut(struct heard *h, uint64_t begin, uint64_t end) {
  struct heard_cut *last = h->cut_count ? &h->cuts[h->cut_count - 1] : NULL;
  if (last && begin <= last->end) {
    last->end = end;
  } else if (h->cut_count < HEARD_CUTS_MAX) {
    h->cuts[h->cut_count++] = (struct heard_cut){begin, end};
  } else {
    h->cuts_overflow = true;
  }
}

/* A usage member goes with the comma before it, or when it is the first, with the one behind it. */
static void cut_usage(struct heard *h, const struct scan_token *t) {
  if (t->kind == SCAN_KEY) {
    if (h->cut_is_open) {
      add_cut(h, h->cuts[h->cut_count - 1].begin, t->begin);
      h->cut_is_open = false;
    }
    if (t->path[1] == NAME_USAGE && h->last_end == 0) {
      add_cut(h, t->begin, t->end);
      h->cut_is_open = !h->cuts_overflow;
    }
    return;
  }
  if (t->kind == SCAN_OPEN) {
    return;
  }
  if (t->path[1] != NAME_USAGE) {
    h->last_end = t->end;
  } else if (h->last_end) {
    add_cut(h, h->last_end, t->end);
  } else if (h->cut_is_open) {
    add_cut(h, h->cuts[h->cut_count - 1].begin, t->end);
  }
}

static void usage(struct heard *h, uint8_t base, const struct scan_token *t) {
  if (t->depth > base) {
    usage_token(&h->usage, h->door, h->shape, base, t);
    if (t->depth == base + 1 && t->path[t->depth] == NAME_SERVICE_TIER && is_value(t)) {
      keep_word(h->tier, sizeof h->tier, t);
    }
  } else if (is_value(t) && t->kind != SCAN_NULL) {
    memset(&h->usage, 0, sizeof h->usage); /* given again: the last counts */
    h->usage_given = true;
    h->usage_is_object = t->bracket == '{';
  }
}

/* ---- chat, completions, embeddings ---- */

static void chat_output(struct heard *h, const struct scan_token *t) {
  const enum name member = t->path[4], last = t->path[t->depth];
  switch (member) {
  case NAME_CONTENT:
    if (t->depth == 4 || last == NAME_TEXT) text(h, t);
    break;
  case NAME_REASONING_CONTENT:
  case NAME_REASONING:
  case NAME_REFUSAL:
    if (t->depth == 4) text(h, t);
    break;
  case NAME_TOOL_CALLS:
  case NAME_FUNCTION_CALL:
    if (last == NAME_NAME || last == NAME_ARGUMENTS) text(h, t);
    break;
  case NAME_AUDIO:
    if (last == NAME_TRANSCRIPT) text(h, t);
    break;
  default:
    break;
  }
}

static void chat_choice(struct heard *h, const struct scan_token *t) {
  if (t->depth == 1 && is_value(t)) {
    h->choices_empty = t->kind == SCAN_OPEN && t->bracket == '[';
  } else if (t->depth == 2) {
    h->choices_empty = false;
  } else if (t->depth == 3 && t->path[3] == NAME_FINISH_REASON) {
    keep_word(h->finish, sizeof h->finish, t);
  } else if (t->depth == 3 && t->path[3] == NAME_TEXT) {
    text(h, t);
  } else if (t->depth >= 4 && (t->path[3] == NAME_DELTA || t->path[3] == NAME_MESSAGE) && t->kind == SCAN_STRING) {
    chat_output(h, t);
  }
}

static void chat_token(struct heard *h, const struct scan_token *t) {
  if (t->depth == 1) {
    cut_usage(h, t);
  }
  switch (t->path[1]) {
  case NAME_CHOICES:
    chat_choice(h, t);
    break;
  case NAME_USAGE:
    usage(h, 1, t);
    break;
  case NAME_MODEL:
    if (t->depth == 1) keep_name(h->model, sizeof h->model, t);
    break;
  case NAME_SERVICE_TIER:
    if (t->depth == 1) keep_word(h->tier, sizeof h->tier, t);
    break;
  case NAME_ERROR:
    h->failed |= t->depth == 1 && is_value(t) && t->kind != SCAN_NULL;
    break;
  default:
    break;
  }
}

/* ---- responses ---- */

static void response_output(struct heard *h, const struct scan_token *t) {
  const enum name last = t->path[t->depth];
  if (t->depth == 3 && (last == NAME_ARGUMENTS || last == NAME_NAME || last == NAME_INPUT)) {
    text(h, t);
  }
  if (t->depth == 5 && (t->path[3] == NAME_CONTENT || t->path[3] == NAME_SUMMARY) &&
      (last == NAME_TEXT || last == NAME_REFUSAL)) {
    text(h, t);
  }
}

static void response_token(struct heard *h, const struct scan_token *t) {
  const uint8_t base = t->path[1] == NAME_RESPONSE ? 2 : 1;
  if (t->depth < base) {
    return;
  }
  switch (t->path[base]) {
  case NAME_USAGE:
    usage(h, base, t);
    break;
  case NAME_MODEL:
    if (t->depth == base) keep_name(h->model, sizeof h->model, t);
    break;
  case NAME_SERVICE_TIER:
    if (t->depth == base) keep_word(h->tier, sizeof h->tier, t);
    break;
  case NAME_STATUS:
    if (t->depth == base) keep_word(h->finish, sizeof h->finish, t);
    break;
  case NAME_TYPE:
    if (t->depth == 1) keep_word(h->type, sizeof h->type, t);
    break;
  case NAME_ERROR:
    h->failed |= t->depth == 1 && is_value(t) && t->kind != SCAN_NULL;
    break;
  case NAME_DELTA:
    if (t->depth == 1 && t->kind == SCAN_STRING) h->delta_bytes += t->text_bytes;
    break;
  case NAME_OUTPUT:
    if (!h->stream && base == 1) response_output(h, t);
    break;
  default:
    break;
  }
}

/* ---- messages ---- */

static bool generated_name(enum name name) {
  return name == NAME_TEXT || name == NAME_THINKING || name == NAME_PARTIAL_JSON || name == NAME_NAME;
}

static void message_content(struct heard *h, const struct scan_token *t) {
  const enum name last = t->path[t->depth];
  if (t->depth != 3) {
    return;
  }
  if (generated_name(last)) {
    text(h, t);
  } else if (last == NAME_INPUT && t->kind == SCAN_CLOSE) {
    h->text_bytes += t->end - t->begin;
  }
}

static void message_token(struct heard *h, const struct scan_token *t) {
  const uint8_t base = t->path[1] == NAME_MESSAGE ? 2 : 1;
  if (t->depth < base) {
    return;
  }
  switch (t->path[base]) {
  case NAME_USAGE:
    usage(h, base, t);
    break;
  case NAME_MODEL:
    if (t->depth == base) keep_name(h->model, sizeof h->model, t);
    break;
  case NAME_STOP_REASON:
    if (t->depth == base) keep_word(h->finish, sizeof h->finish, t);
    break;
  case NAME_TYPE:
    if (t->depth == 1) keep_word(h->type, sizeof h->type, t);
    break;
  case NAME_ERROR:
    h->failed |= t->depth == 1 && is_value(t) && t->kind != SCAN_NULL;
    break;
  case NAME_DELTA:
  case NAME_CONTENT_BLOCK:
    if (t->depth == 2 && t->path[2] == NAME_STOP_REASON) keep_word(h->finish, sizeof h->finish, t);
    if (t->depth == 2 && generated_name(t->path[2])) text(h, t);
    break;
  case NAME_CONTENT:
    if (!h->stream && base == 1) message_content(h, t);
    break;
  default:
    break;
  }
}

bool heard_token(void *context, const struct scan_token *t) {
  struct heard *h = context;
  if (t->depth == 0) {
    h->end = t->end;
    return true;
  }
  if (h->shape == WIRE_ANTHROPIC) {
    message_token(h, t);
  } else if (h->door == WIRE_RESPONSES) {
    response_token(h, t);
  } else {
    chat_token(h, t);
  }
  return true;
}
