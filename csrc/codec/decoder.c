/* Bytes -> replies, parsed in place.
 *
 * What comes is kept as it came, in one buffer. The decoder walks over it to
 * learn where a reply ends and that it is well formed; a cursor then reads the
 * same bytes again, item by item, and nothing is copied or laid down in
 * between. hiredis's reader takes longer over the same bytes, and either has
 * them copied once more, or makes the caller's values before it knows where the
 * reply ends, so that the next page cannot be asked for first (bench/NOTES.md
 * has the numbers). It is what this decoder is held against: test_hiredis.c. */
#include "decoder.h"
#include "item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of the smallest item: "+\r\n". */
enum { SMALLEST_ITEM = 3 };

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

/* Drops the reply at hand. What is behind it moves to the front if that is
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

/* Walks over the short strings that come next in the innermost array. Returns
 * what is behind them. */
static const char *pass_strings(evl_decoder *d, const char *p,
                                const char *end) {
  uint64_t left = d->left[d->depth];
  const char *next, *string;
  size_t len;

  for (; left > 0; left--) {
    next = read_short_string(p, end, &string, &len);
    if (next == NULL) break;
    p = next;
  }
  d->left[d->depth] = left;
  d->at = (size_t)(p - d->in.bytes);
  return p;
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
    if (p < end && *p == '$') {
      p = pass_strings(d, p, end);
      if (d->left[d->depth] == 0) continue;
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
