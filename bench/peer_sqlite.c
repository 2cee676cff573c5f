/* Ingest into SQLite: a prepared INSERT for each event, a transaction for each call of store. */
#include "peers.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

struct sqlite {
  char path[300];
  sqlite3 *db;
  sqlite3_stmt *insert;
};

static void sql(sqlite3 *db, const char *text) {
  must(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
}

/* As durable as Meterhouse's own store, with room in memory for the whole index. */
static bool open_sqlite(struct peer *p, const char *folder) {
  struct sqlite *s = p->state = mem_alloc(sizeof *s);
  snprintf(s->path, sizeof s->path, "%s/peer.db", folder);
  snprintf(p->version, sizeof p->version, "%s", sqlite3_libversion());
  must(sqlite3_open(s->path, &s->db) == SQLITE_OK);
  sql(s->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1048576;"
             "CREATE TABLE event(source TEXT, id TEXT, type TEXT, subject TEXT, time_ns INTEGER, data TEXT,"
             " PRIMARY KEY(source, id))");
  must(sqlite3_prepare_v2(s->db, "INSERT INTO event VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", -1, &s->insert,
                          NULL) == SQLITE_OK);
  return true;
}

static void bind(sqlite3_stmt *insert, int place, slice text) {
  sqlite3_bind_text(insert, place, text.ptr, (int)text.len, SQLITE_STATIC);
}

static void store_sqlite(struct peer *p, const struct event *events, const slice *data, size_t count) {
  struct sqlite *s = p->state;
  if (count > 1) {
    sql(s->db, "BEGIN");
  }
  for (size_t i = 0; i < count; i++) {
    bind(s->insert, 1, events[i].source);
    bind(s->insert, 2, events[i].id);
    bind(s->insert, 3, events[i].type);
    bind(s->insert, 4, events[i].subject);
    sqlite3_bind_int64(s->insert, 5, events[i].time.ns);
    bind(s->insert, 6, data[i]);
    must(sqlite3_step(s->insert) == SQLITE_DONE);
    sqlite3_reset(s->insert);
  }
  if (count > 1) {
    sql(s->db, "COMMIT");
  }
}

static double no_server(struct peer *p) {
  (void)p;
  return 0;
}

static uint64_t count_sqlite(struct peer *p) {
  struct sqlite *s = p->state;
  sqlite3_stmt *q;
  must(sqlite3_prepare_v2(s->db, "SELECT count(*) FROM event", -1, &q, NULL) == SQLITE_OK &&
       sqlite3_step(q) == SQLITE_ROW);
  uint64_t count = (uint64_t)sqlite3_column_int64(q, 0);
  sqlite3_finalize(q);
  return count;
}

static void close_sqlite(struct peer *p) {
  struct sqlite *s = p->state;
  sqlite3_finalize(s->insert);
  must(sqlite3_close(s->db) == SQLITE_OK && unlink(s->path) == 0);
  free(s);
}

const struct peer peer_sqlite = {.open = open_sqlite,
                                 .store = store_sqlite,
                                 .server_cpu_s = no_server,
                                 .count = count_sqlite,
                                 .close = close_sqlite};
