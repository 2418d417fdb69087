#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_bytes(const evl_request *r, const char *expected,
                         size_t len) {
  size_t have;
  const char *bytes = evl_request_bytes(r, &have);

  assert_int_equal(evl_request_status(r), EVL_OK);
  assert_non_null(bytes);
  assert_int_equal(have, len);
  assert_memory_equal(bytes, expected, len);
}

static void put(evl_request *r, const char *s) {
  evl_request_string(r, s, strlen(s));
}

static void ping(evl_request *r) {
  evl_request_begin(r, 1);
  put(r, "PING");
}
#define PING "*1\r\n$4\r\nPING\r\n"

static void a_new_one_is_empty(void **state) {
  evl_request *r = evl_request_new();

  (void)state;
  assert_non_null(r);
  assert_bytes(r, "", 0);
  assert_int_equal(evl_request_mark(r), 0);
  evl_request_free(r);
  evl_request_free(NULL);
}

static void commands_are_arrays_of_strings(void **state) {
  evl_request *r = evl_request_new();

  (void)state;
  evl_request_begin(r, 4);
  put(r, "SET");
  evl_request_string(r, LIT("k\r\n\0\xff"));
  evl_request_integer(r, -5);
  evl_request_string(r, NULL, 0);
  assert_bytes(r, LIT("*4\r\n$3\r\nSET\r\n$5\r\nk\r\n\0\xff\r\n"
                      "$2\r\n-5\r\n$0\r\n\r\n"));
  evl_request_free(r);
}

/* As a whole they have the same bytes; what is too long for an int is no
 * command. */
static void whole_commands_are_arrays_of_strings(void **state) {
  evl_request *r = evl_request_new();
  const char *argv[] = {"SET", "k\r\n\0\xff", "-5", ""};
  size_t lens[] = {3, 5, 2, 0}, mark, len;

  (void)state;
  ping(r);
  evl_request_command(r, 4, argv, lens);
  ping(r);
  assert_bytes(r, LIT(PING "*4\r\n$3\r\nSET\r\n$5\r\nk\r\n\0\xff\r\n"
                           "$2\r\n-5\r\n$0\r\n\r\n" PING));
  mark = evl_request_mark(r);
  for (len = (size_t)1 << 31; len > 0; len *= 2) {
    lens[2] = len; /* nobody reads them */
    evl_request_command(r, 4, argv, lens);
    assert_int_equal(evl_request_status(r), EVL_ERANGE);
    evl_request_rewind(r, mark);
    assert_int_equal(evl_request_status(r), EVL_OK);
  }
  lens[1] = lens[2] = (size_t)1 << 30;
  evl_request_command(r, 4, argv, lens);
  assert_int_equal(evl_request_status(r), EVL_ERANGE);
  evl_request_free(r);
}

static void commands_stand_one_behind_the_other(void **state) {
  evl_request *r = evl_request_new();

  (void)state;
  ping(r);
  evl_request_begin(r, 2);
  put(r, "SELECT");
  evl_request_integer(r, 10);
  ping(r);
  assert_bytes(r, LIT(PING "*2\r\n$6\r\nSELECT\r\n$2\r\n10\r\n" PING));
  evl_request_free(r);
}

static void integers_are_strings(void **state) {
  evl_request *r = evl_request_new();

  (void)state;
  evl_request_begin(r, 4);
  evl_request_integer(r, 0);
  evl_request_integer(r, INT64_MAX);
  evl_request_integer(r, INT64_MIN);
  evl_request_integer(r, 1000);
  assert_bytes(r, LIT("*4\r\n$1\r\n0\r\n$19\r\n9223372036854775807\r\n"
                      "$20\r\n-9223372036854775808\r\n$4\r\n1000\r\n"));
  evl_request_free(r);
}

static void counts_and_lengths_of_any_size(void **state) {
  evl_request *r = evl_request_new();
  char expected[64], *big = malloc(1234567);
  const char *bytes;
  size_t len, head;

  (void)state;
  assert_non_null(big);
  memset(big, 'x', 1234567);
  evl_request_begin(r, SIZE_MAX);
  snprintf(expected, sizeof expected, "*%zu\r\n", SIZE_MAX);
  assert_bytes(r, expected, strlen(expected));
  evl_request_clear(r);
  evl_request_string(r, big, 1234567);
  bytes = evl_request_bytes(r, &len);
  head = strlen("$1234567\r\n");
  assert_int_equal(len, head + 1234567 + 2);
  assert_memory_equal(bytes, "$1234567\r\n", head);
  assert_memory_equal(bytes + head, big, 1234567);
  assert_memory_equal(bytes + len - 2, "\r\n", 2);
  free(big);
  evl_request_free(r);
}

