/* Accounts and their entries. */
#include "api/private.h"
#include <stdlib.h>
#include <string.h>

struct accounts_page {
  struct api_call *call;
  slice after, last;
  size_t limit, written;
  bool more;
};

/* Name and currency together are the account; both are in the cursor. */
static slice account_key(struct arena *arena, const struct account *a) {
  return slice_of(arena_printf(arena, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(a->name), SLICE_ARG(a->currency)));
}

static bool put_account(void *context, const struct account *a, struct error *err) {
  (void)err;
  struct accounts_page *page = context;
  struct json_out *w = &page->call->json;
  slice key = account_key(page->call->arena, a);
  if (slice_cmp(key, page->after) <= 0) {
    return true;
  }
  if (page->written == page->limit) {
    page->more = true;
    return true;
  }
  json_open_object(w);
  json_put_str(w, "name", a->name);
  json_put_str(w, "currency", a->currency);
  json_put_amount(w, "balance", a->balance);
  json_put_amount(w, "held", a->held);
  if (a->has_floor) {
    json_put_amount(w, "floor", a->floor);
  }
  json_put_int(w, "entries", (int64_t)a->entries);
  json_close_object(w);
  page->last = key;
  page->written++;
  return true;
}

bool accounts_apply(struct api_call *call, struct book *book, struct error *err) {
  struct accounts_page page = {.call = call};
  if (!call_page(call, &page.limit, &page.after, err)) {
    return false;
  }
  list_begin(call);
  if (!ledger_accounts(book_ledger(book), http_query(call->http, "prefix"), put_account, &page, err)) {
    return false;
  }
  list_end(call, page.more ? page.last : (slice){0});
  return true;
}

struct entries_page {
  struct api_call *call;
  size_t limit, written;
  uint64_t last;
};

static bool put_entry(void *context, const struct entry *e, struct error *err) {
  (void)err;
  struct entries_page *page = context;
  struct json_out *w = &page->call->json;
  json_open_object(w);
  json_put_int(w, "sequence", (int64_t)e->sequence);
  json_put_str(w, "transfer", e->transfer_id);
  json_put_str(w, "other_account", e->other);
  json_put_amount(w, "amount", e->amount);
  json_put_amount(w, "balance_after", e->balance_after);
  json_put_str(w, "currency", e->currency);
  json_put_str(w, "cause", e->cause);
  json_put_str(w, "reference", e->reference);
  json_put_instant(w, "time", e->time);
  json_close_object(w);
  page->last = e->sequence;
  page->written++;
  return true;
}

bool entries_apply(struct api_call *call, struct book *book, struct error *err) {
  struct entries_page page = {.call = call};
  slice account = http_query(call->http, "account"), currency = http_query(call->http, "currency"), after;
  if (account.len == 0) {
    return error_set(err, ERR_INVALID, "say account=NAME; /api/v1/ledger/accounts lists them");
  }
  if (currency.len == 0) {
    currency = slice_of(book_catalog(book)->currency->code);
  }
  if (!call_page(call, &page.limit, &after, err)) {
    return false;
  }
  uint64_t sequence = after.len ? strtoull(after.ptr, NULL, 10) : 0;
  list_begin(call);
  if (!ledger_entries(book_ledger(book), account, currency, sequence, page.limit, put_entry, &page, err)) {
    return false;
  }
  slice next = page.written == page.limit ? slice_of(arena_printf(call->arena, "%llu", (unsigned long long)page.last))
                                          : (slice){0};
  list_end(call, next);
  return true;
}
