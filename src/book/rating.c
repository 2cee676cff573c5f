/* From events to ratings: windows for every customer, one pass over the events, then the pure engine; the same for a
 * book and for bare files. */
#include "base/hash.h"
#include "book/private.h"
#include <stdlib.h>

void rating_set_free(struct rating_set *set) {
  if (set->usage) {
    usage_free(set->usage);
  }
  arena_free(set->arena);
  *set = (struct rating_set){0};
}

const struct rating *rating_set_all(const struct rating_set *set, size_t *count) {
  struct rating *all = arena_array(set->arena, set->opening_count + set->rating_count, sizeof *all);
  for (size_t i = 0; i < set->opening_count; i++) {
    all[i] = set->openings[i];
  }
  for (size_t i = 0; i < set->rating_count; i++) {
    all[set->opening_count + i] = set->ratings[i];
  }
  *count = set->opening_count + set->rating_count;
  return all;
}

const struct rating *rating_set_find(const struct rating_set *set, slice customer) {
  size_t low = 0, high = set->rating_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(set->ratings[middle].customer->id, customer);
    if (order == 0) {
      return &set->ratings[middle];
    }
    low = order < 0 ? middle + 1 : low;
    high = order < 0 ? high : middle;
  }
  return NULL;
}

struct windows {
  const struct customer *const *customers; /* by id */
  size_t count;
  struct period *periods; /* each customer's own, by its time zone */
  instant end;            /* the latest of their ends */
};

/* The customers asked for: some, one with those it pays for, or all. */
static bool pick_customers(struct rating_set *set, const struct catalog *catalog, const struct rate_request *request,
                           struct windows *w, struct error *err) {
  if (request->some) {
    w->customers = request->some;
    w->count = request->some_count;
    return true;
  }
  const struct customer *one = request->customer.len > 0 ? catalog_customer(catalog, request->customer) : NULL;
  const struct customer **all = arena_array(set->arena, catalog->customer_count, sizeof *all);
  w->count = 0;
  for (size_t i = 0; i < catalog->customer_count && (one || request->customer.len == 0); i++) {
    const struct customer *c = &catalog->customers[i];
    if (one == NULL || c == one || c->payer == one) {
      all[w->count++] = c;
    }
  }
  w->customers = all;
  return one || request->customer.len == 0 ||
         error_set(err, ERR_NOT_FOUND, "customer \"" SLICE_FMT "\" is not in the catalog",
                   SLICE_ARG(request->customer));
}

static bool open_window(struct rating_set *set, const struct catalog *catalog, const struct customer *customer,
                        struct period period, struct error *err) {
  const struct segment *segments;
  size_t segment_count;
  if (!rate_segments(set->arena, catalog, customer, period, &segments, &segment_count, err)) {
    return false;
  }
  size_t cuts_max = rate_cuts_max(catalog, segments, segment_count);
  instant *cuts = arena_array(set->arena, cuts_max, sizeof *cuts);
  size_t cut_count = rate_cuts(catalog, segments, segment_count, cuts, cuts_max);
  usage_window(set->usage, customer->id, period, cuts, cut_count);
  return true;
}

static bool open_windows(struct rating_set *set, const struct catalog *catalog, const struct rate_request *request,
                         struct windows *w, struct error *err) {
  *set = (struct rating_set){.arena = arena_new(), .usage = usage_new(catalog), .as_of = request->as_of};
  *w = (struct windows){0};
  usage_until(set->usage, request->as_of);
  if (request->no_evidence) {
    usage_without_evidence(set->usage);
  }
  if (!pick_customers(set, catalog, request, w, err)) {
    return false;
  }
  const struct customer **kept = arena_array(set->arena, w->count, sizeof *kept);
  size_t count = 0;
  w->periods = arena_array(set->arena, w->count, sizeof *w->periods);
  for (size_t i = 0; i < w->count; i++) {
    bool none;
    kept[count] = w->customers[i];
    if (!billing_period_named(kept[count], request->period, &w->periods[count], &none, err) ||
        (!none && !open_window(set, catalog, kept[count], w->periods[count], err))) {
      return false;
    }
    if (!none && w->periods[count].to.ns > w->end.ns) {
      w->end = w->periods[count].to;
    }
    count += !none;
  }
  w->customers = kept;
  w->count = count;
  return true;
}

/* What contracts and phases that begin in the period charge in advance. */
static bool rate_openings(struct rating_set *set, const struct catalog *catalog, const struct windows *w,
                          struct error *err) {
  VEC(struct rating) list = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < w->count; i++) {
    for (size_t k = 0; ok && k < w->customers[i]->contract_count; k++) {
      const struct contract *part = &w->customers[i]->contracts[k];
      struct rating opening = {0};
      bool within = part->from.ns >= w->periods[i].from.ns && part->from.ns < w->periods[i].to.ns, opens = false;
      ok = !within || (rate_opens(w->customers[i], part, &opens, err) &&
                       (!opens || rate_opening(set->arena, catalog, w->customers[i], part->from, &opening, err)));
      if (ok && opening.charge_count + opening.commitment_count > 0) {
        vec_push(&list, opening);
      }
    }
  }
  struct rating *openings = arena_array(set->arena, list.count, sizeof *openings);
  for (size_t i = 0; i < list.count; i++) {
    openings[i] = list.items[i];
  }
  set->openings = openings;
  set->opening_count = list.count;
  vec_free(&list);
  return ok;
}

