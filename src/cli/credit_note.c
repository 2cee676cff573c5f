/* meterhouse credit-note: credits an invoice, or a part of it. */
#include "base/hash.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>

#define NOTE_LINES_MAX 1000

/* "3" or "3:10.00" */
static bool take_line(slice text, struct note_line_request *out, struct error *err) {
  const char *colon = memchr(text.ptr, ':', text.len);
  slice number = {text.ptr, colon ? (size_t)(colon - text.ptr) : text.len};
  quantity q;
  if (!quantity_parse(number, &q, err) || q.e9 <= 0 || q.e9 % QUANTITY_E9 != 0 || q.e9 / QUANTITY_E9 > UINT32_MAX) {
    return error_set(err, ERR_USAGE, "--lines: \"" SLICE_FMT "\": expected LINE or LINE:AMOUNT", SLICE_ARG(text));
  }
  *out = (struct note_line_request){.line = (uint32_t)(q.e9 / QUANTITY_E9), .by = colon ? NOTE_AMOUNT : NOTE_REST};
  return colon == NULL || amount_parse((slice){colon + 1, text.len - number.len - 1}, &out->amount, err) ||
         error_at(err, "--lines");
}

static bool take_lines(struct arena *arena, const char *text, struct note_request *out, struct error *err) {
  struct note_line_request *lines = arena_array(arena, NOTE_LINES_MAX, sizeof *lines);
  while (text && *text) {
    size_t length = strcspn(text, ",");
    if (out->line_count == NOTE_LINES_MAX) {
      return error_set(err, ERR_USAGE, "--lines: at most %d lines", NOTE_LINES_MAX);
    }
    if (!take_line(slice_trim((slice){text, length}), &lines[out->line_count++], err)) {
      return false;
    }
    text += length + (text[length] == ',');
  }
  out->lines = lines;
  return true;
}

static bool take_request(const struct cli_args *args, struct arena *arena, struct note_request *out,
                         struct error *err) {
  const char *id = cli_value(args, "--id"), *amount_words = cli_value(args, "--amount");
  char made[ID_TEXT_MAX];
  *out = (struct note_request){.id = arena_copy(arena, slice_of(id ? id : id_new("note", made))),
                               .invoice = slice_of(args->rest[0]),
                               .reason = slice_of(cli_value(args, "--reason")),
                               .full = cli_flag(args, "--full"),
                               .by_amount = amount_words != NULL,
                               .to_credit = cli_flag(args, "--to-credit")};
  return (amount_words == NULL || amount_parse(slice_of(amount_words), &out->amount, err) ||
          error_at(err, "--amount")) &&
         take_lines(arena, cli_value(args, "--lines"), out, err);
}

static bool preview(struct book *book, struct arena *arena, const struct note_request *request, struct error *err) {
  struct buf document;
  buf_init(&document, DOCUMENT_BYTES_MAX);
  bool ok = note_preview(arena, book_db(book), request, &document, err);
  if (ok) {
    printf(SLICE_FMT "\n", SLICE_ARG(buf_slice(&document)));
  }
  buf_free(&document);
  return ok;
}

static bool create(struct book *book, struct arena *arena, const struct note_request *request, struct error *err) {
  struct note_result note;
  if (!book_begin(book, err)) {
    return false;
  }
  if (!book_credit_note(book, arena, request, &note, err)) {
    book_undo(book);
    return false;
  }
  if (!book_commit(book, err)) {
    return false;
  }
  printf(SLICE_FMT "%s\n", SLICE_ARG(note.number), note.repeated ? "  was made before: nothing was changed" : "");
  return true;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct arena *arena = arena_new();
  struct note_request request;
  bool ok = take_request(args, arena, &request, &err) &&
            book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            (cli_flag(args, "--preview") ? preview : create)(book, arena, &request, &err);
  book_close(book);
  arena_free(arena);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_credit_note = {
    .name = "credit-note",
    .summary = "credit an invoice, in full or in part",
    .rest = "INVOICE",
    .rest_min = 1,
    .rest_max = 1,
    .example = "meterhouse credit-note --data book NW-2026-000001 --lines 2,3:10.00 --reason \"Outage of 3 October\"",
    .options = {CLI_OPTION_DATA,
                {"--reason", "TEXT", "why; it stands on the credit note", true},
                {"--full", NULL, "all that is left of the invoice", false},
                {"--amount", "AMOUNT", "this much, tax and all, over all lines in proportion", false},
                {"--lines", "LINES", "these lines, separated by commas: N all that is left, N:AMOUNT before tax",
                 false},
                {"--to-credit", NULL, "what was paid too much becomes prepaid credit", false},
                {"--id", "ID", "yours: the same again changes nothing", false},
                {"--preview", NULL, "print the document and change nothing", false},
                {"--catalog", "DIR", "the catalog; remembered by the book", false}},
    .run = run,
};
