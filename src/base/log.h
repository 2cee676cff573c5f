/* One log line an event, to stderr: time, level, the object it is about, the words. No secret ever goes here. */
#ifndef METERHOUSE_BASE_LOG_H
#define METERHOUSE_BASE_LOG_H
#include "base/base.h"
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
void log_set_level(enum log_level level);
/* `object` names whom it concerns: "serve", "inv_..", "cus_..". */
void log_line(enum log_level level, const char *object, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool log_shows(enum log_level level);
/* Whole lines that their writer has put together as log_line does, with their ends: for who has very many. */
void log_lines(slice lines);
/* A progress line on a terminal (stderr), nothing when it is not one; done = total ends it. */
void log_progress(const char *what, uint64_t done, uint64_t total);
#endif
