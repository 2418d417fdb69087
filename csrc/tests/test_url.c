#include "test_support.h"

#include <string.h>

static const struct {
  const char *text;
  const char *host, *path, *username, *password;
  int port, db, tls;
} good[] = {
    {"redis://", NULL, NULL, NULL, NULL, 0, -1, 0},
    {"redis:///", NULL, NULL, NULL, NULL, 0, -1, 0},
    {"redis:///3", NULL, NULL, NULL, NULL, 0, 3, 0},
    {"redis://127.0.0.1", "127.0.0.1", NULL, NULL, NULL, 0, -1, 0},
    {"redis://127.0.0.1:6379", "127.0.0.1", NULL, NULL, NULL, 6379, -1, 0},
    {"redis://localhost:1/", "localhost", NULL, NULL, NULL, 1, -1, 0},
    {"redis://a.example:65535/0", "a.example", NULL, NULL, NULL, 65535, 0, 0},
    {"redis://h/15", "h", NULL, NULL, NULL, 0, 15, 0},
    {"redis://h/2147483647", "h", NULL, NULL, NULL, 0, 2147483647, 0},
    {"redis://h:06379/007", "h", NULL, NULL, NULL, 6379, 7, 0},
    {"redis://:6380", NULL, NULL, NULL, NULL, 6380, -1, 0},
    {"redis://[::1]", "::1", NULL, NULL, NULL, 0, -1, 0},
    {"redis://[::1]:6379/2", "::1", NULL, NULL, NULL, 6379, 2, 0},
    {"redis://u@h", "h", NULL, "u", NULL, 0, -1, 0},
    {"redis://u:p@h", "h", NULL, "u", "p", 0, -1, 0},
    {"redis://:p@h", "h", NULL, NULL, "p", 0, -1, 0},
    {"redis://u:@h", "h", NULL, "u", NULL, 0, -1, 0},
    {"redis://@h", "h", NULL, NULL, NULL, 0, -1, 0},
    {"redis://:@h", "h", NULL, NULL, NULL, 0, -1, 0},
    {"redis://u:p@", NULL, NULL, "u", "p", 0, -1, 0},
    {"redis://:p@/4", NULL, NULL, NULL, "p", 0, 4, 0},
    {"redis://u:a:b@h:1", "h", NULL, "u", "a:b", 1, -1, 0},
    {"redis://u:a@b@h:1", "h", NULL, "u", "a@b", 1, -1, 0},
    {"redis://u:p@[::1]:7/1", "::1", NULL, "u", "p", 7, 1, 0},
    {"redis://us%65r:p%40%3a%2F%25@h:1/2", "h", NULL, "user", "p@:/%", 1, 2, 0},
    {"redis://%C3%a9:%7f%80%FF%01@h", "h", NULL, "\xc3\xa9", "\x7f\x80\xff\x01",
     0, -1, 0},
    {"redis://a+b:c+d@h", "h", NULL, "a+b", "c+d", 0, -1, 0},
    {"rediss://h", "h", NULL, NULL, NULL, 0, -1, 1},
    {"rediss://u:p@h:6380/1", "h", NULL, "u", "p", 6380, 1, 1},
    {"unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, -1, 0},
    {"unix:///a", NULL, "/a", NULL, NULL, 0, -1, 0},
    {"unix:///a?db=0", NULL, "/a", NULL, NULL, 0, 0, 0},
    {"unix:///a b/c?db=12", NULL, "/a b/c", NULL, NULL, 0, 12, 0},
    {"unix://u:p@/run/r.sock?db=3", NULL, "/run/r.sock", "u", "p", 0, 3, 0},
    {"unix://:p@/r.sock", NULL, "/r.sock", NULL, "p", 0, -1, 0},
    {"unix://u@/r.sock", NULL, "/r.sock", "u", NULL, 0, -1, 0},
    {"unix://u:p%2F%40@/r.sock", NULL, "/r.sock", "u", "p/@", 0, -1, 0},
    {"unix://u:a@b@/r.sock", NULL, "/r.sock", "u", "a@b", 0, -1, 0},
    {"unix:///a@b:c.sock", NULL, "/a@b:c.sock", NULL, NULL, 0, -1, 0},
};

static void assert_part(const char *text, const char *what, const char *have,
                        const char *want) {
  if (have == NULL && want == NULL) return;
  if (have == NULL || want == NULL || strcmp(have, want) != 0)
    fail_msg("%s: %s is \"%s\", not \"%s\"", text, what, have ? have : "NULL",
             want ? want : "NULL");
}

static void takes_a_url_apart(void **state) {
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(good); i++) {
    const char *text = good[i].text, *why = NULL;
    size_t len = strlen(text);
    evl_url url;
    if (evl_url_parse(guarded(text, len), len, &url, &why) != EVL_OK)
      fail_msg("%s: %s", text, why);
    assert_part(text, "host", url.host, good[i].host);
    assert_part(text, "path", url.path, good[i].path);
    assert_part(text, "username", url.username, good[i].username);
    assert_part(text, "password", url.password, good[i].password);
    if (url.port != good[i].port) fail_msg("%s: port %d", text, url.port);
    if (url.db != good[i].db) fail_msg("%s: db %d", text, url.db);
    if (!url.tls != !good[i].tls) fail_msg("%s: tls %d", text, url.tls);
    evl_url_deinit(&url);
  }
}

