#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a reply as text ----------------------------------------------------- */

typedef struct text {
  char bytes[8192];
  size_t len;
} text;

static void add(text *t, const char *bytes, size_t len) {
  assert_true(t->len + len < sizeof t->bytes);
  memcpy(t->bytes + t->len, bytes, len);
  t->len += len;
  t->bytes[t->len] = '\0';
}

static void add_escaped(text *t, const char *bytes, size_t len) {
  char escape[8];
  size_t i;

  for (i = 0; i < len; i++)
    if (bytes[i] >= ' ' && bytes[i] <= '~')
      add(t, bytes + i, 1);
    else
      add(t, escape,
          (size_t)snprintf(escape, sizeof escape, "\\%02x",
                           (unsigned)(unsigned char)bytes[i]));
}

/* ["a" :1 nil +OK -ERR]: the next item, and all in it. */
static void add_item(text *t, evl_cursor *c) {
  char number[32];
  evl_item item;
  size_t i;

  assert_int_equal(evl_cursor_next(c, &item), EVL_OK);
  assert_non_null(item.string);
  switch (item.type) {
  case EVL_ITEM_NIL: add(t, "nil", 3); break;
  case EVL_ITEM_INTEGER:
    add(t, number,
        (size_t)snprintf(number, sizeof number, ":%lld",
                         (long long)item.integer));
    break;
  case EVL_ITEM_STATUS:
    add(t, "+", 1);
    add_escaped(t, item.string, item.len);
    break;
  case EVL_ITEM_ERROR:
    add(t, "-", 1);
    add_escaped(t, item.string, item.len);
    break;
  case EVL_ITEM_STRING:
    add(t, "\"", 1);
    add_escaped(t, item.string, item.len);
    add(t, "\"", 1);
    break;
  case EVL_ITEM_ARRAY:
    add(t, "[", 1);
    for (i = 0; i < item.len; i++) {
      if (i > 0) add(t, " ", 1);
      add_item(t, c);
    }
    add(t, "]", 1);
    break;
  }
}

/* Adds every reply that is there, and counts them. */
static size_t add_replies(text *t, evl_decoder *d) {
  size_t count = 0;
  int status;

  while ((status = evl_decoder_next(d)) == EVL_OK) {
    evl_cursor c = evl_cursor_start(d);
    evl_item item;
    if (t->len > 0) add(t, " | ", 3);
    add_item(t, &c);
    assert_int_equal(evl_cursor_next(&c, &item), EVL_AGAIN);
    count++;
  }
  assert_int_equal(status, EVL_AGAIN);
  return count;
}

/* --- fixtures ------------------------------------------------------------ */

/* An entry of a stream with one field. */
#define ENTRY(id) "*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"

static const struct {
  const char *bytes;
  size_t len;
  size_t replies;
  const char *text;
} fixtures[] = {
    {LIT("+OK\r\n"), 1, "+OK"},
    {LIT("+\r\n"), 1, "+"},
    {LIT("+PONG with blanks\r\n"), 1, "+PONG with blanks"},
    {LIT("-WRONGTYPE Operation against a key\r\n"), 1,
     "-WRONGTYPE Operation against a key"},
    {LIT("-\r\n"), 1, "-"},
    {LIT(":0\r\n"), 1, ":0"},
    {LIT(":1\r\n"), 1, ":1"},
    {LIT(":-1\r\n"), 1, ":-1"},
    {LIT(":9223372036854775807\r\n"), 1, ":9223372036854775807"},
    {LIT(":-9223372036854775808\r\n"), 1, ":-9223372036854775808"},
    {LIT("$-1\r\n"), 1, "nil"},
    {LIT("*-1\r\n"), 1, "nil"},
    {LIT("$0\r\n\r\n"), 1, "\"\""},
    {LIT("$1\r\nx\r\n"), 1, "\"x\""},
    {LIT("$6\r\na\r\nb\0c\r\n"), 1, "\"a\\0d\\0ab\\00c\""},
    {LIT("$2\r\n\r\n\r\n"), 1, "\"\\0d\\0a\""},
    {LIT("$4\r\n$1\r\n\r\n"), 1, "\"$1\\0d\\0a\""},
    {LIT("$3\r\n\xff\x00\x80\r\n"), 1, "\"\\ff\\00\\80\""},
    {LIT("*0\r\n"), 1, "[]"},
    {LIT("*1\r\n*0\r\n"), 1, "[[]]"},
    {LIT("*1\r\n$0\r\n\r\n"), 1, "[\"\"]"},
    {LIT("*3\r\n$0\r\n\r\n$1\r\na\r\n$0\r\n\r\n"), 1, "[\"\" \"a\" \"\"]"},
    {LIT("*6\r\n$1\r\na\r\n:1\r\n$-1\r\n+OK\r\n-ERR no\r\n*-1\r\n"), 1,
     "[\"a\" :1 nil +OK -ERR no nil]"},
    {LIT("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n"), 1,
     "[[[[[[[:7]]]]]]]"},
    {LIT("*3\r\n*1\r\n:1\r\n*0\r\n*2\r\n*1\r\n:2\r\n:3\r\n"), 1,
     "[[:1] [] [[:2] :3]]"},
    {LIT("*2\r\n" ENTRY("1-1") ENTRY("1-2")), 1,
     "[[\"1-1\" [\"a\" \"b\"]] [\"1-2\" [\"a\" \"b\"]]]"},
    {LIT("*1\r\n*2\r\n$3\r\nlog\r\n*1\r\n" ENTRY("1-1")), 1,
     "[[\"log\" [[\"1-1\" [\"a\" \"b\"]]]]]"},
    {LIT("+OK\r\n+QUEUED\r\n*2\r\n$3\r\n1-1\r\n:1\r\n"), 3,
     "+OK | +QUEUED | [\"1-1\" :1]"},
    {LIT(":1\r\n:2\r\n:3\r\n$-1\r\n*0\r\n"), 5, ":1 | :2 | :3 | nil | []"},
    {LIT("-ERR a\r\n-ERR b\r\n"), 2, "-ERR a | -ERR b"},
};

static void assert_text(size_t fixture, const char *how, const text *have) {
  if (strcmp(have->bytes, fixtures[fixture].text) != 0)
    fail_msg("%s: %s, not %s", how, have->bytes, fixtures[fixture].text);
}

