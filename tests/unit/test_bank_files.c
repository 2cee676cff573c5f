/* Bank files: what is taken from CSV and from camt.053, what is passed over, what is refused, and under which ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/collect.h"
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                                           \
  "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><Stmt><Acct><Id><IBAN>NL1</"      \
  "IBAN></Id></Acct>"
#define TAIL "</Stmt></BkToCstmrStmt></Document>"

struct seen {
  struct buf out; /* a line for each entry */
};

static bool payment(void *context, uint64_t line, const struct payment_request *r, struct error *err) {
  struct seen *s = context;
  char value[DECIMAL_TEXT_MAX], when[TIME_TEXT_MAX];
  (void)err;
  buf_addf(&s->out, "%llu %s " SLICE_FMT " [" SLICE_FMT "] by " SLICE_FMT " on %s as " SLICE_FMT "\n",
           (unsigned long long)line, amount_text(r->amount, value), SLICE_ARG(r->currency), SLICE_ARG(r->text),
           SLICE_ARG(r->payer), time_format(r->received, when), SLICE_ARG(r->key));
  return true;
}

static void refused(void *context, uint64_t line, const struct error *why) {
  struct seen *s = context;
  buf_addf(&s->out, "%llu refused: %s\n", (unsigned long long)line, why->message);
}

static void passed_over(void *context, uint64_t line, const char *why) {
  struct seen *s = context;
  buf_addf(&s->out, "%llu passed over: %s\n", (unsigned long long)line, why);
}

static bool parse(const char *text, struct seen *s, struct error *err) {
  const struct bank_hooks hooks = {payment, refused, passed_over, s};
  *err = (struct error){0};
  buf_init(&s->out, 1u << 20);
  return bank_file_parse("f", slice_of(text), "Europe/Amsterdam", &hooks, err);
}

static void gives(const char *text, const char *expected) {
  struct seen s;
  struct error err;
  if (!parse(text, &s, &err)) {
    fail_msg("%s", err.message);
  }
  buf_addc(&s.out, '\0');
  assert_string_equal(s.out.ptr, expected);
  buf_free(&s.out);
}

static void says(const char *text, const char *words) {
  struct seen s;
  struct error err;
  bool ok = parse(text, &s, &err);
  buf_addf(&s.out, "%s", err.message);
  buf_addc(&s.out, '\0');
  if (strstr(s.out.ptr, words) == NULL) {
    fail_msg("\"%s\" is not in: %s", words, s.out.ptr);
  }
  assert_true(ok == (err.code == ERR_NONE));
  buf_free(&s.out);
}

static void columns_are_found_by_name(void **state) {
  (void)state;
  gives("\xef\xbb\xbfreference,ID,extra,Currency,DATE,amount\r\n\"T-1, T-2\",k1,x,EUR,2026-11-02,1234.5\r\n",
        "2 1234.5 EUR [T-1, T-2] by  on 2026-11-01T23:00:00Z as k1\n");
  gives("date\tamount\tcurrency\treference\tpayer\tid\n2026-07-02 10:00:00\t0.01\tJPY\t\tB\tk\n",
        "2 0.01 JPY [] by B on 2026-07-02T08:00:00Z as k\n");
  gives("date;amount;currency;reference;id\n2026-11-02;1,5;EUR;a;k\n2026-11-02;-1,5;EUR;a;l\n",
        "2 1.5 EUR [a] by  on 2026-11-01T23:00:00Z as k\n3 passed over: it is no incoming payment\n");
}

static void bad_records_are_named_and_the_rest_goes_on(void **state) {
  (void)state;
  gives("date,amount,currency,reference,id\n2026-02-30,1,EUR,a,k\n2026-02-03,1,EUR,b,l\n",
        "2 refused: date: 2026-02 has no day 30\n3 1 EUR [b] by  on 2026-02-02T23:00:00Z as l\n");
  says("date,amount,currency,reference\n2026-02-03,1 000,EUR,b\n", "2 refused: amount");
  says("date,amount,currency,reference\n2026-02-03,1\n", "2 refused: the record has 2 fields, the header has 4");
  says("date,amount,currency,reference,date\n", "twice");
  says("date,amount,reference\n", "f:1: the header has no column \"currency\"");
  says("", "a header was expected");
}

/* Equal entries are two payments; the same file, or a longer one, gives them the same ids again. */
static void entries_without_an_id_get_one_of_their_content(void **state) {
  (void)state;
  static const char half[] = "date,amount,currency,reference\n2026-02-03,1,EUR,b\n",
                    whole[] = "date,amount,currency,reference\n2026-02-03,1,EUR,b\n2026-02-03,1.00,EUR,b\n2026-02-03,"
                              "1,EUR,c\n";
  struct seen a, b;
  struct error err;
  assert_true(parse(half, &a, &err) && parse(whole, &b, &err));
  assert_memory_equal(a.out.ptr, b.out.ptr, a.out.len);
  buf_addc(&b.out, '\0');
  const char *first = strstr(b.out.ptr, " as "), *second = strstr(first + 1, " as "),
             *third = strstr(second + 1, " as ");
  assert_memory_equal(first, second, 4 + 32);
  assert_memory_equal(second + 4 + 32, "-1\n", 3);
  assert_memory_not_equal(first, third, 4 + 32);
  buf_free(&a.out);
  buf_free(&b.out);
}

