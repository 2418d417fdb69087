/* Memory: how much hostile input can make the core take, that trim gives it
 * back, and that each refused allocation is an error like another. */
#include "test_support.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* --- between the core and malloc ----------------------------------------- */

static size_t live, largest; /* bytes, since forget() */
static long until_refused;   /* counts down; 0: refuse this one */
static int once;             /* and not the rest */
static long refused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static int refuse(size_t size) {
  if (size > largest) largest = size;
  if (until_refused > 0) until_refused--;
  if (until_refused != 0) return 0;
  refused++;
  if (once) until_refused = -1;
  return 1;
}

static void *taken(void *p) {
  if (p != NULL) live += malloc_usable_size(p);
  return p;
}

void *__wrap_malloc(size_t size) {
  return refuse(size) ? NULL : taken(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
  return refuse(count * size) ? NULL : taken(__real_calloc(count, size));
}

void *__wrap_realloc(void *p, size_t size) {
  size_t before = p != NULL ? malloc_usable_size(p) : 0;
  void *moved = refuse(size) ? NULL : __real_realloc(p, size);

  if (moved != NULL) live -= before;
  return taken(moved);
}

void __wrap_free(void *p) {
  if (p != NULL) live -= malloc_usable_size(p);
  __real_free(p);
}

static void forget(void) {
  live = largest = 0;
  until_refused = -1;
  refused = 0;
}

/* --- each allocation refused in turn ------------------------------------- */

/* Each of these uses something from new to free, and returns 1 where all went
 * well. Where it did not, it must have said EVL_ENOMEM. */

static int use_url(void) {
  const char *why = NULL;
  evl_url url;
  int status =
      evl_url_parse(LIT("redis://us%65r:p%40@[::1]:6379/2"), &url, &why);

  if (status != EVL_OK) {
    assert_int_equal(status, EVL_ENOMEM);
    return 0;
  }
  assert_string_equal(url.username, "user");
  assert_string_equal(url.password, "p@");
  assert_string_equal(url.host, "::1");
  evl_url_deinit(&url);
  return 1;
}

static int use_request(void) {
  evl_request *r = evl_request_new();
  char big[3000];
  size_t len;
  int i, status;

  if (r == NULL) return 0;
  memset(big, 'x', sizeof big);
  for (i = 0; i < 4; i++) {
    evl_request_begin(r, 2);
    evl_request_string(r, LIT("ECHO"));
    evl_request_string(r, big, sizeof big);
  }
  status = evl_request_status(r);
  evl_request_bytes(r, &len);
  if (status == EVL_OK)
    assert_int_equal(len, 4 * (4 + 10 + 7 + sizeof big + 2));
  else
    assert_int_equal(status, EVL_ENOMEM);
  evl_request_clear(r);
  assert_int_equal(evl_request_status(r), EVL_OK);
  evl_request_free(r);
  return status == EVL_OK;
}

/* Enough entries that each of the decoder's blocks grows some times. */
static int use_decoder(void) {
  static const char entry[] = "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n"
                              "$20\r\n01234567890123456789\r\n";
  evl_decoder *d = evl_decoder_new();
  size_t count, i;
  evl_cursor c;
  int status;

  if (d == NULL) return 0;
  status = evl_decoder_feed(d, LIT("*100\r\n"));
  for (i = 0; i < 100 && status == EVL_OK; i++) {
    status = evl_decoder_feed(d, entry, sizeof entry - 1);
    if (status != EVL_OK) break;
    status = evl_decoder_next(d);
    if (status == EVL_AGAIN) status = EVL_OK;
  }
  if (status == EVL_OK) {
    c = evl_cursor_start(d);
    assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
    assert_int_equal(count, 100);
    evl_decoder_trim(d);
  } else {
    assert_int_equal(status, EVL_ENOMEM);
    assert_int_equal(evl_decoder_next(d), EVL_ENOMEM);
    assert_int_equal(evl_decoder_feed(d, "x", 1), EVL_ENOMEM);
  }
  evl_decoder_free(d);
  return status == EVL_OK;
}

/* From the nth allocation on, then the nth only: what fails later must not
 * hide what failed first. */
static void assert_survives_refusals(int (*use)(void)) {
  for (once = 0; once <= 1; once++) {
    long n;
    for (n = 0; n < 1000; n++) {
      int went_well;
      forget();
      until_refused = n;
      went_well = use();
      until_refused = -1;
      assert_int_equal(live, 0); /* nothing leaks */
      assert_int_equal(went_well, refused == 0);
      if (refused == 0) break;
    }
    assert_true(n > 0 && n < 1000);
  }
}

static void a_url_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_url);
}

