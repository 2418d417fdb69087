/* Bytes as they are, over the socket itself. hiredis moves none: it writes
 * without MSG_NOSIGNAL, and would let a peer that closes kill the process with
 * SIGPIPE. */
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE /* MSG_DONTWAIT */

#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE, in socket_open.c */
#endif

static int would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* What errno means for the caller, who waits for `wants` if that helps. */
static int status_of(evl_socket *s, int error, char wants) {
  if (!would_block(error)) return evl_socket_failed(s, strerror(error));
  s->wants = wants;
  return EVL_AGAIN;
}

static int plain_handshake(evl_socket *s, char *why) {
  (void)s;
  (void)why;
  return EVL_OK;
}

static int receive(evl_socket *s, char *bytes, size_t len, size_t *n,
                   int flags) {
  ssize_t got = recv(s->fd, bytes, len, flags);

  if (got < 0) return status_of(s, errno, 'r');
  if (got == 0) return EVL_EEOF;
  *n = (size_t)got;
  return EVL_OK;
}

static int plain_read(evl_socket *s, char *bytes, size_t len, size_t *n) {
  return receive(s, bytes, len, n, MSG_DONTWAIT);
}

#ifdef __linux__

/* The kernel rounds SO_RCVTIMEO up by as much as an eighth, and a wait is not
 * to end late: recv() sleeps for SLEPT of it, and what is left is poll()'s. A
 * time-out that is set already is kept while it is between LEAST_SLEPT of a
 * wait (the rest costs another system call, but no more than once) and
 * MOST_SLEPT (an eighth more is 0.98 of the wait): deadlines that move a little
 * cost no setsockopt(). */
#define LEAST_SLEPT 0.7
#define SLEPT 0.85
#define MOST_SLEPT 0.87

/* Lets recv() sleep for most of so many seconds: that is a system call less
 * than poll() before it, and SO_RCVTIMEO need not be set for each. Waits below
 * a second are poll()'s. recv() ends when a signal comes, whatever its
 * handler's flags. Returns 0 if recv() must not sleep. */
static int let_sleep(evl_socket *s, double seconds) {
  int fd = s->fd, flags;
  struct timeval t;

  if (seconds < 1) return 0;
  if (seconds > 86400) seconds = 86400;
  if (s->timeout >= LEAST_SLEPT * seconds && s->timeout <= MOST_SLEPT * seconds)
    return 1;
  if (s->timeout < 0 && ((flags = fcntl(fd, F_GETFL)) < 0 ||
                         fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0))
    return 0;
  seconds *= SLEPT;
  t.tv_sec = (time_t)seconds;
  t.tv_usec = (suseconds_t)((seconds - (double)t.tv_sec) * 1e6);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) != 0) return 0;
  s->timeout = seconds;
  return 1;
}

#else

/* There recv() may go on sleeping after a signal, and send() may sleep, too. */
static int let_sleep(evl_socket *s, double seconds) {
  (void)s;
  (void)seconds;
  return 0;
}

#endif

/* The most bytes that a sleeper is left alone for. */
enum { MOST_AWAITED = 64 * 1024 };

/* From how many bytes on a sleeper is woken. */
static void wake_from(evl_socket *s, size_t least) {
  int lowest = (int)(least < 1              ? 1
                     : least < MOST_AWAITED ? least
                                            : MOST_AWAITED);

  if (lowest != s->lowest &&
      setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &lowest, sizeof lowest) == 0)
    s->lowest = lowest;
}

static int plain_read_within(evl_socket *s, char *bytes, size_t len, size_t *n,
                             size_t least, double seconds) {
  wake_from(s, least);
  if (let_sleep(s, seconds)) return receive(s, bytes, len, n, 0);
  (void)evl_socket_wait(s->fd, 'r', seconds);
  return receive(s, bytes, len, n, MSG_DONTWAIT);
}

static int plain_write(evl_socket *s, const char *bytes, size_t len,
                       size_t *n) {
  ssize_t sent = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

  if (sent < 0) return status_of(s, errno, 'w');
  *n = (size_t)sent;
  return EVL_OK;
}

static size_t plain_pending(const evl_socket *s) {
  (void)s;
  return 0;
}

static int plain_is_idle(evl_socket *s) {
  char byte;

  return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         would_block(errno);
}

static void plain_close(evl_socket *s) { (void)s; }

const evl_byte_ops evl_plain_bytes = {
    plain_handshake, plain_read,    plain_read_within, plain_write,
    plain_pending,   plain_is_idle, plain_close,
};
