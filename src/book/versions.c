/* The catalogs a book has been opened with: every version's files are kept, so that an invoice is derived again from
 * the catalog it was made with, whatever became of the files since. */
#include "base/hash.h"
#include "book/private.h"
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 3
#define FILES_MAX 1000

static bool keep_file(struct book *book, const struct catalog_text *file, struct error *err) {
  char hash[65];
  digest_hex(digest_of(file->text), hash);
  size_t room = ZSTD_compressBound(file->text.len);
  char *packed = mem_alloc(room);
  size_t size = ZSTD_compress(packed, room, file->text.ptr, file->text.len, LEVEL);
  bool ok = !ZSTD_isError(size) || error_set(err, ERR_IO, "compressing %s: %s", file->name, ZSTD_getErrorName(size));
  slice digest = book->catalog->digest_hex;
  ok = ok &&
       db_run(book->db, "INSERT INTO catalog_file(hash, bytes, packed) VALUES($1, $2, $3) ON CONFLICT(hash) DO NOTHING",
              DB_VALUES(DB_T(slice_of(hash)), DB_I((int64_t)file->text.len), DB_B(((slice){packed, size}))), NULL,
              err) &&
       db_run(book->db, "INSERT INTO catalog_version(digest, name, hash, seen) VALUES($1, $2, $3, $4)",
              DB_VALUES(DB_T(digest), DB_T(slice_of(file->name)), DB_T(slice_of(hash)), DB_I(clock_now().ns)), NULL,
              err);
  free(packed);
  return ok;
}

static bool take_known(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(bool *)context = db_int(row, 0) > 0;
  return true;
}

bool versions_keep(struct book *book, bool *fresh, struct error *err) {
  const struct catalog *c = book->catalog;
  bool known = false;
  if (!db_query(book->db, "SELECT count(*) FROM catalog_version WHERE digest = $1", DB_VALUES(DB_T(c->digest_hex)),
                take_known, &known, err)) {
    return false;
  }
  *fresh = !known;
  if (known) {
    return true;
  }
  if (!db_begin(book->db, err)) {
    return false;
  }
  bool ok = true;
  for (size_t i = 0; ok && i < c->text_count; i++) {
    ok = keep_file(book, &c->texts[i], err);
  }
  if (!ok) {
    db_rollback(book->db);
  }
  return ok && db_commit(book->db, err);
}

/* ---- finding one again ---- */

struct unpacking {
  struct arena *arena;
  struct catalog_text *texts;
  size_t count;
};

static bool take_file(const struct db_row *row, void *context, struct error *err) {
  struct unpacking *u = context;
  slice name = arena_copy(u->arena, db_bytes(row, 0)), packed = db_bytes(row, 2);
  int64_t bytes = db_int(row, 1);
  if (u->count == FILES_MAX || bytes < 0 || ZSTD_getFrameContentSize(packed.ptr, packed.len) != (uint64_t)bytes) {
    return error_set(err, ERR_CORRUPT, "a kept catalog file is damaged: " SLICE_FMT, SLICE_ARG(name));
  }
  char *text = arena_alloc(u->arena, (size_t)bytes + 1);
  if (ZSTD_decompress(text, (size_t)bytes, packed.ptr, packed.len) != (size_t)bytes) {
    return error_set(err, ERR_CORRUPT, "a kept catalog file is damaged: " SLICE_FMT, SLICE_ARG(name));
  }
  u->texts[u->count++] = (struct catalog_text){name.ptr, {text, (size_t)bytes}};
  return true;
}

static bool load_version(struct book *book, slice digest, struct catalog **out, struct error *err) {
  struct unpacking u = {.arena = arena_new()};
  u.texts = arena_array(u.arena, FILES_MAX, sizeof *u.texts);
  bool ok = db_query(book->db,
                     "SELECT v.name, f.bytes, f.packed FROM catalog_version v JOIN catalog_file f ON f.hash = v.hash"
                     " WHERE v.digest = $1 ORDER BY v.name",
                     DB_VALUES(DB_T(digest)), take_file, &u, err);
  if (ok && u.count == 0) {
    ok = error_set(err, ERR_NOT_FOUND, "the catalog " SLICE_FMT " is not kept in this book", SLICE_ARG(digest));
  }
  ok = ok && (catalog_parse(u.texts, u.count, out, err) || error_at(err, "kept catalog " SLICE_FMT, SLICE_ARG(digest)));
  if (ok && !slice_eq((*out)->digest_hex, digest)) {
    catalog_free(*out);
    ok = error_set(err, ERR_CORRUPT, "the kept catalog " SLICE_FMT " has been changed", SLICE_ARG(digest));
  }
  arena_free(u.arena);
  return ok;
}

bool versions_find(struct book *book, slice digest, const struct catalog **out, struct error *err) {
  struct catalog *found;
  *out = book->catalog;
  if (digest.len == 0 || slice_eq(digest, book->catalog->digest_hex)) {
    return true;
  }
  for (size_t i = 0; i < book->versions.count; i++) {
    if (slice_eq(book->versions.items[i]->digest_hex, digest)) {
      *out = book->versions.items[i];
      return true;
    }
  }
  if (!load_version(book, digest, &found, err)) {
    return false;
  }
  vec_push(&book->versions, found);
  *out = found;
  return true;
}

void versions_free(struct book *book) {
  for (size_t i = 0; i < book->versions.count; i++) {
    catalog_free(book->versions.items[i]);
  }
  vec_free(&book->versions);
}
