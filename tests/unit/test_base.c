/* Slices, arenas, buffers, maps, hashes, ids, files, JSON, YAML and CSV: the ground, each by its promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/yaml.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static void slices_compare_and_trim(void **state) {
  (void)state;
  assert_true(slice_cmp(SLICE("a"), SLICE("ab")) < 0);
  assert_true(slice_cmp(SLICE("b"), SLICE("ab")) > 0);
  assert_int_equal(slice_cmp((slice){0}, (slice){0}), 0);
  assert_true(slice_eq(slice_trim(SLICE(" \t x y \r\n")), SLICE("x y")));
  assert_true(slice_starts(SLICE("mh_1"), "mh_"));
  assert_false(slice_starts(SLICE("m"), "mh_"));
}

static void arena_gives_zeroed_aligned_memory(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  for (int round = 0; round < 3; round++) {
    for (size_t size = 0; size < 300000; size = size * 3 + 7) {
      char *p = arena_alloc(arena, size);
      assert_int_equal((uintptr_t)p % 16, 0);
      for (size_t i = 0; i < size; i++) {
        assert_int_equal(p[i], 0);
      }
      memset(p, 0xff, size);
    }
    arena_reset(arena);
  }
  assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
  arena_free(arena);
}

static void buffers_stop_at_their_limit(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 10);
  buf_add(&b, SLICE("12345678"));
  buf_addf(&b, "%s", "9ab");
  assert_true(b.failed);
  assert_int_equal(b.len, 8);
  buf_free(&b);
}

static void errors_gather_their_place(void **state) {
  (void)state;
  struct error err = {0};
  assert_false(error_set(&err, ERR_INVALID, "bad %d", 3));
  assert_false(error_at(&err, "file:%d", 9));
  assert_string_equal(err.message, "file:9: bad 3");
  assert_string_equal(error_code_name(ERR_REUSED), "idempotency_key_reused");
}

static void map_finds_what_was_put(void **state) {
  (void)state;
  struct map m = {0};
  char keys[5000][16];
  for (uintptr_t i = 0; i < 5000; i++) {
    snprintf(keys[i], sizeof keys[i], "key%lu", (unsigned long)i);
    void **place = map_put(&m, slice_of(keys[i]));
    assert_null(*place);
    *place = (void *)(i + 1);
  }
  for (uintptr_t i = 0; i < 5000; i++) {
    assert_ptr_equal(map_get(&m, slice_of(keys[i])), (void *)(i + 1));
  }
  assert_null(map_get(&m, SLICE("absent")));
  assert_int_equal(m.count, 5000);
  map_free(&m);
}

/* Beside a plain array: a gap that a removal leaves must not hide what was put behind it. */
static void map_loses_what_is_removed_and_nothing_else(void **state) {
  (void)state;
  enum { KEYS = 300 };
  char keys[KEYS][8];
  bool there[KEYS] = {false};
  struct map m = {0};
  struct random rng;
  random_seed(&rng, 5, 0);
  assert_null(map_remove(&m, SLICE("k")));
  for (size_t i = 0; i < KEYS; i++) {
    snprintf(keys[i], sizeof keys[i], "k%zu", i);
  }
  for (int step = 0; step < 20000; step++) {
    size_t i = random_below(&rng, KEYS);
    if (random_below(&rng, 2) == 0) {
      *map_put(&m, slice_of(keys[i])) = (void *)(i + 1);
      there[i] = true;
    } else {
      assert_ptr_equal(map_remove(&m, slice_of(keys[i])), (void *)(there[i] ? i + 1 : 0));
      there[i] = false;
    }
    if (step % 100 == 0) {
      size_t count = 0;
      for (size_t k = 0; k < KEYS; count += there[k], k++) {
        assert_ptr_equal(map_get(&m, slice_of(keys[k])), (void *)(there[k] ? k + 1 : 0));
      }
      assert_int_equal(m.count, count);
    }
  }
  map_free(&m);
}