static void a_request_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_request);
}

static void a_decoder_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_decoder);
}

/* --- how much ------------------------------------------------------------ */

static void huge_lengths_take_little_memory(void **state) {
  static const char *const cases[] = {
      "$2147483647\r\nabc",
      "$9223372036854775807\r\nabc",
      "*2147483647\r\n",
      "*9223372036854775807\r\n",
      "*2147483647\r\n*2147483647\r\n*2147483647\r\n:1\r\n",
      "%2147483647\r\n",
      "=2147483647\r\ntxt:",
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    evl_decoder *d;
    int status;
    forget();
    d = evl_decoder_new();
    assert_int_equal(evl_decoder_feed(d, cases[i], strlen(cases[i])), EVL_OK);
    status = evl_decoder_next(d);
    assert_true(status == EVL_AGAIN || status == EVL_EPROTOCOL);
    evl_decoder_free(d);
    if (largest > 16384)
      fail_msg("%s made it take %zu bytes", cases[i], largest);
    assert_int_equal(live, 0);
  }
}

static void feed_page(evl_decoder *d) {
  static const char entry[] = "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n"
                              "$20\r\n01234567890123456789\r\n";

  int i;

  assert_int_equal(evl_decoder_feed(d, LIT("*20000\r\n")), EVL_OK);
  for (i = 0; i < 20000; i++)
    assert_int_equal(evl_decoder_feed(d, entry, sizeof entry - 1), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
}

/* Each reply takes the place of the one before it. */
static void replies_do_not_pile_up(void **state) {
  evl_decoder *d;
  size_t one;
  int i;

  (void)state;
  forget();
  d = evl_decoder_new();
  feed_page(d);
  feed_page(d); /* by now all has its size */
  one = live;
  for (i = 0; i < 10; i++)
    feed_page(d);
  assert_true(live <= one);
  evl_decoder_free(d);
}

/* Nodes, strings and the reader's buffer: 64 KiB each, and a little. */
static void trim_gives_memory_back(void **state) {
  evl_decoder *d;

  (void)state;
  forget();
  d = evl_decoder_new();
  feed_page(d);
  assert_true(live > 1024 * 1024);
  evl_decoder_trim(d);
  if (live > 200 * 1024) fail_msg("%zu bytes are kept", live);
  feed_page(d); /* and it works still */
  evl_decoder_free(d);
  assert_int_equal(live, 0);
}

static void a_sent_request_gives_memory_back(void **state) {
  evl_request *r;
  char *big = malloc(1000000);
  size_t before, len;

  (void)state;
  assert_non_null(big);
  memset(big, 'x', 1000000);
  forget();
  r = evl_request_new();
  before = live;
  evl_request_string(r, big, 1000000);
  assert_true(live > 1000000);
  evl_request_bytes(r, &len);
  evl_request_sent(r, len);
  assert_true(live - before <= 64 * 1024 + 64);
  evl_request_string(r, big, 1000000);
  evl_request_clear(r);
  assert_true(live - before <= 64 * 1024 + 64);
  evl_request_free(r);
  assert_int_equal(live, 0);
  free(big);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_url_survives_refused_memory),
      cmocka_unit_test(a_request_survives_refused_memory),
      cmocka_unit_test(a_decoder_survives_refused_memory),
      cmocka_unit_test(huge_lengths_take_little_memory),
      cmocka_unit_test(replies_do_not_pile_up),
      cmocka_unit_test(trim_gives_memory_back),
      cmocka_unit_test(a_sent_request_gives_memory_back),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
