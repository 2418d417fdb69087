/* Commands -> bytes: RESP arrays of bulk strings, one behind the other.
 *
 * hiredis formats commands whose arguments are at hand. Entries, which are most
 * of the bytes, and what a follower asks for with each batch are put in place
 * here: hiredis would want them as one array of strings, in memory of their
 * own, and takes ten times as long (bench/NOTES.md). */
#include "buffer.h"
#include "eventlog.h"

#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct evl_request {
  buffer out;
  size_t sent;
  int status;
};

/* The mark of a request that had failed before. */
#define BROKEN SIZE_MAX

/* "$" or "*", up to 20 digits, CR LF. */
enum { HEADER_SIZE = 24 };

evl_request *evl_request_new(void) { return calloc(1, sizeof(evl_request)); }

void evl_request_free(evl_request *r) {
  if (r == NULL) return;
  evl_buffer_deinit(&r->out);
  free(r);
}

int evl_request_status(const evl_request *r) { return r->status; }

void evl_request_clear(evl_request *r) {
  evl_buffer_clear(&r->out);
  r->sent = 0;
  r->status = EVL_OK;
}

/* Room for len bytes, or NULL with the status set. */
static char *reserve(evl_request *r, size_t len) {
  char *p;

  if (r->status != EVL_OK) return NULL;
  p = evl_buffer_reserve(&r->out, len);
  if (p == NULL) r->status = EVL_ENOMEM;
  return p;
}

/* "<mark><n>\r\n" at p; returns where it ends. */
static inline char *put_header(char *p, char mark, size_t n) {
  *p++ = mark;
  if (n < 10)
    *p++ = (char)('0' + n);
  else if (n < 100) {
    *p++ = (char)('0' + n / 10);
    *p++ = (char)('0' + n % 10);
  } else {
    char digits[20];
    int count = 0;

    do {
      digits[count++] = (char)('0' + n % 10);
      n /= 10;
    } while (n > 0);
    while (count > 0)
      *p++ = digits[--count];
  }
  *p++ = '\r';
  *p++ = '\n';
  return p;
}

/* memcpy(), without a call for the lengths that names and values have. */
static inline char *put_bytes(char *p, const char *bytes, size_t len) {
  if (len >= 8 && len <= 16) {
    memcpy(p, bytes, 8);
    memcpy(p + len - 8, bytes + len - 8, 8);
  } else if (len >= 4 && len < 8) {
    memcpy(p, bytes, 4);
    memcpy(p + len - 4, bytes + len - 4, 4);
  } else if (len > 0)
    memcpy(p, bytes, len);
  return p + len;
}

static inline char *put_string(char *p, const char *s, size_t len) {
  p = put_header(p, '$', len);
  p = put_bytes(p, s, len);
  *p++ = '\r';
  *p++ = '\n';
  return p;
}

static void used_up_to(evl_request *r, const char *end) {
  r->out.len = (size_t)(end - r->out.bytes);
}

void evl_request_begin(evl_request *r, size_t argc) {
  char *p = reserve(r, HEADER_SIZE);

  if (p != NULL) used_up_to(r, put_header(p, '*', argc));
}

void evl_request_string(evl_request *r, const char *s, size_t len) {
  char *p = len > SIZE_MAX / 4 ? NULL : reserve(r, HEADER_SIZE + len + 2);

  if (p != NULL)
    used_up_to(r, put_string(p, s, len));
  else
    r->status = EVL_ENOMEM;
}

void evl_request_integer(evl_request *r, int64_t i) {
  char digits[EVL_NUMBER_SIZE];

  evl_request_string(r, digits, evl_integer_format(i, digits));
}

/* hiredis counts a command's bytes in an int, and takes what it gives apart by
 * no struct: so any hiredis will do that a host brings. */
void evl_request_command(evl_request *r, size_t argc, const char **argv,
                         const size_t *lens) {
  size_t i, total = HEADER_SIZE;
  char *bytes = NULL, *p;
  int len;

  for (i = 0; i < argc && total < INT_MAX; i++)
    total = lens[i] < INT_MAX ? total + HEADER_SIZE + lens[i] : INT_MAX;
  if (r->status != EVL_OK) return;
  r->status = EVL_ERANGE;
  if (total >= INT_MAX) return;
  r->status = EVL_ENOMEM;
  len = (int)redisFormatCommandArgv(&bytes, (int)argc, argv, lens);
  if (len < 0) return;
  r->status = EVL_OK;
  p = reserve(r, (size_t)len);
  if (p != NULL) used_up_to(r, put_bytes(p, bytes, (size_t)len));
  redisFreeCommand(bytes);
}

/* Room that a field takes at most; 0 if it is too long. */
static size_t field_room(const evl_field *field) {
  size_t value = EVL_NUMBER_SIZE;

  if (field->type == EVL_STRING) value = field->value.string.len;
  if (field->name_len > SIZE_MAX / 8 || value > SIZE_MAX / 8) return 0;
  return 2 * (HEADER_SIZE + 2) + field->name_len + value;
}

static char *put_field(char *p, const evl_field *field) {
  char digits[EVL_NUMBER_SIZE];
  size_t len = 0;

  p = put_string(p, field->name, field->name_len);
  switch (field->type) {
  case EVL_STRING:
    return put_string(p, field->value.string.bytes, field->value.string.len);
  case EVL_INTEGER:
    len = evl_integer_format(field->value.integer, digits);
    break;
  case EVL_DOUBLE: len = evl_double_format(field->value.number, digits); break;
  }
  return put_string(p, digits, len);
}

/* A command's header, and its first arguments, encoded already. */
static void put_head(evl_request *r, const char *head, size_t len,
                     size_t argc) {
  char *p = len > SIZE_MAX / 4 ? NULL : reserve(r, HEADER_SIZE + len);

  if (p != NULL)
    used_up_to(r, put_bytes(put_header(p, '*', argc), head, len));
  else
    r->status = EVL_ENOMEM;
}

static void put_fields(evl_request *r, const evl_field *fields, size_t count) {
  size_t i, len = 0;
  char *p;

  for (i = 0; i < count; i++) {
    size_t room = field_room(&fields[i]);
    if (room == 0 || room > SIZE_MAX / 4 - len) {
      r->status = EVL_ENOMEM;
      return;
    }
    len += room;
  }
  p = reserve(r, len);
  if (p == NULL) return;
  for (i = 0; i < count; i++)
    p = put_field(p, &fields[i]);
  used_up_to(r, p);
}

void evl_request_entry(evl_request *r, const char *head, size_t head_len,
                       size_t head_argc, const evl_field *fields,
                       size_t count) {
  put_head(r, head, head_len, head_argc + 2 * count);
  put_fields(r, fields, count);
}

void evl_request_encoded(evl_request *r, const char *args, size_t len,
                         size_t argc) {
  put_head(r, args, len, argc);
}

void evl_request_fields(evl_request *r, const evl_field *fields, size_t count) {
  evl_request_integer(r, (int64_t)(2 * count));
  put_fields(r, fields, count);
}

const char *evl_request_bytes(const evl_request *r, size_t *len) {
  *len = r->out.len - r->sent;
  return *len > 0 ? r->out.bytes + r->sent : "";
}

void evl_request_sent(evl_request *r, size_t len) {
  r->sent += len;
  if (r->sent == r->out.len) evl_request_clear(r);
}

size_t evl_request_mark(const evl_request *r) {
  return r->status == EVL_OK ? r->out.len : BROKEN;
}

void evl_request_rewind(evl_request *r, size_t mark) {
  if (mark == BROKEN) return;
  r->out.len = mark;
  r->status = EVL_OK;
}
