/* Bytes move over sockets here, and who waits for them spins or sleeps. hiredis
 * moves none: it writes without MSG_NOSIGNAL, and would let a peer that closes
 * kill the process with SIGPIPE. */
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE /* MSG_DONTWAIT */

#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE, in socket_open.c */
#endif

static int would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* What errno means for the caller. */
static int status_of(evl_socket *s, int error) {
  if (would_block(error)) return EVL_AGAIN;
  s->error = error;
  return EVL_EIO;
}

int evl_socket_send(evl_socket *s, evl_request *r) {
  size_t len;
  const char *bytes = evl_request_bytes(r, &len);
  ssize_t n;

  if (len == 0) return EVL_OK;
  n = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0) return status_of(s, errno);
  evl_request_sent(r, (size_t)n);
  s->span = 0;
  return EVL_OK;
}

/* Adds to *got how many bytes came. */
static int receive(evl_socket *s, evl_decoder *d, int flags, size_t *got) {
  size_t len;
  char *room = evl_decoder_reserve(d, &len);
  ssize_t n;

  if (room == NULL) return evl_decoder_feed(d, "", 0); /* says why */
  n = recv(s->fd, room, len, flags);
  if (n < 0) return status_of(s, errno);
  if (n == 0) return EVL_EEOF;
  evl_decoder_filled(d, (size_t)n);
  *got += (size_t)n;
  s->heard = evl_now();
  s->span = 0;
  return EVL_OK;
}

int evl_socket_receive(evl_socket *s, evl_decoder *d) {
  size_t got = 0;

  return receive(s, d, MSG_DONTWAIT, &got);
}

double evl_socket_heard(const evl_socket *s) { return s->heard; }

#ifdef __linux__

/* Lets recv() sleep for most of so many seconds: a system call less than poll()
 * before it, and SO_RCVTIMEO need not be set for each. The kernel rounds that
 * up by as much as an eighth, so the last part of a wait is poll()'s, as are
 * short ones. Ends when a signal comes, whatever its handler's flags. Returns 0
 * where it must not be. */
static int let_sleep(evl_socket *s, double seconds) {
  int fd = s->fd, flags;
  struct timeval t;

  if (seconds < 1) return 0;
  if (seconds > 86400) seconds = 86400;
  if (s->timeout >= 0.7 * seconds && s->timeout <= 0.87 * seconds) return 1;
  if (s->timeout < 0 && ((flags = fcntl(fd, F_GETFL)) < 0 ||
                         fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0))
    return 0;
  seconds *= 0.85;
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

/* The most bytes that a sleeper is left alone for, and seconds. */
enum { MOST_AWAITED = 64 * 1024 };
#define LONGEST_HOLD 0.01

/* From how many bytes on a sleeper is woken. */
static void wake_from(evl_socket *s, size_t least) {
  int lowest = (int)(least < 1              ? 1
                     : least < MOST_AWAITED ? least
                                            : MOST_AWAITED);

  if (lowest != s->lowest &&
      setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &lowest, sizeof lowest) == 0)
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
  int hold = least > 1 || *got > 0, status;

  if (left <= 0) return receive(s, d, MSG_DONTWAIT, got);
  wake_from(s, least);
  if (!hold && let_sleep(s, left)) return receive(s, d, 0, got);
  if (hold && left > LONGEST_HOLD) left = LONGEST_HOLD;
  (void)evl_socket_wait(s->fd, 'r', left);
  status = receive(s, d, MSG_DONTWAIT, got);
  if (!hold || status != EVL_AGAIN || *got > 0 || evl_now() - began < left)
    return status;
  return sleep_for(s, d, 1, deadline, got);
}

/* Seconds that are spun at once, so that the caller sees a signal. */
#define LONGEST_LOOK 0.01

int evl_socket_await(evl_socket *s, evl_decoder *d, evl_spin *spin,
                     size_t least, double deadline) {
  double now = evl_now(), began = s->span > 0 ? s->span : now;
  double spin_end = began + 1e-6 * (double)evl_spin_begin(spin, least > 0);
  size_t got = 0;
  int status;

  if (deadline <= now) return receive(s, d, MSG_DONTWAIT, &got);
  if (now < spin_end) {
    double end = fmin(spin_end, now + LONGEST_LOOK);
    status = look_for(s, d, least, fmin(deadline, end), &got);
    if (got == 0) {
      s->span = status == EVL_AGAIN && end < deadline ? began : 0;
      return status;
    }
    /* Errors come again. */
    if (got < least) (void)sleep_for(s, d, least - got, deadline, &got);
    status = EVL_OK;
  } else
    status = sleep_for(s, d, least, deadline, &got);
  now = got > 0 ? s->heard : evl_now();
  evl_spin_end(spin, least > 0, 1e6 * (now - began));
  return status;
}

int evl_socket_idle(const evl_socket *s) {
  char byte;
  ssize_t n;

  if (s->owner != evl_process_id()) return 0;
  n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && would_block(errno);
}

void evl_socket_shutdown(evl_socket *s) { (void)shutdown(s->fd, SHUT_RDWR); }

int evl_socket_wait(int fd, char mode, double seconds) {
  struct pollfd p;
  int ms = -1;

  if (seconds >= 0) /* up, so that a wait does not end just before its time */
    ms = seconds > 86400 ? 86400 * 1000 : (int)ceil(seconds * 1000);
  p.fd = fd;
  p.events = mode == 'r' ? POLLIN : mode == 'w' ? POLLOUT : POLLIN | POLLOUT;
  p.revents = 0;
  return poll(&p, 1, ms) > 0;
}
