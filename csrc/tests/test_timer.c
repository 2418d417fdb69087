#include "test_support.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int is_due(const evl_timer *t) {
  return evl_socket_wait(evl_timer_fd(t), 'r', 0);
}

/* A hang here is a timer that never came. */
static void wait_until_due(const evl_timer *t) {
  while (!evl_socket_wait(evl_timer_fd(t), 'r', -1))
    ;
}

static evl_timer *make(void) {
  char why[EVL_WHY_SIZE] = "";
  evl_timer *t = (evl_timer *)(void *)why; /* must become NULL, or a timer */
  int status = evl_timer_new(&t, why);

  if (status == EVL_EUNSUPPORTED) {
    assert_null(t);
    assert_true(strlen(why) > 0);
    skip();
  }
  if (status != EVL_OK) fail_msg("no timer: %s", why);
  assert_non_null(t);
  return t;
}

static void a_new_one_is_off(void **state) {
  evl_timer *t = make();
  int fd = evl_timer_fd(t);

  (void)state;
  assert_true(fd >= 0);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_int_equal(is_due(t), 0);
  evl_timer_free(t);
  assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
  evl_timer_free(NULL);
}

static void set_it_comes(void **state) {
  static const double seconds[] = {0, 1e-12, 0.001, 0.01, 1e-9};
  evl_timer *t = make();
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(seconds); i++) {
    evl_timer_set(t, seconds[i]);
    wait_until_due(t);
    assert_int_equal(is_due(t), 1); /* until it is set anew */
    evl_timer_set(t, 1000);
    assert_int_equal(is_due(t), 0);
  }
  evl_timer_free(t);
}

static void set_to_never_it_does_not_come(void **state) {
  evl_timer *t = make();

  (void)state;
  evl_timer_set(t, 0);
  wait_until_due(t);
  evl_timer_set(t, -1);
  assert_int_equal(is_due(t), 0);
  evl_timer_set(t, 0.001);
  evl_timer_set(t, -1e-9);
  assert_int_equal(evl_socket_wait(evl_timer_fd(t), 'r', 0.02), 0);
  evl_timer_free(t);
}

static void set_far_away_it_is_not_due(void **state) {
  static const double seconds[] = {0.999999999 + 3600, 86400, 1e9, 1e18, 1e300};
  evl_timer *t = make();
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(seconds); i++) {
    evl_timer_set(t, seconds[i]);
    assert_int_equal(is_due(t), 0);
  }
  evl_timer_set(t, 0); /* the last word counts */
  wait_until_due(t);
  evl_timer_free(t);
}

static void timers_do_not_disturb_each_other(void **state) {
  evl_timer *a = make(), *b = make();

  (void)state;
  evl_timer_set(a, 1000);
  evl_timer_set(b, 0);
  wait_until_due(b);
  assert_int_equal(is_due(a), 0);
  evl_timer_free(b);
  evl_timer_set(a, 0);
  wait_until_due(a);
  evl_timer_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_one_is_off),
      cmocka_unit_test(set_it_comes),
      cmocka_unit_test(set_to_never_it_does_not_come),
      cmocka_unit_test(set_far_away_it_is_not_due),
      cmocka_unit_test(timers_do_not_disturb_each_other),
  };
  return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
