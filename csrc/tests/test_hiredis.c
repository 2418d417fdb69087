/* The decoder is held against hiredis's reader: what both take of the same
 * bytes is the same, and the decoder takes nothing that hiredis refuses. */
#include "hiredis_reader.h"
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- random replies ------------------------------------------------------ */

typedef struct bytes {
  char at[4096];
  size_t len;
} bytes;

static void put(bytes *b, const char *at, size_t len) {
  if (len > sizeof b->at - b->len) len = sizeof b->at - b->len;
  memcpy(b->at + b->len, at, len);
  b->len += len;
}

static void put_number(bytes *b, char mark, long long number) {
  char line[32];

  put(b, line, (size_t)snprintf(line, sizeof line, "%c%lld\r\n", mark, number));
}

/* Any bytes in a string, but no line's end in a status or an error. */
static void put_text(bytes *b, uint64_t *seed, size_t len, int is_line) {
  static const char some[] = "$*:+-0123456789 a\r\n\0\xff";

  while (len-- > 0) {
    const char *c = some + next_random(seed) % (sizeof some - 1);
    put(b, is_line && (*c == '\r' || *c == '\n') ? "x" : c, 1);
  }
  put(b, "\r\n", 2);
}

static void put_reply(bytes *b, uint64_t *seed, int depth) {
  uint64_t kind = next_random(seed) % 8, i, count;

  if (kind >= 5 && depth == 8) kind = 0;
  switch (kind) {
  case 0: put_number(b, ':', (long long)next_random(seed)); return;
  case 1: put_number(b, ':', (long long)(next_random(seed) % 20) - 9); return;
  case 2: put_number(b, next_random(seed) % 2 ? '$' : '*', -1); return;
  case 3:
    put(b, next_random(seed) % 2 ? "+" : "-", 1);
    put_text(b, seed, next_random(seed) % 9, 1);
    return;
  case 4:
    count = next_random(seed) % 120;
    put_number(b, '$', (long long)count);
    put_text(b, seed, count, 0);
    return;
  default:
    count = next_random(seed) % 4;
    put_number(b, '*', (long long)count);
    for (i = 0; i < count; i++)
      put_reply(b, seed, depth + 1);
  }
}

/* --- both ---------------------------------------------------------------- */

/* What was read, item by item. */
typedef struct seen {
  char at[65536];
  size_t len;
} seen;

static void add(seen *s, const void *at, size_t len) {
  assert_true(len <= sizeof s->at - s->len);
  memcpy(s->at + s->len, at, len);
  s->len += len;
}

static void note(void *to, const evl_item *item) {
  seen *s = to;

  add(s, &item->type, sizeof item->type);
  add(s, &item->len, sizeof item->len);
  add(s, &item->integer, sizeof item->integer);
  if (item->type != EVL_ITEM_ARRAY) add(s, item->string, item->len);
}

static void note_reply(seen *s, const evl_decoder *d) {
  evl_cursor c = evl_cursor_start(d);
  evl_item item;

  while (evl_cursor_next(&c, &item) == EVL_OK)
    note(s, &item);
}

/* Feeds them to both, in pieces of random sizes. Returns how many replies the
 * decoder has taken, each of which hiredis has read alike; *status is what it
 * says in the end, *theirs what hiredis says. */
static size_t read_both(const bytes *b, uint64_t *seed, int *status,
                        int *theirs) {
  static seen ours, hiredis;
  evl_decoder *d = evl_decoder_new();
  hiredis_reader *r = hiredis_reader_new(note, &hiredis);
  size_t at = 0, count = 0;

  assert_non_null(d);
  *status = EVL_AGAIN;
  *theirs = 0;
  ours.len = hiredis.len = 0;
  while (at < b->len && *status == EVL_AGAIN && *theirs == 0) {
    size_t len = 1 + (size_t)(next_random(seed) % 64);

    if (len > b->len - at) len = b->len - at;
    assert_int_equal(evl_decoder_feed(d, b->at + at, len), EVL_OK);
    hiredis_reader_feed(r, b->at + at, len);
    at += len;
    while ((*status = evl_decoder_next(d)) == EVL_OK) {
      *theirs = hiredis_reader_next(r);
      if (hiredis_reader_is_stricter(r)) break;
      if (*theirs != 1)
        fail_msg("hiredis does not take it: %.*s", (int)at, b->at);
      ours.len = 0;
      note_reply(&ours, d);
      if (ours.len != hiredis.len || memcmp(ours.at, hiredis.at, ours.len) != 0)
        fail_msg("hiredis reads it otherwise: %.*s", (int)at, b->at);
      hiredis.len = 0;
      count++;
    }
    if (*status == EVL_AGAIN) *theirs = hiredis_reader_next(r);
    /* What it lacks a byte of, hiredis cannot have. */
    if (*status == EVL_AGAIN) assert_true(*theirs <= 0);
  }
  evl_decoder_free(d);
  hiredis_reader_free(r);
  return count;
}

static void replies_are_read_as_hiredis_reads_them(void **state) {
  uint64_t seed = 1;
  int round, status, theirs;

  (void)state;
  for (round = 0; round < 10000; round++) {
    bytes b = {"", 0};
    size_t replies = 1 + (size_t)(next_random(&seed) % 4), i;

    for (i = 0; i < replies; i++)
      put_reply(&b, &seed, 1);
    if (b.len == sizeof b.at) continue; /* cut off */
    assert_int_equal(read_both(&b, &seed, &status, &theirs), replies);
    assert_int_equal(status, EVL_AGAIN);
    assert_int_equal(theirs, 0);
  }
}

/* A few bytes of them are others, or missing, or there twice. */
static void spoil(bytes *b, uint64_t *seed) {
  static const char some[] = "$*:+-0019\r\n x%_,#(>~=";
  uint64_t faults = 1 + next_random(seed) % 3;

  while (faults-- > 0 && b->len > 0 && b->len < sizeof b->at) {
    char *at = b->at + next_random(seed) % b->len;
    size_t behind = (size_t)(b->at + b->len - at);

    switch (next_random(seed) % 3) {
    case 0: *at = some[next_random(seed) % (sizeof some - 1)]; break;
    case 1:
      memmove(at, at + 1, behind - 1);
      b->len--;
      break;
    default: memmove(at + 1, at, behind); b->len++;
    }
  }
}

static void what_hiredis_refuses_is_not_taken(void **state) {
  uint64_t seed = 2;
  size_t taken = 0, refused = 0;
  int round, status, theirs;

  (void)state;
  for (round = 0; round < 30000; round++) {
    bytes b = {"", 0};

    put_reply(&b, &seed, 1);
    put_reply(&b, &seed, 1);
    spoil(&b, &seed);
    taken += read_both(&b, &seed, &status, &theirs);
    refused += status != EVL_AGAIN;
  }
  assert_true(taken > 15000 && refused > 3000); /* it has seen both */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(replies_are_read_as_hiredis_reads_them),
      cmocka_unit_test(what_hiredis_refuses_is_not_taken),
  };
  return cmocka_run_group_tests_name("hiredis", tests, NULL, NULL);
}
