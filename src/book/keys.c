/* API keys in memory: loaded from the store, kept current with it, checked on every request; and their list. */
#include "base/time.h"
#include "book/private.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_PREFIX "mh_"
#define KEY_ID_PREFIX "key_"
#define KEY_ID_DIGITS 32
#define KEY_SECRET_DIGITS 48
#define KEY_COLUMNS "id, role, customer, name, hash, created, revoked, family, successor, " KEY_TERMS_COLUMNS

const char *role_name(enum role r) {
  static const char *const names[] = {"none", "customer", "investor", "operator"};
  must((unsigned)r < sizeof names / sizeof *names);
  return names[r];
}

/* ---- from the store ---- */

static bool read_key(struct arena *arena, const struct db_row *row, struct stored_key *out, struct error *err) {
  slice hash = db_bytes(row, 4);
  if (hash.len != sizeof out->hash) {
    return error_set(err, ERR_CORRUPT, "api_key: a hash has the wrong length");
  }
  memcpy(out->hash, hash.ptr, sizeof out->hash);
  out->info = (struct key_info){.id = arena_copy(arena, db_bytes(row, 0)),
                                .role = (enum role)db_int(row, 1),
                                .customer = arena_copy(arena, db_bytes(row, 2)),
                                .name = arena_copy(arena, db_bytes(row, 3)),
                                .created = {db_int(row, 5)},
                                .revoked = db_int(row, 6) != 0,
                                .family = arena_copy(arena, db_bytes(row, 7)),
                                .successor = arena_copy(arena, db_bytes(row, 8))};
  return key_terms_read(arena, row, 9, &out->info.terms, err);
}

struct one_key {
  struct arena *arena;
  struct stored_key *key;
};

static bool take_one(const struct db_row *row, void *context, struct error *err) {
  struct one_key *one = context;
  one->key = arena_alloc(one->arena, sizeof *one->key);
  return read_key(one->arena, row, one->key, err);
}

bool keys_fetch(struct book *book, struct arena *arena, slice id, struct stored_key **out, struct error *err) {
  struct one_key one = {.arena = arena};
  if (!db_query(book->db, "SELECT " KEY_COLUMNS " FROM api_key WHERE id = $1", DB_VALUES(DB_T(id)), take_one, &one,
                err)) {
    return false;
  }
  *out = one.key;
  return one.key || error_set(err, ERR_NOT_FOUND, "there is no key \"" SLICE_FMT "\"", SLICE_ARG(id));
}

static bool take_key(const struct db_row *row, void *context, struct error *err) {
  struct book *book = context;
  struct stored_key *key = arena_alloc(book->key_arena, sizeof *key);
  if (!read_key(book->key_arena, row, key, err)) {
    return false;
  }
  *map_put(&book->keys, key->info.id) = key;
  return true;
}

bool keys_load(struct book *book, struct error *err) {
  return db_query(book->db, "SELECT " KEY_COLUMNS " FROM api_key", DB_NO_VALUES, take_key, book, err);
}

void keys_free(struct book *book) {
  map_free(&book->keys);
  vec_free(&book->staged_keys);
}

/* ---- with the batch ---- */

bool keys_stage(struct book *book, slice id, struct error *err) {
  struct stored_key *key;
  if (!keys_fetch(book, book->key_arena, id, &key, err)) {
    return false;
  }
  vec_push(&book->staged_keys, key);
  return true;
}

void keys_done(struct book *book) {
  if (book->staged_keys.count == 0) {
    return;
  }
  pthread_mutex_lock(&book->key_lock);
  for (size_t i = 0; i < book->staged_keys.count; i++) {
    *map_put(&book->keys, book->staged_keys.items[i]->info.id) = book->staged_keys.items[i];
  }
  pthread_mutex_unlock(&book->key_lock);
  book->staged_keys.count = 0;
}

void keys_undo(struct book *book) {
  book->staged_keys.count = 0;
}

