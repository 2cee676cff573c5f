/* Webhooks in the store: signatures, sealed secrets, who is told what, waits, limits, replays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START INT64_C(1790000000)

struct house {
  char dir[64];
  struct db *db;
  struct notify_vault *vault;
  struct arena *arena;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static void open_house(struct house *h) {
  struct error err = {0};
  char path[128];
  *h = (struct house){.dir = "/tmp/test_notify.XXXXXX", .arena = arena_new()};
  assert_non_null(mkdtemp(h->dir));
  snprintf(path, sizeof path, "%s/book.db", h->dir);
  done(db_open(path, DB_READ_WRITE, &h->db, &err), &err);
  done(db_migrate(h->db, notify_migrations, notify_migration_count, &err), &err);
  done(notify_vault_open(h->dir, &h->vault, &err), &err);
  done(db_begin(h->db, &err), &err);
}

static void close_house(struct house *h) {
  static const char *const names[] = {"book.db", "book.db-wal", "book.db-shm", "secret.key"};
  char path[128];
  db_close(h->db);
  notify_vault_close(h->vault);
  arena_free(h->arena);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", h->dir, names[i]);
    unlink(path);
  }
  assert_int_equal(rmdir(h->dir), 0);
}

static instant at_s(int64_t s) {
  return (instant){(START + s) * NS_PER_S};
}

static char *add_endpoint(struct house *h, const char *events, const char *customer) {
  struct error err = {0};
  struct notify_endpoint e = {
      .url = SLICE("http://127.0.0.1:1/x"), .events = slice_of(events), .customer = slice_of(customer)};
  char secret[NOTIFY_SECRET_TEXT_MAX], *id = arena_alloc(h->arena, ID_TEXT_MAX);
  done(notify_endpoint_create(h->db, h->vault, &e, at_s(0), id, secret, &err), &err);
  return id;
}

static void tell_them(struct house *h, const char *type, const char *customer, int64_t s) {
  struct error err = {0};
  done(notify_enqueue(h->db, slice_of(type), slice_of(customer), SLICE("{\"n\":1}"), at_s(s), &err), &err);
}

static struct notify_due due_at(struct house *h, const struct notify_busy *busy, size_t count, int64_t s) {
  struct error err = {0};
  struct notify_due due;
  done(notify_due(h->db, busy, count, at_s(s), h->arena, &due, &err), &err);
  return due;
}

static void answer(struct house *h, const struct notify_due_one *one, int status, int64_t s) {
  struct error err = {0};
  struct notify_result r = {.status = status, .at = at_s(s)};
  snprintf(r.of.endpoint, sizeof r.of.endpoint, "%s", one->endpoint.ptr);
  snprintf(r.of.message, sizeof r.of.message, "%s", one->message.ptr);
  done(notify_mark(h->db, &r, &err), &err);
}

/* ---- signatures ---- */

