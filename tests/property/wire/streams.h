/* Streams as model servers send them, and what is to be read from them. */
#ifndef TESTS_WIRE_STREAMS_H
#define TESTS_WIRE_STREAMS_H
#include "wire/wire.h"

struct recorded {
  const char *name;
  enum wire_door door;
  enum wire_shape shape;
  bool stream, hide;
  const char *sent;
  const char *passed; /* what the client gets; NULL: what was sent */
  const char *kept;   /* the end of it that waits */
  struct wire_usage usage;
  bool complete, failed, generated;
  uint64_t pieces;
  const char *finish, *tier, *model;
};

#define OPENAI_HEAD                                                                                                    \
  "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-x\","
#define DONE "data: [DONE]\n\n"

/* OpenAI: usage is null on every chunk and comes in one of its own. */
#define OPENAI_CHUNK(delta, finish)                                                                                    \
  OPENAI_HEAD "\"service_tier\":\"flex\",\"choices\":[{\"index\":0,\"delta\":" delta                                   \
              ",\"logprobs\":null,\"finish_reason\":" finish "}]"
#define OPENAI_NULL ",\"usage\":null"
#define OPENAI_USAGE                                                                                                   \
  "{\"prompt_tokens\":100,\"completion_tokens\":20,\"total_tokens\":120,\"prompt_tokens_details\":{"                   \
  "\"cached_tokens\":64,\"audio_tokens\":6},\"completion_tokens_details\":{\"reasoning_tokens\":12,\"audio_tokens\":"  \
  "0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":3}}"
#define OPENAI_STREAM(nulls, last)                                                                                     \
  OPENAI_CHUNK("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null")                                   \
  nulls "}\n\n" OPENAI_CHUNK("{\"content\":\"Gr\\u00fc\\u00dfe \\ud83d\\udcb0\"}", "null") nulls                       \
      "}\n\n" OPENAI_CHUNK("{\"content\":\" \\\"usage\\\": {1}\"}", "null") nulls                                      \
      "}\n\n" OPENAI_CHUNK("{}", "\"stop\"") nulls "}\n\n" last DONE
#define OPENAI_LAST OPENAI_HEAD "\"service_tier\":\"flex\",\"choices\":[],\"usage\":" OPENAI_USAGE "}\n\n"

/* vLLM with continuous usage: cumulative, on every chunk. */
#define VLLM(choices, usage)                                                                                           \
  "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":2,\"model\":\"qwen\",\"choices\":[" choices    \
  "]" usage "}\n\n"
#define VLLM_USAGE(out)                                                                                                \
  ",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":99,\"completion_tokens\":" out ",\"prompt_tokens_details\":null}"
#define VLLM_WORD(kind, text) "{\"index\":0,\"delta\":{\"" kind "\":\"" text "\"},\"finish_reason\":null}"
#define VLLM_STREAM(u0, u1, u2, last)                                                                                  \
  VLLM("{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}", u0)                                  \
  VLLM(VLLM_WORD("reasoning_content", "hmm"), u1)                                                                      \
  VLLM(VLLM_WORD("content", "yes"), u2) VLLM("{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}", u2) last DONE

/* llama.cpp: usage and timings on the finish chunk, asked or not; first member, with blanks. */
#define LLAMA(usage)                                                                                                   \
  "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"ok\"}}],\"created\":3,\"model\":"  \
  "\"local\"}\r\n\r\n"                                                                                                 \
  ": keep-alive\r\n\r\n"                                                                                               \
  "data: {" usage "\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}],\"timings\":{\"n\":1}}\r\n\r\n" \
  "data: [DONE]\r\n\r\n"

#define ANTHROPIC(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define ANTHROPIC_STREAM                                                                                               \
  ANTHROPIC("message_start",                                                                                           \
            ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\","       \
            "\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":7,"    \
            "\"cache_read_input_tokens\":1000,\"output_tokens\":1,\"service_tier\":\"priority\"}}")                    \
  ANTHROPIC("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")                 \
  ANTHROPIC("ping", "")                                                                                                \
  ANTHROPIC("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}")              \
  ANTHROPIC("content_block_delta",                                                                                     \
            ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1}\"}")               \
  ANTHROPIC("content_block_stop", ",\"index\":0")                                                                      \
  ANTHROPIC("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{"            \
                             "\"input_tokens\":null,\"cache_read_input_tokens\":null,\"output_tokens\":15}")
#define ANTHROPIC_STOP ANTHROPIC("message_stop", "")

#define RESPONSE(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define RESPONSE_STREAM                                                                                                \
  RESPONSE("response.created",                                                                                         \
           ",\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"usage\":null,\"error\":null}")                    \
  RESPONSE("response.output_text.delta", ",\"item_id\":\"m\",\"delta\":\"Hi there\"")                                  \
  RESPONSE("response.output_text.done", ",\"text\":\"Hi there\"")
