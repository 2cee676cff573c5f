/* Figures beside a peer's, measured in the same run: one JSON line each. The peer is SQLite as most people would use
 * it. */
#include "base/file.h"
#include "base/hash.h"
#include "book/book.h"
#include "measure.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS 5
#define BATCH 10000

static char folder[] = "/tmp/meterhouse-bench.XXXXXX";

static const char catalog_yaml[] =
    "currency: USD\n"
    "seller: {name: Bench, country: NL, invoice_prefix: B-}\n"
    "meters:\n"
    "  - {name: tokens, event: model.usage, value: tokens, unit: token, dimensions: [model]}\n"
    "plans:\n"
    "  - name: p\n"
    "    prices:\n"
    "      - {name: a, meter: tokens, match: {model: m0}, price: 0.55, per: 1000000}\n"
    "      - {name: b, meter: tokens, match: {model: m1}, price: 2.19, per: 1000000}\n"
    "      - {name: c, meter: tokens, match: {model: m2}, price: 0.10, per: 1000000}\n"
    "      - {name: d, meter: tokens, match: {model: m3}, price: 7.25, per: 1000000}\n"
    "customers:\n";

static void report(const char *what, const char *unit, double ours, const char *peer_name, double peers) {
  measure_report(&(struct figure){.bench = what, .unit = unit, .peer = peer_name, .ours = ours, .peers = peers});
}

