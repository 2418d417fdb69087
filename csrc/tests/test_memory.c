/* Memory: how much hostile input can make the core take, and that what is no
 * longer needed is given back. */
#include "allocator.h"
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void huge_lengths_take_little_memory(void **state) {
  static const char *const cases[] = {
      "$2147483647\r\nabc",
      "$9223372036854775807\r\nabc",
      "*2147483647\r\n",
      "*9223372036854775807\r\n",
      "*2147483647\r\n*2147483647\r\n*2147483647\r\n:1\r\n",
      "%2147483647\r\n",
      "=2147483647\r\ntxt:",
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    evl_decoder *d;
    int status;
    size_t before = allocator_live(), largest;

    (void)allocator_largest();
    d = evl_decoder_new();
    assert_int_equal(evl_decoder_feed(d, cases[i], strlen(cases[i])), EVL_OK);
    status = evl_decoder_next(d);
    assert_true(status == EVL_ETOOLARGE || status == EVL_EPROTOCOL);
    evl_decoder_free(d);
    largest = allocator_largest();
    if (largest > 16384)
      fail_msg("%s made it take %zu bytes", cases[i], largest);
    assert_int_equal(allocator_live(), before);
  }
}

static void feed_page(evl_decoder *d) {
  static const char entry[] = "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n"
                              "$20\r\n01234567890123456789\r\n";

  int i;

  assert_int_equal(evl_decoder_feed(d, LIT("*20000\r\n")), EVL_OK);
  for (i = 0; i < 20000; i++)
    assert_int_equal(evl_decoder_feed(d, entry, sizeof entry - 1), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
}

/* Each reply takes the place of the one before it. */
static void replies_do_not_pile_up(void **state) {
  evl_decoder *d = evl_decoder_new();
  size_t one;
  int i;

  (void)state;
  feed_page(d);
  feed_page(d); /* by now all has its size */
  one = allocator_live();
  for (i = 0; i < 10; i++)
    feed_page(d);
  assert_true(allocator_live() <= one);
  evl_decoder_free(d);
}

/* As a socket does it: a reply of 4 MB that is never quite there. */
static void memory_follows_what_has_come(void **state) {
  size_t before = allocator_live(), came = 0, room;
  evl_decoder *d = evl_decoder_new();

  (void)state;
  assert_int_equal(evl_decoder_feed(d, LIT("*1\r\n$100000000\r\n")), EVL_OK);
  while (came < 4000000) {
    char *p = evl_decoder_reserve(d, &room);
    assert_non_null(p);
    if (room > 10000) room = 10000;
    memset(p, 'x', room);
    evl_decoder_filled(d, room);
    came += room;
    assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
    if (allocator_live() - before > 2 * (came + 64 * 1024) + 1024)
      fail_msg("%zu bytes for %zu", allocator_live() - before, came);
  }
  evl_decoder_free(d);
  assert_int_equal(allocator_live(), before);
}

/* A kilobyte more at a time. Statuses and errors are lines, as are numbers. */
static void a_line_without_end_is_refused(void **state) {
  const char *mark;
  char piece[1024];

  (void)state;
  memset(piece, '1', sizeof piece);
  for (mark = "+-:$*"; *mark != '\0'; mark++) {
    size_t before = allocator_live();
    evl_decoder *d = evl_decoder_new();
    int status = evl_decoder_feed(d, mark, 1), i;

    for (i = 0; i < 1024 && status != EVL_EPROTOCOL; i++) {
      assert_int_equal(evl_decoder_feed(d, piece, sizeof piece), EVL_OK);
      status = evl_decoder_next(d);
    }
    if (status != EVL_EPROTOCOL) fail_msg("%c goes on for ever", *mark);
    assert_true(allocator_live() - before <= 256 * 1024);
    evl_decoder_free(d);
  }
}

/* What is refused in pieces is refused whole. */
static void a_line_too_long_is_refused_however_it_comes(void **state) {
  enum { LONG = 100000 };
  char *line = malloc(LONG);
  int pieces;

  (void)state;
  assert_non_null(line);
  memset(line, 'x', LONG);
  for (pieces = 1; pieces <= 2; pieces++) {
    evl_decoder *d = evl_decoder_new();
    int status = EVL_AGAIN, i;

    line[0] = '-';
    memcpy(line + LONG - 2, "\r\n", 2);
    for (i = 0; i < pieces && status == EVL_AGAIN; i++) {
      size_t len = LONG / (size_t)pieces;
      assert_int_equal(evl_decoder_feed(d, line + (size_t)i * len, len),
                       EVL_OK);
      status = evl_decoder_next(d);
      if (i == 0 && pieces == 2) assert_int_equal(status, EVL_AGAIN);
    }
    if (status != EVL_EPROTOCOL) fail_msg("taken in %d pieces", pieces);
    evl_decoder_free(d);
  }
  free(line);
}

/* 64 KiB, and a little. */
static void trim_gives_memory_back(void **state) {
  size_t before = allocator_live();
  evl_decoder *d = evl_decoder_new();

  (void)state;
  feed_page(d);
  assert_true(allocator_live() - before > 1024 * 1024);
  evl_decoder_trim(d);
  if (allocator_live() - before > 66 * 1024)
    fail_msg("%zu bytes are kept", allocator_live() - before);
  feed_page(d); /* and it works still */
  evl_decoder_free(d);
  assert_int_equal(allocator_live(), before);
}

static void a_sent_request_gives_memory_back(void **state) {
  enum { LONG = 1000000, KEPT = 66 * 1024 };
  char *big = malloc(LONG);
  size_t before = allocator_live(), len;
  evl_request *r = evl_request_new();

  (void)state;
  assert_non_null(big);
  memset(big, 'x', LONG);
  evl_request_string(r, big, LONG);
  assert_true(allocator_live() - before > LONG);
  evl_request_bytes(r, &len);
  evl_request_sent(r, len);
  assert_true(allocator_live() - before <= KEPT);
  evl_request_string(r, big, LONG);
  evl_request_clear(r);
  assert_true(allocator_live() - before <= KEPT);
  evl_request_free(r);
  assert_int_equal(allocator_live(), before);
  free(big);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(huge_lengths_take_little_memory),
      cmocka_unit_test(replies_do_not_pile_up),
      cmocka_unit_test(memory_follows_what_has_come),
      cmocka_unit_test(a_line_without_end_is_refused),
      cmocka_unit_test(a_line_too_long_is_refused_however_it_comes),
      cmocka_unit_test(trim_gives_memory_back),
      cmocka_unit_test(a_sent_request_gives_memory_back),
  };
  if (!allocator_works()) {
    puts("left out: malloc is not ours");
    return 0;
  }
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
