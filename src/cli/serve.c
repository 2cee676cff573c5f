/* meterhouse serve: the server over a book, until SIGINT or SIGTERM. */
#include "api/api.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/cli.h"
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS 10000
#define EDGE_THREADS_MAX 8
#define KEPT_BLOCK_BYTES (4 << 20)
#define KEPT_BYTES (32 << 20)

/* On a book without any key a first operator key is made, or nobody could ever sign in. It is shown this once. */
struct first_key {
  bool exists;
};

static bool key_exists(void *context, const struct key_info *key, struct error *err) {
  (void)err;
  struct first_key *first = context;
  first->exists = first->exists || (key->role == ROLE_OPERATOR && !key->revoked);
  return true;
}

static bool make_first_key(struct book *book, struct key_made *made, struct error *err) {
  struct first_key first = {false};
  made->text[0] = '\0';
  if (!key_list(book, &(struct key_query){0}, key_exists, &first, err)) {
    return false;
  }
  if (first.exists) {
    return true;
  }
  if (!book_begin(book, err)) {
    return false;
  }
  if (!key_create(book, &(struct key_request){.role = ROLE_OPERATOR, .name = SLICE("first start")}, made, err)) {
    book_undo(book);
    return false;
  }
  return book_commit(book, err);
}

static void announce(const struct cli_args *args, int port, const char *secret) {
  const char *listen = cli_value(args, "--listen");
  const char *colon = listen ? strrchr(listen, ':') : NULL;
  int host_length = colon ? (int)(colon - listen) : 0;
  printf("meterhouse: http://%.*s:%d/%s%s\n", colon ? host_length : 9, colon ? listen : "127.0.0.1", port,
         secret[0] ? "#key=" : "", secret);
  if (secret[0]) {
    printf("operator key, shown this once: %s\n", secret);
  } else if (!cli_flag(args, "--open-overview")) {
    printf("sign in with a key; `meterhouse key create` makes one while the server is stopped\n");
  }
  fflush(stdout);
}

/* Blocked before any thread starts, so that all of them leave these signals to the wait below. */
static void block_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  must(pthread_sigmask(SIG_BLOCK, set, NULL) == 0);
  signal(SIGPIPE, SIG_IGN);
}

static void warn(void *context, const char *what) {
  (void)context;
  log_line(LOG_WARN, "scrape", "%s", what);
}

/* The core writes, the kernel moves bytes: half of the processors for the edges. */
static unsigned edge_threads(void) {
  long wanted = sysconf(_SC_NPROCESSORS_ONLN) / 2;
  return wanted < 1 ? 1 : wanted > EDGE_THREADS_MAX ? EDGE_THREADS_MAX : (unsigned)wanted;
}

static bool serve(const struct cli_args *args, struct book *book, const struct pull_targets *scrape,
                  struct error *err) {
  sigset_t signals;
  struct api *api;
  struct key_made made;
  int got;
  const char *listen = cli_value(args, "--listen");
  struct api_options options = {.listen = listen ? listen : "127.0.0.1:8080",
                                .edge_threads = edge_threads(),
                                .open_overview = cli_flag(args, "--open-overview"),
                                .scrape = scrape};
  block_signals(&signals);
  if (scrape) {
    pull_targets_check(scrape, book_catalog(book), warn, NULL);
  }
  if (!make_first_key(book, &made, err) || !api_start(book, &options, &api, err)) {
    return false;
  }
  announce(args, api_port(api), made.text);
  must(sigwait(&signals, &got) == 0);
  log_line(LOG_INFO, "serve", "%s: finishing what is under way", got == SIGINT ? "interrupted" : "asked to stop");
  api_stop(api, GRACE_MS);
  return true;
}

static void print_limits(void) {
  printf("\nlimits of what comes in (name, value, HTTP status when passed, what is bounded):\n");
  for (size_t i = 0; i < limit_count; i++) {
    char status[8] = "-";
    if (limits[i].status > 0) {
      snprintf(status, sizeof status, "%d", limits[i].status);
    }
    printf("  %-24s %10lld  %3s  %s\n", limits[i].name, (long long)limits[i].value, status, limits[i].what);
  }
}

/* A server needs the memory of one batch for the next one: giving it back to the system and asking for it again would
 * cost a page fault for each page. */
static void keep_freed_memory(void) {
  mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES);
  mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  keep_freed_memory();
  struct book *book = NULL;
  struct pull_targets *scrape = NULL;
  const char *scrape_path = cli_value(args, "--scrape");
  bool ok = (scrape_path == NULL || pull_targets_load(scrape_path, &scrape, &err)) &&
            book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            serve(args, book, scrape, &err);
  book_close(book);
  pull_targets_free(scrape);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_serve = {
    .name = "serve",
    .summary = "serve a book over HTTP: events, usage, invoices, ledger, overview page",
    .example = "meterhouse serve --data book --catalog catalog --listen 127.0.0.1:8080",
    .options = {CLI_OPTION_DATA,
                {"--catalog", "DIR", "the catalog; remembered by the book", false},
                {"--listen", "ADDR:PORT", "default 127.0.0.1:8080; port 0 takes a free one", false},
                {"--scrape", "FILE", "take usage from Prometheus exporters; targets in YAML, see docs/pull.md", false},
                {"--open-overview", NULL, "show the overview page's numbers without a key (for sample books)", false}},
    .run = run,
    .print_more = print_limits,
};
