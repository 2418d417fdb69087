/* eventlog: distributed event logs on Redis Streams. The C core, without Lua.
 *
 * What is here, in the order in which data flows:
 *
 *   ids and values    evl_id, evl_field       plain values
 *   keys              evl_key_slot ...        where a cluster keeps them
 *   requests          evl_request             commands -> bytes to send
 *   spinning          evl_spin                how long to look before sleeping
 *   the system        evl_now ...             time, process, random bytes
 *   sockets           evl_socket              bytes <-> Redis
 *   replies           evl_decoder, evl_item   bytes received -> reply
 *   timers            evl_timer               for event loops without any
 *
 * Requests and replies do no I/O: whoever moves the bytes himself (an event
 * loop with sockets of its own) uses these two and leaves the sockets alone.
 *
 * Rules that hold everywhere:
 * - Functions that can fail return EVL_OK (0) or a negative EVL_E* code.
 *   EVL_AGAIN (1) is no error: more bytes, or a ready socket, are needed first.
 * - Strings are a pointer and a length, and may hold any bytes.
 * - A pointer passed in is read during the call only; it may be NULL where its
 *   length is 0. A pointer handed out belongs to the object it came from, and
 *   says how long it lives.
 * - new/free: on the heap. free(NULL) is allowed.
 * - No globals (but the process's id), no threads, no signals: an object may be
 *   used by one thread at a time, different objects by different threads.
 */
#ifndef EVENTLOG_H
#define EVENTLOG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The one place where the version stands. */
#define EVL_VERSION "0.1.0"

/* --- errors -------------------------------------------------------------- */

/* Name, number, the kind a Lua caller sees ("misuse" is raised, the others
 * are returned), and what it means. */
#define EVL_ERRORS(X)                                                          \
  X(EVL_ENOMEM, -1, "misuse", "not enough memory")                             \
  X(EVL_EINVAL, -2, "misuse", "invalid argument")                              \
  X(EVL_ERANGE, -3, "misuse", "out of range")                                  \
  X(EVL_ECONNECT, -4, "connection", "cannot connect")                          \
  X(EVL_EIO, -5, "connection", "connection lost")                              \
  X(EVL_EEOF, -6, "connection", "connection closed by the server")             \
  X(EVL_ECLOSED, -7, "closed", "closed")                                       \
  X(EVL_EPROTOCOL, -8, "protocol", "not a Redis reply")                        \
  X(EVL_EUNSUPPORTED, -9, "unsupported", "not supported by this system")       \
  X(EVL_ETOOLARGE, -10, "protocol", "the reply is too large")

enum evl_status {
  EVL_OK = 0,
  EVL_AGAIN = 1,
#define EVL_ENUM(name, number, kind, text) name = number,
  EVL_ERRORS(EVL_ENUM)
#undef EVL_ENUM
};

/* Functions that take a buffer `why` write what was wrong there; it has room
 * for so many bytes, a NUL among them. */
enum { EVL_WHY_SIZE = 160 };

/* What a code means, and its kind: static strings, never NULL. */
const char *evl_strerror(int code);
const char *evl_error_kind(int code);

/* --- stream ids ---------------------------------------------------------- */

typedef struct evl_id {
  uint64_t ms, seq;
} evl_id;

/* Room for the longest id, "18446744073709551615-18446744073709551615". */
enum { EVL_ID_SIZE = 41 };

/* Reads "<ms>-<seq>" or "<ms>" (seq 0), decimal digits only.
 * EVL_EINVAL where it is anything else or does not fit 64 bits. */
int evl_id_parse(const char *s, size_t len, evl_id *id);
/* Writes "<ms>-<seq>" without a NUL; returns its length. */
size_t evl_id_format(evl_id id, char buf[EVL_ID_SIZE]);
/* Less than, equal to or greater than 0, as a is older, the same or newer. */
int evl_id_compare(evl_id a, evl_id b);
/* The next higher or lower id, in place. EVL_ERANGE where there is none. */
int evl_id_next(evl_id *id);
int evl_id_prev(evl_id *id);

/* --- values -------------------------------------------------------------- */

typedef enum evl_value_type {
  EVL_STRING,
  EVL_INTEGER,
  EVL_DOUBLE,
} evl_value_type;

