/* Inside store: what migrations ask of a driver. */
#ifndef METERHOUSE_STORE_PRIVATE_H
#define METERHOUSE_STORE_PRIVATE_H
#include "store/store.h"

/* Runs several statements without parameters. */
MUST_USE bool db_script(struct db *db, const char *sql, struct error *err);
#endif
