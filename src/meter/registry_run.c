/* A sealed run of identities: sorted fingerprints in checksummed pages on disk, a blocked Bloom filter in memory. */
#include "base/file.h"
#include "base/hash.h"
#include "meter/registry.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_MAGIC "MHI1"
#define RUN_HEAD_BYTES 64
#define ENTRY_BYTES 10
#define PAGE_ENTRIES 512 /* on average */
#define FILTER_BITS_PER_EVENT 15
#define FILTER_BLOCK_BITS 512
#define FILTER_BLOCK_WORDS 8
#define FILTER_PROBES 6
#define WRITE_BYTES ((size_t)1 << 20)

/* Every word little-endian, as all machines this is built for have them. */
struct run_head {
  char magic[4];
  uint32_t check; /* crc32c of the rest of the head, the filter and the pages' table */
  uint64_t key_check, first, last, last_print;
  uint32_t count, page_count, filter_blocks;
  uint8_t unused[12];
};
_Static_assert(sizeof(struct run_head) == RUN_HEAD_BYTES, "the head of a run has no holes");

static uint32_t page_of(uint32_t page_count, uint64_t print) {
  return (uint32_t)((unsigned __int128)print * page_count >> PRINT_BITS);
}

/* ---- the filter ---- */

static size_t block_of(uint32_t blocks, uint64_t print) {
  return (size_t)((print >> (PRINT_BITS - 32)) * blocks >> 32) * FILTER_BLOCK_WORDS;
}

static uint64_t probes_of(uint64_t print) {
  uint64_t h = print * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 31;
}

static void filter_add(uint64_t *filter, uint32_t blocks, uint64_t print) {
  uint64_t *block = filter + block_of(blocks, print), h = probes_of(print);
  for (int i = 0; i < FILTER_PROBES; i++, h >>= 9) {
    block[h >> 6 & 7] |= UINT64_C(1) << (h & 63);
  }
}

void run_prefetch(const struct run *run, uint64_t print) {
  __builtin_prefetch(run->filter + block_of(run->filter_blocks, print >> (64 - PRINT_BITS)));
}

bool run_maybe(const struct run *run, uint64_t full_print) {
  uint64_t print = full_print >> (64 - PRINT_BITS), h = probes_of(print);
  const uint64_t *block = run->filter + block_of(run->filter_blocks, print);
  for (int i = 0; i < FILTER_PROBES; i++, h >>= 9) {
    if (!(block[h >> 6 & 7] >> (h & 63) & 1)) {
      return false;
    }
  }
  return true;
}

/* ---- entries ---- */

static void put_entry(uint8_t *to, struct run_entry e) {
  memcpy(to, &e.print, 6);
  memcpy(to + 6, &e.offset, 4);
}

static struct run_entry get_entry(const uint8_t *from) {
  struct run_entry e = {0};
  memcpy(&e.print, from, 6);
  memcpy(&e.offset, from + 6, 4);
  return e;
}

static bool read_at(const struct run *run, void *to, size_t size, uint64_t at, struct error *err) {
  for (size_t done = 0; done < size;) {
    ssize_t n = pread(run->file, (char *)to + done, size - done, (off_t)(at + done));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return error_set(err, ERR_CORRUPT, "%s: %s", run->path, n < 0 ? strerror(errno) : "it is cut short");
    }
    done += (size_t)n;
  }
  return true;
}

static bool read_page(const struct run *run, uint32_t page, uint8_t *to, struct error *err) {
  uint32_t from = run->starts[page], count = run->starts[page + 1] - from;
  if (!read_at(run, to, (size_t)count * ENTRY_BYTES, run->entries_at + (uint64_t)from * ENTRY_BYTES, err)) {
    return false;
  }
  return crc32c(0, to, (size_t)count * ENTRY_BYTES) == run->checks[page] ||
         error_set(err, ERR_CORRUPT, "%s: the checksum of page %u does not match", run->path, page);
}

