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
  assert_false(document_pdf(wrong[2], NULL, &out, &err));
  assert_non_null(strstr(err.message, "currency"));
  assert_int_equal(out.len, 0);
  buf_free(&out);
}

/* ---- FOCUS: what the acceptance tests can not make happen ---- */

#define INVOICE(type, total, line)                                                                                     \
  "{\"schema\":\"meterhouse.invoice.1\"," type "\"number\":\"N-1\",\"issued\":\"2026-11-01T08:00:00.5Z\","             \
  "\"due\":\"2026-12-01T08:00:00.5Z\",\"from\":\"2026-10-01T00:00:00Z\",\"to\":\"2026-11-01T00:00:00Z\","              \
  "\"currency\":\"EUR\",\"seller\":{\"name\":\"S\"},\"customer\":{\"id\":\"acme\"},\"total\":\"" total                 \
  "\",\"lines\":[" line "]}"
#define HOURS                                                                                                          \
  "{\"number\":1,\"kind\":\"usage\",\"description\":\"H100\",\"meter\":\"gpu\",\"unit\":\"GPU-hour\",\"amount\":\"0."  \
  "33\","                                                                                                              \
  "\"raw_per_unit\":\"3600\",\"trace\":[{\"tier\":0,\"raw\":\"1200\",\"price\":{\"each\":\"1\",\"per\":\"3600\"},"     \
  "\"amount\":\"0.333333333333\"}]}"

static struct focus *focus_of(const char *document, const char *status) {
  struct error err = {0};
  struct focus *focus = focus_new(NULL, 1u << 20);
  if (!focus_add(focus, slice_of(document), slice_of(status), &err)) {
    fail_msg("%s", err.message);
  }
  return focus;
}

static size_t rows(struct focus *focus, enum focus_dataset dataset) {
  slice text = focus_dataset(focus, dataset);
  size_t lines = 0;
  for (size_t i = 0; i < text.len; i++) {
    lines += text.ptr[i] == '\n';
  }
  return lines - 1;
}

static bool says(struct focus *focus, enum focus_dataset dataset, const char *words) {
  slice text = focus_dataset(focus, dataset);
  return memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

static void a_third_of_an_hour_is_rounded_in_a_row_of_its_own(void **state) {
  (void)state;
  struct focus *focus = focus_of(INVOICE("", "0.33", HOURS), "finalized");
  assert_int_equal(rows(focus, FOCUS_COST_AND_USAGE), 2);
  assert_true(says(focus, FOCUS_COST_AND_USAGE, "\n0.333333333,acme,"));
  assert_true(says(focus, FOCUS_COST_AND_USAGE, "\n-0.003333333,acme,"));
  assert_true(says(focus, FOCUS_COST_AND_USAGE, ",Rounding of H100,"));
  assert_true(says(focus, FOCUS_COST_AND_USAGE, ",1,Standard,0.333333333,GPU-Hours,"));
  assert_true(says(focus, FOCUS_INVOICE_DETAIL, "\n0.33,acme,"));
  assert_true(says(focus, FOCUS_INVOICE_DETAIL, ",2026-11-01T08:00:00Z,Issued,S,2026-12-01T08:00:00Z,Net 30 days,"));
  assert_true(says(focus, FOCUS_BILLING_PERIOD, ",Closed,S"));
  focus_free(focus);
}

static void a_void_invoice_costs_nothing(void **state) {
  (void)state;
  struct focus *focus = focus_of(INVOICE("", "0.33", HOURS), "void");
  assert_int_equal(rows(focus, FOCUS_COST_AND_USAGE), 0);
  assert_int_equal(rows(focus, FOCUS_INVOICE_DETAIL), 1);
  assert_true(says(focus, FOCUS_INVOICE_DETAIL, ",Voided,"));
  focus_free(focus);
}

static void a_correction_that_states_positive_amounts_is_negative(void **state) {
  (void)state;
  struct focus *focus =
      focus_of(INVOICE("\"type\":\"credit_note\",\"corrects\":{\"invoice\":\"N-0\"},", "0.33", HOURS), "finalized");
  assert_int_equal(rows(focus, FOCUS_COST_AND_USAGE), 1);
  assert_true(says(focus, FOCUS_COST_AND_USAGE, "\n-0.33,acme,"));
  assert_true(says(focus, FOCUS_COST_AND_USAGE, ",Usage,Correction,"));
  assert_true(says(focus, FOCUS_INVOICE_DETAIL, ",N-0\r\n"));
  focus_free(focus);
}

static void a_dataset_has_its_limit(void **state) {
  (void)state;
  struct error err = {0};
  struct focus *focus = focus_new(NULL, 1200);
  assert_false(focus_add(focus, SLICE(INVOICE("", "0.33", HOURS)), SLICE("paid"), &err));
  assert_int_equal(err.code, ERR_LIMIT);
  focus_free(focus);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(quotes_what_needs_it),
      cmocka_unit_test(guards_formulas_and_leaves_numbers),
      cmocka_unit_test(guards_names_of_columns),
      cmocka_unit_test(columns_are_those_of_all_rows),
      cmocka_unit_test(a_list_without_rows),
      cmocka_unit_test(only_lists_become_tables),
      cmocka_unit_test(has_at_most_1024_columns),
      cmocka_unit_test(other_json_is_not_a_document),
      cmocka_unit_test(a_third_of_an_hour_is_rounded_in_a_row_of_its_own),
      cmocka_unit_test(a_void_invoice_costs_nothing),
      cmocka_unit_test(a_correction_that_states_positive_amounts_is_negative),
      cmocka_unit_test(a_dataset_has_its_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
