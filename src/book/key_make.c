/* Making, rotating and revoking API keys: shown once, stored as hashes, each with one role and terms. */
#include "base/time.h"
#include "book/private.h"
#include <sodium.h>
#include <string.h>

#define KEY_SECRET_BYTES 24

/* ---- may it ---- */

static bool customer_fits(struct book *book, enum role role, slice customer, struct error *err) {
  if (role == ROLE_CUSTOMER && catalog_customer(book->catalog, customer) == NULL) {
    return error_set(err, ERR_NOT_FOUND, "customer \"" SLICE_FMT "\" is not in the catalog", SLICE_ARG(customer));
  }
  if (role != ROLE_CUSTOMER && customer.len > 0) {
    return error_set(err, ERR_INVALID, "a key of role %s belongs to no customer", role_name(role));
  }
  return true;
}

/* Keys of others are as if they were not there. */
static bool is_makers(const struct key_identity *maker, const struct key_info *key, struct error *err) {
  return maker == NULL || maker->role != ROLE_CUSTOMER || slice_eq(maker->customer, key->customer) ||
         error_set(err, ERR_NOT_FOUND, "there is no key \"" SLICE_FMT "\"", SLICE_ARG(key->id));
}

static bool maker_may(const struct key_request *request, struct error *err) {
  if (request->maker == NULL || request->maker->role != ROLE_CUSTOMER) {
    return true;
  }
  if (request->role != ROLE_CUSTOMER) {
    return error_set(err, ERR_DENIED, "a customer's key makes keys of role customer alone");
  }
  return slice_eq(request->customer, request->maker->customer) ||
         error_set(err, ERR_NOT_FOUND, "there is no such thing among yours");
}

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

/* Those in force are counted only where all there ever were could be too many. */
static bool is_room(struct book *book, slice customer, struct error *err) {
  int64_t of_customer = 0, all = 0, now = clock_now().ns;
  if (customer.len > 0 &&
      !db_query(book->db, "SELECT count(*) FROM api_key WHERE customer = $1 AND revoked = 0 AND expires > $2",
                DB_VALUES(DB_T(customer), DB_I(now)), take_count, &of_customer, err)) {
    return false;
  }
  if (of_customer >= KEYS_OF_CUSTOMER_MAX) {
    return error_set(err, ERR_LIMIT, "customer \"" SLICE_FMT "\" has %d keys already: revoke some", SLICE_ARG(customer),
                     KEYS_OF_CUSTOMER_MAX);
  }
  if (book->keys.count + book->staged_keys.count >= KEYS_MAX &&
      !db_query(book->db, "SELECT count(*) FROM api_key WHERE revoked = 0 AND expires > $1", DB_VALUES(DB_I(now)),
                take_count, &all, err)) {
    return false;
  }
  return all < KEYS_MAX || error_set(err, ERR_LIMIT, "there are %d keys already: revoke some", KEYS_MAX);
}

/* ---- making ---- */

static struct digest invent(struct key_made *out) {
  uint8_t secret[KEY_SECRET_BYTES];
  char hex[2 * KEY_SECRET_BYTES + 1];
  id_new("key", out->id);
  randombytes_buf(secret, sizeof secret);
  sodium_bin2hex(hex, sizeof hex, secret, sizeof secret);
  int length = snprintf(out->text, sizeof out->text, "mh_%s_%s", out->id + strlen("key_"), hex);
  must(length > 0 && (size_t)length < sizeof out->text);
  sodium_memzero(secret, sizeof secret);
  sodium_memzero(hex, sizeof hex);
  return digest_of(slice_of(out->text));
}

