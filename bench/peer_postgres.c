/* Ingest into PostgreSQL: COPY into a temporary table, INSERT ON CONFLICT DO NOTHING from there, a transaction for each
 * call of store. */
#include "peers.h"

static const char *socket_folder;

void peer_postgres_at(const char *folder) {
  socket_folder = folder;
}

#ifdef WITH_LIBPQ
#include <libpq-fe.h>
#include <stdlib.h>

struct postgres {
  PGconn *db;
  struct buf rows;
};

static PGresult *ask(struct postgres *s, const char *text, ExecStatusType wanted) {
  PGresult *r = PQexec(s->db, text);
  if (PQresultStatus(r) != wanted) {
    fprintf(stderr, "ingest-peers: %s", PQerrorMessage(s->db));
    must(PQresultStatus(r) == wanted);
  }
  return r;
}

static void run(struct postgres *s, const char *text) {
  PQclear(ask(s, text, PGRES_COMMAND_OK));
}

static bool open_postgres(struct peer *p, const char *folder) {
  (void)folder; /* the server has its own */
  if (!socket_folder) {
    fprintf(stderr, "ingest-peers: no PostgreSQL server was started: its figures are left out\n");
    return false;
  }
  struct postgres *s = p->state = mem_alloc(sizeof *s);
  const char *const names[] = {"host", "user", "dbname", NULL};
  const char *const values[] = {socket_folder, "bench", "postgres", NULL};
  s->db = PQconnectdbParams(names, values, 0);
  if (PQstatus(s->db) != CONNECTION_OK) {
    fprintf(stderr, "ingest-peers: PostgreSQL is left out: %s", PQerrorMessage(s->db));
    PQfinish(s->db);
    free(s);
    return false;
  }
  int version = PQserverVersion(s->db);
  snprintf(p->version, sizeof p->version, "%d.%d", version / 10000, version % 10000);
  buf_init(&s->rows, 1u << 28);
  run(s, "SET client_min_messages = warning; SET synchronous_commit = on");
  run(s, "DROP TABLE IF EXISTS event");
  run(s, "CREATE TABLE event(source text, id text, type text, subject text, time_ns bigint, data text,"
         " PRIMARY KEY(source, id))");
  run(s, "CREATE TEMPORARY TABLE staging(LIKE event) ON COMMIT DELETE ROWS");
  run(s, "CHECKPOINT");
  return true;
}

/* COPY's text format; nothing in these events needs a backslash. */
static void add_row(struct buf *rows, const struct event *e, slice data) {
  char time[32];
  snprintf(time, sizeof time, "%lld", (long long)e->time.ns);
  const slice columns[] = {e->source, e->id, e->type, e->subject, slice_of(time), data};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    buf_add(rows, columns[i]);
    buf_addc(rows, i + 1 < sizeof columns / sizeof *columns ? '\t' : '\n');
  }
}

static void store_postgres(struct peer *p, const struct event *events, const slice *data, size_t count) {
  struct postgres *s = p->state;
  s->rows.len = 0;
  for (size_t i = 0; i < count; i++) {
    add_row(&s->rows, &events[i], data[i]);
  }
  must(!s->rows.failed);
  run(s, "BEGIN");
  PQclear(ask(s, "COPY staging FROM STDIN", PGRES_COPY_IN));
  must(PQputCopyData(s->db, s->rows.ptr, (int)s->rows.len) == 1 && PQputCopyEnd(s->db, NULL) == 1);
  PGresult *r;
  while ((r = PQgetResult(s->db)) != NULL) {
    must(PQresultStatus(r) == PGRES_COMMAND_OK);
    PQclear(r);
  }
  run(s, "INSERT INTO event SELECT * FROM staging ON CONFLICT DO NOTHING");
  run(s, "COMMIT");
}

/* The process that serves the connection; not those that write back and checkpoint. */
static double cpu_of_server(struct peer *p) {
  struct postgres *s = p->state;
  char path[64];
  unsigned long long on_cpu_ns = 0;
  snprintf(path, sizeof path, "/proc/%d/schedstat", PQbackendPID(s->db));
  FILE *f = fopen(path, "re");
  must(f != NULL && fscanf(f, "%llu", &on_cpu_ns) == 1);
  fclose(f);
  return (double)on_cpu_ns / 1e9;
}

static uint64_t count_postgres(struct peer *p) {
  PGresult *r = ask(p->state, "SELECT count(*) FROM event", PGRES_TUPLES_OK);
  uint64_t count = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
  PQclear(r);
  return count;
}

static void close_postgres(struct peer *p) {
  struct postgres *s = p->state;
  run(s, "DROP TABLE event");
  PQfinish(s->db);
  buf_free(&s->rows);
  free(s);
}

const struct peer peer_postgres = {.open = open_postgres,
                                   .store = store_postgres,
                                   .server_cpu_s = cpu_of_server,
                                   .count = count_postgres,
                                   .close = close_postgres};
#else
static bool open_none(struct peer *p, const char *folder) {
  (void)p;
  (void)folder;
  fprintf(stderr, "ingest-peers: built without libpq (Debian: libpq-dev): PostgreSQL is left out\n");
  return false;
}

const struct peer peer_postgres = {.open = open_none};
#endif
