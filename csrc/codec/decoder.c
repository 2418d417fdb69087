/* Bytes -> replies, parsed in place.
 *
 * What comes is kept as it came, in one buffer. The decoder walks over it to
 * learn where a reply ends and that it is well formed; a cursor then reads the
 * same bytes again, item by item, and nothing is copied or laid down in
 * between. A quarter faster than hiredis's reader with functions of our own
 * (bench/NOTES.md), which had to copy each string. */
#include "buffer.h"
#include "eventlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How deep replies may be nested: no command's goes beyond 5. */
enum { DEEPEST = 8 };

/* The longest line of a status or an error. */
enum { LONGEST_LINE = 64 * 1024 };

/* The bytes of the smallest item: "+\r\n". */
enum { SMALLEST_ITEM = 3 };

/* The bytes of the smallest entry and the smallest field. */
#define SMALLEST_ENTRY (sizeof "*2\r\n$3\r\n0-0\r\n*0\r\n" - 1)
#define SMALLEST_FIELD (2 * (sizeof "$0\r\n\r\n" - 1))

/* The length of a string or an array that does not fit into any reply, yet
 * leaves room to count with. */
#define LONGEST_LENGTH (SIZE_MAX / 8)

struct evl_decoder {
  buffer in;
  size_t start; /* of the reply at hand */
  size_t at;    /* where the walk is: behind the reply, once it is whole */
  int whole;
  int depth;                  /* arrays that the walk is in */
  uint64_t left[DEEPEST + 1]; /* items of each that are still to come */
  /* Where at each depth the last array begins, and the one before it. */
  size_t last[DEEPEST + 1], before[DEEPEST + 1];
  size_t
      arrays[DEEPEST + 1]; /* how many came at each depth, in the last list */
  uint64_t max_reply;      /* bytes */
  int status;
  char error[160];
};

/* --- items --------------------------------------------------------------- */

/* These read at p, and return what is behind it; NULL where the bytes end
 * before it does, or where it is no reply: then *status is EVL_AGAIN or
 * EVL_EPROTOCOL. Inline, since they are most of the work. */

static inline const char *no_item(int reason, int *status) {
  *status = reason;
  return NULL;
}

/* "<number>\r\n" */
static const char *read_any_number(const char *p, const char *end,
                                   int64_t *number, int *status) {
  int negative = p < end && *p == '-';
  const char *digits = p += negative;
  uint64_t n = 0;

  for (; p < end && *p >= '0' && *p <= '9'; p++) {
    if (p - digits == 19) return no_item(EVL_EPROTOCOL, status);
    n = 10 * n + (uint64_t)(*p - '0');
  }
  if (p == end) return no_item(EVL_AGAIN, status);
  if (*p != '\r' || p == digits || n > (uint64_t)INT64_MAX + (uint64_t)negative)
    return no_item(EVL_EPROTOCOL, status);
  if (end - p < 2) return no_item(EVL_AGAIN, status);
  if (p[1] != '\n') return no_item(EVL_EPROTOCOL, status);
  *number = (int64_t)(negative ? 0 - n : n);
  return p + 2;
}

/* The digit's value; more than 9 where it is none. */
static inline unsigned digit(char c) { return (unsigned)c - '0'; }

/* "<number>\r\n". Most have one digit or two. */
static inline const char *read_number(const char *p, const char *end,
                                      int64_t *number, int *status) {
  if (end - p >= 4 && digit(p[0]) <= 9) {
    if (p[1] == '\r' && p[2] == '\n') {
      *number = digit(p[0]);
      return p + 3;
    }
    if (digit(p[1]) <= 9 && p[2] == '\r' && p[3] == '\n') {
      *number = 10 * digit(p[0]) + digit(p[1]);
      return p + 4;
    }
  }
  return read_any_number(p, end, number, status);
}

/* A line, up to its "\r\n". */
static const char *read_line(const char *p, const char *end, size_t *len,
                             int *status) {
  const char *start = p;

  while ((p = memchr(p, '\r', (size_t)(end - p))) != NULL && end - p >= 2) {
    if (p[1] == '\n') break;
    p++;
  }
  if ((p != NULL ? p : end) - start > LONGEST_LINE)
    return no_item(EVL_EPROTOCOL, status);
  if (p == NULL || end - p < 2) return no_item(EVL_AGAIN, status);
  *len = (size_t)(p - start);
  return p + 2;
}

