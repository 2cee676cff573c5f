/* Inside sell: what is there and what is held over time, as changes at moments, in blocks that know what they add up to
 * and how far they go down and up. A change costs one block, a question skips those that can not matter. */
#ifndef METERHOUSE_SELL_LEVELS_H
#define METERHOUSE_SELL_LEVELS_H
#include "base/time.h"

#define LEVELS_BLOCK_MOMENTS 256u

/* In 1e-9 units. Of a moment: by how much each changes there. Sums stay far below the range: CALENDAR_UNITS_MAX. */
struct level {
  int64_t capacity_e9, firm_e9, spot_e9;
};
/* What is left beside all that is held, and beside what is FIRM alone. */
enum level_view { LEFT_BY_ALL, LEFT_BY_FIRM, LEVEL_VIEWS };

struct moment {
  instant at;
  struct level change; /* never all zero */
};
struct moments {
  struct moment *items; /* room for LEVELS_BLOCK_MOMENTS, in order of time */
  size_t count;         /* at least one */
  instant first;        /* items[0].at, again: looked for without leaving the list of blocks */
  struct level sum;
  int64_t least[LEVEL_VIEWS], most[LEVEL_VIEWS]; /* after any of its moments, counted from before the first */
};
struct levels {
  VEC(struct moments) blocks; /* in order of time */
};
void levels_free(struct levels *levels); /* what it holds, not itself; a zeroed one is empty */

/* From `at` on. A change that undoes another at the same moment leaves nothing. */
void levels_change(struct levels *levels, instant at, struct level change);

int64_t level_left(struct level level, enum level_view view);
void level_add(struct level *to, struct level change);
struct level levels_at(const struct levels *levels, instant t);
/* The least over [from, to), which is not empty. */
int64_t levels_least(const struct levels *levels, instant from, instant to, enum level_view view);
/* The first moment of [from, to) with less than `wanted_e9`; `to` when there is none. */
instant levels_until(const struct levels *levels, int64_t wanted_e9, instant from, instant to, enum level_view view);
/* The first moment in [after, until) from which on at least `wanted_e9` are left for `length_ns`, or to INSTANT_MAX
 * when that is sooner. */
bool levels_earliest(const struct levels *levels, int64_t wanted_e9, int64_t length_ns, struct period within,
                     enum level_view view, instant *start);
/* Calls `each` stretch of [from, to) with the level that stands in it, in order. */
typedef void (*levels_stretch)(void *context, struct period stretch, struct level level);
void levels_each(const struct levels *levels, struct period within, levels_stretch each, void *context);

/* For the two files of it: the block that `t` falls into, 0 before the first; there is at least one. */
size_t levels_block_of(const struct levels *levels, instant t);
/* In a block: how many of its moments are before `t`. */
size_t moments_before(const struct moments *block, instant t);
#endif
