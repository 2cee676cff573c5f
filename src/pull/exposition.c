/* Reads what exporters say: Prometheus text 0.0.4 and OpenMetrics 1.0. Values stay text; nothing passes through binary
 * floating point. */
#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

struct parser {
  struct arena *arena;
  bool open_metrics, ended;
  size_t line;
  slice rest; /* of the line */
  VEC(struct sample) samples;
  struct sample_label labels[PULL_LABELS_MAX];
};

static bool bad(const struct parser *p, struct error *err, const char *why) {
  return error_set(err, ERR_INVALID, "line %zu: %s", p->line, why);
}

static char peek(const struct parser *p) {
  return p->rest.len > 0 ? p->rest.ptr[0] : '\0';
}

static void skip(struct parser *p, size_t bytes) {
  p->rest = (slice){p->rest.ptr + bytes, p->rest.len - bytes};
}

static void skip_blanks(struct parser *p) {
  while (peek(p) == ' ' || peek(p) == '\t') {
    skip(p, 1);
  }
}

static bool take_char(struct parser *p, char c) {
  if (peek(p) != c) {
    return false;
  }
  skip(p, 1);
  return true;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_name_char(char c, bool first, bool colon) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') || (!first && is_digit(c));
}

static slice take_name(struct parser *p, bool colon) {
  slice name = {p->rest.ptr, 0};
  while (p->rest.len > 0 && is_name_char(p->rest.ptr[0], name.len == 0, colon)) {
    name.len++;
    skip(p, 1);
  }
  return name;
}

static slice take_word(struct parser *p) {
  slice word = {p->rest.ptr, 0};
  while (p->rest.len > 0 && peek(p) != ' ' && peek(p) != '\t') {
    word.len++;
    skip(p, 1);
  }
  return word;
}

/* ---- labels ---- */

/* The closing quote of a label value whose text begins at `s`; its length when there is none. */
static size_t quoted_length(slice s, bool *escaped) {
  size_t i = 0;
  for (*escaped = false; i < s.len && s.ptr[i] != '"'; i++) {
    if (s.ptr[i] == '\\') {
      *escaped = true;
      i++;
    }
  }
  return i < s.len ? i : s.len;
}

static bool unescape(struct parser *p, slice raw, slice *out, struct error *err) {
  char *text = arena_alloc(p->arena, raw.len + 1);
  size_t len = 0;
  for (size_t i = 0; i < raw.len; i++) {
    char c = raw.ptr[i];
    if (c == '\\') {
      c = raw.ptr[++i]; /* the closing quote was found behind it */
      if (c != '\\' && c != '"' && c != 'n') {
        return bad(p, err, "in a label value only \\\\, \\\" and \\n may follow a backslash");
      }
      c = c == 'n' ? '\n' : c;
    }
    text[len++] = c;
  }
  *out = (slice){text, len};
  return true;
}

static bool take_quoted(struct parser *p, slice *out, struct error *err) {
  bool escaped;
  if (!take_char(p, '"')) {
    return bad(p, err, "a label value stands in double quotes");
  }
  size_t length = quoted_length(p->rest, &escaped);
  if (length == p->rest.len) {
    return bad(p, err, "the quotes of a label value are not closed");
  }
  slice raw = {p->rest.ptr, length};
  skip(p, length + 1);
  *out = raw;
  return !escaped || unescape(p, raw, out, err);
}

static int by_name(const void *a, const void *b) {
  return slice_cmp(((const struct sample_label *)a)->name, ((const struct sample_label *)b)->name);
}

/* A label without a value is as good as none. */
static bool take_labels(struct parser *p, size_t *count, struct error *err) {
  *count = 0;
  skip_blanks(p);
  while (!take_char(p, '}')) {
    struct sample_label label = {.name = take_name(p, false)};
    skip_blanks(p);
    if (label.name.len == 0 || !take_char(p, '=')) {
      return bad(p, err, "labels are written as {name=\"value\",...}");
    }
    skip_blanks(p);
    if (!take_quoted(p, &label.value, err)) {
      return false;
    }
    if (*count == PULL_LABELS_MAX) {
      return error_set(err, ERR_LIMIT, "line %zu: has more than %d labels", p->line, PULL_LABELS_MAX);
    }
    p->labels[(*count)++] = label;
    skip_blanks(p);
    if (!take_char(p, ',') && peek(p) != '}') {
      return bad(p, err, "a label is followed by , or }");
    }
    skip_blanks(p);
  }
  qsort(p->labels, *count, sizeof *p->labels, by_name);
  for (size_t i = 1; i < *count; i++) {
    if (slice_eq(p->labels[i - 1].name, p->labels[i].name)) {
      return bad(p, err, "a label is there twice");
    }
  }
  return true;
}

/* ---- numbers ---- */

static bool is_word(slice text, const char *word) {
  if (text.len != strlen(word)) {
    return false;
  }
  for (size_t i = 0; i < text.len; i++) {
    if ((text.ptr[i] | 0x20) != word[i]) {
      return false;
    }
  }
  return true;
}