static void a_new_one_has_nothing(void **state) {
  evl_decoder *d = evl_decoder_new();
  evl_cursor c;
  evl_item item;

  (void)state;
  assert_non_null(d);
  assert_int_equal(evl_decoder_empty(d), 1);
  assert_string_equal(evl_decoder_error(d), "");
  assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
  assert_int_equal(evl_decoder_feed(d, NULL, 0), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
  assert_int_equal(evl_decoder_empty(d), 1);
  c = evl_cursor_start(d);
  assert_int_equal(evl_cursor_next(&c, &item), EVL_AGAIN);
  evl_decoder_trim(d);
  evl_decoder_free(d);
  evl_decoder_free(NULL);
}

static void types_have_names(void **state) {
  (void)state;
  assert_string_equal(evl_item_type_name(EVL_ITEM_NIL), "nil");
  assert_string_equal(evl_item_type_name(EVL_ITEM_STRING), "string");
  assert_string_equal(evl_item_type_name(EVL_ITEM_STATUS), "status");
  assert_string_equal(evl_item_type_name(EVL_ITEM_ERROR), "error");
  assert_string_equal(evl_item_type_name(EVL_ITEM_INTEGER), "integer");
  assert_string_equal(evl_item_type_name(EVL_ITEM_ARRAY), "array");
}

/* Each by a decoder of its own, and at a guard page. */
static void fixtures_are_read_whole(void **state) {
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(fixtures); i++) {
    evl_decoder *d = evl_decoder_new();
    const char *bytes = guarded(fixtures[i].bytes, fixtures[i].len);
    text t = {"", 0};
    assert_int_equal(evl_decoder_feed(d, bytes, fixtures[i].len), EVL_OK);
    assert_int_equal(evl_decoder_empty(d), 0);
    if (evl_decoder_next(d) != EVL_OK)
      fail_msg("%s: %s", fixtures[i].text, evl_decoder_error(d));
    evl_decoder_free(d);

    d = evl_decoder_new();
    assert_int_equal(evl_decoder_feed(d, bytes, fixtures[i].len), EVL_OK);
    assert_int_equal(add_replies(&t, d), fixtures[i].replies);
    assert_text(i, "whole", &t);
    assert_int_equal(evl_decoder_empty(d), 1);
    assert_string_equal(evl_decoder_error(d), "");
    evl_decoder_free(d);
  }
}

static void fixtures_are_read_byte_by_byte(void **state) {
  size_t i, at;

  (void)state;
  for (i = 0; i < COUNT(fixtures); i++) {
    evl_decoder *d = evl_decoder_new();
    text t = {"", 0};
    size_t replies = 0;
    for (at = 0; at < fixtures[i].len; at++) {
      const char *byte = guarded(fixtures[i].bytes + at, 1);
      assert_int_equal(evl_decoder_feed(d, byte, 1), EVL_OK);
      replies += add_replies(&t, d);
      if (fixtures[i].replies == 1 && at + 1 < fixtures[i].len) {
        assert_int_equal(replies, 0);
        assert_int_equal(evl_decoder_empty(d), 0);
      }
    }
    assert_text(i, "byte by byte", &t);
    assert_int_equal(replies, fixtures[i].replies);
    assert_int_equal(evl_decoder_empty(d), 1);
    evl_decoder_free(d);
  }
}

/* By one decoder for all, as a connection has it; trimmed now and then. */
static void fixtures_are_read_in_two_pieces(void **state) {
  evl_decoder *d = evl_decoder_new();
  size_t i, at;

  (void)state;
  for (i = 0; i < COUNT(fixtures); i++)
    for (at = 0; at <= fixtures[i].len; at++) {
      size_t rest = fixtures[i].len - at;
      text t = {"", 0};
      evl_decoder_feed(d, guarded(fixtures[i].bytes, at), at);
      add_replies(&t, d);
      evl_decoder_feed(d, guarded(fixtures[i].bytes + at, rest), rest);
      add_replies(&t, d);
      assert_text(i, "in two pieces", &t);
      assert_int_equal(evl_decoder_empty(d), 1);
      if (at % 3 == 0) evl_decoder_trim(d);
    }
  evl_decoder_free(d);
}

static void fixtures_are_read_one_behind_the_other(void **state) {
  evl_decoder *d = evl_decoder_new();
  text t = {"", 0}, expected = {"", 0};
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(fixtures); i++) {
    evl_decoder_feed(d, guarded(fixtures[i].bytes, fixtures[i].len),
                     fixtures[i].len);
    if (i > 0) add(&expected, " | ", 3);
    add(&expected, fixtures[i].text, strlen(fixtures[i].text));
  }
  add_replies(&t, d);
  assert_string_equal(t.bytes, expected.bytes);
  evl_decoder_free(d);
}

static void assert_broken(evl_decoder *d);

/* --- long replies -------------------------------------------------------- */

typedef struct chunk {
  char *start;
  size_t len;
} chunk;

static chunk make_chunk(size_t size) {
  chunk b;

  b.start = malloc(size);
  b.len = 0;
  assert_non_null(b.start);
  return b;
}

/* An entry: its id is i-1, its fields "n" and "twice". */
static void put_entry(chunk *b, int i) {
  b->len += (size_t)sprintf(
      b->start + b->len,
      "*2\r\n$%d\r\n%d-1\r\n*4\r\n$1\r\nn\r\n$%d\r\n%d\r\n$5\r\ntwice\r\n"
      "$%d\r\n%d\r\n",
      snprintf(NULL, 0, "%d-1", i), i, snprintf(NULL, 0, "%d", i), i,
      snprintf(NULL, 0, "%d", 2 * i), 2 * i);
}

static chunk make_page(int entries) {
  chunk b = make_chunk(32 + 128 * (size_t)entries);
  int i;

  b.len = (size_t)sprintf(b.start, "*%d\r\n", entries);
  for (i = 0; i < entries; i++)
    put_entry(&b, i);
  return b;
}

static void assert_string(const evl_item *item, const char *expected) {
  assert_int_equal(item->type, EVL_ITEM_STRING);
  assert_int_equal(item->len, strlen(expected));
  assert_memory_equal(item->string, expected, item->len);
}

