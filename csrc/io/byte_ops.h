/* How a connection moves bytes: a table of operations. The plain socket is one
 * table (plain_bytes.c); TLS is another, and nothing above the table changes.
 * Above it are socket.c, which spins, sleeps and keeps the time, and what calls
 * that. Not part of the public header.
 *
 * - No operation waits, but for read_within.
 * - EVL_AGAIN means that nothing was moved; the operation has set s->wants to
 *   'r' or 'w', what the descriptor must be ready for before it can go on. That
 *   is the operation's to say: TLS reads in order to write, and the reverse.
 * - EVL_EIO means that the connection is of no more use for this operation; the
 *   operation has called evl_socket_failed() with the reason.
 */
#ifndef EVL_BYTE_OPS_H
#define EVL_BYTE_OPS_H

#include "eventlog.h"

typedef struct evl_byte_ops {
  /* Begins, or goes on with, what comes before the first byte, on a connected
   * descriptor. EVL_OK: it is over. EVL_AGAIN. EVL_ECONNECT: why, a buffer of
   * EVL_WHY_SIZE, says so. EVL_ENOMEM. */
  int (*handshake)(evl_socket *s, char *why);
  /* Reads up to len bytes, at least one: *n is how many. EVL_OK, EVL_AGAIN,
   * EVL_EEOF (the peer closed the connection), EVL_EIO, EVL_ENOMEM. */
  int (*read)(evl_socket *s, char *bytes, size_t len, size_t *n);
  /* The same, and sleeps for up to `seconds` (above 0) until there is
   * something to read; if it can help that, until there are `least` bytes. May
   * end early with EVL_AGAIN, and does so if a signal comes.
   * evl_socket_read_within() is one for a table that has no better. */
  int (*read_within)(evl_socket *s, char *bytes, size_t len, size_t *n,
                     size_t least, double seconds);
  /* Writes up to len bytes, at least one: *n is how many. EVL_OK, EVL_AGAIN
   * (the next write begins with the same bytes, perhaps at another address),
   * EVL_EIO, EVL_ENOMEM. */
  int (*write)(evl_socket *s, const char *bytes, size_t len, size_t *n);
  /* How many bytes read() has without the descriptor, which then need not be
   * readable: those that are decrypted already. */
  size_t (*pending)(const evl_socket *s);
  /* 1 if the peer has neither closed the connection nor sent bytes for read().
   * Takes in what the peer may send at any time and that is none of these, such
   * as a session ticket. */
  int (*is_idle)(evl_socket *s);
  /* Frees s->state; the caller closes the descriptor then. In another process
   * than the one that opened the socket (evl_socket_is_own) it says nothing to
   * the peer, which is the parent's. */
  void (*close)(evl_socket *s);
} evl_byte_ops;

/* Bytes as they are. */
extern const evl_byte_ops evl_plain_bytes;

/* Gives a socket that is not connected yet another table. The socket takes
 * `state`, which the table's close frees. */
void evl_socket_use(evl_socket *s, const evl_byte_ops *ops, void *state);
/* Says why an operation returns EVL_EIO, which is returned. The text is copied,
 * and cut to EVL_WHY_SIZE. */
int evl_socket_failed(evl_socket *s, const char *why);
/* Whether this process opened it. */
int evl_socket_is_own(const evl_socket *s);
/* A read_within made of read and poll(). */
int evl_socket_read_within(evl_socket *s, char *bytes, size_t len, size_t *n,
                           size_t least, double seconds);

#endif
