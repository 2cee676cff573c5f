/* What model servers and their clients say to each other: requests read and edited in place, answers followed for their
 * usage while they pass, one shape turned into another. Pure; knows no sockets and no money. The facts behind it are
 * those of the OpenAI and Anthropic HTTP APIs; docs/gateway.md tells users what is done with them. */
#ifndef METERHOUSE_WIRE_WIRE_H
#define METERHOUSE_WIRE_WIRE_H
#include "base/base.h"

/* Where a call comes in. The door decides the shape of its errors, its stream and its usage. */
enum wire_door { WIRE_CHAT, WIRE_COMPLETIONS, WIRE_EMBEDDINGS, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_DOORS };
const char *wire_door_name(enum wire_door door); /* "chat", "completions", "embeddings", "responses", "messages" */
const char *wire_door_path(enum wire_door door); /* "/v1/chat/completions" ... */
MUST_USE bool wire_door_of(slice name, enum wire_door *out);
/* What an upstream speaks. OPENAI ones have all doors but messages, which are turned into chat for them. */
enum wire_shape { WIRE_OPENAI, WIRE_ANTHROPIC };

/* ---- requests ---- */
#define WIRE_CHOICES_MAX 128
#define WIRE_NAME_BYTES_MAX 256 /* model, service_tier, session */
/* What the gateway has to know of a body. Slices live in the body or the arena. */
struct wire_request {
  enum wire_door door;
  slice body;
  slice model;
  bool stream;
  bool usage_asked;   /* stream_options.include_usage */
  int64_t max_tokens; /* most output tokens of one choice that the client allows: of max_completion_tokens, max_tokens,
                         max_output_tokens, n_predict the largest that is given; -1: none is that all servers obey at
                         this door (max_tokens; chat: max_completion_tokens too; responses: max_output_tokens). Each is
                         a whole number from 1 to 10^12, or null, which is as if it were not given */
  int64_t choices;    /* answers to generate: n (n_cmpl), best_of, each from 1 to WIRE_CHOICES_MAX; times the number of
                         prompts of /v1/completions; 1 or more, and 1 for embeddings */
  slice tier;         /* service_tier; empty: not given */
  slice session;   /* what calls of one conversation share: prompt_cache_key, else user, else metadata.user_id; may be
                      empty; cut to WIRE_NAME_BYTES_MAX */
  uint64_t prefix; /* hash of the system's words and of the messages up to the user's first, at most 1 KiB of each: the
                      same while a conversation grows */
  int64_t input_tokens_max; /* what the client sends is no more tokens than this: bytes of the body, and 4096 for each
                               part that is not text (image, audio, file) in place of an image's data; a tokenizer
                               makes at most one token of a byte. What a model's template adds is not in it */
  uint32_t parts_not_text;
  const void *places; /* of the values that may be edited; for wire_request_write */
};
/* Reads a body that must be one JSON object in valid UTF-8, at most LIMIT_NESTING deep. A name of the top level that
 * matters is refused when it comes twice, with escapes or in other letters than small ones, for readers differ on
 * which counts. ERR_INVALID names the field and what was expected, as a sentence for the client. `body` must live as
 * long as *out. */
MUST_USE bool wire_request_read(struct arena *arena, enum wire_door door, slice body, struct wire_request *out,
                                struct error *err);
struct wire_edits {
  slice model;        /* as the upstream calls it; empty: as the client wrote */
  int64_t max_tokens; /* every such field that is given and larger is lowered to it; when none is given that all
                         servers obey, it is set in such a one, be it null or absent; not for embeddings;
                         -1: as is */
  bool ask_usage;     /* streams of chat and completions: stream_options.include_usage is true */
};
/* The body with these edits and nothing else touched, byte for byte. */
void wire_request_write(const struct wire_request *request, const struct wire_edits *edits, struct buf *out);
/* A body of /v1/messages as one of /v1/chat/completions with the same meaning: system, text, images, tool use and tool
 * results, tools, tool_choice, stop_sequences, sampling, metadata.user_id. Thoughts of earlier answers become
 * reasoning_content, cache_control is left out. ERR_INVALID names what has no counterpart (documents, tools of the
 * server, thinking with a budget, settings that are not known); *out is of no use then. */
MUST_USE bool wire_messages_to_chat(struct arena *arena, const struct wire_request *request,
                                    const struct wire_edits *edits, struct buf *out, struct error *err);

/* ---- usage ---- */
/* Tokens as they are sold: each token counts in exactly one of the first seven, whichever way the upstream counts. */
struct wire_usage {
  int64_t input;       /* read anew: neither from a cache, nor into one, nor audio */
  int64_t cached;      /* read from a cache */
  int64_t cache_write; /* written into one */
  int64_t input_audio;
  int64_t output; /* generated, neither reasoning nor audio; rejected predictions are output */
  int64_t reasoning;
  int64_t output_audio;
  bool reported; /* by the upstream; false: an estimate from what passed */
};
/* All that went in, and all that came out. */
int64_t wire_usage_input(const struct wire_usage *u);
int64_t wire_usage_output(const struct wire_usage *u);
/* A usage object of either shape as text. False when it is not one (null, without a count of the input, wrong types,
 * below zero, above 10^12; 12.0 counts as 12): then *out is untouched. Details that exceed what they are part of are
 * cut to it. */
