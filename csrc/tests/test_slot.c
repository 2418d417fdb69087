#include "test_support.h"

#include <stdio.h>
#include <string.h>

/* As CLUSTER KEYSLOT of Redis says. */
static void a_key_lies_in_the_slot_of_its_tag(void **state) {
  static const struct {
    const char *key;
    size_t len;
    int slot;
  } cases[] = {
      {"123456789", 9, 12739},   {"", 0, 0},
      {"foo", 3, 12182},         {"{foo}", 5, 12182},
      {"a{foo}b", 7, 12182},     {"foo{}", 5, 5542},
      {"{foo}{bar}", 10, 12182},
  };
  size_t i;

  (void)state;
  for (i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(evl_key_slot(cases[i].key, cases[i].len), cases[i].slot);
}

static void assert_tag(const char *key, size_t len, const char *tag,
                       size_t tag_len) {
  size_t found_len;
  const char *found = evl_key_tag(key, len, &found_len);

  assert_int_equal(found_len, tag_len);
  if (tag_len > 0) assert_memory_equal(found, tag, tag_len);
}

static void the_tag_stands_in_the_first_braces(void **state) {
  (void)state;
  assert_tag("a{b}c", 5, "b", 1);
  assert_tag("{{b}", 4, "{b", 2);
  assert_tag("{a}{b}", 6, "a", 1);
  assert_tag("}{a\0b}", 6, "a\0b", 3);
  assert_tag("{}{a}", 5, "{}{a}", 5);
  assert_tag("a}b", 3, "a}b", 3);
  assert_tag("a{b", 3, "a{b", 3);
  assert_tag("a{", 2, "a{", 2);
  assert_tag("", 0, "", 0);
  assert_tag(NULL, 0, "", 0);
}

static void each_slot_has_a_tag(void **state) {
  int slot;

  (void)state;
  for (slot = 0; slot < EVL_SLOTS; slot += 101) {
    char tag[EVL_SLOT_TAG_SIZE];
    size_t len = evl_slot_tag(slot, tag);

    assert_in_range(len, 1, EVL_SLOT_TAG_SIZE);
    assert_int_equal(evl_key_slot(tag, len), slot);
  }
}

static void there_are_no_other_slots(void **state) {
  char tag[EVL_SLOT_TAG_SIZE];

  (void)state;
  assert_int_equal(evl_slot_tag(-1, tag), 0);
  assert_int_equal(evl_slot_tag(EVL_SLOTS, tag), 0);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_lies_in_the_slot_of_its_tag),
      cmocka_unit_test(the_tag_stands_in_the_first_braces),
      cmocka_unit_test(each_slot_has_a_tag),
      cmocka_unit_test(there_are_no_other_slots),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