/* A field of an entry. The strings belong to the caller. */
typedef struct evl_field {
  const char *name;
  size_t name_len;
  evl_value_type type;
  union {
    struct {
      const char *bytes;
      size_t len;
    } string;
    int64_t integer;
    double number;
  } value;
} evl_field;

/* Sorts by name, bytewise. The order of fields with one name is left open. */
void evl_fields_sort(evl_field *fields, size_t count);

/* Room for the longest number, -1.7976931348623157e308 without exponent. */
enum { EVL_NUMBER_SIZE = 352 };

/* Writes the shortest decimal that reads back as d, never with an exponent
 * ("NaN", "+Inf", "-Inf", "-0" for what is no plain number), without a NUL, in
 * any locale. Returns its length. The form is that of Go's
 * strconv.FormatFloat(d, 'f', -1, 64). */
size_t evl_double_format(double d, char buf[EVL_NUMBER_SIZE]);
size_t evl_integer_format(int64_t i, char buf[EVL_NUMBER_SIZE]);

/* --- keys ---------------------------------------------------------------- */

/* How many slots a Redis Cluster has, and room for evl_slot_tag. */
enum { EVL_SLOTS = 16384, EVL_SLOT_TAG_SIZE = 6 };

/* What a cluster hashes of a key: its hash tag, which is what stands between
 * the first "{" and the next "}", or the whole key if nothing does. A part of
 * key, of *tag_len bytes. */
const char *evl_key_tag(const char *key, size_t len, size_t *tag_len);
/* The slot that a key lies in, from 0 to EVL_SLOTS - 1. */
int evl_key_slot(const char *key, size_t len);
/* Writes the smallest decimal number that, as a hash tag, lies in this slot,
 * without a NUL. Returns its length; 0 if there is no such slot. Looks through
 * up to 110,000 numbers, in about a millisecond. */
size_t evl_slot_tag(int slot, char buf[EVL_SLOT_TAG_SIZE]);

/* --- where a server is --------------------------------------------------- */

/* A URL taken apart. Strings are NUL-terminated and belong to the evl_url; NULL
 * where the URL does not have that part. User and password are percent-decoded.
 */
typedef struct evl_url {
  char *host, *path, *username, *password;
  int port; /* 0: not given */
  int db;   /* -1: not given */
  int tls;
} evl_url;

/* Reads redis://[user[:password]@]host[:port][/db], rediss://... (TLS), or
 * unix://[user[:password]@]/path[?db=N]. On EVL_EINVAL *why says what is wrong
 * (a static string that never holds the URL, since that holds a password).
 * Deinit after EVL_OK. */
int evl_url_parse(const char *s, size_t len, evl_url *url, const char **why);
void evl_url_deinit(evl_url *url);

/* --- requests ------------------------------------------------------------ */

/* Commands, encoded one behind the other into one growing buffer. A failed
 * malloc is remembered and makes what follows a no-op, so that one look at
 * evl_request_status at the end is enough. */
typedef struct evl_request evl_request;

evl_request *evl_request_new(void); /* NULL: no memory */
void evl_request_free(evl_request *r);
/* EVL_OK, or since the last clear EVL_ENOMEM, or EVL_ERANGE: a command of 2 GiB
 * or more. */
int evl_request_status(const evl_request *r);
/* Empties it; keeps its memory up to 64 KiB. */
void evl_request_clear(evl_request *r);

/* A whole command of argc arguments, its name included. */
void evl_request_command(evl_request *r, size_t argc, const char **argv,
                         const size_t *lens);
/* Begins a command of argc arguments, its name included. Exactly so many
 * evl_request_string and _integer calls must follow. */
void evl_request_begin(evl_request *r, size_t argc);
void evl_request_string(evl_request *r, const char *s, size_t len);
void evl_request_integer(evl_request *r, int64_t i);

/* A whole command that ends in an entry's fields (XADD, or a script call that
 * adds). head holds its first head_argc arguments as evl_request_string
 * encodes them: they are the same for every entry of a log, so they are
 * encoded once. */
void evl_request_entry(evl_request *r, const char *head, size_t head_len,
                       size_t head_argc, const evl_field *fields, size_t count);

/* The same, in two: a command whose argc arguments are encoded already, and an
 * entry's fields as arguments: their count, then 2 for each field. */
void evl_request_encoded(evl_request *r, const char *args, size_t len,
                         size_t argc);
void evl_request_fields(evl_request *r, const evl_field *fields, size_t count);

