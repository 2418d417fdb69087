/* One item of a reply, read in place. Not part of the public header.
 *
 * The functions read at p, and return what is behind the item; NULL if the
 * bytes end before it does, or if it is no reply: then *status is EVL_AGAIN or
 * EVL_EPROTOCOL. They are inline, since the decoder and the cursor do
 * little else. */
#ifndef EVL_ITEM_H
#define EVL_ITEM_H

#include "eventlog.h"

#include <string.h>

/* A compiler that is left to choose makes calls of them: a seventh more time.
 */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* The longest line of a status or an error. */
enum { LONGEST_LINE = 64 * 1024 };

/* The length of a string or an array that does not fit into any reply, yet
 * leaves room to count with. */
#define LONGEST_LENGTH (SIZE_MAX / 8)

static inline const char *no_item(int reason, int *status) {
  *status = reason;
  return NULL;
}

/* "<number>\r\n", as Redis writes it: without a zero in front. */
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
  if (*p != '\r' || p == digits ||
      (*digits == '0' && (p - digits > 1 || negative)) ||
      n > (uint64_t)INT64_MAX + (uint64_t)negative)
    return no_item(EVL_EPROTOCOL, status);
  if (end - p < 2) return no_item(EVL_AGAIN, status);
  if (p[1] != '\n') return no_item(EVL_EPROTOCOL, status);
  *number = (int64_t)(negative ? 0 - n : n);
  return p + 2;
}

/* The digit's value; more than 9 if it is none. */
static inline unsigned digit(char c) { return (unsigned)c - '0'; }

/* "<number>\r\n". Most have one digit or two. */
INLINE const char *read_number(const char *p, const char *end, int64_t *number,
                               int *status) {
  if (end - p >= 4 && digit(p[0]) <= 9) {
    if (p[1] == '\r' && p[2] == '\n') {
      *number = digit(p[0]);
      return p + 3;
    }
    if (p[0] != '0' && digit(p[1]) <= 9 && p[2] == '\r' && p[3] == '\n') {
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
INLINE const char *read_bytes(const char *p, const char *end, size_t len,
                              int *status) {
  size_t there = (size_t)(end - p);

  if (there < len || there - len < 2) return no_item(EVL_AGAIN, status);
  if (p[len] != '\r' || p[len + 1] != '\n')
    return no_item(EVL_EPROTOCOL, status);
  return p + len + 2;
}

/* Whether a line ends at p, of which two bytes are there. */
static inline int is_line_end(const char *p) {
  return memcmp(p, "\r\n", 2) == 0;
}

/* "$<len>\r\n<len bytes>\r\n" of at most 99 bytes, if all of it is there: most
 * items are that. Returns NULL if it is not: read_item() then says what it is.
 */
INLINE const char *read_short_string(const char *p, const char *end,
                                     const char **string, size_t *len) {
  size_t n;

  if (end - p < 6 || p[0] != '$' || digit(p[1]) > 9) return NULL;
  n = digit(p[1]);
  p += 2;
  if (*p != '\r') {
    if (n == 0 || digit(*p) > 9) return NULL;
    n = 10 * n + digit(*p++);
  }
  if (!is_line_end(p)) return NULL;
  p += 2;
  if ((size_t)(end - p) < n + 2 || !is_line_end(p + n)) return NULL;
  *string = p;
  *len = n;
  return p + n + 2;
}

/* Any item; of an array only what comes before its items. p is before the
 * end. */
INLINE const char *read_item(const char *p, const char *end, evl_item *item,
                             int *status) {
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

#endif
