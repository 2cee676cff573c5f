/* Derives every invoice of an export again: its events and catalogs become a small book of their own for a moment,
 * whose numbers are told from the ones that the documents name. */
#include "base/file.h"
#include "base/json.h"
#include "book/private.h"
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_FOLDERS_MAX 16

struct verifying {
  struct arena *arena;
  const char *dir;
  const struct json *manifest;
  slice customer;
  struct book *book;
  struct export_result *result;
};

/* The customer itself, or one on its consolidated invoices. */
static bool is_of_export(const struct verifying *v, slice customer) {
  const struct json *members = json_get(v->manifest, "members");
  bool found = slice_eq(customer, v->customer);
  for (const struct json *m = members ? members->child : NULL; m && !found; m = m->next) {
    found = slice_eq(m->text, customer);
  }
  return found;
}

static const char *path_of(struct verifying *v, const char *name) {
  return arena_printf(v->arena, "%s/%s", v->dir, name);
}

static bool whole_number(const struct json *object, const char *key, uint64_t *out, struct error *err) {
  quantity q;
  if (!quantity_parse(json_text(object, key), &q, err)) {
    return error_at(err, "%s", key);
  }
  *out = (uint64_t)(q.e9 / QUANTITY_E9);
  return (q.e9 >= 0 && q.e9 % QUANTITY_E9 == 0 && q.e9 / QUANTITY_E9 <= INT64_MAX) ||
         error_set(err, ERR_INVALID, "%s: should be a whole number", key);
}

/* Names in the list stay within the folder. */
static bool plain_path(slice name, struct error *err) {
  bool ok = name.len > 0 && name.len < NAME_MAX && name.ptr[0] != '/';
  for (size_t i = 0; ok && i + 1 < name.len; i++) {
    ok = !(name.ptr[i] == '.' && name.ptr[i + 1] == '.');
  }
  return ok || error_set(err, ERR_INVALID, "\"" SLICE_FMT "\" is not a name of a file within the export",
                         (int)(name.len > 100 ? 100 : name.len), name.ptr);
}

static bool read_manifest(struct verifying *v, struct error *err) {
  slice text;
  uint64_t version;
  const char *path = path_of(v, EXPORT_MANIFEST);
  if (!file_read(v->arena, path, EXPORT_MANIFEST_BYTES_MAX, &text, err) ||
      !json_parse(v->arena, text, &v->manifest, err) || !whole_number(v->manifest, "version", &version, err)) {
    return error_at(err, "%s", path);
  }
  v->customer = json_text(v->manifest, "customer");
  return version == EXPORT_VERSION ||
         error_set(err, ERR_INVALID, "%s: is of version %llu, this program reads version %d", path,
                   (unsigned long long)version, EXPORT_VERSION);
}

/* ---- catalogs ---- */

/* A reduced catalog goes by the digest of the whole one, which the documents name. */
static bool load_catalogs(struct verifying *v, struct error *err) {
  const struct json *list = json_get(v->manifest, "catalogs");
  for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
    struct catalog *catalog;
    slice folder = json_text(c, "folder");
    if (!plain_path(folder, err) || !catalog_load(path_of(v, folder.ptr), &catalog, err)) {
      return error_at(err, "%s", EXPORT_MANIFEST);
    }
    vec_push(&v->book->versions, catalog);
    catalog->digest_hex = arena_copy(v->arena, json_text(c, "digest"));
  }
  return true;
}

/* ---- events ---- */

static bool read_event(struct verifying *v, struct arena *scratch, slice line, uint64_t *number, struct event *out,
                       struct error *err) {
  const struct json *tree;
  if (!json_parse(scratch, line, &tree, err) || !whole_number(tree, EXPORT_NUMBER, number, err) ||
      !event_from_json(scratch, tree, (instant){0}, out, err)) {
    return false;
  }
  size_t count = v->book->numbers.count;
  if (*number == 0 || (count > 0 && *number <= v->book->numbers.items[count - 1])) {
    return error_set(err, ERR_INVALID, "number: events should stand in the order of their numbers");
  }
  return is_of_export(v, out->subject) ||
         error_set(err, ERR_INVALID, "subject: is neither customer \"" SLICE_FMT "\" nor one it pays for",
                   SLICE_ARG(v->customer));
}

