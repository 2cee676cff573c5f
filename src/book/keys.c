/* API keys: shown once, stored as hashes, compared in constant time, each with one role. */
#include "base/hash.h"
#include "base/time.h"
#include "book/private.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SECRET_BYTES 24
#define KEYS_MAX 100000

const char *role_name(enum role r) {
  static const char *const names[] = {"none", "customer", "investor", "operator"};
  must((unsigned)r < sizeof names / sizeof *names);
  return names[r];
}

static bool take_key(const struct db_row *row, void *context, struct error *err) {
  struct book *book = context;
  slice hash = db_bytes(row, 4);
  if (hash.len != 32) {
    return error_set(err, ERR_CORRUPT, "api_key: a hash has the wrong length");
  }
  struct stored_key key = {.id = arena_copy(book->key_arena, db_bytes(row, 0)),
                           .role = (enum role)db_int(row, 1),
                           .customer = arena_copy(book->key_arena, db_bytes(row, 2)),
                           .name = arena_copy(book->key_arena, db_bytes(row, 3)),
                           .revoked = db_int(row, 5) != 0};
  memcpy(key.hash, hash.ptr, sizeof key.hash);
  vec_push(&book->keys, key);
  return true;
}

bool keys_load(struct book *book, struct error *err) {
  return db_query(book->db, "SELECT id, role, customer, name, hash, revoked FROM api_key ORDER BY id", DB_NO_VALUES,
                  take_key, book, err);
}

void keys_free(struct book *book) {
  vec_free(&book->keys);
}

static bool customer_fits(struct book *book, enum role role, slice customer, struct error *err) {
  if (role == ROLE_CUSTOMER && catalog_customer(book->catalog, customer) == NULL) {
    return error_set(err, ERR_NOT_FOUND, "customer \"" SLICE_FMT "\" is not in the catalog", SLICE_ARG(customer));
  }
  if (role != ROLE_CUSTOMER && customer.len > 0) {
    return error_set(err, ERR_INVALID, "a key of role %s belongs to no customer", role_name(role));
  }
  return true;
}

bool key_create(struct book *book, enum role role, slice customer, slice name, char secret_text[96],
                struct error *err) {
  if (role == ROLE_NONE || name.len > 200) {
    return error_set(err, ERR_INVALID, "a key needs a role, and a name of at most 200 bytes");
  }
  if (!customer_fits(book, role, customer, err)) {
    return false;
  }
  if (book->keys.count >= KEYS_MAX) {
    return error_set(err, ERR_LIMIT, "there are %d keys already: revoke some", KEYS_MAX);
  }
  char id[ID_TEXT_MAX];
  id_new("key", id);
  uint8_t secret[KEY_SECRET_BYTES];
  char hex[2 * KEY_SECRET_BYTES + 1];
  randombytes_buf(secret, sizeof secret);
  sodium_bin2hex(hex, sizeof hex, secret, sizeof secret);
  int length = snprintf(secret_text, 96, "mh_%s_%s", id + strlen("key_"), hex);
  must(length > 0 && length < 96);
  struct digest hash = digest_of(slice_of(secret_text));
  slice hash_bytes = {(const char *)hash.bytes, sizeof hash.bytes};
  if (!db_run(
          book->db,
          "INSERT INTO api_key(id, role, customer, name, hash, created, revoked) VALUES($1, $2, $3, $4, $5, $6, 0)",
          DB_VALUES(DB_T(slice_of(id)), DB_I(role), DB_T(customer), DB_T(name), DB_B(hash_bytes), DB_I(clock_now().ns)),
          NULL, err)) {
    return false;
  }
  pthread_mutex_lock(&book->key_lock);
  struct stored_key key = {.id = arena_copy(book->key_arena, slice_of(id)),
                           .role = role,
                           .customer = arena_copy(book->key_arena, customer),
                           .name = arena_copy(book->key_arena, name)};
  memcpy(key.hash, hash.bytes, sizeof key.hash);
  vec_push(&book->keys, key);
  pthread_mutex_unlock(&book->key_lock);
  return true;
}

static struct stored_key *find_key(struct book *book, slice id) {
  for (size_t i = 0; i < book->keys.count; i++) {
    if (slice_eq(book->keys.items[i].id, id)) {
      return &book->keys.items[i];
    }
  }
  return NULL;
}

bool key_revoke(struct book *book, slice key_id, struct error *err) {
  int64_t changed = 0;
  if (!db_run(book->db, "UPDATE api_key SET revoked = 1 WHERE id = $1", DB_VALUES(DB_T(key_id)), &changed, err)) {
    return false;
  }
  if (changed == 0) {
    return error_set(err, ERR_NOT_FOUND, "there is no key \"" SLICE_FMT "\"", SLICE_ARG(key_id));
  }
  pthread_mutex_lock(&book->key_lock);
  struct stored_key *key = find_key(book, key_id);
  if (key) {
    key->revoked = true;
  }
  pthread_mutex_unlock(&book->key_lock);
  return true;
}

/* "mh_<32 hex>_<secret>" names the key "key_<32 hex>"; the secret is checked by the hash of the whole text. */
static bool key_id_of(slice text, char id[ID_TEXT_MAX]) {
  if (text.len != 3 + 32 + 1 + 2 * KEY_SECRET_BYTES || !slice_starts(text, "mh_")) {
    return false;
  }
  snprintf(id, ID_TEXT_MAX, "key_%.32s", text.ptr + 3);
  return true;
}

bool key_check(struct book *book, slice key_text, struct key_identity *out, struct error *err) {
  *out = (struct key_identity){.role = ROLE_NONE};
  char id[ID_TEXT_MAX];
  if (!key_id_of(key_text, id)) {
    return error_set(err, ERR_DENIED, "this is not a key of this house (they begin with mh_)");
  }
  struct digest hash = digest_of(key_text);
  pthread_mutex_lock(&book->key_lock);
  const struct stored_key *key = find_key(book, slice_of(id));
  if (key && !key->revoked && sodium_memcmp(key->hash, hash.bytes, sizeof key->hash) == 0) {
    *out = (struct key_identity){.role = key->role, .customer = key->customer, .key_id = key->id};
  }
  pthread_mutex_unlock(&book->key_lock);
  return out->role != ROLE_NONE || error_set(err, ERR_DENIED, "the key is unknown or revoked");
}

struct key_listing {
  key_each each;
  void *context;
};

static bool list_key(const struct db_row *row, void *context, struct error *err) {
  struct key_listing *listing = context;
  return listing->each(listing->context, db_bytes(row, 0), (enum role)db_int(row, 1), db_bytes(row, 2),
                       db_bytes(row, 3), (instant){db_int(row, 4)}, db_int(row, 5) != 0, err);
}

bool key_list(struct book *book, key_each each, void *context, struct error *err) {
  struct key_listing listing = {each, context};
  return db_query(book->db, "SELECT id, role, customer, name, created, revoked FROM api_key ORDER BY id", DB_NO_VALUES,
                  list_key, &listing, err);
}
