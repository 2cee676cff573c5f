/* Reads the gateway's settings and the models it offers: from which upstreams, at which doors, how long answers may be.
 */
#include "catalog/private.h"

#include <stdlib.h>

#define TOKENS_MAX INT64_C(1000000000)
#define OUTPUT_TOKENS_DEFAULT 4096
#define QUEUE_MAX_MS (INT64_C(600) * 1000)
#define QUEUE_DEFAULT_MS (INT64_C(30) * 1000)
#define WEIGHT_MAX 1000
#define PRIORITY_MAX 100

enum door { DOOR_CHAT, DOOR_COMPLETIONS, DOOR_EMBEDDINGS, DOOR_RESPONSES, DOOR_MESSAGES, DOORS };
static const char *const doors[] = {"chat", "completions", "embeddings", "responses", "messages", NULL};
static const char *const tiers[] = {"default", "flex", "priority", "batch", NULL};

const char *model_tier_name(enum model_tier tier) {
  return tiers[tier];
}

void read_gateway(struct loader *l) {
  static const char *const keys[] = {"event", "queue", NULL};
  const struct yaml *map = setting(l, "gateway");
  struct gateway_settings *out = &l->catalog->gateway;
  *out = (struct gateway_settings){.event_type = SLICE("model.call"), .queue_ms = QUEUE_DEFAULT_MS};
  if (map && is_map_of(l, map, keys)) {
    const struct yaml *event = field(map, "event");
    out->event_type = event ? name_of(l, event) : out->event_type;
    out->queue_ms = duration_ms_of(l, field(map, "queue"), 0, QUEUE_MAX_MS, QUEUE_DEFAULT_MS);
  }
}

/* ---- where a model runs ---- */

static const struct upstream *upstream_named(struct loader *l, const struct yaml *node) {
  slice name = name_of(l, node);
  const struct upstream *found = name.len > 0 ? map_get(&l->upstreams, name) : NULL;
  if (name.len > 0 && !found) {
    problem(l, node, "there is no upstream \"%s\"%s", shown(l, name),
            did_you_mean_any(l, name, upstream_name_at, l->catalog->upstreams, l->catalog->upstream_count));
  }
  return found;
}

/* The name of an upstream, or a map that says more. */
static void read_target(struct loader *l, const struct yaml *node, const struct model *model,
                        struct model_target *out) {
  static const char *const keys[] = {"upstream", "model", "weight", "priority", NULL};
  out->model = model->name;
  out->weight = 1;
  if (node->kind != YAML_MAP) {
    out->upstream = upstream_named(l, node);
    return;
  }
  if (!is_map_of(l, node, keys)) {
    return;
  }
  const struct yaml *theirs = field(node, "model");
  out->upstream = upstream_named(l, needed(l, node, "upstream", "the name of one of \"upstreams\""));
  out->model = theirs ? name_of(l, theirs) : model->name;
  out->weight = whole_of(l, field(node, "weight"), 1, WEIGHT_MAX, 1);
  out->priority = whole_of(l, field(node, "priority"), 0, PRIORITY_MAX, 0);
}

static void check_target_is_new(struct loader *l, const struct yaml *node, const struct model_target *targets,
                                size_t index) {
  const struct model_target *t = &targets[index];
  for (size_t i = 0; i < index && t->upstream; i++) {
    if (targets[i].upstream == t->upstream && slice_eq(targets[i].model, t->model)) {
      problem(l, node, "upstream \"%s\" is in the list already: give it a \"weight\" instead",
              shown(l, t->upstream->name));
      return;
    }
  }
}

static void read_targets(struct loader *l, const struct yaml *map, struct model *out) {
  const struct yaml *one = field(map, "upstream"), *list = field(map, "upstreams");
  if ((one != NULL) == (list != NULL)) {
    problem(l, map, "say where it runs: either \"upstream\" (a name) or \"upstreams\" (a list)");
    return;
  }
  if (list && list->kind == YAML_LIST && list->count == 0) {
    problem(l, list, "is empty: expected one upstream or more");
  }
  size_t count = one ? 1 : list_count(l, list, CATALOG_TARGETS_MAX);
  struct model_target *targets = arena_array(l->arena, count, sizeof *targets);
  const struct yaml *item = one ? one : count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    targets[i].index = (uint32_t)i;
    read_target(l, item, out, &targets[i]);
    check_target_is_new(l, item, targets, i);
  }
  out->targets = targets;
  out->target_count = count;
}

