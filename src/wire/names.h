/* Names that matter in requests and answers, and their look-up by length and bytes. */
#ifndef METERHOUSE_WIRE_NAMES_H
#define METERHOUSE_WIRE_NAMES_H
#include "base/base.h"

/* by length: the look-up compares those of the right one only */
#define NAMES_1(X) X(N, "n")
#define NAMES_3(X) X(URL, "url")
#define NAMES_4(X)                                                                                                     \
  X(USER, "user") X(NAME, "name") X(TYPE, "type") X(TEXT, "text") X(ROLE, "role") X(DATA, "data") X(FILE, "file")
#define NAMES_5(X)                                                                                                     \
  X(MODEL, "model")                                                                                                    \
  X(INPUT, "input") X(USAGE, "usage") X(DELTA, "delta") X(ERROR, "error") X(IMAGE, "image") X(AUDIO, "audio")
#define NAMES_6(X)                                                                                                     \
  X(STREAM, "stream")                                                                                                  \
  X(PROMPT, "prompt")                                                                                                  \
  X(SYSTEM, "system") X(STATUS, "status") X(OUTPUT, "output") X(N_CMPL, "n_cmpl") X(SOURCE, "source")
#define NAMES_7(X)                                                                                                     \
  X(BEST_OF, "best_of")                                                                                                \
  X(USER_ID, "user_id")                                                                                                \
  X(CHOICES, "choices") X(CONTENT, "content") X(MESSAGE, "message") X(REFUSAL, "refusal") X(SUMMARY, "summary")
#define NAMES_8(X)                                                                                                     \
  X(METADATA, "metadata")                                                                                              \
  X(MESSAGES, "messages")                                                                                              \
  X(RESPONSE, "response") X(FUNCTION, "function") X(THINKING, "thinking") X(DOCUMENT, "document")
#define NAMES_9(X)                                                                                                     \
  X(N_PREDICT, "n_predict")                                                                                            \
  X(REASONING, "reasoning")                                                                                            \
  X(ARGUMENTS, "arguments")                                                                                            \
  X(IMAGE_URL, "image_url") X(AUDIO_URL, "audio_url") X(VIDEO_URL, "video_url") X(FILE_DATA, "file_data")
#define NAMES_10(X) X(MAX_TOKENS, "max_tokens") X(TOOL_CALLS, "tool_calls") X(TRANSCRIPT, "transcript")
#define NAMES_11(X) X(STOP_REASON, "stop_reason") X(INPUT_AUDIO, "input_audio") X(INPUT_IMAGE, "input_image")
#define NAMES_12(X)                                                                                                    \
  X(SERVICE_TIER, "service_tier")                                                                                      \
  X(INSTRUCTIONS, "instructions")                                                                                      \
  X(PARTIAL_JSON, "partial_json") X(INPUT_TOKENS, "input_tokens") X(AUDIO_TOKENS, "audio_tokens")
#define NAMES_13(X)                                                                                                    \
  X(FINISH_REASON, "finish_reason")                                                                                    \
  X(PROMPT_TOKENS, "prompt_tokens")                                                                                    \
  X(OUTPUT_TOKENS, "output_tokens")                                                                                    \
  X(CACHED_TOKENS, "cached_tokens")                                                                                    \
  X(FUNCTION_CALL, "function_call") X(CONTENT_BLOCK, "content_block") X(INCLUDE_USAGE, "include_usage")
#define NAMES_14(X) X(STREAM_OPTIONS, "stream_options")
#define NAMES_16(X) X(REASONING_TOKENS, "reasoning_tokens") X(PROMPT_CACHE_KEY, "prompt_cache_key")
#define NAMES_17(X)                                                                                                    \
  X(MAX_OUTPUT_TOKENS, "max_output_tokens")                                                                            \
  X(COMPLETION_TOKENS, "completion_tokens") X(REASONING_CONTENT, "reasoning_content")
#define NAMES_18(X) X(CACHE_WRITE_TOKENS, "cache_write_tokens")
#define NAMES_20(X) X(INPUT_TOKENS_DETAILS, "input_tokens_details")
#define NAMES_21(X)                                                                                                    \
  X(MAX_COMPLETION_TOKENS, "max_completion_tokens")                                                                    \
  X(PROMPT_TOKENS_DETAILS, "prompt_tokens_details") X(OUTPUT_TOKENS_DETAILS, "output_tokens_details")
#define NAMES_23(X) X(CACHE_READ_INPUT_TOKENS, "cache_read_input_tokens")
#define NAMES_25(X) X(COMPLETION_TOKENS_DETAILS, "completion_tokens_details")
#define NAMES_27(X) X(CACHE_CREATION_INPUT_TOKENS, "cache_creation_input_tokens")
#define NAMES(L)                                                                                                       \
  L(1, NAMES_1)                                                                                                        \
  L(3, NAMES_3)                                                                                                        \
  L(4, NAMES_4)                                                                                                        \
  L(5, NAMES_5)                                                                                                        \
  L(6, NAMES_6)                                                                                                        \
  L(7, NAMES_7)                                                                                                        \
  L(8, NAMES_8)                                                                                                        \
  L(9, NAMES_9)                                                                                                        \
  L(10, NAMES_10)                                                                                                      \
  L(11, NAMES_11)                                                                                                      \
  L(12, NAMES_12)                                                                                                      \
  L(13, NAMES_13) L(14, NAMES_14) L(16, NAMES_16) L(17, NAMES_17) L(18, NAMES_18) L(20, NAMES_20) L(21, NAMES_21)      \
      L(23, NAMES_23) L(25, NAMES_25) L(27, NAMES_27)

#define NAME_CONSTANT(constant, text) NAME_##constant,
#define NAME_CONSTANTS(length, list) list(NAME_CONSTANT)
enum name { NAME_OTHER, NAMES(NAME_CONSTANTS) NAME_COUNT };
#undef NAME_CONSTANT
#undef NAME_CONSTANTS
enum name wire_field_name(slice text);
const char *name_text(enum name name); /* "" for NAME_OTHER */
#endif
