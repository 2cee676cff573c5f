/* Events, identity, journal blocks and files of events, each by its promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "meter/meter.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENT(rest)                                                                                                    \
  "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"subject\":\"c\",\"time\":\"2026-10-01T00:"  \
  "00:00.000000001Z\"" rest "}"

static struct arena *arena;

static int new_arena(void **state) {
  (void)state;
  arena = arena_new();
  return 0;
}

static int drop_arena(void **state) {
  (void)state;
  arena_free(arena);
  return 0;
}

static struct event read_event(const char *text) {
  struct event e;
  struct error err = {0};
  if (!event_from_text(arena, slice_of(text), (instant){0}, &e, &err)) {
    fail_msg("%s: %s", text, err.message);
  }
  return e;
}

static void refused(const char *text, const char *why) {
  struct event e;
  struct error err = {0};
  if (event_from_text(arena, slice_of(text), (instant){0}, &e, &err)) {
    fail_msg("accepted: %s", text);
  }
  if (!strstr(err.message, why)) {
    fail_msg("\"%s\" should say \"%s\"", err.message, why);
  }
}

static void events_are_flattened(void **state) {
  (void)state;
  struct event e =
      read_event(EVENT(",\"data\":{\"z\":1.50,\"a\":{\"b\":\"x\",\"c\":true},\"n\":null},\"traceparent\":\"00\""));
  assert_int_equal(e.field_count, 3);
  assert_true(slice_is(event_field_value(&e, SLICE("a.b")), "x"));
  assert_true(slice_is(event_field_value(&e, SLICE("a.c")), "true"));
  assert_true(slice_is(event_field_value(&e, SLICE("z")), "1.50"));
  assert_int_equal(event_field_value(&e, SLICE("n")).len, 0);
  assert_int_equal(e.time.ns % NS_PER_S, 1);
}

static void events_are_refused_with_a_reason(void **state) {
  (void)state;
  refused("{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"subject\":\"c\"}", "specversion");
  refused("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"time\":\"2026-10-01T00:00:00Z\"}",
          "subject");
  refused("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"s\",\"type\":\"t\",\"subject\":\"c\"}",
          "id: is missing or empty");
  refused("{\"specversion\":\"1.0\",\"id\":7,\"source\":\"s\",\"type\":\"t\",\"subject\":\"c\"}",
          "id: should be a string");
  refused(
      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"subject\":\"c\",\"time\":\"yesterday\"}",
      "time");
  refused(EVENT(",\"data\":[1]"), "data: should be an object");
  refused(EVENT(",\"data\":{\"a\":[1]}"), "a list");
  refused(EVENT(",\"data\":{\"a.b\":1,\"a\":{\"b\":2}}"), "twice");
  refused(EVENT(",\"data_base64\":\"AA==\""), "data_base64");
  refused(EVENT(",\"datacontenttype\":\"text/xml\",\"data\":{}"), "datacontenttype");
}

static void content_hash_sees_every_part(void **state) {
  (void)state;
  static const char *const others[] = {
      EVENT(",\"data\":{\"a\":1,\"b\":\"x\"}"),
      EVENT(",\"data\":{\"a\":\"1\",\"b\":\"x\"}"),
      EVENT(",\"data\":{\"a\":1,\"b\":\"y\"}"),
      EVENT(",\"data\":{\"a\":1,\"c\":\"x\"}"),
      EVENT(",\"data\":{\"a\":1}"),
      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"u\",\"subject\":\"c\",\"time\":\"2026-10-"
      "01T00:00:00.000000001Z\",\"data\":{\"a\":1,\"b\":\"x\"}}",
      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"subject\":\"d\",\"time\":\"2026-10-"
      "01T00:00:00.000000001Z\",\"data\":{\"a\":1,\"b\":\"x\"}}",
      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"subject\":\"c\",\"time\":\"2026-10-"
      "01T00:00:00.000000002Z\",\"data\":{\"a\":1,\"b\":\"x\"}}"};
  uint64_t hashes[8];
  for (size_t i = 0; i < 8; i++) {
    struct event e = read_event(others[i]);
    hashes[i] = event_content_hash(&e);
    for (size_t j = 0; j < i; j++) {
      assert_true(hashes[i] != hashes[j]);
    }
  }
  struct event same = read_event(EVENT(",\"data\":{\"b\":\"x\",\"a\":1}"));
  assert_true(event_content_hash(&same) == hashes[0]);
}

static void identity_decides(void **state) {
  (void)state;
  const uint8_t key[16] = {7};
  struct identity *i = identity_new(key);
  char id[32];
  for (int n = 0; n < 10000; n++) {
    snprintf(id, sizeof id, "%d", n);
    assert_int_equal(identity_decide(i, SLICE("s"), slice_of(id), (uint64_t)n), EVENT_ACCEPTED);
  }
  assert_int_equal(identity_decide(i, SLICE("s"), SLICE("5"), 5), EVENT_DUPLICATE);
  assert_int_equal(identity_decide(i, SLICE("s"), SLICE("5"), 6), EVENT_CONFLICT);
  assert_int_equal(identity_decide(i, SLICE("s5"), SLICE(""), 6), EVENT_ACCEPTED);
  assert_int_equal(identity_count(i), 10001);
  identity_free(i);
}

/* ---- blocks ---- */

