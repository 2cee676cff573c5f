/* The model gateway: calls from OpenAI and Anthropic clients are admitted, their most possible cost held, forwarded to
 * an upstream, streamed back, and settled on the book before their last byte leaves. docs/gateway.md is the user's
 * manual and states the rule for each way a call can end. */
#ifndef METERHOUSE_GATEWAY_GATEWAY_H
#define METERHOUSE_GATEWAY_GATEWAY_H
#include "book/book.h"
#include "http/http.h"

struct gateway;
/* To be called before the core starts: what a process that died left of calls under way is settled or freed (in batches
 * of the book's own). */
MUST_USE bool gateway_recover(struct book *book, struct error *err);
/* Over a book whose core runs. ERR_INVALID names the upstream whose key can not be read. */
MUST_USE bool gateway_start(struct book *book, struct core *core, struct gateway **out, struct error *err);
/* Its doors; they live as long as the gateway. */
const struct http_route *gateway_routes(struct gateway *gateway, size_t *count);
/* Problems under /v1/ that the server itself answers, in the shape of OpenAI or Anthropic; for http_options. */
void gateway_problem(struct http_request *r, int status, const char *code, const char *detail);
/* Frees what an edge kept for it; for http_options. */
void gateway_edge_free(void *held);
/* Ends its own thread; to be called after the server has stopped and before the core does. NULL is fine. */
void gateway_stop(struct gateway *gateway);
/* After the core has stopped. NULL is fine. */
void gateway_free(struct gateway *gateway);
/* Of the credit reserved for a customer's calls, what no call holds and none has spent: it can be spent as well as what
 * the books call available. From any thread. */
amount gateway_free_credit(struct gateway *gateway, slice customer);
/* What calls under way hold. */
amount gateway_held_credit(struct gateway *gateway, slice customer);
void gateway_metrics(struct gateway *gateway, struct buf *out); /* Prometheus text; from any thread */
/* The live view as JSON. From any thread. */
void gateway_view(struct gateway *gateway, struct buf *out);
#endif
