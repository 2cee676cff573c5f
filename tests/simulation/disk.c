/* The simulated disk behind SQLite's file interface: a directory, faults drawn from the seed, locks, shared memory. */
#include "disk.h"
#include "base/time.h"
#include "image.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define DISK_MAGIC 0x4d485344u
#define PATH_BYTES_MAX 512
#define REGIONS_MAX 64
#define MILLION 1000000u
/* Days from the Julian epoch to 1970-01-01, in ms: the unit of SQLite's clock. */
#define JULIAN_1970_MS INT64_C(210866760000000)

struct handle;
struct node {
  struct image image;
  unsigned handles;
  unsigned readers; /* handles that hold SHARED or more */
  const struct handle *writer;
  bool exclusive;
  void *regions[REGIONS_MAX];
  unsigned shm_users, shm_shared[SQLITE_SHM_NLOCK];
  const struct handle *shm_exclusive[SQLITE_SHM_NLOCK];
};
/* A name: what it means now, what it means after a crash, and what it meant in between. */
struct entry {
  char path[PATH_BYTES_MAX];
  struct node *live, *durable;
  VEC(struct node *) past;
};
struct disk {
  uint32_t magic;
  sqlite3_vfs vfs;
  sqlite3_vfs *before;
  struct random random;
  struct disk_faults faults;
  uint64_t crash_at;
  bool crashed, verbose;
  struct disk_counts counts;
  VEC(struct node *) nodes;
  VEC(struct entry *) entries;
};
struct handle {
  sqlite3_file base;
  struct disk *disk;
  struct node *node;
  int level;
  bool syncs_folder; /* as SQLite's own: the first sync of a new journal makes its name durable */
  bool uses_shm;
  unsigned shm_shared, shm_exclusive; /* bits */
};

/* ---- faults ---- */

static bool strikes(struct disk *disk, uint32_t chance) {
  return chance > 0 && random_below(&disk->random, MILLION) < chance;
}

static bool write_strikes(struct disk *disk) {
  bool fails = strikes(disk, disk->faults.write);
  disk->counts.failed_writes += fails;
  return fails;
}

/* Counts a step that a crash may fall into; true when it just did. */
static bool step(struct disk *disk, const char *what, const char *path) {
  disk->counts.steps++;
  if (disk->crash_at == 0 || disk->counts.steps < disk->crash_at) {
    return false;
  }
  if (disk->verbose) {
    printf("  a crash at step %llu: %s %s\n", (unsigned long long)disk->counts.steps, what, path);
  }
  disk->crash_at = 0;
  disk->crashed = true;
  disk->counts.crashes++;
  return true;
}

/* ---- the directory ---- */

static struct entry *entry_of(struct disk *disk, const char *path) {
  for (size_t i = 0; i < disk->entries.count; i++) {
    if (strcmp(disk->entries.items[i]->path, path) == 0) {
      return disk->entries.items[i];
    }
  }
  struct entry *e = mem_alloc(sizeof *e);
  must(strlen(path) < sizeof e->path);
  memcpy(e->path, path, strlen(path) + 1);
  vec_push(&disk->entries, e);
  return e;
}

static struct node *node_new(struct disk *disk) {
  struct node *node = mem_alloc(sizeof *node);
  vec_push(&disk->nodes, node);
  return node;
}

static void node_free(struct node *node) {
  must(node->handles == 0 && node->shm_users == 0);
  image_free(&node->image);
  free(node);
}

static void point(struct entry *e, struct node *node) {
  vec_push(&e->past, e->live);
  e->live = node;
}

static bool is_named(const struct disk *disk, const struct node *node) {
  for (size_t i = 0; i < disk->entries.count; i++) {
    const struct entry *e = disk->entries.items[i];
    bool found = e->live == node || e->durable == node;
    for (size_t p = 0; p < e->past.count; p++) {
      found = found || e->past.items[p] == node;
    }
    if (found) {
      return true;
    }
  }
  return false;
}

/* Files without a name and without a reader are gone. */
static void sweep(struct disk *disk) {
  size_t kept = 0;
  for (size_t i = 0; i < disk->nodes.count; i++) {
    struct node *node = disk->nodes.items[i];
    if (node->handles > 0 || is_named(disk, node)) {
      disk->nodes.items[kept++] = node;
    } else {
      node_free(node);
    }
  }
  disk->nodes.count = kept;
}

