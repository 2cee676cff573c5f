/* How large a prompt can be, how many there are, and how it begins. */
#include "base/hash.h"
#include "request.h"

#define PREFIX_BYTES_MAX ((size_t)1024)
#define PREFIX_SEED UINT64_C(0x6d65746572) /* fixed: edges and restarts agree */
#define TOKENS_OF_PART 4096                /* an image, a sound, a page: no model makes more of one */

static bool type_not_text(slice type) {
  static const char *const types[] = {"image_url",  "input_image", "image",     "input_audio", "audio_url", "file",
                                      "input_file", "document",    "video_url", "input_video", "video",     "audio"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (slice_is(type, types[i])) {
      return true;
    }
  }
  return false;
}

static bool type_image(slice type) {
  return slice_is(type, "image_url") || slice_is(type, "input_image") || slice_is(type, "image");
}

static bool name_not_text(enum name name) {
  return name == NAME_IMAGE_URL || name == NAME_INPUT_AUDIO || name == NAME_AUDIO_URL || name == NAME_VIDEO_URL ||
         name == NAME_INPUT_IMAGE;
}

/* Objects in content lists of messages; the only place where data of an image is not read as text by anyone. */
static bool in_part(const struct scan_token *t) {
  return t->depth >= 5 && (t->path[1] == NAME_MESSAGES || t->path[1] == NAME_INPUT) && t->path[2] == NAME_OTHER &&
         t->path[3] == NAME_CONTENT && t->path[4] == NAME_OTHER;
}

static void part_data(struct prompt *p, const struct scan_token *t) {
  const enum name last = t->path[t->depth];
  const bool address = (last == NAME_URL || last == NAME_IMAGE_URL) && slice_starts(t->text, "data:");
  const bool source = last == NAME_DATA && t->depth == 6 && t->path[5] == NAME_SOURCE;
  if (address || source) {
    p->part_data_bytes += t->text_bytes;
  }
}

static void part_string(struct prompt *p, const struct scan_token *t) {
  if (t->path[t->depth] == NAME_TYPE && type_not_text(t->text)) {
    p->part_depths |= UINT64_C(1) << t->depth;
  }
  if (!in_part(t)) {
    return;
  }
  if (t->depth == 5 && t->path[5] == NAME_TYPE) {
    p->part_is_image = type_image(t->text);
  }
  part_data(p, t);
}

static void part_open(struct prompt *p, const struct scan_token *t) {
  p->part_depths &= ~(UINT64_C(1) << (t->depth + 1));
  if (t->depth == 4 && t->path[3] == NAME_CONTENT) {
    p->part_data_bytes = 0;
    p->part_is_image = false;
  }
}

static void part_close(struct prompt *p, const struct scan_token *t) {
  if (p->part_depths >> (t->depth + 1) & 1) {
    p->out->parts_not_text++;
  }
  if (t->depth == 4 && t->path[3] == NAME_CONTENT && p->part_is_image) {
    p->data_bytes += p->part_data_bytes;
  }
}

/* Elements of messages or input: the conversation begins with all up to the first that is the user's, so the hash stays
 * the same while the conversation grows. */
static void element(struct prompt *p, const struct scan_token *t) {
  if (t->depth == 3 && t->kind == SCAN_STRING && t->path[3] == NAME_ROLE) {
    p->element_is_user = slice_is(t->text, "user");
  }
  if (t->depth == 2 && t->kind == SCAN_OPEN) {
    p->element_is_user = false;
  }
  if (t->depth == 2 && t->kind == SCAN_CLOSE && p->element_is_user && p->head_end == 0) {
    p->head_end = t->end;
  }
}

static void hash_range(struct prompt *p, uint64_t begin, uint64_t end) {
  const size_t len = (size_t)(end - begin);
  const slice head = {p->body.ptr + begin, len < PREFIX_BYTES_MAX ? len : PREFIX_BYTES_MAX};
  p->out->prefix = hash64(head, p->has_head ? p->out->prefix : PREFIX_SEED);
  p->has_head = true;
}

static bool is_prompt(enum name name) {
  return name == NAME_MESSAGES || name == NAME_INPUT || name == NAME_PROMPT;
}

static void top_value(struct prompt *p, const struct scan_token *t) {
  const enum name name = t->path[1];
  if (is_prompt(name)) {
    hash_range(p, t->begin, p->head_end > t->begin ? p->head_end : t->end);
  } else if (name == NAME_SYSTEM || name == NAME_INSTRUCTIONS) {
    hash_range(p, t->begin, t->end);
  }
}

void prompt_token(struct prompt *p, const struct scan_token *t) {
  const enum name top = t->depth > 0 ? t->path[1] : NAME_OTHER;
  if (t->depth == 1 && t->kind != SCAN_OPEN && t->kind != SCAN_KEY) {
    top_value(p, t);
  }
  if (top == NAME_PROMPT && t->depth == 2 && t->kind != SCAN_CLOSE) {
    if (t->kind == SCAN_NUMBER) {
      p->numbers++;
    } else {
      p->prompts++;
    }
  }
  if (top != NAME_MESSAGES && top != NAME_INPUT) {
    return;
  }
  element(p, t);
  if (t->kind == SCAN_STRING) {
    part_string(p, t);
  } else if (t->kind == SCAN_KEY && name_not_text(t->path[t->depth])) {
    p->part_depths |= UINT64_C(1) << t->depth;
  } else if (t->kind == SCAN_OPEN && t->bracket == '{') {
    part_open(p, t);
  } else if (t->kind == SCAN_CLOSE && t->bracket == '{') {
    part_close(p, t);
  }
}

void prompt_end(struct prompt *p) {
  struct wire_request *out = p->out;
  const uint64_t prompts = p->prompts + (p->numbers > 0);
  if (out->door == WIRE_COMPLETIONS && prompts > 1) {
    out->choices *= (int64_t)prompts;
  }
  out->input_tokens_max = (int64_t)(p->body.len - p->data_bytes) + TOKENS_OF_PART * (int64_t)out->parts_not_text;
}
