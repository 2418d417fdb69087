#include "test_support.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- numbers ------------------------------------------------------------- */

/* Formats into text, NUL added, and looks that nothing is written behind. */
static void format_double(double d, char text[EVL_NUMBER_SIZE + 1]) {
  size_t len;

  memset(text, '#', EVL_NUMBER_SIZE + 1);
  len = evl_double_format(d, text);
  assert_true(len > 0 && len <= EVL_NUMBER_SIZE);
  assert_int_equal(text[EVL_NUMBER_SIZE], '#');
  text[len] = '\0';
}

/* What Go's strconv.FormatFloat(d, 'f', -1, 64) makes of them. */
static void doubles_have_the_form_of_the_vectors(void **state) {
  static const struct {
    double d;
    const char *text;
  } cases[] = {
      {0.0, "0"},
      {-0.0, "-0"},
      {1.0, "1"},
      {2.0, "2"},
      {-42.0, "-42"},
      {19.8, "19.8"},
      {-19.8, "-19.8"},
      {0.1, "0.1"},
      {0.5, "0.5"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3.0, "0.3333333333333333"},
      {2.0 / 3.0, "0.6666666666666666"},
      {100.25, "100.25"},
      {1e-7, "0.0000001"},
      {1.5e-10, "0.00000000015"},
      {123456789.125, "123456789.125"},
      {1e15, "1000000000000000"},
      {1e16, "10000000000000000"},
      {1e17, "100000000000000000"},
      {1e21, "1000000000000000000000"},
      {1e22, "10000000000000000000000"},
      {1e23, "100000000000000000000000"},
      {123456789012345680.0, "123456789012345680"},
      {9007199254740991.0, "9007199254740991"},
      {9007199254740992.0, "9007199254740992"},
      {9007199254740994.0, "9007199254740994"},
      {-9007199254740993.0, "-9007199254740992"},
      {9223372036854775807.0, "9223372036854776000"},
      {18446744073709551615.0, "18446744073709552000"},
      {2251799813685248.5, "2251799813685248.5"},
      {4503599627370495.5, "4503599627370495.5"},
      {0.000001, "0.000001"},
      {0.00001234, "0.00001234"},
      {5e-5, "0.00005"},
      {299792458.0, "299792458"},
      /* Powers of two whose shortest decimal is not the nearest one. */
      {1.0 / 16777216.0, "0.00000005960464477539063"},
      {618970019642690137449562112.0, "618970019642690200000000000"},
      {6.62607015e-34, "0.000000000000000000000000000000000662607015"},
      {1.7976931348623157e308,
       "17976931348623157000000000000000000000000000000000000000000000000000000"
       "00000000000000000000000000000000000000000000000000000000000000000000000"
       "00000000000000000000000000000000000000000000000000000000000000000000000"
       "00000000000000000000000000000000000000000000000000000000000000000000000"
       "0000000000000000000000000"},
      {5e-324,
       "0.000000000000000000000000000000000000000000000000000000000000000000000"
       "00000000000000000000000000000000000000000000000000000000000000000000000"
       "00000000000000000000000000000000000000000000000000000000000000000000000"
       "00000000000000000000000000000000000000000000000000000000000000000000000"
       "000000000000000000000000000000000000000005"},
  };
  char text[EVL_NUMBER_SIZE + 1];
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    format_double(cases[i].d, text);
    assert_string_equal(text, cases[i].text);
  }
}

static void doubles_that_are_no_numbers_have_names(void **state) {
  char text[EVL_NUMBER_SIZE + 1];

  (void)state;
  format_double((double)NAN, text);
  assert_string_equal(text, "NaN");
  format_double(copysign((double)NAN, -1.0), text);
  assert_string_equal(text, "NaN");
  format_double((double)INFINITY, text);
  assert_string_equal(text, "+Inf");
  format_double(-(double)INFINITY, text);
  assert_string_equal(text, "-Inf");
}

/* Digits without the zeros that only hold a place. */
static int significant(const char *text) {
  int count = 0, zeros = 0;

  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9') continue;
    if (*text == '0') {
      zeros++;
      continue;
    }
    count += 1 + (count > 0 ? zeros : 0);
    zeros = 0;
  }
  return count;
}

