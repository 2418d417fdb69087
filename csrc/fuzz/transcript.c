/* What came out of a decoder, as bytes that can be compared. */
#include "transcript.h"

#include "fuzz.h"

#include <string.h>

void transcript_note(transcript *t, const void *bytes, size_t len) {
  if (len > t->capacity - t->len) {
    t->capacity = 2 * (t->len + len) + 4096;
    t->bytes = realloc(t->bytes, t->capacity);
    CHECK(t->bytes != NULL);
  }
  if (len > 0) memcpy(t->bytes + t->len, bytes, len);
  t->len += len;
}

void transcript_note_item(transcript *t, const evl_item *item) {
  transcript_note(t, &item->type, sizeof item->type);
  transcript_note(t, &item->len, sizeof item->len);
  transcript_note(t, &item->integer, sizeof item->integer);
  if (item->type == EVL_ITEM_STRING || item->type == EVL_ITEM_STATUS ||
      item->type == EVL_ITEM_ERROR) {
    CHECK(item->string != NULL);
    transcript_note(t, item->string, item->len);
  }
}

void transcript_compare(const transcript *a, const transcript *b) {
  CHECK(a->len == b->len);
  CHECK(a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
}

void transcript_deinit(transcript *t) {
  free(t->bytes);
  memset(t, 0, sizeof *t);
}
