/* What a socket is. Not part of the public header. */
#ifndef EVL_SOCKET_H
#define EVL_SOCKET_H

#include "byte_ops.h"
#include "eventlog.h"

struct evl_socket {
  const evl_byte_ops *ops;
  void *state; /* of ops */
  int fd;
  int connected;       /* the descriptor: the handshake comes next */
  int local;           /* whether the peer is on this machine */
  long owner;          /* the process that opened it */
  double last_read_at; /* when bytes came last, of evl_now(); 0: never */
  double span;         /* since when a wait has spun in vain; 0: it has not */
  double timeout; /* plain bytes: of a recv() that sleeps, in seconds; negative:
                     recv() never sleeps */
  int lowest;     /* plain bytes: from how many bytes on a sleeper is woken */
  char wants;     /* after EVL_AGAIN: 'r' or 'w' */
  char
      error[EVL_WHY_SIZE]; /* why EVL_EIO was returned last; "": it never was */
};

#endif
