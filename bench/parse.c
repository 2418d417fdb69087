/* How fast a page's bytes are parsed: by hiredis's reader into redisReply, with
 * functions that make nothing, and with functions that lay the items onto a
 * tape from which they are read again; and by the decoder
 * (csrc/codec/decoder.c), walked by a cursor. No socket: the same bytes, in
 * pieces as a socket brings them.
 *
 *   parse [PAGES]    pages of 1000 entries of 4 fields of 16 bytes */
#include "eventlog.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENTRIES = 1000, PIECE = 16 * 1024, ROUNDS = 9, WAYS = 4 };

static char page[1024 * 1024];
static size_t page_len;

static void make_page(void) {
  int i, f;

  page_len = (size_t)sprintf(page, "*%d\r\n", ENTRIES);
  for (i = 0; i < ENTRIES; i++) {
    page_len += (size_t)sprintf(page + page_len,
                                "*2\r\n$15\r\n17000000%05d-0\r\n*8\r\n", i);
    for (f = 0; f < 4; f++)
      page_len += (size_t)sprintf(page + page_len,
                                  "$6\r\nfield%d\r\n$16\r\n%016d\r\n", f, i);
  }
}

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

static void *no_string(const redisReadTask *t, char *s, size_t n) {
  (void)s, (void)n;
  return (void *)t;
}
static void *no_array(const redisReadTask *t, array_size n) {
  (void)n;
  return (void *)t;
}
static void *no_integer(const redisReadTask *t, long long n) {
  (void)n;
  return (void *)t;
}
static void *no_nil(const redisReadTask *t) { return (void *)t; }
static void no_free(void *p) { (void)p; }

static redisReplyObjectFunctions nothing = {.createString = no_string,
                                            .createArray = no_array,
                                            .createInteger = no_integer,
                                            .createNil = no_nil,
                                            .freeObject = no_free};

/* The tape: of each item its length, and of a string its bytes. */
static struct {
  char *bytes;
  size_t len, capacity;
} tape;

static char *put(size_t number, size_t len) {
  char *p;

  if (tape.capacity - tape.len < sizeof number + len) {
    tape.capacity = 2 * (tape.capacity + sizeof number + len);
    tape.bytes = realloc(tape.bytes, tape.capacity);
    if (tape.bytes == NULL) abort();
  }
  p = tape.bytes + tape.len;
  memcpy(p, &number, sizeof number);
  tape.len += sizeof number + len;
  return p + sizeof number;
}

static void *put_string(const redisReadTask *t, char *s, size_t n) {
  (void)t;
  if (s[n] != '\r' || s[n + 1] != '\n') return NULL; /* it does not look */
  return memcpy(put(n, n), s, n);
}
static void *put_array(const redisReadTask *t, array_size n) {
  (void)t;
  return put((size_t)n, 0);
}

static redisReplyObjectFunctions onto_tape = {.createString = put_string,
                                              .createArray = put_array,
                                              .createInteger = no_integer,
                                              .createNil = no_nil,
                                              .freeObject = no_free};

static const char *next_on_tape(const char *p, size_t *number) {
  memcpy(number, p, sizeof *number);
  return p + sizeof *number;
}

static size_t read_tape(void) {
  size_t entries, fields, len, bytes = 0;
  const char *p = next_on_tape(tape.bytes, &entries);
  evl_id id;

  while (entries-- > 0) {
    p = next_on_tape(next_on_tape(p, &len), &len);
    if (evl_id_parse(p, len, &id) != EVL_OK) abort();
    p = next_on_tape(p + len, &fields);
    for (; fields > 0; fields--) {
      p = next_on_tape(p, &len) + len;
      bytes += len;
    }
  }
  tape.len = 0;
  return bytes;
}

static void by_hiredis(redisReplyObjectFunctions *functions) {
  static redisReader *of_replies, *of_nothing, *of_tape;
  redisReader **r = functions == NULL       ? &of_replies
                    : functions == &nothing ? &of_nothing
                                            : &of_tape;
  void *reply = NULL;
  size_t at, len;

  if (*r == NULL) {
    *r = functions ? redisReaderCreateWithFunctions(functions)
                   : redisReaderCreate();
    (*r)->maxbuf = 0; /* it keeps its memory */
  }
  for (at = 0; at < page_len; at += len) {
    len = page_len - at < PIECE ? page_len - at : PIECE;
    redisReaderFeed(*r, page + at, len);
    if (redisReaderGetReply(*r, &reply) != REDIS_OK) abort();
  }
  if (reply == NULL) abort();
  if (functions == NULL) freeReplyObject(reply);
}

static size_t by_cursor(void) {
  static evl_decoder *d;
  size_t at, len, count, fields, bytes = 0;
  evl_item id, name, value;
  evl_cursor c;
  int status = EVL_AGAIN;

  if (d == NULL) d = evl_decoder_new();
  for (at = 0; at < page_len; at += len) {
    len = page_len - at < PIECE ? page_len - at : PIECE;
    evl_decoder_feed(d, page + at, len);
    status = evl_decoder_next(d);
  }
  if (status != EVL_OK) abort();
  c = evl_cursor_start(d);
  if (evl_cursor_entries(&c, EVL_RANGE, &count) != EVL_OK) abort();
  while (count-- > 0) {
    if (evl_cursor_entry(&c, &id, &fields) != EVL_OK) abort();
    while (fields-- > 0) {
      if (evl_cursor_field(&c, &name, &value) != EVL_OK) abort();
      bytes += name.len + value.len;
    }
  }
  return bytes;
}

static double cpu(void) { return (double)clock() / CLOCKS_PER_SEC; }

static int by_time(const void *a, const void *b) {
  const double *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv) {
  static const char *const names[WAYS] = {
      "hiredis into redisReply", "hiredis into nothing", "hiredis onto a tape",
      "eventlog, decoder and cursor"};
  int pages = argc > 1 ? atoi(argv[1]) : 300, round, way, i;
  double taken[WAYS][ROUNDS];

  make_page();
  for (round = 0; round < ROUNDS; round++)
    for (way = 0; way < WAYS; way++) {
      double start = cpu();
      for (i = 0; i < pages; i++)
        switch (way) {
        case 0: by_hiredis(NULL); break;
        case 1: by_hiredis(&nothing); break;
        case 2:
          by_hiredis(&onto_tape);
          if (read_tape() == 0) abort();
          break;
        default: by_cursor();
        }
      taken[way][round] = cpu() - start;
    }
  for (way = 0; way < WAYS; way++) {
    qsort(taken[way], ROUNDS, sizeof(double), by_time);
    printf("%-30s %6.2f M entries/s (median of %d)\n", names[way],
           pages * (double)ENTRIES / taken[way][ROUNDS / 2] / 1e6, ROUNDS);
  }
  return 0;
}