/* What a length is followed by: "<len bytes>\r\n". */
static inline const char *read_bytes(const char *p, const char *end, size_t len,
                                     int *status) {
  size_t there = (size_t)(end - p);

  if (there < len || there - len < 2) return no_item(EVL_AGAIN, status);
  if (p[len] != '\r' || p[len + 1] != '\n')
    return no_item(EVL_EPROTOCOL, status);
  return p + len + 2;
}

/* Any item; of an array only what comes before its items. p is before the
 * end. */
static inline const char *read_item(const char *p, const char *end,
                                    evl_item *item, int *status) {
  char mark = *p++;
  int64_t number = 0;

  item->string = "";
  item->len = 0;
  item->integer = 0;
  if (mark == '$' || mark == '*') {
    item->type = mark == '$' ? EVL_ITEM_STRING : EVL_ITEM_ARRAY;
    p = read_number(p, end, &number, status);
    if (p == NULL) return NULL;
    if (number < 0) {
      item->type = EVL_ITEM_NIL;
      return number == -1 ? p : no_item(EVL_EPROTOCOL, status);
    }
    item->len =
        (uint64_t)number < LONGEST_LENGTH ? (size_t)number : LONGEST_LENGTH;
    if (mark == '*') return p;
    item->string = p;
    return read_bytes(p, end, item->len, status);
  }
  if (mark == ':') {
    item->type = EVL_ITEM_INTEGER;
    return read_number(p, end, &item->integer, status);
  }
  if (mark != '+' && mark != '-') return no_item(EVL_EPROTOCOL, status);
  item->type = mark == '+' ? EVL_ITEM_STATUS : EVL_ITEM_ERROR;
  item->string = p;
  return read_line(p, end, &item->len, status);
}

/* --- decoder ------------------------------------------------------------- */

evl_decoder *evl_decoder_new(void) {
  evl_decoder *d = calloc(1, sizeof *d);

  if (d == NULL) return NULL;
  d->left[0] = 1;
  d->max_reply = EVL_MAX_REPLY;
  return d;
}

void evl_decoder_set_max_reply(evl_decoder *d, uint64_t bytes) {
  d->max_reply = bytes;
}

void evl_decoder_free(evl_decoder *d) {
  if (d == NULL) return;
  evl_buffer_deinit(&d->in);
  free(d);
}

char *evl_decoder_reserve(evl_decoder *d, size_t *len) {
  size_t begun = d->in.len - d->start, least = 4096;
  char *p;

  if (d->status != EVL_OK) return NULL;
  /* As much again as there is of the reply: few calls for what is long, little
   * memory for what is short. */
  if (begun > least) least = begun < BUFFER_KEEP ? begun : BUFFER_KEEP;
  p = evl_buffer_reserve(&d->in, least);
  if (p == NULL)
    d->status = EVL_ENOMEM;
  else
    *len = d->in.capacity - d->in.len;
  return p;
}

void evl_decoder_filled(evl_decoder *d, size_t len) { d->in.len += len; }

int evl_decoder_feed(evl_decoder *d, const char *bytes, size_t len) {
  char *p;

  if (d->status != EVL_OK || len == 0) return d->status;
  p = evl_buffer_reserve(&d->in, len);
  if (p == NULL) return d->status = EVL_ENOMEM;
  memcpy(p, bytes, len);
  d->in.len += len;
  return EVL_OK;
}

/* Nothing can be read any more. */
static int fail(evl_decoder *d, const char *why) {
  snprintf(d->error, sizeof d->error, "%s", why);
  return d->status = EVL_EPROTOCOL;
}

static int fail_too_large(evl_decoder *d) {
  snprintf(d->error, sizeof d->error,
           "more than %llu bytes: raise the client's option max_reply",
           (unsigned long long)d->max_reply);
  return d->status = EVL_ETOOLARGE;
}

/* Whether the reply at hand is larger than it may be, with the item that begins
 * at d->at as long as it says it is. */
