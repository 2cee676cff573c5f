/* What is told of a call: to the figures, and as a line in the log. Nothing of what was asked or answered. */
#include "base/log.h"
#include "gateway/private.h"
#include <string.h>

#define LOG_BYTES ((size_t)32 << 10)

void call_tell_begun(struct call *call) {
  struct figures_call *f = &call->figures;
  f->id = http_request_id(call->http);
  f->customer = call->buyer->customer;
  f->key_id = call->who.key_id;
  f->project = call->who.terms ? call->who.terms->project : (slice){0};
  f->model = call->model;
  f->door = call->door;
  f->stream = call->request.stream;
  f->begun = call->begun;
  figures_begin(call->gateway->figures, call->edge->index, f);
  figures_held(call->gateway->figures, call->edge->index, f, call->held);
}

void call_tell_first(struct call *call) {
  if (call->figures.first_token.ns == 0 && call->request.stream) {
    call->figures.target = call->place.target;
    figures_first_token(call->gateway->figures, call->edge->index, &call->figures, call->heard);
  }
}

void edge_write_log(struct edge *edge) {
  if (edge->log.len > 0) {
    log_lines(buf_slice(&edge->log));
    edge->log.len = 0;
  }
}

/* A line a call would be a write a call: they are gathered, for a tick at most. */
static void write_line(struct edge *edge, const struct figures_call *f) {
  char when[TIME_TEXT_MAX];
  if (!log_shows(LOG_INFO)) {
    return;
  }
  buf_add(&edge->log, slice_of(time_format(f->ended, when)));
  buf_add(&edge->log, SLICE(" info call: "));
  figures_log_line(f, &edge->log);
  buf_add(&edge->log, SLICE("\n"));
  if (edge->log.len > LOG_BYTES) {
    edge_write_log(edge);
  }
}

void call_tell(struct call *call, int status) {
  struct figures_call *f = &call->figures;
  if (f->model == NULL || call->told) {
    return;
  }
  call->told = true;
  f->target = call->place.target;
  f->status = status;
  f->client_left = call->gone;
  f->usage = call->outcome.usage;
  f->settlement = call->unbooked ? CALL_UNSETTLED : call->charged ? CALL_SETTLED : CALL_FREE;
  f->charged = call->unbooked ? AMOUNT_ZERO : call->paid.net;
  f->cost = call->upstream_cost;
  f->finish = slice_of(call->outcome.finish);
  f->tries = call->tries;
  figures_end(call->gateway->figures, call->edge->index, f, clock_now());
  write_line(call->edge, f);
}