static void assert_page(const evl_decoder *d, int entries) {
  evl_cursor c = evl_cursor_start(d);
  char expected[32];
  size_t count, fields;
  evl_item id, name, value;
  int i;

  assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
  assert_int_equal(count, entries);
  for (i = 0; i < entries; i++) {
    assert_int_equal(evl_cursor_entry(&c, &id, &fields), EVL_OK);
    sprintf(expected, "%d-1", i);
    assert_string(&id, expected);
    assert_int_equal(fields, 2);
    assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_OK);
    assert_string(&name, "n");
    sprintf(expected, "%d", i);
    assert_string(&value, expected);
    assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_OK);
    assert_string(&name, "twice");
    sprintf(expected, "%d", 2 * i);
    assert_string(&value, expected);
  }
  assert_int_equal(evl_cursor_next(&c, &id), EVL_AGAIN);
}

/* Feeds in pieces; nothing is there before the last. */
static void feed_in_pieces(evl_decoder *d, const chunk *b, size_t piece) {
  size_t at, len;

  for (at = 0; at < b->len; at += len) {
    if (at > 0) assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
    len = b->len - at < piece ? b->len - at : piece;
    assert_int_equal(evl_decoder_feed(d, b->start + at, len), EVL_OK);
  }
}

static void a_long_page_comes_in_pieces(void **state) {
  static const size_t pieces[] = {7, 100, 1024, 65536, SIZE_MAX};
  chunk page = make_page(5000), small = make_page(3);
  evl_decoder *d = evl_decoder_new();
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(pieces); i++) {
    feed_in_pieces(d, &page, pieces[i]);
    assert_int_equal(evl_decoder_next(d), EVL_OK);
    assert_page(d, 5000);
    feed_in_pieces(d, &small, pieces[i]);
    assert_int_equal(evl_decoder_next(d), EVL_OK);
    assert_page(d, 3);
    assert_int_equal(evl_decoder_empty(d), 1);
  }
  evl_decoder_free(d);
  free(page.start);
  free(small.start);
}

static void a_long_string_comes_in_pieces(void **state) {
  enum { LEN = 3000000 };
  chunk b = make_chunk(LEN + 32);
  evl_decoder *d = evl_decoder_new();
  evl_cursor c;
  evl_item item;
  size_t head, i;

  (void)state;
  head = b.len = (size_t)sprintf(b.start, "$%d\r\n", LEN);
  for (i = 0; i < LEN; i++)
    b.start[b.len++] = (char)(i % 253);
  b.start[b.len++] = '\r';
  b.start[b.len++] = '\n';
  feed_in_pieces(d, &b, 65536);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  c = evl_cursor_start(d);
  assert_int_equal(evl_cursor_next(&c, &item), EVL_OK);
  assert_int_equal(item.type, EVL_ITEM_STRING);
  assert_int_equal(item.len, LEN);
  assert_memory_equal(item.string, b.start + head, LEN);
  evl_decoder_free(d);
  free(b.start);
}

/* As a socket puts them there. */
static void bytes_are_put_in_place(void **state) {
  chunk page = make_page(5000);
  evl_decoder *d = evl_decoder_new();
  size_t at = 0, len, reserved = 0;

  (void)state;
  while (at < page.len) {
    char *room = evl_decoder_reserve(d, &len);
    assert_non_null(room);
    assert_true(len >= 4096);
    reserved++;
    if (len > page.len - at) len = page.len - at;
    memcpy(room, page.start + at, len);
    evl_decoder_filled(d, len);
    at += len;
    assert_int_equal(evl_decoder_next(d), at < page.len ? EVL_AGAIN : EVL_OK);
  }
  assert_true(reserved < 20); /* the room grows with the reply */
  assert_page(d, 5000);
  evl_decoder_free(d);
  free(page.start);
}

/* A line without an end is not waited for for ever. */
static void an_endless_line_is_refused(void **state) {
  evl_decoder *d = evl_decoder_new();
  char bytes[1000];
  int i;

  (void)state;
  memset(bytes, 'x', sizeof bytes);
  evl_decoder_feed(d, LIT("-ERR "));
  for (i = 0; i < 65; i++) {
    assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
    evl_decoder_feed(d, bytes, sizeof bytes);
  }
  evl_decoder_feed(d, bytes, sizeof bytes);
  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  assert_broken(d);
  evl_decoder_free(d);
}

/* The reply lives until the next next. */
static void a_reply_outlives_feeding(void **state) {
  chunk page = make_page(2000);
  evl_decoder *d = evl_decoder_new();

  (void)state;
  evl_decoder_feed(d, page.start, page.len);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  evl_decoder_feed(d, page.start, page.len);
  evl_decoder_feed(d, page.start, page.len / 2);
  assert_page(d, 2000);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_page(d, 2000);
  assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
  evl_decoder_feed(d, page.start + page.len / 2, page.len - page.len / 2);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_page(d, 2000);
  evl_decoder_free(d);
  free(page.start);
}

static void cursors_do_not_disturb_each_other(void **state) {
  evl_decoder *d = evl_decoder_new();
  evl_cursor a, b;
  evl_item item;

  (void)state;
  evl_decoder_feed(d, LIT("*2\r\n:1\r\n:2\r\n"));
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  a = evl_cursor_start(d);
  evl_cursor_next(&a, &item);
  evl_cursor_next(&a, &item);
  assert_int_equal(item.integer, 1);
  b = a;
  evl_cursor_next(&a, &item);
  assert_int_equal(item.integer, 2);
  assert_int_equal(evl_cursor_next(&a, &item), EVL_AGAIN);
  assert_int_equal(evl_cursor_next(&a, &item), EVL_AGAIN);
  evl_cursor_next(&b, &item);
  assert_int_equal(item.integer, 2);
  evl_decoder_free(d);
}

/* --- trim ---------------------------------------------------------------- */