#define ENTRY(amount, way, status, rest)                                                                               \
  "<Ntry><Amt Ccy=\"EUR\">" amount "</Amt><CdtDbtInd>" way "</CdtDbtInd><Sts>" status                                  \
  "</Sts><BookgDt><Dt>2026-11-04</Dt></BookgDt>" rest "</Ntry>"

static void only_booked_credits_are_payments(void **state) {
  (void)state;
  gives(HEAD ENTRY("1.00", "CRDT", "BOOK", "<AcctSvcrRef>R</AcctSvcrRef>") ENTRY("2", "DBIT", "BOOK", "")
            ENTRY("3", "CRDT", "PDNG", "") ENTRY("4", "CRDT", "BOOK", "<RvslInd>true</RvslInd>") TAIL,
        "1 1 EUR [] by  on 2026-11-03T23:00:00Z as NL1/R\n1 passed over: it is a debit\n"
        "1 passed over: it is not booked\n1 passed over: it is a reversal\n");
}

#define TX(amount, rest) "<TxDtls><Amt Ccy=\"EUR\">" amount "</Amt>" rest "</TxDtls>"

static void a_batch_is_as_many_payments_when_it_adds_up(void **state) {
  (void)state;
  gives(HEAD ENTRY("3", "CRDT", "BOOK",
                   "<AcctSvcrRef>R</AcctSvcrRef><NtryDtls>" TX("1", "<RmtInf><Ustrd>a\n b</Ustrd></RmtInf>")
                       TX("2", "<Refs><AcctSvcrRef>S</AcctSvcrRef><EndToEndId>e</EndToEndId></Refs>") "</NtryDtls>")
            TAIL,
        "1 1 EUR [a b] by  on 2026-11-03T23:00:00Z as NL1/R/1\n2 2 EUR [e] by  on 2026-11-03T23:00:00Z as NL1/S\n");
  /* One euro of costs is missing: the entry is what came in. */
  gives(HEAD ENTRY("2", "CRDT", "BOOK",
                   "<AcctSvcrRef>R</AcctSvcrRef><NtryDtls>" TX("1", "<RmtInf><Ustrd>a</Ustrd></RmtInf>")
                       TX("2", "<RmtInf><Ustrd>b</Ustrd></RmtInf>") "</NtryDtls>") TAIL,
        "1 2 EUR [a b] by  on 2026-11-03T23:00:00Z as NL1/R\n");
}

static void hostile_xml_is_refused(void **state) {
  (void)state;
  says("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>", "document type declaration");
  says("<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/a.dtd\"><a/>", "document type declaration");
  says("<Document>", "f:1: not well-formed XML");
  says("<Document/>", "this is not camt.053");
  says("<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"/>", "<BkToCstmrStmt> is missing");
  says("<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><Stmt/></BkToCstmrStmt>"
       "</Document>",
       "Acct/Id is missing");
  says(HEAD "<Ntry><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts></Ntry>" TAIL, "refused: Amt is missing");
  says(HEAD ENTRY("1e999", "CRDT", "BOOK", "") TAIL, "refused: Amt");
}

static void too_deep_and_too_long_are_refused(void **state) {
  (void)state;
  struct buf text;
  buf_init(&text, 1u << 20);
  for (int i = 0; i < 300; i++) {
    buf_addf(&text, "<a>");
  }
  buf_addc(&text, '\0');
  says(text.ptr, "not well-formed XML");
  buf_free(&text);
  buf_init(&text, 1u << 20);
  buf_addf(&text, "%s",
           HEAD "<Ntry><Amt Ccy=\"EUR\">1</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-"
                "11-04</Dt></BookgDt><NtryDtls><TxDtls><RmtInf><Ustrd>");
  for (int i = 0; i < PAYMENT_TEXT_BYTES_MAX + 1; i++) {
    buf_addc(&text, 'x');
  }
  buf_addf(&text, "%s", "</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>" TAIL);
  buf_addc(&text, '\0');
  says(text.ptr, "remittance information has more than 2000 bytes");
  buf_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(columns_are_found_by_name),
      cmocka_unit_test(bad_records_are_named_and_the_rest_goes_on),
      cmocka_unit_test(entries_without_an_id_get_one_of_their_content),
      cmocka_unit_test(only_booked_credits_are_payments),
      cmocka_unit_test(a_batch_is_as_many_payments_when_it_adds_up),
      cmocka_unit_test(hostile_xml_is_refused),
      cmocka_unit_test(too_deep_and_too_long_are_refused),
  };
  return cmocka_run_group_tests_name("bank files", tests, NULL, NULL);
}