/* The published check value of CRC-32C, and chaining. */
static void checksums_are_the_published_ones(void **state) {
  (void)state;
  assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
  assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

/* Known answers of Random123's Philox4x32-10. */
static void philox_gives_known_answers(void **state) {
  (void)state;
  const uint32_t zero_key[2] = {0}, zero[4] = {0};
  const uint32_t ones_key[2] = {0xffffffff, 0xffffffff}, ones[4] = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
  const uint32_t pi_key[2] = {0xa4093822, 0x299f31d0}, pi[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
  const uint32_t expected[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                   {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                   {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  uint32_t out[4];
  philox4x32(zero_key, zero, out);
  assert_memory_equal(out, expected[0], sizeof out);
  philox4x32(ones_key, ones, out);
  assert_memory_equal(out, expected[1], sizeof out);
  philox4x32(pi_key, pi, out);
  assert_memory_equal(out, expected[2], sizeof out);
}

static void ids_are_unique_and_in_order(void **state) {
  (void)state;
  char before[ID_TEXT_MAX], now[ID_TEXT_MAX];
  id_new("x", before);
  assert_int_equal(strlen(before), 34);
  for (int i = 0; i < 10000; i++) {
    id_new("x", now);
    assert_true(strcmp(before, now) < 0);
    memcpy(before, now, sizeof before);
  }
}

/* ---- JSON ---- */

static bool parses(const char *text, struct error *err) {
  struct arena *arena = arena_new();
  const struct json *json;
  bool ok = json_parse(arena, slice_of(text), &json, err);
  arena_free(arena);
  return ok;
}

static void json_keeps_numbers_as_text(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  const struct json *json;
  struct error err = {0};
  assert_true(json_parse(arena, SLICE("{\"a\": 1.50, \"b\":12345678901234567890123456789012345678901, \"c\":1e-6 }"),
                         &json, &err));
  assert_true(slice_is(json_text(json, "a"), "1.50"));
  assert_true(slice_is(json_text(json, "b"), "12345678901234567890123456789012345678901"));
  assert_true(slice_is(json_text(json, "c"), "1e-6"));
  arena_free(arena);
}

static void json_refuses_what_is_not(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",           "{",          "[1,]",       "{\"a\":1,\"a\":2}", "{\"a\":01}",
      "{\"a\":+1}", "{\"a\":1.}", "[truex]",    "[nulls]",           "{\"a\":\"\\u0000\"}",
      "[1] [2]",    "{a:1}",      "[\"\xff\"]", "{\"a\":.5}",        "[1 2]",
      "[\"\n\"]",   "[1e]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct error err = {0};
    if (parses(bad[i], &err)) {
      fail_msg("accepted: %s", bad[i]);
    }
    assert_true(err.message[0] != '\0');
  }
}

static void json_refuses_nul_behind_a_number(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct error err = {0};
  const struct json *json;
  assert_false(json_parse(arena, SLICE("{\"a\":1\0,\"b\":2}"), &json, &err));
  assert_int_equal(err.code, ERR_INVALID);
  arena_free(arena);
}

static void json_has_limits(void **state) {
  (void)state;
  struct error err = {0};
  struct buf b;
  buf_init(&b, 1u << 20);
  for (int i = 0; i < JSON_DEPTH_MAX + 2; i++) {
    buf_addc(&b, '[');
  }
  for (int i = 0; i < JSON_DEPTH_MAX + 2; i++) {
    buf_addc(&b, ']');
  }
  buf_addc(&b, '\0');
  assert_false(parses(b.ptr, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  b.len = 0;
  buf_addc(&b, '{');
  for (int i = 0; i < JSON_MEMBERS_MAX + 1; i++) {
    buf_addf(&b, "%s\"k%d\":1", i ? "," : "", i);
  }
  buf_add(&b, (slice){"}", 2});
  assert_false(parses(b.ptr, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  buf_free(&b);
}

static void json_writes_pretty_and_compact_alike(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  const struct json *json, *again;
  struct error err = {0};
  struct buf compact, pretty;
  struct json_out w;
  buf_init(&compact, 4096);
  buf_init(&pretty, 4096);
  assert_true(json_parse(arena,
                         SLICE("{\"a\":[],\"b\":{},\"c\":[1,{\"d\":\"\\\"\\\\\\n\\u0001\"}],\"e\":null,\"f\":false}"),
                         &json, &err));
  json_out_init(&w, &pretty, true);
  json_value(&w, json);
  assert_true(json_parse(arena, buf_slice(&pretty), &again, &err));
  json_out_init(&w, &compact, false);
  json_value(&w, again);
  assert_true(slice_is(buf_slice(&compact),
                       "{\"a\":[],\"b\":{},\"c\":[1,{\"d\":\"\\\"\\\\\\n\\u0001\"}],\"e\":null,\"f\":false}"));
  buf_free(&compact);
  buf_free(&pretty);
  arena_free(arena);
}

/* ---- YAML ---- */

static void yaml_knows_its_places(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  const struct yaml *root;
  struct error err = {0};
  assert_true(yaml_parse(arena, "c.yaml", SLICE("plans:\n  - name: a\n    prices:\n      - {price: 0.55, per: ~}\n"),
                         &root, &err));
  const struct yaml *price = yaml_get(yaml_get(yaml_get(root, "plans")->child, "prices")->child, "price");
  assert_true(slice_is(price->text, "0.55"));
  assert_int_equal(price->line, 4);
  assert_string_equal(yaml_path(arena, price), "plans[0].prices[0].price");
  assert_int_equal(yaml_get(price->parent, "per")->text.len, 0);
  assert_true(yaml_parse(arena, "c.yaml",
                         SLICE("\xef\xbb\xbf"
                               "a: 1\n"),
                         &root, &err)); /* as Windows editors save */
  assert_true(slice_is(yaml_get(root, "a")->text, "1"));
  assert_false(yaml_error(&err, price, "is %s", "odd"));
  assert_string_equal(err.message, "c.yaml:4: plans[0].prices[0].price: is odd");
  static const char *const keys[] = {"price", "pers", NULL};
  assert_false(yaml_only_keys(price->parent, keys, &err));
  assert_non_null(strstr(err.message, "did you mean \"pers\"?"));
  arena_free(arena);
}

static void yaml_refuses_tricks(void **state) {
  (void)state;
  static const char *const bad[] = {"a: 1\na: 2\n", "a: &x 1\nb: *x\n", "a: !!int 1\n", "--- a\n--- b\n",
                                    "a: [1\n",      "? [x]\n: 1\n",     "a:\n\t- b\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct arena *arena = arena_new();
    const struct yaml *root;
    struct error err = {0};
    if (yaml_parse(arena, "f", slice_of(bad[i]), &root, &err)) {
      fail_msg("accepted: %s", bad[i]);
    }
    assert_non_null(strstr(err.message, "f:"));
    arena_free(arena);
  }
}

static void nearest_name_suggests(void **state) {
  (void)state;
  static const char *const names[] = {"price", "prices", "meter", NULL};
  assert_string_equal(nearest_name(SLICE("pirce"), names), "price");
  assert_string_equal(nearest_name(SLICE("meters"), names), "meter");
  assert_null(nearest_name(SLICE("zebra"), names));
}

/* ---- CSV ---- */

static void csv_reads_records(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct csv_record *r = malloc(sizeof *r);
  struct error err = {0};
  slice text = SLICE("\xef\xbb\xbfname,note\r\n\"a, \"\"b\"\"\",\"two\nlines\"\n\nlast,");
  uint64_t line = 0;
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), 1);
  assert_true(slice_is(r->field[0], "name"));
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), 1);
  assert_true(slice_is(r->field[0], "a, \"b\""));
  assert_true(slice_is(r->field[1], "two\nlines"));
  assert_int_equal(r->line, 2);
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), 1);
  assert_true(slice_is(r->field[0], "last"));
  assert_int_equal(r->count, 2);
  assert_int_equal(r->line, 5);
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), 0);
  free(r);
  arena_free(arena);
}

static void csv_goes_on_after_a_bad_record(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct csv_record *r = malloc(sizeof *r);
  struct error err = {0};
  slice text = {"a,\"b\"c\nx\0y,1\nok,2\n", 19};
  uint64_t line = 0;
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), -1);
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), -1);
  assert_non_null(strstr(err.message, "NUL"));
  assert_int_equal(csv_next(&text, true, ',', &line, arena, r, &err), 1);
  assert_true(slice_is(r->field[0], "ok"));
  assert_int_equal(r->line, 3);
  free(r);
  arena_free(arena);
}