static int is_too_large(const evl_decoder *d, const evl_item *item) {
  uint64_t claimed = item->len;

  if (item->type == EVL_ITEM_ARRAY)
    claimed *= SMALLEST_ITEM;
  else if (claimed > 0)
    claimed += sizeof "$0\r\n\r\n" - 1;
  return d->at - d->start + claimed > d->max_reply;
}

/* Says what is wrong with the item at hand. */
static int fail_item(evl_decoder *d) {
  char text[64], shown[24];
  size_t i, len = d->in.len - d->at;

  if (len > sizeof shown - 1) len = sizeof shown - 1;
  for (i = 0; i < len; i++) {
    char c = d->in.bytes[d->at + i];
    if (c == '\r' || c == '\n') break;
    shown[i] = c >= ' ' && c <= '~' ? c : '?';
  }
  shown[i] = '\0';
  snprintf(text, sizeof text, "\"%s\" is no reply of Redis", shown);
  return fail(d, text);
}

/* Drops the reply at hand. What is behind it moves to the front where that is
 * the smaller part. */
static void drop(evl_decoder *d) {
  size_t rest = d->in.len - d->at;

  d->start = d->at;
  if (d->start >= rest) {
    if (rest > 0) memmove(d->in.bytes, d->in.bytes + d->start, rest);
    d->in.len = rest;
    d->start = d->at = 0;
  }
  d->whole = 0;
  d->depth = 0;
  d->left[0] = 1;
  d->arrays[0] = 0;
}

/* Walks on, from item to item, to the reply's end. */
static int walk(evl_decoder *d) {
  const char *end = d->in.bytes + d->in.len, *p = d->in.bytes + d->at;
  int status = EVL_AGAIN;
  size_t begin;
  evl_item item;

  while (d->left[0] > 0 || d->depth > 0) {
    if (d->left[d->depth] == 0) {
      d->depth--;
      continue;
    }
    if (p == end) return EVL_AGAIN;
    begin = d->at;
    p = read_item(p, end, &item, &status);
    if (p == NULL && status == EVL_AGAIN)
      return is_too_large(d, &item) ? fail_too_large(d) : status;
    if (p == NULL) return fail_item(d);
    d->at = (size_t)(p - d->in.bytes);
    d->left[d->depth]--;
    if (item.type != EVL_ITEM_ARRAY || item.len == 0) continue;
    if (is_too_large(d, &item)) return fail_too_large(d);
    if (d->depth == DEEPEST) return fail(d, "nested too deep");
    d->before[d->depth] = d->last[d->depth];
    d->last[d->depth] = begin;
    d->arrays[d->depth]++;
    d->left[++d->depth] = item.len;
    d->arrays[d->depth] = 0;
  }
  d->whole = 1;
  return EVL_OK;
}

int evl_decoder_next(evl_decoder *d) {
  int status;

  if (d->status != EVL_OK) return d->status;
  if (d->whole) drop(d);
  if (d->at == d->in.len) return EVL_AGAIN;
  status = walk(d);
  if (status == EVL_AGAIN && d->in.len - d->start > d->max_reply)
    return fail_too_large(d);
  if (status == EVL_OK && d->at - d->start > d->max_reply) {
    d->whole = 0;
    return fail_too_large(d);
  }
  return status;
}

size_t evl_decoder_skip_statuses(evl_decoder *d, size_t most) {
  size_t count = 0;

  while (count < most && d->whole && d->at < d->in.len &&
         d->in.bytes[d->at] == '+' && evl_decoder_next(d) == EVL_OK)
    count++;
  return count;
}

const char *evl_decoder_error(const evl_decoder *d) { return d->error; }

int evl_decoder_empty(const evl_decoder *d) {
  return d->status == EVL_OK && d->at == d->in.len &&
         (d->whole || d->at == d->start);
}

void evl_decoder_trim(evl_decoder *d) {
  if (!evl_decoder_empty(d)) return;
  drop(d);
  evl_buffer_clear(&d->in);
}

/* --- reading a reply ----------------------------------------------------- */

const char *evl_item_type_name(evl_item_type type) {
  static const char *const names[] = {"nil",   "string",  "status",
                                      "error", "integer", "array"};
  return names[type];
}

evl_cursor evl_cursor_start(const evl_decoder *d) {
  evl_cursor c;

  c.decoder = d;
  c.next = d->start;
  return c;
}

