/* The names of an engine's classes and states, as configuration, events and pages write them. */
#include "sell/engine.h"

const char *engine_class_name(enum engine_class class) {
  static const char *const names[ENGINE_CLASSES] = {"on_demand", "reserved", "priority", "spot"};
  must(class >= 0 && class < ENGINE_CLASSES);
  return names[class];
}

const char *engine_state_name(enum engine_state state) {
  static const char *const names[] = {"unknown", "pending", "running", "ended", "preempted", "failed"};
  must(state >= 0 && (size_t)state < sizeof names / sizeof *names);
  return names[state];
}
