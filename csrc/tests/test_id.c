#include "test_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX UINT64_MAX
#define MAX_TEXT "18446744073709551615"
#define OVER_TEXT "18446744073709551616"

static evl_id make(uint64_t ms, uint64_t seq) {
  evl_id id;

  id.ms = ms;
  id.seq = seq;
  return id;
}

static void assert_id(evl_id id, uint64_t ms, uint64_t seq) {
  if (id.ms != ms || id.seq != seq)
    fail_msg("%" PRIu64 "-%" PRIu64 " should be %" PRIu64 "-%" PRIu64, id.ms,
             id.seq, ms, seq);
}

static void parse_reads_ms_and_seq(void **state) {
  static const struct {
    const char *text;
    uint64_t ms, seq;
  } cases[] = {
      {"0-0", 0, 0},
      {"0-1", 0, 1},
      {"1-0", 1, 0},
      {"1700000000000-3", UINT64_C(1700000000000), 3},
      {"9-9", 9, 9},
      {"10-10", 10, 10},
      {MAX_TEXT "-" MAX_TEXT, MAX, MAX},
      {MAX_TEXT "-0", MAX, 0},
      {"0-" MAX_TEXT, 0, MAX},
      {"18446744073709551614-18446744073709551609", MAX - 1, MAX - 6},
      {"0", 0, 0},
      {"7", 7, 0},
      {MAX_TEXT, MAX, 0},
      {"007-0010", 7, 10},
      {"0000000000000000000000000000001-2", 1, 2},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    size_t len = strlen(cases[i].text);
    evl_id id = {77, 77};
    if (evl_id_parse(guarded(cases[i].text, len), len, &id) != EVL_OK)
      fail_msg("\"%s\" is an id", cases[i].text);
    assert_id(id, cases[i].ms, cases[i].seq);
  }
}

static void parse_refuses_all_else(void **state) {
  static const struct {
    const char *text;
    size_t len;
  } cases[] = {
      {LIT("")},
      {LIT("-")},
      {LIT("--")},
      {LIT("1-")},
      {LIT("-1")},
      {LIT("-1-1")},
      {LIT("1--1")},
      {LIT("1-1-")},
      {LIT("1-1-1")},
      {LIT("+1-1")},
      {LIT("1-+1")},
      {LIT(" 1-1")},
      {LIT("1 -1")},
      {LIT("1- 1")},
      {LIT("1-1 ")},
      {LIT("1-1\n")},
      {LIT("1-1\r\n")},
      {LIT("\0")},
      {LIT("1\0")},
      {LIT("1-1\0")},
      {LIT("1\0-1")},
      {LIT("1-\0")},
      {LIT("0x1-0")},
      {LIT("1-0x1")},
      {LIT("1.0-1")},
      {LIT("1e3-1")},
      {LIT("a")},
      {LIT("1-a")},
      {LIT("1a-1")},
      {LIT("a1-1")},
      {LIT("1:1")},
      {LIT("1/1")},
      {LIT("1_1")},
      {LIT("$")},
      {LIT("*")},
      {LIT("+")},
      {LIT("1-*")},
      {LIT("(1-1")},
      {LIT("1-1)")},
      {LIT("\xd9\xa1-1")}, /* ARABIC-INDIC DIGIT ONE */
      {LIT("\xb1-1")},     /* '1' with its high bit set */
      {LIT(OVER_TEXT)},
      {LIT(OVER_TEXT "-0")},
      {LIT("0-" OVER_TEXT)},
      {LIT(MAX_TEXT "-" OVER_TEXT)},
      {LIT("18446744073709551620-0")},
      {LIT("184467440737095516150-0")},
      {LIT("99999999999999999999-0")},
      {LIT("0-99999999999999999999")},
      {LIT("36893488147419103232-0")}, /* 2^65: comes back to 0 */
      {LIT("1-1111111111111111111111111111111111111111111111111111")},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    const char *text = guarded(cases[i].text, cases[i].len);
    evl_id id;
    if (evl_id_parse(text, cases[i].len, &id) != EVL_EINVAL)
      fail_msg("\"%s\" (case %zu) is no id", cases[i].text, i);
  }
}

static void parse_takes_null_for_nothing(void **state) {
  evl_id id;

  (void)state;
  assert_int_equal(evl_id_parse(NULL, 0, &id), EVL_EINVAL);
}

