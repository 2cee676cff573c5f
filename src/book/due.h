/* Inside book: the calendar of what falls due. */
#ifndef METERHOUSE_BOOK_DUE_H
#define METERHOUSE_BOOK_DUE_H
#include "book/private.h"

/* Customers whose periods begin and end together. */
struct calendar {
  VEC(const struct customer *) customers; /* by id */
  struct period period;                   /* the next that falls due, and when: set by due_after */
  instant moment;
};
struct opening {
  instant at;
  const struct customer *customer;
};
struct due {
  VEC(struct calendar) calendars;
  VEC(struct opening) openings; /* by time */
};
struct due_moment {
  instant at; /* INSTANT_MAX: nothing falls due any more */
  size_t first_opening;
};
/* To be closed also when it fails. */
MUST_USE bool due_open(const struct catalog *catalog, struct due **out, struct error *err);
void due_close(struct due *due);
/* The next moment after `after`: calendars with that `moment`, and openings from `first_opening` on with that time. */
MUST_USE bool due_after(struct due *due, instant after, struct due_moment *out, struct error *err);

/* ---- held.c ---- */
struct held {
  slice customer, period;
};
struct held_list {
  struct arena *arena;
  VEC(struct held) items;
};
MUST_USE bool held_keep(const struct due_writer *writer, const struct rating *const *ratings, size_t count,
                        struct error *err);
/* Those to try again: `all`, or the ones held under another catalog. */
MUST_USE bool held_load(struct book *reader, bool all, struct held_list *out, struct error *err);
MUST_USE bool held_let_go(const struct due_writer *writer, struct held *held, struct error *err);
#endif
