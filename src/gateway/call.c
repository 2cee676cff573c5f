/* A call from its arrival to its end: what it stands on, what it waits for, and what it gives back. */
#include "gateway/private.h"
#include <stdlib.h>
#include <string.h>

const char *call_end_name(enum call_end end) {
  static const char *const names[] = {"ok", "client_gone", "upstream_failed", "refused"};
  must((unsigned)end < sizeof names / sizeof *names);
  return names[end];
}

/* ---- among the calls of its edge ---- */

static void join_edge(struct call *call) {
  struct edge *edge = call->edge;
  call->next_on_edge = edge->calls;
  call->place_on_edge = &edge->calls;
  if (edge->calls) {
    edge->calls->place_on_edge = &call->next_on_edge;
  }
  edge->calls = call;
}

static void leave_edge(struct call *call) {
  *call->place_on_edge = call->next_on_edge;
  if (call->next_on_edge) {
    call->next_on_edge->place_on_edge = call->place_on_edge;
  }
}

/* ---- waiting ---- */

static void resume_one(struct http_request *r, void *context) {
  struct call *call = context;
  (void)r;
  must(call->magic == CALL_MAGIC);
  call->waits = false;
  if (call->gone) {
    const struct refusal left = {.status = 499, .message = "", .cause = REFUSED_CAUSES, .retry_ms = -1};
    call_refuse(call, &left);
  } else {
    call_advance(call);
  }
}

/* Lists are built from the front: the first to wait is at the end, and goes on first. */
void calls_resume(struct call *list) {
  struct call *first = NULL;
  while (list) {
    struct call *next = list->next_waiting;
    list->next_waiting = first;
    first = list;
    list = next;
  }
  while (first) {
    struct call *next = first->next_waiting;
    http_on_edge(first->http, resume_one, first);
    first = next;
  }
}

void call_advance(struct call *call) {
  if (call_admit(call)) {
    call_forward(call);
  }
}

/* ---- the end ---- */

static void leave_limits(struct call *call) {
  bool never_ran = call->end == END_REFUSED;
  int64_t used = wire_usage_input(&call->outcome.usage) + wire_usage_output(&call->outcome.usage);
  for (size_t i = 0; i < 2; i++) {
    if (call->limiters[i]) {
      limiter_give(call->limiters[i], call->begun, call->tokens_estimated, used, never_ran, clock_now());
      limiter_drop(call->gateway->limiters, call->limiters[i]);
    }
  }
}

/* A call that was settled has given back what it held already. */
static void leave_credit(struct call *call) {
  if (call->set_aside) {
    pthread_mutex_lock(&call->buyer->lock);
    quote_give_back(call->terms, call->quote, &call->aside);
    pthread_mutex_unlock(&call->buyer->lock);
  }
  if (call->holds) {
    purse_release(call->buyer->purse, call->held, AMOUNT_ZERO);
  }
  if (call->key_holds && call->key_state) {
    key_spend_end(call->key_state, call->held, AMOUNT_ZERO);
  }
}

void call_close(struct call *call) {
  must(call->magic == CALL_MAGIC && call->exchange == NULL && !call->waits);
  leave_limits(call);
  leave_credit(call);
  terms_drop(call->terms);
  buf_free(&call->body);
  buf_free(&call->refusal);
  buf_free(&call->kept);
  leave_edge(call);
  call->magic = 0;
  edge_old_call(call->edge, call);
}

/* ---- refusing ---- */

static void put_retry(struct call *call, const struct refusal *refusal) {
  char text[24];
  if (refusal->retry_ms < 0) {
    return;
  }
  http_add_header(call->http, "x-should-retry", refusal->retry_ms > 0 ? "true" : "false");
  if (refusal->retry_ms > 0) {
    snprintf(text, sizeof text, "%lld", (long long)((refusal->retry_ms + 999) / 1000));
    http_add_header(call->http, "retry-after", text);
    snprintf(text, sizeof text, "%lld", (long long)refusal->retry_ms);
    http_add_header(call->http, "retry-after-ms", text);
  }
}

/* A client that has got comments while it waited can only be told within its stream. */
static void refuse_in_stream(struct call *call, const struct refusal *refusal) {
  struct buf out;
  buf_init(&out, 1u << 16);
  wire_reader_end(call->reader, refusal->message, &out);
  http_stream_finish(call->http, buf_slice(&out));
  buf_free(&out);
}

void call_refuse(struct call *call, const struct refusal *refusal) {
  call->end = END_REFUSED;
  if (refusal->cause != REFUSED_CAUSES) {
    figures_refused(call->gateway->figures, call->edge->index, refusal->cause);
  }
  call_tell(call, refusal->status);
  if (call->gone) {
    http_stream_abort(call->http);
  } else if (call->streaming) {
    refuse_in_stream(call, refusal);
  } else {
    struct buf body;
    buf_init(&body, 1u << 16);
    wire_error(call->door, refusal->status, refusal->message, refusal->code, refusal->param,
               http_request_id(call->http), &body);
    put_retry(call, refusal);
    http_answer(call->http, refusal->status, "application/json", buf_slice(&body));
    buf_free(&body);
  }
  call_close(call);
}

/* ---- arriving ---- */

static void gone(void *context) {
  call_client_gone(context);
}

static void drained(void *context) {
  call_client_drained(context);
}

void call_arrived_at_door(struct http_request *r, void *context) {
  static const struct http_watch watch = {gone, drained};
  const struct door *door = http_route_data(r);
  (void)context;
  struct edge *edge = edge_of(door->gateway, r);
  struct call *call = edge_new_call(edge);
  call->magic = CALL_MAGIC;
  call->gateway = door->gateway;
  call->edge = edge;
  call->http = r;
  call->arena = http_arena(r);
  call->door = door->door;
  call->begun = clock_now();
  call->answer_length = -1;
  join_edge(call);
  if (door->door == WIRE_MESSAGES) {
    http_add_header(r, "request-id", http_request_id(r));
  }
  http_watch(r, &watch, call);
  call_advance(call);
}
