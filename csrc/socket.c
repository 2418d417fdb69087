/* Sockets: connect, send, receive, wait. hiredis makes and closes them; bytes
 * are moved here, because hiredis writes without MSG_NOSIGNAL and would let a
 * closed peer kill the process with SIGPIPE. */
#define _POSIX_C_SOURCE 200809L

#include "eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE, in prepare() */
#endif

struct evl_socket {
  redisContext *context;
};

static void explain(char *why, const char *text) {
  snprintf(why, EVL_WHY_SIZE, "%s", text);
}

/* What hiredis leaves out: nothing is inherited by a program that is started,
 * and a small command leaves at once. */
static void prepare(int fd) {
  int on = 1;

  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

/* Takes the context, whatever became of it. */
static int adopt(redisContext *context, evl_socket **out, char *why) {
  evl_socket *s;

  *out = NULL;
  if (context == NULL) {
    explain(why, evl_strerror(EVL_ENOMEM));
    return EVL_ENOMEM;
  }
  if (context->err) {
    explain(why, context->errstr);
    redisFree(context);
    return EVL_ECONNECT;
  }
  s = malloc(sizeof *s);
  if (s == NULL) {
    redisFree(context);
    explain(why, evl_strerror(EVL_ENOMEM));
    return EVL_ENOMEM;
  }
  prepare(context->fd);
  s->context = context;
  *out = s;
  return EVL_OK;
}

int evl_socket_tcp(const char *host, int port, evl_socket **s, char *why) {
  return adopt(redisConnectNonBlock(host, port), s, why);
}

int evl_socket_unix(const char *path, evl_socket **s, char *why) {
  struct sockaddr_un address;

  /* hiredis would cut it, and connect to another one; of one that just fits it
   * leaves the last byte as it was. */
  if (strlen(path) >= sizeof address.sun_path - 1) {
    *s = NULL;
    explain(why, "the socket's path is too long");
    return EVL_ECONNECT;
  }
  return adopt(redisConnectUnixNonBlock(path), s, why);
}

int evl_socket_silent(evl_socket **s, char *why) {
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  redisContext *context;

  *s = NULL;
  if (fd < 0) {
    explain(why, strerror(errno));
    return EVL_ECONNECT;
  }
  context = redisConnectFd(fd);
  if (context == NULL) (void)close(fd);
  return adopt(context, s, why);
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
  n = send(evl_socket_fd(s), bytes, len, MSG_NOSIGNAL);
  if (n < 0) return would_block(errno) ? EVL_AGAIN : EVL_EIO;
  evl_request_sent(r, (size_t)n);
  return EVL_OK;
}

int evl_socket_receive(evl_socket *s, evl_decoder *d) {
  size_t len;
  char *room = evl_decoder_reserve(d, &len);
  ssize_t n;

  if (room == NULL) return evl_decoder_feed(d, "", 0); /* says why */
  n = recv(evl_socket_fd(s), room, len, 0);
  if (n < 0) return would_block(errno) ? EVL_AGAIN : EVL_EIO;
  if (n == 0) return EVL_EEOF;
  evl_decoder_filled(d, (size_t)n);
  return EVL_OK;
}

static double now(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int evl_socket_receive_soon(evl_socket *s, evl_decoder *d, evl_spin *spin) {
  long us = evl_spin_begin(spin);
  double end;
  int status;

  if (us <= 0) return EVL_AGAIN;
  end = now() + (double)us * 1e-6;
  do
    status = evl_socket_receive(s, d);
  while (status == EVL_AGAIN && now() < end);
  evl_spin_end(spin, status != EVL_AGAIN);
  return status;
}

int evl_socket_idle(const evl_socket *s) {
  char byte;
  ssize_t n = recv(evl_socket_fd(s), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

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
