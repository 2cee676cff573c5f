/* Parses a command's options by its table, and prints help from the same table. */
#include "base/yaml.h"
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>

#define VERSION "0.1.0"
#define LISTED_MAX 200

static void print_commands(FILE *to, const struct cli_command *const *commands) {
  fprintf(to,
          "meterhouse %s: the till, the meter and the books of a compute utility\n\nusage: meterhouse COMMAND "
          "[OPTIONS]\n\n",
          VERSION);
  for (size_t i = 0; commands[i]; i++) {
    fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
  }
  fprintf(to, "\n`meterhouse COMMAND --help` shows a command's options and an example.\n");
}

static void print_help(const struct cli_command *c) {
  printf("meterhouse %s: %s\n\nusage: meterhouse %s", c->name, c->summary, c->name);
  for (size_t i = 0; c->options[i].name; i++) {
    const struct cli_option *o = &c->options[i];
    printf(o->required ? " %s%s%s" : " [%s%s%s]", o->name, o->value ? " " : "", o->value ? o->value : "");
  }
  printf("%s%s\n\n", c->rest ? " " : "", c->rest ? c->rest : "");
  for (size_t i = 0; c->options[i].name; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s %s", c->options[i].name, c->options[i].value ? c->options[i].value : "");
    printf("  %-26s %s\n", name, c->options[i].help);
  }
  printf("\nexample:\n  %s\n\nexit status: 0 done, 1 failed, 2 misuse\n", c->example);
  if (c->print_more) {
    c->print_more();
  }
}

static int misuse(const struct cli_command *c, const char *what, const char *word) {
  fprintf(stderr, "meterhouse %s: %s%s%s; see `meterhouse %s --help`\n", c->name, what, word ? " " : "",
          word ? word : "", c->name);
  return CLI_EXIT_MISUSE;
}

static int unknown_option(const struct cli_command *c, const char *word) {
  const char *names[CLI_OPTIONS_MAX + 1] = {0};
  for (size_t i = 0; c->options[i].name; i++) {
    names[i] = c->options[i].name;
  }
  const char *near = nearest_name(slice_of(word), names);
  fprintf(stderr, "meterhouse %s: unknown option %s%s%s%s; see `meterhouse %s --help`\n", c->name, word,
          near ? ", did you mean " : "", near ? near : "", near ? "?" : "", c->name);
  return CLI_EXIT_MISUSE;
}

static int option_index(const struct cli_command *c, const char *word, size_t length) {
  for (int i = 0; c->options[i].name; i++) {
    if (strlen(c->options[i].name) == length && memcmp(c->options[i].name, word, length) == 0) {
      return i;
    }
  }
  return -1;
}

/* Takes the option at argv[*at], which may be "--name value" or "--name=value". */
static int take_option(struct cli_args *args, int argc, char **argv, int *at) {
  const struct cli_command *c = args->command;
  const char *word = argv[*at], *equals = strchr(word, '=');
  int index = option_index(c, word, equals ? (size_t)(equals - word) : strlen(word));
  if (index < 0) {
    return unknown_option(c, word);
  }
  if (args->values[index]) {
    return misuse(c, "given twice:", c->options[index].name);
  }
  if (c->options[index].value == NULL) {
    if (equals) {
      return misuse(c, "takes no value:", c->options[index].name);
    }
    args->values[index] = "";
    return CLI_EXIT_DONE;
  }
  if (!equals && *at + 1 >= argc) {
    return misuse(c, "a value is missing after", word);
  }
  args->values[index] = equals ? equals + 1 : argv[++*at];
  return CLI_EXIT_DONE;
}

