#include "test_support.h"

/* How many of n waits spin, where each that does paid, or did not. */
static int spun(evl_spin *s, int n, int paid) {
  int count = 0;

  while (n-- > 0) {
    if (evl_spin_begin(s) == 0) continue;
    count++;
    evl_spin_end(s, paid);
  }
  return count;
}

static void zero_is_never(void **state) {
  evl_spin s;

  (void)state;
  evl_spin_init(&s, 0);
  assert_int_equal(spun(&s, 1000, 1), 0);
}

static void a_number_is_always(void **state) {
  evl_spin s;

  (void)state;
  evl_spin_init(&s, 35);
  assert_int_equal(evl_spin_begin(&s), 35);
  assert_int_equal(spun(&s, 1000, 0), 1000);
  assert_int_equal(spun(&s, 1000, 1), 1000);
}

/* Where there is one processor only it is never. */
static void by_itself_it_is_what_pays(void **state) {
  evl_spin s;

  (void)state;
  evl_spin_init(&s, -1);
  if (evl_spin_begin(&s) == 0) {
    assert_int_equal(spun(&s, 1000, 1), 0);
    return;
  }
  assert_int_equal(spun(&s, 1000, 1), 1000);
  /* Soon it stops, and tries again now and then. */
  assert_in_range(spun(&s, 1000, 0), 2, 30);
  /* Then it takes up what pays again. */
  assert_in_range(spun(&s, 1000, 1), 900, 1000);
  /* One failure among many successes is no reason to stop. */
  spun(&s, 1, 0);
  assert_int_equal(spun(&s, 100, 1), 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zero_is_never),
      cmocka_unit_test(a_number_is_always),
      cmocka_unit_test(by_itself_it_is_what_pays),
  };
  return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
