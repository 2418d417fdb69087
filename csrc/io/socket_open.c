/* Opens and closes sockets. hiredis is not asked to: 0.14 never closes
 * descriptor 0, has the members of its context at other places than 1.x, and
 * aborts the process if memory runs out while it connects. */
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE /* SO_NOSIGPIPE */

#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void explain(char *why, const char *text) {
  snprintf(why, EVL_WHY_SIZE, "%s", text);
}

/* A descriptor on which nothing waits, which no program that is started
 * inherits (by any thread, at any moment, if the system can make it so from the
 * start), and which sends a small command at once. -1: errno says why there is
 * none. */
static int open_descriptor(int family, int type) {
  int on = 1, fd;

#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
#else
  int flags, error;

  fd = socket(family, type, 0);
  if (fd < 0) return -1;
  flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
  }
#endif
  if (family != AF_UNIX)
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}

/* Makes a socket of a descriptor, which it takes whatever becomes of it. */
static int adopt(int fd, int local, evl_socket **out, char *why) {
  evl_socket *s = calloc(1, sizeof *s);

  if (s == NULL) {
    (void)close(fd);
    explain(why, evl_strerror(EVL_ENOMEM));
    return EVL_ENOMEM;
  }
  s->ops = &evl_plain_bytes;
  s->wants = 'w';
  s->fd = fd;
  s->owner = evl_process_id();
  s->local = local;
  s->timeout = -1;
  s->lowest = 1;
  *out = s;
  return EVL_OK;
}

/* A descriptor that is connecting to the address; -1: errno says why there is
 * none. */
static int start(const struct sockaddr *address, socklen_t len) {
  int fd = open_descriptor(address->sa_family, SOCK_STREAM), error;

  if (fd < 0) return -1;
  if (connect(fd, address, len) == 0 || errno == EINPROGRESS) return fd;
  error = errno;
  (void)close(fd);
  errno = error;
  return -1;
}

static int look_up(const char *host, const char *service, int flags,
                   struct addrinfo **found, char *why) {
  struct addrinfo hints;
  int failed;

  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  failed = getaddrinfo(host, service, &hints, found);
  if (failed == 0) return EVL_OK;
  *found = NULL;
  explain(why, failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
  return failed == EAI_MEMORY ? EVL_ENOMEM : EVL_ECONNECT;
}

/* The families take turns, as RFC 8305 has it, so that one that leads nowhere
 * costs little. */
int evl_host_resolve(const char *host, evl_addresses *list, char *why) {
  struct addrinfo *found, *next[2];
  int turn = 0, status = look_up(host, NULL, 0, &found, why);

  list->count = 0;
  if (status != EVL_OK) return status;
  next[0] = next[1] = found;
  for (;
       (next[0] != NULL || next[1] != NULL) && list->count < EVL_MOST_ADDRESSES;
       turn = !turn) {
    struct addrinfo *at = next[turn];

    while (at != NULL && (at->ai_family != found->ai_family) != turn)
      at = at->ai_next;
    if (at != NULL &&
        getnameinfo(at->ai_addr, at->ai_addrlen, list->text[list->count],
                    EVL_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) == 0)
      list->count++;
    next[turn] = at != NULL ? at->ai_next : NULL;
  }
  freeaddrinfo(found);
  if (list->count > 0) return EVL_OK;
  explain(why, "the host has no address");
  return EVL_ECONNECT;
}

static int is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    return ntohl(in->sin_addr.s_addr) >> 24 == 127;
  }
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(
             &((const struct sockaddr_in6 *)address)->sin6_addr);
}