static void trimmed_it_goes_on(void **state) {
  chunk page = make_page(5000), small = make_page(3);
  evl_decoder *d = evl_decoder_new();
  evl_cursor c;
  evl_item item;
  int i;

  (void)state;
  for (i = 0; i < 3; i++) {
    evl_decoder_feed(d, page.start, page.len);
    assert_int_equal(evl_decoder_next(d), EVL_OK);
    assert_page(d, 5000);
    evl_decoder_trim(d);
    c = evl_cursor_start(d);
    assert_int_equal(evl_cursor_next(&c, &item), EVL_AGAIN); /* dropped */
    assert_int_equal(evl_decoder_empty(d), 1);
    assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
    evl_decoder_trim(d);
    evl_decoder_feed(d, small.start, small.len);
    assert_int_equal(evl_decoder_next(d), EVL_OK);
    assert_page(d, 3);
    evl_decoder_trim(d);
  }
  evl_decoder_free(d);
  free(page.start);
  free(small.start);
}

/* An empty string where nothing was before it, nor is kept from before. */
static void trimmed_it_reads_empty_strings(void **state) {
  chunk page = make_page(5000);
  evl_decoder *d = evl_decoder_new();
  text t = {"", 0};

  (void)state;
  evl_decoder_feed(d, page.start, page.len);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  evl_decoder_trim(d);
  evl_decoder_feed(d, LIT("$0\r\n\r\n"));
  assert_int_equal(add_replies(&t, d), 1);
  assert_string_equal(t.bytes, "\"\"");
  evl_decoder_free(d);
  free(page.start);
}

static void not_empty_it_is_not_trimmed(void **state) {
  chunk page = make_page(3000);
  evl_decoder *d = evl_decoder_new();
  size_t cut = page.len / 2;

  (void)state;
  /* The rest of a second reply is still to come. */
  evl_decoder_feed(d, page.start, page.len);
  evl_decoder_feed(d, page.start, cut);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  evl_decoder_trim(d);
  assert_int_equal(evl_decoder_empty(d), 0);
  assert_page(d, 3000); /* so the first one is still there */
  assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
  evl_decoder_trim(d);
  evl_decoder_feed(d, page.start + cut, page.len - cut);
  evl_decoder_trim(d); /* whole, but not yet read */
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_page(d, 3000);
  assert_int_equal(evl_decoder_empty(d), 1);
  evl_decoder_free(d);
  free(page.start);
}

/* --- hostile input ------------------------------------------------------- */

/* What becomes of the bytes: the status of the first next that is not
 * EVL_OK. Whatever is there is walked, and each byte of it is looked at. */
static int outcome(evl_decoder *d) {
  volatile char seen = 0;
  int status;

  while ((status = evl_decoder_next(d)) == EVL_OK) {
    evl_cursor c = evl_cursor_start(d);
    evl_item item;
    size_t i, count, fields;
    while (evl_cursor_next(&c, &item) == EVL_OK) {
      assert_non_null(item.string);
      if (item.type != EVL_ITEM_ARRAY)
        for (i = 0; i < item.len; i++)
          seen = (char)(seen ^ item.string[i]);
    }
    for (i = EVL_RANGE; i <= EVL_READ; i++) {
      evl_item id, name, value;
      c = evl_cursor_start(d);
      if (evl_cursor_entries(&c, (evl_shape)i, &count) != EVL_OK) continue;
      while (count-- > 0 && evl_cursor_entry(&c, &id, &fields) == EVL_OK)
        while (fields-- > 0 && evl_cursor_field(&c, &name, &value) == EVL_OK)
          ;
    }
  }
  return status;
}

/* After EVL_EPROTOCOL nothing is taken any more, and it says why. */
static void assert_broken(evl_decoder *d) {
  evl_cursor c;
  evl_item item;

  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  assert_true(strlen(evl_decoder_error(d)) > 0);
  assert_int_equal(evl_decoder_feed(d, LIT("+OK\r\n")), EVL_EPROTOCOL);
  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  evl_decoder_trim(d);
  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  c = evl_cursor_start(d);
  while (evl_cursor_next(&c, &item) == EVL_OK)
    assert_non_null(item.string);
}

static void assert_refused(const char *bytes, size_t len) {
  evl_decoder *d = evl_decoder_new();
  size_t i;

  assert_int_equal(evl_decoder_feed(d, guarded(bytes, len), len), EVL_OK);
  if (outcome(d) != EVL_EPROTOCOL) fail_msg("taken: %s", bytes);
  assert_broken(d);
  evl_decoder_free(d);

  d = evl_decoder_new();
  for (i = 0; i < len; i++) {
    int status = evl_decoder_feed(d, guarded(bytes + i, 1), 1);
    if (status == EVL_OK) status = outcome(d);
    if (status == EVL_EPROTOCOL) break;
    assert_int_equal(status, EVL_AGAIN);
  }
  if (i == len) fail_msg("taken byte by byte: %s", bytes);
  assert_broken(d);
  evl_decoder_free(d);
}

static void what_is_no_reply_is_refused(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {LIT("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n")},
      {LIT("<html>\r\n")},
      {LIT("SSH-2.0-OpenSSH_9.2\r\n")},
      {LIT("220 mail ESMTP\r\n")},
      {LIT("\x15\x03\x01\x00\x02\x02\x16")}, /* TLS: an alert */
      {LIT("\x16\x03\x01\x00\x02\x02\x16")}, /* TLS: a handshake */
      {LIT("\r\n")},
      {LIT("\n")},
      {LIT(" +OK\r\n")},
      {LIT("OK\r\n")},
      {LIT("\0\0\0\0\0\0\0\0")},
      {LIT("\xff\xff\xff\xff")},
      {LIT("PING\r\n")},
      {LIT("+OK\r\nOK\r\n")},
      {LIT("*1\r\nx\r\n")},
      {LIT("*2\r\n:1\r\nGET\r\n")},
      {LIT(":\r\n")},
      {LIT(":-\r\n")},
      {LIT(":x\r\n")},
      {LIT(":1x\r\n")},
      {LIT(":1.5\r\n")},
      {LIT(": 1\r\n")},
      {LIT(":1 \r\n")},
      {LIT(":1\0\r\n")},
      {LIT(":0x10\r\n")},
      {LIT(":00\r\n")},
      {LIT(":07\r\n")},
      {LIT(":-0\r\n")},
      {LIT(":-01\r\n")},
      {LIT(":0000000001\r\n")},
      {LIT(":9223372036854775808\r\n")},
      {LIT(":-9223372036854775809\r\n")},
      {LIT(":99999999999999999999999999999999\r\n")},
      {LIT("$\r\n\r\n")},
      {LIT("$x\r\n")},
      {LIT("$-\r\n")},
      {LIT("$-2\r\n")},
      {LIT("$-9223372036854775808\r\n")},
      {LIT("$1x\r\na\r\n")},
      {LIT("$ 1\r\na\r\n")},
      {LIT("$01\r\na\r\n")},
      {LIT("$-01\r\n")},
      {LIT("$1.0\r\na\r\n")},
      {LIT("$9223372036854775808\r\n")},
      {LIT("$18446744073709551615\r\n")},
      {LIT("$18446744073709551617\r\nx\r\n")}, /* 2^64 + 1 */
      {LIT("*\r\n")},
      {LIT("*x\r\n")},
      {LIT("*-2\r\n")},
      {LIT("*01\r\n:1\r\n")},
      {LIT("*-9223372036854775808\r\n")},
      {LIT("*1x\r\n:1\r\n")},
      {LIT("*9223372036854775808\r\n")},
      {LIT("*18446744073709551617\r\n:1\r\n")},
      {LIT("*1\r\n*-2\r\n")},
      {LIT("*1\r\n$-2\r\n")},
      {LIT("*1\r\n$99999999999999999999\r\n")},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++)
    assert_refused(cases[i].bytes, cases[i].len);
}

