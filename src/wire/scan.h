/* A checking scanner of one JSON text that comes in pieces of any size: tells each token to its listener, keeps no
 * tree. What the listener hears does not depend on where the pieces are cut. */
#ifndef METERHOUSE_WIRE_SCAN_H
#define METERHOUSE_WIRE_SCAN_H
#include "base/base.h"

#define SCAN_TEXT_MAX 256 /* of a name, a string or a number; what is longer is cut to it */
#define SCAN_DEPTH_MAX 64

enum scan_kind { SCAN_OPEN, SCAN_CLOSE, SCAN_KEY, SCAN_STRING, SCAN_NUMBER, SCAN_TRUE, SCAN_FALSE, SCAN_NULL };
struct scan_token {
  enum scan_kind kind;
  char bracket;        /* of OPEN and CLOSE: '{' or '[' */
  bool escaped;        /* a name or string written with escapes */
  uint8_t depth;       /* containers around the token; OPEN and CLOSE stand where their container does */
  const uint8_t *path; /* path[d]: the name (enum name) of what is open at depth d, for d from 1 to depth; 0: an
                          element, or a name that is in no list */
  slice text;          /* unescaped; cut to SCAN_TEXT_MAX; valid during the call */
  uint64_t text_bytes; /* of all of it */
  uint64_t begin, end; /* in the JSON text, quotes and brackets included; of CLOSE: the whole container */
};
/* False ends the scan. */
typedef bool scan_listener(void *context, const struct scan_token *token);

struct scan {
  scan_listener *listener;
  void *context;
  uint8_t depth_max;
  bool strict;       /* strings must be UTF-8 without lone surrogates; else their bytes are taken as they are */
  bool refused;      /* by the listener */
  const char *wrong; /* what is wrong with the text; NULL: nothing */
  bool done;         /* the text is whole; blanks may follow */
  /* the rest is the scanner's own */
  uint8_t state, depth;
  uint64_t arrays; /* bit d: the container at depth d is an array */
  uint64_t offset, begin;
  uint64_t opened[SCAN_DEPTH_MAX + 1];
  uint8_t path[SCAN_DEPTH_MAX + 2];
  bool is_key, escaped;
  uint8_t utf8_left, utf8_low, utf8_high, hex_left;
  uint32_t hex, surrogate;
  uint64_t text_bytes;
  uint16_t kept;
  char keep[SCAN_TEXT_MAX];
};
void scan_start(struct scan *s, scan_listener *listener, void *context, bool strict, uint8_t depth_max);
/* False when the text is not JSON or the listener refused; s->offset is where. */
bool scan_take(struct scan *s, slice piece);
/* One whole text: false also when it is cut short. */
bool scan_whole(struct scan *s, slice text);
/* A number's text as an integer: "12", and with `zeros` also "12.0". False: it is none, or beyond 10^12. */
bool scan_integer(slice text, bool zeros, int64_t *out);

/* Strings, in scan_string.c: from `at`, inside of the quotes, to the closing one or the end of the piece; returns where
 * it stopped, NULL when the string is not valid. `*closed`: the quote was reached, and `*text` is what it held. */
const char *scan_string_take(struct scan *s, const char *at, const char *end, bool *closed, slice *text);
void scan_string_start(struct scan *s);
#endif