static void signs_as_published(void **state) {
  (void)state;
  struct error err = {0};
  struct notify_secret secret;
  char text[NOTIFY_SIGNATURE_TEXT_MAX], again[NOTIFY_SECRET_TEXT_MAX];
  slice whsec = SLICE("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  done(notify_secret_parse(whsec, &secret, &err), &err);
  assert_int_equal(secret.len, 24);
  assert_string_equal(notify_secret_text(&secret, again), whsec.ptr);
  notify_sign(&secret, SLICE("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330, SLICE("{\"test\": 2432232314}"), text);
  assert_string_equal(text, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void refuses_other_secrets(void **state) {
  (void)state;
  static const char *const bad[] = {"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_MfKQ", "whsec_!!!!"};
  struct notify_secret secret;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct error err = {0};
    assert_false(notify_secret_parse(slice_of(bad[i]), &secret, &err));
    assert_int_equal(err.code, ERR_INVALID);
  }
}

/* ---- the vault ---- */

static void seals_with_a_key_beside_the_store(void **state) {
  (void)state;
  struct house h;
  struct error err = {0};
  struct stat about;
  char path[128];
  uint8_t bytes[NOTIFY_SEALED_BYTES_MAX];
  struct notify_secret secret, opened;
  open_house(&h);
  snprintf(path, sizeof path, "%s/secret.key", h.dir);
  assert_int_equal(stat(path, &about), 0);
  assert_int_equal(about.st_mode & 0777, 0600);
  notify_secret_make(&secret);
  slice sealed = notify_seal(h.vault, &secret, bytes);
  assert_null(memmem(sealed.ptr, sealed.len, secret.bytes, secret.len));
  notify_vault_close(h.vault);
  done(notify_vault_open(h.dir, &h.vault, &err), &err);
  done(notify_unseal(h.vault, sealed, &opened, &err), &err);
  assert_int_equal(opened.len, secret.len);
  assert_memory_equal(opened.bytes, secret.bytes, secret.len);
  bytes[30] ^= 1;
  assert_false(notify_unseal(h.vault, sealed, &opened, &err));
  assert_int_equal(err.code, ERR_CORRUPT);
  close_house(&h);
}

static void refuses_a_key_that_others_may_read(void **state) {
  (void)state;
  struct house h;
  struct error err = {0};
  struct notify_vault *vault = NULL;
  char path[128];
  open_house(&h);
  snprintf(path, sizeof path, "%s/secret.key", h.dir);
  assert_int_equal(chmod(path, 0640), 0);
  assert_false(notify_vault_open(h.dir, &vault, &err));
  assert_int_equal(err.code, ERR_DENIED);
  assert_int_equal(chmod(path, 0600), 0);
  assert_int_equal(truncate(path, 31), 0);
  assert_false(notify_vault_open(h.dir, &vault, &err));
  assert_int_equal(err.code, ERR_CORRUPT);
  close_house(&h);
}

/* ---- endpoints ---- */

static void refuses_urls_it_should_not_call(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "ftp://example.com/",
                                    "file:///etc/passwd",
                                    "example.com/x",
                                    "http://",
                                    "http://user:word@example.com/",
                                    "https://example.com/#part",
                                    "http://exa mple.com/",
                                    "https://example.com/\r\nx: y"};
  struct house h;
  char id[ID_TEXT_MAX], secret[NOTIFY_SECRET_TEXT_MAX];
  open_house(&h);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct error err = {0};
    struct notify_endpoint e = {.url = slice_of(bad[i])};
    if (notify_endpoint_create(h.db, h.vault, &e, at_s(0), id, secret, &err)) {
      fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_int_equal(err.code, ERR_INVALID);
  }
  struct error err = {0};
  struct notify_endpoint e = {.url = SLICE("https://[2001:db8::1]:8443/a?b=c"), .events = SLICE("invoice.finalised")};
  assert_false(notify_endpoint_create(h.db, h.vault, &e, at_s(0), id, secret, &err));
  assert_non_null(strstr(err.message, "invoice.finalized"));
  e.events = SLICE("invoice.finalized alert.crossed");
  done(notify_endpoint_create(h.db, h.vault, &e, at_s(0), id, secret, &err), &err);
  close_house(&h);
}

static void tells_those_who_asked(void **state) {
  (void)state;
  struct house h;
  open_house(&h);
  const char *all = add_endpoint(&h, "", ""), *paid = add_endpoint(&h, "alert.crossed invoice.paid", ""),
             *acme = add_endpoint(&h, "", "acme");
  tell_them(&h, "invoice.paid", "acme", 1);
  struct notify_due due = due_at(&h, NULL, 0, 1);
  assert_int_equal(due.count, 3);
  tell_them(&h, "invoice.voided", "bolt", 2);
  due = due_at(&h, NULL, 0, 2);
  assert_int_equal(due.count, 4);
  const struct notify_due_one *last = &due.items[3];
  assert_string_equal(last->endpoint.ptr, all);
  assert_string_equal(last->body.ptr,
                      "{\"type\":\"invoice.voided\",\"timestamp\":\"2026-09-21T14:13:22Z\",\"data\":{\"n\":1}}");
  for (size_t i = 0; i < 3; i++) {
    assert_true(slice_is(due.items[i].endpoint, all) || slice_is(due.items[i].endpoint, paid) ||
                slice_is(due.items[i].endpoint, acme));
  }
  close_house(&h);
}

/* ---- waits ---- */

static void waits_longer_and_then_gives_up(void **state) {
  (void)state;
  static const int64_t waits_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
  struct house h;
  open_house(&h);
  add_endpoint(&h, "", "");
  tell_them(&h, "invoice.paid", "acme", 0);
  int64_t now_s = 0;
  for (size_t i = 0; i < sizeof waits_s / sizeof *waits_s; i++) {
    struct notify_due due = due_at(&h, NULL, 0, now_s);
    assert_int_equal(due.count, 1);
    answer(&h, &due.items[0], i % 2 ? 0 : 302, now_s);
    struct notify_due later = due_at(&h, NULL, 0, now_s);
    int64_t wait_ns = later.next.ns - at_s(now_s).ns;
    assert_int_equal(later.count, 0);
    assert_int_equal(wait_ns, notify_wait_after((int64_t)i + 1, due.items[0].message).ns);
    assert_true(wait_ns >= waits_s[i] * NS_PER_S / 10 * 8 && wait_ns <= waits_s[i] * NS_PER_S / 10 * 12);
    now_s += wait_ns / NS_PER_S + 1;
  }
  struct notify_due due = due_at(&h, NULL, 0, now_s);
  assert_int_equal(due.count, 1);
  answer(&h, &due.items[0], 500, now_s);
  due = due_at(&h, NULL, 0, now_s + 1000000);
  assert_int_equal(due.count, 0);
  assert_int_equal(due.next.ns, INSTANT_MAX.ns);
  close_house(&h);
}

static void one_endpoint_does_not_take_all_places(void **state) {
  (void)state;
  struct house h;
  struct notify_busy busy[NOTIFY_AT_ONCE];
  open_house(&h);
  const char *slow = add_endpoint(&h, "", "acme"), *other = add_endpoint(&h, "", "bolt");
  for (int i = 0; i < 20; i++) {
    tell_them(&h, "invoice.paid", "acme", i);
  }
  tell_them(&h, "invoice.paid", "bolt", 30);
  struct notify_due due = due_at(&h, NULL, 0, 40);
  assert_int_equal(due.count, NOTIFY_AT_ONCE_PER_ENDPOINT + 1);
  assert_string_equal(due.items[due.count - 1].endpoint.ptr, other);
  for (size_t i = 0; i < due.count; i++) {
    snprintf(busy[i].endpoint, ID_TEXT_MAX, "%s", due.items[i].endpoint.ptr);
    snprintf(busy[i].message, ID_TEXT_MAX, "%s", due.items[i].message.ptr);
  }
  assert_int_equal(due_at(&h, busy, due.count, 40).count, 0);
  struct notify_due next = due_at(&h, busy + 1, due.count - 1, 40);
  assert_int_equal(next.count, 1);
  assert_string_equal(next.items[0].endpoint.ptr, slow);
  assert_string_equal(next.items[0].message.ptr, due.items[0].message.ptr);
  close_house(&h);
}

/* ---- outcomes ---- */

static void gone_disables(void **state) {
  (void)state;
  struct house h;
  struct error err = {0};
  open_house(&h);
  const char *id = add_endpoint(&h, "", "");
  tell_them(&h, "invoice.paid", "acme", 0);
  tell_them(&h, "invoice.paid", "acme", 0);
  struct notify_due due = due_at(&h, NULL, 0, 0);
  answer(&h, &due.items[0], 410, 0);
  answer(&h, &due.items[1], 500, 0);
  tell_them(&h, "invoice.paid", "acme", 1);
  assert_int_equal(due_at(&h, NULL, 0, 10000).count, 0);
  assert_false(notify_replay_message(h.db, slice_of(id), due.items[0].message, at_s(2), &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  done(notify_endpoint_enable(h.db, slice_of(id), &err), &err);
  int64_t count;
  done(notify_replay_since(h.db, slice_of(id), at_s(0), at_s(3), &count, &err), &err);
  assert_int_equal(count, 3);
  assert_int_equal(due_at(&h, NULL, 0, 3).count, 3);
  close_house(&h);
}

static void replays_only_what_is_theirs(void **state) {
  (void)state;
  struct house h;
  struct error err = {0};
  char id[ID_TEXT_MAX];
  int64_t count;
  open_house(&h);
  tell_them(&h, "invoice.paid", "acme", 0);
  tell_them(&h, "invoice.paid", "bolt", 1);
  tell_them(&h, "alert.crossed", "acme", 2);
  const char *acme = add_endpoint(&h, "invoice.paid", "acme"), *all = add_endpoint(&h, "", "");
  done(notify_enqueue_test(h.db, slice_of(all), at_s(2), id, &err), &err);
  struct notify_due due = due_at(&h, NULL, 0, 3);
  assert_int_equal(due.count, 1);
  answer(&h, &due.items[0], 204, 3);
  assert_false(notify_replay_message(h.db, slice_of(acme), slice_of(id), at_s(3), &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  done(notify_replay_since(h.db, slice_of(acme), at_s(0), at_s(3), &count, &err), &err);
  assert_int_equal(count, 1);
  done(notify_replay_message(h.db, slice_of(all), slice_of(id), at_s(4), &err), &err);
  assert_int_equal(due_at(&h, NULL, 0, 4).count, 2);
  done(notify_replay_since(h.db, slice_of(all), at_s(1), at_s(5), &count, &err), &err);
  assert_int_equal(count, 3);
  close_house(&h);
}

static void old_secret_signs_for_a_day(void **state) {
  (void)state;
  struct house h;
  struct error err = {0};
  char text[NOTIFY_SECRET_TEXT_MAX];
  open_house(&h);
  const char *id = add_endpoint(&h, "", "");
  tell_them(&h, "invoice.paid", "acme", 0);
  assert_int_equal(due_at(&h, NULL, 0, 0).items[0].old_sealed.len, 0);
  done(notify_endpoint_rotate(h.db, h.vault, slice_of(id), at_s(10), text, &err), &err);
  assert_true(due_at(&h, NULL, 0, 10).items[0].old_sealed.len > 0);
  assert_int_equal(due_at(&h, NULL, 0, 10 + NOTIFY_OLD_SECRET_S).items[0].old_sealed.len, 0);
  struct notify_secret secret, wanted;
  done(notify_unseal(h.vault, due_at(&h, NULL, 0, 10).items[0].sealed, &secret, &err), &err);
  done(notify_secret_parse(slice_of(text), &wanted, &err), &err);
  assert_memory_equal(secret.bytes, wanted.bytes, sizeof secret.bytes);
  done(notify_endpoint_delete(h.db, slice_of(id), &err), &err);
  assert_int_equal(due_at(&h, NULL, 0, 10).count, 0);
  assert_false(notify_endpoint_rotate(h.db, h.vault, slice_of(id), at_s(11), text, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  close_house(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signs_as_published),
      cmocka_unit_test(refuses_other_secrets),
      cmocka_unit_test(seals_with_a_key_beside_the_store),
      cmocka_unit_test(refuses_a_key_that_others_may_read),
      cmocka_unit_test(refuses_urls_it_should_not_call),
      cmocka_unit_test(tells_those_who_asked),
      cmocka_unit_test(waits_longer_and_then_gives_up),
      cmocka_unit_test(one_endpoint_does_not_take_all_places),
      cmocka_unit_test(gone_disables),
      cmocka_unit_test(replays_only_what_is_theirs),
      cmocka_unit_test(old_secret_signs_for_a_day),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
