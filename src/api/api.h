/* The management API and the first page: one table of endpoints that yields routes, access rules and the OpenAPI
 * document. */
#ifndef METERHOUSE_API_API_H
#define METERHOUSE_API_API_H
#include "book/book.h"
#include "http/http.h"
#include "pull/pull.h"

struct api;
struct api_options {
  const char *listen;
  unsigned edge_threads;
  bool open_overview;                /* the first page and its numbers need no key: for sample books */
  const struct pull_targets *scrape; /* what to scrape meanwhile; NULL: nothing; must outlive the server */
};
/* Serves `book` until api_stop; owns a core thread over it meanwhile, so the caller leaves the book alone. */
MUST_USE bool api_start(struct book *book, const struct api_options *options, struct api **out, struct error *err);
int api_port(const struct api *api);
void api_stop(struct api *api, int grace_ms);
#endif
