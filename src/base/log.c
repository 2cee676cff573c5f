/* Log lines and progress on stderr. */
#include "base/log.h"
#include "base/time.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#define PROGRESS_EVERY_NS (NS_PER_S / 10)

static _Atomic int level_shown = LOG_INFO;

void log_set_level(enum log_level level) {
  atomic_store(&level_shown, (int)level);
}

void log_line(enum log_level level, const char *object, const char *fmt, ...) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  if ((int)level > atomic_load(&level_shown)) {
    return;
  }
  char when[TIME_TEXT_MAX], text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  fprintf(stderr, "%s %s %s: %s\n", time_format(clock_now(), when), names[level], object, text);
}

bool log_shows(enum log_level level) {
  return (int)level <= atomic_load(&level_shown);
}

void log_lines(slice lines) {
  fwrite(lines.ptr, 1, lines.len, stderr);
}

void log_progress(const char *what, uint64_t done, uint64_t total) {
  static int64_t last_ns;
  if (!isatty(STDERR_FILENO)) {
    return;
  }
  int64_t now = clock_now().ns;
  bool end = done == total;
  if (!end && now - last_ns < PROGRESS_EVERY_NS) {
    return;
  }
  last_ns = now;
  if (end) {
    fprintf(stderr, "\r\033[K");
  } else if (total > 0) {
    fprintf(stderr, "\r\033[K%s: %llu of %llu", what, (unsigned long long)done, (unsigned long long)total);
  } else {
    fprintf(stderr, "\r\033[K%s: %llu", what, (unsigned long long)done);
  }
  fflush(stderr);
}
