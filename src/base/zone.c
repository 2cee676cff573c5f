/* Reads TZif files (RFC 8536) without touching the process's TZ: transitions by binary search, the footer rule after
 * the last. */
#include "base/zone.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_FOLDER "/usr/share/zoneinfo/"
#define ZONE_NAME_MAX 64
#define ZONE_FILE_MAX 65536
#define ZONES_MAX 1024
#define TRANSITIONS_MAX 4096
#define DAY_S INT64_C(86400)

/* One switch of a POSIX rule, always in the form Mm.w.d or Jn or n, at so many seconds of the local day. */
struct rule {
  char kind; /* 'M', 'J', or '0' */
  int month, week, day;
  int32_t at_s;
};
struct zone {
  char name[ZONE_NAME_MAX];
  size_t count;
  int64_t times[TRANSITIONS_MAX];
  int32_t offsets[TRANSITIONS_MAX]; /* from times[i] on */
  int32_t first_offset;
  bool has_rule, has_dst;
  int32_t standard, summer;
  struct rule start, end;
};

/* ---- POSIX footer: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static bool take_number(const char **p, int *out) {
  if (**p < '0' || **p > '9') {
    return false;
  }
  for (*out = 0; **p >= '0' && **p <= '9' && *out < 100000; (*p)++) {
    *out = *out * 10 + (**p - '0');
  }
  return true;
}

static bool skip_name(const char **p) {
  if (**p == '<') {
    const char *end = strchr(*p, '>');
    if (end == NULL) {
      return false;
    }
    *p = end + 1;
    return true;
  }
  const char *begin = *p;
  while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z')) {
    (*p)++;
  }
  return *p > begin;
}

/* [+-]hh[:mm[:ss]] */
static bool take_clock(const char **p, int32_t *out_s) {
  int sign = 1, h = 0, m = 0, s = 0;
  if (**p == '+' || **p == '-') {
    sign = *(*p)++ == '-' ? -1 : 1;
  }
  if (!take_number(p, &h)) {
    return false;
  }
  if (**p == ':' && (++*p, !take_number(p, &m))) {
    return false;
  }
  if (**p == ':' && (++*p, !take_number(p, &s))) {
    return false;
  }
  *out_s = sign * (h * 3600 + m * 60 + s);
  return true;
}

static bool take_rule(const char **p, struct rule *r) {
  r->kind = **p == 'M' ? 'M' : **p == 'J' ? 'J' : '0';
  r->at_s = 2 * 3600;
  if (r->kind != '0') {
    (*p)++;
  }
  if (r->kind == 'M') {
    if (!take_number(p, &r->month) || *(*p)++ != '.' || !take_number(p, &r->week) || *(*p)++ != '.' ||
        !take_number(p, &r->day)) {
      return false;
    }
    if (r->month < 1 || r->month > 12 || r->week < 1 || r->week > 5 || r->day > 6) {
      return false;
    }
  } else if (!take_number(p, &r->day)) {
    return false;
  }
  if (**p != '/') {
    return true;
  }
  (*p)++;
  return take_clock(p, &r->at_s);
}

static bool parse_footer(struct zone *z, const char *p) {
  int32_t west;
  if (!skip_name(&p) || !take_clock(&p, &west)) {
    return false;
  }
  z->standard = -west;
  z->has_rule = true;
  if (*p == '\0') {
    return true;
  }
  z->summer = z->standard + 3600;
  if (!skip_name(&p)) {
    return false;
  }
  if (*p != ',' && *p != '\0') {
    if (!take_clock(&p, &west)) {
      return false;
    }
    z->summer = -west;
  }
  z->has_dst = *p++ == ',' && take_rule(&p, &z->start) && *p++ == ',' && take_rule(&p, &z->end);
  return z->has_dst;
}

/* ---- days ---- */