static void arguments_are_not_read_beyond_their_end(void **state) {
  evl_request *r = evl_request_new();
  evl_field field;
  const char *end;

  (void)state;
  evl_request_string(r, guarded("abc", 3), 3);
  assert_bytes(r, LIT("$3\r\nabc\r\n"));
  evl_request_clear(r);
  end = guarded("nv$1\r\nx\r\n", 9) + 9;
  field.name = end - 9;
  field.name_len = 1;
  field.type = EVL_STRING;
  field.value.string.bytes = end;
  field.value.string.len = 0;
  evl_request_entry(r, end - 7, 7, 1, &field, 1);
  assert_bytes(r, LIT("*3\r\n$1\r\nx\r\n$1\r\nn\r\n$0\r\n\r\n"));
  evl_request_free(r);
}

/* --- entries ------------------------------------------------------------- */

/* "xadd log *", as the log would have encoded it once. */
#define HEAD "$4\r\nxadd\r\n$3\r\nlog\r\n$1\r\n*\r\n"

static evl_field text_field(const char *name, size_t name_len,
                            const char *bytes, size_t len) {
  evl_field f;

  f.name = name;
  f.name_len = name_len;
  f.type = EVL_STRING;
  f.value.string.bytes = bytes;
  f.value.string.len = len;
  return f;
}

static evl_field integer_field(const char *name, int64_t i) {
  evl_field f;

  f.name = name;
  f.name_len = strlen(name);
  f.type = EVL_INTEGER;
  f.value.integer = i;
  return f;
}

static evl_field double_field(const char *name, double d) {
  evl_field f;

  f.name = name;
  f.name_len = strlen(name);
  f.type = EVL_DOUBLE;
  f.value.number = d;
  return f;
}

static void assert_entry(evl_field field, const char *tail, size_t len) {
  evl_request *r = evl_request_new();
  char expected[512];
  size_t head = sizeof("*5\r\n" HEAD) - 1;

  assert_true(head + len <= sizeof expected);
  memcpy(expected, "*5\r\n" HEAD, head);
  memcpy(expected + head, tail, len);
  evl_request_entry(r, LIT(HEAD), 3, &field, 1);
  assert_bytes(r, expected, head + len);
  evl_request_free(r);
}

/* The shared vectors: what the Go library sends for one field. */
static void entries_have_the_bytes_of_the_vectors(void **state) {
  (void)state;
  assert_entry(integer_field("f", 1234), LIT("$1\r\nf\r\n$4\r\n1234\r\n"));
  assert_entry(integer_field("f", -42), LIT("$1\r\nf\r\n$3\r\n-42\r\n"));
  assert_entry(integer_field("f", 0), LIT("$1\r\nf\r\n$1\r\n0\r\n"));
  assert_entry(integer_field("f", INT64_MAX),
               LIT("$1\r\nf\r\n$19\r\n9223372036854775807\r\n"));
  assert_entry(double_field("f", 19.8), LIT("$1\r\nf\r\n$4\r\n19.8\r\n"));
  assert_entry(double_field("f", 1e21),
               LIT("$1\r\nf\r\n$22\r\n1000000000000000000000\r\n"));
  assert_entry(double_field("f", 1e-7), LIT("$1\r\nf\r\n$9\r\n0.0000001\r\n"));
  assert_entry(double_field("f", 0.1 + 0.2),
               LIT("$1\r\nf\r\n$19\r\n0.30000000000000004\r\n"));
  assert_entry(double_field("f", 2.0), LIT("$1\r\nf\r\n$1\r\n2\r\n"));
  assert_entry(double_field("f", -0.0), LIT("$1\r\nf\r\n$2\r\n-0\r\n"));
  assert_entry(
      double_field("f", 1.7976931348623157e308),
      LIT("$1\r\nf\r\n$309\r\n"
          "17976931348623157000000000000000000000000000000000000000000000000000"
          "00000000000000000000000000000000000000000000000000000000000000000000"
          "00000000000000000000000000000000000000000000000000000000000000000000"
          "00000000000000000000000000000000000000000000000000000000000000000000"
          "0000000000000000000000000000000000000\r\n"));
  assert_entry(text_field(LIT("f"), LIT("")), LIT("$1\r\nf\r\n$0\r\n\r\n"));
  assert_entry(text_field(LIT("f"), LIT("a\r\nb\0c")),
               LIT("$1\r\nf\r\n$6\r\na\r\nb\0c\r\n"));
  assert_entry(
      text_field(LIT("f"),
                 LIT("h\xc3\xa9llo \xe2\x98\x83 \xe6\x97\xa5\xe6\x9c\xac")),
      LIT("$1\r\nf\r\n$17\r\n"
          "h\xc3\xa9llo \xe2\x98\x83 \xe6\x97\xa5\xe6\x9c\xac\r\n"));
  assert_entry(text_field(NULL, 0, LIT("v")), LIT("$0\r\n\r\n$1\r\nv\r\n"));
  assert_entry(text_field(LIT("f"), NULL, 0), LIT("$1\r\nf\r\n$0\r\n\r\n"));
}

