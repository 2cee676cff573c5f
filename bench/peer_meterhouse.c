/* Ingest into a book of our own, in process: dressed like a peer, so that all are measured by the same loop. */
#include "book/book.h"
#include "calls.h"
#include "measure.h"
#include "peers.h"
#include <stdlib.h>

struct meterhouse {
  char folder[300];
  struct book *book;
  struct arena *arena;
};

static bool open_book(struct peer *p, const char *folder) {
  struct meterhouse *s = p->state = mem_alloc(sizeof *s);
  struct error err = {0};
  char catalog[320];
  snprintf(s->folder, sizeof s->folder, "%s/book", folder);
  snprintf(catalog, sizeof catalog, "%s/catalog.yaml", folder);
  calls_write_catalog(catalog);
  measure_check(book_open(s->folder, catalog, BOOK_WRITE, &s->book, &err), &err);
  s->arena = arena_new();
  return true;
}

static void store_in_book(struct peer *p, const struct event *events, const slice *data, size_t count) {
  struct meterhouse *s = p->state;
  struct error err = {0};
  (void)data; /* the fields themselves are read, checked and kept */
  arena_reset(s->arena);
  struct ingest_result *results = arena_array(s->arena, count, sizeof *results);
  measure_check(book_begin(s->book, &err) && book_ingest(s->book, s->arena, events, count, results, &err) &&
                    book_commit(s->book, &err),
                &err);
}

static double no_server(struct peer *p) {
  (void)p;
  return 0;
}

static uint64_t count_in_book(struct peer *p) {
  struct meterhouse *s = p->state;
  return journal_count(book_journal(s->book));
}

static void close_book(struct peer *p) {
  struct meterhouse *s = p->state;
  char command[320];
  book_close(s->book);
  arena_free(s->arena);
  snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
  must(system(command) == 0);
  free(s);
}

const struct peer peer_meterhouse = {
    .open = open_book, .store = store_in_book, .server_cpu_s = no_server, .count = count_in_book, .close = close_book};
