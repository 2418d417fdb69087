#include "test_support.h"

#include "codec/buffer.h"

#include <stdint.h>
#include <string.h>

static void append(buffer *b, const char *bytes, size_t len) {
  char *p = evl_buffer_reserve(b, len);

  assert_non_null(p);
  memcpy(p, bytes, len);
  b->len += len;
}

static void keeps_what_was_appended(void **state) {
  buffer b = {NULL, 0, 0};
  size_t i;

  (void)state;
  for (i = 0; i < 100000; i++) {
    char byte = (char)(i % 251);
    append(&b, &byte, 1);
  }
  assert_int_equal(b.len, 100000);
  assert_true(b.capacity >= b.len);
  for (i = 0; i < b.len; i++)
    if (b.bytes[i] != (char)(i % 251)) fail_msg("byte %zu is lost", i);
  evl_buffer_deinit(&b);
}

static void gives_room_that_can_be_written(void **state) {
  static const size_t sizes[] = {1, 255, 256, 257, 4096, 70000};
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(sizes); i++) {
    buffer b = {NULL, 0, 0};
    char *p;
    append(&b, "abc", 3);
    p = evl_buffer_reserve(&b, sizes[i]);
    assert_ptr_equal(p, b.bytes + 3);
    memset(p, 'x', sizes[i]); /* the sanitizer and valgrind look */
    b.len += sizes[i];
    assert_memory_equal(b.bytes, "abcx", 4);
    evl_buffer_deinit(&b);
  }
}

/* NULL means that there is no memory; nothing is always to be had. */
static void has_room_for_nothing(void **state) {
  buffer b = {NULL, 0, 0};

  (void)state;
  assert_non_null(evl_buffer_reserve(&b, 0));
  evl_buffer_deinit(&b);
}

static void has_room_for_nothing_when_full(void **state) {
  buffer b = {NULL, 0, 0};

  (void)state;
  append(&b, "a", 1);
  assert_non_null(evl_buffer_reserve(&b, b.capacity - b.len));
  b.len = b.capacity;
  assert_ptr_equal(evl_buffer_reserve(&b, 0), b.bytes + b.len);
  evl_buffer_deinit(&b);
}

static void refuses_what_no_memory_can_hold(void **state) {
  buffer b = {NULL, 0, 0};
  buffer before;

  (void)state;
  append(&b, "abc", 3);
  before = b;
  assert_null(evl_buffer_reserve(&b, SIZE_MAX));
  assert_null(evl_buffer_reserve(&b, SIZE_MAX - 2));
  assert_null(evl_buffer_reserve(&b, SIZE_MAX / 2));
  assert_memory_equal(&b, &before, sizeof b);
  assert_memory_equal(b.bytes, "abc", 3);
  evl_buffer_deinit(&b);
}

static void cleared_keeps_a_little_memory(void **state) {
  buffer b = {NULL, 0, 0};
  char *bytes;

  (void)state;
  append(&b, "abc", 3);
  bytes = b.bytes;
  evl_buffer_clear(&b);
  assert_int_equal(b.len, 0);
  assert_ptr_equal(b.bytes, bytes);
  assert_non_null(evl_buffer_reserve(&b, BUFFER_KEEP));
  assert_true(b.capacity <= BUFFER_KEEP);
  evl_buffer_clear(&b);
  assert_non_null(b.bytes);
  evl_buffer_deinit(&b);
}

static void cleared_gives_much_memory_back(void **state) {
  buffer b = {NULL, 0, 0};

  (void)state;
  assert_non_null(evl_buffer_reserve(&b, BUFFER_KEEP + 1));
  b.len = BUFFER_KEEP + 1;
  evl_buffer_clear(&b);
  assert_int_equal(b.len, 0);
  assert_int_equal(b.capacity, 0);
  assert_null(b.bytes);
  append(&b, "again", 5);
  assert_memory_equal(b.bytes, "again", 5);
  evl_buffer_deinit(&b);
}

static void deinit_leaves_an_empty_buffer(void **state) {
  buffer b = {NULL, 0, 0};

  (void)state;
  evl_buffer_deinit(&b);
  append(&b, "abc", 3);
  evl_buffer_deinit(&b);
  assert_null(b.bytes);
  assert_int_equal(b.len, 0);
  assert_int_equal(b.capacity, 0);
  evl_buffer_deinit(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_what_was_appended),
      cmocka_unit_test(gives_room_that_can_be_written),
      cmocka_unit_test(has_room_for_nothing),
      cmocka_unit_test(has_room_for_nothing_when_full),
      cmocka_unit_test(refuses_what_no_memory_can_hold),
      cmocka_unit_test(cleared_keeps_a_little_memory),
      cmocka_unit_test(cleared_gives_much_memory_back),
      cmocka_unit_test(deinit_leaves_an_empty_buffer),
  };
  return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