/* Rows and customers are both in order of customer id: one walk pairs them. */
static bool rate_all(struct rating_set *set, const struct catalog *catalog, const struct windows *w,
                     struct error *err) {
  if (!usage_finish(set->usage, &set->rows, &set->row_count, err)) {
    return false;
  }
  set->ratings = arena_array(set->arena, w->count, sizeof *set->ratings);
  size_t row = 0;
  for (size_t i = 0; i < w->count; i++) {
    slice id = w->customers[i]->id;
    while (row < set->row_count && slice_cmp(set->rows[row].customer, id) < 0) {
      row++;
    }
    size_t first = row;
    while (row < set->row_count && slice_eq(set->rows[row].customer, id)) {
      row++;
    }
    struct rating *rating = &set->ratings[set->rating_count];
    if (!rate_customer(set->arena, catalog, w->customers[i], w->periods[i], set->rows + first, row - first, rating,
                       err)) {
      return error_at(err, "customer " SLICE_FMT, SLICE_ARG(id));
    }
    if (rating->charge_count > 0 || rating->unpriced_count > 0 || rating->coverage_count > 0 ||
        rating->commitment_count > 0) {
      set->rating_count++;
    }
  }
  return rate_openings(set, catalog, w, err);
}

bool rate_at(struct book *book, const struct rate_request *request, struct rating_set *out, struct error *err) {
  struct windows w;
  const struct catalog *catalog = request->catalog ? request->catalog : book->catalog;
  /* Aggregates are kept for the meters of the catalog in use. */
  bool from_events = request->from_events || catalog != book->catalog;
  bool ok = open_windows(out, catalog, request, &w, err);
  out->journal_position = book_place(book, request->position);
  if (ok && request->position == 0 && !request->no_events) {
    ok = journal_last(book->db, &out->journal_position, err);
  }
  /* An empty journal has no position to read up to. */
  ok = ok && (out->journal_position == 0 ||
              (from_events ? usage_from_events : usage_load)(out->usage, book->db, out->journal_position, err));
  ok = ok && rate_all(out, catalog, &w, err);
  if (!ok) {
    rating_set_free(out);
  }
  return ok;
}

static bool rate_and_adjust(struct book *book, const struct rate_request *request, struct rating_set *out,
                            struct error *err) {
  if (!rate_at(book, request, out, err)) {
    return false;
  }
  if (!adjust(book, request, out, err) || !rating_set_consolidate(out, book->catalog, book->db, err)) {
    rating_set_free(out);
    return false;
  }
  return true;
}

bool book_rate(struct book *book, slice customer, slice period, struct rating_set *out, struct error *err) {
  const struct rate_request request = {.customer = customer, .period = period, .as_of = clock_now()};
  return rate_and_adjust(book, &request, out, err);
}

bool rate_due(struct book *book, const struct customer *const *some, size_t count, slice period, struct rating_set *out,
              struct error *err) {
  const struct rate_request request = {.some = some, .some_count = count, .period = period, .as_of = clock_now()};
  return rate_and_adjust(book, &request, out, err);
}

bool book_rerate(struct book *book, slice period, struct rating_set *out, struct error *err) {
  const struct rate_request request = {
      .period = period, .as_of = clock_now(), .no_evidence = true, .from_events = true};
  return rate_at(book, &request, out, err);
}

bool book_rate_some(struct book *book, const struct customer *const *customers, size_t count, slice period,
                    uint64_t position, struct rating_set *out, struct error *err) {
  const struct rate_request request = {.some = customers,
                                       .some_count = count,
                                       .period = period,
                                       .position = position,
                                       .as_of = clock_now(),
                                       .no_evidence = true};
  return rate_at(book, &request, out, err);
}

/* An empty book has no position to read up to. */
static bool load_as_of(struct book *book, struct rating_set *set, instant as_of, struct error *err) {
  if (as_of.ns == 0) {
    return usage_load(set->usage, book->db, 0, err);
  }
  return journal_position_at(book->db, as_of, &set->journal_position, err) &&
         (set->journal_position == 0 || usage_load(set->usage, book->db, set->journal_position, err));
}