/* What is wrong is said, in words that do not give the password away. */
static void refuses_what_is_no_url(void **state) {
  static const struct {
    const char *text;
    size_t len;
  } cases[] = {
      {LIT("")},
      {LIT("r")},
      {LIT("redis")},
      {LIT("redis:/")},
      {LIT("redis:secret")},
      {LIT("127.0.0.1:6379")},
      {LIT("http://secret@h")},
      {LIT("REDIS://h")},
      {LIT(" redis://h")},
      {LIT("redisss://h")},
      {LIT("redis+ssl://h")},
      {LIT("redis://h:")},
      {LIT("redis://h:0")},
      {LIT("redis://h:65536")},
      {LIT("redis://h:99999999999999999999999")},
      {LIT("redis://h:-1")},
      {LIT("redis://h:+1")},
      {LIT("redis://h: 1")},
      {LIT("redis://h:1 ")},
      {LIT("redis://h:x")},
      {LIT("redis://h:6379x")},
      {LIT("redis://h:1:2")},
      {LIT("redis://::1")},
      {LIT("redis://::1:6379")},
      {LIT("redis://[::1")},
      {LIT("redis://[")},
      {LIT("redis://[]")},
      {LIT("redis://[]:1")},
      {LIT("redis://[::1]x")},
      {LIT("redis://[::1]6379")},
      {LIT("redis://[::1]:")},
      {LIT("redis://[::1]:x")},
      {LIT("redis://h?db=1")},
      {LIT("redis://h#1")},
      {LIT("redis://a b")},
      {LIT("redis:// ")},
      {LIT("redis://h\n")},
      {LIT("redis://u:secret@h?x")},
      {LIT("redis://h/x")},
      {LIT("redis://h/-1")},
      {LIT("redis://h/1x")},
      {LIT("redis://h/1/2")},
      {LIT("redis://h/1/")},
      {LIT("redis://h/2147483648")},
      {LIT("redis://h/99999999999999999999")},
      {LIT("redis://h/1?db=2")},
      {LIT("redis://u:secret%@h")},
      {LIT("redis://u:secret%4@h")},
      {LIT("redis://u:secret%4g@h")},
      {LIT("redis://u:secret%g4@h")},
      {LIT("redis://u:secret%00@h")},
      {LIT("redis://%zz:secret@h")},
      {LIT("redis://%00:secret@h")},
      {LIT("redis://u:secret@h:x")},
      {LIT("redis://u:secret@h/x")},
      {LIT("redis://u:secret/more@h")}, /* an unencoded / ends the host */
      {LIT("redis://u:secret\0@h")},
      {LIT("redis://h\0")},
      {LIT("\0redis://h")},
      {LIT("rediss://h:x")},
      {LIT("unix://")},
      {LIT("unix:///")},
      {LIT("unix:///?db=1")},
      {LIT("unix://tmp/r.sock")},
      {LIT("unix://u:secret@")},
      {LIT("unix://u:secret@tmp/r.sock")},
      {LIT("unix://u:secret%@/r.sock")},
      {LIT("unix:///r.sock?")},
      {LIT("unix:///r.sock?1")},
      {LIT("unix:///r.sock?db")},
      {LIT("unix:///r.sock?db=")},
      {LIT("unix:///r.sock?db=x")},
      {LIT("unix:///r.sock?db=-1")},
      {LIT("unix:///r.sock?db=1&x=2")},
      {LIT("unix:///r.sock?DB=1")},
      {LIT("unix:///r.sock?database=1")},
      {LIT("unix:///r.sock?db=2147483648")},
      {LIT("unix:///r\0.sock")},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    const char *why = NULL;
    evl_url url;
    if (evl_url_parse(guarded(cases[i].text, cases[i].len), cases[i].len, &url,
                      &why) != EVL_EINVAL)
      fail_msg("\"%s\" (case %zu) is no URL", cases[i].text, i);
    assert_non_null(why);
    assert_true(strlen(why) > 0);
    assert_null(strstr(why, "secret"));
  }
}

