/* Sockets come and go here. Each is the descriptor of a hiredis context, which
 * owns it. Connecting is done by ourselves, because hiredis 0.14 aborts the
 * process where memory runs out meanwhile. */
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

/* Nothing here waits, nothing is inherited by a program that is started, and a
 * small command leaves at once. */
static int prepare(int fd, int family) {
  int on = 1, flags = fcntl(fd, F_GETFL);

  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -1;
  if (family != AF_UNIX)
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return 0;
}

/* Makes a socket of a descriptor, which it takes whatever becomes of it. */
static int adopt(int fd, int local, evl_socket **out, char *why) {
  evl_socket *s = malloc(sizeof *s);
  redisContext *context = s != NULL ? redisConnectFd(fd) : NULL;

  if (context == NULL || context->err) {
    if (context == NULL) (void)close(fd);
    redisFree(context); /* and with it the descriptor */
    free(s);
    explain(why, evl_strerror(EVL_ENOMEM));
    return EVL_ENOMEM;
  }
  s->context = context;
  s->owner = evl_process_id();
  s->local = local;
  s->timeout = -1;
  s->heard = 0;
  s->lowest = 1;
  s->span = 0;
  *out = s;
  return EVL_OK;
}

/* A descriptor that is connecting to the address; -1 where errno says why not.
 */
static int start(const struct sockaddr *address, socklen_t len) {
  int fd = socket(address->sa_family, SOCK_STREAM, 0), error;

  if (fd < 0) return -1;
  if (prepare(fd, address->sa_family) == 0 &&
      (connect(fd, address, len) == 0 || errno == EINPROGRESS))
    return fd;
  error = errno;
  (void)close(fd);
  errno = error;
  return -1;
}

static int look_up(const char *host, int port, int family,
                   struct addrinfo **found) {
  struct addrinfo hints;
  char service[12];

  memset(&hints, 0, sizeof hints);
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  snprintf(service, sizeof service, "%d", port);
  return getaddrinfo(host, service, &hints, found);
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

int evl_socket_tcp(const char *host, int port, evl_socket **s, char *why) {
  struct addrinfo *found = NULL, *at;
  int fd = -1, local = 0, failed = look_up(host, port, AF_INET, &found);

  *s = NULL;
  if (failed && failed != EAI_MEMORY)
    failed = look_up(host, port, AF_INET6, &found);
  if (failed) {
    explain(why, gai_strerror(failed));
    return failed == EAI_MEMORY ? EVL_ENOMEM : EVL_ECONNECT;
  }
  for (at = found; at != NULL && fd < 0; at = at->ai_next) {
    fd = start(at->ai_addr, at->ai_addrlen);
    local = is_loopback(at->ai_addr);
  }
  if (fd < 0) explain(why, strerror(errno));
  freeaddrinfo(found);
  return fd < 0 ? EVL_ECONNECT : adopt(fd, local, s, why);
}

int evl_socket_unix(const char *path, evl_socket **s, char *why) {
  struct sockaddr_un address;
  size_t len = strlen(path);
  int fd;

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
  explain(why, strerror(errno));
  return EVL_ECONNECT;
}

int evl_socket_silent(evl_socket **s, char *why) {
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

  *s = NULL;
  if (fd >= 0 && prepare(fd, AF_UNIX) == 0) return adopt(fd, 1, s, why);
  explain(why, strerror(errno));
  if (fd >= 0) (void)close(fd);
  return EVL_ECONNECT;
}

void evl_socket_free(evl_socket *s) {
  if (s == NULL) return;
  redisFree(s->context);
  free(s);
}

int evl_socket_fd(const evl_socket *s) { return s->context->fd; }

int evl_socket_finish(evl_socket *s, char *why) {
  int fd = evl_socket_fd(s), failed = 0;
  socklen_t len = sizeof failed;
  struct pollfd p;

  p.fd = fd;
  p.events = POLLOUT;
  p.revents = 0;
  if (poll(&p, 1, 0) <= 0) return EVL_AGAIN;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0) failed = errno;
  if (failed == 0) return EVL_OK;
  explain(why, strerror(failed));
  return EVL_ECONNECT;
}

int evl_socket_is_local(const evl_socket *s) { return s->local; }
