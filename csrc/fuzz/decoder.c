/* Fuzzes the decoder: arbitrary bytes, in arbitrary pieces.
 *
 * - However the bytes are cut, the replies are the same, and so is whether they
 *   end in something that is none.
 * - They are what the bytes say, and nothing that Redis would not write; and
 *   what hiredis's reader makes of the same bytes.
 * - Every reply is a tree of items without a hole, and can be read in each of
 *   the shapes in which the Lua binding reads it.
 * - Memory is bounded by the bytes that came, not by the lengths they claim.
 *
 * The input is what the server says. Where its last byte is one from 1 to 7, so
 * many bytes before it are the sizes of the pieces, over and over. */
#include "decoder_truth.h"
#include "fuzz.h"
#include "transcript.h"

#include <sanitizer/allocator_interface.h>
#include <string.h>

/* --- memory -------------------------------------------------------------- */

/* In bytes, while counting. libFuzzer has threads of its own. */
static __thread int counting;
static size_t live, most;

static void on_malloc(const volatile void *p, size_t size) {
  (void)p;
  if (!counting) return;
  live += size;
  if (live > most) most = live;
}

static void on_free(const volatile void *p) {
  if (counting && p != NULL)
    live -= __sanitizer_get_allocated_size((const void *)(uintptr_t)p);
}

/* --- reading a reply ----------------------------------------------------- */

/* One item, and all in it. */
static void read_tree(transcript *t, evl_cursor *c) {
  evl_item item;
  size_t i;

  CHECK(evl_cursor_next(c, &item) == EVL_OK);
  CHECK(strlen(evl_item_type_name(item.type)) > 0);
  transcript_note_item(t, &item);
  if (item.type == EVL_ITEM_ARRAY)
    for (i = 0; i < item.len; i++)
      read_tree(t, c);
}

static void read_items(transcript *t, const evl_decoder *d) {
  evl_cursor c = evl_cursor_start(d);
  evl_item item;

  read_tree(t, &c);
  CHECK(evl_cursor_next(&c, &item) == EVL_AGAIN);
}

static int same_id(const evl_item *a, const evl_item *b) {
  return a->len == b->len && memcmp(a->string, b->string, a->len) == 0;
}

/* What is found without a walk: of a page, the last entry, which ends where the
 * page does (behind), and the one before it; of anything else, whatever it is.
 */
static void check_last(const evl_decoder *d, evl_shape shape, int is_page,
                       size_t count, const evl_item *last_two, size_t behind) {
  int before;

  for (before = 0; before <= 1; before++) {
    evl_cursor c = evl_cursor_start(d);
    size_t start, fields;
    evl_item id;
    int status = evl_cursor_last(&c, shape, before);

    CHECK(status == EVL_OK || status == EVL_EPROTOCOL);
    start = c.next;
    if (status == EVL_OK) status = evl_cursor_entry(&c, &id, &fields);
    CHECK(status == EVL_OK || status == EVL_EPROTOCOL);
    if (!is_page || count <= (size_t)before) continue;
    CHECK(status == EVL_OK && same_id(&id, &last_two[before]));
    if (!before) CHECK(evl_decoder_last_size(d, shape) == behind - start);
  }
}

/* The entries of a page, and nothing behind them; what is no page ends it. */
static void read_entries(transcript *t, const evl_decoder *d, evl_shape shape) {
  evl_cursor c = evl_cursor_start(d);
  size_t count = 0, fields, i;
  int status = evl_cursor_entries(&c, shape, &count);
  evl_item end, last_two[2];

  CHECK(status == EVL_OK || status == EVL_EPROTOCOL);
  for (i = 0; i < count && status == EVL_OK; i++) {
    evl_item id, name, value;
    evl_id parsed;

    status = evl_cursor_entry(&c, &id, &fields);
    if (status != EVL_OK) break;
    CHECK(evl_id_parse(id.string, id.len, &parsed) == EVL_OK);
    transcript_note_item(t, &id);
    last_two[1] = last_two[0];
    last_two[0] = id;
    for (; fields > 0 && status == EVL_OK; fields--) {
      status = evl_cursor_field(&c, &name, &value);
      if (status != EVL_OK) break;
      CHECK(name.type == EVL_ITEM_STRING && value.type == EVL_ITEM_STRING);
      transcript_note_item(t, &name);
      transcript_note_item(t, &value);
    }
  }
  CHECK(status == EVL_OK || status == EVL_EPROTOCOL);
  if (status == EVL_OK) CHECK(evl_cursor_next(&c, &end) == EVL_AGAIN);
  check_last(d, shape, status == EVL_OK, count, last_two, c.next);
  transcript_note(t, &status, sizeof status);
}

