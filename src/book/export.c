/* Export of one customer: all that its invoices are derived from, as files that stand without the book.
 * docs/explain.md describes the folder. */
#include "base/file.h"
#include "base/json.h"
#include "book/private.h"
#include <stdlib.h>
#include <string.h>

#define EVENTS_BYTES_MAX ((size_t)1 << 34)

struct exporting {
  struct book *book;
  struct arena *arena;
  slice customer;
  struct export_sink sink;
  struct buf events, manifest;
  struct json_out json; /* over manifest */
  VEC(slice) digests;   /* of the catalogs in use, each once */
  VEC(slice) members;   /* customers on its consolidated invoices */
  struct export_result *result;
};

static bool write_file(struct exporting *e, const char *name, slice bytes, struct error *err) {
  return e->sink.file(e->sink.context, name, bytes, err);
}

/* ---- whose ---- */

static bool is_member(const struct exporting *e, slice customer) {
  for (size_t i = 0; i < e->members.count; i++) {
    if (slice_eq(e->members.items[i], customer)) {
      return true;
    }
  }
  return false;
}

static void add_member(struct exporting *e, slice customer) {
  if (!is_member(e, customer)) {
    vec_push(&e->members, arena_copy(e->arena, customer));
  }
}

static bool take_member(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  add_member(context, db_bytes(row, 0));
  return true;
}

/* Those it pays for now, and those that were on its invoices. */
static bool find_members(struct exporting *e, struct error *err) {
  const struct catalog *c = e->book->catalog;
  for (size_t i = 0; i < c->customer_count; i++) {
    if (c->customers[i].payer && slice_eq(c->customers[i].payer->id, e->customer)) {
      add_member(e, c->customers[i].id);
    }
  }
  return db_query(e->book->db,
                  "SELECT DISTINCT m.customer FROM invoice_member m JOIN invoice i ON i.id = m.invoice"
                  " WHERE i.customer = $1 AND m.customer <> $1",
                  DB_VALUES(DB_T(e->customer)), take_member, e, err);
}

/* ---- events, each with its number in the journal in front ---- */

static bool take_event(void *context, const struct event *event, const struct arrival *arrival, struct error *err) {
  struct exporting *e = context;
  if (!slice_eq(event->subject, e->customer) && !is_member(e, event->subject)) {
    return true;
  }
  struct buf one;
  buf_init(&one, 16 * EVENT_BYTES_MAX);
  event_to_json(event, &one);
  must(!one.failed && one.len > 1 && one.ptr[0] == '{');
  buf_addf(&e->events, "{\"" EXPORT_NUMBER "\":%llu,", (unsigned long long)arrival->number);
  buf_add(&e->events, (slice){one.ptr + 1, one.len - 1});
  buf_addc(&e->events, '\n');
  buf_free(&one);
  e->result->events++;
  return !e->events.failed ||
         error_set(err, ERR_LIMIT, "the customer's events are more than %zu bytes", EVENTS_BYTES_MAX);
}

/* ---- corrections: which event hides which ---- */

static bool put_correction(void *context, const struct correction_row *row, struct error *err) {
  (void)err;
  struct exporting *e = context;
  struct json_out *w = &e->json;
  char time[TIME_TEXT_MAX];
  json_open_object(w);
  json_put_int(w, "number", (int64_t)row->number);
  json_put_str(w, "id", row->id);
  json_put_str(w, "kind", row->kind);
  json_put_str(w, "customer", row->customer);
  json_put_int(w, "target", (int64_t)row->target);
  json_put_str(w, "meter", row->meter);
  json_put_cstr(w, "from", time_format(row->from, time));
  json_put_cstr(w, "to", time_format(row->to, time));
  json_put_int(w, "last", (int64_t)row->last);
  json_close_object(w);
  e->result->corrections++;
  return true;
}

/* ---- invoices ---- */

static void need_catalog(struct exporting *e, slice digest) {
  for (size_t i = 0; i < e->digests.count; i++) {
    if (slice_eq(e->digests.items[i], digest)) {
      return;
    }
  }
  vec_push(&e->digests, arena_copy(e->arena, digest));
}

static bool put_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  struct exporting *e = context;
  struct json_out *w = &e->json;
  char *file = arena_printf(e->arena, "invoices/" SLICE_FMT ".json", SLICE_ARG(i->number));
  for (char *p = file + strlen("invoices/"); *p; p++) {
    *p = *p == '/' ? '-' : *p;
  }
  json_open_object(w);
  json_put_str(w, "number", i->number);
  json_put_cstr(w, "file", file);
  json_put_str(w, "status", i->status);
  json_put_int(w, "position", (int64_t)i->journal_position);
  json_put_str(w, "catalog", i->catalog);
  json_close_object(w);
  need_catalog(e, i->catalog);
  e->result->invoices++;
  e->result->voided += slice_is(i->status, "void");
  struct buf text;
  buf_init(&text, 2 * DOCUMENT_BYTES_MAX);
  document_print(i->document, &text);
  bool ok = write_file(e, file, buf_slice(&text), err);
  buf_free(&text);
  return ok;
}

/* ---- catalogs ---- */

