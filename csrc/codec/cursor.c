/* A cursor reads the reply that a decoder holds, item by item; and, if it is
 * what XRANGE or XREAD answers, entry by entry. */
#include "decoder.h"
#include "item.h"

/* The bytes of the smallest entry and the smallest field. */
#define SMALLEST_ENTRY (sizeof "*2\r\n$3\r\n0-0\r\n*0\r\n" - 1)
#define SMALLEST_FIELD (2 * (sizeof "$0\r\n\r\n" - 1))

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

INLINE int next_item(evl_cursor *c, evl_item *item) {
  const evl_decoder *d = c->decoder;
  const char *bytes = d->in.bytes, *p;
  int status;

  /* Of a reply that is too large, what came of it can be read. */
  if ((!d->whole && d->status != EVL_ETOOLARGE) || c->next >= d->at)
    return EVL_AGAIN;
  p = read_item(bytes + c->next, bytes + d->at, item, &status);
  c->next = p != NULL ? (size_t)(p - bytes) : d->at; /* walk() has seen it */
  return p != NULL ? EVL_OK : status;
}

/* The next item if it is a short string, as most are; else 0. */
INLINE int next_short_string(evl_cursor *c, evl_item *item) {
  const evl_decoder *d = c->decoder;
  const char *bytes = d->in.bytes, *p;

  if (!d->whole || c->next >= d->at) return 0;
  p = read_short_string(bytes + c->next, bytes + d->at, &item->string,
                        &item->len);
  if (p == NULL) return 0;
  item->type = EVL_ITEM_STRING;
  item->integer = 0;
  c->next = (size_t)(p - bytes);
  return 1;
}

int evl_cursor_next(evl_cursor *c, evl_item *item) {
  return next_short_string(c, item) ? EVL_OK : next_item(c, item);
}

/* The next item, which must be a string or an array: what it is, its first byte
 * tells, before anything else is read. */
static int expect(evl_cursor *c, evl_item_type type, evl_item *item) {
  const evl_decoder *d = c->decoder;
  char mark = type == EVL_ITEM_STRING ? '$' : '*';

  if (!d->whole || c->next >= d->at || d->in.bytes[c->next] != mark ||
      next_item(c, item) != EVL_OK || item->type != type)
    return EVL_EPROTOCOL;
  return EVL_OK;
}

/* The next item, which must be a string. */
INLINE int expect_string(evl_cursor *c, evl_item *item) {
  return next_short_string(c, item) ? EVL_OK : expect(c, EVL_ITEM_STRING, item);
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

  /* What is no array left no trace: if one is among them, what was noted may
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

  if (expect_array(c, 2) != EVL_OK || expect_string(c, id) ||
      evl_id_parse(id->string, id->len, &parsed) != EVL_OK ||
      expect(c, EVL_ITEM_ARRAY, &list) != EVL_OK || list.len % 2 != 0)
    return EVL_EPROTOCOL;
  *fields = list.len / 2;
  return EVL_OK;
}

int evl_cursor_field(evl_cursor *c, evl_item *name, evl_item *value) {
  if (expect_string(c, name) != EVL_OK) return EVL_EPROTOCOL;
  return expect_string(c, value);
}
