/* Inside meter: a journal block, its layout on disk and its columns in memory. docs/journal.md writes the format down.
 */
#ifndef METERHOUSE_METER_BLOCK_H
#define METERHOUSE_METER_BLOCK_H
#include "meter/meter.h"

#define BLOCK_MAGIC "MHJ2"
/* Little-endian 32-bit words after the magic: crc32c of all that follows it, events, bytes of the columns unpacked and
 * packed, bytes of the ids unpacked and packed, kind of the ids. Then the packed columns, then the packed ids. */
#define BLOCK_HEAD_BYTES 32
#define BLOCK_EVENTS_MAX 65536
#define BLOCK_UNPACKED_BYTES_MAX ((uint32_t)512 << 20)

enum block_ids {
  BLOCK_IDS_FRONT = 0, /* zstd: bytes shared with the id before, length of the rest, the rest */
  BLOCK_IDS_UUID = 1,  /* 16 bytes each, not packed: every id is a UUID in lower-case hex */
};

/* Columns in this order, all integers LEB128 varints:
 *   words    count, then length and bytes of each: every string of the block but the ids, once
 *   forms    count, then of each: type, number of events, number of fields, for each field name x 2 + is-number
 *   receipts count, then of each run of events that came in one commit: events, received (ns)
 *   time     unit (ns), the first, then a column of zigzag differences in that unit (none for a single event)
 *   form, subject, source   each a column
 *   values   form by form, field by field: 1 and a column of whole numbers, or 0 and a column of codes
 * A column (column.h): 0 and varints; 1 and the one number all share; 2, a width, and numbers of that many bits.
 * A string's code is its word. A number's code is, times 4 plus a kind: 0 a whole number, 1 a word, 2 a decimal as
 * digits x 16 + places behind the point. */
enum { CODE_WHOLE = 0, CODE_WORD = 1, CODE_DECIMAL = 2 };
#define CODE_PLACES_MAX 12
#define CODE_DIGITS_MAX 16

/* Events of one type with the same fields. */
struct block_form {
  slice type;
  uint32_t count; /* events of this form */
  size_t field_count;
  const struct event_field *fields; /* names and kinds; no values */
  const uint64_t **codes;           /* codes[field][place among the events of this form] */
};
struct block_receipt {
  uint32_t events;
  instant received;
};
struct block {
  uint32_t count;
  const slice *words;
  uint32_t word_count;
  const struct block_form *forms;
  uint32_t form_count;
  const struct block_receipt *receipts;
  uint32_t receipt_count;
  const int64_t *times_ns;
  const uint32_t *form, *subject, *source; /* numbers of forms and words, an event each */
  const uint32_t *place;                   /* among the events of its form */
  slice packed_ids;
  uint32_t ids_bytes;
  enum block_ids ids_kind;
};
/* Reads the columns, not the ids. Everything is checked before it is believed; ERR_CORRUPT otherwise. */
MUST_USE bool block_open(struct arena *arena, slice bytes, struct block *out, struct error *err);
MUST_USE bool block_ids(struct arena *arena, const struct block *b, slice *ids, struct error *err);
/* Event `i` with all but its id. */
void block_event(struct arena *arena, const struct block *b, uint32_t i, struct event *out);
instant block_received(const struct block *b, uint32_t i);
/* The value of a number's code; ERR_INVALID as quantity_parse gives it. */
MUST_USE bool block_quantity(const struct block *b, uint64_t code, quantity *out, struct error *err);

/* Events from..to-1 of a block whose first event has the number `first`. */
struct block_span {
  uint64_t first;
  uint32_t from, to;
  const struct block *block;
};
/* The block lives in *arena for that call; who wants to keep it takes the arena and leaves another in its place. */
typedef bool (*block_each)(void *context, struct arena **arena, const struct block_span *span, struct error *err);

MUST_USE bool journal_scan_blocks(struct db *db, const struct journal_range *range, block_each each, void *context,
                                  struct error *err);

/* The same with a thread that reads and opens blocks ahead, for one or two workers, each on a thread and with a context
 * of its own; which block comes to which is open. `db` is the reading thread's until it returns. */
#define AHEAD_LANES_MAX 2
MUST_USE bool journal_scan_ahead(struct db *db, const struct journal_range *range, block_each each,
                                 void *const *contexts, size_t lanes, struct error *err);

/* A row of the journal. */
MUST_USE bool block_insert(struct db *db, uint64_t first, const struct event *events, size_t count, instant received,
                           slice bytes, struct error *err);

/* Keeps its memory and its compressor from block to block. */
struct block_encoder;
struct block_encoder *block_encoder_new(void);
void block_encoder_free(struct block_encoder *e);
/* 1..BLOCK_EVENTS_MAX events and the runs they came in. `level` is zstd's. */
MUST_USE bool block_encode_with(struct block_encoder *e, const struct event *events, size_t count,
                                const struct block_receipt *receipts, size_t receipt_count, int level, struct buf *out,
                                struct error *err);
#endif
