/* The parts of an absolute URL of http or https. */
#ifndef METERHOUSE_BASE_URL_H
#define METERHOUSE_BASE_URL_H
#include "base/base.h"

struct url {
  bool tls;      /* https */
  slice host;    /* a name, or an address; of [::1] what stands in the brackets */
  uint16_t port; /* 80 or 443 when not said */
  slice path;    /* from the first slash on, with the query; empty when there is none */
};
/* Slices of `text`. ERR_INVALID says what is wrong: another scheme, no host, a user, a port out of range, blanks,
 * control characters or a fragment. The message does not repeat the text, which may hold a password. */
MUST_USE bool url_split(slice text, struct url *out, struct error *err);
#endif
