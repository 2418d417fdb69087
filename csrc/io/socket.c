/* Requests leave and replies come over a connection, whatever moves its bytes
 * (byte_ops.h); a caller that waits for a reply spins, or sleeps. */
#define _POSIX_C_SOURCE 200809L

#include "socket.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

/* --- for the tables of byte operations ----------------------------------- */

int evl_socket_failed(evl_socket *s, const char *why) {
  snprintf(s->error, sizeof s->error, "%s", why);
  return EVL_EIO;
}

int evl_socket_is_own(const evl_socket *s) {
  return s->owner == evl_process_id();
}

int evl_socket_read_within(evl_socket *s, char *bytes, size_t len, size_t *n,
                           size_t least, double seconds) {
  int status = s->ops->read(s, bytes, len, n);

  (void)least;
  if (status != EVL_AGAIN) return status;
  (void)evl_socket_wait(s->fd, s->wants, seconds);
  return s->ops->read(s, bytes, len, n);
}

/* --- moving bytes -------------------------------------------------------- */

/* A child that was forked while its parent waited must neither take what is its
 * parent's nor send between its parent's bytes. */
static int is_anothers(evl_socket *s) {
  if (evl_socket_is_own(s)) return 0;
  (void)evl_socket_failed(s, "the process that opened it has forked this one");
  return 1;
}

int evl_socket_send(evl_socket *s, evl_request *r) {
  size_t len, n = 0;
  const char *bytes = evl_request_bytes(r, &len);
  int status;

  if (len == 0) return EVL_OK;
  if (is_anothers(s)) return EVL_EIO;
  status = s->ops->write(s, bytes, len, &n);
  if (status != EVL_OK) return status;
  evl_request_sent(r, n);
  s->span = 0;
  return EVL_OK;
}

/* Feeds the decoder what can be read, after a sleep of up to so many seconds
 * for `least` bytes; 0: without one. Adds to *got how many bytes came. */
static int receive(evl_socket *s, evl_decoder *d, size_t least, double seconds,
                   size_t *got) {
  size_t len, n = 0;
  char *room = evl_decoder_reserve(d, &len);
  int status;

  if (room == NULL) return evl_decoder_feed(d, "", 0); /* says why */
  if (is_anothers(s)) return EVL_EIO;
  status = seconds > 0 ? s->ops->read_within(s, room, len, &n, least, seconds)
                       : s->ops->read(s, room, len, &n);
  if (status != EVL_OK) return status;
  evl_decoder_filled(d, n);
  *got += n;
  s->last_read_at = evl_now();
  s->span = 0;
  return EVL_OK;
}

int evl_socket_receive(evl_socket *s, evl_decoder *d) {
  size_t got = 0;

  return receive(s, d, 1, 0, &got);
}

/* Looks until so many bytes have come, or until `end`. */
static int look_for(evl_socket *s, evl_decoder *d, size_t least, double end,
                    size_t *got) {
  int status;

  do
    status = receive(s, d, 1, 0, got);
  while ((status == EVL_AGAIN || (status == EVL_OK && *got < least)) &&
         evl_now() < end);
  return status;
}

/* Seconds that a sleeper is left alone for until `least` bytes are there. */
#define LONGEST_HOLD 0.01

/* Sleeps until so many have come; but until there are any only, if that takes
 * too long: what goes wrong may be answered with less. */
static int sleep_for(evl_socket *s, evl_decoder *d, size_t least,
                     double deadline, size_t *got) {
  double began = evl_now(), left = deadline - began;
  int hold = least > 1 || *got > 0, status;

  if (hold && left > LONGEST_HOLD) left = LONGEST_HOLD;
  status = receive(s, d, least, left, got);
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

  if (deadline <= now) return receive(s, d, 1, 0, &got);
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
  now = got > 0 ? s->last_read_at : evl_now();
  evl_spin_end(spin, least > 0, 1e6 * (now - began));
  return status;
}

/* --- asking -------------------------------------------------------------- */

char evl_socket_wants(const evl_socket *s) { return s->wants; }

size_t evl_socket_pending(const evl_socket *s) { return s->ops->pending(s); }

const char *evl_socket_error(const evl_socket *s) { return s->error; }

double evl_socket_last_read_at(const evl_socket *s) { return s->last_read_at; }

int evl_socket_idle(evl_socket *s) {
  return evl_socket_is_own(s) && s->ops->pending(s) == 0 && s->ops->is_idle(s);
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
