/* Credit notes: made for an invoice, by lines, by an amount or in full; or only looked at. */
#include "api/private.h"
#include "base/file.h"
#include <string.h>

#define NOTE_LINES_MAX 10000

struct wanted {
  struct note_request request;
  bool preview;
};

static bool take_line(const struct json *one, struct note_line_request *out, struct error *err) {
  quantity number;
  slice amount_words = json_text(one, "amount"), quantity_words = json_text(one, "quantity");
  if (!quantity_parse(json_text(one, "line"), &number, err) || number.e9 <= 0 || number.e9 % QUANTITY_E9 != 0 ||
      number.e9 / QUANTITY_E9 > UINT32_MAX) {
    return error_set(err, ERR_INVALID, "line: expected the number of a line on the invoice");
  }
  *out = (struct note_line_request){.line = (uint32_t)(number.e9 / QUANTITY_E9)};
  if (amount_words.len > 0 && quantity_words.len > 0) {
    return error_set(err, ERR_INVALID, "say amount or quantity, not both");
  }
  out->by = amount_words.len > 0 ? NOTE_AMOUNT : quantity_words.len > 0 ? NOTE_QUANTITY : NOTE_REST;
  return (amount_words.len == 0 || amount_parse(amount_words, &out->amount, err) || error_at(err, "amount")) &&
         (quantity_words.len == 0 || quantity_parse(quantity_words, &out->quantity, err) || error_at(err, "quantity"));
}

static bool take_lines(struct arena *arena, const struct json *body, struct note_request *r, struct error *err) {
  const struct json *list = json_get(body, "lines");
  if (list == NULL) {
    return true;
  }
  if (list->kind != JSON_ARRAY || list->count == 0 || list->count > NOTE_LINES_MAX) {
    return error_set(err, ERR_INVALID, "lines: a list of 1 to %d, each with \"line\"", NOTE_LINES_MAX);
  }
  struct note_line_request *lines = arena_array(arena, list->count, sizeof *lines);
  for (const struct json *one = list->child; one; one = one->next, r->line_count++) {
    if (!take_line(one, &lines[r->line_count], err)) {
      return error_at(err, "lines[%zu]", r->line_count);
    }
  }
  r->lines = lines;
  return true;
}

static bool take_flag(const struct json *body, const char *key, bool *out, struct error *err) {
  const struct json *flag = json_get(body, key);
  *out = flag && flag->boolean;
  return flag == NULL || flag->kind == JSON_BOOL || error_set(err, ERR_INVALID, "%s: expected true or false", key);
}

bool note_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct wanted *want = arena_alloc(call->arena, sizeof *want);
  call->state = want;
  if (!call_body(call, &body, err)) {
    return false;
  }
  slice to = json_text(body, "to"), amount_words = json_text(body, "amount");
  struct note_request *r = &want->request;
  *r = (struct note_request){.id = json_text(body, "id"),
                             .reason = json_text(body, "reason"),
                             .by_amount = amount_words.len > 0,
                             .to_credit = slice_is(to, "credit")};
  if (to.len > 0 && !r->to_credit) {
    return error_set(err, ERR_INVALID, "to: expected \"credit\", or nothing: then it stays on the account");
  }
  return take_flag(body, "full", &r->full, err) && take_flag(body, "preview", &want->preview, err) &&
         (!r->by_amount || amount_parse(amount_words, &r->amount, err) || error_at(err, "amount")) &&
         take_lines(call->arena, body, r, err);
}

static bool put_document(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct api_call *call = context;
  document_print(i->document, &call->out);
  return true;
}

bool note_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct wanted *want = call->state;
  struct note_request r = want->request;
  struct note_result note;
  r.invoice = http_param(call->http, "invoice");
  if (want->preview) {
    return note_preview(call->arena, book_db(book), &r, &call->out, err);
  }
  if (!book_credit_note(book, call->arena, &r, &note, err)) {
    return false;
  }
  struct invoice_query query = {.id = note.id, .limit = 1, .with_document = true};
  call->status = note.repeated ? 200 : 201;
  return invoice_list(book_db(book), &query, put_document, call, err);
}
