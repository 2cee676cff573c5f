/* meterhouse sample: writes a believable operator to try things on. */
#include "sample/sample.h"
#include "cli/cli.h"

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct sample_options options = {.out_dir = cli_value(args, "--out"), .period = cli_value(args, "--period")};
  struct sample_result result;
  bool ok = cli_number(args, "--seed", 1, 0, UINT64_MAX, &options.seed, &err) &&
            cli_number(args, "--customers", 40, 1, 100000, &options.customers, &err) &&
            cli_number(args, "--days", 31, 1, 366, &options.days, &err) && sample_write(&options, &result, &err);
  if (!ok) {
    return cli_fail(args, &err);
  }
  printf("events: %llu, of which sent twice: %llu\nperiod: %s\n", (unsigned long long)result.events,
         (unsigned long long)result.repeated, result.period);
  return CLI_EXIT_DONE;
}

const struct cli_command cli_sample = {
    .name = "sample",
    .summary = "write a realistic catalog and usage to try things on",
    .example = "meterhouse sample --out sample --seed 1 --customers 40 --days 31",
    .options = {{"--out", "DIR", "gets catalog/, usage/ and period", true},
                {"--seed", "N", "same seed, same sample (default 1)", false},
                {"--customers", "N", "1 to 100000 (default 40)", false},
                {"--days", "N", "days of usage, 1 to 366 (default 31)", false},
                {"--period", "YYYY-MM", "first month (default: the last one that has ended)", false}},
    .run = run,
};
