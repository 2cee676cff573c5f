/* Answers of chat as answers of messages. */
#ifndef METERHOUSE_WIRE_TURNED_H
#define METERHOUSE_WIRE_TURNED_H
#include "base/json.h"
#include "reader.h"

/* The stream that is being written. */
enum turned_block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };
struct turned {
  struct arena *arena; /* of the event under way */
  bool begun, ended, used_tools;
  enum turned_block open;
  int64_t blocks;  /* begun so far; the open one is the last */
  int64_t tool;    /* index of the tool call that the open block is of */
  char finish[32]; /* finish_reason */
  struct buf stop; /* the stop sequence that ended it, as a JSON string; empty: none */
};
struct turned *turned_new(void);
void turned_free(struct turned *t);
/* The data of one event. False: it can not be turned. */
MUST_USE bool turned_event(struct wire_reader *r, slice data, struct error *err);
/* All that stands before message_stop. */
void turned_finish(struct wire_reader *r);
void turned_stop(struct buf *out);
/* A whole chat completion as a whole message. */
MUST_USE bool turned_answer(struct wire_reader *r, slice body, struct buf *out, struct error *err);
/* Members of a message, into the object that is open. */
void turned_head(const struct wire_reader *r, struct json_out *w); /* id, type, role, model */
void turned_usage(const struct wire_usage *u, struct json_out *w); /* in Anthropic's counting */
const char *turned_stop_reason(const char *finish, bool stopped_by_sequence, bool used_tools);
#endif