static int check_args(const struct cli_args *args) {
  const struct cli_command *c = args->command;
  for (size_t i = 0; c->options[i].name; i++) {
    if (c->options[i].required && !args->values[i]) {
      return misuse(c, "missing option", c->options[i].name);
    }
    if (strcmp(c->options[i].name, "--format") == 0 && args->values[i] && strcmp(args->values[i], "text") != 0 &&
        strcmp(args->values[i], "json") != 0) {
      return misuse(c, "--format is text or json, not", args->values[i]);
    }
  }
  if (args->rest_count < c->rest_min) {
    return misuse(c, "missing argument:", c->rest);
  }
  if (args->rest_count > c->rest_max) {
    return misuse(c, "unexpected argument:", args->rest[c->rest_max]);
  }
  return CLI_EXIT_DONE;
}

static int run_command(const struct cli_command *c, int argc, char **argv) {
  struct cli_args args = {.command = c};
  const char **rest = mem_alloc((size_t)argc * sizeof *rest + sizeof *rest);
  args.rest = rest;
  bool only_rest = false;
  int code = CLI_EXIT_DONE;
  for (int i = 2; i < argc && code == CLI_EXIT_DONE; i++) {
    if (!only_rest && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
      print_help(c);
      free(rest);
      return CLI_EXIT_DONE;
    }
    if (!only_rest && strcmp(argv[i], "--") == 0) {
      only_rest = true;
    } else if (!only_rest && argv[i][0] == '-' && argv[i][1] != '\0') {
      code = take_option(&args, argc, argv, &i);
    } else {
      rest[args.rest_count++] = argv[i];
    }
  }
  if (code == CLI_EXIT_DONE) {
    code = check_args(&args);
  }
  if (code == CLI_EXIT_DONE) {
    code = c->run(&args);
  }
  free(rest);
  return code;
}

int cli_main(int argc, char **argv, const struct cli_command *const *commands) {
  if (argc < 2) {
    print_commands(stderr, commands);
    return CLI_EXIT_MISUSE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0) {
    print_commands(stdout, commands);
    return CLI_EXIT_DONE;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("meterhouse %s\n", VERSION);
    return CLI_EXIT_DONE;
  }
  const char *names[64] = {0};
  for (size_t i = 0; commands[i]; i++) {
    if (strcmp(commands[i]->name, argv[1]) == 0) {
      return run_command(commands[i], argc, argv);
    }
    must(i < 63);
    names[i] = commands[i]->name;
  }
  const char *near = nearest_name(slice_of(argv[1]), names);
  fprintf(stderr, "meterhouse: there is no command %s%s%s%s; see `meterhouse --help`\n", argv[1],
          near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
  return CLI_EXIT_MISUSE;
}

const char *cli_value(const struct cli_args *args, const char *name) {
  int index = option_index(args->command, name, strlen(name));
  must(index >= 0);
  return args->values[index];
}

bool cli_flag(const struct cli_args *args, const char *name) {
  return cli_value(args, name) != NULL;
}

bool cli_json(const struct cli_args *args) {
  const char *format = cli_value(args, "--format");
  return format && strcmp(format, "json") == 0;
}

bool cli_number(const struct cli_args *args, const char *name, uint64_t otherwise, uint64_t min, uint64_t max,
                uint64_t *out, struct error *err) {
  const char *text = cli_value(args, name);
  *out = otherwise;
  if (text == NULL) {
    return true;
  }
  char *end;
  *out = strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != '\0' || *out < min || *out > max) {
    return error_set(err, ERR_USAGE, "%s takes a whole number from %llu to %llu, not \"%s\"", name,
                     (unsigned long long)min, (unsigned long long)max, text);
  }
  return true;
}

int cli_fail(const struct cli_args *args, const struct error *err) {
  fprintf(stderr, "meterhouse %s: %s\n", args->command->name, err->message);
  return err->code == ERR_USAGE ? CLI_EXIT_MISUSE : CLI_EXIT_FAILED;
}

void cli_list(void *context, const char *what) {
  struct cli_listing *listing = context;
  if (listing->count++ < LISTED_MAX) {
    fprintf(stderr, "%s\n", what);
  }
}

void cli_list_end(const struct cli_listing *listing) {
  if (listing->count > LISTED_MAX) {
    fprintf(stderr, "... and %llu more\n", (unsigned long long)(listing->count - LISTED_MAX));
  }
}
