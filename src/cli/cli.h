/* The command line: one table of commands, one parser of options, help made from the same table. */
#ifndef METERHOUSE_CLI_CLI_H
#define METERHOUSE_CLI_CLI_H
#include "base/base.h"

#define CLI_OPTIONS_MAX 16
#define CLI_EXIT_DONE 0
#define CLI_EXIT_FAILED 1
#define CLI_EXIT_MISUSE 2

struct cli_option {
  const char *name;  /* "--data" */
  const char *value; /* "DIR"; NULL for a flag */
  const char *help;
  bool required;
};
struct cli_args {
  const struct cli_command *command;
  const char *values[CLI_OPTIONS_MAX]; /* parallel to command->options; flags get "" when given */
  const char *const *rest;             /* what is not an option */
  size_t rest_count;
};
struct cli_command {
  const char *name, *summary;
  const char *rest; /* "FILE..." in the usage line; NULL when nothing may follow */
  size_t rest_min, rest_max;
  const char *example;
  struct cli_option options[CLI_OPTIONS_MAX];
  int (*run)(const struct cli_args *args);
  void (*print_more)(void); /* at the end of the help; may be NULL */
};
/* Value of an option; NULL when it was not given. Asking for one that is not in the table is a must(). */
const char *cli_value(const struct cli_args *args, const char *name);
bool cli_flag(const struct cli_args *args, const char *name);
bool cli_json(const struct cli_args *args); /* --format json */
/* A whole number option between min and max, or `otherwise` when absent. */
MUST_USE bool cli_number(const struct cli_args *args, const char *name, uint64_t otherwise, uint64_t min, uint64_t max,
                         uint64_t *out, struct error *err);
/* "meterhouse import: message" on stderr; the exit code of that error. */
int cli_fail(const struct cli_args *args, const struct error *err);
/* Has `act` done with the book that --data and --catalog name, open for writing; the exit code. */
struct book;
int cli_on_book(const struct cli_args *args, bool (*act)(const struct cli_args *, struct book *, struct error *));
/* Lines to stderr, at most 200 of them and then how many more. `context` is a struct cli_listing. */
struct cli_listing {
  uint64_t count;
};
void cli_list(void *context, const char *what);
void cli_list_end(const struct cli_listing *listing);

int cli_main(int argc, char **argv, const struct cli_command *const *commands);

extern const struct cli_command cli_sample, cli_import, cli_bill, cli_close, cli_explain, cli_verify, cli_check,
    cli_summary, cli_key, cli_serve, cli_void, cli_amend, cli_backfill, cli_clock, cli_credit, cli_payments,
    cli_dunning, cli_credit_note, cli_statement, cli_export, cli_prices;

#define CLI_OPTION_DATA                                                                                                \
  { "--data", "DIR", "the book: its data directory", true }
#define CLI_OPTION_FORMAT                                                                                              \
  { "--format", "text|json", "how to print the result (default text)", false }
#endif