/* ---- what it offers ---- */

/* A bit for each name that is listed. */
static unsigned bits_of(struct loader *l, const struct yaml *node, const char *const *names, unsigned otherwise) {
  if (!node) {
    return otherwise;
  }
  unsigned bits = 0;
  if (node->kind == YAML_LIST && node->count == 0) {
    problem(l, node, "is empty: leave it out for the usual ones");
  }
  size_t count = list_count(l, node, 2 * (size_t)DOORS);
  const struct yaml *item = count ? node->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    int choice = choice_of(l, item, names, -1);
    bits |= choice < 0 ? 0 : 1U << choice;
  }
  return bits;
}

/* Calls at other doors are not turned into Anthropic's. */
static void read_doors(struct loader *l, const struct yaml *map, struct model *out) {
  const unsigned messages = 1U << DOOR_MESSAGES, all = (1U << DOORS) - 1;
  const struct upstream *anthropic = NULL;
  for (size_t i = 0; i < out->target_count && !anthropic; i++) {
    const struct upstream *upstream = out->targets[i].upstream;
    anthropic = upstream && upstream->anthropic ? upstream : NULL;
  }
  out->doors = bits_of(l, field(map, "doors"), doors, anthropic ? messages : all & ~(1U << DOOR_EMBEDDINGS));
  if (anthropic && (out->doors & ~messages) != 0) {
    problem(l, field(map, "doors"), "upstream \"%s\" has shape: anthropic, which answers at the door messages only",
            shown(l, anthropic->name));
  }
}

static void read_lengths(struct loader *l, const struct yaml *map, struct model *out) {
  const struct yaml *longest = field(map, "max_output");
  out->context_tokens = whole_of(l, field(map, "context"), 1, TOKENS_MAX, 0);
  bool short_context = out->context_tokens > 0 && out->context_tokens < OUTPUT_TOKENS_DEFAULT;
  out->output_tokens_max =
      whole_of(l, longest, 1, TOKENS_MAX, short_context ? out->context_tokens : OUTPUT_TOKENS_DEFAULT);
  if (longest && out->context_tokens > 0 && out->output_tokens_max > out->context_tokens) {
    problem(l, longest, "is more than the %lld tokens of \"context\", which holds input and output",
            (long long)out->context_tokens);
  }
}

static void read_model_offer(struct loader *l, const struct yaml *map, struct model *out) {
  static const char *const keys[] = {"name",  "upstream", "upstreams", "context", "max_output",
                                     "doors", "tiers",    "owned_by",  "created", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *owner = field(map, "owned_by");
  instant created = {0};
  out->name = name_of(l, needed(l, map, "name", "calls ask for a model by its name"));
  read_targets(l, map, out);
  read_doors(l, map, out);
  out->tiers = bits_of(l, field(map, "tiers"), tiers, 0) | 1U << TIER_DEFAULT;
  read_lengths(l, map, out);
  out->owned_by = owner ? name_of(l, owner) : l->catalog->seller.party.name;
  instant_of(l, field(map, "created"), l->catalog->time_zone, &created);
  out->created = created.ns / NS_PER_S;
}

static int by_name(const void *a, const void *b) {
  return slice_cmp(((const struct model *)a)->name, ((const struct model *)b)->name);
}

void read_models(struct loader *l) {
  size_t count = section_count(l, "models", CATALOG_MODELS_MAX);
  struct model *models = arena_array(l->arena, count, sizeof *models);
  struct section section = {.key = "models"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    models[i].place = place_of(l, node);
    read_model_offer(l, node, &models[i]);
    must_be_new(l, &seen, models[i].name, node, "model");
  }
  map_free(&seen);
  if (count > 0) {
    qsort(models, count, sizeof *models, by_name);
  }
  for (size_t i = 0; i < count; i++) {
    models[i].index = (uint32_t)i;
  }
  l->catalog->models = models;
  l->catalog->model_count = count;
}