static void sync_name(struct entry *e) {
  e->durable = e->live;
  e->past.count = 0;
}

static void sync_folder(struct disk *disk) {
  for (size_t i = 0; i < disk->entries.count; i++) {
    sync_name(disk->entries.items[i]);
  }
  sweep(disk);
}

/* A file that is synced brings its own name along, as ext4, XFS and btrfs have it; others' names stay in doubt. */
static void sync_name_of(struct disk *disk, const struct node *node) {
  for (size_t i = 0; i < disk->entries.count; i++) {
    if (disk->entries.items[i]->live == node) {
      sync_name(disk->entries.items[i]);
    }
  }
}

/* ---- files ---- */

static struct handle *handle_of(sqlite3_file *file) {
  struct handle *h = (struct handle *)file;
  must(h->disk->magic == DISK_MAGIC);
  return h;
}

static const char *path_of(const struct handle *h) {
  for (size_t i = 0; i < h->disk->entries.count; i++) {
    if (h->disk->entries.items[i]->live == h->node) {
      return h->disk->entries.items[i]->path;
    }
  }
  return "(unnamed)";
}

static int file_unlock(sqlite3_file *file, int level) {
  struct handle *h = handle_of(file);
  if (level < SQLITE_LOCK_RESERVED && h->node->writer == h) {
    h->node->writer = NULL;
    h->node->exclusive = false;
  }
  if (level == SQLITE_LOCK_NONE && h->level >= SQLITE_LOCK_SHARED) {
    must(h->node->readers > 0);
    h->node->readers--;
  }
  h->level = h->level < level ? h->level : level;
  return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level) {
  struct handle *h = handle_of(file);
  struct node *node = h->node;
  if (level <= h->level) {
    return SQLITE_OK;
  }
  if (node->writer != NULL && node->writer != h && (level > SQLITE_LOCK_SHARED || node->exclusive)) {
    return SQLITE_BUSY;
  }
  if (level == SQLITE_LOCK_SHARED) {
    node->readers++;
  } else {
    node->writer = h;
  }
  if (level == SQLITE_LOCK_EXCLUSIVE) {
    node->exclusive = true; /* pending at least: no new readers */
    if (node->readers > 1) {
      return SQLITE_BUSY;
    }
  }
  h->level = level;
  return SQLITE_OK;
}

static int file_reserved(sqlite3_file *file, int *out) {
  *out = handle_of(file)->node->writer != NULL;
  return SQLITE_OK;
}

static int shm_unmap(sqlite3_file *file, int delete_flag);

static int file_close(sqlite3_file *file) {
  struct handle *h = handle_of(file);
  shm_unmap(file, 0);
  file_unlock(file, SQLITE_LOCK_NONE);
  must(h->node->handles > 0);
  h->node->handles--;
  if (!h->disk->crashed) {
    sweep(h->disk);
  }
  return SQLITE_OK;
}