static bool is_leap(int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t days_before_year(int64_t year) {
  int64_t y = year - 1;
  return y * 365 + y / 4 - y / 100 + y / 400 - INT64_C(719162); /* days from 0001 to 1970 */
}

static int64_t year_of(int64_t utc_s) {
  int64_t year = 1970 + utc_s / (DAY_S * 366);
  while (days_before_year(year + 1) * DAY_S <= utc_s) {
    year++;
  }
  return year;
}

static int64_t rule_day(const struct rule *r, int64_t year) {
  static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t day = days_before_year(year);
  if (r->kind == 'J') {
    return day + r->day - 1 + (is_leap(year) && r->day > 59);
  }
  if (r->kind == '0') {
    return day + r->day;
  }
  for (int m = 1; m < r->month; m++) {
    day += lengths[m - 1] + (m == 2 && is_leap(year));
  }
  int length = lengths[r->month - 1] + (r->month == 2 && is_leap(year));
  int weekday = (int)(((day + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
  int first = (r->day - weekday + 7) % 7, in_month = first + (r->week - 1) * 7;
  while (in_month >= length) {
    in_month -= 7;
  }
  return day + in_month;
}

static int32_t offset_by_rule(const struct zone *z, int64_t utc_s) {
  if (!z->has_dst) {
    return z->standard;
  }
  int64_t year = year_of(utc_s + z->standard);
  int64_t start = rule_day(&z->start, year) * DAY_S + z->start.at_s - z->standard;
  int64_t end = rule_day(&z->end, year) * DAY_S + z->end.at_s - z->summer;
  bool summer = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;
  return summer ? z->summer : z->standard;
}

int32_t zone_offset(const struct zone *z, int64_t utc_s) {
  if (z->count == 0 || utc_s < z->times[0]) {
    return z->count == 0 && z->has_rule ? offset_by_rule(z, utc_s) : z->first_offset;
  }
  if (utc_s >= z->times[z->count - 1] && z->has_rule) {
    return offset_by_rule(z, utc_s);
  }
  size_t low = 0, high = z->count; /* times[low] <= utc_s < times[high] */
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (z->times[middle] <= utc_s) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return z->offsets[low];
}

/* ---- the file ---- */

static uint32_t big32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static int64_t big64(const uint8_t *p) {
  return (int64_t)((uint64_t)big32(p) << 32 | big32(p + 4));
}

struct header {
  size_t isut, isstd, leap, times, types, chars;
};

static bool read_header(const uint8_t *p, size_t size, struct header *h) {
  if (size < 44 || memcmp(p, "TZif", 4) != 0) {
    return false;
  }
  *h = (struct header){big32(p + 20), big32(p + 24), big32(p + 28), big32(p + 32), big32(p + 36), big32(p + 40)};
  return h->times <= TRANSITIONS_MAX && h->types > 0 && h->types <= 256 && h->chars <= 256 && h->leap <= 256 &&
         h->isut <= 256 && h->isstd <= 256;
}

static size_t body_size(const struct header *h, size_t time_size) {
  return h->times * time_size + h->times + h->types * 6 + h->chars + h->leap * (time_size + 4) + h->isstd + h->isut;
}

static bool read_body(struct zone *z, const uint8_t *p, const struct header *h) {
  const uint8_t *kinds = p + h->times * 8, *types = kinds + h->times;
  z->count = h->times;
  z->first_offset = (int32_t)big32(types);
  for (size_t i = 0; i < h->times; i++) {
    if (kinds[i] >= h->types) {
      return false;
    }
    z->times[i] = big64(p + i * 8);
    z->offsets[i] = (int32_t)big32(types + kinds[i] * 6);
  }
  return true;
}

/* Version 2 and later: the 32-bit block is skipped, the 64-bit block read, then the footer between newlines. */
static bool parse_file(struct zone *z, uint8_t *bytes, size_t size) {
  struct header h;
  if (!read_header(bytes, size, &h) || bytes[4] < '2') {
    return false;
  }
  size_t second = 44 + body_size(&h, 4);
  if (second > size || !read_header(bytes + second, size - second, &h)) {
    return false;
  }
  size_t footer = second + 44 + body_size(&h, 8);
  if (footer >= size || !read_body(z, bytes + second + 44, &h) || bytes[footer] != '\n') {
    return false;
  }
  char *text = (char *)bytes + footer + 1, *end = memchr(text, '\n', size - footer - 1);
  if (end == NULL) {
    return false;
  }
  *end = '\0';
  return *text == '\0' || parse_footer(z, text);
}

static bool name_is_safe(const char *name) {
  size_t length = strlen(name);
  if (length == 0 || length >= ZONE_NAME_MAX || name[0] == '/' || strstr(name, "..")) {
    return false;
  }
  return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == length;
}

static struct zone *load(const char *name) {
  char path[sizeof ZONE_FOLDER + ZONE_NAME_MAX];
  uint8_t bytes[ZONE_FILE_MAX];
  snprintf(path, sizeof path, "%s%s", ZONE_FOLDER, name);
  FILE *file = fopen(path, "rbe");
  if (file == NULL) {
    return NULL;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  struct zone *z = mem_alloc(sizeof *z);
  memcpy(z->name, name, strlen(name) + 1);
  if (!parse_file(z, bytes, size)) {
    free(z);
    return NULL;
  }
  return z;
}

const struct zone *zone_find(const char *name) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static struct zone *zones[ZONES_MAX];
  static size_t count;
  struct zone *found = NULL;
  if (!name_is_safe(name)) {
    return NULL;
  }
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < count && !found; i++) {
    found = strcmp(zones[i]->name, name) == 0 ? zones[i] : NULL;
  }
  if (!found && count < ZONES_MAX) {
    found = load(name);
    if (found) {
      zones[count++] = found;
    }
  }
  pthread_mutex_unlock(&lock);
  return found;
}
