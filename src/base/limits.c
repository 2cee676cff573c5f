/* The table of limits as data, for those who show it. */
#include "base/limits.h"

#define LIMIT_ROW(constant, name, value, status, what) {name, constant, status, what},
const struct limit limits[] = {LIMITS(LIMIT_ROW)};
const size_t limit_count = sizeof limits / sizeof *limits;