/* Only the digits up to the given length count. */
static void parse_stops_at_the_length(void **state) {
  evl_id id;

  (void)state;
  assert_int_equal(evl_id_parse("12-345", 5, &id), EVL_OK);
  assert_id(id, 12, 34);
  assert_int_equal(evl_id_parse("12-345", 2, &id), EVL_OK);
  assert_id(id, 12, 0);
  assert_int_equal(evl_id_parse("12-345", 3, &id), EVL_EINVAL);
}

static void assert_format(evl_id id) {
  char buf[EVL_ID_SIZE + 1], expected[64];
  size_t len;
  evl_id again;

  memset(buf, '#', sizeof buf);
  len = evl_id_format(id, buf);
  snprintf(expected, sizeof expected, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
  assert_int_equal(len, strlen(expected));
  assert_memory_equal(buf, expected, len);
  assert_true(len <= EVL_ID_SIZE);
  assert_int_equal(buf[len], '#'); /* no NUL, and nothing behind the end */
  assert_int_equal(evl_id_parse(guarded(buf, len), len, &again), EVL_OK);
  assert_id(again, id.ms, id.seq);
}

static void format_is_read_back(void **state) {
  uint64_t power = 1, seed = 1;
  int i;

  (void)state;
  assert_format(make(0, 0));
  assert_format(make(MAX, MAX));
  assert_format(make(MAX, 0));
  assert_format(make(0, MAX));
  for (i = 0; i < 20; i++, power *= 10) {
    assert_format(make(power, power - 1));
    assert_format(make(power - 1, power));
    assert_format(make(power + 1, MAX - power));
  }
  for (i = 0; i < 64; i++)
    assert_format(make(UINT64_C(1) << i, MAX >> i));
  for (i = 0; i < 1000; i++) {
    uint64_t ms = next_random(&seed) >> (i % 64);
    assert_format(make(ms, next_random(&seed) >> (i / 64 % 64)));
  }
}

static void compare_orders_by_ms_then_seq(void **state) {
  const evl_id rising[] = {
      {0, 0},
      {0, 1},
      {0, MAX},
      {1, 0},
      {1, 1},
      {0x7fffffff, 0},
      {0x80000000, 0},
      {UINT64_C(0x7fffffffffffffff), MAX},
      {UINT64_C(0x8000000000000000), 0},
      {MAX, 0},
      {MAX, UINT64_C(0x8000000000000000)},
      {MAX, MAX},
  };
  size_t a, b;

  (void)state;
  for (a = 0; a < COUNT(rising); a++)
    for (b = 0; b < COUNT(rising); b++) {
      int order = evl_id_compare(rising[a], rising[b]);
      assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
    }
}

static void next_and_prev_step_by_one(void **state) {
  static const evl_id pairs[][2] = {
      {{0, 0}, {0, 1}},
      {{0, 1}, {0, 2}},
      {{0, MAX - 1}, {0, MAX}},
      {{0, MAX}, {1, 0}},
      {{5, 41}, {5, 42}},
      {{5, MAX}, {6, 0}},
      {{0xffffffff, MAX}, {UINT64_C(0x100000000), 0}},
      {{0, 0xffffffff}, {0, UINT64_C(0x100000000)}},
      {{MAX - 1, MAX}, {MAX, 0}},
      {{MAX, MAX - 1}, {MAX, MAX}},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(pairs); i++) {
    evl_id id = pairs[i][0];
    assert_int_equal(evl_id_next(&id), EVL_OK);
    assert_id(id, pairs[i][1].ms, pairs[i][1].seq);
    assert_int_equal(evl_id_prev(&id), EVL_OK);
    assert_id(id, pairs[i][0].ms, pairs[i][0].seq);
  }
}

static void next_and_prev_end_at_the_edges(void **state) {
  evl_id last = {MAX, MAX}, first = {0, 0};

  (void)state;
  assert_int_equal(evl_id_next(&last), EVL_ERANGE);
  assert_id(last, MAX, MAX);
  assert_int_equal(evl_id_prev(&first), EVL_ERANGE);
  assert_id(first, 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parse_reads_ms_and_seq),
      cmocka_unit_test(parse_refuses_all_else),
      cmocka_unit_test(parse_takes_null_for_nothing),
      cmocka_unit_test(parse_stops_at_the_length),
      cmocka_unit_test(format_is_read_back),
      cmocka_unit_test(compare_orders_by_ms_then_seq),
      cmocka_unit_test(next_and_prev_step_by_one),
      cmocka_unit_test(next_and_prev_end_at_the_edges),
  };
  return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