static bool add_batch(struct verifying *v, const struct event *events, size_t count, struct error *err) {
  enum verdict verdicts[JOURNAL_BLOCK_EVENTS];
  must(count <= JOURNAL_BLOCK_EVENTS);
  if (count == 0) {
    return true;
  }
  if (!book_begin(v->book, err) || !book_append(v->book, events, count, verdicts, err)) {
    book_undo(v->book);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (verdicts[i] != EVENT_ACCEPTED) {
      book_undo(v->book);
      return error_set(err, ERR_INVALID, "the event \"" SLICE_FMT "\" of source \"" SLICE_FMT "\" stands twice",
                       SLICE_ARG(events[i].id), SLICE_ARG(events[i].source));
    }
  }
  return book_commit(v->book, err);
}

static bool read_events(struct verifying *v, struct file_reader *file, struct arena *scratch, struct error *err) {
  struct event *batch = mem_alloc(JOURNAL_BLOCK_EVENTS * sizeof *batch);
  size_t count = 0;
  slice line;
  uint64_t at = 0;
  int more = 1;
  bool ok = true;
  while (ok && (more = file_line(file, 16 * EVENT_BYTES_MAX, &line, &at, err)) == 1) {
    uint64_t number;
    ok = read_event(v, scratch, arena_copy(scratch, line), &number, &batch[count], err) ||
         error_at(err, "%s:%llu", EXPORT_EVENTS, (unsigned long long)at);
    if (!ok) {
      break;
    }
    vec_push(&v->book->numbers, number);
    if (++count == JOURNAL_BLOCK_EVENTS) {
      ok = add_batch(v, batch, count, err);
      arena_reset(scratch);
      count = 0;
    }
  }
  ok = ok && more == 0 && add_batch(v, batch, count, err);
  v->result->events = v->book->numbers.count;
  free(batch);
  return ok;
}

static bool all_there(const struct verifying *v, struct error *err) {
  uint64_t stated;
  if (!whole_number(v->manifest, "events", &stated, err)) {
    return error_at(err, "%s", EXPORT_MANIFEST);
  }
  return stated == v->result->events ||
         error_set(err, ERR_INVALID, "%s holds %llu events, the list says %llu", EXPORT_EVENTS,
                   (unsigned long long)v->result->events, (unsigned long long)stated);
}

static bool load_events(struct verifying *v, struct error *err) {
  struct file_reader *file = file_open(path_of(v, EXPORT_EVENTS), err);
  if (file == NULL) {
    return false;
  }
  struct arena *scratch = arena_new();
  bool ok = read_events(v, file, scratch, err) && all_there(v, err);
  arena_free(scratch);
  file_close(file);
  return ok;
}

static bool load_correction(struct verifying *v, const struct json *c, struct error *err) {
  struct correction_row row = {.id = json_text(c, "id"),
                               .kind = json_text(c, "kind"),
                               .customer = json_text(c, "customer"),
                               .meter = json_text(c, "meter")};
  if (!whole_number(c, "number", &row.number, err) || !whole_number(c, "target", &row.target, err) ||
      !whole_number(c, "last", &row.last, err) || !time_parse_rfc3339(json_text(c, "from"), &row.from, err) ||
      !time_parse_rfc3339(json_text(c, "to"), &row.to, err)) {
    return error_at(err, "corrections");
  }
  row.number = book_place(v->book, row.number);
  row.target = book_place(v->book, row.target);
  row.last = book_place(v->book, row.last);
  v->result->corrections++;
  return correction_keep(v->book->db, &row, err);
}

/* ---- invoices ---- */

static bool load_members(struct verifying *v, const struct json *document, slice bytes, struct error *err) {
  const slice *members;
  size_t count;
  if (!invoice_members(v->arena, bytes, &members, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!db_run(v->book->db, "INSERT INTO invoice_member(invoice, customer) VALUES($1, $2)",
                DB_VALUES(DB_T(json_text(document, "id")), DB_T(members[i])), NULL, err)) {
      return false;
    }
  }
  return true;
}

