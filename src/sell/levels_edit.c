/* Levels over time, changed: moments put into blocks and taken out; blocks split when full and joined when sparse. */
#include "sell/levels.h"
#include <stdlib.h>

void levels_free(struct levels *levels) {
  for (size_t i = 0; i < levels->blocks.count; i++) {
    free(levels->blocks.items[i].items);
  }
  vec_free(&levels->blocks);
}

static void add_up(struct moments *block) {
  must(block->count > 0 && block->count <= LEVELS_BLOCK_MOMENTS);
  block->first = block->items[0].at;
  block->sum = (struct level){0};
  for (size_t i = 0; i < block->count; i++) {
    level_add(&block->sum, block->items[i].change);
    for (enum level_view view = 0; view < LEVEL_VIEWS; view++) {
      int64_t left = level_left(block->sum, view);
      block->least[view] = i == 0 || left < block->least[view] ? left : block->least[view];
      block->most[view] = i == 0 || left > block->most[view] ? left : block->most[view];
    }
  }
}

static struct moments *insert_block(struct levels *levels, size_t index) {
  struct moments *block;
  vec_push(&levels->blocks, (struct moments){0});
  block = &levels->blocks.items[index];
  memmove(block + 1, block, (levels->blocks.count - 1 - index) * sizeof *block);
  *block = (struct moments){.items = mem_alloc(LEVELS_BLOCK_MOMENTS * sizeof *block->items)};
  return block;
}

static void remove_block(struct levels *levels, size_t index) {
  struct moments *block = &levels->blocks.items[index];
  free(block->items);
  levels->blocks.count--;
  memmove(block, block + 1, (levels->blocks.count - index) * sizeof *block);
}

/* The upper half becomes a block of its own. */
static void split(struct levels *levels, size_t index) {
  struct moments *upper = insert_block(levels, index + 1), *block = upper - 1;
  size_t kept = block->count / 2;
  upper->count = block->count - kept;
  memcpy(upper->items, block->items + kept, upper->count * sizeof *upper->items);
  block->count = kept;
  add_up(block);
  add_up(upper);
}

/* Room is left for as many again, so that the next change does not split what was just joined. */
static bool join(struct levels *levels, size_t index) {
  if (index + 1 >= levels->blocks.count) {
    return false;
  }
  struct moments *block = &levels->blocks.items[index], *upper = block + 1;
  if (block->count + upper->count > LEVELS_BLOCK_MOMENTS / 2) {
    return false;
  }
  memcpy(block->items + block->count, upper->items, upper->count * sizeof *upper->items);
  block->count += upper->count;
  add_up(block);
  remove_block(levels, index + 1);
  return true;
}

static void insert_moment(struct levels *levels, size_t index, const struct moment *moment) {
  if (levels->blocks.items[index].count == LEVELS_BLOCK_MOMENTS) {
    split(levels, index);
    index = levels_block_of(levels, moment->at);
  }
  struct moments *block = &levels->blocks.items[index];
  struct moment *place = block->items + moments_before(block, moment->at);
  memmove(place + 1, place, (size_t)(block->items + block->count - place) * sizeof *place);
  *place = *moment;
  block->count++;
  add_up(block);
}

static void remove_moment(struct levels *levels, size_t index, struct moment *moment) {
  struct moments *block = &levels->blocks.items[index];
  block->count--;
  memmove(moment, moment + 1, (size_t)(block->items + block->count - moment) * sizeof *moment);
  if (block->count == 0) {
    remove_block(levels, index);
    return;
  }
  add_up(block);
  if (!join(levels, index) && index > 0) {
    (void)join(levels, index - 1);
  }
}

static bool is_nothing(struct level change) {
  return change.capacity_e9 == 0 && change.firm_e9 == 0 && change.spot_e9 == 0;
}

void levels_change(struct levels *levels, instant at, struct level change) {
  if (is_nothing(change)) {
    return;
  }
  const struct moment moment = {at, change};
  if (levels->blocks.count == 0) {
    (void)insert_block(levels, 0);
    insert_moment(levels, 0, &moment);
    return;
  }
  size_t index = levels_block_of(levels, at);
  struct moments *block = &levels->blocks.items[index];
  size_t place = moments_before(block, at);
  if (place == block->count || block->items[place].at.ns != at.ns) {
    insert_moment(levels, index, &moment);
    return;
  }
  level_add(&block->items[place].change, change);
  if (is_nothing(block->items[place].change)) {
    remove_moment(levels, index, &block->items[place]);
  } else {
    add_up(block);
  }
}