/* Lengths that nobody can send are refused when they are read. */
static void what_says_it_is_too_large_is_refused(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {LIT("$2147483647\r\nabc")},
      {LIT("$2147483648\r\nabc\r\n")},
      {LIT("$4294967295\r\nabc\r\n")},
      {LIT("$4294967299\r\nabc\r\n")}, /* 2^32 + 3 */
      {LIT("$9223372036854775807\r\nabc\r\n")},
      {LIT("$9223372036854775800\r\nabc\r\n")},
      {LIT("*2147483647\r\n:1\r\n")},
      {LIT("*2147483648\r\n:1\r\n")},
      {LIT("*4294967295\r\n:1\r\n")},
      {LIT("*4294967297\r\n:1\r\n")}, /* 2^32 + 1 */
      {LIT("*9223372036854775807\r\n:1\r\n")},
      {LIT("*1152921504606846977\r\n:1\r\n")},
      {LIT("*1\r\n*2147483647\r\n*2147483647\r\n*2147483647\r\n:1\r\n")},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    evl_decoder *d = evl_decoder_new();
    int status;
    evl_decoder_feed(d, guarded(cases[i].bytes, cases[i].len), cases[i].len);
    status = outcome(d);
    if (status != EVL_ETOOLARGE) fail_msg("%s: %d", cases[i].bytes, status);
    evl_decoder_free(d);
  }
}

/* By as much as a byte, whole or not, and whatever it is; the one before it is
 * not counted. */
static void what_is_larger_than_set_is_refused(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {LIT("$20\r\n01234567890123456789\r\n")},
      {LIT("*1\r\n$16\r\n0123456789012345\r\n")},
      {LIT("*2\r\n*2\r\n:1\r\n:2\r\n$5\r\n01234\r\n")},
      {LIT("+0123456789012345678901234\r\n")},
      {LIT("*6\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n")},
  };
  size_t i, max, cut;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    size_t len = cases[i].len;
    for (max = len - 1; max <= len; max++)
      for (cut = 1; cut <= len; cut++) {
        evl_decoder *d = evl_decoder_new();
        int status;
        evl_decoder_set_max_reply(d, max);
        evl_decoder_feed(d, LIT("+OK\r\n"));
        assert_int_equal(evl_decoder_next(d), EVL_OK);
        evl_decoder_feed(d, cases[i].bytes, cut);
        status = evl_decoder_next(d);
        if (status == EVL_AGAIN) {
          evl_decoder_feed(d, cases[i].bytes + cut, len - cut);
          status = evl_decoder_next(d);
        }
        if (max < len) {
          assert_int_equal(status, EVL_ETOOLARGE);
          assert_int_equal(evl_decoder_feed(d, LIT("+OK\r\n")), status);
          assert_int_equal(evl_decoder_next(d), status);
          assert_int_equal(evl_decoder_empty(d), 0);
          assert_non_null(strstr(evl_decoder_error(d), "max_reply"));
        } else
          assert_int_equal(status, EVL_OK);
        evl_decoder_free(d);
      }
  }
}

static void what_is_cut_off_is_waited_for(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {LIT("+")},
      {LIT("+OK")},
      {LIT("+OK\r")},
      {LIT("+OK\n")},
      {LIT(":12")},
      {LIT("$")},
      {LIT("$5")},
      {LIT("$5\r")},
      {LIT("$5\r\n")},
      {LIT("$5\r\nabc")},
      {LIT("$5\r\nabcde")},
      {LIT("$5\r\nabcde\r")},
      {LIT("*2\r\n:1\r\n")},
      {LIT("*1\r\n*1\r\n*1\r\n")},
      {LIT("*1\r\n"
           "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n")},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    evl_decoder *d = evl_decoder_new();
    evl_decoder_feed(d, guarded(cases[i].bytes, cases[i].len), cases[i].len);
    assert_int_equal(outcome(d), EVL_AGAIN);
    assert_int_equal(outcome(d), EVL_AGAIN);
    assert_int_equal(evl_decoder_empty(d), 0);
    evl_decoder_free(d);
  }
}

/* 8 levels are taken; more is refused when the level comes. */
static void nested_too_deep_is_refused(void **state) {
  enum { DEEP = 10000 };
  static char deep[4 * DEEP];
  evl_decoder *d;
  size_t i;
  int status;

  (void)state;
  for (i = 0; i < DEEP; i++)
    memcpy(deep + 4 * i, "*1\r\n", 4);
  for (i = 1; i <= DEEP; i += i < 12 ? 1 : 999) {
    d = evl_decoder_new();
    evl_decoder_feed(d, guarded(deep, 4 * i), 4 * i);
    status = outcome(d);
    assert_int_equal(status, i > 8 ? EVL_EPROTOCOL : EVL_AGAIN);
    if (i > 8) assert_broken(d);
    evl_decoder_free(d);
  }
}

