/* Reads how money is collected: the steps of dunning, and the providers that tell of payments. */
#include "catalog/private.h"
#include <stdlib.h>

#define DUNNING_STEPS_MAX 20
#define DUNNING_DAYS_MAX 3650
#define PROVIDERS_MAX 20

static const struct dunning_step usual_steps[] = {{.after_days = 3, .action = DUNNING_REMIND},
                                                  {.after_days = 10, .action = DUNNING_REMIND},
                                                  {.after_days = 21, .action = DUNNING_WARN},
                                                  {.after_days = 30, .action = DUNNING_SUSPEND}};

static void read_step(struct loader *l, const struct yaml *map, struct dunning_step *out) {
  static const char *const keys[] = {"after_days", "do", NULL};
  static const char *const actions[] = {"remind", "warn", "suspend", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  out->place = place_of(l, map);
  out->after_days = integer_of(l, needed(l, map, "after_days", "days after the due date"), 1, DUNNING_DAYS_MAX, 1);
  out->action = (enum dunning_action)choice_of(l, needed(l, map, "do", "remind, warn or suspend"), actions, 0);
}

void read_dunning(struct loader *l) {
  const struct yaml *list = setting(l, "dunning");
  if (list == NULL) {
    l->catalog->dunning = usual_steps;
    l->catalog->dunning_count = sizeof usual_steps / sizeof *usual_steps;
    return;
  }
  size_t count = list_count(l, list, DUNNING_STEPS_MAX);
  struct dunning_step *steps = arena_array(l->arena, count, sizeof *steps);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    read_step(l, item, &steps[i]);
    if (i > 0 && steps[i].after_days <= steps[i - 1].after_days) {
      problem(l, item, "comes %d days after the due date, the step before it %d: write them in order, each day once",
              steps[i].after_days, steps[i - 1].after_days);
    }
  }
  l->catalog->dunning = steps;
  l->catalog->dunning_count = count;
}

/* It is part of a URL. */
static bool provider_name_is_fine(slice name) {
  bool fine = name.len > 0 && name.len <= 40;
  for (size_t i = 0; fine && i < name.len; i++) {
    char c = name.ptr[i];
    fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  }
  return fine;
}

static void read_provider(struct loader *l, const struct yaml *map, struct payment_provider *out) {
  static const char *const keys[] = {"name", "scheme", "secret_env", "secret_file", NULL};
  static const char *const schemes[] = {"standard", "stripe", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *env = field(map, "secret_env"), *file = field(map, "secret_file");
  const struct yaml *name = needed(l, map, "name", "its webhook is /hooks/payments/NAME");
  out->place = place_of(l, map);
  out->name = name_of(l, name);
  if (name && !provider_name_is_fine(out->name)) {
    problem(l, name, "is \"%s\", expected up to 40 of a-z, 0-9, '-' and '_': it is part of a URL", shown(l, out->name));
  }
  out->scheme = (enum provider_scheme)choice_of(l, field(map, "scheme"), schemes, 0);
  out->secret_env = name_of(l, env);
  out->secret_file = file_path_of(l, file);
  if ((env != NULL) == (file != NULL)) {
    problem(l, map, "say where the secret is: either \"secret_env\" (a variable's name) or \"secret_file\" (a path)");
  }
}

void read_payment_providers(struct loader *l) {
  size_t count = section_count(l, "payment_providers", PROVIDERS_MAX);
  struct payment_provider *providers = arena_array(l->arena, count, sizeof *providers);
  struct section section = {.key = "payment_providers"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    read_provider(l, node, &providers[i]);
    must_be_new(l, &seen, providers[i].name, node, "payment provider");
  }
  map_free(&seen);
  l->catalog->payment_providers = providers;
  l->catalog->payment_provider_count = count;
}