static void takes_null_for_nothing(void **state) {
  const char *why = NULL;
  evl_url url;

  (void)state;
  assert_int_equal(evl_url_parse(NULL, 0, &url, &why), EVL_EINVAL);
  assert_non_null(why);
}

/* Whatever it makes of a piece of a URL, it reads no further than its end. */
static void reads_no_further_than_the_end(void **state) {
  size_t i, len;

  (void)state;
  for (i = 0; i < COUNT(good); i++)
    for (len = 0; len <= strlen(good[i].text); len++) {
      const char *why;
      evl_url url;
      int status = evl_url_parse(guarded(good[i].text, len), len, &url, &why);
      if (status == EVL_OK)
        evl_url_deinit(&url);
      else
        assert_int_equal(status, EVL_EINVAL);
    }
}

static void survives_random_bytes(void **state) {
  static const char bytes[] = "redis:/@[]%?=db01a\xff";
  uint64_t seed = 5;
  int i;

  (void)state;
  for (i = 0; i < 20000; i++) {
    char text[64];
    const char *start = i % 2 ? "redis://" : "unix://", *why;
    size_t len = strlen(start), more = (size_t)(next_random(&seed) % 40);
    evl_url url;
    int status;
    memcpy(text, start, len);
    while (more-- > 0)
      text[len++] = bytes[next_random(&seed) % (sizeof bytes - 1)];
    status = evl_url_parse(guarded(text, len), len, &url, &why);
    if (status == EVL_OK)
      evl_url_deinit(&url);
    else
      assert_int_equal(status, EVL_EINVAL);
  }
}

/* deinit may be called twice, by who cleans up on more than one path. */
static void deinit_leaves_nothing_behind(void **state) {
  const char *why;
  evl_url url;

  (void)state;
  assert_int_equal(evl_url_parse(LIT("redis://u:p@h:1/2"), &url, &why), EVL_OK);
  evl_url_deinit(&url);
  assert_null(url.host);
  assert_null(url.password);
  evl_url_deinit(&url);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_a_url_apart),
      cmocka_unit_test(refuses_what_is_no_url),
      cmocka_unit_test(takes_null_for_nothing),
      cmocka_unit_test(reads_no_further_than_the_end),
      cmocka_unit_test(survives_random_bytes),
      cmocka_unit_test(deinit_leaves_nothing_behind),
  };
  return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
