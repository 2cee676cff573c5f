/* Reads alerts, entitlements and automatic top-ups: what is told of, what may not be passed, what is asked for. */
#include "catalog/private.h"

static const char *const pers[] = {"month", "day", "hour", NULL};

const char *watch_per_name(enum watch_per per) {
  return pers[per];
}

/* ---- alerts ---- */

static void read_percents(struct loader *l, const struct yaml *node, struct alert *out) {
  bool list = node && node->kind == YAML_LIST;
  size_t count = list ? list_count(l, node, CATALOG_PERCENTS_MAX) : 1;
  int *percents = arena_array(l->arena, count + 1, sizeof *percents);
  if (list && node->count == 0) {
    problem(l, node, "is empty: expected percentages such as [50, 80, 100]");
  }
  const struct yaml *item = list && count ? node->child : node;
  for (size_t i = 0; i < count; i++, item = item ? item->next : NULL) {
    percents[i] = integer_of(l, item, 1, CATALOG_PERCENT_MAX, 100);
    if (i > 0 && percents[i] <= percents[i - 1]) {
      problem(l, item, "is %d after %d: write percentages in ascending order, each once", percents[i], percents[i - 1]);
    }
  }
  out->percents = percents;
  out->percent_count = count;
}

static void read_usage_alert(struct loader *l, const struct yaml *map, const struct yaml *meter, struct alert *out) {
  out->meter = meter_named(l, meter);
  out->per = (enum watch_per)choice_of(l, field(map, "per"), pers, WATCH_MONTH);
  quantity_of(l, needed(l, map, "at", "how many units a period"), &out->at);
}

static void read_spend_alert(struct loader *l, const struct yaml *map, const struct yaml *spend, struct alert *out) {
  if (field(map, "at") || field(map, "per")) {
    problem(l, map, "\"spend\" is an amount a month: it goes without \"at\" and \"per\"");
  }
  if (amount_of(l, spend, &out->spend) && amount_is_zero(out->spend)) {
    problem(l, spend, "is 0: expected more, or it would be crossed before anything is spent");
  }
}

static void read_alert(struct loader *l, const struct yaml *map, struct alert *out) {
  static const char *const keys[] = {"name", "meter", "per", "at", "spend", "at_percent", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *meter = field(map, "meter"), *spend = field(map, "spend");
  out->name = name_of(l, needed(l, map, "name", "messages name the alert"));
  if ((meter != NULL) == (spend != NULL)) {
    problem(l, map, "expected either \"meter\" (with \"at\") or \"spend\"");
  } else if (meter) {
    read_usage_alert(l, map, meter, out);
  } else {
    read_spend_alert(l, map, spend, out);
  }
  read_percents(l, field(map, "at_percent"), out);
}

static void read_alerts(struct loader *l, const struct yaml *list, struct watches *out) {
  size_t count = list_count(l, list, CATALOG_WATCHES_MAX);
  struct alert *alerts = arena_array(l->arena, count, sizeof *alerts);
  struct map seen = {0};
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    alerts[i].place = place_of(l, item);
    read_alert(l, item, &alerts[i]);
    must_be_new(l, &seen, alerts[i].name, item, "alert");
  }
  map_free(&seen);
  out->alerts = alerts;
  out->alert_count = count;
}

/* ---- entitlements ---- */

static void read_entitlement(struct loader *l, const struct yaml *map, struct entitlement *out) {
  static const char *const keys[] = {"meter", "limit", "per", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  out->meter = meter_named(l, needed(l, map, "meter", "which usage is limited"));
  out->per = (enum watch_per)choice_of(l, field(map, "per"), pers, WATCH_MONTH);
  quantity_of(l, needed(l, map, "limit", "how many units a period"), &out->limit);
}

static void read_entitlements(struct loader *l, const struct yaml *list, struct watches *out) {
  size_t count = list_count(l, list, CATALOG_WATCHES_MAX);
  struct entitlement *entitlements = arena_array(l->arena, count, sizeof *entitlements);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    struct entitlement *e = &entitlements[i];
    e->place = place_of(l, item);
    read_entitlement(l, item, e);
    for (size_t j = 0; j < i && e->meter; j++) {
      if (entitlements[j].meter == e->meter) {
        problem(l, item, "meter \"%s\" has a limit on line %d already: one a meter", shown(l, e->meter->name),
                entitlements[j].place.line);
        break;
      }
    }
  }
  out->entitlements = entitlements;
  out->entitlement_count = count;
}

/* ---- top-ups ---- */

static bool more_than_zero(struct loader *l, const struct yaml *node, amount *out) {
  if (!amount_of(l, node, out)) {
    return false;
  }
  if (amount_is_zero(*out)) {
    problem(l, node, "is 0: expected more");
  }
  return true;
}

static void read_top_up(struct loader *l, const struct yaml *map, struct top_up_rule *out) {
  static const char *const keys[] = {"below", "amount", "at_most", NULL};
  if (!map || !is_map_of(l, map, keys)) {
    return;
  }
  out->known = true;
  more_than_zero(l, needed(l, map, "below", "how little credit is left when one is asked for"), &out->below);
  more_than_zero(l, needed(l, map, "amount", "how much is paid at a time"), &out->amount);
  out->at_most = integer_of(l, field(map, "at_most"), 1, TOP_UPS_A_MONTH_MAX, TOP_UPS_A_MONTH_DEFAULT);
}

void read_watches(struct loader *l, const struct yaml *map, struct watches *out) {
  read_alerts(l, field(map, "alerts"), out);
  read_entitlements(l, field(map, "entitlements"), out);
  read_top_up(l, field(map, "auto_top_up"), &out->top_up);
}
