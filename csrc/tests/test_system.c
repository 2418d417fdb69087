#include "test_support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void random_bytes_differ_each_time(void **state) {
  unsigned char first[16] = {0}, second[16] = {0};
  char why[EVL_WHY_SIZE] = "";

  (void)state;
  assert_int_equal(evl_random(first, sizeof first, why), EVL_OK);
  assert_int_equal(evl_random(second, sizeof second, why), EVL_OK);
  assert_memory_not_equal(first, second, sizeof first);
}

static void as_many_are_written_as_were_asked_for(void **state) {
  unsigned char bytes[64];
  unsigned seen = 0;
  char why[EVL_WHY_SIZE] = "";
  int i;

  (void)state;
  for (i = 0; i < 64; i++) {
    memset(bytes, 0x55, sizeof bytes);
    assert_int_equal(evl_random(bytes, 63, why), EVL_OK);
    assert_int_equal(bytes[63], 0x55);
    seen |= bytes[62] != 0x55;
  }
  assert_true(seen); /* the last one, too, is a random one */
  assert_int_equal(evl_random(bytes, 0, why), EVL_OK);
}

/* Linux since 3.17, macOS and the BSDs. */
static void no_descriptor_is_needed(void **state) {
  struct rlimit before, none;
  unsigned char bytes[16];
  char why[EVL_WHY_SIZE] = "";
  int status;

  (void)state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  assert_int_equal(open("/dev/null", O_RDONLY), -1);
  status = evl_random(bytes, sizeof bytes, why);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(status, EVL_OK);
}

static void the_time_of_day_has_fractions(void **state) {
  double before = (double)time(NULL), now = evl_time(), later = evl_time();
  int i;

  (void)state;
  assert_true(now >= before && now - before < 60);
  for (i = 0; i < 1000000 && later == now; i++)
    later = evl_time();
  assert_true(later - now < 0.5); /* no clock of whole seconds */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_bytes_differ_each_time),
      cmocka_unit_test(as_many_are_written_as_were_asked_for),
      cmocka_unit_test(no_descriptor_is_needed),
      cmocka_unit_test(the_time_of_day_has_fractions),
  };
  return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
