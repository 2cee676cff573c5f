/* Reads an answer of HTTP/1.x as it comes: head, then a body by length, in chunks or until the connection ends. Strict
 * (RFC 9112): whoever reads a head in two ways can be made to take one answer for another. */
#include "http/reply.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum state {
  IN_HEAD,
  IN_LENGTH,
  UNTIL_CLOSE,
  CHUNK_SIZE_FIRST,
  CHUNK_SIZE,
  CHUNK_EXTENSION,
  CHUNK_SIZE_LF,
  IN_CHUNK,
  CHUNK_CR,
  CHUNK_LF,
  TRAILER_FIRST,
  TRAILER,
  TRAILER_LF,
  LAST_LF,
  WHOLE,
  BROKEN
};

void reply_init(struct reply_reader *r, bool to_head) {
  *r = (struct reply_reader){.no_body = to_head, .line_is_blank = true};
  buf_init(&r->head, REPLY_HEAD_BYTES_MAX);
}

void reply_free(struct reply_reader *r) {
  buf_free(&r->head);
  free(r->fields);
  r->fields = NULL;
}

static enum reply_step bad(struct reply_reader *r, const char *problem) {
  r->problem = problem;
  r->state = BROKEN;
  return REPLY_BAD;
}

slice http_reply_header(const struct http_reply *reply, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < reply->field_count; i++) {
    slice field = reply->fields[i].name;
    if (field.len == length && strncasecmp(field.ptr, name, length) == 0) {
      return reply->fields[i].value;
    }
  }
  return (slice){0};
}

/* ---- the head ---- */

/* How many bytes of the input end the head; 0: it goes on after them. */
static size_t find_head_end(struct reply_reader *r, slice input) {
  for (size_t i = 0; i < input.len;) {
    const char *lf = memchr(input.ptr + i, '\n', input.len - i);
    size_t end = lf ? (size_t)(lf - input.ptr) : input.len;
    for (; i < end && r->line_is_blank; i++) {
      r->line_is_blank = input.ptr[i] == '\r';
    }
    if (lf == NULL) {
      return 0;
    }
    if (r->line_is_blank) {
      return end + 1;
    }
    r->line_is_blank = true;
    i = end + 1;
  }
  return 0;
}

static bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(slice s) {
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return false;
    }
  }
  return true;
}

/* Without its CRLF; a line that ends otherwise is none. */
static bool take_line(slice *text, slice *line) {
  const char *lf = memchr(text->ptr, '\n', text->len);
  if (lf == NULL || lf == text->ptr || lf[-1] != '\r') {
    return false;
  }
  *line = (slice){text->ptr, (size_t)(lf - 1 - text->ptr)};
  size_t taken = line->len + 2;
  *text = (slice){text->ptr + taken, text->len - taken};
  return is_text(*line);
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool read_status_line(struct reply_reader *r, slice line) {
  const char *p = line.ptr;
  bool shaped = line.len >= 12 && memcmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1') && p[8] == ' ' &&
                p[9] >= '1' && p[9] <= '5' && is_digit(p[10]) && is_digit(p[11]) && (line.len == 12 || p[12] == ' ');
  if (shaped) {
    r->reply.status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    r->keep_alive = p[7] == '1';
  }
  return shaped;
}

static bool read_field(slice line, struct http_field *out) {
  size_t name = 0;
  while (name < line.len && is_token_char(line.ptr[name])) {
    name++;
  }
  if (name == 0 || name == line.len || line.ptr[name] != ':') {
    return false;
  }
  out->name = (slice){line.ptr, name};
  out->value = slice_trim((slice){line.ptr + name + 1, line.len - name - 1});
  return true;
}

static size_t count_lines(slice text) {
  size_t lines = 0;
  for (const char *p = text.ptr; (p = memchr(p, '\n', text.len - (size_t)(p - text.ptr))) != NULL; p++) {
    lines++;
  }
  return lines;
}

static enum reply_step read_fields(struct reply_reader *r, slice text) {
  slice line;
  if (!take_line(&text, &line) || !read_status_line(r, line)) {
    return bad(r, "the status line is not one of HTTP/1.0 or HTTP/1.1");
  }
  size_t lines = count_lines(text);
  if (lines > REPLY_FIELDS_MAX + 1) {
    return bad(r, "there are more than 1000 headers");
  }
  free(r->fields);
  r->fields = mem_alloc(lines * sizeof *r->fields);
  r->reply.fields = r->fields;
  r->reply.field_count = 0;
  for (size_t i = 1; i < lines; i++) {
    if (!take_line(&text, &line) || !read_field(line, &r->fields[r->reply.field_count++])) {
      return bad(r, "a header is not \"name: value\" on a line of its own");
    }
  }
  return text.len == 2 && text.ptr[0] == '\r' ? REPLY_HEAD : bad(r, "a line does not end in CRLF");
}

/* ---- how long the body is ---- */

static bool same_word(slice s, const char *word) {
  return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static bool list_holds(slice list, const char *word) {
  while (list.len > 0) {
    const char *comma = memchr(list.ptr, ',', list.len);
    size_t length = comma ? (size_t)(comma - list.ptr) : list.len;
    if (same_word(slice_trim((slice){list.ptr, length}), word)) {
      return true;
    }
    size_t skip = length + (comma ? 1 : 0);
    list = (slice){list.ptr + skip, list.len - skip};
  }
  return false;
}

static bool read_length(slice text, uint64_t *out) {
  uint64_t length = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.ptr[i]) || __builtin_mul_overflow(length, 10u, &length) ||
        __builtin_add_overflow(length, (uint64_t)(text.ptr[i] - '0'), &length)) {
      return false;
    }
  }
  *out = length;
  return text.len > 0 && length <= INT64_MAX;
}

