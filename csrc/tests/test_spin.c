#include "test_support.h"

/* How many of n waits spin, each of which takes so long. */
static int spun(evl_spin *s, int unit, int n, double us) {
  int count = 0;

  while (n-- > 0) {
    if (evl_spin_begin(s, unit) > 0) count++;
    evl_spin_end(s, unit, us);
  }
  return count;
}

static void zero_is_never(void **state) {
  evl_spin s;

  (void)state;
  evl_spin_init(&s, 0, 1);
  assert_int_equal(spun(&s, 0, 1000, 1), 0);
  assert_int_equal(spun(&s, 1, 1000, 1), 0);
}

static void a_number_is_always(void **state) {
  evl_spin s;

  (void)state;
  evl_spin_init(&s, 35, 0);
  assert_int_equal(spun(&s, 0, 1000, 1e6), 1000);
  assert_int_equal(spun(&s, 1, 1000, 1e6), 1000);
  assert_int_equal(evl_spin_begin(&s, 0), 35);
  assert_int_equal(evl_spin_begin(&s, 1), 35);
}

/* What spins by itself; 0 where there is one processor only, and nobody does.
 */
static int by_itself(evl_spin *s, int local) {
  evl_spin_init(s, -1, local);
  return evl_spin_begin(s, 0) > 0;
}

static void by_itself_it_is_what_pays(void **state) {
  evl_spin s;

  (void)state;
  if (!by_itself(&s, 1)) {
    assert_int_equal(spun(&s, 0, 1000, 1), 0);
    return;
  }
  assert_int_equal(spun(&s, 0, 1000, 30), 1000);
  /* Longer than usual, but not much, and not too long. */
  assert_in_range(evl_spin_begin(&s, 0), 40, 80);
  assert_int_equal(spun(&s, 0, 1000, 90), 1000);
  assert_in_range(evl_spin_begin(&s, 0), 90, 100);
  /* Where waits are long it stops soon, and where they are short begins again.
   */
  assert_in_range(spun(&s, 0, 1000, 5e6), 1, 10);
  assert_in_range(spun(&s, 0, 1000, 30), 970, 999);
  /* One long wait among many short ones is no reason to stop. */
  spun(&s, 0, 1, 5e6);
  assert_int_equal(spun(&s, 0, 100, 30), 100);
}

/* Units take longer, and say nothing of others. */
static void units_are_waited_for_longer(void **state) {
  evl_spin s;

  (void)state;
  if (!by_itself(&s, 1)) return;
  assert_int_equal(spun(&s, 1, 100, 200), 100);
  assert_in_range(evl_spin_begin(&s, 1), 300, 400);
  assert_in_range(evl_spin_begin(&s, 0), 50, 100);
  assert_in_range(spun(&s, 1, 100, 5e6), 1, 10);
  assert_int_equal(spun(&s, 0, 100, 30), 100);
}

/* What is saved is little beside the way. */
static void over_a_network_it_is_less(void **state) {
  evl_spin s;

  (void)state;
  if (!by_itself(&s, 0)) return;
  assert_int_equal(spun(&s, 1, 100, 80), 100);
  assert_in_range(spun(&s, 1, 100, 200), 1, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zero_is_never),
      cmocka_unit_test(a_number_is_always),
      cmocka_unit_test(by_itself_it_is_what_pays),
      cmocka_unit_test(units_are_waited_for_longer),
      cmocka_unit_test(over_a_network_it_is_less),
  };
  return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