bool book_usage(struct book *book, slice customer, struct period period, instant as_of, struct rating_set *out,
                struct error *err) {
  *out = (struct rating_set){.arena = arena_new(), .usage = usage_new(book->catalog)};
  out->as_of = as_of.ns ? as_of : clock_now();
  usage_until(out->usage, out->as_of);
  usage_without_evidence(out->usage);
  usage_window(out->usage, customer, period, NULL, 0);
  bool ok = load_as_of(book, out, as_of, err) && usage_finish(out->usage, &out->rows, &out->row_count, err);
  if (!ok) {
    rating_set_free(out);
  }
  return ok;
}

/* ---- files alone ---- */

struct file_intake {
  const struct catalog *catalog;
  struct identity *identity;
  struct usage *usage;
  const char *file;
  void (*bad)(void *context, const char *what);
  void *context;
  struct rate_source_stats *stats;
};

static void refuse(struct file_intake *intake, const char *file, uint64_t line, const char *why) {
  char text[1024];
  snprintf(text, sizeof text, "%s:%llu: %s", file, (unsigned long long)line, why);
  intake->bad(intake->context, text);
}

static bool take_one(struct file_intake *intake, const struct event *e, uint64_t line, struct error *err) {
  struct error why = {0};
  if (!event_check(e, intake->catalog, &why)) {
    intake->stats->invalid++;
    refuse(intake, intake->file, line, why.message);
    return true;
  }
  switch (identity_decide(intake->identity, e->source, e->id, event_content_hash(e))) {
  case EVENT_DUPLICATE:
    intake->stats->duplicates++;
    return true;
  case EVENT_ACCEPTED:
    intake->stats->events++;
    return usage_add(intake->usage, e, err);
  case EVENT_CONFLICT:
  case EVENT_INVALID:
    break;
  }
  intake->stats->conflicts++;
  char text[700];
  snprintf(text, sizeof text, "conflict: source \"" SLICE_FMT "\", id \"" SLICE_FMT "\" came before with other content",
           SLICE_ARG(e->source), SLICE_ARG(e->id));
  refuse(intake, intake->file, line, text);
  return true;
}

static bool take_events(void *context, const struct event *events, const uint64_t *lines, size_t count,
                        struct error *err) {
  for (size_t i = 0; i < count; i++) {
    if (!take_one(context, &events[i], lines[i], err)) {
      return false;
    }
  }
  return true;
}

static bool take_bad(void *context, const char *file, uint64_t line, const struct error *why) {
  struct file_intake *intake = context;
  intake->stats->invalid++;
  refuse(intake, file, line, why->message);
  return true;
}

bool files_rate(const struct catalog *catalog, const struct rate_source *source, slice customer, slice period,
                void (*bad)(void *context, const char *what), void *context, struct rating_set *out,
                struct rate_source_stats *stats, struct error *err) {
  static const uint8_t fixed_key[16] = {0}; /* nobody else's ids are in this table: there is no one to protect */
  struct windows w;
  *stats = (struct rate_source_stats){0};
  const struct rate_request request = {.customer = customer, .period = period, .as_of = source->as_of};
  bool ok = open_windows(out, catalog, &request, &w, err);
  struct file_intake intake = {catalog, identity_new(fixed_key), out->usage, NULL, bad, context, stats};
  for (size_t i = 0; ok && i < source->file_count; i++) {
    intake.file = source->files[i];
    struct event_reader_hooks hooks = {take_events, take_bad, &intake};
    ok = events_read_file(source->files[i], source->map, (instant){0}, &hooks, err);
  }
  identity_free(intake.identity);
  ok = ok && rate_all(out, catalog, &w, err);
  if (!ok) {
    rating_set_free(out);
  }
  return ok;
}

/* An opening rests on no event. */
static const char NO_EVIDENCE[65] = "";

/* That of several customers is the digest over each one's. */
static void evidence_of(const struct rating_set *set, const struct rating *rating, uint64_t *events, char digest[65]) {
  struct buf all;
  usage_evidence(set->usage, rating->customer->id, events, digest);
  if (rating->member_count == 0) {
    return;
  }
  buf_init(&all, (size_t)1 << 26);
  buf_addf(&all, "%s\n", digest);
  for (size_t i = 0; i < rating->member_count; i++) {
    uint64_t more;
    usage_evidence(set->usage, rating->members[i]->id, &more, digest);
    buf_addf(&all, SLICE_FMT " %s\n", SLICE_ARG(rating->members[i]->id), digest);
    *events += more;
  }
  digest_hex(digest_of(buf_slice(&all)), digest);
  buf_free(&all);
}

bool rating_set_invoice(struct rating_set *set, const struct catalog *catalog, const struct rating *rating,
                        const struct invoice_purse *purse, struct invoice *out, struct error *err) {
  uint64_t events;
  char digest[65];
  if (rating->opening) {
    return invoice_build(set->arena, catalog, rating, purse, 0, NO_EVIDENCE, out, err);
  }
  evidence_of(set, rating, &events, digest);
  if (!invoice_build(set->arena, catalog, rating, purse, events, digest, out, err)) {
    return false;
  }
  out->as_of = set->as_of;
  return true;
}