/* A number taken apart: digits and where the point stands; false when it is not one. */
struct written {
  bool negative;
  slice whole, fraction;
  int exponent;
};

static slice take_digits(slice *s) {
  slice digits = {s->ptr, 0};
  while (s->len > 0 && is_digit(s->ptr[0])) {
    digits.len++;
    *s = (slice){s->ptr + 1, s->len - 1};
  }
  return digits;
}

static bool take_exponent(slice *s, int *exponent) {
  *exponent = 0;
  if (s->len == 0 || (s->ptr[0] | 0x20) != 'e') {
    return true;
  }
  *s = (slice){s->ptr + 1, s->len - 1};
  bool negative = s->len > 0 && s->ptr[0] == '-';
  if (s->len > 0 && (s->ptr[0] == '-' || s->ptr[0] == '+')) {
    *s = (slice){s->ptr + 1, s->len - 1};
  }
  slice digits = take_digits(s);
  for (size_t i = 0; i < digits.len; i++) {
    *exponent = *exponent < 10000 ? *exponent * 10 + (digits.ptr[i] - '0') : *exponent;
  }
  *exponent = negative ? -*exponent : *exponent;
  return digits.len > 0;
}

static bool take_apart(slice s, struct written *w) {
  w->negative = s.len > 0 && s.ptr[0] == '-';
  if (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
    s = (slice){s.ptr + 1, s.len - 1};
  }
  w->whole = take_digits(&s);
  w->fraction = (slice){s.ptr, 0};
  if (s.len > 0 && s.ptr[0] == '.') {
    s = (slice){s.ptr + 1, s.len - 1};
    w->fraction = take_digits(&s);
  }
  return w->whole.len + w->fraction.len > 0 && take_exponent(&s, &w->exponent) && s.len == 0;
}

static bool is_value(slice text) {
  struct written w;
  slice bare = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? (slice){text.ptr + 1, text.len - 1} : text;
  return take_apart(text, &w) || is_word(text, "nan") || is_word(bare, "inf") || is_word(bare, "infinity");
}

/* No exporter counts so far; below it sums over any time stay within exact numbers. */
#define VALUE_MAX_E9 ((int128)100000000000 * 1000000000 * QUANTITY_E9)

/* Digit by digit; those behind the ninth decimal are let go. */
bool sample_quantity(slice text, quantity *out) {
  struct written w;
  if (text.len > 512 || !take_apart(text, &w)) {
    return false;
  }
  int128 value = 0;
  long places = (long)w.whole.len + w.exponent + 9; /* digits that count */
  size_t digits = w.whole.len + w.fraction.len;
  for (long i = 0; i < places && (value != 0 || i < (long)digits); i++) {
    size_t at = (size_t)i;
    char c = at < w.whole.len ? w.whole.ptr[at] : at < digits ? w.fraction.ptr[at - w.whole.len] : '0';
    value = value * 10 + (c - '0');
    if (value > VALUE_MAX_E9) {
      return false;
    }
  }
  out->e9 = w.negative ? -value : value;
  return true;
}

/* ---- lines ---- */

/* OpenMetrics: " # {labels} value [timestamp]" behind a sample. */
static bool take_exemplar(struct parser *p, struct error *err) {
  size_t count;
  skip_blanks(p);
  if (!take_char(p, '{')) {
    return bad(p, err, "an exemplar is written as # {labels} value");
  }
  if (!take_labels(p, &count, err)) {
    return false;
  }
  skip_blanks(p);
  if (!is_value(take_word(p))) {
    return bad(p, err, "the exemplar's value is not a number");
  }
  skip_blanks(p);
  return p->rest.len == 0 || is_value(take_word(p)) || bad(p, err, "the exemplar's timestamp is not a number");
}

static bool take_tail(struct parser *p, struct error *err) {
  skip_blanks(p);
  if (p->rest.len > 0 && peek(p) != '#' && !is_value(take_word(p))) {
    return bad(p, err, "the timestamp is not a number");
  }
  skip_blanks(p);
  if (p->open_metrics && take_char(p, '#') && !take_exemplar(p, err)) {
    return false;
  }
  skip_blanks(p);
  return p->rest.len == 0 || bad(p, err, "something stands behind the sample");
}

static bool take_sample(struct parser *p, struct error *err) {
  struct sample s = {.metric = take_name(p, true), .line = p->line};
  size_t count = 0;
  if (s.metric.len == 0) {
    return bad(p, err, "a sample begins with the name of its metric");
  }
  skip_blanks(p);
  if (take_char(p, '{') && !take_labels(p, &count, err)) {
    return false;
  }
  struct sample_label *labels = arena_array(p->arena, count, sizeof *labels);
  for (size_t i = 0; i < count; i++) {
    if (p->labels[i].value.len > 0) {
      labels[s.label_count++] = p->labels[i];
    }
  }
  s.labels = labels;
  skip_blanks(p);
  s.value = take_word(p);
  if (!is_value(s.value)) {
    return bad(p, err, "the value is not a number");
  }
  if (!take_tail(p, err)) {
    return false;
  }
  if (p->samples.count == PULL_SAMPLES_MAX) {
    return error_set(err, ERR_LIMIT, "line %zu: has more than %d samples", p->line, PULL_SAMPLES_MAX);
  }
  vec_push(&p->samples, s);
  return true;
}