static void entries_have_all_their_fields(void **state) {
  evl_request *r = evl_request_new();
  evl_field fields[3];

  (void)state;
  fields[0] = text_field(LIT("place"), LIT("roof"));
  fields[1] = double_field("temperature", 19.8);
  fields[2] = integer_field("n", 7);
  ping(r);
  evl_request_entry(r, LIT(HEAD), 3, fields, 3);
  evl_request_entry(r, LIT(HEAD), 3, NULL, 0);
  evl_request_entry(r, NULL, 0, 0, fields, 1);
  ping(r);
  assert_bytes(r, LIT(PING "*9\r\n" HEAD "$5\r\nplace\r\n$4\r\nroof\r\n"
                           "$11\r\ntemperature\r\n$4\r\n19.8\r\n$1\r\nn\r\n"
                           "$1\r\n7\r\n"
                           "*3\r\n" HEAD
                           "*2\r\n$5\r\nplace\r\n$4\r\nroof\r\n" PING));
  evl_request_free(r);
}

static void many_entries_are_encoded_alike(void **state) {
  evl_request *r = evl_request_new();
  char expected[128];
  const char *bytes;
  size_t len, at = 0;
  int i;

  (void)state;
  for (i = 0; i < 20000; i++) {
    evl_field field = integer_field("n", i);
    evl_request_entry(r, LIT(HEAD), 3, &field, 1);
  }
  assert_int_equal(evl_request_status(r), EVL_OK);
  bytes = evl_request_bytes(r, &len);
  for (i = 0; i < 20000; i++) {
    int digits = snprintf(NULL, 0, "%d", i);
    int n = snprintf(expected, sizeof expected,
                     "*5\r\n" HEAD "$1\r\nn\r\n$%d\r\n%d\r\n", digits, i);
    if (at + (size_t)n > len || memcmp(bytes + at, expected, (size_t)n) != 0)
      fail_msg("entry %d is wrong", i);
    at += (size_t)n;
  }
  assert_int_equal(at, len);
  evl_request_free(r);
}

/* --- sending ------------------------------------------------------------- */

static void sent_in_pieces_it_is_whole(void **state) {
  static const char expected[] = "*2\r\n$3\r\nGET\r\n$3\r\na\0b\r\n" PING;
  size_t total = sizeof expected - 1, piece;

  (void)state;
  for (piece = 1; piece <= total; piece++) {
    evl_request *r = evl_request_new();
    char got[sizeof expected];
    size_t at = 0, len;
    evl_request_begin(r, 2);
    put(r, "GET");
    evl_request_string(r, LIT("a\0b"));
    ping(r);
    for (;;) {
      const char *bytes = evl_request_bytes(r, &len);
      assert_int_equal(len, total - at);
      if (len == 0) break;
      if (len > piece) len = piece;
      memcpy(got + at, bytes, len);
      at += len;
      evl_request_sent(r, len);
    }
    assert_memory_equal(got, expected, total);
    ping(r); /* and the next one starts anew */
    assert_bytes(r, LIT(PING));
    evl_request_free(r);
  }
}

static void more_may_be_added_while_it_is_sent(void **state) {
  evl_request *r = evl_request_new();

  (void)state;
  ping(r);
  evl_request_sent(r, 0);
  assert_bytes(r, LIT(PING));
  evl_request_sent(r, 4);
  assert_bytes(r, LIT("$4\r\nPING\r\n"));
  ping(r);
  assert_bytes(r, LIT("$4\r\nPING\r\n" PING));
  evl_request_sent(r, 10);
  assert_bytes(r, LIT(PING));
  evl_request_sent(r, sizeof PING - 1);
  assert_bytes(r, "", 0);
  evl_request_sent(r, 0);
  assert_bytes(r, "", 0);
  evl_request_free(r);
}

static void cleared_it_is_empty(void **state) {
  evl_request *r = evl_request_new();

  (void)state;
  evl_request_clear(r);
  ping(r);
  evl_request_sent(r, 3);
  evl_request_clear(r);
  assert_bytes(r, "", 0);
  assert_int_equal(evl_request_mark(r), 0);
  ping(r);
  assert_bytes(r, LIT(PING));
  evl_request_free(r);
}

