/* A growing buffer of bytes: doubles, so that appending is cheap. */
#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>

char *evl_buffer_reserve(buffer *b, size_t len) {
  size_t capacity = b->capacity;
  char *bytes;

  /* A buffer without memory gets some even for len 0: NULL means no memory. */
  if (b->bytes != NULL && len <= capacity - b->len) return b->bytes + b->len;
  if (len > SIZE_MAX / 2 - b->len) return NULL;
  if (capacity < 256) capacity = 256;
  while (capacity < b->len + len)
    capacity *= 2;
  bytes = realloc(b->bytes, capacity);
  if (bytes == NULL) return NULL;
  b->bytes = bytes;
  b->capacity = capacity;
  return bytes + b->len;
}

void evl_buffer_clear(buffer *b) {
  if (b->capacity > BUFFER_KEEP) evl_buffer_deinit(b);
  b->len = 0;
}

void evl_buffer_deinit(buffer *b) {
  free(b->bytes);
  b->bytes = NULL;
  b->len = b->capacity = 0;
}
