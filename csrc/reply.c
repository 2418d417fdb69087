/* Bytes -> replies, with hiredis's parser.
 *
 * hiredis finds the items and calls the functions below for each; they lay
 * the items into one flat array, each array before its items, and the strings
 * behind each other into one buffer. A page of a thousand entries so costs two
 * growing blocks instead of ten thousand small ones, and is dropped by setting
 * two lengths to 0. */
#include "buffer.h"
#include "eventlog.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/* hiredis 0.14 has no RESP3, and counts an array's items in an int. */
#if HIREDIS_MAJOR >= 1
#define HAVE_RESP3 1
typedef size_t array_size;
#else
#define HAVE_RESP3 0
typedef int array_size;
#endif

/* An item: its type in the low bits of tag, above it a string's length or an
 * array's number of items. */
typedef struct node {
  uint64_t tag;
  union {
    uint64_t offset; /* of a string, in the decoder's strings */
    int64_t integer;
  } u;
} node;

enum { TYPE_BITS = 3, TYPE_MASK = 7 };

/* How deep replies may be nested: no command's goes beyond 5. */
enum { DEEPEST = 8 };

struct evl_decoder {
  redisReader *reader;
  buffer nodes; /* of node */
  buffer strings;
  size_t fed; /* bytes since the last trim */
  int status, too_deep;
  char error[160];
};

/* --- what hiredis calls; each returns NULL where memory ran out ---------- */

static void *add_node(evl_decoder *d, evl_item_type type, uint64_t len,
                      int64_t value) {
  node *n = (node *)(void *)evl_buffer_reserve(&d->nodes, sizeof *n);

  if (n == NULL) return NULL;
  n->tag = len << TYPE_BITS | (uint64_t)type;
  n->u.integer = value;
  d->nodes.len += sizeof *n;
  return d; /* any pointer will do: nothing is looked up by it */
}

static void *create_string(const redisReadTask *task, char *s, size_t len) {
  evl_decoder *d = task->privdata;
  char *p = evl_buffer_reserve(&d->strings, len);
  size_t offset = d->strings.len;
  evl_item_type type = EVL_ITEM_OTHER;

  if (p == NULL) return NULL;
  if (len > 0) memcpy(p, s, len);
  d->strings.len += len;
  switch (task->type) {
  case REDIS_REPLY_STRING: type = EVL_ITEM_STRING; break;
  case REDIS_REPLY_STATUS: type = EVL_ITEM_STATUS; break;
  case REDIS_REPLY_ERROR: type = EVL_ITEM_ERROR; break;
  default: break;
  }
  return add_node(d, type, len, (int64_t)offset);
}

static void *create_array(const redisReadTask *task, array_size count) {
  evl_decoder *d = task->privdata;
  evl_item_type type =
      task->type == REDIS_REPLY_ARRAY ? EVL_ITEM_ARRAY : EVL_ITEM_OTHER;

  d->too_deep = d->reader->ridx > DEEPEST; /* hiredis 1.x takes any depth */
  if (d->too_deep) return NULL;
  /* Nobody reads the length of what is no array. */
  return add_node(d, type, type == EVL_ITEM_ARRAY ? (uint64_t)count : 0, 0);
}

static void *create_integer(const redisReadTask *task, long long value) {
  return add_node(task->privdata, EVL_ITEM_INTEGER, 0, value);
}

static void *create_nil(const redisReadTask *task) {
  return add_node(task->privdata, EVL_ITEM_NIL, 0, 0);
}

#if HAVE_RESP3
static void *create_double(const redisReadTask *task, double value, char *s,
                           size_t len) {
  (void)value, (void)s, (void)len;
  return add_node(task->privdata, EVL_ITEM_OTHER, 0, 0);
}

static void *create_bool(const redisReadTask *task, int value) {
  (void)value;
  return add_node(task->privdata, EVL_ITEM_OTHER, 0, 0);
}
#endif

/* The items lie in the decoder's buffers, which outlive a broken reply. */
static void free_object(void *object) { (void)object; }

/* Not const, because hiredis's reader wants a pointer to it; never written. */
static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_object,
#if HAVE_RESP3
    .createDouble = create_double,
    .createBool = create_bool,
#endif
};

/* --- decoder ------------------------------------------------------------- */

static redisReader *reader_new(evl_decoder *d) {
  redisReader *reader = redisReaderCreateWithFunctions(&functions);

  if (reader != NULL) {
    reader->privdata = d;
    /* What hiredis keeps of an emptied buffer: a page's worth, so that paging
     * through a log does not free and allocate each time. */
    reader->maxbuf = 256 * 1024;
  }
  return reader;
}