/* A plain decimal: -?(0|[1-9][0-9]*)([.][0-9]*[1-9])? */
static int is_plain(const char *s) {
  if (*s == '-') s++;
  if (*s < '0' || *s > '9') return 0;
  if (*s == '0' && s[1] >= '0' && s[1] <= '9') return 0;
  while (*s >= '0' && *s <= '9')
    s++;
  if (*s == '\0') return 1;
  if (*s++ != '.' || *s == '\0') return 0;
  while (*s >= '0' && *s <= '9')
    s++;
  return *s == '\0' && s[-1] != '0';
}

/* Whether d can be written with so many digits: as the nearest decimal, or as
 * the next beside it (above a power of two there is more room than below). */
static int fits(double d, int digits) {
  char text[64], *e;
  long long mantissa = 0, beside;
  int exponent;

  snprintf(text, sizeof text, "%.*e", digits - 1, fabs(d));
  for (e = text; *e != 'e'; e++)
    if (*e >= '0' && *e <= '9') mantissa = mantissa * 10 + (*e - '0');
  exponent = atoi(e + 1) - (digits - 1);
  for (beside = mantissa - 1; beside <= mantissa + 1; beside++) {
    snprintf(text, sizeof text, "%llde%d", beside, exponent);
    if (strtod(text, NULL) == fabs(d)) return 1;
  }
  return 0;
}

/* Reads back as d, in the plain form, with no digit too many. */
static void assert_shortest(double d) {
  char text[EVL_NUMBER_SIZE + 1];
  int digits;
  double again;

  format_double(d, text);
  if (!is_plain(text)) fail_msg("%a: %s is no plain decimal", d, text);
  again = strtod(text, NULL);
  if (memcmp(&again, &d, sizeof d) != 0) fail_msg("%a: %s is not it", d, text);
  digits = significant(text);
  if (digits > 17) fail_msg("%a: %s has %d digits", d, text, digits);
  if (digits > 1 && fits(d, digits - 1))
    fail_msg("%a: %s has a digit too many", d, text);
}

static void assert_shortest_around(double d) {
  assert_shortest(d);
  assert_shortest(-d);
  assert_shortest(nextafter(d, (double)INFINITY));
  assert_shortest(nextafter(d, 0.0));
}

static void powers_of_two_are_read_back(void **state) {
  int e;

  (void)state;
  for (e = -1074; e < 1024; e++)
    assert_shortest_around(ldexp(1.0, e));
}

static void powers_of_ten_are_read_back(void **state) {
  char text[16];
  int e;

  (void)state;
  for (e = -323; e <= 308; e++) {
    snprintf(text, sizeof text, "1e%d", e);
    assert_shortest_around(strtod(text, NULL));
  }
}

static void edges_are_read_back(void **state) {
  (void)state;
  assert_shortest_around(2.2250738585072014e-308); /* the least normal */
  assert_shortest_around(4.9406564584124654e-324);
  assert_shortest(DBL_MAX);
  assert_shortest(nextafter(DBL_MAX, 0.0));
  assert_shortest_around(9007199254740992.0);
  assert_shortest_around(9223372036854775808.0);
  assert_shortest_around(18446744073709551616.0);
  assert_shortest_around(1.0 + DBL_EPSILON);
}

static double random_double(uint64_t *seed) {
  uint64_t bits;
  double d;

  do {
    bits = next_random(seed);
    memcpy(&d, &bits, sizeof d);
  } while (isnan(d) || isinf(d));
  return d;
}

static void random_bits_are_read_back(void **state) {
  uint64_t seed = 42;
  int i;

  (void)state;
  for (i = 0; i < 10000; i++)
    assert_shortest(random_double(&seed));
}

/* What programs really log: measurements with a few digits. */
static void short_decimals_stay_short(void **state) {
  uint64_t seed = 43;
  char text[EVL_NUMBER_SIZE + 1], expected[64];
  int i;

  (void)state;
  for (i = 0; i < 2000; i++) {
    int64_t thousandths = (int64_t)(next_random(&seed) % 2000000) - 1000000;
    double d = (double)thousandths / 1000.0;
    char *end;
    if (thousandths == 0) continue;
    snprintf(expected, sizeof expected, "%.3f", d);
    for (end = expected + strlen(expected); end[-1] == '0';)
      *--end = '\0';
    if (end[-1] == '.') end[-1] = '\0';
    format_double(d, text);
    assert_string_equal(text, expected);
  }
}

