/* What the decoder's replies are held against. */
#include "decoder_truth.h"

#include "../tests/hiredis_reader.h"
#include "fuzz.h"
#include "transcript.h"

#include <stdio.h>
#include <string.h>

/* --- against the bytes --------------------------------------------------- */

typedef struct span {
  const char *at, *end;
} span;

static void expect(span *s, const char *bytes, size_t len) {
  CHECK((size_t)(s->end - s->at) >= len);
  CHECK(len == 0 || memcmp(s->at, bytes, len) == 0);
  s->at += len;
}

/* A mark, and the number as Redis writes it. */
static void expect_number(span *s, const char *mark, int64_t number) {
  char digits[24];

  snprintf(digits, sizeof digits, "%lld", (long long)number);
  expect(s, mark, 1);
  expect(s, digits, strlen(digits));
  expect(s, "\r\n", 2);
}

static void expect_item(span *s, const evl_item *item) {
  switch (item->type) {
  case EVL_ITEM_NIL:
    CHECK(s->at < s->end && (*s->at == '$' || *s->at == '*'));
    expect_number(s, s->at, -1);
    return;
  case EVL_ITEM_INTEGER: expect_number(s, ":", item->integer); return;
  case EVL_ITEM_ARRAY: expect_number(s, "*", (int64_t)item->len); return;
  case EVL_ITEM_STRING: expect_number(s, "$", (int64_t)item->len); break;
  case EVL_ITEM_STATUS: expect(s, "+", 1); break;
  case EVL_ITEM_ERROR: expect(s, "-", 1); break;
  }
  expect(s, item->string, item->len);
  expect(s, "\r\n", 2);
}

void check_against_bytes(const char *bytes, size_t len) {
  evl_decoder *d = evl_decoder_new();
  span s = {bytes, bytes + len};

  CHECK(d != NULL);
  CHECK(evl_decoder_feed(d, bytes, len) == EVL_OK);
  while (evl_decoder_next(d) == EVL_OK) {
    evl_cursor c = evl_cursor_start(d);
    evl_item item;

    while (evl_cursor_next(&c, &item) == EVL_OK)
      expect_item(&s, &item);
  }
  evl_decoder_free(d);
}

/* --- against hiredis ------------------------------------------------------ */

static void note_theirs(void *t, const evl_item *item) {
  transcript_note_item(t, item);
}

/* What the decoder takes, hiredis's reader takes, too, and reads alike. */
void check_against_hiredis(const char *bytes, size_t len) {
  transcript ours = {NULL, 0, 0}, theirs = {NULL, 0, 0};
  evl_decoder *d = evl_decoder_new();
  hiredis_reader *r = hiredis_reader_new(note_theirs, &theirs);
  evl_cursor c;
  evl_item item;

  CHECK(d != NULL);
  CHECK(evl_decoder_feed(d, bytes, len) == EVL_OK);
  hiredis_reader_feed(r, bytes, len);
  while (evl_decoder_next(d) == EVL_OK) {
    int status = hiredis_reader_next(r);

    if (hiredis_reader_is_stricter(r)) break;
    CHECK(status == 1);
    ours.len = 0;
    c = evl_cursor_start(d);
    while (evl_cursor_next(&c, &item) == EVL_OK)
      transcript_note_item(&ours, &item);
    transcript_compare(&ours, &theirs);
    theirs.len = 0;
  }
  evl_decoder_free(d);
  hiredis_reader_free(r);
  transcript_deinit(&ours);
  transcript_deinit(&theirs);
}