/* A read that fails may have filled a part of the buffer: kernels return short and then fail. */
static int file_read(sqlite3_file *file, void *to, int length, sqlite3_int64 offset) {
  struct handle *h = handle_of(file);
  if (h->disk->crashed) {
    return SQLITE_IOERR_READ;
  }
  if (strikes(h->disk, h->disk->faults.read)) {
    h->disk->counts.failed_reads++;
    image_read(&h->node->image, (size_t)offset, to, (size_t)random_below(&h->disk->random, (uint64_t)length + 1));
    return SQLITE_IOERR_READ;
  }
  size_t got = image_read(&h->node->image, (size_t)offset, to, (size_t)length);
  return got == (size_t)length ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

/* A write that fails may have written its first bytes. */
static int file_write_at(sqlite3_file *file, const void *from, int length, sqlite3_int64 offset) {
  struct handle *h = handle_of(file);
  struct disk *disk = h->disk;
  if (disk->crashed) {
    return SQLITE_IOERR_WRITE;
  }
  if (disk->faults.full && (size_t)offset + (size_t)length > h->node->image.live.size) {
    disk->counts.full++;
    return SQLITE_FULL;
  }
  bool fails = write_strikes(disk);
  size_t count = fails ? (size_t)random_below(&disk->random, (uint64_t)length) : (size_t)length;
  image_write(&h->node->image, (size_t)offset, from, count);
  return step(disk, "write", path_of(h)) || fails ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
  struct handle *h = handle_of(file);
  if (h->disk->crashed || write_strikes(h->disk)) {
    return SQLITE_IOERR_TRUNCATE;
  }
  image_resize(&h->node->image, (size_t)size);
  return step(h->disk, "truncate", path_of(h)) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

/* When a sync fails some of the data is on the disk and the rest is dropped: another sync will not write it. */
static int file_sync(sqlite3_file *file, int flags) {
  (void)flags;
  struct handle *h = handle_of(file);
  struct disk *disk = h->disk;
  if (disk->crashed || step(disk, "sync", path_of(h))) {
    return SQLITE_IOERR_FSYNC;
  }
  if (strikes(disk, disk->faults.sync)) {
    disk->counts.failed_syncs++;
    image_settle(&h->node->image, (enum settling)random_below(&disk->random, SETTLE_WAYS), &disk->random);
    return SQLITE_IOERR_FSYNC;
  }
  image_sync(&h->node->image);
  sync_name_of(disk, h->node);
  if (h->syncs_folder) {
    sync_folder(disk);
    h->syncs_folder = false;
  }
  return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  struct handle *h = handle_of(file);
  *size = (sqlite3_int64)h->node->image.live.size;
  return h->disk->crashed ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument) {
  (void)file;
  (void)op;
  (void)argument;
  return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file) {
  (void)file;
  return 4096; /* what SQLite says of real files */
}

static int file_characteristics(sqlite3_file *file) {
  (void)file;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- the memory that connections share beside a write-ahead log ---- */

static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
  struct handle *h = handle_of(file);
  must(region < REGIONS_MAX && size > 0);
  if (h->disk->crashed) {
    return SQLITE_IOERR_SHMMAP;
  }
  if (!h->uses_shm) {
    h->uses_shm = true;
    h->node->shm_users++;
  }
  if (h->node->regions[region] == NULL && extend) {
    h->node->regions[region] = mem_alloc((size_t)size);
  }
  *out = h->node->regions[region];
  return SQLITE_OK;
}

static bool shm_is_free(const struct handle *h, int lock, int flags) {
  const struct node *node = h->node;
  unsigned own = (h->shm_shared >> lock) & 1u;
  if (node->shm_exclusive[lock] != NULL && node->shm_exclusive[lock] != h) {
    return false;
  }
  return (flags & SQLITE_SHM_SHARED) || node->shm_shared[lock] == own;
}

static void shm_take(struct handle *h, int lock, int flags) {
  unsigned bit = 1u << lock;
  if (flags & SQLITE_SHM_EXCLUSIVE) {
    h->node->shm_exclusive[lock] = h;
    h->shm_exclusive |= bit;
  } else if (!(h->shm_shared & bit)) {
    h->node->shm_shared[lock]++;
    h->shm_shared |= bit;
  }
}

static void shm_give(struct handle *h, int lock) {
  unsigned bit = 1u << lock;
  if (h->shm_exclusive & bit) {
    h->node->shm_exclusive[lock] = NULL;
  }
  if (h->shm_shared & bit) {
    h->node->shm_shared[lock]--;
  }
  h->shm_exclusive &= ~bit;
  h->shm_shared &= ~bit;
}

static int shm_lock(sqlite3_file *file, int first, int count, int flags) {
  struct handle *h = handle_of(file);
  for (int i = first; i < first + count; i++) {
    if ((flags & SQLITE_SHM_LOCK) && !shm_is_free(h, i, flags)) {
      return SQLITE_BUSY;
    }
  }
  for (int i = first; i < first + count; i++) {
    if (flags & SQLITE_SHM_LOCK) {
      shm_take(h, i, flags);
    } else {
      shm_give(h, i);
    }
  }
  return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *file) {
  (void)file; /* one thread */
}

/* The last user takes it along: it is memory, and would not outlive the process. */
static int shm_unmap(sqlite3_file *file, int delete_flag) {
  (void)delete_flag;
  struct handle *h = handle_of(file);
  if (!h->uses_shm) {
    return SQLITE_OK;
  }
  for (int i = 0; i < SQLITE_SHM_NLOCK; i++) {
    shm_give(h, i);
  }
  h->uses_shm = false;
  if (--h->node->shm_users == 0) {
    for (size_t i = 0; i < REGIONS_MAX; i++) {
      free(h->node->regions[i]);
      h->node->regions[i] = NULL;
    }
  }
  return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write_at,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the file system ---- */

static struct disk *disk_of(sqlite3_vfs *vfs) {
  struct disk *disk = vfs->pAppData;
  must(disk->magic == DISK_MAGIC);
  return disk;
}

static int fs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags) {
  struct disk *disk = disk_of(vfs);
  struct handle *h = (struct handle *)file;
  struct entry *e = path ? entry_of(disk, path) : NULL;
  bool makes = e == NULL || e->live == NULL;
  *h = (struct handle){.disk = disk};
  if (disk->crashed || (makes && e && !(flags & SQLITE_OPEN_CREATE))) {
    return SQLITE_CANTOPEN;
  }
  if (makes && (disk->faults.full || step(disk, "create", path ? path : "(unnamed)"))) {
    disk->counts.full += disk->faults.full;
    return SQLITE_CANTOPEN; /* SQLite's own says no more than this of a full disk */
  }
  h->node = makes ? node_new(disk) : e->live;
  if (makes && e) {
    point(e, h->node);
    h->syncs_folder = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
  }
  h->node->handles++;
  h->base.pMethods = &methods;
  if (out_flags) {
    *out_flags = flags;
  }
  return SQLITE_OK;
}

static int fs_delete(sqlite3_vfs *vfs, const char *path, int sync_after) {
  struct disk *disk = disk_of(vfs);
  struct entry *e = entry_of(disk, path);
  if (disk->crashed || write_strikes(disk)) {
    return SQLITE_IOERR_DELETE;
  }
  if (e->live == NULL) {
    return SQLITE_IOERR_DELETE_NOENT;
  }
  point(e, NULL);
  if (step(disk, "delete", path)) {
    return SQLITE_IOERR_DELETE;
  }
  if (sync_after) {
    sync_folder(disk);
  }
  return SQLITE_OK;
}

static int fs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out) {
  (void)flags;
  struct disk *disk = disk_of(vfs);
  const struct node *node = entry_of(disk, path)->live;
  *out = node != NULL && (flags != SQLITE_ACCESS_EXISTS || node->image.live.size > 0); /* as SQLite's own has it */
  return disk->crashed ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int fs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out) {
  (void)vfs;
  return snprintf(out, (size_t)size, "%s", path) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int fs_randomness(sqlite3_vfs *vfs, int size, char *out) {
  for (int i = 0; i < size; i++) {
    out[i] = (char)random_below(&disk_of(vfs)->random, 256);
  }
  return size;
}

static int fs_sleep(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  return us;
}

static int fs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  (void)vfs;
  *out = JULIAN_1970_MS + clock_now().ns / 1000000;
  return SQLITE_OK;
}

static int fs_time_days(sqlite3_vfs *vfs, double *out) {
  sqlite3_int64 ms;
  int result = fs_time_ms(vfs, &ms);
  *out = (double)ms / 86400000.0;
  return result;
}

static int fs_last_error(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  (void)size;
  (void)out;
  return 0;
}

/* ---- the disk as tests see it ---- */

struct disk *disk_new(uint64_t seed, bool verbose) {
  struct disk *disk = mem_alloc(sizeof *disk);
  disk->magic = DISK_MAGIC;
  disk->verbose = verbose;
  random_seed(&disk->random, seed, 1);
  disk->before = sqlite3_vfs_find(NULL);
  disk->vfs = (sqlite3_vfs){.iVersion = 2,
                            .szOsFile = (int)sizeof(struct handle),
                            .mxPathname = PATH_BYTES_MAX - 1,
                            .zName = "simulated",
                            .pAppData = disk,
                            .xOpen = fs_open,
                            .xDelete = fs_delete,
                            .xAccess = fs_access,
                            .xFullPathname = fs_full_path,
                            .xRandomness = fs_randomness,
                            .xSleep = fs_sleep,
                            .xCurrentTime = fs_time_days,
                            .xGetLastError = fs_last_error,
                            .xCurrentTimeInt64 = fs_time_ms};
  must(sqlite3_vfs_register(&disk->vfs, 1) == SQLITE_OK);
  sqlite3_randomness(0, NULL); /* SQLite draws its random numbers anew, from this disk */
  return disk;
}

void disk_free(struct disk *disk) {
  must(disk->magic == DISK_MAGIC);
  sqlite3_vfs_unregister(&disk->vfs);
  sqlite3_vfs_register(disk->before, 1);
  for (size_t i = 0; i < disk->nodes.count; i++) {
    node_free(disk->nodes.items[i]);
  }
  for (size_t i = 0; i < disk->entries.count; i++) {
    vec_free(&disk->entries.items[i]->past);
    free(disk->entries.items[i]);
  }
  vec_free(&disk->nodes);
  vec_free(&disk->entries);
  disk->magic = 0;
  free(disk);
}

void disk_set_faults(struct disk *disk, struct disk_faults faults) {
  disk->faults = faults;
}

void disk_crash_after(struct disk *disk, uint64_t steps) {
  disk->crash_at = steps ? disk->counts.steps + steps : 0;
}

void disk_crash(struct disk *disk) {
  disk->crashed = true;
  disk->crash_at = 0;
  disk->counts.crashes++;
}

bool disk_crashed(const struct disk *disk) {
  return disk->crashed;
}

struct disk_counts disk_counts(const struct disk *disk) {
  return disk->counts;
}

/* Each name means what it meant at some moment since the folder was last synced. */
static void settle_entry(struct disk *disk, struct entry *e) {
  uint64_t moments = e->past.count + 2, moment = random_below(&disk->random, moments);
  if (moment == 0) {
    e->live = e->durable;
  } else if (moment <= e->past.count) {
    e->live = e->past.items[moment - 1];
  }
  e->durable = e->live;
  e->past.count = 0;
}

void disk_settle(struct disk *disk, bool power_was_off) {
  disk->crashed = false;
  if (!power_was_off) {
    sweep(disk);
    return;
  }
  enum settling way = (enum settling)random_below(&disk->random, SETTLE_WAYS);
  for (size_t i = 0; i < disk->nodes.count; i++) {
    must(disk->nodes.items[i]->handles == 0);
    image_settle(&disk->nodes.items[i]->image, way, &disk->random);
  }
  for (size_t i = 0; i < disk->entries.count; i++) {
    settle_entry(disk, disk->entries.items[i]);
  }
  sweep(disk);
}

/* ---- bit rot ---- */

static void flip(struct disk *disk, struct image *image, size_t at) {
  uint8_t mask = (uint8_t)(1u << random_below(&disk->random, 8));
  must(image->unsynced.count == 0 && at < image->durable.size && at < image->live.size);
  image->durable.ptr[at] ^= mask;
  image->live.ptr[at] ^= mask;
}

static const uint8_t *find(const struct image *image, size_t from, slice bytes) {
  if (from >= image->durable.size) {
    return NULL;
  }
  return memmem(image->durable.ptr + from, image->durable.size - from, bytes.ptr, bytes.len);
}

bool disk_rot(struct disk *disk, const char *path, slice bytes) {
  struct node *node = entry_of(disk, path)->live;
  const uint8_t *found = node ? find(&node->image, 0, bytes) : NULL;
  if (found == NULL) {
    return false;
  }
  size_t at = (size_t)(found - node->image.durable.ptr);
  if (find(&node->image, at + 1, bytes) != NULL) {
    return false;
  }
  flip(disk, &node->image, at + (size_t)random_below(&disk->random, bytes.len));
  return true;
}

bool disk_rot_anywhere(struct disk *disk, const char *path) {
  struct node *node = entry_of(disk, path)->live;
  if (node == NULL || node->image.durable.size == 0) {
    return false;
  }
  flip(disk, &node->image, (size_t)random_below(&disk->random, node->image.durable.size));
  return true;
}