static bool write_catalog(struct exporting *e, slice digest, struct error *err) {
  const struct catalog *catalog;
  struct catalog_text *texts;
  size_t count;
  char *folder = arena_printf(e->arena, "catalog-%.12s", digest.ptr);
  if (!versions_find(e->book, digest, &catalog, err) ||
      !catalog_reduce(e->arena, catalog, e->customer, &texts, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!write_file(e, arena_printf(e->arena, "%s/%s", folder, texts[i].name), texts[i].text, err)) {
      return false;
    }
  }
  json_open_object(&e->json);
  json_put_str(&e->json, "digest", digest);
  json_put_cstr(&e->json, "folder", folder);
  json_close_object(&e->json);
  return true;
}

static bool put_list(struct exporting *e, const char *name, bool (*put)(struct exporting *e, struct error *err),
                     struct error *err) {
  json_key(&e->json, name);
  json_open_array(&e->json);
  bool ok = put(e, err);
  json_close_array(&e->json);
  return ok;
}

static bool put_invoices(struct exporting *e, struct error *err) {
  struct invoice_query query = {.customer = e->customer, .limit = SIZE_MAX, .with_document = true};
  return invoice_list(e->book->db, &query, put_invoice, e, err);
}

static bool put_corrections(struct exporting *e, struct error *err) {
  bool ok = correction_list(e->book->db, e->customer, 0, INT32_MAX, put_correction, e, err);
  for (size_t i = 0; ok && i < e->members.count; i++) {
    ok = correction_list(e->book->db, e->members.items[i], 0, INT32_MAX, put_correction, e, err);
  }
  return ok;
}

static bool put_members(struct exporting *e, struct error *err) {
  (void)err;
  for (size_t i = 0; i < e->members.count; i++) {
    json_str(&e->json, e->members.items[i]);
  }
  return true;
}

static bool put_catalogs(struct exporting *e, struct error *err) {
  for (size_t i = 0; i < e->digests.count; i++) {
    if (!write_catalog(e, e->digests.items[i], err)) {
      return false;
    }
  }
  return true;
}

static bool take_any(void *context, const struct stored_invoice *i, struct error *err) {
  (void)i;
  (void)err;
  *(bool *)context = true;
  return true;
}

/* A customer that has left the catalog still has its invoices. */
static bool is_known(struct exporting *e, struct error *err) {
  struct invoice_query query = {.customer = e->customer, .limit = 1};
  bool known = false;
  if (!invoice_list(e->book->db, &query, take_any, &known, err)) {
    return false;
  }
  if (catalog_customer(e->book->catalog, e->customer)) {
    need_catalog(e, e->book->catalog->digest_hex);
    return true;
  }
  return known ||
         error_set(err, ERR_NOT_FOUND, "customer \"" SLICE_FMT "\" is not in this book", SLICE_ARG(e->customer));
}

static bool export_all(struct exporting *e, struct error *err) {
  struct journal_range all = {0};
  if (!is_known(e, err) || !find_members(e, err) || !journal_scan(e->book->db, &all, take_event, e, err) ||
      !write_file(e, EXPORT_EVENTS, buf_slice(&e->events), err)) {
    return false;
  }
  json_open_object(&e->json);
  json_put_int(&e->json, "version", EXPORT_VERSION);
  json_put_str(&e->json, "customer", e->customer);
  json_put_int(&e->json, "events", (int64_t)e->result->events);
  if (!put_list(e, "members", put_members, err) || !put_list(e, "corrections", put_corrections, err) ||
      !put_list(e, "invoices", put_invoices, err) || !put_list(e, "catalogs", put_catalogs, err)) {
    return false;
  }
  json_close_object(&e->json);
  buf_addc(&e->manifest, '\n');
  if (e->manifest.failed) {
    return error_set(err, ERR_LIMIT, "the list of the export is too large");
  }
  return write_file(e, EXPORT_MANIFEST, buf_slice(&e->manifest), err);
}

bool book_export_files(struct book *book, slice customer, struct export_sink sink, struct export_result *out,
                       struct error *err) {
  struct exporting e = {.book = book, .arena = arena_new(), .customer = customer, .sink = sink, .result = out};
  *out = (struct export_result){0};
  buf_init(&e.events, EVENTS_BYTES_MAX);
  buf_init(&e.manifest, EXPORT_MANIFEST_BYTES_MAX);
  json_out_init(&e.json, &e.manifest, true);
  bool ok = export_all(&e, err);
  vec_free(&e.digests);
  vec_free(&e.members);
  buf_free(&e.events);
  buf_free(&e.manifest);
  arena_free(e.arena);
  return ok;
}

/* ---- into a folder ---- */

static bool to_folder(void *context, const char *name, slice bytes, struct error *err) {
  struct arena *arena = arena_new();
  char *path = arena_printf(arena, "%s/%s", (const char *)context, name);
  char *slash = strrchr(path, '/');
  *slash = '\0';
  bool ok = file_make_dirs(path, err);
  *slash = '/';
  ok = ok && file_write(path, bytes, err);
  arena_free(arena);
  return ok;
}

bool book_export_customer(struct book *book, slice customer, const char *dir, struct export_result *out,
                          struct error *err) {
  struct export_sink folder = {to_folder, (void *)(uintptr_t)dir};
  return book_export_files(book, customer, folder, out, err);
}
