/* Fuzzes what Slurm's programs print: rows of the accounting, TRES, times, nodes, accounts. The first byte says which.
 */
#include "sell/slurm_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rows(struct arena *arena, slice text) {
  struct slurm_row *row = NULL;
  size_t count = 0;
  struct error err = {0};
  if (!slurm_parse_rows(arena, text, SLICE("|"), &row, &count, &err)) {
    must(err.code == ERR_CORRUPT && err.message[0] != 0);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    must(row[i].gpus <= SLURM_GPUS_MAX && row[i].suspended_s >= 0 && row[i].submitted.ns >= 0);
    must(slurm_row_lease(&row[i], "root").len <= ENGINE_ID_BYTES_MAX);
    (void)slurm_state(row[i].state);
  }
}

static void nodes(struct arena *arena, slice text) {
  struct slurm_node *node = NULL;
  size_t count = 0;
  struct error err = {0};
  if (!slurm_parse_nodes(arena, text, &node, &count, &err)) {
    must(err.code != ERR_NONE && err.message[0] != 0);
    return;
  }
  for (size_t i = 0; i < count; i++) must(node[i].name.len && node[i].state.len && node[i].port);
}

static void small_texts(struct arena *arena, slice text) {
  uint64_t number = 0;
  int64_t seconds = 0;
  instant at;
  slice type;
  struct error err = {0};
  if (slurm_parse_tres(arena, text, &number, &type)) must(number <= SLURM_GPUS_MAX);
  if (slurm_parse_elapsed(text, &seconds)) must(seconds >= 0);
  if (slurm_instant(text, &at)) must(at.ns >= 0 && at.ns <= INSTANT_MAX.ns);
  if (!slurm_parse_used(text, SLICE("lab"), SLICE("acme"), &number, &err)) must(err.code == ERR_CORRUPT);
  (void)slurm_complaint(text);
}

static void accounts(struct arena *arena, slice text) {
  char account[SLURM_ACCOUNT_BYTES_MAX + 1];
  struct error err = {0};
  if (slurm_account_name("", text, account, &err)) {
    must(slice_eq(slurm_account_customer(arena, "", slice_of(account)), text));
  }
  slice customer = slurm_account_customer(arena, "", text);
  if (customer.len) must(slurm_account_name("", customer, account, &err) && slice_is(text, account));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  struct arena *arena = arena_new();
  slice text = {(const char *)data + 1, size - 1};
  switch (data[0]) {
  case 'n':
    nodes(arena, text);
    break;
  case 't':
    small_texts(arena, text);
    break;
  case 'a':
    accounts(arena, text);
    break;
  default:
    rows(arena, text);
  }
  arena_free(arena);
  return 0;
}