/* All replies that are there. Returns why there are no more. */
static int read_replies(transcript *t, evl_decoder *d) {
  int status;

  while ((status = evl_decoder_next(d)) == EVL_OK) {
    read_items(t, d);
    read_entries(t, d, EVL_RANGE);
    read_entries(t, d, EVL_READ);
  }
  CHECK(status == EVL_AGAIN || status == EVL_EPROTOCOL ||
        status == EVL_ETOOLARGE);
  CHECK((status != EVL_AGAIN) == (*evl_decoder_error(d) != '\0'));
  return status;
}

/* --- whole, and in pieces ------------------------------------------------ */

enum { MOST_SIZES = 7 };

typedef struct pieces {
  const uint8_t *sizes;
  size_t count;
} pieces;

/* Puts some bytes in, in one of the two ways in which that can be done. */
static void put(evl_decoder *d, const char *bytes, size_t len, int copy) {
  while (len > 0 && !copy) {
    size_t room;
    char *p = evl_decoder_reserve(d, &room);
    CHECK(p != NULL && room >= 4096);
    if (room > len) room = len;
    memcpy(p, bytes, room);
    evl_decoder_filled(d, room);
    bytes += room;
    len -= room;
  }
  CHECK(evl_decoder_feed(d, bytes, len) == EVL_OK);
}

/* Feeds all of it, in these pieces; trims wherever that can be. */
static void decode(transcript *t, const char *bytes, size_t len,
                   const pieces *cut) {
  evl_decoder *d = evl_decoder_new();
  int status = EVL_AGAIN, empty;
  size_t i;

  CHECK(d != NULL);
  for (i = 0; len > 0 && status == EVL_AGAIN; i++) {
    size_t size = cut->count > 0 ? cut->sizes[i % cut->count] + 1u : len;
    if (size > len) size = len;
    put(d, bytes, size, i % 2 == 0);
    bytes += size;
    len -= size;
    status = read_replies(t, d);
    evl_decoder_trim(d);
  }
  empty = evl_decoder_empty(d);
  CHECK(status == EVL_AGAIN || !empty);
  transcript_note(t, &status, sizeof status);
  transcript_note(t, &empty, sizeof empty);
  if (status != EVL_AGAIN) { /* it stays so */
    CHECK(evl_decoder_feed(d, "+OK\r\n", 5) == status);
    CHECK(evl_decoder_next(d) == status);
  }
  evl_decoder_free(d);
}

/* How much memory the decoder takes: "never more than twice what has come". */
static void weigh(const char *bytes, size_t len) {
  evl_decoder *d;

  live = most = 0;
  counting = 1;
  d = evl_decoder_new();
  CHECK(d != NULL);
  CHECK(evl_decoder_feed(d, bytes, len) == EVL_OK);
  while (evl_decoder_next(d) == EVL_OK)
    ;
  evl_decoder_free(d);
  counting = 0;
  CHECK(live == 0);
  CHECK(most <= 4096 + 2 * len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint8_t one = 0;
  static const pieces whole = {NULL, 0}, bytewise = {&one, 1};
  const char *bytes = (const char *)data;
  transcript first = {NULL, 0, 0}, again = {NULL, 0, 0};
  pieces cut;
  static int hooked;

  if (!hooked)
    hooked = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
  CHECK(hooked);
  cut.count = size > 0 && data[size - 1] <= MOST_SIZES ? data[size - 1] : 0;
  if (cut.count >= size) cut.count = 0;
  if (cut.count > 0) size -= cut.count + 1;
  cut.sizes = data + size;
  weigh(bytes, size);
  check_against_bytes(bytes, size);
  check_against_hiredis(bytes, size);
  decode(&first, bytes, size, &whole);
  decode(&again, bytes, size, &bytewise);
  transcript_compare(&first, &again);
  again.len = 0;
  decode(&again, bytes, size, &cut);
  transcript_compare(&first, &again);
  transcript_deinit(&first);
  transcript_deinit(&again);
  return 0;
}
