/* The end of a call: what it used and costs, and, once that is durable, the last bytes for the client. docs/gateway.md
 * has the rule for each way to end. */
#include "base/log.h"
#include "gateway/private.h"
#include <stdlib.h>
#include <string.h>

#define TOKENS_BYTES_MAX 8 /* pieces of a stream with more bytes than this hold several tokens each */

/* ---- usage ---- */

/* An upstream that reports more than it was allowed does not make a call dearer than what was held for it. */
static void clip(int64_t *parts[], size_t count, int64_t most) {
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    sum += *parts[i];
  }
  for (size_t i = 0; i < count && sum > most; i++) {
    int64_t off = sum - most < *parts[i] ? sum - most : *parts[i];
    *parts[i] -= off;
    sum -= off;
  }
}

static void clip_usage(const struct call *call, struct wire_usage *u) {
  int64_t *inputs[] = {&u->input, &u->cached, &u->cache_write, &u->input_audio};
  int64_t *outputs[] = {&u->output, &u->reasoning, &u->output_audio};
  clip(inputs, 4, call->request.input_tokens_max);
  clip(outputs, 3, call->door == WIRE_EMBEDDINGS ? 0 : call->max_tokens * call->request.choices);
}

/* When nobody said: model servers send a token a piece, unless the pieces are long. */
static void estimate(const struct call *call, struct wire_outcome *o) {
  int64_t by_bytes = o->usage.output, pieces = (int64_t)o->pieces;
  bool long_pieces = by_bytes * 4 > pieces * TOKENS_BYTES_MAX;
  o->usage.output = call->request.stream && !long_pieces ? pieces : by_bytes;
  o->usage.input = wire_estimate((uint64_t)call->request.input_tokens_max);
}

static bool was_begun(const struct call *call) {
  return call->first_byte.ns > 0 && call->reader != NULL;
}

bool call_price(struct call *call, enum call_end end, instant at, struct error *err) {
  call->outcome = (struct wire_outcome){0};
  if (call->reader) {
    wire_reader_outcome(call->reader, &call->outcome);
  }
  if (!call->outcome.usage.reported && was_begun(call)) {
    estimate(call, &call->outcome);
  }
  clip_usage(call, &call->outcome.usage);
  call->charged = (end == END_OK || end == END_CLIENT_GONE) && was_begun(call) && !call->outcome.failed;
  quote_fold(call->quote, &call->outcome.usage, call->counts);
  pthread_mutex_lock(&call->buyer->lock);
  bool ok = quote_price(call->terms, call->quote, call->counts, at, &call->aside, &call->paid, err);
  pthread_mutex_unlock(&call->buyer->lock);
  if (!call->charged) {
    call->paid = (struct price_paid){0};
  }
  return ok;
}

/* The answer may say that it was served in another tier: then that one's price counts, if it is within what was held.
 */
static void heed_tier(struct call *call, instant at) {
  enum model_tier asked = call->tier;
  struct error err = {0};
  for (enum model_tier t = TIER_DEFAULT; t < MODEL_TIERS; t++) {
    if (t == asked || !slice_is(slice_of(call->outcome.tier), model_tier_name(t)) ||
        (call->model->tiers & (1u << t)) == 0) {
      continue;
    }
    const struct quote *quote = call->quote;
    struct price_paid paid = call->paid;
    call->tier = t;
    if (call->terms->allowance_count == 0 && call_quote(call, &err) && call->quote->sold &&
        call_price(call, call->end, at, &err) && amount_cmp(call->paid.gross, call->held) <= 0) {
      return;
    }
    call->tier = asked;
    call->quote = quote;
    call->paid = paid;
    quote_fold(call->quote, &call->outcome.usage, call->counts);
  }
}

/* ---- before the core ---- */

static void spend_held(struct call *call) {
  pthread_mutex_lock(&call->buyer->lock);
  if (call->charged) {
    quote_take(call->terms, call->quote, call->counts, &call->aside);
  } else {
    quote_give_back(call->terms, call->quote, &call->aside);
  }
  call->set_aside = false;
  pthread_mutex_unlock(&call->buyer->lock);
  must(call->holds);
  purse_release(call->buyer->purse, call->held, call->paid.gross);
  call->holds = false;
  if (call->key_state) {
    key_spend_end(call->key_state, call->held);
    key_spend_count(call->key_state, call->key_period, call->paid.gross);
    call->key_holds = false;
  }
}