bool run_find(const struct run *run, uint64_t full_print, uint32_t *offsets, size_t room, size_t *count,
              struct error *err) {
  uint64_t print = full_print >> (64 - PRINT_BITS);
  uint32_t page = page_of(run->page_count, print), entries = run->starts[page + 1] - run->starts[page];
  uint8_t *bytes = mem_grow(NULL, (size_t)entries * ENTRY_BYTES + 1, 1);
  bool ok = read_page(run, page, bytes, err);
  uint32_t low = 0, high = entries;
  while (ok && low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (get_entry(bytes + (size_t)middle * ENTRY_BYTES).print < print) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  *count = 0;
  for (; ok && low < entries; low++) {
    struct run_entry e = get_entry(bytes + (size_t)low * ENTRY_BYTES);
    if (e.print != print) {
      break;
    }
    must(*count < room);
    offsets[(*count)++] = e.offset;
  }
  free(bytes);
  return ok;
}

bool run_read(struct run_reader *r, struct run_entry *out, bool *end, struct error *err) {
  while (r->at == r->count) {
    if (r->page == r->run->page_count) {
      *end = true;
      return true;
    }
    r->count = r->run->starts[r->page + 1] - r->run->starts[r->page];
    if ((size_t)r->count * ENTRY_BYTES > r->room) {
      r->room = (size_t)r->count * ENTRY_BYTES * 2;
      r->bytes = mem_grow(r->bytes, r->room, 1);
    }
    if (!read_page(r->run, r->page++, r->bytes, err)) {
      return false;
    }
    r->at = 0;
  }
  *end = false;
  *out = get_entry(r->bytes + (size_t)r->at++ * ENTRY_BYTES);
  return true;
}

/* ---- making ---- */

static struct run *run_new(const char *path) {
  struct run *run = mem_alloc(sizeof *run);
  size_t size = strlen(path) + 1;
  run->path = mem_alloc(size);
  memcpy(run->path, path, size);
  run->file = -1;
  return run;
}

void run_close(struct run *run) {
  if (run == NULL) {
    return;
  }
  if (run->file >= 0) {
    close(run->file);
  }
  free(run->path);
  free(run->filter);
  free(run->starts);
  free(run->checks);
  free(run);
}

void run_remove(struct run *run) {
  unlink(run->path);
  run_close(run);
}

static void size_run(struct run *run, uint32_t count) {
  run->count = count;
  run->page_count = count / PAGE_ENTRIES + 1;
  run->filter_blocks = (uint32_t)((uint64_t)count * FILTER_BITS_PER_EVENT / FILTER_BLOCK_BITS + 1);
  run->entries_at = RUN_HEAD_BYTES + (uint64_t)run->filter_blocks * FILTER_BLOCK_WORDS * 8 +
                    ((uint64_t)run->page_count * 2 + 1) * sizeof(uint32_t);
}

static void make_room(struct run *run) {
  run->filter = mem_alloc((size_t)run->filter_blocks * FILTER_BLOCK_WORDS * sizeof *run->filter);
  run->starts = mem_alloc(((size_t)run->page_count + 1) * sizeof *run->starts);
  run->checks = mem_alloc((size_t)run->page_count * sizeof *run->checks);
}

static bool write_all(const struct run *run, const void *bytes, size_t size, uint64_t at, struct error *err) {
  for (size_t done = 0; done < size;) {
    ssize_t n = pwrite(run->file, (const char *)bytes + done, size - done, (off_t)(at + done));
    if (n < 0 && errno != EINTR) {
      return error_set(err, ERR_IO, "%s: %s", run->path, strerror(errno));
    }
    done += n > 0 ? (size_t)n : 0;
  }
  return true;
}

struct page_writer {
  struct run *run;
  uint8_t *bytes;
  size_t used;
  uint64_t at;
  uint32_t page, written;
};

static bool write_entry(struct page_writer *w, struct run_entry e, struct error *err) {
  struct run *run = w->run;
  for (uint32_t page = page_of(run->page_count, e.print); w->page < page;) {
    run->starts[++w->page] = w->written;
  }
  filter_add(run->filter, run->filter_blocks, e.print);
  put_entry(w->bytes + w->used, e);
  run->checks[w->page] = crc32c(run->checks[w->page], w->bytes + w->used, ENTRY_BYTES);
  w->used += ENTRY_BYTES;
  w->written++;
  if (w->used < WRITE_BYTES) {
    return true;
  }
  bool ok = write_all(run, w->bytes, w->used, w->at, err);
  w->at += w->used;
  w->used = 0;
  return ok;
}

static bool write_entries(struct run *run, const struct run_making *making, struct error *err) {
  struct page_writer w = {.run = run, .bytes = mem_grow(NULL, WRITE_BYTES + ENTRY_BYTES, 1), .at = run->entries_at};
  bool ok = true;
  for (uint32_t i = 0; i < making->count && ok; i++) {
    struct run_entry e = {0};
    ok = making->next(making->context, &e, err) && write_entry(&w, e, err);
  }
  while (w.page < run->page_count) {
    run->starts[++w.page] = w.written;
  }
  ok = ok && write_all(run, w.bytes, w.used, w.at, err);
  free(w.bytes);
  return ok;
}

static uint32_t check_of(const struct run_head *head, const struct run *run) {
  uint32_t check = crc32c(0, &head->key_check, RUN_HEAD_BYTES - 8);
  check = crc32c(check, run->filter, (size_t)run->filter_blocks * FILTER_BLOCK_WORDS * sizeof *run->filter);
  check = crc32c(check, run->starts, ((size_t)run->page_count + 1) * sizeof *run->starts);
  return crc32c(check, run->checks, (size_t)run->page_count * sizeof *run->checks);
}

static bool write_tables(const struct run *run, const struct run_making *making, struct error *err) {
  struct run_head head = {.key_check = making->key_check,
                          .first = run->first,
                          .last = run->last,
                          .last_print = run->last_print,
                          .count = run->count,
                          .page_count = run->page_count,
                          .filter_blocks = run->filter_blocks};
  size_t filter_bytes = (size_t)run->filter_blocks * FILTER_BLOCK_WORDS * sizeof *run->filter;
  size_t starts_bytes = ((size_t)run->page_count + 1) * sizeof *run->starts;
  memcpy(head.magic, RUN_MAGIC, sizeof head.magic);
  head.check = check_of(&head, run);
  return write_all(run, &head, sizeof head, 0, err) && write_all(run, run->filter, filter_bytes, RUN_HEAD_BYTES, err) &&
         write_all(run, run->starts, starts_bytes, RUN_HEAD_BYTES + filter_bytes, err) &&
         write_all(run, run->checks, (size_t)run->page_count * sizeof *run->checks,
                   RUN_HEAD_BYTES + filter_bytes + starts_bytes, err);
}

static bool put_in_place(const struct run *run, const char *temporary, const char *dir, struct error *err) {
  if (fsync(run->file) != 0 || rename(temporary, run->path) != 0) {
    return error_set(err, ERR_IO, "%s: %s", run->path, strerror(errno));
  }
  int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return true;
}

bool run_make(const struct run_making *making, struct run **out, struct error *err) {
  struct arena *arena = arena_new();
  struct run *run = run_new(arena_printf(arena, "%s/%012llu-%012llu.run", making->dir,
                                         (unsigned long long)making->first, (unsigned long long)making->last));
  const char *temporary = arena_printf(arena, "%s.new", run->path);
  run->first = making->first;
  run->last = making->last;
  run->last_print = making->last_print;
  size_run(run, making->count);
  make_room(run);
  run->file = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool ok = run->file >= 0 || error_set(err, ERR_IO, "%s: %s", temporary, strerror(errno));
  ok = ok && write_entries(run, making, err) && write_tables(run, making, err) &&
       put_in_place(run, temporary, making->dir, err);
  if (ok) {
    *out = run;
  } else {
    unlink(temporary);
    run_close(run);
  }
  arena_free(arena);
  return ok;
}

/* ---- loading ---- */

static bool head_holds(const struct run_head *head, const struct run *run, off_t size) {
  return memcmp(head->magic, RUN_MAGIC, sizeof head->magic) == 0 && head->first >= 1 && head->last >= head->first &&
         head->last - head->first == head->count - UINT64_C(1) && run->page_count == head->page_count &&
         run->filter_blocks == head->filter_blocks &&
         run->entries_at + (uint64_t)head->count * ENTRY_BYTES == (uint64_t)size;
}

static bool tables_hold(const struct run_head *head, const struct run *run) {
  bool ok = check_of(head, run) == head->check && run->starts[0] == 0 && run->starts[run->page_count] == run->count;
  for (uint32_t page = 0; page < run->page_count && ok; page++) {
    ok = run->starts[page] <= run->starts[page + 1];
  }
  return ok;
}

static bool load(struct run *run, uint64_t key_check, struct error *err) {
  struct run_head head;
  struct stat file;
  if (run->file < 0) {
    run->file = open(run->path, O_RDONLY | O_CLOEXEC);
  }
  if (run->file < 0 || fstat(run->file, &file) != 0) {
    return error_set(err, ERR_IO, "%s: %s", run->path, strerror(errno));
  }
  if (!read_at(run, &head, sizeof head, 0, err)) {
    return false;
  }
  size_run(run, head.count);
  if (!head_holds(&head, run, file.st_size)) {
    return error_set(err, ERR_CORRUPT, "%s: not a run of identities", run->path);
  }
  if (head.key_check != key_check) {
    return error_set(err, ERR_CORRUPT, "%s: it belongs to another book", run->path);
  }
  run->first = head.first;
  run->last = head.last;
  run->last_print = head.last_print;
  make_room(run);
  size_t filter_bytes = (size_t)run->filter_blocks * FILTER_BLOCK_WORDS * sizeof *run->filter;
  size_t starts_bytes = ((size_t)run->page_count + 1) * sizeof *run->starts;
  if (!read_at(run, run->filter, filter_bytes, RUN_HEAD_BYTES, err) ||
      !read_at(run, run->starts, starts_bytes, RUN_HEAD_BYTES + filter_bytes, err) ||
      !read_at(run, run->checks, (size_t)run->page_count * sizeof *run->checks,
               RUN_HEAD_BYTES + filter_bytes + starts_bytes, err)) {
    return false;
  }
  return tables_hold(&head, run) || error_set(err, ERR_CORRUPT, "%s: its checksum does not match", run->path);
}

bool run_load(const char *path, uint64_t key_check, struct run **out, struct error *err) {
  struct run *run = run_new(path);
  if (!load(run, key_check, err)) {
    run_close(run);
    return false;
  }
  *out = run;
  return true;
}

/* ---- checking ---- */

bool run_check(const char *path, struct error *err) {
  struct run *run = run_new(path);
  struct run_entry entry;
  struct run_head head;
  bool end = false, ok = false;
  run->file = open(path, O_RDONLY | O_CLOEXEC);
  if (run->file < 0) {
    ok = error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  } else if (read_at(run, &head, sizeof head, 0, err)) {
    ok = load(run, head.key_check, err);
  }
  struct run_reader reader = {.run = run};
  while (ok && !end) {
    ok = run_read(&reader, &entry, &end, err);
  }
  free(reader.bytes);
  run_close(run);
  return ok;
}
