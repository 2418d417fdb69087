/* What a socket is. Not part of the public header. */
#ifndef EVL_SOCKET_H
#define EVL_SOCKET_H

#include "eventlog.h"

struct evl_socket {
  int fd;
  long owner;     /* the process that opened it */
  double timeout; /* of a recv() that sleeps; negative: it never does */
  double heard;   /* when bytes came last */
  double span;    /* since when who waits has span in vain; 0: he has not */
  int error;      /* errno of what failed last; 0: nothing */
  int local;      /* whether the peer is on this machine */
  int lowest;     /* from how many bytes on a sleeper is woken */
};

#endif
