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
 * - A function that can fail returns EVL_OK (0) or a negative EVL_E* code, of
 *   those that its text names. EVL_AGAIN (1) is no error: more bytes, or a
 *   descriptor that is ready, are needed first.
 * - A string is a pointer and a length, and may hold any bytes. One that has no
 *   length beside it ends in a NUL.
 * - What a caller passes in stays the caller's, and is read during the call
 *   only. It may be NULL if its length is 0. What is handed out belongs to the
 *   object that it came from, and must not be changed; its text says how long
 *   it lives.
 * - An object is never NULL, but for free(NULL), which does nothing. new/free:
 *   on the heap. parse/deinit, init: in the caller's storage.
 * - `why` is a buffer of EVL_WHY_SIZE bytes of the caller's. It gets a line of
 *   text with those errors of which the function's text says that "why says
 *   so".
 * - Times are seconds, if nothing else is said; a deadline is a time of
 *   evl_now().
 * - Nothing is global (but the process's id), nothing starts a thread, nothing
 *   sets a signal's handler or raises SIGPIPE. An object is for one thread at a
 *   time, different objects are for different threads.
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

/* Name, number, the kind that a Lua caller sees ("misuse" is raised, the others
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

/* The size of a buffer `why`, a NUL included. */
enum { EVL_WHY_SIZE = 160 };

/* Returns what a code means, in a few words: "ok" of EVL_OK, "unknown error" of
 * a number that is no code. A static string. */
const char *evl_strerror(int code);
/* Returns a code's kind: the third column above, "misuse" of a number that is
 * no code. A static string. */
const char *evl_error_kind(int code);

/* --- stream ids ---------------------------------------------------------- */

typedef struct evl_id {
  uint64_t ms, seq; /* Unix time in milliseconds; a number within it */
} evl_id;

/* Room for the longest id, "18446744073709551615-18446744073709551615". */
enum { EVL_ID_SIZE = 41 };

/* Reads "<ms>-<seq>" or "<ms>" (seq is 0 then), decimal digits only, into *id.
 * EVL_OK. EVL_EINVAL: it is anything else, or does not fit 64 bits; *id is then
 * undefined. */
int evl_id_parse(const char *s, size_t len, evl_id *id);
/* Writes "<ms>-<seq>", without a NUL. Returns how many bytes that are. */
size_t evl_id_format(evl_id id, char buf[EVL_ID_SIZE]);
/* Returns less than 0 if a is older than b, 0 if they are the same, more than 0
 * if a is newer. */
int evl_id_compare(evl_id a, evl_id b);
/* Makes *id the lowest id above it. EVL_OK. EVL_ERANGE: it is the highest, and
 * stays. */
int evl_id_next(evl_id *id);
/* Makes *id the highest id below it. EVL_OK. EVL_ERANGE: it is "0-0", and
 * stays. */
int evl_id_prev(evl_id *id);

/* --- values -------------------------------------------------------------- */

typedef enum evl_value_type {
  EVL_STRING,
  EVL_INTEGER,
  EVL_DOUBLE,
} evl_value_type;

/* A field of an entry, in the caller's storage, as are its strings. */
typedef struct evl_field {
  const char *name;
  size_t name_len;
  evl_value_type type; /* which member of value counts */
  union {
    struct {
      const char *bytes;
      size_t len;
    } string;
    int64_t integer;
    double number;
  } value;
} evl_field;

/* Sorts fields by name, bytewise, in place. The order of fields that have one
 * name is undefined. */
void evl_fields_sort(evl_field *fields, size_t count);

/* Room for the longest number, -1.7976931348623157e308 without exponent. */
enum { EVL_NUMBER_SIZE = 352 };

/* Writes the shortest decimal that reads back as d, never with an exponent
 * ("NaN", "+Inf", "-Inf", "-0" if d is no plain number), without a NUL, in any
 * locale: the form of Go's strconv.FormatFloat(d, 'f', -1, 64). Returns how
 * many bytes that are. */
size_t evl_double_format(double d, char buf[EVL_NUMBER_SIZE]);
/* Writes i in decimal, without a NUL. Returns how many bytes that are. */
size_t evl_integer_format(int64_t i, char buf[EVL_NUMBER_SIZE]);

/* --- keys ---------------------------------------------------------------- */

/* How many slots a Redis Cluster has, and room for evl_slot_tag. */
enum { EVL_SLOTS = 16384, EVL_SLOT_TAG_SIZE = 6 };

/* Returns what a cluster hashes of a key: its hash tag, which is what stands
 * between the first "{" and the next "}", or the whole key if nothing does. It
 * is a part of key, of *tag_len bytes. */
const char *evl_key_tag(const char *key, size_t len, size_t *tag_len);
/* Returns the slot that a key lies in, from 0 to EVL_SLOTS - 1. */
int evl_key_slot(const char *key, size_t len);
/* Writes the smallest decimal number that, as a hash tag, lies in this slot,
 * without a NUL. Returns how many bytes that are; 0 if there is no such slot.
 * Looks through up to 110,000 numbers, in about a millisecond. */
size_t evl_slot_tag(int slot, char buf[EVL_SLOT_TAG_SIZE]);

/* --- URLs ---------------------------------------------------------------- */

/* A URL taken apart, in the caller's storage. Its strings end in a NUL and
 * belong to the evl_url; one is NULL if the URL does not have that part. User
 * and password are percent-decoded. */
typedef struct evl_url {
  char *host, *path, *username, *password; /* path: of a Unix socket */
  int port;                                /* 0: not given */
  int db;                                  /* -1: not given */
  int tls;                                 /* 1: rediss:// */
} evl_url;

/* Reads redis://[user[:password]@]host[:port][/db], rediss://... (TLS), or
 * unix://[user[:password]@]/path[?db=N]. EVL_OK: deinit *url after use.
 * EVL_EINVAL: *why is what is wrong, a static string (which never has a part
 * of the URL in it, since that may be a password). EVL_ENOMEM. After an error
 * *url needs no deinit. */
int evl_url_parse(const char *s, size_t len, evl_url *url, const char **why);
/* Frees the strings. Again, or after an error of evl_url_parse, it does
 * nothing. */
void evl_url_deinit(evl_url *url);

/* --- requests ------------------------------------------------------------ */

/* Commands, encoded one behind the other into one growing buffer. A failure is
 * remembered and makes what follows do nothing, so that one look at
 * evl_request_status at the end is enough. */
typedef struct evl_request evl_request;

/* Returns an empty request; NULL: not enough memory. */
evl_request *evl_request_new(void);
void evl_request_free(evl_request *r);
/* Returns what became of everything since the last clear: EVL_OK; EVL_ENOMEM;
 * EVL_ERANGE: a command of 2 GiB or more. */
int evl_request_status(const evl_request *r);
/* Empties it, sets the status to EVL_OK, and frees the buffer if it is larger
 * than 64 KiB. */
void evl_request_clear(evl_request *r);

/* Appends a whole command of argc arguments, its name included: argv[i] has
 * lens[i] bytes. */
void evl_request_command(evl_request *r, size_t argc, const char **argv,
                         const size_t *lens);
/* Begins a command of argc arguments, its name included. Exactly so many calls
 * of evl_request_string and evl_request_integer must follow. */
void evl_request_begin(evl_request *r, size_t argc);
/* Appends one argument, of any bytes. */
void evl_request_string(evl_request *r, const char *s, size_t len);
/* Appends one argument: i in decimal. */
void evl_request_integer(evl_request *r, int64_t i);

/* Appends a whole command that ends in an entry's fields (XADD, or a script
 * that adds). head is its first head_argc arguments, its name included, as
 * evl_request_string has encoded them in another request, of head_len bytes: it
 * is the same for every entry of a log, and is encoded once. */
void evl_request_entry(evl_request *r, const char *head, size_t head_len,
                       size_t head_argc, const evl_field *fields, size_t count);
/* Appends a whole command of argc arguments, its name included, which
 * evl_request_string, _integer and _fields have encoded in other requests:
 * args, of len bytes. */
void evl_request_encoded(evl_request *r, const char *args, size_t len,
                         size_t argc);
/* Appends 1 + 2 * count arguments: how many names and values there are (2 *
 * count), then each field's name and value. */
void evl_request_fields(evl_request *r, const evl_field *fields, size_t count);

/* Returns the bytes that are still to be sent, and how many in *len. They live
 * until the next call that changes r. */
const char *evl_request_bytes(const evl_request *r, size_t *len);
/* Drops the first len of these bytes, which the caller has sent; len is at most
 * what _bytes has said. If none is left the request is cleared. */
void evl_request_sent(evl_request *r, size_t len);
/* Returns where the buffer ends now, for evl_request_rewind. */
size_t evl_request_mark(const evl_request *r);
/* Undoes what was appended since that mark, and sets the status to EVL_OK if it
 * was that then. Not after a clear, or a _sent, that came since. */
void evl_request_rewind(evl_request *r, size_t mark);

/* --- replies ------------------------------------------------------------- */

/* Takes bytes as they come, in pieces of any size, and gives whole replies. */
typedef struct evl_decoder evl_decoder;

/* Returns a decoder that has seen no bytes; NULL: not enough memory. */
evl_decoder *evl_decoder_new(void);
void evl_decoder_free(evl_decoder *d);
/* How many bytes a reply may have, unless set: 1 GiB. */
#define EVL_MAX_REPLY ((uint64_t)1 << 30)
/* Sets how many bytes a reply may have, from the next call of
 * evl_decoder_next on. */
void evl_decoder_set_max_reply(evl_decoder *d, uint64_t bytes);
/* Takes a copy of the bytes. EVL_OK. EVL_ENOMEM, EVL_EPROTOCOL, EVL_ETOOLARGE:
 * nothing can be read any more, as this call or an earlier one has found. */
int evl_decoder_feed(evl_decoder *d, const char *bytes, size_t len);
/* Feeds without a copy, first half: returns room for *len bytes, at least 4
 * KiB, for the caller to put bytes into; it lives until the next call on d.
 * NULL: nothing can be read any more, and evl_decoder_next says why. */
char *evl_decoder_reserve(evl_decoder *d, size_t *len);
/* Second half: the caller has put len bytes at the beginning of that room. */
void evl_decoder_filled(evl_decoder *d, size_t len);
/* Moves on to the next reply. EVL_OK: it is there, to be read with a cursor; it
 * lives until the next call of _next, _skip_statuses, _trim or _free.
 * EVL_AGAIN: more bytes are needed. EVL_EPROTOCOL: these bytes are no reply, or
 * are nested beyond 8 levels. EVL_ETOOLARGE: the reply has more bytes than it
 * may, or says that it will have. EVL_ENOMEM. After an error nothing can be
 * read any more. Memory grows with what has come, not with what is claimed. */
int evl_decoder_next(evl_decoder *d);
/* Passes over the replies behind the one at hand that are statuses (MULTI's and
 * QUEUED say nothing), as far as they are there, and at most so many. The last
 * one is then the reply at hand. Returns how many. */
size_t evl_decoder_skip_statuses(evl_decoder *d, size_t most);
/* Returns what evl_decoder_next found wrong, one line; "" if nothing was. Lives
 * as long as d. */
const char *evl_decoder_error(const evl_decoder *d);
/* Returns 1 if every byte that was fed belongs to a reply that evl_decoder_next
 * has given; 0 if not, or if nothing can be read any more. */
int evl_decoder_empty(const evl_decoder *d);
/* If the decoder is empty, drops the reply at hand, and frees the buffer if it
 * is larger than 64 KiB. Otherwise does nothing. */
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

/* Returns "nil", "string", "status", "error", "integer" or "array": a static
 * string. */
const char *evl_item_type_name(evl_item_type type);

/* One piece of a reply, in the caller's storage. Its string belongs to the
 * decoder, and lives until that is fed or moves on. */
typedef struct evl_item {
  evl_item_type type;
  const char *string; /* of string, status and error */
  size_t len;         /* its bytes; of an array: how many items follow in it */
  int64_t integer;    /* of integer */
} evl_item;

/* Walks a reply: each array is followed by its items. Of a reply that is too
 * large (EVL_ETOOLARGE), what came whole. In the caller's storage; it is good
 * as long as the reply is. Do not touch the members. */
typedef struct evl_cursor {
  const evl_decoder *decoder;
  size_t next;
} evl_cursor;

/* Returns a cursor at the start of the reply at hand. */
evl_cursor evl_cursor_start(const evl_decoder *d);
/* Moves past one item, which is *item. EVL_OK. EVL_AGAIN: the reply ends here;
 * *item is then undefined. */
int evl_cursor_next(evl_cursor *c, evl_item *item);

/* How the entries of a stream lie in a reply. */
typedef enum evl_shape {
  EVL_RANGE, /* XRANGE, XREVRANGE: the entries */
  EVL_READ,  /* XREAD of one stream: nil, or the stream's name and entries */
} evl_shape;

/* Moves from the start of a reply to its first entry; *count is how many
 * entries it says that it has. EVL_OK. EVL_EPROTOCOL: the reply does not have
 * that shape. */
int evl_cursor_entries(evl_cursor *c, evl_shape shape, size_t *count);
/* Moves past an entry's id, a string in *id, to its fields; *fields is how many
 * those are. Each is to be read with evl_cursor_field before the next entry.
 * EVL_OK. EVL_EPROTOCOL: there is no entry. */
int evl_cursor_entry(evl_cursor *c, evl_item *id, size_t *fields);
/* Moves past one field: two strings. EVL_OK. EVL_EPROTOCOL: there is none. */
int evl_cursor_field(evl_cursor *c, evl_item *name, evl_item *value);
/* Moves from the start of a reply to its last entry or, if `before` is 1, to
 * the one before that, without a walk. EVL_OK: whether the others are entries
 * is not known. EVL_EPROTOCOL: there is no such entry, or evl_cursor_entries
 * does not take the reply, or an item of its list is no array. */
int evl_cursor_last(evl_cursor *c, evl_shape shape, int before);
/* Returns how many bytes the last entry of the reply at hand has there; only
 * after evl_cursor_last has found it. */
size_t evl_decoder_last_size(const evl_decoder *d, evl_shape shape);
/* Returns how many entries (or fields, if `entries` is 0) the rest of the reply
 * can hold at most: a caller that makes room for as many as a reply claims to
 * have makes no more. */
size_t evl_cursor_room(const evl_cursor *c, int entries);

/* --- spinning ------------------------------------------------------------ */

/* What waits of one kind were like; a part of evl_spin. */
typedef struct evl_waits {
  double longest, usual; /* microseconds */
} evl_waits;

/* How long to look for an answer before sleeping, learned from how long waits
 * are. In the caller's storage; do not touch the members. */
typedef struct evl_spin {
  long us;
  int adaptive;
  evl_waits lone, unit;
} evl_spin;

/* Sets it up. us: always so many microseconds; 0: never; negative: as long as
 * that pays, and never if this process has one processor only. local: 1 if the
 * peer is on this machine, else 0. */
void evl_spin_init(evl_spin *s, long us, int local);
/* Returns for how many microseconds to spin now; 0: not at all. unit: 1 if what
 * is awaited is the answer to many commands, which takes longer; else 0. */
long evl_spin_begin(const evl_spin *s, int unit);
/* Learns that a wait of that kind took so many microseconds, spun or slept. */
void evl_spin_end(evl_spin *s, int unit, double us);

/* --- the system ---------------------------------------------------------- */

/* Returns seconds on a clock that only goes forward, and has no meaning beyond
 * this machine. */
double evl_now(void);
/* Returns seconds since 1970 (UTC), for people: that clock may be set, also
 * backwards. */
double evl_time(void);
/* Returns this process's id; in a forked child another one. No system call if
 * the system has a way without (Linux 4.14). */
long evl_process_id(void);
/* Fills `bytes` with len random ones that nobody can guess. EVL_OK. Needs no
 * descriptor but on systems that have no other way (Linux before 3.17):
 * EVL_EUNSUPPORTED, if /dev/urandom cannot be read there; why says so. */
int evl_random(void *bytes, size_t len, char *why);

/* --- sockets ------------------------------------------------------------- */

/* A connection to Redis. Only evl_socket_await, evl_socket_wait and
 * evl_host_resolve wait. The descriptor is the socket's alone, and is closed on
 * exec. It is non-blocking until the first evl_socket_await, which clears
 * O_NONBLOCK, and sets SO_RCVTIMEO and SO_RCVLOWAT, as it likes. In a child
 * that was forked, _send, _receive and _await of its parent's sockets are
 * EVL_EIO. */
typedef struct evl_socket evl_socket;

/* The addresses of a host, as text ("127.0.0.1", "::1"), in the order in which
 * they are to be tried. In the caller's storage. */
enum { EVL_MOST_ADDRESSES = 16, EVL_ADDRESS_SIZE = 64 };
typedef struct evl_addresses {
  size_t count;
  char text[EVL_MOST_ADDRESSES][EVL_ADDRESS_SIZE];
} evl_addresses;

/* Looks a host name up, which waits as long as the system does; an address is
 * its own. EVL_OK: *list has one at least, and further ones as far as there is
 * room. EVL_ECONNECT: why says so. EVL_ENOMEM. */
int evl_host_resolve(const char *host, evl_addresses *list, char *why);

/* Starts to connect to an address, as text, and a TCP port. EVL_OK: *s is a
 * socket that the caller frees, and evl_socket_finish says when it is
 * connected. EVL_ECONNECT: why says so. EVL_ENOMEM. After an error *s is
 * NULL. */
int evl_socket_tcp(const char *address, int port, evl_socket **s, char *why);
/* Starts to connect to a Unix socket, of a path. EVL_OK: *s is a socket that
 * the caller frees, and evl_socket_finish says when it is connected. EVL_AGAIN:
 * the server's backlog is full; try again later (no descriptor tells when).
 * EVL_ECONNECT: why says so. EVL_ENOMEM. But for EVL_OK, *s is NULL. */
int evl_socket_unix(const char *path, evl_socket **s, char *why);
/* Makes a socket that nothing ever comes from, to sleep in a host's poller
 * until evl_socket_shutdown. EVL_OK: *s is a socket that the caller frees.
 * EVL_ECONNECT (no descriptor is left): why says so. EVL_ENOMEM. After an error
 * *s is NULL. */
int evl_socket_silent(evl_socket **s, char *why);
/* Closes the descriptor, too. */
void evl_socket_free(evl_socket *s);

/* Returns the descriptor, for a poller. It is open until evl_socket_free. */
int evl_socket_fd(const evl_socket *s);
/* Goes on with connecting. EVL_OK: it is connected. EVL_AGAIN: not yet; wait
 * for what evl_socket_wants says. EVL_ECONNECT: why says so; also of a socket
 * that is connected to itself. EVL_ENOMEM. */
int evl_socket_finish(evl_socket *s, char *why);
/* Returns what the descriptor must be ready for, after EVL_AGAIN of _finish,
 * _send, _receive or _await, before that call can go on: 'r' (read) or 'w'
 * (written). That does not follow from which call it was: who sends may have to
 * read first. */
char evl_socket_wants(const evl_socket *s);
/* Sends what the system takes at once. EVL_OK: some bytes, or all, and r is
 * left with the others. EVL_AGAIN: none yet; wait, and call it again with r
 * unchanged. EVL_EIO: evl_socket_error says why; what came before can still be
 * received. EVL_ENOMEM. */
int evl_socket_send(evl_socket *s, evl_request *r);
/* Returns why a call said EVL_EIO last, as a rule in the system's words, as
 * "Connection reset by peer"; "" if none did. Lives until the next call on s.
 */
const char *evl_socket_error(const evl_socket *s);
/* Feeds the decoder what has come. EVL_OK: some bytes. EVL_AGAIN: none yet.
 * EVL_EEOF. EVL_EIO: evl_socket_error says why. EVL_ENOMEM, EVL_EPROTOCOL,
 * EVL_ETOOLARGE: the decoder can read nothing any more. */
int evl_socket_receive(evl_socket *s, evl_decoder *d);
/* Waits until the deadline for an answer that is due, and feeds the decoder
 * what has come. Looks again and again for as long as spin says; if that brings
 * nothing it returns, and sleeps in the next call. A sleep is not ended before
 * `least` bytes are there, as far as that can be helped, so that an answer that
 * comes in pieces wakes nobody for the first one; 0: that is unknown. Only for
 * a socket that nobody else waits for. EVL_OK: some bytes. EVL_AGAIN: none;
 * also before the deadline, also if a signal came, so that the caller can look
 * at that. EVL_EEOF. EVL_EIO: evl_socket_error says why. EVL_ENOMEM,
 * EVL_EPROTOCOL, EVL_ETOOLARGE: the decoder can read nothing any more. */
int evl_socket_await(evl_socket *s, evl_decoder *d, evl_spin *spin,
                     size_t least, double deadline);
/* Returns when bytes came last, a time of evl_now(); 0: never. */
double evl_socket_last_read_at(const evl_socket *s);
/* Returns 1 if the peer is on this machine, as far as its address tells; else
 * 0. */
int evl_socket_is_local(const evl_socket *s);
/* Returns how many bytes evl_socket_receive has at hand, although the
 * descriptor need not be readable: a caller that waits for several sockets asks
 * before it waits. */
size_t evl_socket_pending(const evl_socket *s);
/* Returns 1 if it can be used again, after a while without a request: this
 * process opened it, and the peer has neither closed it nor sent what nobody
 * asked for. Else 0. */
int evl_socket_idle(evl_socket *s);
/* Ends the connection, and so wakes whoever waits for it, in this thread's
 * poller or another's; the descriptor stays open until free. Only in the
 * process that opened the socket: it ends the connection for a parent, too. */
void evl_socket_shutdown(evl_socket *s);
/* Waits until the descriptor can be read ('r'), written ('w'), or either ('b'),
 * for at most so many seconds (negative: for ever). Returns 1 if it is ready.
 * 0: the time is over, or a signal came, so that the caller can look at that. A
 * descriptor of -1 is never ready. */
int evl_socket_wait(int fd, char mode, double seconds);

/* --- timers -------------------------------------------------------------- */

/* A descriptor that becomes readable at a time, for an event loop that knows
 * descriptors only. Linux. */
typedef struct evl_timer evl_timer;

/* EVL_OK: *t is a timer that is off, which the caller frees. EVL_ECONNECT: no
 * descriptor is left, why says so. EVL_EUNSUPPORTED: the system has no such
 * timers, why says so. EVL_ENOMEM. After an error *t is NULL. */
int evl_timer_new(evl_timer **t, char *why);
/* Closes the descriptor, too. */
void evl_timer_free(evl_timer *t);
/* Returns the descriptor, for a poller. It is open until evl_timer_free. */
int evl_timer_fd(const evl_timer *t);
/* Makes the descriptor readable in so many seconds, and not before; negative:
 * never. A child that was forked shares the timer: it makes one of its own. */
void evl_timer_set(evl_timer *t, double seconds);

#ifdef __cplusplus
}
#endif

#endif