/* Nobody asked for RESP3. */
static void resp3_is_refused(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {LIT(",3.25\r\n")},
      {LIT(",inf\r\n")},
      {LIT("#t\r\n")},
      {LIT("#f\r\n")},
      {LIT("(12345678901234567890\r\n")},
      {LIT("=7\r\ntxt:abc\r\n")},
      {LIT("%1\r\n+a\r\n:1\r\n")},
      {LIT("%3\r\n+a\r\n:1\r\n+b\r\n:2\r\n+c\r\n:3\r\n")},
      {LIT("%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n")},
      {LIT("%1\r\n:1\r\n:2\r\n")},
      {LIT("~2\r\n:1\r\n:2\r\n")},
      {LIT("~2\r\n$3\r\nabc\r\n:2\r\n")},
      {LIT(">3\r\n+a\r\n+b\r\n+c\r\n")},
      {LIT(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n")},
      {LIT("*1\r\n%1\r\n+a\r\n:1\r\n")},
      {LIT("*2\r\n%4096\r\n+a\r\n:1\r\n")},
      {LIT("!5\r\nERR x\r\n")},
      {LIT("|1\r\n+a\r\n:1\r\n+OK\r\n")},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++)
    assert_refused(cases[i].bytes, cases[i].len);
}

/* What was fed and will never be given is not nothing: a connection that owes
 * it must not look unused. */
static void broken_it_is_not_empty(void **state) {
  evl_decoder *d = evl_decoder_new();

  (void)state;
  evl_decoder_feed(d, LIT("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  assert_int_equal(evl_decoder_empty(d), 0);
  evl_decoder_free(d);
}

/* Fixtures with a few bytes changed, put in, cut out, in random pieces. */
static void survives_broken_fixtures(void **state) {
  static const char likely[] = "*$:+-0123456789\r\n\0\xff%";
  uint64_t seed = 11;
  int round;

  (void)state;
  for (round = 0; round < 20000; round++) {
    evl_decoder *d = evl_decoder_new();
    size_t i = (size_t)(next_random(&seed) % COUNT(fixtures)), at = 0, len;
    char bytes[512];
    int changes = (int)(next_random(&seed) % 4), status = EVL_AGAIN;
    len = fixtures[i].len;
    memcpy(bytes, fixtures[i].bytes, len);
    while (changes-- > 0 && len > 1) {
      size_t where = (size_t)(next_random(&seed) % len);
      char byte = likely[next_random(&seed) % (sizeof likely - 1)];
      switch (next_random(&seed) % 3) {
      case 0: bytes[where] = byte; break;
      case 1:
        memmove(bytes + where + 1, bytes + where, len - where);
        bytes[where] = byte;
        len++;
        break;
      default:
        memmove(bytes + where, bytes + where + 1, len - where - 1);
        len--;
      }
    }
    while (at < len && status == EVL_AGAIN) {
      size_t piece = 1 + (size_t)(next_random(&seed) % (len - at));
      assert_int_equal(evl_decoder_feed(d, guarded(bytes + at, piece), piece),
                       EVL_OK);
      status = outcome(d);
      at += piece;
    }
    if (status != EVL_AGAIN && status != EVL_EPROTOCOL)
      fail_msg("round %d: status %d: %s", round, status, evl_decoder_error(d));
    evl_decoder_free(d);
  }
}

/* --- entries ------------------------------------------------------------- */

/* The entries as text, or EVL_EPROTOCOL. */
static int walk(const char *bytes, size_t len, evl_shape shape, text *t) {
  evl_decoder *d = evl_decoder_new();
  evl_cursor c;
  size_t count = 0, fields;
  evl_item id, name, value;
  int status;

  evl_decoder_feed(d, guarded(bytes, len), len);
  if (evl_decoder_next(d) != EVL_OK) fail_msg("no reply: %s", bytes);
  c = evl_cursor_start(d);
  status = evl_cursor_entries(&c, shape, &count);
  while (status == EVL_OK && count-- > 0) {
    status = evl_cursor_entry(&c, &id, &fields);
    if (status != EVL_OK) break;
    add_escaped(t, id.string, id.len);
    for (; fields > 0; fields--) {
      status = evl_cursor_field(&c, &name, &value);
      if (status != EVL_OK) break;
      add(t, " ", 1);
      add_escaped(t, name.string, name.len);
      add(t, "=", 1);
      add_escaped(t, value.string, value.len);
    }
    add(t, ";", 1);
  }
  if (status == EVL_OK)
    assert_int_equal(evl_cursor_next(&c, &id), EVL_AGAIN); /* all is read */
  evl_decoder_free(d);
  return status;
}

#define ONE_READ(entries) "*1\r\n*2\r\n$3\r\nlog\r\n" entries

static void entries_are_read(void **state) {
  static const struct {
    evl_shape shape;
    const char *bytes;
    size_t len;
    const char *text;
  } cases[] = {
      {EVL_RANGE, LIT("*0\r\n"), ""},
      {EVL_RANGE, LIT("*1\r\n" ENTRY("1-1")), "1-1 a=b;"},
      {EVL_RANGE, LIT("*2\r\n" ENTRY("1-1") ENTRY("1-2")), "1-1 a=b;1-2 a=b;"},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*0\r\n"), "1-1;"},
      {EVL_RANGE,
       LIT("*1\r\n*2\r\n$41\r\n18446744073709551615-18446744073709551615\r\n"
           "*4\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n\0\r\n$2\r\n\r\n\r\n"),
       "18446744073709551615-18446744073709551615 = \\00=\\0d\\0a;"},
      {EVL_READ, LIT("*-1\r\n"), ""},
      {EVL_READ, LIT("$-1\r\n"), ""},
      {EVL_READ, LIT("*0\r\n"), ""},
      {EVL_READ, LIT(ONE_READ("*0\r\n")), ""},
      {EVL_READ, LIT(ONE_READ("*2\r\n" ENTRY("1-1") ENTRY("1-2"))),
       "1-1 a=b;1-2 a=b;"},
      {EVL_READ, LIT("*1\r\n*2\r\n$0\r\n\r\n*1\r\n" ENTRY("1-1")), "1-1 a=b;"},
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    text t = {"", 0};
    if (walk(cases[i].bytes, cases[i].len, cases[i].shape, &t) != EVL_OK)
      fail_msg("case %zu was refused", i);
    assert_string_equal(t.bytes, cases[i].text);
  }
}

static void other_shapes_are_refused(void **state) {
  static const struct {
    evl_shape shape;
    const char *bytes;
    size_t len;
  } cases[] = {
      {EVL_RANGE, LIT("+OK\r\n")},
      {EVL_RANGE, LIT(":1\r\n")},
      {EVL_RANGE, LIT(":0\r\n")},
      {EVL_RANGE, LIT("$-1\r\n")},
      {EVL_RANGE, LIT("*-1\r\n")},
      {EVL_RANGE, LIT("$3\r\nabc\r\n")},
      {EVL_RANGE, LIT("-WRONGTYPE\r\n")},
      {EVL_RANGE, LIT("*1\r\n:1\r\n")},
      {EVL_RANGE, LIT("*1\r\n$3\r\n1-1\r\n")},
      {EVL_RANGE, LIT("*1\r\n$-1\r\n")},
      {EVL_RANGE, LIT("*1\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*1\r\n$3\r\n1-1\r\n")},
      {EVL_RANGE, LIT("*1\r\n*3\r\n$3\r\n1-1\r\n*0\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n:1\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n+1-1\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$-1\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\nabc\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$0\r\n\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n*0\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n$-1\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n:2\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n$1\r\na\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n"
                      "$1\r\nc\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n:1\r\n$1\r\nb\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n:1\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$-1\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n*0\r\n")},
      {EVL_RANGE, LIT("*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n-ERR\r\n")},
      {EVL_RANGE, LIT("*2\r\n" ENTRY("1-1") "$-1\r\n")},
      {EVL_RANGE, LIT("*2\r\n" ENTRY("1-1") "-ERR\r\n")},
      {EVL_RANGE, LIT(ONE_READ("*1\r\n" ENTRY("1-1")))},
      {EVL_READ, LIT("+OK\r\n")},
      {EVL_READ, LIT(":1\r\n")},
      {EVL_READ, LIT("$0\r\n\r\n")},
      {EVL_READ, LIT("-UNBLOCKED\r\n")},
      {EVL_READ, LIT("*1\r\n:1\r\n")},
      {EVL_READ, LIT("*1\r\n$-1\r\n")},
      {EVL_READ, LIT("*1\r\n*0\r\n")},
      {EVL_READ, LIT("*1\r\n*1\r\n$3\r\nlog\r\n")},
      {EVL_READ, LIT("*1\r\n*3\r\n$3\r\nlog\r\n*0\r\n*0\r\n")},
      {EVL_READ, LIT("*1\r\n*2\r\n:1\r\n*0\r\n")},
      {EVL_READ, LIT("*1\r\n*2\r\n$-1\r\n*0\r\n")},
      {EVL_READ, LIT(ONE_READ("$-1\r\n"))},
      {EVL_READ, LIT(ONE_READ("*-1\r\n"))},
      {EVL_READ, LIT(ONE_READ(":1\r\n"))},
      {EVL_READ, LIT(ONE_READ("$1\r\na\r\n"))},
      {EVL_READ, LIT(ONE_READ("*1\r\n:1\r\n"))},
      {EVL_READ, LIT("*1\r\n" ENTRY("1-1"))}, /* what XRANGE would say */
      {EVL_READ, LIT("*2\r\n*2\r\n$1\r\na\r\n*0\r\n"
                     "*2\r\n$1\r\nb\r\n*0\r\n")}, /* two streams */
  };
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(cases); i++) {
    text t = {"", 0};
    if (walk(cases[i].bytes, cases[i].len, cases[i].shape, &t) != EVL_EPROTOCOL)
      fail_msg("case %zu was taken: %s", i, t.bytes);
  }
}

static void a_replys_end_is_no_entry(void **state) {
  evl_decoder *d = evl_decoder_new();
  size_t count, fields;
  evl_item id, name, value;
  evl_cursor c = evl_cursor_start(d);

  (void)state;
  assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_EPROTOCOL);
  assert_int_equal(evl_cursor_entries(&c, EVL_READ, &count), EVL_EPROTOCOL);
  assert_int_equal(evl_cursor_entry(&c, &id, &fields), EVL_EPROTOCOL);
  assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_EPROTOCOL);
  evl_decoder_feed(d, LIT("*1\r\n" ENTRY("1-1")));
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  c = evl_cursor_start(d);
  assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
  assert_int_equal(evl_cursor_entry(&c, &id, &fields), EVL_OK);
  assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_OK);
  assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_EPROTOCOL);
  assert_int_equal(evl_cursor_entry(&c, &id, &fields), EVL_EPROTOCOL);
  evl_decoder_free(d);
}