struct framing {
  bool chunked, has_length;
  uint64_t length;
};

static const char *read_framing(struct reply_reader *r, struct framing *f) {
  bool is_1_1 = r->keep_alive, close = false, keep = false;
  for (size_t i = 0; i < r->reply.field_count; i++) {
    struct http_field field = r->fields[i];
    uint64_t length;
    if (same_word(field.name, "transfer-encoding")) {
      if (f->chunked || !is_1_1 || !same_word(field.value, "chunked")) {
        return "its transfer-encoding is not \"chunked\", said once, in HTTP/1.1";
      }
      f->chunked = true;
    } else if (same_word(field.name, "content-length")) {
      if (!read_length(field.value, &length) || (f->has_length && length != f->length)) {
        return "its content-length is not one number";
      }
      f->has_length = true;
      f->length = length;
    } else if (same_word(field.name, "connection")) {
      close = close || list_holds(field.value, "close");
      keep = keep || list_holds(field.value, "keep-alive");
    }
  }
  r->keep_alive = !close && (is_1_1 || keep);
  return f->chunked && f->has_length ? "it has both a transfer-encoding and a content-length" : NULL;
}

static enum reply_step frame(struct reply_reader *r) {
  struct framing f = {0};
  int status = r->reply.status;
  const char *problem = status == 101 ? "it switches protocols, unasked" : read_framing(r, &f);
  if (problem) {
    return bad(r, problem);
  }
  if (status < 200) {
    r->state = IN_HEAD;
    r->line_is_blank = true;
    return REPLY_MORE;
  }
  if (r->no_body || status == 204 || status == 304) {
    r->left = 0;
    r->state = IN_LENGTH;
  } else if (f.chunked) {
    r->state = CHUNK_SIZE_FIRST;
  } else if (f.has_length) {
    r->left = f.length;
    r->state = IN_LENGTH;
  } else {
    r->until_close = true;
    r->keep_alive = false;
    r->state = UNTIL_CLOSE;
  }
  return REPLY_HEAD;
}

/* A head that came in one piece is read where it lies; else it is put together first. */
static enum reply_step read_head(struct reply_reader *r, slice *input) {
  size_t end = find_head_end(r, *input), taken = end ? end : input->len;
  slice text = {input->ptr, taken};
  *input = (slice){input->ptr + taken, input->len - taken};
  r->head_bytes += taken;
  if (r->head_bytes > REPLY_HEAD_BYTES_MAX) {
    return bad(r, "its headers are over 64 KiB");
  }
  if (r->head.len > 0 || end == 0) {
    buf_add(&r->head, text);
    text = buf_slice(&r->head);
  }
  if (end == 0) {
    return REPLY_MORE;
  }
  enum reply_step step = read_fields(r, text);
  step = step == REPLY_HEAD ? frame(r) : step;
  if (step == REPLY_MORE) {
    r->head.len = 0;
  }
  return step;
}

/* ---- the body ---- */

