/* Inside http: reading an answer, a pure machine that is fed bytes as they come. */
#ifndef METERHOUSE_HTTP_REPLY_H
#define METERHOUSE_HTTP_REPLY_H
#include "http/http.h"

#define REPLY_HEAD_BYTES_MAX ((size_t)64 << 10) /* of 1xx answers and trailers as well, all together */
#define REPLY_FIELDS_MAX 1000
#define REPLY_CHUNK_LINE_BYTES_MAX 4096

enum reply_step {
  REPLY_MORE, /* all input is taken: more is needed */
  REPLY_HEAD, /* `reply` holds until the next call */
  REPLY_BODY, /* *piece is the next piece of the body, a part of the input */
  REPLY_DONE, /* the answer is whole; what is left of the input is not part of it */
  REPLY_BAD   /* `problem` says why; stays so */
};
struct reply_reader {
  struct http_reply reply;
  const char *problem;
  bool keep_alive;  /* the other side keeps the connection open after this answer */
  bool until_close; /* the body ends where the connection does */
  /* its own */
  bool no_body; /* the answer to HEAD */
  uint8_t state;
  bool line_is_blank; /* of the head's last line, so far */
  size_t head_bytes, chunk_line_bytes;
  uint64_t left; /* of the body, or of the chunk */
  struct buf head;
  struct http_field *fields;
};
/* For the answer to one request; `to_head`: to HEAD, so that it has no body. */
void reply_init(struct reply_reader *r, bool to_head);
void reply_free(struct reply_reader *r);
/* Takes from the front of *input. Whatever the pieces that an answer is fed in, the same comes out of it, but for where
 * the pieces of the body begin and end. */
enum reply_step reply_read(struct reply_reader *r, slice *input, slice *piece);
/* The connection ended in good order: is the answer whole? (REPLY_DONE or REPLY_BAD) */
enum reply_step reply_closed(struct reply_reader *r);
#endif
