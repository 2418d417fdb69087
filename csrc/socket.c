/* Sockets: connect, send, receive, wait. Each is the descriptor of a hiredis
 * context, which owns it. Connecting is done here, because hiredis 0.14 aborts
 * the process where memory runs out meanwhile; and so is moving bytes, because
 * it writes without MSG_NOSIGNAL and would let a closed peer kill the process
 * with SIGPIPE. */
#define _POSIX_C_SOURCE 200809L

#include "eventlog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE, in prepare() */
#endif

struct evl_socket {
  redisContext *context;
  long owner;     /* the process that opened it */
  double timeout; /* of a recv() that sleeps; negative: it never does */
  double heard;   /* when bytes came last */
  int local;      /* whether the peer is on this machine */
  int lowest;     /* from how many bytes on a sleeper is woken */
};

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

static int would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int evl_socket_send(evl_socket *s, evl_request *r) {
  size_t len;
  const char *bytes = evl_request_bytes(r, &len);
  ssize_t n;

  if (len == 0) return EVL_OK;
  n = send(evl_socket_fd(s), bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0) return would_block(errno) ? EVL_AGAIN : EVL_EIO;
  evl_request_sent(r, (size_t)n);
  return EVL_OK;
}

/* Adds to *got how many bytes came. */
static int receive(evl_socket *s, evl_decoder *d, int flags, size_t *got) {
  size_t len;
  char *room = evl_decoder_reserve(d, &len);
  ssize_t n;

  if (room == NULL) return evl_decoder_feed(d, "", 0); /* says why */
  n = recv(evl_socket_fd(s), room, len, flags);
  if (n < 0) return would_block(errno) ? EVL_AGAIN : EVL_EIO;
  if (n == 0) return EVL_EEOF;
  evl_decoder_filled(d, (size_t)n);
  *got += (size_t)n;
  s->heard = evl_now();
  return EVL_OK;
}

int evl_socket_receive(evl_socket *s, evl_decoder *d) {
  size_t got = 0;

  return receive(s, d, MSG_DONTWAIT, &got);
}

double evl_socket_heard(const evl_socket *s) { return s->heard; }

int evl_socket_is_local(const evl_socket *s) { return s->local; }

/* How much longer than asked a recv() may sleep, so that its time need not be
 * set for each. */
#define SLACK 0.01

/* Lets recv() sleep for so many seconds: a system call less than poll() before
 * it. Returns 0 where that cannot be. */
static int let_sleep(evl_socket *s, double seconds) {
  int fd = evl_socket_fd(s), flags;
  struct timeval t;

  if (seconds > 86400) seconds = 86400;
  if (s->timeout >= seconds && s->timeout <= seconds + SLACK) return 1;
  if (s->timeout < 0 && ((flags = fcntl(fd, F_GETFL)) < 0 ||
                         fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0))
    return 0;
  seconds += SLACK / 2; /* and never none at all, which would be for ever */
  t.tv_sec = (time_t)seconds;
  t.tv_usec = (suseconds_t)((seconds - (double)t.tv_sec) * 1e6);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) != 0) return 0;
  s->timeout = seconds;
  return 1;
}

/* The most bytes that a sleeper is left alone for, and seconds. */
enum { MOST_AWAITED = 64 * 1024 };
#define LONGEST_HOLD 0.01

/* From how many bytes on a sleeper is woken. */
static void wake_from(evl_socket *s, size_t least) {
  int lowest = (int)(least < 1              ? 1
                     : least < MOST_AWAITED ? least
                                            : MOST_AWAITED);

  if (lowest != s->lowest &&
      setsockopt(evl_socket_fd(s), SOL_SOCKET, SO_RCVLOWAT, &lowest,
                 sizeof lowest) == 0)
    s->lowest = lowest;
}

/* Looks until so many bytes have come, or until `end`. */
static int look_for(evl_socket *s, evl_decoder *d, size_t least, double end,
                    size_t *got) {
  int status;

  do
    status = receive(s, d, MSG_DONTWAIT, got);
  while ((status == EVL_AGAIN || (status == EVL_OK && *got < least)) &&
         evl_now() < end);
  return status;
}

/* Sleeps until so many have come; but until there are any only, where that
 * takes too long: what goes wrong may be answered with less. */
static int sleep_for(evl_socket *s, evl_decoder *d, size_t least,
                     double deadline, size_t *got) {
  double began = evl_now(), left = deadline - began;
  int fd = evl_socket_fd(s), status;

  if (left <= 0) return receive(s, d, MSG_DONTWAIT, got);
  wake_from(s, least);
  if (least <= 1 && let_sleep(s, left)) return receive(s, d, 0, got);
  if (least > 1 && left > LONGEST_HOLD) left = LONGEST_HOLD;
  (void)evl_socket_wait(fd, 'r', left);
  status = receive(s, d, MSG_DONTWAIT, got);
  if (status != EVL_AGAIN || *got > 0 || evl_now() - began < left)
    return status;
  return sleep_for(s, d, 1, deadline, got);
}

int evl_socket_await(evl_socket *s, evl_decoder *d, evl_spin *spin,
                     size_t least, double deadline) {
  double began = evl_now(), end;
  size_t got = 0;
  int status = EVL_AGAIN;
  long us;

  if (deadline <= began) return receive(s, d, MSG_DONTWAIT, &got);
  us = evl_spin_begin(spin);
  end = fmin(deadline, began + (double)us * 1e-6);
  if (us > 0) status = look_for(s, d, least, end, &got);
  if (status == EVL_AGAIN || (status == EVL_OK && got < least))
    status = sleep_for(s, d, got < least ? least - got : 1, deadline, &got);
  /* An error comes again, behind what came before it. */
  if (got > 0) status = EVL_OK;
  evl_spin_end(spin, 1e6 * ((got > 0 ? s->heard : evl_now()) - began));
  return status;
}

/* Seconds after an answer in which nobody can have learned that the server has
 * closed the connection since: that takes another round trip. A system call
 * less for who adds one entry behind the other. */
#define ROUND_TRIP 5e-6

int evl_socket_idle(const evl_socket *s) {
  char byte;
  ssize_t n;

  if (s->owner != evl_process_id()) return 0;
  if (evl_now() - s->heard < ROUND_TRIP) return 1;
  n = recv(evl_socket_fd(s), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && would_block(errno);
}

void evl_socket_shutdown(evl_socket *s) {
  (void)shutdown(evl_socket_fd(s), SHUT_RDWR);
}

int evl_socket_wait(int fd, char mode, double seconds) {
  struct pollfd p;
  int ms = -1;

  if (seconds >= 0) /* up, so that a wait does not end just before its time */
    ms = seconds > 86400 ? 86400 * 1000 : (int)ceil(seconds * 1000);
  p.fd = fd;
  p.events = mode == 'w' ? POLLOUT : POLLIN;
  p.revents = 0;
  return poll(&p, 1, ms) > 0;
}