int evl_socket_tcp(const char *address, int port, evl_socket **s, char *why) {
  struct addrinfo *found;
  char service[12];
  int fd, local, status;

  *s = NULL;
  snprintf(service, sizeof service, "%d", port);
  status =
      look_up(address, service, AI_NUMERICHOST | AI_NUMERICSERV, &found, why);
  if (status != EVL_OK) return status;
  fd = start(found->ai_addr, found->ai_addrlen);
  if (fd < 0) explain(why, strerror(errno));
  local = is_loopback(found->ai_addr);
  freeaddrinfo(found);
  return fd < 0 ? EVL_ECONNECT : adopt(fd, local, s, why);
}

int evl_socket_unix(const char *path, evl_socket **s, char *why) {
  struct sockaddr_un address;
  size_t len = strlen(path);
  int fd, error;

  *s = NULL;
  if (len >= sizeof address.sun_path) {
    explain(why, "the socket's path is too long");
    return EVL_ECONNECT;
  }
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path, len);
  fd = start((const struct sockaddr *)&address, sizeof address);
  if (fd >= 0) return adopt(fd, 1, s, why);
  error = errno;
  explain(why, strerror(error));
  /* The server's backlog is full. (Over TCP that is silence.) */
  return error == EAGAIN ? EVL_AGAIN : EVL_ECONNECT;
}

int evl_socket_silent(evl_socket **s, char *why) {
  int fd = open_descriptor(AF_UNIX, SOCK_DGRAM);

  *s = NULL;
  if (fd >= 0) return adopt(fd, 1, s, why);
  explain(why, strerror(errno));
  return EVL_ECONNECT;
}

void evl_socket_free(evl_socket *s) {
  if (s == NULL) return;
  s->ops->close(s);
  (void)close(s->fd);
  free(s);
}

int evl_socket_fd(const evl_socket *s) { return s->fd; }

/* Whether both ends are one and the same. A port of this machine that nobody
 * listens on may be the very one that the system picks for our end: then TCP
 * connects the socket to itself, and holds the port that the server wants. */
static int is_itself(int fd) {
  struct sockaddr_storage here, there;
  socklen_t here_len = sizeof here, there_len = sizeof there;
  const struct sockaddr_in *here4 = (const void *)&here;
  const struct sockaddr_in *there4 = (const void *)&there;
  const struct sockaddr_in6 *here6 = (const void *)&here;
  const struct sockaddr_in6 *there6 = (const void *)&there;

  if (getsockname(fd, (struct sockaddr *)&here, &here_len) != 0 ||
      getpeername(fd, (struct sockaddr *)&there, &there_len) != 0 ||
      here.ss_family != there.ss_family)
    return 0;
  if (here.ss_family == AF_INET)
    return here4->sin_port == there4->sin_port &&
           here4->sin_addr.s_addr == there4->sin_addr.s_addr;
  return here.ss_family == AF_INET6 && here6->sin6_port == there6->sin6_port &&
         memcmp(&here6->sin6_addr, &there6->sin6_addr,
                sizeof here6->sin6_addr) == 0;
}

/* Whether the descriptor is connected. */
static int finish_connect(evl_socket *s, char *why) {
  int failed = 0;
  socklen_t len = sizeof failed;
  struct pollfd p;

  p.fd = s->fd;
  p.events = POLLOUT;
  p.revents = 0;
  if (poll(&p, 1, 0) <= 0) {
    s->wants = 'w';
    return EVL_AGAIN;
  }
  if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0)
    failed = errno;
  if (failed == 0 && is_itself(s->fd)) failed = ECONNREFUSED;
  s->connected = failed == 0;
  if (failed == 0) return EVL_OK;
  explain(why, strerror(failed));
  return EVL_ECONNECT;
}

int evl_socket_finish(evl_socket *s, char *why) {
  int status = s->connected ? EVL_OK : finish_connect(s, why);

  return status == EVL_OK ? s->ops->handshake(s, why) : status;
}

void evl_socket_use(evl_socket *s, const evl_byte_ops *ops, void *state) {
  s->ops->close(s);
  s->ops = ops;
  s->state = state;
}

int evl_socket_is_local(const evl_socket *s) { return s->local; }
