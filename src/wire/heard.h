/* What matters of one JSON text of an answer: a whole answer, or the data of one event of a stream. */
#ifndef METERHOUSE_WIRE_HEARD_H
#define METERHOUSE_WIRE_HEARD_H
#include "scan.h"
#include "usage.h"
#include "wire.h"

#define HEARD_CUTS_MAX 4
#define HEARD_WORD_MAX 64
struct heard_cut {
  uint64_t begin, end;
};
struct heard {
  enum wire_door door; /* these three are set by whoever listens, before heard_start */
  enum wire_shape shape;
  bool stream;
  struct usage_fields usage;
  bool usage_given, usage_is_object; /* a member usage that is not null; that is an object */
  bool choices_empty;                /* choices is [] */
  bool failed;                       /* an error is told */
  uint64_t text_bytes;               /* of generated text */
  uint32_t texts;                    /* strings of it */
  bool text_is_plain;                /* the last one has no escapes */
  uint64_t text_begin, text_end;     /* where the last one stands, without its quotes */
  uint64_t end;                      /* of the text itself, without what follows it */
  uint64_t delta_bytes;              /* of a `delta` whose type says whether it is output */
  char type[HEARD_WORD_MAX], finish[HEARD_WORD_MAX], tier[HEARD_WORD_MAX];
  char model[WIRE_NAME_BYTES_MAX];
  /* where the usage member stands, with the comma that goes with it */
  struct heard_cut cuts[HEARD_CUTS_MAX];
  size_t cut_count;
  bool cut_is_open, cuts_overflow;
  uint64_t last_end; /* of the last member that stays */
};
void heard_start(struct heard *h);
scan_listener heard_token; /* its context is a struct heard */
#endif
