/* A simulated disk for SQLite: files in memory, each with what is durable and what a crash may still lose. Its faults
 * come from a seed. One thread. docs/simulation.md states the fault model. */
#ifndef METERHOUSE_SIMULATION_DISK_H
#define METERHOUSE_SIMULATION_DISK_H
#include "base/hash.h"

#define DISK_SECTOR_BYTES 512

struct disk;
/* Registered as SQLite's default file system until disk_free. */
struct disk *disk_new(uint64_t seed, bool verbose);
void disk_free(struct disk *disk);

/* How often things fail, in calls of a million; all zero: a disk without faults. */
struct disk_faults {
  uint32_t read, write, sync;
  bool full; /* no file can grow */
};
void disk_set_faults(struct disk *disk, struct disk_faults faults);

/* A crash in the middle of the `steps`-th write, sync, truncation, creation or deletion from now (0: never). From
 * then on every call fails. */
void disk_crash_after(struct disk *disk, uint64_t steps);
void disk_crash(struct disk *disk); /* at once */
bool disk_crashed(const struct disk *disk);
/* What follows a crash; no file may be open. With `power_was_off` all that was not synced has been kept, lost or torn,
 * piece by piece. Else only the process had died: the kernel has it all, and a later crash may still lose it. */
void disk_settle(struct disk *disk, bool power_was_off);

struct disk_counts {
  uint64_t steps, crashes, failed_reads, failed_writes, failed_syncs, full;
};
struct disk_counts disk_counts(const struct disk *disk);

/* Bit rot at rest: flips one bit inside the only place of the durable file that holds `bytes`; false if there
 * are none or several. */
bool disk_rot(struct disk *disk, const char *path, slice bytes);
/* ... or anywhere in it; false when the file is empty. */
bool disk_rot_anywhere(struct disk *disk, const char *path);

#endif