static void same_event(const struct event *a, const struct event *b) {
  assert_true(slice_eq(a->id, b->id) && slice_eq(a->source, b->source) && slice_eq(a->type, b->type) &&
              slice_eq(a->subject, b->subject));
  assert_int_equal(a->time.ns, b->time.ns);
  assert_int_equal(a->field_count, b->field_count);
  for (size_t f = 0; f < a->field_count; f++) {
    assert_true(slice_eq(a->fields[f].name, b->fields[f].name) && slice_eq(a->fields[f].value, b->fields[f].value));
    assert_int_equal(a->fields[f].number, b->fields[f].number);
  }
}

static slice pick(struct random *r, const char *const *words, size_t count) {
  return slice_of(words[random_below(r, count)]);
}

static struct event random_event(struct random *r, size_t n) {
  static const char *const
      words[] = {"H100", "A100", "", "a longer value with spaces", "\x01\xff", "\"\\"},
      *const numbers[] = {"0",  "1", "42", "007", "1.50", "-3", "1e-6", "999999999999999999", "1234567890123456789",
                          "0.0"};
  struct event_field *fields = arena_array(arena, 4, sizeof *fields);
  size_t count = random_below(r, 4);
  static const char *const names[] = {"a", "b", "c"};
  for (size_t i = 0; i < count; i++) {
    bool number = random_below(r, 2);
    fields[i] = (struct event_field){slice_of(names[i]), number ? pick(r, numbers, 10) : pick(r, words, 6), number};
  }
  return (struct event){.id =
                            slice_of(arena_printf(arena, "id-%zu-%llu", n, (unsigned long long)random_below(r, 1000))),
                        .source = pick(r, words, 2),
                        .type = pick(r, names, 3),
                        .subject = pick(r, names, 3),
                        .time = {(int64_t)random_below(r, (uint64_t)INSTANT_MAX.ns)},
                        .fields = fields,
                        .field_count = count};
}

static void blocks_give_back_what_went_in(void **state) {
  (void)state;
  struct random r;
  random_seed(&r, 5, 0);
  for (int round = 0; round < 40; round++) {
    size_t count = 1 + random_below(&r, 300), back_count;
    struct event *events = arena_array(arena, count, sizeof *events), *back;
    struct error err = {0};
    struct buf block;
    for (size_t i = 0; i < count; i++) {
      events[i] = random_event(&r, i);
    }
    buf_init(&block, 1u << 24);
    assert_true(block_encode(events, count, &block, &err));
    assert_true(block_decode(arena, buf_slice(&block), &back, &back_count, &err));
    assert_int_equal(count, back_count);
    for (size_t i = 0; i < count; i++) {
      same_event(&events[i], &back[i]);
    }
    buf_free(&block);
  }
}

