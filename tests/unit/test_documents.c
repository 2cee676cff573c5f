/* Documents: CSV cells and columns, and what a PDF takes for granted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "documents/documents.h"
#include <stdlib.h>
#include <string.h>

static void csv_is(const char *list, const char *expected) {
  struct arena *arena = arena_new();
  struct buf out;
  struct error err = {0};
  slice cursor;
  buf_init(&out, 1u << 20);
  if (!csv_from_list(arena, slice_of(list), &out, &cursor, &err)) {
    fail_msg("%s", err.message);
  }
  buf_addc(&out, '\0');
  assert_string_equal(out.ptr, expected);
  buf_free(&out);
  arena_free(arena);
}

static void quotes_what_needs_it(void **state) {
  (void)state;
  csv_is("{\"data\":[{\"a\":\"x,y\",\"b\":\"say \\\"hi\\\"\",\"c\":\"two\\r\\nlines\",\"d\":\"plain\"}]}",
         "a,b,c,d\r\n\"x,y\",\"say \"\"hi\"\"\",\"two\r\nlines\",plain\r\n");
}

static void guards_formulas_and_leaves_numbers(void **state) {
  (void)state;
  csv_is(
      "{\"data\":[{\"a\":\"=1+1\",\"b\":\"@x\",\"c\":\"-12.50\",\"d\":-3,\"e\":\"-x\",\"f\":\"+5\",\"g\":\"-\",\"h\":"
      "\"\\t=1\",\"i\":\"1=1\"}]}",
      "a,b,c,d,e,f,g,h,i\r\n'=1+1,'@x,-12.50,-3,'-x,'+5,'-,'\t=1,1=1\r\n");
}

static void guards_names_of_columns(void **state) {
  (void)state;
  csv_is("{\"data\":[{\"=cmd\":1}]}", "'=cmd\r\n1\r\n");
}

static void columns_are_those_of_all_rows(void **state) {
  (void)state;
  csv_is("{\"data\":[{\"a\":1},{\"b\":true,\"a\":null},{\"c\":{\"x\":1,\"y\":{\"z\":2}},\"l\":[1,{\"k\":\"v\"}],\"e\":["
         "]}]}",
         "a,b,c.x,c.y.z,l,e\r\n1,,,,,\r\n,true,,,,\r\n,,1,2,\"[1,{\"\"k\"\":\"\"v\"\"}]\",\r\n");
}

static void a_list_without_rows(void **state) {
  (void)state;
  csv_is("{\"data\":[]}", "\r\n");
}

static void only_lists_become_tables(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct buf out;
  slice cursor;
  struct error err = {0};
  buf_init(&out, 1024);
  assert_false(csv_from_list(arena, SLICE("{\"id\":1}"), &out, &cursor, &err));
  assert_int_equal(err.code, ERR_INVALID);
  assert_false(csv_from_list(arena, SLICE("{\"data\":[1]}"), &out, &cursor, &err));
  assert_int_equal(out.len, 0);
  assert_true(csv_from_list(arena, SLICE("{\"data\":[{\"a\":1}],\"next_cursor\":\"QQ\"}"), &out, &cursor, &err));
  assert_true(slice_is(cursor, "QQ"));
  buf_free(&out);
  arena_free(arena);
}

static void has_at_most_1024_columns(void **state) {
  (void)state;
  struct csv_sheet *sheet = csv_sheet_new();
  struct error err = {0};
  char row[64];
  for (int i = 0; i < 1024; i++) {
    snprintf(row, sizeof row, "{\"c%d\":%d}", i, i);
    assert_true(csv_sheet_add(sheet, slice_of(row), &err));
  }
  assert_false(csv_sheet_add(sheet, SLICE("{\"more\":1}"), &err));
  assert_int_equal(err.code, ERR_LIMIT);
  csv_sheet_free(sheet);
}

static void other_json_is_not_a_document(void **state) {
  (void)state;
  struct buf out;
  buf_init(&out, 1u << 20);
  const slice wrong[] = {SLICE("{}"), SLICE("nonsense"), SLICE("{\"schema\":\"meterhouse.invoice.1\"}"),
                         SLICE("{\"schema\":\"meterhouse.invoice.1\",\"currency\":\"EUR\",\"total\":\"x\"}")};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct error err = {0};
    struct focus *focus = focus_new(NULL, 1u << 20);
    assert_false(document_ubl(wrong[i], &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(focus_add(focus, wrong[i], SLICE("paid"), &err));
    assert_int_equal(err.code, ERR_INVALID);
    focus_free(focus);
  }
  struct error err = {0};
  assert_false(document_pdf(wrong[2], SLICE(""), &out, &err));
  assert_non_null(strstr(err.message, "currency"));
  assert_int_equal(out.len, 0);
  buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(quotes_what_needs_it),     cmocka_unit_test(guards_formulas_and_leaves_numbers),
      cmocka_unit_test(guards_names_of_columns),  cmocka_unit_test(columns_are_those_of_all_rows),
      cmocka_unit_test(a_list_without_rows),      cmocka_unit_test(only_lists_become_tables),
      cmocka_unit_test(has_at_most_1024_columns), cmocka_unit_test(other_json_is_not_a_document),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