/* HELP, TYPE and UNIT say nothing that a rule has not said; other comments neither. */
static bool take_comment(struct parser *p, struct error *err) {
  skip_blanks(p);
  slice word = take_word(p);
  if (p->open_metrics && slice_is(word, "EOF") && p->rest.len == 0) {
    p->ended = true;
    return true;
  }
  if (!slice_is(word, "HELP") && !slice_is(word, "TYPE") && !(p->open_metrics && slice_is(word, "UNIT"))) {
    return true;
  }
  skip_blanks(p);
  return take_name(p, true).len > 0 || bad(p, err, "HELP, TYPE and UNIT are followed by the name of a metric");
}

static bool take_line(struct parser *p, slice line, struct error *err) {
  p->line++;
  p->rest = line;
  if (p->ended) {
    return bad(p, err, "something stands behind # EOF");
  }
  if (!p->open_metrics) {
    p->rest = slice_trim(line);
  }
  if (p->rest.len == 0) {
    return !p->open_metrics || bad(p, err, "OpenMetrics has no blank lines");
  }
  return take_char(p, '#') ? take_comment(p, err) : take_sample(p, err);
}

/* Strict: no overlong forms, no surrogates, nothing past U+10FFFF. */
static size_t utf8_length(const unsigned char *c, size_t left) {
  size_t length = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
  for (size_t i = 1; i < length; i++) {
    if (i >= left || (c[i] & 0xC0) != 0x80) {
      return 0;
    }
  }
  bool wrong = length > 1 && ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F) ||
                              (c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F));
  return wrong ? 0 : length;
}

static bool is_utf8(slice s) {
  size_t length;
  for (size_t i = 0; i < s.len; i += length) {
    length = utf8_length((const unsigned char *)s.ptr + i, s.len - i);
    if (length == 0) {
      return false;
    }
  }
  return true;
}

static bool take_lines(struct parser *p, slice text, struct error *err) {
  if (!is_utf8(text) || (text.len > 0 && memchr(text.ptr, '\0', text.len))) {
    return error_set(err, ERR_INVALID, "the text is not UTF-8, or holds a NUL byte");
  }
  while (text.len > 0) {
    const char *end = memchr(text.ptr, '\n', text.len);
    if (end == NULL && !(p->open_metrics && slice_is(text, "# EOF"))) {
      p->line++;
      return bad(p, err, "the last line has no end: the text was cut off");
    }
    size_t len = end ? (size_t)(end - text.ptr) : text.len;
    if (!take_line(p, (slice){text.ptr, len}, err)) {
      return false;
    }
    len += end ? 1 : 0;
    text = (slice){text.ptr + len, text.len - len};
  }
  return !p->open_metrics || p->ended ||
         error_set(err, ERR_INVALID, "# EOF is missing at the end: the text was cut off");
}

bool exposition_parse(struct arena *arena, slice text, bool open_metrics, struct exposition *out, struct error *err) {
  struct parser p = {.arena = arena, .open_metrics = open_metrics};
  if (text.len > PULL_BODY_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "the text has over %u MiB", PULL_BODY_BYTES_MAX >> 20);
  }
  bool ok = take_lines(&p, text, err);
  if (ok) {
    struct sample *samples = arena_array(arena, p.samples.count, sizeof *samples);
    if (p.samples.count > 0) {
      memcpy(samples, p.samples.items, p.samples.count * sizeof *samples);
    }
    *out = (struct exposition){samples, p.samples.count};
  }
  vec_free(&p.samples);
  return ok;
}

/* ---- a sample's name in full ---- */

slice sample_label_value(const struct sample *s, slice name) {
  for (size_t i = 0; i < s->label_count; i++) {
    if (slice_eq(s->labels[i].name, name)) {
      return s->labels[i].value;
    }
  }
  return (slice){0};
}

static void add_escaped(struct buf *b, slice value) {
  for (size_t i = 0; i < value.len; i++) {
    char c = value.ptr[i];
    if (c == '\\' || c == '"' || c == '\n') {
      buf_addc(b, '\\');
    }
    buf_addc(b, c == '\n' ? 'n' : c);
  }
}

slice sample_series(struct arena *arena, slice metric, const struct sample *s) {
  struct buf b;
  buf_init(&b, PULL_SERIES_BYTES_MAX);
  buf_add(&b, metric);
  for (size_t i = 0; i < s->label_count; i++) {
    buf_addc(&b, i == 0 ? '{' : ',');
    buf_add(&b, s->labels[i].name);
    buf_add(&b, SLICE("=\""));
    add_escaped(&b, s->labels[i].value);
    buf_addc(&b, '"');
  }
  buf_add(&b, s->label_count > 0 ? SLICE("}") : (slice){0});
  slice series = b.failed ? (slice){0} : arena_copy(arena, buf_slice(&b));
  buf_free(&b);
  return series;
}
