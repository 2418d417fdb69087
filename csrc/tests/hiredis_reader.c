#include "hiredis_reader.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

struct hiredis_reader {
  redisReader *reader;
  hiredis_note *note;
  void *to;
};

#if HIREDIS_MAJOR >= 1
typedef size_t array_length;
#else
typedef int array_length;
#endif

/* What the functions below return is kept, and asked for nothing; NULL ends the
 * reading. */
static void *note(const redisReadTask *task, evl_item_type type,
                  const char *string, size_t len, long long integer) {
  hiredis_reader *r = task->privdata;
  evl_item item;

  item.type = type;
  item.string = string;
  item.len = len;
  item.integer = integer;
  r->note(r->to, &item);
  return r;
}

/* Of RESP3, which hiredis 1 reads, nothing is taken. */
static void *read_string(const redisReadTask *task, char *s, size_t len) {
  switch (task->type) {
  case REDIS_REPLY_STRING: return note(task, EVL_ITEM_STRING, s, len, 0);
  case REDIS_REPLY_STATUS: return note(task, EVL_ITEM_STATUS, s, len, 0);
  case REDIS_REPLY_ERROR: return note(task, EVL_ITEM_ERROR, s, len, 0);
  default: return NULL;
  }
}

static void *read_array(const redisReadTask *task, array_length len) {
  if (task->type != REDIS_REPLY_ARRAY) return NULL;
  return note(task, EVL_ITEM_ARRAY, "", (size_t)len, 0);
}

static void *read_integer(const redisReadTask *task, long long integer) {
  if (task->type != REDIS_REPLY_INTEGER) return NULL;
  return note(task, EVL_ITEM_INTEGER, "", 0, integer);
}

static void *read_nil(const redisReadTask *task) {
  if (task->type != REDIS_REPLY_STRING && task->type != REDIS_REPLY_ARRAY)
    return NULL;
  return note(task, EVL_ITEM_NIL, "", 0, 0);
}

#if HIREDIS_MAJOR >= 1
static void *read_double(const redisReadTask *task, double number, char *s,
                         size_t len) {
  (void)task, (void)number, (void)s, (void)len;
  return NULL;
}

static void *read_bool(const redisReadTask *task, int value) {
  (void)task, (void)value;
  return NULL;
}
#endif

static void free_nothing(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {
    .createString = read_string,
    .createArray = read_array,
    .createInteger = read_integer,
    .createNil = read_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = read_double,
    .createBool = read_bool,
#endif
    .freeObject = free_nothing,
};

hiredis_reader *hiredis_reader_new(hiredis_note *to_note, void *to) {
  hiredis_reader *r = malloc(sizeof *r);

  if (r == NULL) abort();
  r->note = to_note;
  r->to = to;
  r->reader = redisReaderCreateWithFunctions(&functions);
  if (r->reader == NULL) abort();
  r->reader->privdata = r; /* redisReaderSetPrivdata makes an int of it */
  return r;
}

void hiredis_reader_free(hiredis_reader *r) {
  redisReaderFree(r->reader);
  free(r);
}

void hiredis_reader_feed(hiredis_reader *r, const char *bytes, size_t len) {
  (void)redisReaderFeed(r->reader, bytes, len);
}

int hiredis_reader_next(hiredis_reader *r) {
  void *reply = NULL;

  if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) return -1;
  return reply != NULL;
}

int hiredis_reader_is_stricter(const hiredis_reader *r) {
  const char *why = redisReaderGetError(r->reader);

  return strstr(why, "depth") != NULL || strstr(why, "simple string") != NULL;
}