static void a_locale_changes_nothing(void **state) {
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8",
                                      "fr_FR.UTF-8", "fr_FR.utf8",
                                      "de_DE",       "fr_FR"};
  static const double numbers[] = {19.8,   -0.5,  1e-7,      1234567.25,
                                   5e-324, 1e300, 0.1 + 0.2, -3.14159,
                                   2.0,    -0.0,  1.0 / 3.0, 1e21};
  char plain[COUNT(numbers)][EVL_NUMBER_SIZE + 1];
  char text[EVL_NUMBER_SIZE + 1];
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(numbers); i++)
    format_double(numbers[i], plain[i]);
  for (i = 0; i < COUNT(names); i++)
    if (setlocale(LC_ALL, names[i]) != NULL &&
        strcmp(localeconv()->decimal_point, ",") == 0)
      break;
  if (i == COUNT(names)) {
    print_message("no locale with a decimal comma here\n");
    skip();
  }
  for (i = 0; i < COUNT(numbers); i++) {
    format_double(numbers[i], text);
    if (strcmp(text, plain[i]) != 0) {
      setlocale(LC_ALL, "C");
      fail_msg("%s became %s", plain[i], text);
    }
  }
  setlocale(LC_ALL, "C");
}

static void assert_integer(int64_t i) {
  char text[EVL_NUMBER_SIZE + 1], expected[32];
  size_t len;

  memset(text, '#', sizeof text);
  len = evl_integer_format(i, text);
  snprintf(expected, sizeof expected, "%" PRId64, i);
  assert_int_equal(len, strlen(expected));
  assert_memory_equal(text, expected, len);
  assert_int_equal(text[len], '#');
}

static void integers_are_decimal(void **state) {
  int64_t power = 1;
  int i;

  (void)state;
  assert_integer(0);
  assert_integer(1234);
  assert_integer(-42);
  assert_integer(INT64_MAX);
  assert_integer(INT64_MAX - 1);
  assert_integer(INT64_MIN);
  assert_integer(INT64_MIN + 1);
  for (i = 0; i < 19; i++) {
    assert_integer(power);
    assert_integer(-power);
    assert_integer(power - 1);
    assert_integer(1 - power);
    if (i < 18) power *= 10;
  }
  for (i = 0; i < 63; i++) {
    assert_integer(INT64_C(1) << i);
    assert_integer(-(INT64_C(1) << i));
  }
}

/* --- fields -------------------------------------------------------------- */

static evl_field field(const char *name, size_t len, int64_t number) {
  evl_field f;

  f.name = name;
  f.name_len = len;
  f.type = EVL_INTEGER;
  f.value.integer = number;
  return f;
}

static int in_order(const evl_field *a, const evl_field *b) {
  size_t i;

  for (i = 0; i < a->name_len && i < b->name_len; i++)
    if (a->name[i] != b->name[i])
      return (unsigned char)a->name[i] < (unsigned char)b->name[i];
  return a->name_len <= b->name_len;
}

static void assert_sorted(const evl_field *fields, size_t count) {
  size_t i;

  for (i = 1; i < count; i++)
    if (!in_order(&fields[i - 1], &fields[i]))
      fail_msg("of %zu fields, number %zu stands too late", count, i);
}

static void three_fields_are_sorted(void **state) {
  static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  static const char *const names[] = {"humidity", "place", "temperature"};
  size_t i;
  int j;

  (void)state;
  for (i = 0; i < COUNT(orders); i++) {
    evl_field fields[3];
    for (j = 0; j < 3; j++) {
      int k = orders[i][j];
      fields[j] = field(names[k], strlen(names[k]), k);
    }
    evl_fields_sort(fields, 3);
    for (j = 0; j < 3; j++) {
      assert_string_equal(fields[j].name, names[j]);
      assert_int_equal(fields[j].value.integer, j);
    }
  }
}

