/* What a decoder keeps: for decoder.c, which walks over a reply, and cursor.c,
 * which reads it. Not part of the public header. */
#ifndef EVL_DECODER_H
#define EVL_DECODER_H

#include "buffer.h"
#include "eventlog.h"

/* How deep replies may be nested: no command's goes beyond 5. */
enum { DEEPEST = 8 };

struct evl_decoder {
  buffer in;
  size_t start; /* of the reply at hand */
  size_t at;    /* where the walk is: behind the reply, once it is whole */
  int whole;
  int depth;                  /* arrays that the walk is in */
  uint64_t left[DEEPEST + 1]; /* items of each that are still to come */
  /* Where at each depth the last array begins, and the one before it. */
  size_t last[DEEPEST + 1], before[DEEPEST + 1];
  size_t
      arrays[DEEPEST + 1]; /* how many came at each depth, in the last list */
  uint64_t max_reply;      /* bytes */
  int status;
  char error[160];
};

#endif
