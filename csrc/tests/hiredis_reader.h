/* hiredis's reader of replies, as what the decoder is held against: it reads
 * the same bytes, and says what is in them in the decoder's words. */
#ifndef EVL_HIREDIS_READER_H
#define EVL_HIREDIS_READER_H

#include "eventlog.h"

typedef struct hiredis_reader hiredis_reader;

/* Each item that it reads is noted, of an array before what is in it. */
typedef void hiredis_note(void *to, const evl_item *item);

hiredis_reader *hiredis_reader_new(hiredis_note *note, void *to);
void hiredis_reader_free(hiredis_reader *r);
/* Copies the bytes. */
void hiredis_reader_feed(hiredis_reader *r, const char *bytes, size_t len);
/* 1: one more reply is noted; 0: more bytes are needed; -1: it is none. Items
 * of a reply that is not whole yet are noted when they come. */
int hiredis_reader_next(hiredis_reader *r);
/* Whether what it refuses is what the decoder takes on purpose: 0.14 refuses an
 * empty array below eight others, since it counts arrays of any length; 1
 * refuses a lone carriage return or line feed in an error, which some servers
 * send. */
int hiredis_reader_is_stricter(const hiredis_reader *r);

#endif
