/* Levels over time, asked: at a moment, the least of a stretch, the first stretch with enough. */
#include "sell/levels.h"

int64_t level_left(struct level level, enum level_view view) {
  return level.capacity_e9 - level.firm_e9 - (view == LEFT_BY_ALL ? level.spot_e9 : 0);
}

void level_add(struct level *to, struct level change) {
  to->capacity_e9 += change.capacity_e9;
  to->firm_e9 += change.firm_e9;
  to->spot_e9 += change.spot_e9;
}

size_t levels_block_of(const struct levels *levels, instant t) {
  size_t low = 0, high = levels->blocks.count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (levels->blocks.items[middle].first.ns <= t.ns) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

size_t moments_before(const struct moments *block, instant t) {
  size_t low = 0, high = block->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (block->items[middle].at.ns < t.ns) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Where one stands among the moments, and the level there. */
struct place {
  size_t block, index; /* of the next moment */
  struct level level;
};

/* Behind all moments up to and at `t`. */
static struct place place_at(const struct levels *levels, instant t) {
  struct place p = {0};
  if (levels->blocks.count == 0) {
    return p;
  }
  p.block = levels_block_of(levels, t);
  for (size_t i = 0; i < p.block; i++) {
    level_add(&p.level, levels->blocks.items[i].sum);
  }
  const struct moments *block = &levels->blocks.items[p.block];
  for (; p.index < block->count && block->items[p.index].at.ns <= t.ns; p.index++) {
    level_add(&p.level, block->items[p.index].change);
  }
  return p;
}

struct level levels_at(const struct levels *levels, instant t) {
  return place_at(levels, t).level;
}

/* Is the whole of the block that one stands before earlier than `t`? */
static bool is_whole(const struct levels *levels, const struct place *p, instant t) {
  const struct moments *block = &levels->blocks.items[p->block];
  return p->index == 0 && block->items[block->count - 1].at.ns < t.ns;
}

int64_t levels_least(const struct levels *levels, instant from, instant to, enum level_view view) {
  struct place p = place_at(levels, from);
  int64_t left = level_left(p.level, view), least = left;
  for (; p.block < levels->blocks.count; p.block++, p.index = 0) {
    const struct moments *block = &levels->blocks.items[p.block];
    if (is_whole(levels, &p, to)) {
      least = left + block->least[view] < least ? left + block->least[view] : least;
      left += level_left(block->sum, view);
      continue;
    }
    for (; p.index < block->count; p.index++) {
      if (block->items[p.index].at.ns >= to.ns) {
        return least;
      }
      left += level_left(block->items[p.index].change, view);
      least = left < least ? left : least;
    }
  }
  return least;
}

instant levels_until(const struct levels *levels, int64_t wanted_e9, instant from, instant to, enum level_view view) {
  struct place p = place_at(levels, from);
  int64_t left = level_left(p.level, view);
  if (left < wanted_e9) {
    return from;
  }
  for (; p.block < levels->blocks.count; p.block++, p.index = 0) {
    const struct moments *block = &levels->blocks.items[p.block];
    if (p.index == 0 && left + block->least[view] >= wanted_e9) {
      left += level_left(block->sum, view);
      continue;
    }
    for (; p.index < block->count; p.index++) {
      const struct moment *next = &block->items[p.index];
      left += level_left(next->change, view);
      if (left < wanted_e9 || next->at.ns >= to.ns) {
        return time_earlier(next->at, to);
      }
    }
  }
  return to;
}

/* A search for a stretch with enough: one is open since `begin`, or none. */
struct search {
  int64_t wanted_e9, length_ns, left_e9;
  instant until, begin;
  bool open;
};

/* What is known when nothing changes before `t`: the stretch is long enough, or it is too late for any other. */
static bool is_decided(const struct search *s, instant t) {
  return s->open ? t.ns - s->begin.ns >= s->length_ns : t.ns >= s->until.ns;
}

static void pass(struct search *s, instant t, int64_t change_e9) {
  s->left_e9 += change_e9;
  bool enough = s->left_e9 >= s->wanted_e9;
  if (enough && !s->open) {
    s->begin = t;
  }
  s->open = enough;
}

/* Nothing opens or closes in such a block. */
static bool is_dull(const struct search *s, const struct moments *block, enum level_view view) {
  return s->open ? s->left_e9 + block->least[view] >= s->wanted_e9 : s->left_e9 + block->most[view] < s->wanted_e9;
}

bool levels_earliest(const struct levels *levels, int64_t wanted_e9, int64_t length_ns, struct period within,
                     enum level_view view, instant *start) {
  struct place p = place_at(levels, within.from);
  struct search s = {.wanted_e9 = wanted_e9, .length_ns = length_ns, .until = within.to, .begin = within.from};
  bool decided = false;
  pass(&s, within.from, level_left(p.level, view));
  for (; p.block < levels->blocks.count && !decided; p.block++, p.index = 0) {
    const struct moments *block = &levels->blocks.items[p.block];
    if (p.index == 0 && is_dull(&s, block, view)) {
      s.left_e9 += level_left(block->sum, view);
      decided = is_decided(&s, block->items[block->count - 1].at);
      continue;
    }
    for (; p.index < block->count; p.index++) {
      decided = is_decided(&s, block->items[p.index].at);
      if (decided) {
        break;
      }
      pass(&s, block->items[p.index].at, level_left(block->items[p.index].change, view));
    }
  }
  if (s.open) {
    *start = s.begin;
  }
  return s.open;
}

void levels_each(const struct levels *levels, struct period within, levels_stretch each, void *context) {
  struct place p = place_at(levels, within.from);
  for (; p.block < levels->blocks.count; p.block++, p.index = 0) {
    const struct moments *block = &levels->blocks.items[p.block];
    for (; p.index < block->count; p.index++) {
      const struct moment *next = &block->items[p.index];
      if (next->at.ns >= within.to.ns) {
        break;
      }
      each(context, (struct period){within.from, next->at}, p.level);
      within.from = next->at;
      level_add(&p.level, next->change);
    }
    if (p.index < block->count) {
      break;
    }
  }
  if (within.from.ns < within.to.ns) {
    each(context, within, p.level);
  }
}
