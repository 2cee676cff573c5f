/* Our own heartbeat of nodes: who answers at its slurmd's port. Slurm itself notices a dead node minutes later. */
#include "sell/slurm_private.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE_MAX 256

/* The socket on its way to the node; -1: it refused, or has no address. */
static int call_node(struct slurm_node *node, char address[256]) {
  char port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  if (node->address.len >= 256 || !node->port) return -1;
  memcpy(address, node->address.ptr, node->address.len);
  address[node->address.len] = 0;
  snprintf(port, sizeof port, "%u", node->port);
  if (getaddrinfo(address, port, &hints, &found) != 0) return -1;
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool connected(int fd) {
  int reason = 0;
  socklen_t size = sizeof reason;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) == 0 && reason == 0;
}

static void ask_some(struct slurm_node *nodes, size_t count, int64_t timeout_ms) {
  struct pollfd calls[AT_ONCE_MAX];
  char address[256];
  size_t left = 0;
  int64_t end_ms = now_ms() + timeout_ms;
  for (size_t i = 0; i < count; i++) {
    calls[i] = (struct pollfd){.fd = call_node(&nodes[i], address), .events = POLLOUT};
    left += calls[i].fd >= 0;
  }
  while (left) {
    int64_t wait_ms = end_ms - now_ms();
    int ready = wait_ms > 0 ? poll(calls, (nfds_t)count, (int)wait_ms) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    for (size_t i = 0; i < count; i++) {
      if (calls[i].fd < 0 || !calls[i].revents) continue;
      nodes[i].answers = connected(calls[i].fd);
      close(calls[i].fd);
      calls[i].fd = -1;
      left--;
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (calls[i].fd >= 0) close(calls[i].fd);
  }
}

void slurm_ask_pulses(struct slurm_node *nodes, size_t count, int64_t timeout_ms) {
  for (size_t i = 0; i < count; i += AT_ONCE_MAX) {
    ask_some(nodes + i, count - i < AT_ONCE_MAX ? count - i : AT_ONCE_MAX, timeout_ms);
  }
}