void call_settle(struct call *call, enum call_end end) {
  struct error err = {0};
  if (call->settling) {
    return;
  }
  call->settling = true;
  call->end = end;
  call->ended = clock_now();
  if (!call_price(call, end, call->ended, &err) ||
      !purse_period(call->buyer->purse, call->ended, &call->period_to, &err)) {
    log_line(LOG_ERROR, http_request_id(call->http), "the call can not be priced: %s", err.message);
    call->paid = (struct price_paid){0};
    call->charged = false;
  } else {
    heed_tier(call, call->ended);
  }
  if (amount_cmp(call->paid.gross, call->held) > 0) {
    log_line(LOG_ERROR, http_request_id(call->http), "the call costs more than was held for it");
    call->paid.gross = call->held;
  }
  spend_held(call);
  call_record(call->arena, call, call_end_name(end), call->ended, &call->event);
  edge_add_settled(call->edge, call);
}

/* ---- the last bytes ---- */

static int status_for_client(int upstream_status) {
  switch (upstream_status) {
  case 0:
  case 401: /* it is the operator's key that was refused, and the operator's route that leads nowhere */
  case 403:
  case 404:
    return 502;
  default:
    return upstream_status >= 400 ? upstream_status : 502;
  }
}

/* Some servers say what they were sent, the operator's key with it. */
static bool tells_key(const struct call *call) {
  const struct upstream *upstream = call->place.target ? call->place.target->upstream : NULL;
  slice line = upstream ? call->gateway->upstream_headers[upstream->index] : (slice){0};
  slice said = buf_slice(&call->refusal), key = slice_trim(line);
  for (size_t i = line.len; i > 0; i--) {
    if (line.ptr[i - 1] == ' ') {
      key = slice_trim((slice){line.ptr + i, line.len - i});
      break;
    }
  }
  return key.len > 0 && said.len > 0 && memmem(said.ptr, said.len, key.ptr, key.len) != NULL;
}

static void answer_failure(struct call *call) {
  int status = status_for_client(call->upstream_status);
  bool hidden = status != call->upstream_status || tells_key(call);
  struct buf body;
  char text[24];
  buf_init(&body, 1u << 16);
  wire_error_from(call->door, status, hidden ? (slice){0} : buf_slice(&call->refusal), http_request_id(call->http),
                  &body);
  if (status == 429 || status == 503) {
    snprintf(text, sizeof text, "%lld", (long long)(call->retry_after_ms > 1000 ? call->retry_after_ms / 1000 : 1));
    http_add_header(call->http, "retry-after", text);
  }
  http_answer(call->http, status, "application/json", buf_slice(&body));
  buf_free(&body);
}

static void answer_rest(struct call *call) {
  struct buf *out = &call->edge->piece;
  out->len = 0;
  wire_reader_end(call->reader, call->why, out);
  if (call->why && call->streaming && !call->request.stream) {
    http_stream_abort(call->http);
  } else if (call->why && !call->streaming) {
    call->upstream_status = 502;
    answer_failure(call);
  } else {
    if (!call->streaming) {
      call_begin_answer(call);
    }
    buf_add(&call->kept, buf_slice(out));
    http_stream_finish(call->http, call->kept.len > out->len ? buf_slice(&call->kept) : buf_slice(out));
  }
}

static void answer(struct call *call) {
  if (call->gone) {
    http_stream_abort(call->http);
  } else if (call->reader && (call->streaming || call->upstream_status / 100 == 2)) {
    call->why = call->why || call->end == END_OK ? call->why : "No server of this model could answer.";
    answer_rest(call);
  } else {
    answer_failure(call);
  }
}

static int status_told(const struct call *call) {
  if (call->streaming || call->gone || call->end == END_OK) {
    return call->gone && !call->streaming ? 499 : 200;
  }
  return call->upstream_status / 100 == 2 ? 502 : status_for_client(call->upstream_status);
}

void call_settled(struct http_request *r, void *context) {
  struct call *call = context;
  struct edge *edge = call->edge;
  (void)r;
  must(call->magic == CALL_MAGIC);
  edge_settle(edge);
  call_leave_upstream(call);
  call_tell(call, status_told(call));
  answer(call);
  call_close(call);
}