static inline int next_item(evl_cursor *c, evl_item *item) {
  const evl_decoder *d = c->decoder;
  const char *bytes = d->in.bytes, *p;
  int status;

  if (!d->whole || c->next >= d->at) return EVL_AGAIN;
  p = read_item(bytes + c->next, bytes + d->at, item, &status);
  c->next = p != NULL ? (size_t)(p - bytes) : d->at; /* walk() has seen it */
  return p != NULL ? EVL_OK : status;
}

int evl_cursor_next(evl_cursor *c, evl_item *item) {
  return next_item(c, item);
}

/* The next item, which must be a string or an array: what it is, its first byte
 * tells, before anything else is read. */
static inline int expect(evl_cursor *c, evl_item_type type, evl_item *item) {
  const evl_decoder *d = c->decoder;
  char mark = type == EVL_ITEM_STRING ? '$' : '*';

  if (!d->whole || c->next >= d->at || d->in.bytes[c->next] != mark ||
      next_item(c, item) != EVL_OK || item->type != type)
    return EVL_EPROTOCOL;
  return EVL_OK;
}

/* The next item, which must be an array of so many. */
static inline int expect_array(evl_cursor *c, size_t len) {
  evl_item item;

  if (expect(c, EVL_ITEM_ARRAY, &item) != EVL_OK || item.len != len)
    return EVL_EPROTOCOL;
  return EVL_OK;
}

int evl_cursor_entries(evl_cursor *c, evl_shape shape, size_t *count) {
  evl_item item;

  if (evl_cursor_next(c, &item) != EVL_OK) return EVL_EPROTOCOL;
  *count = 0;
  if (shape == EVL_READ) {
    if (item.type == EVL_ITEM_NIL) return EVL_OK;
    if (item.type != EVL_ITEM_ARRAY) return EVL_EPROTOCOL;
    if (item.len == 0) return EVL_OK; /* Redis 5, after a block ran out */
    if (item.len != 1 || expect_array(c, 2) != EVL_OK ||
        expect(c, EVL_ITEM_STRING, &item) != EVL_OK ||
        evl_cursor_next(c, &item) != EVL_OK)
      return EVL_EPROTOCOL;
  }
  if (item.type != EVL_ITEM_ARRAY) return EVL_EPROTOCOL;
  *count = item.len;
  return EVL_OK;
}

/* The depth at which a reply of entries has the entries' arrays. */
static int depth_of_entries(evl_shape shape) {
  return shape == EVL_READ ? 3 : 1;
}

int evl_cursor_last(evl_cursor *c, evl_shape shape, int before) {
  const evl_decoder *d = c->decoder;
  int depth = depth_of_entries(shape);
  size_t count;

  /* What is no array left no trace: where one is among them, what was noted may
   * lie anywhere, in an earlier reply, too. */
  if (evl_cursor_entries(c, shape, &count) != EVL_OK ||
      count <= (size_t)before || count != d->arrays[depth])
    return EVL_EPROTOCOL;
  c->next = before ? d->before[depth] : d->last[depth];
  return EVL_OK;
}

size_t evl_decoder_last_size(const evl_decoder *d, evl_shape shape) {
  return d->at - d->last[depth_of_entries(shape)];
}

size_t evl_cursor_room(const evl_cursor *c, int entries) {
  size_t left = c->next < c->decoder->at ? c->decoder->at - c->next : 0;

  return left / (entries ? SMALLEST_ENTRY : SMALLEST_FIELD);
}

int evl_cursor_entry(evl_cursor *c, evl_item *id, size_t *fields) {
  evl_item list;
  evl_id parsed;

  if (expect_array(c, 2) != EVL_OK || expect(c, EVL_ITEM_STRING, id) ||
      evl_id_parse(id->string, id->len, &parsed) != EVL_OK ||
      expect(c, EVL_ITEM_ARRAY, &list) != EVL_OK || list.len % 2 != 0)
    return EVL_EPROTOCOL;
  *fields = list.len / 2;
  return EVL_OK;
}

int evl_cursor_field(evl_cursor *c, evl_item *name, evl_item *value) {
  if (expect(c, EVL_ITEM_STRING, name) != EVL_OK) return EVL_EPROTOCOL;
  return expect(c, EVL_ITEM_STRING, value);
}