static enum reply_step give(struct reply_reader *r, slice *input, slice *piece) {
  size_t length = input->len < r->left ? input->len : (size_t)r->left;
  *piece = (slice){input->ptr, length};
  *input = (slice){input->ptr + length, input->len - length};
  r->left -= length;
  return REPLY_BODY;
}

static int hex_value(char c) {
  if (is_digit(c)) {
    return c - '0';
  }
  char lower = (char)(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool chunk_size_char(struct reply_reader *r, char c) {
  int digit = hex_value(c);
  if (digit >= 0) {
    bool fits = r->left <= (uint64_t)INT64_MAX >> 4;
    r->left = r->left << 4 | (uint64_t)digit;
    r->state = CHUNK_SIZE;
    return fits;
  }
  if (r->state == CHUNK_SIZE_FIRST) {
    return false;
  }
  r->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
  return c == '\r' || c == ';' || c == ' ' || c == '\t';
}

static bool is_line_char(char c) {
  return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

/* The lines between chunks, one character; false: it does not belong there. */
static bool chunk_line_char(struct reply_reader *r, char c) {
  switch (r->state) {
  case CHUNK_SIZE_FIRST:
  case CHUNK_SIZE:
    return ++r->chunk_line_bytes <= REPLY_CHUNK_LINE_BYTES_MAX && chunk_size_char(r, c);
  case CHUNK_EXTENSION:
    r->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return ++r->chunk_line_bytes <= REPLY_CHUNK_LINE_BYTES_MAX && (c == '\r' || is_line_char(c));
  case CHUNK_SIZE_LF:
    r->state = r->left > 0 ? IN_CHUNK : TRAILER_FIRST;
    r->chunk_line_bytes = 0;
    return c == '\n';
  case CHUNK_CR:
    r->state = CHUNK_LF;
    return c == '\r';
  case CHUNK_LF:
    r->state = CHUNK_SIZE_FIRST;
    return c == '\n';
  case TRAILER_FIRST:
    r->state = c == '\r' ? LAST_LF : TRAILER;
    return ++r->head_bytes <= REPLY_HEAD_BYTES_MAX && (c == '\r' || is_token_char(c));
  case TRAILER:
    r->state = c == '\r' ? TRAILER_LF : TRAILER;
    return ++r->head_bytes <= REPLY_HEAD_BYTES_MAX && (c == '\r' || is_line_char(c));
  case TRAILER_LF:
    r->state = TRAILER_FIRST;
    return c == '\n';
  default: /* LAST_LF */
    r->state = WHOLE;
    return c == '\n';
  }
}

static enum reply_step read_chunked(struct reply_reader *r, slice *input, slice *piece) {
  while (r->state != WHOLE && input->len > 0) {
    if (r->state == IN_CHUNK) {
      give(r, input, piece);
      r->state = r->left > 0 ? IN_CHUNK : CHUNK_CR;
      return REPLY_BODY;
    }
    if (!chunk_line_char(r, *input->ptr)) {
      return bad(r, "its body is not in chunks as it says");
    }
    *input = (slice){input->ptr + 1, input->len - 1};
  }
  return r->state == WHOLE ? REPLY_DONE : REPLY_MORE;
}

static void forget_head(struct reply_reader *r) {
  free(r->fields);
  r->fields = NULL;
  r->reply = (struct http_reply){.status = r->reply.status};
  buf_free(&r->head);
}

enum reply_step reply_read(struct reply_reader *r, slice *input, slice *piece) {
  while (r->state == IN_HEAD) {
    if (input->len == 0) {
      return REPLY_MORE;
    }
    enum reply_step step = read_head(r, input);
    if (step != REPLY_MORE) {
      return step;
    }
  }
  if (r->fields || r->head.ptr) {
    forget_head(r);
  }
  switch (r->state) {
  case BROKEN:
    return REPLY_BAD;
  case WHOLE:
    return REPLY_DONE;
  case UNTIL_CLOSE:
    r->left = UINT64_MAX;
    return input->len > 0 ? give(r, input, piece) : REPLY_MORE;
  case IN_LENGTH:
    if (r->left == 0) {
      r->state = WHOLE;
      return REPLY_DONE;
    }
    return input->len > 0 ? give(r, input, piece) : REPLY_MORE;
  default:
    return read_chunked(r, input, piece);
  }
}

enum reply_step reply_closed(struct reply_reader *r) {
  if (r->state == UNTIL_CLOSE) {
    r->state = WHOLE;
  }
  return r->state == WHOLE ? REPLY_DONE : bad(r, "the connection ended before the answer did");
}
