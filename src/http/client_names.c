/* From the name of an origin to its addresses: asked for again every half a minute, old ones serve when nobody answers.
 */
#include "http/client.h"
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_FRESH_MS 30000

static void take_addresses(struct http_client *client, const struct evutil_addrinfo *found) {
  client->address_count = 0;
  for (; found && client->address_count < CLIENT_ADDRESSES_MAX; found = found->ai_next) {
    struct client_address *a = &client->addresses[client->address_count];
    if (found->ai_addrlen <= sizeof a->address) {
      memcpy(&a->address, found->ai_addr, found->ai_addrlen);
      a->length = (socklen_t)found->ai_addrlen;
      client->address_count++;
    }
  }
}

static void port_text(const struct http_client *client, char text[8]) {
  snprintf(text, 8, "%d", client->port);
}

bool client_names_init(struct http_client *client, struct error *err) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found = NULL;
  char port[8];
  port_text(client, port);
  client->is_literal = getaddrinfo(client->host, port, &hints, &found) == 0;
  if (client->is_literal) {
    take_addresses(client, found);
    freeaddrinfo(found);
    return true;
  }
  client->dns = evdns_base_new(client->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
  if (client->dns == NULL) {
    return error_set(err, ERR_IO, "%s: names can not be looked up", client->host);
  }
  evdns_base_resolv_conf_parse(client->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf"); /* without it, the hosts file alone */
  return true;
}

void client_names_free(struct http_client *client) {
  if (client->resolving) {
    evdns_getaddrinfo_cancel(client->resolving);
  }
  if (client->dns) {
    evdns_base_free(client->dns, 0);
  }
}

static void on_addresses(int result, struct evutil_addrinfo *found, void *context) {
  struct http_client *client = context;
  if (result == EVUTIL_EAI_CANCEL) { /* the client may be gone */
    return;
  }
  client->resolving = NULL;
  if (result == 0) {
    take_addresses(client, found);
    client->resolved_ms = client_now_ms();
  }
  if (found) {
    evutil_freeaddrinfo(found);
  }
  client_resolved(client, client->address_count > 0 ? NULL : evutil_gai_strerror(result));
}

bool client_resolve(struct http_client *client) {
  bool fresh = client->address_count > 0 && client_now_ms() - client->resolved_ms < ADDRESSES_FRESH_MS;
  if (client->is_literal || fresh || client->resolving) {
    return client->is_literal || fresh;
  }
  struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
  char port[8];
  port_text(client, port);
  struct evdns_getaddrinfo_request *request =
      evdns_getaddrinfo(client->dns, client->host, port, &hints, on_addresses, client);
  client->resolving = request; /* NULL: it was answered already */
  return false;
}