#define RESPONSE_END(kind)                                                                                             \
  RESPONSE(kind, ",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"error\":null,\"model\":\"gpt-r\","            \
                 "\"service_tier\":\"default\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":"              \
                 "\"output_text\",\"text\":\"Hi there\"}]}],\"usage\":{\"input_tokens\":36,\"input_tokens_details\":"  \
                 "{\"cached_tokens\":6},\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":80},"     \
                 "\"total_tokens\":123}}")
#define UPSTREAM_ERROR                                                                                                 \
  "data: {\"error\":{\"message\":\"CUDA out of memory\",\"type\":\"server_error\",\"code\":500}}\n\n"
#define CHAT_JSON                                                                                                      \
  "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":"    \
  "\"assistant\",\"content\":\"one two\",\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":"  \
  "\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":12.0,"               \
  "\"completion_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":3}}}"

static const struct recorded recordings[] = {
    {.name = "openai, asked",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = OPENAI_STREAM(OPENAI_NULL, OPENAI_LAST),
     .kept = DONE,
     .usage = {.input = 30, .cached = 64, .input_audio = 6, .output = 8, .reasoning = 12, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 2,
     .finish = "stop",
     .tier = "flex",
     .model = "gpt-x"},
    {.name = "openai, not asked",
     .door = WIRE_CHAT,
     .stream = true,
     .hide = true,
     .sent = OPENAI_STREAM(OPENAI_NULL, OPENAI_LAST),
     .passed = OPENAI_STREAM("", ""),
     .kept = DONE,
     .usage = {.input = 30, .cached = 64, .input_audio = 6, .output = 8, .reasoning = 12, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 2,
     .finish = "stop",
     .tier = "flex",
     .model = "gpt-x"},
    {.name = "openai, without usage",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = OPENAI_STREAM(OPENAI_NULL, ""),
     .kept = DONE,
     .usage = {.output = 7}, /* 12 and 13 bytes of text */
     .complete = true,
     .generated = true,
     .pieces = 2,
     .finish = "stop",
     .tier = "flex",
     .model = "gpt-x"},
    {.name = "vllm, continuous, asked",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = VLLM_STREAM(VLLM_USAGE("0"), VLLM_USAGE("1"), VLLM_USAGE("2"), VLLM("", VLLM_USAGE("2"))),
     .kept = DONE,
     .usage = {.input = 9, .output = 2, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 2,
     .finish = "length",
     .tier = "",
     .model = "qwen"},
    {.name = "vllm, continuous, not asked",
     .door = WIRE_CHAT,
     .stream = true,
     .hide = true,
     .sent = VLLM_STREAM(VLLM_USAGE("0"), VLLM_USAGE("1"), VLLM_USAGE("2"), VLLM("", VLLM_USAGE("2"))),
     .passed = VLLM_STREAM("", "", "", ""),
     .kept = DONE,
     .usage = {.input = 9, .output = 2, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 2,
     .finish = "length",
     .tier = "",
     .model = "qwen"},
    {.name = "vllm, cut after its first usage",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = VLLM("{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}", VLLM_USAGE("0"))
         VLLM(VLLM_WORD("content", "nine more"), ""),
     .kept = "",
     .usage = {.input = 9, .output = 3},
     .generated = true,
     .pieces = 1,
     .finish = "",
     .tier = "",
     .model = "qwen"},
    {.name = "a reported zero stays",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = VLLM(VLLM_WORD("content", "free"), "") VLLM("", ",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}")
         DONE,
     .kept = DONE,
     .usage = {.reported = true},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "",
     .tier = "",
     .model = "qwen"},
    {.name = "llama.cpp, not asked, CRLF",
     .door = WIRE_CHAT,
     .stream = true,
     .hide = true,
     .sent = LLAMA("\"usage\": {\"completion_tokens\":1,\"prompt_tokens\":5,\"total_tokens\":6} , "),
     .passed = LLAMA(""),
     .kept = "data: [DONE]\r\n\r\n",
     .usage = {.input = 5, .output = 1, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "stop",
     .tier = "",
     .model = "local"},
    {.name = "completions, lines end with CR, data in two lines, not asked",
     .door = WIRE_COMPLETIONS,
     .stream = true,
     .hide = true,
     .sent =
         "id: 7\rdata:{\"choices\":[{\"text\":\"abcd\"}],\rdata: \"usage\":{\"prompt_tokens\":3},\"model\":\"b\"}\r\r"
         "data:[DONE]\r\r",
     .passed = "data: {\"choices\":[{\"text\":\"abcd\"}],\"model\":\"b\"}\n\ndata:[DONE]\r\r",
     .kept = "data:[DONE]\r\r",
     .usage = {.input = 3, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "",
     .tier = "",
     .model = "b"},
    {.name = "malformed usage is none",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = VLLM(VLLM_WORD("content", "12345"), "")
         VLLM("", ",\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":2}") DONE,
     .kept = DONE,
     .usage = {.output = 2},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "",
     .tier = "",
     .model = "qwen"},
    {.name = "an error inside of a stream is no output",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = UPSTREAM_ERROR DONE,
     .kept = DONE,
     .complete = true,
     .failed = true,
     .finish = "",
     .tier = "",
     .model = ""},
    {.name = "what follows the end is ignored; events that are not JSON pass",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = "data: hello\n\n\n\nretry: 10\n\n" DONE "data: {\"usage\":{\"prompt_tokens\":9}}\n\n",
     .passed = "data: hello\n\n\n\nretry: 10\n\n" DONE,
     .kept = DONE,
     .complete = true,
     .finish = "",
     .tier = "",
     .model = ""},
    {.name = "no blank line behind the end",
     .door = WIRE_CHAT,
     .stream = true,
     .sent = VLLM(VLLM_WORD("content", "1234"), "") "data: [DONE]",
     .passed = VLLM(VLLM_WORD("content", "1234"), "") DONE,
     .kept = DONE,
     .usage = {.output = 1},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "",
     .tier = "",
     .model = "qwen"},
    {.name = "anthropic",
     .door = WIRE_MESSAGES,
     .shape = WIRE_ANTHROPIC,
     .stream = true,
     .sent = ANTHROPIC_STREAM ANTHROPIC_STOP,
     .kept = ANTHROPIC_STOP,
     .usage = {.input = 25, .cached = 1000, .cache_write = 7, .output = 15, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 2,
     .finish = "end_turn",
     .tier = "priority",
     .model = "claude-x"},
    {.name = "responses",
     .door = WIRE_RESPONSES,
     .stream = true,
     .sent = RESPONSE_STREAM RESPONSE_END("response.completed"),
     .kept = RESPONSE_END("response.completed"),
     .usage = {.input = 30, .cached = 6, .output = 7, .reasoning = 80, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "completed",
     .tier = "default",
     .model = "gpt-r"},
    {.name = "responses that failed",
     .door = WIRE_RESPONSES,
     .stream = true,
     .sent = RESPONSE_STREAM RESPONSE_END("response.failed"),
     .kept = RESPONSE_END("response.failed"),
     .usage = {.input = 30, .cached = 6, .output = 7, .reasoning = 80, .reported = true},
     .complete = true,
     .failed = true,
     .generated = true,
     .pieces = 1,
     .finish = "completed",
     .tier = "default",
     .model = "gpt-r"},
    {.name = "chat in one text",
     .door = WIRE_CHAT,
     .sent = "  " CHAT_JSON " \r\n",
     .kept = "} \r\n",
     .usage = {.input = 5, .cached = 4, .cache_write = 3, .output = 7, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "tool_calls",
     .tier = "",
     .model = "m-1"},
    {.name = "embeddings",
     .door = WIRE_EMBEDDINGS,
     .sent =
         "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1,-2.5e-3,1]}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":"
         "8,\"total_tokens\":8}}",
     .kept = "}",
     .usage = {.input = 8, .reported = true},
     .complete = true,
     .finish = "",
     .tier = "",
     .model = "e"},
    {.name = "a response in one text, without usage",
     .door = WIRE_RESPONSES,
     .sent = "{\"status\":\"completed\",\"error\":null,\"output\":[{\"type\":\"message\",\"content\":[{\"text\":"
             "\"123456\"}]}]}",
     .kept = "}",
     .usage = {.output = 2},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "completed",
     .tier = "",
     .model = ""},
    {.name = "escapes in one text: each byte counts", /* 8 of text: one more would be another token */
     .door = WIRE_CHAT,
     .sent = "{\"mod\\u0065l\":\"m\\u00fc\\ud83d\\udcb0\\/"
             "\",\"service_tier\":\"fl\\u0065x\",\"choices\":[{\"message\":{\"content\":"
             "\"\\u00fc\\\"\\n\\ud83d\\udcb0\"},\"finish_reason\":\"st\\u006fp\"}],\"usage\":null}",
     .kept = "}",
     .usage = {.output = 2},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "stop",
     .tier = "flex",
     .model = "m\xc3\xbc\xf0\x9f\x92\xb0/"},
    {.name = "a message in one text",
     .door = WIRE_MESSAGES,
     .shape = WIRE_ANTHROPIC,
     .sent =
         "{\"type\":\"message\",\"model\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"1234\"},{\"type\":\"tool_"
         "use\","
         "\"name\":\"f\",\"input\":{\"a\":{\"usage\":1}}}],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":3,"
         "\"output_tokens\":4,\"cache_read_input_tokens\":null}}",
     .kept = "}",
     .usage = {.input = 3, .output = 4, .reported = true},
     .complete = true,
     .generated = true,
     .pieces = 1,
     .finish = "tool_use",
     .tier = "",
     .model = "c"},
    {.name = "not JSON",
     .door = WIRE_CHAT,
     .sent = "<html>busy</html>\n",
     .kept = ">\n",
     .finish = "",
     .tier = "",
     .model = ""},
    {.name = "something behind the end",
     .door = WIRE_CHAT,
     .sent = "{\"usage\":{\"prompt_tokens\":1}}x",
     .kept = "x",
     .usage = {.input = 1, .reported = true},
     .finish = "",
     .tier = "",
     .model = ""},
};
#endif
