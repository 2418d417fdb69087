/* A growing buffer of bytes. Not part of the public header. */
#ifndef EVL_BUFFER_H
#define EVL_BUFFER_H

#include <stddef.h>

typedef struct buffer {
  char *bytes;
  size_t len, capacity;
} buffer;

/* What an empty buffer may keep. */
enum { BUFFER_KEEP = 64 * 1024 };

/* Room for len more bytes at the returned place, NULL if there is no
 * memory (the buffer is as it was). Add to ->len what was used. */
char *evl_buffer_reserve(buffer *b, size_t len);
/* Empties it, and frees what is beyond BUFFER_KEEP. */
void evl_buffer_clear(buffer *b);
void evl_buffer_deinit(buffer *b);

#endif
