/* What came out of a decoder, as bytes that can be compared. */
#ifndef EVL_FUZZ_TRANSCRIPT_H
#define EVL_FUZZ_TRANSCRIPT_H

#include "eventlog.h"

typedef struct transcript {
  char *bytes;
  size_t len, capacity;
} transcript;

/* Appends. A string counts only where the item has one. */
void transcript_note(transcript *t, const void *bytes, size_t len);
void transcript_note_item(transcript *t, const evl_item *item);
/* Fails unless both are the same. */
void transcript_compare(const transcript *a, const transcript *b);
void transcript_deinit(transcript *t);

#endif
