/* meterhouse: the program. Names the commands; everything else is theirs. */
#include "cli/cli.h"
#include "sell/local.h"
#include <string.h>

int main(int argc, char **argv) {
  static const struct cli_command *const commands[] = {
      &cli_serve,  &cli_clock,       &cli_sample,   &cli_import,  &cli_bill,      &cli_close,  &cli_explain,
      &cli_verify, &cli_check,       &cli_summary,  &cli_key,     &cli_void,      &cli_amend,  &cli_backfill,
      &cli_credit, &cli_credit_note, &cli_payments, &cli_dunning, &cli_statement, &cli_export, &cli_prices,
      NULL};
  if (argc == 3 && strcmp(argv[1], LOCAL_SUPERVISE) == 0) {
    return local_supervise(argv[2]); /* the local engine calls us so, and nobody else */
  }
  return cli_main(argc, argv, commands);
}