static void names_are_compared_as_bytes(void **state) {
  static const struct {
    const char *name;
    size_t len;
  } rising[] = {
      {NULL, 0},     {LIT("\0")},       {LIT("\0\0")}, {LIT("\0a")},
      {LIT("A")},    {LIT("B")},        {LIT("Z")},    {LIT("a")},
      {LIT("a\0")},  {LIT("a\0b")},     {LIT("aa")},   {LIT("ab")},
      {LIT("b")},    {LIT("\x7f")},     {LIT("\x80")}, {LIT("\xc3\xa9")},
      {LIT("\xff")}, {LIT("\xff\xff")},
  };
  enum { N = COUNT(rising) };
  evl_field fields[N];
  size_t i, count;

  (void)state;
  /* All of them, and few enough for another way of sorting. */
  for (count = 0; count <= N; count++) {
    for (i = 0; i < count; i++)
      fields[i] = field(rising[count - 1 - i].name, rising[count - 1 - i].len,
                        (int64_t)(count - 1 - i));
    evl_fields_sort(fields, count);
    for (i = 0; i < count; i++)
      if (fields[i].value.integer != (int64_t)i)
        fail_msg("of %zu names, number %zu is wrong", count, i);
  }
}

/* Names of random length over few letters, so that many are the same or begin
 * the same; each field keeps its own value, and none is lost. */
static void any_number_of_fields_is_sorted(void **state) {
  static const size_t counts[] = {0, 1, 2, 3, 15, 16, 17, 18, 100, 500, 5000};
  static char names[5000][8];
  static evl_field fields[5000];
  static unsigned char seen[5000];
  uint64_t seed = 7;
  size_t i, j, k;

  (void)state;
  for (k = 0; k < COUNT(counts); k++) {
    size_t count = counts[k];
    for (i = 0; i < count; i++) {
      size_t len = (size_t)(next_random(&seed) % sizeof names[i]);
      for (j = 0; j < len; j++)
        names[i][j] = "ab\xff"[next_random(&seed) % 3];
      fields[i] = field(names[i], len, (int64_t)i);
    }
    evl_fields_sort(fields, count);
    assert_sorted(fields, count);
    memset(seen, 0, sizeof seen);
    for (i = 0; i < count; i++) {
      size_t from = (size_t)fields[i].value.integer;
      assert_true(from < count && !seen[from]);
      assert_ptr_equal(fields[i].name, names[from]);
      seen[from] = 1;
    }
  }
}

static void five_hundred_fields_are_sorted(void **state) {
  static char names[500][12];
  static evl_field fields[500];
  size_t i;

  (void)state;
  for (i = 0; i < 500; i++) {
    size_t k = i * 7919 % 500; /* shuffled: 7919 is prime */
    snprintf(names[k], sizeof names[k], "field%03zu", k);
    fields[i] = field(names[k], 8, (int64_t)k);
  }
  evl_fields_sort(fields, 500);
  for (i = 0; i < 500; i++) {
    assert_string_equal(fields[i].name, names[i]);
    assert_int_equal(fields[i].value.integer, i);
  }
}

/* A name is read up to its end only. */
static void names_are_not_read_beyond_their_end(void **state) {
  evl_field fields[3];
  const char *end = guarded("ab", 2);

  (void)state;
  fields[0] = field(end, 2, 2);
  fields[1] = field(end, 1, 1);
  fields[2] = field(end + 2, 0, 0);
  evl_fields_sort(fields, 3);
  assert_int_equal(fields[0].value.integer, 0);
  assert_int_equal(fields[1].value.integer, 1);
  assert_int_equal(fields[2].value.integer, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(doubles_have_the_form_of_the_vectors),
      cmocka_unit_test(doubles_that_are_no_numbers_have_names),
      cmocka_unit_test(powers_of_two_are_read_back),
      cmocka_unit_test(powers_of_ten_are_read_back),
      cmocka_unit_test(edges_are_read_back),
      cmocka_unit_test(random_bits_are_read_back),
      cmocka_unit_test(short_decimals_stay_short),
      cmocka_unit_test(a_locale_changes_nothing),
      cmocka_unit_test(integers_are_decimal),
      cmocka_unit_test(three_fields_are_sorted),
      cmocka_unit_test(names_are_compared_as_bytes),
      cmocka_unit_test(any_number_of_fields_is_sorted),
      cmocka_unit_test(five_hundred_fields_are_sorted),
      cmocka_unit_test(names_are_not_read_beyond_their_end),
  };
  return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