/* ---- files ---- */

static char folder[] = "/tmp/mh_base.XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state) {
  char command[64];
  (void)state;
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

static const char *in_folder(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void file_lines_skip_what_is_too_long(void **state) {
  (void)state;
  struct error err = {0};
  FILE *f = fopen(in_folder("lines"), "w");
  fputs("one\r\n", f);
  for (int i = 0; i < 3000000; i++) {
    fputc('x', f);
  }
  fputs("\nthree", f);
  fclose(f);
  struct file_reader *r = file_open(in_folder("lines"), &err);
  slice line;
  uint64_t number;
  assert_int_equal(file_line(r, 1000, &line, &number, &err), 1);
  assert_true(slice_is(line, "one"));
  assert_int_equal(file_line(r, 1000, &line, &number, &err), -1);
  assert_int_equal(err.code, ERR_LIMIT);
  assert_int_equal(number, 2);
  assert_int_equal(file_line(r, 1000, &line, &number, &err), 1);
  assert_true(slice_is(line, "three"));
  assert_int_equal(file_line(r, 1000, &line, &number, &err), 0);
  file_close(r);
}

static void write_gzip(const char *path, const char *mode, const char *text) {
  gzFile gz = gzopen(path, mode);
  gzputs(gz, text);
  gzclose(gz);
}

static void file_opens_gzip_of_several_members(void **state) {
  (void)state;
  struct error err = {0};
  slice line;
  uint64_t number;
  write_gzip(in_folder("two.gz"), "wb", "first\nsec");
  write_gzip(in_folder("two.gz"), "ab", "ond\nthird\n");
  struct file_reader *r = file_open(in_folder("two.gz"), &err);
  static const char *const expected[] = {"first", "second", "third"};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(file_line(r, 100, &line, &number, &err), 1);
    assert_true(slice_is(line, expected[i]));
  }
  assert_int_equal(file_line(r, 100, &line, &number, &err), 0);
  file_close(r);
}