static bool load_invoice(struct verifying *v, const struct json *entry, struct error *err) {
  slice file = json_text(entry, "file"), bytes;
  const struct json *d;
  uint64_t position;
  instant from, to, issued;
  if (!plain_path(file, err) || !whole_number(entry, "position", &position, err) ||
      !file_read(v->arena, path_of(v, file.ptr), DOCUMENT_BYTES_MAX, &bytes, err) ||
      !document_parse(v->arena, bytes, &d, err) || !time_parse_rfc3339(json_text(d, "from"), &from, err) ||
      !time_parse_rfc3339(json_text(d, "to"), &to, err) || !time_parse_rfc3339(json_text(d, "issued"), &issued, err)) {
    return error_at(err, "invoice " SLICE_FMT, SLICE_ARG(json_text(entry, "number")));
  }
  if (!slice_eq(json_text(json_get(d, "customer"), "id"), v->customer) ||
      !slice_eq(json_text(d, "number"), json_text(entry, "number"))) {
    return error_set(err, ERR_INVALID, SLICE_FMT ": is not the customer's invoice " SLICE_FMT, SLICE_ARG(file),
                     SLICE_ARG(json_text(entry, "number")));
  }
  v->result->invoices++;
  v->result->voided += slice_is(json_text(entry, "status"), "void");
  return load_members(v, d, bytes, err) &&
         db_run(v->book->db,
                "INSERT INTO invoice(id, number, series, customer, period, period_from, period_to, currency, status, "
                "total,"
                " paid, issued, due, document, journal_position, part, catalog, corrects)"
                " VALUES($1, $2, '', $3, $4, $5, $6, $7, 'finalized', $8, '0', $9, 0, $10, $11, $12, $13, $14)",
                DB_VALUES(DB_T(json_text(d, "id")), DB_T(json_text(d, "number")), DB_T(v->customer),
                          DB_T(json_text(d, "period")), DB_I(from.ns), DB_I(to.ns), DB_T(json_text(d, "currency")),
                          DB_T(json_text(d, "total")), DB_I(issued.ns), DB_B(bytes), DB_I((int64_t)position),
                          DB_T(json_get(d, "corrects") ? SLICE("note") : json_text(d, "part")),
                          DB_T(json_text(entry, "catalog")), DB_T(json_text(json_get(d, "corrects"), "id"))),
                NULL, err);
}

static bool load_list(struct verifying *v, const char *name,
                      bool (*load)(struct verifying *v, const struct json *entry, struct error *err),
                      struct error *err) {
  const struct json *list = json_get(v->manifest, name);
  for (const struct json *entry = list ? list->child : NULL; entry; entry = entry->next) {
    if (!load(v, entry, err)) {
      return false;
    }
  }
  return true;
}

static bool load_kept(struct verifying *v, struct error *err) {
  if (!db_begin(v->book->db, err)) {
    return false;
  }
  /* Voided invoices are derived like the others, so one period may have several. */
  if (!db_run(v->book->db, "DROP INDEX invoice_live", DB_NO_VALUES, NULL, err) ||
      !load_list(v, "corrections", load_correction, err) || !load_list(v, "invoices", load_invoice, err)) {
    db_rollback(v->book->db);
    return false;
  }
  return db_commit(v->book->db, err);
}

/* ---- the whole ---- */

static bool fill_book(struct verifying *v, const char *scratch_dir, struct error *err) {
  const struct json *catalogs = json_get(v->manifest, "catalogs");
  slice folder = json_text(catalogs ? catalogs->child : NULL, "folder");
  if (!plain_path(folder, err)) {
    return error_at(err, "%s: catalogs", EXPORT_MANIFEST);
  }
  return book_open(scratch_dir, path_of(v, folder.ptr), BOOK_WRITE, &v->book, err) && load_catalogs(v, err) &&
         load_events(v, err) && load_kept(v, err);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
  (void)status;
  (void)type;
  (void)place;
  return remove(path);
}

bool book_export_verify(const char *dir, told *bad, void *context, struct export_result *out, struct error *err) {
  struct verifying v = {.arena = arena_new(), .dir = dir, .result = out};
  const char *base = getenv("TMPDIR");
  char *scratch = arena_printf(v.arena, "%s/meterhouse-verify-XXXXXX", base && *base ? base : "/tmp");
  *out = (struct export_result){0};
  bool ok = read_manifest(&v, err);
  bool made = ok && mkdtemp(scratch) != NULL;
  ok = ok && (made || error_set(err, ERR_IO, "%s: %s", scratch, strerror(errno)));
  ok = ok && fill_book(&v, scratch, err) && check_invoices_again(v.book, bad, context, &out->differences, err);
  book_close(v.book);
  if (made && nftw(scratch, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS) != 0 && ok) {
    ok = error_set(err, ERR_IO, "%s can not be removed: %s", scratch, strerror(errno));
  }
  arena_free(v.arena);
  return ok &&
         (out->differences == 0 || error_set(err, ERR_INVALID, "the invoices differ from the events in %llu places",
                                             (unsigned long long)out->differences));
}
