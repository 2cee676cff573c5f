/* What reading a request leaves behind for writing it, and the part of it that looks at prompts. */
#ifndef METERHOUSE_WIRE_REQUEST_H
#define METERHOUSE_WIRE_REQUEST_H
#include "names.h"
#include "scan.h"
#include "wire.h"

#define REQUEST_DEPTH_MAX 32 /* LIMIT_NESTING */
enum request_limit { BY_MAX_TOKENS, BY_MAX_COMPLETION_TOKENS, BY_MAX_OUTPUT_TOKENS, BY_N_PREDICT, REQUEST_LIMITS };
enum name request_limit_name(enum request_limit limit);
enum request_limit request_limit_of(enum name name); /* REQUEST_LIMITS: it is none */
/* Does every server obey it at this door? Others may, so they are lowered too, but they can not be relied upon. */
bool request_limit_binds(enum wire_door door, enum request_limit limit);

/* Where a value stands in the body; end 0: nowhere */
struct place {
  size_t begin, end;
};
struct places {
  size_t inside; /* just behind the brace that opens the body; a member follows, for the model must be given */
  struct place model, limits[REQUEST_LIMITS], stream_options, include_usage;
  int64_t limit_values[REQUEST_LIMITS]; /* -1: null */
  bool options_empty;                   /* stream_options is {} */
  bool options_null;
};

/* The prompt of a request, token by token. */
struct prompt {
  struct wire_request *out;
  slice body;
  uint64_t prompts, numbers; /* elements of a top-level prompt */
  uint64_t data_bytes;       /* of images, which are not text */
  /* of the part and the element under way */
  uint64_t part_data_bytes;
  uint64_t part_depths; /* bit d: the object that opens at depth d is a part that is not text */
  bool part_is_image, element_is_user, has_head;
  uint64_t head_end; /* where the first message of the user ends */
};
void prompt_token(struct prompt *p, const struct scan_token *t);
void prompt_end(struct prompt *p);
#endif
