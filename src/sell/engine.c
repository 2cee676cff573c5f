/* Names of classes and states, as they stand in files and answers. */
#include "sell/engine.h"

const char *engine_class_name(enum engine_class class) {
  static const char *const names[ENGINE_CLASSES] = {"on_demand", "reserved", "priority", "spot"};
  must(class < ENGINE_CLASSES);
  return names[class];
}

const char *engine_state_name(enum engine_state state) {
  static const char *const names[] = {"unknown", "pending", "running", "ended", "preempted", "failed"};
  must(state <= ENGINE_FAILED);
  return names[state];
}