evl_decoder *evl_decoder_new(void) {
  evl_decoder *d = calloc(1, sizeof *d);

  if (d == NULL) return NULL;
  d->reader = reader_new(d);
  if (d->reader == NULL) {
    free(d);
    return NULL;
  }
  return d;
}

void evl_decoder_free(evl_decoder *d) {
  if (d == NULL) return;
  redisReaderFree(d->reader);
  evl_buffer_deinit(&d->nodes);
  evl_buffer_deinit(&d->strings);
  free(d);
}

/* Keeps what the reader found wrong: nothing can be read any more. */
static int fail(evl_decoder *d) {
  size_t len = strlen(d->reader->errstr);

  if (d->too_deep) { /* which hiredis takes for a lack of memory */
    strcpy(d->error, "nested too deep");
    return d->status = EVL_EPROTOCOL;
  }

  if (len >= sizeof d->error) len = sizeof d->error - 1;
  memcpy(d->error, d->reader->errstr, len);
  d->error[len] = '\0';
  d->status = d->reader->err == REDIS_ERR_OOM ? EVL_ENOMEM : EVL_EPROTOCOL;
  return d->status;
}

int evl_decoder_feed(evl_decoder *d, const char *bytes, size_t len) {
  if (d->status != EVL_OK || len == 0) return d->status;
  if (redisReaderFeed(d->reader, bytes, len) != REDIS_OK) return fail(d);
  d->fed += len;
  return EVL_OK;
}

int evl_decoder_next(evl_decoder *d) {
  void *reply = NULL;

  if (d->status != EVL_OK) return d->status;
  if (evl_decoder_empty(d)) return EVL_AGAIN;
  /* A reply that came in pieces is still being laid down. */
  if (d->reader->ridx == -1) {
    d->nodes.len = 0;
    d->strings.len = 0;
  }
  if (redisReaderGetReply(d->reader, &reply) != REDIS_OK) return fail(d);
  return reply != NULL ? EVL_OK : EVL_AGAIN;
}

const char *evl_decoder_error(const evl_decoder *d) { return d->error; }

int evl_decoder_empty(const evl_decoder *d) {
  return d->status == EVL_OK && d->reader->ridx == -1 &&
         d->reader->pos == d->reader->len;
}

void evl_decoder_trim(evl_decoder *d) {
  if (!evl_decoder_empty(d)) return;
  evl_buffer_clear(&d->nodes);
  evl_buffer_clear(&d->strings);
  if (d->fed > BUFFER_KEEP) {
    /* hiredis keeps its buffer's size to itself; a new reader is small. */
    redisReader *reader = reader_new(d);

    if (reader != NULL) {
      redisReaderFree(d->reader);
      d->reader = reader;
    }
  }
  d->fed = 0;
}

/* --- reading a reply ----------------------------------------------------- */

const char *evl_item_type_name(evl_item_type type) {
  static const char *const names[] = {"nil",     "string", "status", "error",
                                      "integer", "array",  "other"};
  return names[type];
}

evl_cursor evl_cursor_start(const evl_decoder *d) {
  evl_cursor c;

  c.decoder = d;
  c.next = 0;
  return c;
}

int evl_cursor_next(evl_cursor *c, evl_item *item) {
  const evl_decoder *d = c->decoder;
  const node *n;

  if (c->next >= d->nodes.len / sizeof *n) return EVL_AGAIN;
  n = (const node *)(const void *)d->nodes.bytes + c->next++;
  item->type = (evl_item_type)(n->tag & TYPE_MASK);
  item->len = (size_t)(n->tag >> TYPE_BITS);
  item->string = "";
  item->integer = 0;
  if (item->type == EVL_ITEM_INTEGER)
    item->integer = n->u.integer;
  else if (item->len > 0 && item->type != EVL_ITEM_ARRAY)
    item->string = d->strings.bytes + n->u.offset;
  return EVL_OK;
}

/* The next item, which must be of this type. */
static int expect(evl_cursor *c, evl_item_type type, evl_item *item) {
  if (evl_cursor_next(c, item) != EVL_OK || item->type != type)
    return EVL_EPROTOCOL;
  return EVL_OK;
}

/* The next item, which must be an array of so many. */
static int expect_array(evl_cursor *c, size_t len) {
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
