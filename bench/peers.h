/* Who ingest is measured beside. Each keeps an event as a row of (source, id, type, subject, time_ns, data), and a
 * (source, id) once; what `store` took is durable when it returns. */
#ifndef METERHOUSE_BENCH_PEERS_H
#define METERHOUSE_BENCH_PEERS_H
#include "meter/meter.h"

struct peer {
  void *state;
  char version[40]; /* known once it is open */
  /* Opens an empty one; `folder` is for its files. False: it is not to be had, and stderr says why. */
  bool (*open)(struct peer *p, const char *folder);
  /* `data` is the JSON of each event's fields. One commit, or as many as the peer was made for. */
  void (*store)(struct peer *p, const struct event *events, const slice *data, size_t count);
  /* What processes other than this one have spent on it. */
  double (*server_cpu_s)(struct peer *p);
  uint64_t (*count)(struct peer *p);
  void (*close)(struct peer *p); /* and throws away what it kept */
};

extern const struct peer peer_meterhouse, peer_sqlite, peer_postgres;
/* Where the PostgreSQL server listens: the folder of its socket. */
void peer_postgres_at(const char *socket_folder);
#endif
