/* Takes a URL of http or https apart. */
#include "base/url.h"

#include <string.h>

static bool port_of(slice text, uint16_t *out) {
  unsigned port = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || port > 65535) {
      return false;
    }
    port = port * 10 + (unsigned)(text.ptr[i] - '0');
  }
  *out = (uint16_t)port;
  return text.len > 0 && port > 0 && port <= 65535;
}

static bool is_host(slice text, bool bracketed) {
  static const char others[] = ".-_";
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && !memchr(others, c, sizeof others - 1) && !(bracketed && c == ':')) {
      return false;
    }
  }
  return text.len > 0;
}

/* "host:port", "[::1]:9100", or a host alone. */
static bool authority_of(slice text, struct url *out, struct error *err) {
  const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
  const char *bracket = text.len ? memrchr(text.ptr, ']', text.len) : NULL;
  if (text.len && memchr(text.ptr, '@', text.len)) {
    return error_set(err, ERR_INVALID, "leave out user and password");
  }
  if (colon && (bracket == NULL || bracket < colon)) {
    size_t before = (size_t)(colon - text.ptr);
    if (!port_of((slice){colon + 1, text.len - before - 1}, &out->port)) {
      return error_set(err, ERR_INVALID, "the port should be a number from 1 to 65535");
    }
    text.len = before;
  }
  bool bracketed = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
  out->host = bracketed ? (slice){text.ptr + 1, text.len - 2} : text;
  return is_host(out->host, bracketed) || error_set(err, ERR_INVALID, "it names no host, such as 10.0.0.5 or [::1]");
}

bool url_split(slice text, struct url *out, struct error *err) {
  *out = (struct url){.tls = slice_starts(text, "https://"), .port = 80};
  if (!out->tls && !slice_starts(text, "http://")) {
    return error_set(err, ERR_INVALID, "it should begin with http:// or https://");
  }
  for (size_t i = 0; i < text.len; i++) {
    if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7F || text.ptr[i] == '#') {
      return error_set(err, ERR_INVALID, "leave out blanks, control characters and the fragment after #");
    }
  }
  size_t scheme = out->tls ? sizeof "https://" - 1 : sizeof "http://" - 1;
  slice rest = {text.ptr + scheme, text.len - scheme};
  const char *slash = memchr(rest.ptr, '/', rest.len);
  size_t host = slash ? (size_t)(slash - rest.ptr) : rest.len;
  out->port = out->tls ? 443 : 80;
  out->path = (slice){rest.ptr + host, rest.len - host};
  return authority_of((slice){rest.ptr, host}, out, err);
}