static void every_flipped_bit_is_found(void **state) {
  (void)state;
  struct random r;
  struct error err = {0};
  struct event events[20], *back;
  size_t count;
  struct buf block;
  random_seed(&r, 6, 0);
  for (size_t i = 0; i < 20; i++) {
    events[i] = random_event(&r, i);
  }
  buf_init(&block, 1u << 20);
  assert_true(block_encode(events, 20, &block, &err));
  for (size_t bit = 0; bit < block.len * 8; bit++) {
    block.ptr[bit / 8] ^= (char)(1 << bit % 8);
    assert_false(block_decode(arena, buf_slice(&block), &back, &count, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    block.ptr[bit / 8] ^= (char)(1 << bit % 8);
  }
  for (size_t length = 0; length < block.len; length++) {
    assert_false(block_decode(arena, (slice){block.ptr, length}, &back, &count, &err));
  }
  buf_free(&block);
}

/* Columns that say nothing take next to nothing: their counts are far beyond their bytes. */
static void blocks_of_like_events_come_back(void **state) {
  (void)state;
  enum { LIKE = 8192 };
  struct error err = {0};
  struct event_field field = {SLICE("n"), SLICE("1"), true};
  struct event *events = arena_array(arena, LIKE, sizeof *events), *back;
  size_t count;
  struct buf block;
  for (size_t i = 0; i < LIKE; i++) {
    events[i] = (struct event){.id = slice_of(arena_printf(arena, "%zu", i)),
                               .source = SLICE("s"),
                               .type = SLICE("t"),
                               .subject = SLICE("c"),
                               .time = {NS_PER_S},
                               .fields = &field,
                               .field_count = i < LIKE / 2};
  }
  for (size_t n = LIKE; n > 0; n /= 3) {
    buf_init(&block, 1u << 20);
    assert_true(block_encode(events, n, &block, &err));
    assert_true(block_decode(arena, buf_slice(&block), &back, &count, &err));
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) {
      same_event(&events[i], &back[i]);
    }
    buf_free(&block);
  }
}

/* ---- the journal on a store ---- */

static char dir[] = "/tmp/mh_meter.XXXXXX";

static void count_bad(void *context, const char *what) {
  assert_non_null(strstr(what, "journal block 2"));
  ++*(int *)context;
}

static bool count_event(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  (void)e;
  (void)arrival;
  (void)err;
  ++*(int *)context;
  return true;
}

static void append(struct db *db, struct journal *j, const struct event *events, size_t count, enum verdict *verdicts,
                   bool keep) {
  struct error err = {0};
  assert_true(db_begin(db, &err));
  assert_true(journal_append(j, events, count, verdicts, &err));
  if (keep) {
    assert_true(journal_flush(j, &err) && db_commit(db, &err));
    journal_done(j);
  } else {
    db_rollback(db);
    journal_undo(j);
  }
}

static void journal_keeps_forever_and_names_damage(void **state) {
  (void)state;
  struct db *db = NULL;
  struct journal *j = NULL;
  struct error err = {0};
  struct event events[3] = {read_event(EVENT(",\"data\":{\"v\":1}")), read_event(EVENT(",\"data\":{\"v\":1}")),
                            read_event(EVENT(",\"data\":{\"v\":2}"))};
  enum verdict v[3];
  int bad = 0, seen = 0;
  uint64_t kept;
  char path[64];
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/book.db", dir);
  assert_true(db_open(path, DB_READ_WRITE, &db, &err) &&
              db_migrate(db, journal_migrations, journal_migration_count, &err) &&
              journal_open(db, dir, NULL, &j, &err));
  append(db, j, events, 3, v, false);
  assert_int_equal(journal_count(j), 0);
  append(db, j, events, 3, v, true);
  assert_int_equal(v[0], EVENT_ACCEPTED);
  assert_int_equal(v[1], EVENT_DUPLICATE);
  assert_int_equal(v[2], EVENT_CONFLICT);
  journal_close(j);
  assert_true(journal_open(db, dir, NULL, &j, &err));
  append(db, j, events, 3, v, true);
  assert_int_equal(v[0], EVENT_DUPLICATE);
  assert_int_equal(v[2], EVENT_CONFLICT);
  for (int i = 0; i < 2; i++) {
    events[0].id = slice_of(i ? "3" : "2");
    append(db, j, events, 1, v, true);
    assert_int_equal(v[0], EVENT_ACCEPTED);
  }
  assert_int_equal(journal_count(j), 3);
  assert_true(journal_check(db, count_bad, &bad, &kept, &err));
  assert_int_equal(bad, 0);
  assert_int_equal(kept, 3);
  assert_true(journal_scan(db, &(struct journal_range){.until = 2}, count_event, &seen, &err));
  assert_int_equal(seen, 2);
  journal_close(j);
  assert_true(db_run(
      db, "UPDATE journal SET bytes = CAST(substr(bytes, 1, 20) || 'x' || substr(bytes, 22) AS BLOB) WHERE first = 2",
      DB_NO_VALUES, NULL, &err));
  assert_true(journal_check(db, count_bad, &bad, &kept, &err));
  assert_int_equal(bad, 1);
  assert_int_equal(kept, 2); /* the other blocks are still read */
  assert_false(journal_scan(db, &(struct journal_range){0}, count_event, &seen, &err));
  assert_non_null(strstr(err.message, "journal block 2"));
  db_close(db);
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  assert_int_equal(system(command), 0);
}

/* ---- files ---- */

struct intake {
  int accepted, refused;
  char reasons[2000], ids[2000];
};

static bool take(void *context, const struct event *events, const uint64_t *lines, size_t count, struct error *err) {
  struct intake *in = context;
  (void)lines;
  (void)err;
  for (size_t i = 0; i < count; i++) {
    size_t used = strlen(in->ids);
    snprintf(in->ids + used, sizeof in->ids - used, "%.*s ", (int)events[i].id.len, events[i].id.ptr);
  }
  in->accepted += (int)count;
  return true;
}

static bool bad_line(void *context, const char *file, uint64_t line, const struct error *why) {
  struct intake *in = context;
  size_t used = strlen(in->reasons);
  (void)file;
  snprintf(in->reasons + used, sizeof in->reasons - used, "%llu: %s\n", (unsigned long long)line, why->message);
  in->refused++;
  return true;
}

static bool read_text(const char *text, size_t length, const struct csv_map *map, struct intake *in,
                      struct error *err) {
  char file[] = "/tmp/mh_events.XXXXXX";
  int fd = mkstemp(file);
  assert_true(fd >= 0 && write(fd, text, length) == (ssize_t)length);
  close(fd);
  *in = (struct intake){0};
  struct event_reader_hooks hooks = {take, bad_line, in};
  bool ok = events_read_file(file, map, (instant){0}, &hooks, err);
  unlink(file);
  return ok;
}

static void json_files_keep_their_good_part(void **state) {
  (void)state;
  struct intake in;
  struct error err = {0};
  const char *lines = EVENT("") "\n\nnot json\n" EVENT("") "\n";
  assert_true(read_text(lines, strlen(lines), NULL, &in, &err));
  assert_int_equal(in.accepted, 2);
  assert_int_equal(in.refused, 1);
  assert_non_null(strstr(in.reasons, "3: JSON"));
  const char *array = " [" EVENT("") ",\n{\"a\":\"]},{\\\"\"},\n" EVENT("") "]\n";
  assert_true(read_text(array, strlen(array), NULL, &in, &err));
  assert_int_equal(in.accepted, 2);
  assert_int_equal(in.refused, 1);
  assert_true(read_text("[]", 2, NULL, &in, &err));
  assert_false(read_text(array, strlen(array) - 3, NULL, &in, &err));
  assert_int_equal(in.accepted, 1);
  assert_non_null(strstr(err.message, "cut short"));
}

static const char map_text[] =
    "source: pods\nskip_if_empty: [end]\nevents:\n"
    "  - {type: lease, time: {column: start, format: seconds, origin: 2026-10-01T00:00:00Z}, customer: who, data: "
    "{gpus: {expression: num * milli / 1000}, lease: name}}\n"
    "  - {type: lease, time: {column: end, format: seconds}, customer: who, id: {column: name, suffix: /end}, data: "
    "{gpus: {constant: 0}, lease: name}}\n";

static void csv_maps_rows_to_events(void **state) {
  (void)state;
  struct csv_map *map;
  struct intake whole, half;
  struct error err = {0};
  const char *rows = "name,who,num,milli,start,end\na,c,2,250,10,20\nb,c,1,460,5,\na,c,2,250,10,20\nz,c,1,x,5,9\nshort,"
                     "c\nd,c,1,333,1,2\n";
  assert_true(csv_map_parse("m.yaml", SLICE(map_text), &map, &err));
  assert_true(read_text(rows, strlen(rows), map, &whole, &err));
  assert_int_equal(whole.accepted, 6);
  assert_int_equal(whole.refused, 2);
  assert_non_null(strstr(whole.reasons, "5: column milli"));
  assert_non_null(strstr(whole.reasons, "6: the record has 2 fields, the header has 6"));
  /* Identical records are told apart by how often they came before: half a file gives the same ids. */
  assert_true(read_text(rows, (size_t)(strstr(rows, "z,c") - rows), map, &half, &err));
  assert_int_equal(half.accepted, 4);
  assert_memory_equal(half.ids, whole.ids, strlen(half.ids));
  csv_map_free(map);
}

static void csv_maps_name_wrong_columns(void **state) {
  (void)state;
  struct csv_map *map;
  struct intake in;
  struct error err = {0};
  assert_true(csv_map_parse("m.yaml", SLICE(map_text), &map, &err));
  const char *rows = "nane,who,num,milli,start,end\na,c,2,250,10,20\n";
  assert_false(read_text(rows, strlen(rows), map, &in, &err));
  assert_non_null(strstr(err.message, "there is no column \"name\", did you mean \"nane\"?"));
  csv_map_free(map);
  static const char *const wrong[] = {
      "events: []\n",
      "event: []\n",
      "events: [{type: t}]\n",
      "events: [{type: t, time: a, customer: c, data: {v: {expression: a *}}}]\n",
      "zone: Nowhere/At\nevents: [{type: t, time: a, customer: c, data: {v: b}}]\n",
      "events: [{type: t, time: {column: a, format: weeks}, customer: c, data: {v: b}}]\n"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_false(csv_map_parse("m.yaml", slice_of(wrong[i]), &map, &err));
    assert_non_null(strstr(err.message, "m.yaml:"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(events_are_flattened, new_arena, drop_arena),
      cmocka_unit_test_setup_teardown(events_are_refused_with_a_reason, new_arena, drop_arena),
      cmocka_unit_test_setup_teardown(content_hash_sees_every_part, new_arena, drop_arena),
      cmocka_unit_test(identity_decides),
      cmocka_unit_test_setup_teardown(blocks_give_back_what_went_in, new_arena, drop_arena),
      cmocka_unit_test_setup_teardown(every_flipped_bit_is_found, new_arena, drop_arena),
      cmocka_unit_test_setup_teardown(blocks_of_like_events_come_back, new_arena, drop_arena),
      cmocka_unit_test_setup_teardown(journal_keeps_forever_and_names_damage, new_arena, drop_arena),
      cmocka_unit_test(json_files_keep_their_good_part),
      cmocka_unit_test(csv_maps_rows_to_events),
      cmocka_unit_test(csv_maps_name_wrong_columns),
  };
  return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