/* ---- checking ---- */

/* "mh_<32 hex>_<secret>" names the key "key_<32 hex>"; the secret is checked by the hash of the whole text. */
static bool key_id_of(slice text, char id[sizeof KEY_ID_PREFIX + KEY_ID_DIGITS]) {
  const size_t prefix = strlen(KEY_PREFIX), id_prefix = strlen(KEY_ID_PREFIX);
  if (text.len != prefix + KEY_ID_DIGITS + 1 + KEY_SECRET_DIGITS || !slice_starts(text, KEY_PREFIX)) {
    return false;
  }
  memcpy(id, KEY_ID_PREFIX, id_prefix);
  memcpy(id + id_prefix, text.ptr + prefix, KEY_ID_DIGITS);
  return true;
}

/* What stands in the map is never changed, so that nothing but the look-up needs the lock. */
static const struct stored_key *find_key(struct book *book, slice id) {
  pthread_mutex_lock(&book->key_lock);
  const struct stored_key *key = map_get(&book->keys, id);
  pthread_mutex_unlock(&book->key_lock);
  return key;
}

bool key_check(struct book *book, slice key_text, struct key_identity *out, struct error *err) {
  *out = (struct key_identity){.role = ROLE_NONE};
  char id[sizeof KEY_ID_PREFIX + KEY_ID_DIGITS];
  if (!key_id_of(key_text, id)) {
    return error_set(err, ERR_DENIED, "this is not a key of this house (they begin with " KEY_PREFIX ")");
  }
  struct digest hash = digest_of(key_text);
  const struct stored_key *key = find_key(book, (slice){id, strlen(KEY_ID_PREFIX) + KEY_ID_DIGITS});
  if (key == NULL || sodium_memcmp(key->hash, hash.bytes, sizeof key->hash) != 0) {
    return error_set(err, ERR_DENIED, "the key is unknown");
  }
  if (key->info.revoked) {
    return error_set(err, ERR_DENIED, "the key was revoked");
  }
  if (clock_now().ns >= key->info.terms.expires.ns) {
    char when[TIME_TEXT_MAX];
    return error_set(err, ERR_DENIED, "the key expired at %s%s", time_format(key->info.terms.expires, when),
                     key->info.successor.len > 0 ? ": it was rotated, use the new one" : "");
  }
  *out = (struct key_identity){.role = key->info.role,
                               .customer = key->info.customer,
                               .key_id = key->info.id,
                               .family = key->info.family,
                               .terms = &key->info.terms};
  return true;
}

slice key_family(struct book *book, slice key_id) {
  const struct stored_key *key = find_key(book, key_id);
  return key ? key->info.family : (slice){0};
}

/* ---- the list ---- */

struct key_listing {
  struct arena *arena;
  key_each each;
  void *context;
};

static bool list_key(const struct db_row *row, void *context, struct error *err) {
  struct key_listing *listing = context;
  struct stored_key key;
  arena_reset(listing->arena);
  return read_key(listing->arena, row, &key, err) && listing->each(listing->context, &key.info, err);
}

bool key_list(struct book *book, const struct key_query *query, key_each each, void *context, struct error *err) {
  struct key_listing listing = {arena_new(), each, context};
  int64_t limit = query->limit > 0 ? (int64_t)query->limit : INT64_MAX;
  bool ok = query->customer.len > 0
                ? db_query(book->db,
                           "SELECT " KEY_COLUMNS " FROM api_key WHERE customer = $1 AND id > $2 ORDER BY id LIMIT $3",
                           DB_VALUES(DB_T(query->customer), DB_T(query->after), DB_I(limit)), list_key, &listing, err)
                : db_query(book->db, "SELECT " KEY_COLUMNS " FROM api_key WHERE id > $1 ORDER BY id LIMIT $2",
                           DB_VALUES(DB_T(query->after), DB_I(limit)), list_key, &listing, err);
  arena_free(listing.arena);
  return ok;
}