/* The bytes still to be sent; good until the next call on r. */
const char *evl_request_bytes(const evl_request *r, size_t *len);
/* The first len of them are sent. */
void evl_request_sent(evl_request *r, size_t len);
/* Where the buffer ends now, and a way back there: undoes what was appended
 * since, and the failures since. */
size_t evl_request_mark(const evl_request *r);
void evl_request_rewind(evl_request *r, size_t mark);

/* --- replies ------------------------------------------------------------- */

/* Takes bytes as they come, in pieces of any size, and gives whole replies. */
typedef struct evl_decoder evl_decoder;

evl_decoder *evl_decoder_new(void); /* NULL: no memory */
void evl_decoder_free(evl_decoder *d);
/* How many bytes a reply may have, EVL_MAX_REPLY unless set. */
#define EVL_MAX_REPLY ((uint64_t)1 << 30)
void evl_decoder_set_max_reply(evl_decoder *d, uint64_t bytes);
/* Copies the bytes. EVL_ENOMEM; EVL_EPROTOCOL or EVL_ETOOLARGE if an earlier
 * next said so. */
int evl_decoder_feed(evl_decoder *d, const char *bytes, size_t len);
/* The same without a copy: room for bytes, at least 4 KiB, and then how many
 * of them were put there. NULL where there is no memory, or nothing can be
 * read any more, as evl_decoder_next says. */
char *evl_decoder_reserve(evl_decoder *d, size_t *len);
void evl_decoder_filled(evl_decoder *d, size_t len);
/* Moves on to the next reply. EVL_OK: it is there, read it with a cursor
 * (it lives until the next evl_decoder_next, _trim or _free). EVL_AGAIN: more
 * bytes are needed. EVL_EPROTOCOL, EVL_ETOOLARGE or EVL_ENOMEM: nothing more
 * can be read. What is no reply is refused, as is nesting beyond 8 levels
 * (EVL_EPROTOCOL), and a reply that has more bytes than it may, or says that it
 * will have them (EVL_ETOOLARGE). Memory grows with what has come, not with
 * what is claimed. */
int evl_decoder_next(evl_decoder *d);
/* Passes over the replies that come next and are statuses, as far as they are
 * there, and at most so many: MULTI's and QUEUED's say nothing. Returns how
 * many. */
size_t evl_decoder_skip_statuses(evl_decoder *d, size_t most);
/* What evl_decoder_next found wrong; "" where nothing. */
const char *evl_decoder_error(const evl_decoder *d);
/* 1 where every byte that was fed belonged to a reply that next has given; 0
 * also where nothing more can be read. */
int evl_decoder_empty(const evl_decoder *d);
/* Drops the reply at hand, and gives memory back beyond 64 KiB. Does nothing
 * unless the decoder is empty. */
void evl_decoder_trim(evl_decoder *d);

/* The enum's order is that of the names in evl_item_type_name. */
typedef enum evl_item_type {
  EVL_ITEM_NIL,
  EVL_ITEM_STRING,
  EVL_ITEM_STATUS,
  EVL_ITEM_ERROR,
  EVL_ITEM_INTEGER,
  EVL_ITEM_ARRAY,
} evl_item_type;

/* "nil", "string", "status", "error", "integer", "array" */
const char *evl_item_type_name(evl_item_type type);

/* One piece of a reply. The string stays where it is until the decoder is fed
 * or moves on. */
typedef struct evl_item {
  evl_item_type type;
  const char *string; /* of string, status and error */
  size_t len;         /* its bytes; of an array: how many items follow in it */
  int64_t integer;
} evl_item;

/* Walks a reply: each array is followed by its items. Of a reply that is too
 * large (EVL_ETOOLARGE), what came whole. */
typedef struct evl_cursor {
  const evl_decoder *decoder;
  size_t next;
} evl_cursor;

/* At the start of the reply that evl_decoder_next brought. */
evl_cursor evl_cursor_start(const evl_decoder *d);
/* EVL_OK, or EVL_AGAIN at the reply's end. */
int evl_cursor_next(evl_cursor *c, evl_item *item);

/* How the entries of a stream lie in a reply. */
typedef enum evl_shape {
  EVL_RANGE, /* XRANGE, XREVRANGE: the entries */
  EVL_READ,  /* XREAD of one stream: nil, or the stream's name and entries */
} evl_shape;