static void sql(sqlite3 *db, const char *text) {
  must(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
}

static sqlite3 *open_peer(const char *name) {
  char path[128];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(sqlite3_open(path, &db) == SQLITE_OK);
  sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text) {
  sqlite3_stmt *s;
  must(sqlite3_prepare_v2(db, text, -1, &s, NULL) == SQLITE_OK);
  return s;
}

static void step(sqlite3_stmt *s) {
  must(sqlite3_step(s) == SQLITE_DONE);
  sqlite3_reset(s);
}

/* ---- import: one event a line in, durable and deduplicated ---- */

static void write_catalog(int customers) {
  struct buf b;
  struct error err = {0};
  char path[128];
  buf_init(&b, 1u << 24);
  buf_add(&b, slice_of(catalog_yaml));
  for (int i = 0; i < customers; i++) {
    buf_addf(&b, "  - {id: c%06d, name: C%d, country: NL, plan: p}\n", i, i);
  }
  snprintf(path, sizeof path, "%s/catalog.yaml", folder);
  measure_check(file_write(path, buf_slice(&b), &err), &err);
  buf_free(&b);
}

static void event_line(int n, char text[320]) {
  snprintf(text, 320,
           "{\"specversion\":\"1.0\",\"id\":\"e-%08d\",\"source\":\"bench/"
           "meter\",\"type\":\"model.usage\",\"subject\":\"c%06d\",\"time\":\"2026-10-%02dT%02d:%02d:%02dZ\","
           "\"data\":{\"model\":\"m%d\",\"tokens\":%d}}",
           n, n % 100, 1 + n / 86400 % 28, n / 3600 % 24, n / 60 % 60, n % 60, n % 4, 500 + n * 37 % 90000);
}

static double import_ours(int events, int run) {
  char dir[128], catalog[128];
  struct book *book;
  struct error err = {0};
  snprintf(dir, sizeof dir, "%s/book%d", folder, run);
  snprintf(catalog, sizeof catalog, "%s/catalog.yaml", folder);
  measure_check(book_open(dir, catalog, BOOK_WRITE, &book, &err), &err);
  struct arena *arena = arena_new();
  double begin = measure_wall_s();
  for (int first = 0; first < events; first += BATCH) {
    arena_reset(arena);
    struct event *batch = arena_array(arena, BATCH, sizeof *batch);
    struct ingest_result *results = arena_array(arena, BATCH, sizeof *results);
    for (int i = 0; i < BATCH; i++) {
      char text[320];
      event_line(first + i, text);
      measure_check(event_from_text(arena, slice_of(text), (instant){0}, &batch[i], &err), &err);
    }
    measure_check(book_begin(book, &err) && book_ingest(book, arena, batch, BATCH, results, &err) &&
                      book_commit(book, &err),
                  &err);
  }
  double seconds = measure_wall_s() - begin;
  arena_free(arena);
  book_close(book);
  return events / seconds;
}

/* `per_commit` 1 is the usual way of a service that answers each event durably. */
static double import_peer(int events, int per_commit, int run) {
  char name[32];
  snprintf(name, sizeof name, "peer%d-%d.db", per_commit, run);
  sqlite3 *db = open_peer(name);
  sql(db, "CREATE TABLE event(source TEXT, id TEXT, type TEXT, subject TEXT, time TEXT, data TEXT, PRIMARY KEY(source, "
          "id));");
  sqlite3_stmt *insert = prepare(
      db, "INSERT INTO event SELECT json_extract(?1, '$.source'), json_extract(?1, '$.id'), json_extract(?1, '$.type'),"
          " json_extract(?1, '$.subject'), json_extract(?1, '$.time'), json_extract(?1, '$.data') WHERE true ON "
          "CONFLICT DO NOTHING");
  double begin = measure_wall_s();
  for (int i = 0; i < events; i++) {
    char text[320];
    event_line(i, text);
    if (per_commit > 1 && i % per_commit == 0) {
      sql(db, "BEGIN");
    }
    sqlite3_bind_text(insert, 1, text, -1, SQLITE_TRANSIENT);
    step(insert);
    if (per_commit > 1 && (i + 1) % per_commit == 0) {
      sql(db, "COMMIT");
    }
  }
  double seconds = measure_wall_s() - begin;
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return events / seconds;
}

static void bench_import(void) {
  double ours[RUNS], each[RUNS], batched[RUNS];
  write_catalog(100);
  for (int run = 0; run < RUNS; run++) {
    ours[run] = import_ours(200000, run);
    each[run] = import_peer(3000, 1, run);
    batched[run] = import_peer(100000, BATCH, run);
  }
  report("import", "events/s", measure_median(ours, RUNS), "SQLite row by row, a commit each",
         measure_median(each, RUNS));
  report("import", "events/s", measure_median(ours, RUNS), "SQLite row by row, 10,000 a commit",
         measure_median(batched, RUNS));
}

/* ---- rate: usage rows to charges ---- */

static struct usage_row *make_rows(const struct catalog *catalog, size_t count) {
  static const slice models[4] = {{"m0", 2}, {"m1", 2}, {"m2", 2}, {"m3", 2}};
  struct usage_row *rows = mem_alloc(count * sizeof *rows);
  int64_t hour = INT64_C(3600) * NS_PER_S, start = INT64_C(1790812800) * NS_PER_S; /* 2026-10-01 */
  for (size_t i = 0; i < count; i++) {
    size_t in_model = i % (count / 4);
    instant from = {start + (int64_t)(in_model % 744) * hour};
    rows[i] = (struct usage_row){.meter = &catalog->meters[0],
                                 .customer = catalog->customers[0].id,
                                 .dimensions = &models[i / (count / 4)],
                                 .from = from,
                                 .to = {from.ns + hour},
                                 .value = {(int128)(1000 + i * 7919 % 5000000) * QUANTITY_E9},
                                 .events = 3};
  }
  return rows;
}

static double rate_ours(const struct catalog *catalog, const struct usage_row *rows, size_t count) {
  struct error err = {0};
  struct period october;
  struct rating rating;
  struct arena *arena = arena_new();
  measure_check(time_parse_period(SLICE("2026-10"), "UTC", &october, &err), &err);
  double begin = measure_wall_s();
  measure_check(rate_customer(arena, catalog, &catalog->customers[0], october, rows, count, &rating, &err), &err);
  double seconds = measure_wall_s() - begin;
  must(rating.charge_count == 4 && rating.unpriced_count == 0);
  arena_free(arena);
  return (double)count / seconds;
}

static sqlite3 *load_usage(const struct usage_row *rows, size_t count) {
  sqlite3 *db = open_peer("usage.db");
  sql(db, "CREATE TABLE usage(model TEXT, hour INTEGER, tokens INTEGER); CREATE TABLE price(model TEXT PRIMARY KEY, "
          "each_million REAL);"
          "INSERT INTO price VALUES('m0', 0.55), ('m1', 2.19), ('m2', 0.10), ('m3', 7.25); BEGIN;");
  sqlite3_stmt *insert = prepare(db, "INSERT INTO usage VALUES(?, ?, ?)");
  for (size_t i = 0; i < count; i++) {
    sqlite3_bind_text(insert, 1, rows[i].dimensions[0].ptr, 2, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, rows[i].from.ns);
    sqlite3_bind_int64(insert, 3, (int64_t)(rows[i].value.e9 / QUANTITY_E9));
    step(insert);
  }
  sql(db, "COMMIT");
  sqlite3_finalize(insert);
  return db;
}

static double rate_peer(sqlite3 *db, size_t count, const char *query) {
  double begin = measure_wall_s(), sum = 0;
  sqlite3_stmt *s = prepare(db, query);
  while (sqlite3_step(s) == SQLITE_ROW) {
    sum += sqlite3_column_double(s, 1);
  }
  double seconds = measure_wall_s() - begin;
  must(sum > 0);
  sqlite3_finalize(s);
  return (double)count / seconds;
}

static void bench_rate(void) {
  const size_t count = 1000000;
  double ours[RUNS], grouped[RUNS], row_by_row[RUNS];
  struct catalog *catalog;
  struct error err = {0};
  char path[128];
  write_catalog(1);
  snprintf(path, sizeof path, "%s/catalog.yaml", folder);
  measure_check(catalog_load(path, &catalog, &err), &err);
  struct usage_row *rows = make_rows(catalog, count);
  sqlite3 *db = load_usage(rows, count);
  for (int run = 0; run < RUNS; run++) {
    ours[run] = rate_ours(catalog, rows, count);
    row_by_row[run] =
        rate_peer(db, count, "SELECT model, tokens * each_million / 1e6 FROM usage JOIN price USING(model)");
    grouped[run] = rate_peer(
        db, count, "SELECT model, sum(tokens * each_million / 1e6) FROM usage JOIN price USING(model) GROUP BY model");
  }
  report("rate", "usage rows/s", measure_median(ours, RUNS), "SQLite row by row, in floating point",
         measure_median(row_by_row, RUNS));
  report("rate", "usage rows/s", measure_median(ours, RUNS), "SQLite GROUP BY, in floating point",
         measure_median(grouped, RUNS));
  sqlite3_close(db);
  free(rows);
  catalog_free(catalog);
}

/* ---- ledger: transfers with ids, balances and a floor ---- */

static double ledger_ours(int transfers, int per_commit, int run) {
  char path[128], id[32], from[32];
  struct db *db;
  struct ledger *ledger;
  struct error err = {0};
  snprintf(path, sizeof path, "%s/ledger%d-%d.db", folder, per_commit, run);
  measure_check(db_open(path, DB_READ_WRITE, &db, &err) &&
                    db_migrate(db, ledger_migrations, ledger_migration_count, &err) && ledger_open(db, &ledger, &err),
                &err);
  double begin = measure_wall_s();
  for (int i = 0; i < transfers; i++) {
    enum transfer_outcome outcome;
    snprintf(id, sizeof id, "t%d", i);
    snprintf(from, sizeof from, "customer/c%d", i % 1000);
    struct transfer t = {.id = slice_of(id),
                         .from = slice_of(from),
                         .to = SLICE("revenue/tokens"),
                         .currency = SLICE("USD"),
                         .amount = {(int128)(1 + i) * 1000000000},
                         .time = {i},
                         .cause = SLICE("charge"),
                         .reference = SLICE("inv")};
    if (i % per_commit == 0) {
      measure_check(db_begin(db, &err), &err);
    }
    measure_check(ledger_transfer(ledger, &t, &outcome, &err), &err);
    if ((i + 1) % per_commit == 0) {
      measure_check(db_commit(db, &err), &err);
      ledger_done(ledger);
    }
  }
  double seconds = measure_wall_s() - begin;
  ledger_close(ledger);
  db_close(db);
  return transfers / seconds;
}

static double ledger_peer(int transfers, int run) {
  char name[32], from[32];
  snprintf(name, sizeof name, "ledger-peer%d.db", run);
  sqlite3 *db = open_peer(name);
  sql(db, "CREATE TABLE account(name TEXT PRIMARY KEY, balance INTEGER NOT NULL);"
          "CREATE TABLE transfer(id TEXT PRIMARY KEY, source TEXT, target TEXT, amount INTEGER, time INTEGER);"
          "INSERT INTO account VALUES('revenue/tokens', 0);");
  sql(db, "BEGIN");
  for (int i = 0; i < 1000; i++) {
    char text[96];
    snprintf(text, sizeof text, "INSERT INTO account VALUES('customer/c%d', 0)", i);
    sql(db, text);
  }
  sql(db, "COMMIT");
  sqlite3_stmt *insert = prepare(db, "INSERT INTO transfer VALUES(?, ?, 'revenue/tokens', ?, ?)"),
               *take = prepare(db, "UPDATE account SET balance = balance - ? WHERE name = ?"),
               *give = prepare(db, "UPDATE account SET balance = balance + ? WHERE name = 'revenue/tokens'");
  double begin = measure_wall_s();
  for (int i = 0; i < transfers; i++) {
    char id[32];
    snprintf(id, sizeof id, "t%d", i);
    snprintf(from, sizeof from, "customer/c%d", i % 1000);
    sql(db, "BEGIN IMMEDIATE");
    sqlite3_bind_text(insert, 1, id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(insert, 2, from, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(insert, 3, i);
    sqlite3_bind_int(insert, 4, i);
    step(insert);
    sqlite3_bind_int(take, 1, i);
    sqlite3_bind_text(take, 2, from, -1, SQLITE_TRANSIENT);
    step(take);
    sqlite3_bind_int(give, 1, i);
    step(give);
    sql(db, "COMMIT");
  }
  double seconds = measure_wall_s() - begin;
  sqlite3_finalize(insert);
  sqlite3_finalize(take);
  sqlite3_finalize(give);
  sqlite3_close(db);
  return transfers / seconds;
}

static void bench_ledger(void) {
  double ours[RUNS], single[RUNS], peer[RUNS];
  for (int run = 0; run < RUNS; run++) {
    ours[run] = ledger_ours(100000, 1000, run);
    single[run] = ledger_ours(2000, 1, run);
    peer[run] = ledger_peer(2000, run);
  }
  report("ledger", "transfers/s, 1,000 a commit", measure_median(ours, RUNS), "SQLite row by row, a commit each",
         measure_median(peer, RUNS));
  report("ledger", "transfers/s, a commit each", measure_median(single, RUNS), "SQLite row by row, a commit each",
         measure_median(peer, RUNS));
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } all[] = {{"import", bench_import}, {"rate", bench_rate}, {"ledger", bench_ledger}};
  must(mkdtemp(folder) != NULL);
  bool found = false;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (argc > 1 && strcmp(argv[1], all[i].name) != 0) {
      continue;
    }
    all[i].run();
    found = true;
  }
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command) == 0 && found ? 0 : 2;
}