MUST_USE bool wire_usage_read(enum wire_door door, enum wire_shape shape, slice json, struct wire_usage *out);

/* ---- answers ---- */
struct wire_reader_options {
  enum wire_door door;   /* the client's */
  enum wire_shape shape; /* the upstream's; MESSAGES with OPENAI is turned back from chat */
  bool stream;           /* text/event-stream comes, else one JSON text */
  bool hide_usage;       /* streams of chat and completions whose client did not ask: usage is taken out again */
  slice model;           /* public name, for answers that are made here; must outlive the reader */
  bool hear_later;       /* whoever takes says wire_reader_hear as well */
  const char *id;        /* of the call, likewise: "msg_..." of a turned answer is made of it */
};
/* Follows one answer. Whatever the borders of the pieces are, what comes out is the same. Memory is bounded: an event
 * of a stream that is longer than WIRE_EVENT_BYTES_MAX passes as it comes, and is heard all the same; only its usage
 * can not be hidden. An answer that is turned whole may have LIMIT_BODY_BYTES. */
#define WIRE_EVENT_BYTES_MAX ((size_t)1 << 20)
struct wire_reader;
struct wire_reader *wire_reader_new(const struct wire_reader_options *options);
/* The same in the memory of one that is no longer needed; NULL: there is none. */
struct wire_reader *wire_reader_again(struct wire_reader *old, const struct wire_reader_options *options);
void wire_reader_free(struct wire_reader *reader);
/* Takes the next piece of the upstream's body; appends to `out` what may go to the client by now. What ends the answer
 * (the last event of a stream, the last byte of a JSON text that is not blank) is kept back for wire_reader_end. False
 * when the answer can not be followed any longer (turned answers that are not JSON, or longer than may be held): then
 * only wire_reader_end, which says why, is left. */
MUST_USE bool wire_reader_take(struct wire_reader *reader, slice piece, struct buf *out, struct error *err);
struct wire_outcome {
  struct wire_usage usage; /* reported: the last that was; text that passed after it is estimated by wire_estimate,
                              added to the output, and `reported` is false. Nothing reported: the input is zero (whoever
                              asked knows the request) */
  bool complete;           /* it ended as it should: [DONE], response.completed and the like, message_stop, a whole JSON
                              text */
  bool failed;             /* the upstream said inside its answer that it failed: an error, response.failed */
  bool generated;          /* something that counts as output passed */
  uint64_t pieces;         /* events with generated content that passed */
  char finish[32];         /* finish_reason, stop_reason or status as told; may be empty */
  char tier[32];           /* service_tier as told; may be empty */
  char model[WIRE_NAME_BYTES_MAX]; /* as the upstream names itself; may be empty */
};
/* With `hear_later`: a JSON answer that passes as it is was only passed by wire_reader_take; to be said after each,
 * while the piece still lives. So what passes is not late by the time that hearing takes. */
void wire_reader_hear(struct wire_reader *reader);
/* As it stands now; may be asked at any time, also when the client has left. */
void wire_reader_outcome(const struct wire_reader *reader, struct wire_outcome *out);
/* Has the last event of a stream come? What follows is ignored. */
bool wire_reader_is_done(const struct wire_reader *reader);
/* The rest for the client: what was kept back, when `why` is NULL. Else a stream ends with an error event in the
 * client's shape that says why, unless the upstream's own error has passed; a JSON text stays without its end. Called
 * once, last. */
void wire_reader_end(struct wire_reader *reader, const char *why, struct buf *out);
/* Tokens that so many bytes of text probably are, when nobody says: a quarter of the bytes, rounded up. */
int64_t wire_estimate(uint64_t text_bytes);

/* ---- errors ---- */
/* An error body in the door's shape: OpenAI's {"error":{message,type,param,code}} or Anthropic's
 * {"type":"error","error":{type,message},"request_id"}. `code` and `param` may be NULL. The type follows from the
 * status. */
void wire_error(enum wire_door door, int status, const char *message, const char *code, const char *param,
                const char *request_id, struct buf *out);
/* What an upstream answered instead of an answer, as an error body of the door's shape: message, type and code are kept
 * when `body` is of either shape, else the message says the status. Never longer than 4 KiB. */
void wire_error_from(enum wire_door door, int status, slice body, const char *request_id, struct buf *out);
/* A comment that keeps a waiting client's stream alive. */
#define WIRE_KEEP_ALIVE SLICE(": keep-alive\n\n")
#endif