/* Moves to the first entry, and counts the entries. EVL_EPROTOCOL where the
 * reply does not have that shape. */
int evl_cursor_entries(evl_cursor *c, evl_shape shape, size_t *count);
/* The next entry's id, and how many fields follow: read each of them with
 * evl_cursor_field before the next entry. EVL_EPROTOCOL as above. */
int evl_cursor_entry(evl_cursor *c, evl_item *id, size_t *fields);
int evl_cursor_field(evl_cursor *c, evl_item *name, evl_item *value);
/* Moves from the start of a reply to its last entry, or to the one before that:
 * without a walk. EVL_EPROTOCOL where there is none, or where
 * evl_cursor_entries does not take the reply, or an item of its list is no
 * array. Whether the others are entries it does not know. */
int evl_cursor_last(evl_cursor *c, evl_shape shape, int before);
/* How many bytes that last entry has in the reply. */
size_t evl_decoder_last_size(const evl_decoder *d, evl_shape shape);
/* How many entries, or else fields, the bytes that are left can hold at most:
 * whoever makes room for what a reply claims to have makes no more. */
size_t evl_cursor_room(const evl_cursor *c, int entries);

/* --- spinning ------------------------------------------------------------ */

/* What waits of one kind were like; a part of evl_spin. */
typedef struct evl_waits {
  double longest, usual; /* microseconds */
} evl_waits;

/* How long to look for an answer before sleeping: learned from how long waits
 * are. In the caller's storage; do not touch the members. */
typedef struct evl_spin {
  long us;
  int adaptive;
  evl_waits lone, unit;
} evl_spin;

/* us: microseconds, always so many; 0: never; negative: as long as that pays,
 * and never where this process has one processor only. local: whether the peer
 * is on this machine. */
void evl_spin_init(evl_spin *s, long us, int local);
/* For how many microseconds to spin now: 0 for not at all. unit: whether the
 * answer is that of many commands, which takes longer. */
long evl_spin_begin(const evl_spin *s, int unit);
/* How many microseconds the wait took, whether it span or not. */
void evl_spin_end(evl_spin *s, int unit, double us);

/* --- the system ---------------------------------------------------------- */

/* Seconds on a clock that only goes forward. */
double evl_now(void);
/* Seconds since 1970 (UTC), for people: somebody may set that clock. */
double evl_time(void);
/* This process; in a forked child another number. No system call where the
 * system has a way without (Linux 4.14). */
long evl_process_id(void);
/* Fills `bytes` with len random ones that nobody can guess. Needs no descriptor
 * but on systems that have no other way (Linux before 3.17): EVL_EUNSUPPORTED
 * if /dev/urandom cannot be read there; why, a buffer of EVL_WHY_SIZE, says
 * so. */
int evl_random(void *bytes, size_t len, char *why);

/* --- sockets ------------------------------------------------------------- */

/* A connection to Redis. Nothing here waits but evl_socket_await,
 * evl_socket_wait and evl_host_resolve. Never raises SIGPIPE; the descriptor is
 * closed on exec, and is the socket's alone. It is a non-blocking one
 * until evl_socket_await, which clears O_NONBLOCK, and sets SO_RCVTIMEO and
 * SO_RCVLOWAT, as it likes. */
typedef struct evl_socket evl_socket;

/* The addresses of a host, as text ("127.0.0.1", "::1"), in the order in which
 * they are to be tried. */
enum { EVL_MOST_ADDRESSES = 16, EVL_ADDRESS_SIZE = 64 };
typedef struct evl_addresses {
  size_t count;
  char text[EVL_MOST_ADDRESSES][EVL_ADDRESS_SIZE];
} evl_addresses;

/* Looks a host name up, which waits as long as the system does; an address is
 * its own. EVL_OK: there is one at least. EVL_ECONNECT: why says so.
 * EVL_ENOMEM. */
int evl_host_resolve(const char *host, evl_addresses *list, char *why);

/* Start to connect: to an address as text, or to a Unix socket. EVL_OK: *s is
 * there, and evl_socket_finish says when it is connected. Otherwise *s is NULL
 * and EVL_ECONNECT (why, a buffer of EVL_WHY_SIZE, says what was wrong) or
 * EVL_ENOMEM is returned; or, of a Unix socket, EVL_AGAIN: the server's backlog
 * is full, and no descriptor tells when it is not. */