/* EXEC's reply holds those of its commands. */
static void entries_are_read_inside_a_reply(void **state) {
  evl_decoder *d = evl_decoder_new();
  size_t count, fields;
  evl_item item, name, value;
  evl_cursor c;

  (void)state;
  evl_decoder_feed(d, LIT("*3\r\n:7\r\n*1\r\n" ENTRY("1-1") "*0\r\n"));
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  c = evl_cursor_start(d);
  assert_int_equal(evl_cursor_next(&c, &item), EVL_OK);
  assert_int_equal(item.type, EVL_ITEM_ARRAY);
  assert_int_equal(item.len, 3);
  assert_int_equal(evl_cursor_next(&c, &item), EVL_OK);
  assert_int_equal(item.integer, 7);
  assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
  assert_int_equal(count, 1);
  assert_int_equal(evl_cursor_entry(&c, &item, &fields), EVL_OK);
  assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_OK);
  assert_string(&value, "b");
  assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
  assert_int_equal(count, 0);
  assert_int_equal(evl_cursor_next(&c, &item), EVL_AGAIN);
  evl_decoder_free(d);
}

#define STREAM(entries) "*1\r\n*2\r\n$3\r\nlog\r\n" entries

/* Feeds a reply, and goes to the last entry, or to the one before it. */
static int go_to_last(evl_decoder *d, const char *bytes, evl_shape shape,
                      int before, evl_item *id) {
  evl_cursor c;
  size_t fields;
  int status;

  assert_int_equal(evl_decoder_feed(d, bytes, strlen(bytes)), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  c = evl_cursor_start(d);
  status = evl_cursor_last(&c, shape, before);
  return status == EVL_OK ? evl_cursor_entry(&c, id, &fields) : status;
}

/* Nor is it anything else than an entry: [entry, nil] has none before its last
 * item, whatever came in the replies before it. */
static void the_last_entry_is_not_an_earlier_replys(void **state) {
  static const struct {
    evl_shape shape;
    const char *good, *bad[6];
  } cases[] = {
      {EVL_RANGE,
       "*2\r\n" ENTRY("7-1") ENTRY("7-2"),
       {"*2\r\n" ENTRY("8-1") "$-1\r\n", "*2\r\n$-1\r\n" ENTRY("8-1"),
        "*2\r\n:1\r\n:2\r\n", "*2\r\n*0\r\n*0\r\n", "*0\r\n", "$-1\r\n"}},
      {EVL_READ,
       STREAM("*2\r\n" ENTRY("7-1") ENTRY("7-2")),
       {STREAM("*2\r\n" ENTRY("8-1") "$-1\r\n"),
        STREAM("*2\r\n*-1\r\n" ENTRY("8-1")), STREAM("*2\r\n:1\r\n:2\r\n"),
        STREAM("*0\r\n"), "*0\r\n", "*-1\r\n"}},
  };
  size_t i, j;
  int before;

  (void)state;
  for (i = 0; i < COUNT(cases); i++)
    for (j = 0; j < COUNT(cases[i].bad); j++)
      for (before = 0; before <= 1; before++) {
        evl_decoder *d = evl_decoder_new();
        evl_item id;
        int times;
        for (times = 0; times < 2; times++) {
          assert_int_equal(
              go_to_last(d, cases[i].good, cases[i].shape, before, &id),
              EVL_OK);
          assert_memory_equal(id.string, before ? "7-1" : "7-2", 3);
        }
        if (go_to_last(d, cases[i].bad[j], cases[i].shape, before, &id) !=
            EVL_EPROTOCOL)
          fail_msg("%s: an entry is found", cases[i].bad[j]);
        evl_decoder_free(d);
      }
}

/* Whoever makes room for what is claimed, makes no more than can have come. */
static void room_follows_the_bytes_that_are_left(void **state) {
  static const char page[] = "*2\r\n" ENTRY("7-1") ENTRY("7-2");
  evl_decoder *d = evl_decoder_new();
  evl_item id, name, value;
  evl_cursor c;
  size_t count, fields;

  (void)state;
  assert_int_equal(evl_decoder_feed(d, page, sizeof page - 1), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  c = evl_cursor_start(d);
  assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
  assert_true(evl_cursor_room(&c, 1) >= 2);
  assert_true(evl_cursor_room(&c, 1) <= sizeof page / 17);
  for (; count > 0; count--) {
    assert_int_equal(evl_cursor_entry(&c, &id, &fields), EVL_OK);
    assert_true(evl_cursor_room(&c, 0) >= fields);
    assert_int_equal(evl_cursor_field(&c, &name, &value), EVL_OK);
  }
  assert_int_equal(evl_cursor_room(&c, 0), 0);
  assert_int_equal(evl_cursor_room(&c, 1), 0);
  evl_decoder_free(d);
}

/* What MULTI and QUEUED answer is passed over, as far as it is there. */
static void statuses_are_skipped(void **state) {
  evl_decoder *d = evl_decoder_new();

  (void)state;
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 0);
  evl_decoder_feed(d, LIT("+OK\r\n+QUEUED\r\n+QUEUED\r\n:1\r\n+A\r\n+B"));
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_int_equal(evl_decoder_skip_statuses(d, 1), 1);
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 1);
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 0);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_int_equal(evl_decoder_skip_statuses(d, 0), 0);
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 1);
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 0); /* half of one */
  evl_decoder_feed(d, LIT("\r\n"));
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_int_equal(evl_decoder_empty(d), 1);
  evl_decoder_feed(d, LIT("+C\r\n!"));
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 1);
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 0);
  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  assert_int_equal(evl_decoder_skip_statuses(d, 9), 0);
  evl_decoder_free(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_one_has_nothing),
      cmocka_unit_test(types_have_names),
      cmocka_unit_test(fixtures_are_read_whole),
      cmocka_unit_test(fixtures_are_read_byte_by_byte),
      cmocka_unit_test(fixtures_are_read_in_two_pieces),
      cmocka_unit_test(fixtures_are_read_one_behind_the_other),
      cmocka_unit_test(a_long_page_comes_in_pieces),
      cmocka_unit_test(a_long_string_comes_in_pieces),
      cmocka_unit_test(bytes_are_put_in_place),
      cmocka_unit_test(an_endless_line_is_refused),
      cmocka_unit_test(a_reply_outlives_feeding),
      cmocka_unit_test(cursors_do_not_disturb_each_other),
      cmocka_unit_test(trimmed_it_goes_on),
      cmocka_unit_test(trimmed_it_reads_empty_strings),
      cmocka_unit_test(not_empty_it_is_not_trimmed),
      cmocka_unit_test(what_is_no_reply_is_refused),
      cmocka_unit_test(what_says_it_is_too_large_is_refused),
      cmocka_unit_test(what_is_larger_than_set_is_refused),
      cmocka_unit_test(the_last_entry_is_not_an_earlier_replys),
      cmocka_unit_test(room_follows_the_bytes_that_are_left),
      cmocka_unit_test(what_is_cut_off_is_waited_for),
      cmocka_unit_test(nested_too_deep_is_refused),
      cmocka_unit_test(resp3_is_refused),
      cmocka_unit_test(broken_it_is_not_empty),
      cmocka_unit_test(survives_broken_fixtures),
      cmocka_unit_test(entries_are_read),
      cmocka_unit_test(other_shapes_are_refused),
      cmocka_unit_test(a_replys_end_is_no_entry),
      cmocka_unit_test(entries_are_read_inside_a_reply),
      cmocka_unit_test(statuses_are_skipped),
  };
  return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