static void rewound_it_is_as_it_was(void **state) {
  evl_request *r = evl_request_new();
  evl_field field = integer_field("n", 1);
  size_t mark, i;

  (void)state;
  mark = evl_request_mark(r);
  ping(r);
  evl_request_rewind(r, mark);
  assert_bytes(r, "", 0);
  ping(r);
  mark = evl_request_mark(r);
  evl_request_rewind(r, mark);
  assert_bytes(r, LIT(PING));
  for (i = 0; i < 5000; i++) /* enough that the buffer moves */
    evl_request_entry(r, LIT(HEAD), 3, &field, 1);
  evl_request_rewind(r, mark);
  assert_bytes(r, LIT(PING));
  ping(r);
  assert_bytes(r, LIT(PING PING));
  evl_request_free(r);
}

static void rewinding_leaves_what_is_sent(void **state) {
  evl_request *r = evl_request_new();
  size_t mark;

  (void)state;
  ping(r);
  evl_request_sent(r, 4);
  mark = evl_request_mark(r);
  ping(r);
  evl_request_rewind(r, mark);
  assert_bytes(r, LIT("$4\r\nPING\r\n"));
  ping(r);
  evl_request_sent(r, 10);
  evl_request_rewind(r, mark); /* all before it is sent */
  assert_bytes(r, "", 0);
  ping(r);
  assert_bytes(r, LIT(PING));
  evl_request_free(r);
}

/* --- no memory ----------------------------------------------------------- */

/* A length that no memory can hold fails as a malloc would. */
static void break_it(evl_request *r) { evl_request_string(r, "x", SIZE_MAX); }

static void an_error_is_remembered(void **state) {
  evl_request *r = evl_request_new();
  evl_field field = integer_field("n", 1);
  size_t len;

  (void)state;
  ping(r);
  break_it(r);
  assert_int_equal(evl_request_status(r), EVL_ENOMEM);
  ping(r);
  evl_request_integer(r, 1);
  evl_request_entry(r, LIT(HEAD), 3, &field, 1);
  assert_int_equal(evl_request_status(r), EVL_ENOMEM);
  evl_request_bytes(r, &len);
  assert_int_equal(len, sizeof PING - 1); /* what follows was a no-op */
  evl_request_clear(r);
  assert_bytes(r, "", 0);
  ping(r);
  assert_bytes(r, LIT(PING));
  evl_request_free(r);
}

static void rewinding_undoes_an_error(void **state) {
  evl_request *r = evl_request_new();
  size_t mark;

  (void)state;
  ping(r);
  mark = evl_request_mark(r);
  evl_request_begin(r, 2);
  put(r, "GET");
  break_it(r);
  evl_request_rewind(r, mark);
  assert_bytes(r, LIT(PING));
  evl_request_free(r);
}

/* Only what came since the mark is undone: half a command from before it must
 * not look like a good one, when the status is asked once at the end. */
static void rewinding_keeps_an_error_from_before_the_mark(void **state) {
  evl_request *r = evl_request_new();
  size_t mark;

  (void)state;
  evl_request_begin(r, 2);
  put(r, "GET");
  break_it(r);
  mark = evl_request_mark(r);
  ping(r);
  evl_request_rewind(r, mark);
  assert_int_equal(evl_request_status(r), EVL_ENOMEM);
  evl_request_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_one_is_empty),
      cmocka_unit_test(commands_are_arrays_of_strings),
      cmocka_unit_test(whole_commands_are_arrays_of_strings),
      cmocka_unit_test(commands_stand_one_behind_the_other),
      cmocka_unit_test(integers_are_strings),
      cmocka_unit_test(counts_and_lengths_of_any_size),
      cmocka_unit_test(arguments_are_not_read_beyond_their_end),
      cmocka_unit_test(entries_have_the_bytes_of_the_vectors),
      cmocka_unit_test(entries_have_all_their_fields),
      cmocka_unit_test(many_entries_are_encoded_alike),
      cmocka_unit_test(sent_in_pieces_it_is_whole),
      cmocka_unit_test(more_may_be_added_while_it_is_sent),
      cmocka_unit_test(cleared_it_is_empty),
      cmocka_unit_test(rewound_it_is_as_it_was),
      cmocka_unit_test(rewinding_leaves_what_is_sent),
      cmocka_unit_test(an_error_is_remembered),
      cmocka_unit_test(rewinding_undoes_an_error),
      cmocka_unit_test(rewinding_keeps_an_error_from_before_the_mark),
  };
  return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
