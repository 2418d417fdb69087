#include "test_support.h"

#include <limits.h>
#include <string.h>

#define CODE(name, number, kind, text) name,
static const int codes[] = {EVL_ERRORS(CODE)};
#undef CODE

/* The codes are compiled into other people's programs: they never change. */
static void codes_have_their_numbers(void **state) {
  (void)state;
  assert_int_equal(EVL_OK, 0);
  assert_int_equal(EVL_AGAIN, 1);
  assert_int_equal(EVL_ENOMEM, -1);
  assert_int_equal(EVL_EINVAL, -2);
  assert_int_equal(EVL_ERANGE, -3);
  assert_int_equal(EVL_ECONNECT, -4);
  assert_int_equal(EVL_EIO, -5);
  assert_int_equal(EVL_EEOF, -6);
  assert_int_equal(EVL_ECLOSED, -7);
  assert_int_equal(EVL_EPROTOCOL, -8);
  assert_int_equal(EVL_EUNSUPPORTED, -9);
  assert_int_equal(EVL_ETOOLARGE, -10);
}

static void each_code_has_a_text_of_its_own(void **state) {
  size_t i, j;

  (void)state;
  for (i = 0; i < COUNT(codes); i++) {
    const char *text = evl_strerror(codes[i]);
    assert_non_null(text);
    assert_true(strlen(text) > 0);
    assert_string_not_equal(text, evl_strerror(12345));
    for (j = 0; j < i; j++)
      assert_string_not_equal(text, evl_strerror(codes[j]));
  }
  assert_string_equal(evl_strerror(EVL_ENOMEM), "not enough memory");
  assert_string_equal(evl_strerror(EVL_EPROTOCOL), "not a Redis reply");
}

static void each_code_has_a_kind(void **state) {
  (void)state;
  assert_string_equal(evl_error_kind(EVL_ENOMEM), "misuse");
  assert_string_equal(evl_error_kind(EVL_EINVAL), "misuse");
  assert_string_equal(evl_error_kind(EVL_ERANGE), "misuse");
  assert_string_equal(evl_error_kind(EVL_ECONNECT), "connection");
  assert_string_equal(evl_error_kind(EVL_EIO), "connection");
  assert_string_equal(evl_error_kind(EVL_EEOF), "connection");
  assert_string_equal(evl_error_kind(EVL_ECLOSED), "closed");
  assert_string_equal(evl_error_kind(EVL_EPROTOCOL), "protocol");
  assert_string_equal(evl_error_kind(EVL_EUNSUPPORTED), "unsupported");
}

static void any_number_has_a_text_and_a_kind(void **state) {
  static const int others[] = {EVL_OK, EVL_AGAIN, 2, -100, INT_MAX, INT_MIN};
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(others); i++) {
    assert_non_null(evl_strerror(others[i]));
    assert_non_null(evl_error_kind(others[i]));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codes_have_their_numbers),
      cmocka_unit_test(each_code_has_a_text_of_its_own),
      cmocka_unit_test(each_code_has_a_kind),
      cmocka_unit_test(any_number_has_a_text_and_a_kind),
  };
  return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