int evl_socket_tcp(const char *address, int port, evl_socket **s, char *why);
int evl_socket_unix(const char *path, evl_socket **s, char *why);
/* A socket that nothing ever comes from: to sleep in somebody's poller, until
 * shutdown. */
int evl_socket_silent(evl_socket **s, char *why);
/* Closes it. */
void evl_socket_free(evl_socket *s);

/* Good until free. */
int evl_socket_fd(const evl_socket *s);
/* EVL_OK: connected. EVL_AGAIN: not yet, wait for what evl_socket_wants says.
 * EVL_ECONNECT: why says so; also of a socket that is connected to itself. */
int evl_socket_finish(evl_socket *s, char *why);
/* After EVL_AGAIN of finish, send, receive or await: what the descriptor must
 * be ready for before that call can go on, 'r' (read) or 'w' (written). The
 * call itself does not tell: who sends may have to read first. */
char evl_socket_wants(const evl_socket *s);
/* Sends what the system takes at once. EVL_OK: some of it, or all, as r now
 * tells. EVL_AGAIN: nothing yet; call it again with what is left of r
 * unchanged. EVL_EIO. */
int evl_socket_send(evl_socket *s, evl_request *r);
/* Why it said EVL_EIO last, in the system's words: "Connection reset by peer";
 * "" where it never did. */
const char *evl_socket_error(const evl_socket *s);
/* Feeds what has come to the decoder. EVL_OK: some bytes.
 * EVL_AGAIN: none yet. EVL_EEOF, EVL_EIO, or what evl_decoder_next has said.
 * What came before a send that failed can still be received. */
int evl_socket_receive(evl_socket *s, evl_decoder *d);
/* The same, of an answer that is due: waits for it until `deadline`, a time of
 * evl_now(). Looks again and again for as long as spin says; where that brought
 * nothing it returns, and sleeps in the next call. Is not woken before `least`
 * bytes are there, if it can help that, so that an answer that comes in pieces
 * wakes nobody for the first one; 0 where that is unknown. The wait may end
 * early, with EVL_AGAIN: also when a signal came, so that the caller can look
 * at it. Only for a socket that nobody else waits for. */
int evl_socket_await(evl_socket *s, evl_decoder *d, evl_spin *spin,
                     size_t least, double deadline);
/* When bytes came last, of evl_now(); 0: never. */
double evl_socket_last_read_at(const evl_socket *s);
/* 1 where the peer is on this machine, as far as its address tells. */
int evl_socket_is_local(const evl_socket *s);
/* How many bytes evl_socket_receive has at hand, although the descriptor need
 * not be readable: a caller that waits for several sockets asks before it
 * waits. */
size_t evl_socket_pending(const evl_socket *s);
/* 1 if it can be used again: this process opened it, and the peer has neither
 * closed it nor sent what nobody asked for. */
int evl_socket_idle(evl_socket *s);
/* Wakes whoever waits for it, in this thread's poller or another's; the
 * descriptor stays open until free. Call it only in the process that opened
 * the socket: it ends the connection for a parent, too. */
void evl_socket_shutdown(evl_socket *s);
/* Waits until fd can be read ('r'), written ('w'), or either ('b'), for at most
 * so many seconds (negative: for ever). Returns 1 where it is ready, 0 where it
 * is not: also when a signal came, so that the caller can look at it. */
int evl_socket_wait(int fd, char mode, double seconds);

/* --- timers -------------------------------------------------------------- */

/* A descriptor that becomes readable at a time, for an event loop that knows
 * descriptors only. Linux. */
typedef struct evl_timer evl_timer;

/* EVL_OK: *t is there, and off. Otherwise *t is NULL, and EVL_EUNSUPPORTED or
 * EVL_ECONNECT (no descriptor left; why, a buffer of EVL_WHY_SIZE, says what
 * was wrong) or EVL_ENOMEM is returned. */
int evl_timer_new(evl_timer **t, char *why);
/* Closes its descriptor. */
void evl_timer_free(evl_timer *t);
int evl_timer_fd(const evl_timer *t);
/* Readable in so many seconds, and not before; negative: never. A child that
 * was forked shares the timer: it makes one of its own. */
void evl_timer_set(evl_timer *t, double seconds);

#ifdef __cplusplus
}
#endif

#endif