/* `family` empty: the first of one. */
static bool add_key(struct book *book, const struct key_request *r, slice family, struct key_made *out,
                    struct error *err) {
  if (!customer_fits(book, r->role, r->customer, err) || !is_room(book, r->customer, err)) {
    return false;
  }
  struct arena *arena = arena_new();
  const struct key_terms *t = &r->terms;
  struct digest hash = invent(out);
  slice id = slice_of(out->id), hash_bytes = {(const char *)hash.bytes, sizeof hash.bytes};
  bool ok =
      db_run(book->db,
             "INSERT INTO api_key(id, role, customer, name, hash, created, revoked, family, " KEY_TERMS_COLUMNS
             ") VALUES($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
             DB_VALUES(DB_T(id), DB_I(r->role), DB_T(r->customer), DB_T(r->name), DB_B(hash_bytes),
                       DB_I(clock_now().ns), DB_T(family.len > 0 ? family : id), DB_I(t->scopes), DB_T(t->project),
                       DB_T(key_models_text(arena, t)), DB_I(t->expires.ns), DB_I(t->limits.requests_a_minute),
                       DB_I(t->limits.tokens_a_minute), DB_I(t->limits.concurrency),
                       t->has_spend_limit ? DB_A(t->spend_limit) : DB_N, DB_I(t->spend_per)),
             NULL, err) &&
      keys_stage(book, id, err);
  arena_free(arena);
  return ok;
}

bool key_create(struct book *book, const struct key_request *request, struct key_made *out, struct error *err) {
  struct key_request settled = *request;
  if (request->role == ROLE_NONE || request->name.len > KEY_NAME_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "a key needs a role, and a name of at most %d bytes", KEY_NAME_BYTES_MAX);
  }
  return maker_may(request, err) && key_terms_settle(request, &settled.terms, err) &&
         add_key(book, &settled, (slice){0}, out, err);
}

/* ---- rotating ---- */

static bool may_rotate(const struct key_info *old, const struct key_identity *maker, instant now, struct error *err) {
  if (!is_makers(maker, old, err)) {
    return false;
  }
  if (old->revoked || old->terms.expires.ns <= now.ns) {
    return error_set(err, ERR_CONFLICT, "key \"" SLICE_FMT "\" is not in force: make a new one", SLICE_ARG(old->id));
  }
  if (old->successor.len > 0) {
    return error_set(err, ERR_CONFLICT, "key \"" SLICE_FMT "\" was rotated already, into \"" SLICE_FMT "\"",
                     SLICE_ARG(old->id), SLICE_ARG(old->successor));
  }
  return maker == NULL || maker->role != ROLE_CUSTOMER || key_terms_within(&old->terms, maker->terms, err);
}

static bool rotate(struct book *book, const struct key_info *old, instant ends, struct key_made *out,
                   struct error *err) {
  struct key_request request = {.role = old->role, .customer = old->customer, .name = old->name, .terms = old->terms};
  return db_run(book->db, "UPDATE api_key SET expires = $2 WHERE id = $1", DB_VALUES(DB_T(old->id), DB_I(ends.ns)),
                NULL, err) &&
         add_key(book, &request, old->family, out, err) &&
         db_run(book->db, "UPDATE api_key SET successor = $2 WHERE id = $1",
                DB_VALUES(DB_T(old->id), DB_T(slice_of(out->id))), NULL, err) &&
         keys_stage(book, old->id, err);
}

bool key_rotate(struct book *book, slice key_id, int64_t overlap_s, const struct key_identity *maker,
                struct key_made *out, struct error *err) {
  if (overlap_s < 0 || overlap_s > KEY_OVERLAP_S_MAX) {
    return error_set(err, ERR_INVALID, "overlap: from 0 to %d seconds", KEY_OVERLAP_S_MAX);
  }
  struct arena *arena = arena_new();
  struct stored_key *old;
  instant now = clock_now(), ends = {now.ns + overlap_s * NS_PER_S};
  bool ok = keys_fetch(book, arena, key_id, &old, err) && may_rotate(&old->info, maker, now, err) &&
            rotate(book, &old->info, time_earlier(ends, old->info.terms.expires), out, err);
  arena_free(arena);
  return ok;
}

/* ---- revoking ---- */

bool key_revoke(struct book *book, slice key_id, const struct key_identity *maker, struct error *err) {
  struct arena *arena = arena_new();
  struct stored_key *key;
  bool ok = keys_fetch(book, arena, key_id, &key, err) && is_makers(maker, &key->info, err) &&
            db_run(book->db, "UPDATE api_key SET revoked = 1 WHERE id = $1", DB_VALUES(DB_T(key_id)), NULL, err) &&
            keys_stage(book, key_id, err);
  arena_free(arena);
  return ok;
}