static void file_gives_the_good_part_of_damaged_gzip(void **state) {
  (void)state;
  struct error err = {0};
  struct buf text;
  slice line;
  uint64_t number, lines = 0;
  int got;
  buf_init(&text, 1u << 24);
  for (int i = 0; i < 100000; i++) {
    buf_addf(&text, "line %d %d\n", i, i * 7919);
  }
  buf_addc(&text, '\0');
  write_gzip(in_folder("cut.gz"), "wb", text.ptr);
  buf_free(&text);
  assert_int_equal(truncate(in_folder("cut.gz"), 200000), 0);
  struct file_reader *r = file_open(in_folder("cut.gz"), &err);
  while ((got = file_line(r, 100, &line, &number, &err)) > 0) {
    lines++;
  }
  assert_int_equal(got, -1);
  assert_non_null(strstr(err.message, "cut short"));
  assert_true(lines > 1000);
  file_close(r);
}

static void file_replaces_as_a_whole(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct error err = {0};
  slice back;
  assert_true(file_write(in_folder("whole"), SLICE("one"), &err));
  assert_true(file_write(in_folder("whole"), SLICE("two"), &err));
  assert_true(file_read(arena, in_folder("whole"), 10, &back, &err));
  assert_true(slice_is(back, "two"));
  assert_false(file_read(arena, in_folder("whole"), 2, &back, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  assert_false(file_read(arena, in_folder("absent"), 10, &back, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  arena_free(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slices_compare_and_trim),
      cmocka_unit_test(arena_gives_zeroed_aligned_memory),
      cmocka_unit_test(buffers_stop_at_their_limit),
      cmocka_unit_test(errors_gather_their_place),
      cmocka_unit_test(map_finds_what_was_put),
      cmocka_unit_test(map_loses_what_is_removed_and_nothing_else),
      cmocka_unit_test(checksums_are_the_published_ones),
      cmocka_unit_test(philox_gives_known_answers),
      cmocka_unit_test(ids_are_unique_and_in_order),
      cmocka_unit_test(json_keeps_numbers_as_text),
      cmocka_unit_test(json_refuses_what_is_not),
      cmocka_unit_test(json_refuses_nul_behind_a_number),
      cmocka_unit_test(json_has_limits),
      cmocka_unit_test(json_writes_pretty_and_compact_alike),
      cmocka_unit_test(yaml_knows_its_places),
      cmocka_unit_test(yaml_refuses_tricks),
      cmocka_unit_test(nearest_name_suggests),
      cmocka_unit_test(csv_reads_records),
      cmocka_unit_test(csv_goes_on_after_a_bad_record),
      cmocka_unit_test(file_lines_skip_what_is_too_long),
      cmocka_unit_test(file_opens_gzip_of_several_members),
      cmocka_unit_test(file_gives_the_good_part_of_damaged_gzip),
      cmocka_unit_test(file_replaces_as_a_whole),
  };
  return cmocka_run_group_tests_name("base", tests, make_folder, drop_folder);
}
