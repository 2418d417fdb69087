/* Sockets against a peer in this process: what it accepts is an ordinary
 * blocking descriptor, which the tests read, write and close. */
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the peer ------------------------------------------------------------ */

typedef struct peer {
  char dir[64], path[256];
  int listener; /* -1: none */
  int port;     /* 0: a Unix socket */
  int fd;       /* accepted; -1: none */
} peer;

static void listen_at(peer *p) {
  struct sockaddr_un address;

  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, p->path);
  p->listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(
      bind(p->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(p->listener, 16), 0);
}

static void listen_unix(peer *p) {
  snprintf(p->path, sizeof p->path, "%s/s", p->dir);
  listen_at(p);
}

/* A port of 127.0.0.1 that nobody else can take; it refuses until listened
 * on. */
static void bind_tcp(peer *p) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;

  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  p->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(p->listener, (struct sockaddr *)&address, len), 0);
  assert_int_equal(getsockname(p->listener, (struct sockaddr *)&address, &len),
                   0);
  p->port = ntohs(address.sin_port);
}

static void listen_tcp(peer *p) {
  bind_tcp(p);
  assert_int_equal(listen(p->listener, 16), 0);
}

static int setup(void **state) {
  peer *p = calloc(1, sizeof *p);

  if (p == NULL) return -1;
  strcpy(p->dir, "/tmp/eventlog-test-XXXXXX");
  if (mkdtemp(p->dir) == NULL) return -1;
  p->listener = p->fd = -1;
  *state = p;
  return 0;
}

static int teardown(void **state) {
  peer *p = *state;

  if (p->fd >= 0) close(p->fd);
  if (p->listener >= 0) close(p->listener);
  if (p->path[0] != '\0') unlink(p->path);
  rmdir(p->dir);
  free(p);
  return 0;
}

static int start(const peer *p, evl_socket **s, char *why) {
  if (p->port != 0) return evl_socket_tcp("127.0.0.1", p->port, s, why);
  return evl_socket_unix(p->path, s, why);
}

static int finish(evl_socket *s, char *why) {
  int status;

  while ((status = evl_socket_finish(s, why)) == EVL_AGAIN)
    evl_socket_wait(evl_socket_fd(s), 'w', -1);
  return status;
}

static evl_socket *connect_to(peer *p) {
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s = NULL;

  if (start(p, &s, why) != EVL_OK || finish(s, why) != EVL_OK)
    fail_msg("cannot connect: %s", why);
  assert_non_null(s);
  p->fd = accept(p->listener, NULL, NULL);
  assert_true(p->fd >= 0);
  return s;
}

static void say(const peer *p, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(p->fd, bytes, len);
    assert_true(n > 0);
    bytes += n;
    len -= (size_t)n;
  }
}

static void hear(const peer *p, char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = read(p->fd, bytes, len);
    assert_true(n > 0);
    bytes += n;
    len -= (size_t)n;
  }
}

static void hang_up(peer *p) {
  assert_int_equal(close(p->fd), 0);
  p->fd = -1;
}

static void wait_for_bytes(const evl_socket *s) {
  while (!evl_socket_wait(evl_socket_fd(s), 'r', -1))
    ;
}

/* The lowest descriptor that is free: the same again where none leaked. */
static int lowest_free(void) {
  int fd = dup(0);

  if (fd >= 0) close(fd);
  return fd;
}

/* Each of these tests runs over a Unix socket, and over TCP. */
#define OVER_BOTH(name)                                                        \
  static void name##_over_unix(void **state) {                                 \
    listen_unix(*state);                                                       \
    name(*state);                                                              \
  }                                                                            \
  static void name##_over_tcp(void **state) {                                  \
    listen_tcp(*state);                                                        \
    name(*state);                                                              \
  }

/* --- connecting ---------------------------------------------------------- */

static void connects(peer *p) {
  int before = lowest_free(), on = 0, fd;
  socklen_t len = sizeof on;
  evl_socket *s = connect_to(p);
  char why[EVL_WHY_SIZE];

  fd = evl_socket_fd(s);
  assert_true(fd >= 0);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  if (p->port != 0) {
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
  }
  assert_int_equal(evl_socket_finish(s, why), EVL_OK); /* still */
  evl_socket_free(s);
  hang_up(p);
  assert_int_equal(lowest_free(), before);
}
OVER_BOTH(connects)

static void freeing_closes(peer *p) {
  evl_socket *s = connect_to(p);
  char byte;

  evl_socket_free(s);
  assert_int_equal(read(p->fd, &byte, 1), 0);
  evl_socket_free(NULL);
}
OVER_BOTH(freeing_closes)

/* It is refused at once, or as soon as it can be known. */
static void assert_refused(int status, evl_socket *s, char *why) {
  if (status == EVL_OK) {
    assert_non_null(s);
    status = finish(s, why);
    evl_socket_free(s);
  } else
    assert_null(s);
  assert_int_equal(status, EVL_ECONNECT);
  assert_non_null(memchr(why, '\0', EVL_WHY_SIZE));
  assert_true(strlen(why) > 0);
}

static void a_port_without_server_refuses(void **state) {
  peer *p = *state;
  int status, before;
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s = NULL;

  bind_tcp(p);
  before = lowest_free();
  status = start(p, &s, why);
  assert_refused(status, s, why);
  assert_int_equal(lowest_free(), before);
}

static void a_path_without_socket_refuses(void **state) {
  peer *p = *state;
  int status, before = lowest_free();
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s = (evl_socket *)(void *)why; /* must become NULL */

  snprintf(p->path, sizeof p->path, "%s/s", p->dir);
  status = evl_socket_unix(p->path, &s, why);
  assert_refused(status, s, why);
  s = (evl_socket *)(void *)why;
  status = evl_socket_unix(p->dir, &s, why);
  assert_refused(status, s, why);
  s = (evl_socket *)(void *)why;
  status = evl_socket_unix("", &s, why);
  assert_refused(status, s, why);
  assert_int_equal(lowest_free(), before);
}

static void a_socket_without_server_refuses(void **state) {
  peer *p = *state;
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s = NULL;
  int status;

  listen_unix(p);
  close(p->listener);
  p->listener = -1;
  status = evl_socket_unix(p->path, &s, why);
  assert_refused(status, s, why);
}

static void a_host_that_is_none_refuses(void **state) {
  int status, before = lowest_free();
  char host[300], why[EVL_WHY_SIZE] = "";
  evl_socket *s = (evl_socket *)(void *)why;

  (void)state;
  memset(host, 'a', sizeof host - 1); /* no label may be so long: nobody asks */
  host[sizeof host - 1] = '\0';
  status = evl_socket_tcp(host, 6379, &s, why);
  assert_refused(status, s, why);
  assert_int_equal(lowest_free(), before);
}

/* A Unix socket whose backlog is full says so at once; when there is room it
 * connects. */
static void a_full_backlog_is_to_be_tried_again(void **state) {
  enum { MANY = 16 };
  peer *p = *state;
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s[MANY], *last = (evl_socket *)(void *)why;
  int count = 0, status = EVL_OK;

  listen_unix(p);
  assert_int_equal(listen(p->listener, 0), 0);
  while (count < MANY && status == EVL_OK) {
    int before = lowest_free();
    status = evl_socket_unix(p->path, &last, why);
    if (status == EVL_OK)
      s[count++] = last;
    else
      assert_int_equal(lowest_free(), before);
  }
  if (status == EVL_AGAIN) {
    assert_null(last);
    assert_int_equal(evl_socket_unix(p->path, &last, why), EVL_AGAIN);
    p->fd = accept(p->listener, NULL, NULL);
    assert_int_equal(evl_socket_unix(p->path, &s[count], why), EVL_OK);
    assert_int_equal(finish(s[count++], why), EVL_OK);
  }
  while (count > 0)
    evl_socket_free(s[--count]);
#ifdef __linux__
  assert_int_equal(status, EVL_AGAIN);
#else
  if (status != EVL_AGAIN) skip(); /* a system that has other words for it */
#endif
}

/* How the core asks for sockets, and a way to choose the port of their own end.
 */
#if defined(__linux__) && defined(SYS_socket)
#define SOCKETS_ARE_OURS
static int asked_for; /* the type of the last one */
static int own_port;  /* of 127.0.0.1; 0: the system's choice */

int socket(int domain, int type, int protocol) {
  int fd = (int)syscall(SYS_socket, domain, type, protocol);
  struct sockaddr_in own;

  asked_for = type;
  if (fd < 0 || own_port == 0) return fd;
  memset(&own, 0, sizeof own);
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  own.sin_port = htons((uint16_t)own_port);
  if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0)
    fail_msg("cannot bind: %s", strerror(errno));
  return fd;
}
#endif

/* A port that nobody listens on may be the one that the system gives our own
 * end: it refuses nevertheless. */
static void a_port_is_not_connected_to_itself(void **state) {
#ifdef SOCKETS_ARE_OURS
  peer *p = *state;
  char why[EVL_WHY_SIZE];
  evl_socket *s = NULL;
  int status;

  bind_tcp(p);
  close(p->listener);
  p->listener = -1;
  own_port = p->port;
  status = start(p, &s, why);
  own_port = 0;
  assert_refused(status, s, why);
  assert_string_equal(why, strerror(ECONNREFUSED));
#else
  (void)state;
  skip();
#endif
}

#ifdef SOCKETS_ARE_OURS
/* Whoever starts a program from another thread, at whatever moment, does not
 * hand the connection on. */
static void is_never_inherited(void **state) {
  char why[EVL_WHY_SIZE];
  evl_socket *s;
  int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;

  listen_unix(*state);
  assert_int_equal(start(*state, &s, why), EVL_OK);
  evl_socket_free(s);
  assert_int_equal(asked_for & flags, flags);
  assert_int_equal(evl_socket_silent(&s, why), EVL_OK);
  evl_socket_free(s);
  assert_int_equal(asked_for & flags, flags);
  if (evl_socket_tcp("127.0.0.1", 1, &s, why) == EVL_OK) evl_socket_free(s);
  assert_int_equal(asked_for & flags, flags);
}
#else
static void is_never_inherited(void **state) {
  (void)state;
  skip();
}
#endif

/* Where standard input is closed the next socket is descriptor 0. */
static void descriptor_0_is_one_as_any_other(peer *p) {
  int input = dup(0);
  evl_socket *s;

  close(0);
  s = connect_to(p);
  assert_int_equal(evl_socket_fd(s), 0);
  assert_int_equal(evl_socket_idle(s), 1);
  evl_socket_free(s);
  assert_int_equal(fcntl(0, F_GETFD), -1); /* it is closed */
  if (input >= 0) {
    dup2(input, 0);
    close(input);
  }
}
OVER_BOTH(descriptor_0_is_one_as_any_other)

static void an_address_is_its_own(void **state) {
  static const char *const addresses[] = {"127.0.0.1", "::1", "192.0.2.1"};
  evl_addresses list;
  char why[EVL_WHY_SIZE] = "";
  size_t i;

  (void)state;
  for (i = 0; i < COUNT(addresses); i++) {
    assert_int_equal(evl_host_resolve(addresses[i], &list, why), EVL_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.text[0], addresses[i]);
  }
}

static void a_name_has_addresses(void **state) {
  evl_addresses list;
  char why[EVL_WHY_SIZE] = "";
  size_t i;
  int known = 0;

  (void)state;
  assert_int_equal(evl_host_resolve("localhost", &list, why), EVL_OK);
  assert_true(list.count >= 1);
  for (i = 0; i < list.count; i++)
    known |= strcmp(list.text[i], "127.0.0.1") == 0 ||
             strcmp(list.text[i], "::1") == 0;
  assert_true(known);
}

static void what_has_no_address_says_why(void **state) {
  evl_addresses list;
  char host[300], why[EVL_WHY_SIZE] = "";

  (void)state;
  memset(host, 'a', sizeof host - 1); /* no label may be so long: nobody asks */
  host[sizeof host - 1] = '\0';
  assert_int_equal(evl_host_resolve(host, &list, why), EVL_ECONNECT);
  assert_int_equal(list.count, 0);
  assert_true(strlen(why) > 0);
}

/* A server whose queue is full answers nothing: the connection is under way.
 * Then the server goes, and the connection is refused when it asks again. */
static void a_connection_under_way_is_waited_for(void **state) {
  enum { MANY = 16 };
  peer *p = *state;
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s[MANY], *last;
  int count = 0, connected = 1;

  bind_tcp(p);
  assert_int_equal(listen(p->listener, 0), 0);
  while (count < MANY && connected) {
    assert_int_equal(start(p, &s[count], why), EVL_OK);
    last = s[count++];
    /* What is not connected at once never will be. */
    connected = evl_socket_wait(evl_socket_fd(last), 'w', 0.1);
    if (connected) assert_int_equal(evl_socket_finish(last, why), EVL_OK);
  }
  if (!connected) {
    assert_int_equal(evl_socket_finish(last, why), EVL_AGAIN);
    assert_int_equal(evl_socket_wants(last), 'w');
    assert_int_equal(evl_socket_finish(last, why), EVL_AGAIN);
    close(p->listener);
    p->listener = -1;
    assert_int_equal(finish(last, why), EVL_ECONNECT);
    assert_true(strlen(why) > 0);
  }
  while (count > 0)
    evl_socket_free(s[--count]);
  if (connected) skip(); /* a system that queues as it likes */
}

/* A path of so many bytes, to be listened on or not. */
static void make_path(peer *p, size_t len, char path[256]) {
  size_t start = strlen(p->dir);

  memset(path, 'x', len);
  memcpy(path, p->dir, start);
  path[start] = '/';
  path[len] = '\0';
}

enum { LONGEST_PATH = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

/* With the byte behind it, it fills its room to the last. */
static void a_long_path_connects_or_refuses(void **state) {
  peer *p = *state;
  char path[256], why[EVL_WHY_SIZE] = "";
  evl_socket *s = NULL;
  size_t shorter;
  int status;

  for (shorter = 0; shorter < 2; shorter++) {
    make_path(p, LONGEST_PATH - shorter, path);
    strcpy(p->path, path);
    listen_at(p);
    status = evl_socket_unix(path, &s, why);
    if (shorter > 0) assert_int_equal(status, EVL_OK);
    if (status == EVL_OK) {
      assert_int_equal(finish(s, why), EVL_OK);
      evl_socket_free(s);
    } else
      assert_refused(status, s, why);
    close(p->listener);
    p->listener = -1;
    unlink(path);
  }
}

/* A path that does not fit must not be cut to one that does: somebody else
 * may listen there. */
static void a_path_too_long_refuses(void **state) {
  peer *p = *state;
  char path[256], why[EVL_WHY_SIZE] = "";
  evl_socket *s = NULL;
  size_t len;
  int status;

  make_path(p, LONGEST_PATH, p->path);
  listen_at(p);
  for (len = LONGEST_PATH + 1; len < sizeof path; len += 49) {
    make_path(p, len, path);
    status = evl_socket_unix(path, &s, why);
    assert_refused(status, s, why);
  }
}

/* --- sending ------------------------------------------------------------- */

static void sends_what_is_asked(peer *p) {
  static const char expected[] = "*2\r\n$4\r\nECHO\r\n$3\r\na\0b\r\n";
  evl_socket *s = connect_to(p);
  evl_request *r = evl_request_new();
  char got[sizeof expected - 1];
  size_t len;

  assert_int_equal(evl_socket_send(s, r), EVL_OK); /* nothing to do */
  evl_request_begin(r, 2);
  evl_request_string(r, LIT("ECHO"));
  evl_request_string(r, LIT("a\0b"));
  assert_int_equal(evl_socket_send(s, r), EVL_OK);
  evl_request_bytes(r, &len);
  assert_int_equal(len, 0);
  hear(p, got, sizeof got);
  assert_memory_equal(got, expected, sizeof got);
  evl_request_free(r);
  evl_socket_free(s);
}
OVER_BOTH(sends_what_is_asked)

/* More than the system takes at once: some of it, then EVL_AGAIN, and the
 * rest when the peer has read. */
static void sends_in_pieces(peer *p) {
  enum { LEN = 16 * 1024 * 1024 };
  evl_socket *s = connect_to(p);
  evl_request *r = evl_request_new();
  char *big = malloc(LEN), *got = malloc(LEN + 64);
  size_t i, at = 0, len, total;
  int status;

  assert_true(big != NULL && got != NULL);
  for (i = 0; i < LEN; i++)
    big[i] = (char)(i * 31 % 255);
  evl_request_string(r, big, LEN);
  evl_request_bytes(r, &total);
  assert_int_equal(evl_socket_send(s, r), EVL_OK);
  evl_request_bytes(r, &len);
  assert_true(len > 0 && len < total);
  while ((status = evl_socket_send(s, r)) == EVL_OK)
    assert_true((evl_request_bytes(r, &len), len > 0));
  assert_int_equal(status, EVL_AGAIN);
  assert_int_equal(evl_socket_wants(s), 'w');
  assert_int_equal(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
  while (at < total) {
    ssize_t n = read(p->fd, got + at, total - at);
    if (n > 0) at += (size_t)n;
    assert_true(n != 0);
    status = evl_socket_send(s, r);
    assert_true(status == EVL_OK || status == EVL_AGAIN);
  }
  evl_request_bytes(r, &len);
  assert_int_equal(len, 0);
  assert_memory_equal(got, "$16777216\r\n", 11);
  assert_memory_equal(got + 11, big, LEN);
  assert_memory_equal(got + 11 + LEN, "\r\n", 2);
  free(big);
  free(got);
  evl_request_free(r);
  evl_socket_free(s);
}
OVER_BOTH(sends_in_pieces)

/* A peer that is gone is an error, not the end of this process. */
static void sends_to_nobody(peer *p) {
  evl_socket *s = connect_to(p);
  evl_request *r = evl_request_new();
  int status = EVL_OK;

  signal(SIGPIPE, SIG_DFL);
  hang_up(p);
  while (status == EVL_OK) { /* TCP takes some before it hears of it */
    evl_request_begin(r, 1);
    evl_request_string(r, LIT("PING"));
    status = evl_socket_send(s, r);
    if (status == EVL_OK) wait_for_bytes(s);
  }
  assert_int_equal(status, EVL_EIO);
  assert_int_equal(evl_socket_send(s, r), EVL_EIO);
  evl_request_free(r);
  evl_socket_free(s);
}
OVER_BOTH(sends_to_nobody)

/* A server that refuses a request says so, and hangs up, before it has read all
 * of it. Sending fails then; what it said can be read. */
static void what_was_said_before_it_hung_up_is_received(peer *p) {
  enum { LEN = 16 * 1024 * 1024 };
  evl_socket *s = connect_to(p);
  evl_request *r = evl_request_new();
  evl_decoder *d = evl_decoder_new();
  char *big = calloc(1, LEN), byte;
  int status;

  assert_non_null(big);
  evl_request_string(r, big, LEN);
  while ((status = evl_socket_send(s, r)) == EVL_OK)
    ;
  assert_int_equal(status, EVL_AGAIN);
  assert_string_equal(evl_socket_error(s), "");
  hear(p, &byte, 1);
  say(p, LIT("-ERR too much\r\n"));
  hang_up(p);
  while ((status = evl_socket_send(s, r)) != EVL_EIO)
    evl_socket_wait(evl_socket_fd(s), 'b', -1);
  assert_true(strcmp(evl_socket_error(s), strerror(ECONNRESET)) == 0 ||
              strcmp(evl_socket_error(s), strerror(EPIPE)) == 0);
  while ((status = evl_socket_receive(s, d)) == EVL_AGAIN)
    evl_socket_wait(evl_socket_fd(s), 'r', -1);
  assert_int_equal(status, EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  free(big);
  evl_request_free(r);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(what_was_said_before_it_hung_up_is_received)

/* --- receiving ----------------------------------------------------------- */

static void receives_in_pieces(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_cursor c;
  evl_item item;

  assert_int_equal(evl_socket_receive(s, d), EVL_AGAIN);
  assert_int_equal(evl_socket_wants(s), 'r');
  assert_int_equal(evl_decoder_empty(d), 1);
  say(p, LIT("$5\r\nhe"));
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
  assert_int_equal(evl_socket_receive(s, d), EVL_AGAIN);
  say(p, LIT("llo\r\n"));
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  c = evl_cursor_start(d);
  assert_int_equal(evl_cursor_next(&c, &item), EVL_OK);
  assert_int_equal(item.len, 5);
  assert_memory_equal(item.string, "hello", 5);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(receives_in_pieces)

static size_t count_replies(evl_decoder *d) {
  size_t count = 0;

  while (evl_decoder_next(d) == EVL_OK)
    count++;
  return count;
}

/* So that one busy peer does not keep others waiting. */
static void receives_a_part_at_a_time(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  char replies[100 * 1024];
  size_t i, count;

  for (i = 0; i < sizeof replies; i += 4)
    memcpy(replies + i, ":1\r\n", 4);
  say(p, replies, sizeof replies);
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK);
  count = count_replies(d);
  assert_true(count > 0 && count <= 64 * 1024 / 4);
  while (count < sizeof replies / 4) {
    wait_for_bytes(s);
    assert_int_equal(evl_socket_receive(s, d), EVL_OK);
    count += count_replies(d);
  }
  assert_int_equal(count, sizeof replies / 4);
  assert_int_equal(evl_socket_receive(s, d), EVL_AGAIN);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(receives_a_part_at_a_time)

static void knows_that_its_peer_is_near(peer *p) {
  evl_socket *s = connect_to(p);

  assert_int_equal(evl_socket_is_local(s), 1);
  evl_socket_free(s);
}
OVER_BOTH(knows_that_its_peer_is_near)

/* An address that is for documentation only: nobody is there. */
static void knows_that_its_peer_is_far(void **state) {
  char why[EVL_WHY_SIZE];
  evl_socket *s;

  (void)state;
  if (evl_socket_tcp("192.0.2.1", 6379, &s, why) != EVL_OK) return; /* no way */
  assert_int_equal(evl_socket_is_local(s), 0);
  evl_socket_free(s);
}

static evl_spin spinning(long us) {
  evl_spin spin;

  evl_spin_init(&spin, us, 1);
  return spin;
}

/* As who waits calls it: again, where a look was in vain. */
static int await(evl_socket *s, evl_decoder *d, evl_spin *spin, size_t least,
                 double deadline) {
  int status;

  do
    status = evl_socket_await(s, d, spin, least, deadline);
  while (status == EVL_AGAIN && evl_now() < deadline);
  return status;
}

/* Gives up at its time where nothing comes, whether it looks or sleeps; finds
 * what comes, also meanwhile. */
static void awaits(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_spin spins[3];
  size_t i;

  spins[0] = spinning(0);
  spins[1] = spinning(100);
  spins[2] = spinning(1000000000);
  for (i = 0; i < 3; i++) {
    assert_int_equal(await(s, d, &spins[i], 0, evl_now() - 1), EVL_AGAIN);
    assert_int_equal(await(s, d, &spins[i], 0, evl_now() + 0.02), EVL_AGAIN);
    assert_int_equal(await(s, d, &spins[i], 9, evl_now() + 0.02), EVL_AGAIN);
    say(p, LIT("+OK\r\n"));
    assert_int_equal(await(s, d, &spins[i], 0, evl_now() + 10), EVL_OK);
    assert_int_equal(evl_decoder_next(d), EVL_OK);
    say(p, LIT("+OK\r\n"));
    wait_for_bytes(s);
    assert_int_equal(await(s, d, &spins[i], 0, evl_now() - 1), EVL_OK);
    assert_int_equal(evl_decoder_next(d), EVL_OK);
    assert_int_equal(evl_socket_receive(s, d), EVL_AGAIN); /* does not block */
  }
  hang_up(p);
  for (i = 0; i < 3; i++)
    assert_int_equal(await(s, d, &spins[i], 0, evl_now() + 10), EVL_EEOF);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(awaits)

static double sleeps_for(const evl_socket *s) {
  struct timeval t;
  socklen_t len = sizeof t;

  memset(&t, 0, sizeof t);
  getsockopt(evl_socket_fd(s), SOL_SOCKET, SO_RCVTIMEO, &t, &len);
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* recv() sleeps for a part of a long wait only, since it oversleeps. */
static void awaits_short_times_exactly(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_spin off = spinning(0);

  assert_int_equal(await(s, d, &off, 0, evl_now() + 0.02), EVL_AGAIN);
  assert_true(sleeps_for(s) == 0);
#ifdef __linux__
  say(p, LIT("+OK\r\n"));
  assert_int_equal(await(s, d, &off, 0, evl_now() + 100), EVL_OK);
  assert_true(sleeps_for(s) > 70 && sleeps_for(s) < 88);
  /* Which does not make the next one longer. */
  assert_int_equal(await(s, d, &off, 0, evl_now() + 0.02), EVL_AGAIN);
#endif
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(awaits_short_times_exactly)

/* A look in vain ends the wait, so that the caller sees a signal that came
 * meanwhile; when it has looked long enough it sleeps. */
static void looks_once(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_spin spins[2];
  int i;

  spins[0] = spinning(1000);
  spins[1] = spinning(1000000000); /* that takes several looks */
  for (i = 0; i < 4; i++) {
    evl_spin *on = &spins[i % 2];
    assert_int_equal(evl_socket_await(s, d, on, 0, evl_now() + 1e6), EVL_AGAIN);
    say(p, LIT("+OK\r\n"));
    assert_int_equal(evl_socket_await(s, d, on, 0, evl_now() + 1e6), EVL_OK);
#ifdef __linux__
    if (i == 0) assert_true(sleeps_for(s) > 0); /* and did not look again */
#endif
  }
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(looks_once)

static int wakes_from(const evl_socket *s) {
  int bytes = -1;
  socklen_t len = sizeof bytes;

  getsockopt(evl_socket_fd(s), SOL_SOCKET, SO_RCVLOWAT, &bytes, &len);
  return bytes;
}

struct pieces {
  peer *peer;
  evl_socket *socket; /* said once this one sleeps; NULL: at once */
};

static void *say_in_pieces(void *of) {
  struct pieces *pieces = of;
  double give_up = evl_now() + 10;

  while (pieces->socket && wakes_from(pieces->socket) != 14 &&
         evl_now() < give_up)
    usleep(1000);
  say(pieces->peer, LIT("+OK\r\n"));
  usleep(2000);
  say(pieces->peer, LIT("+QUEUED\r\n"));
  return NULL;
}

/* An answer of which the least length is known comes whole; a shorter one, and
 * what stands before the end, come nevertheless. */
static void awaits_so_many(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_spin spins[2];
  size_t i;

  spins[0] = spinning(0);
  spins[1] = spinning(1000000);
  for (i = 0; i < 2; i++) {
    size_t count = 0;
    pthread_t thread;
    struct pieces pieces;
    pieces.peer = p;
    pieces.socket = i == 0 ? s : NULL;
    pthread_create(&thread, NULL, say_in_pieces, &pieces);
    while (count < 2) { /* a Unix socket wakes a sleeper at the first byte */
      size_t least = count == 0 ? 14 : 0;
      assert_int_equal(await(s, d, &spins[i], least, evl_now() + 20), EVL_OK);
      if (i == 0 && count == 0) assert_int_equal(wakes_from(s), 14);
      count += count_replies(d);
    }
    pthread_join(thread, NULL);
  }
  spins[1] = spinning(100);
  for (i = 0; i < 6; i++) { /* seen while it looks, or while it sleeps */
    say(p, LIT("+OK\r\n"));
    if (i % 2 == 1) usleep(1000);
    assert_int_equal(
        await(s, d, &spins[i % 2], i < 4 ? 6 : 100000, evl_now() + 1e6),
        EVL_OK);
    assert_int_equal(count_replies(d), 1);
  }
  /* It does not last. */
  say(p, LIT("+OK\r\n"));
  assert_int_equal(await(s, d, &spins[0], 0, evl_now() + 10), EVL_OK);
  assert_int_equal(wakes_from(s), 1);
  assert_int_equal(count_replies(d), 1);
  say(p, LIT("+OK\r\n"));
  hang_up(p);
  for (i = 0; i < 2; i++)
    assert_int_equal(await(s, d, &spins[1], 100, evl_now() + 10),
                     i == 0 ? EVL_OK : EVL_EEOF);
  assert_int_equal(count_replies(d), 1);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(awaits_so_many)

static void do_nothing(int signal) { (void)signal; }

/* A signal ends the wait, whatever its handler's flags are. */
static void awaits_signals(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_spin off = spinning(0);
  struct sigaction action, before;
  struct itimerval soon;

  memset(&action, 0, sizeof action);
  action.sa_handler = do_nothing;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, &before);
  memset(&soon, 0, sizeof soon);
  soon.it_value.tv_usec = soon.it_interval.tv_usec = 50000;
  setitimer(ITIMER_REAL, &soon, NULL);
  assert_int_equal(evl_socket_await(s, d, &off, 0, evl_now() + 100000),
                   EVL_AGAIN);
  memset(&soon, 0, sizeof soon);
  setitimer(ITIMER_REAL, &soon, NULL);
  sigaction(SIGALRM, &before, NULL);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(awaits_signals)

/* A child must not use what its parent has opened, nor take what comes. */
static void is_not_a_childs(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_request *r = evl_request_new();
  evl_spin off = spinning(0);
  int status;
  pid_t child;

  assert_true(evl_socket_idle(s));
  assert_int_equal(evl_process_id(), getpid());
  say(p, LIT("+OK\r\n"));
  wait_for_bytes(s);
  evl_request_begin(r, 1);
  evl_request_string(r, LIT("PING"));
  child = fork();
  if (child == 0) {
    int idle = evl_socket_idle(s), known = evl_process_id() == getpid();
    int moves = evl_socket_send(s, r) != EVL_EIO ||
                evl_socket_receive(s, d) != EVL_EIO ||
                evl_socket_await(s, d, &off, 0, evl_now() + 10) != EVL_EIO;
    evl_socket_free(s);
    _exit(idle ? 1 : !known ? 2 : moves ? 3 : 0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_true(evl_socket_idle(s));
  evl_request_free(r);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(is_not_a_childs)

/* What came before the end is still read. */
static void receives_the_end(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();

  say(p, LIT("+OK\r\n$5\r\nhe"));
  hang_up(p);
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_AGAIN);
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_EEOF);
  assert_int_equal(evl_socket_receive(s, d), EVL_EEOF);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(receives_the_end)

/* A peer that closes with something unread resets the connection. */
static void receives_a_reset(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  evl_request *r = evl_request_new();
  char byte;

  evl_request_begin(r, 1);
  evl_request_string(r, LIT("PING"));
  assert_int_equal(evl_socket_send(s, r), EVL_OK);
  hear(p, &byte, 1); /* it has arrived */
  hang_up(p);
  wait_for_bytes(s);
  assert_string_equal(evl_socket_error(s), "");
  assert_int_equal(evl_socket_receive(s, d), EVL_EIO);
  assert_string_equal(evl_socket_error(s), strerror(ECONNRESET));
  evl_request_free(r);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(receives_a_reset)

static void receives_no_more_after_nonsense(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();

  say(p, LIT("HTTP/1.1 400 Bad Request\r\n\r\n"));
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK);
  assert_int_equal(evl_decoder_next(d), EVL_EPROTOCOL);
  say(p, LIT("+OK\r\n"));
  wait_for_bytes(s);
  assert_int_equal(evl_socket_receive(s, d), EVL_EPROTOCOL);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(receives_no_more_after_nonsense)

/* --- idle ---------------------------------------------------------------- */

static void knows_whether_it_is_idle(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();

  assert_int_equal(evl_socket_idle(s), 1);
  assert_int_equal(evl_socket_idle(s), 1);
  say(p, LIT("+OK\r\n"));
  wait_for_bytes(s);
  assert_int_equal(evl_socket_idle(s), 0);
  assert_int_equal(evl_socket_idle(s), 0);
  assert_int_equal(evl_socket_receive(s, d), EVL_OK); /* it took nothing */
  assert_int_equal(evl_decoder_next(d), EVL_OK);
  assert_int_equal(evl_socket_idle(s), 1);
  hang_up(p);
  wait_for_bytes(s);
  assert_int_equal(evl_socket_idle(s), 0);
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(knows_whether_it_is_idle)

/* --- waiting ------------------------------------------------------------- */

static void waits_for_what_is_asked(peer *p) {
  evl_socket *s = connect_to(p);
  int fd = evl_socket_fd(s);

  assert_int_equal(evl_socket_wait(fd, 'w', 0), 1);
  assert_int_equal(evl_socket_wait(fd, 'w', -1), 1);
  assert_int_equal(evl_socket_wait(fd, 'r', 0), 0);
  assert_int_equal(evl_socket_wait(fd, 'r', 0.001), 0);
  assert_int_equal(evl_socket_wait(fd, 'r', 1e-9), 0);
  assert_int_equal(evl_socket_wait(fd, 'b', -1), 1); /* it can be written */
  say(p, LIT("+OK\r\n"));
  assert_int_equal(evl_socket_wait(fd, 'r', 1e300), 1);
  assert_int_equal(evl_socket_wait(fd, 'r', 0), 1);
  evl_socket_free(s);
}
OVER_BOTH(waits_for_what_is_asked)

static void *wait_forever(void *s) {
  wait_for_bytes(s);
  return NULL;
}

/* Whether the other thread waits already or only will: it comes back. */
static void shutdown_wakes_who_waits(peer *p) {
  evl_socket *s = connect_to(p);
  evl_decoder *d = evl_decoder_new();
  int fd = evl_socket_fd(s);
  pthread_t thread;
  char byte;

  assert_int_equal(pthread_create(&thread, NULL, wait_forever, s), 0);
  usleep(20000);
  evl_socket_shutdown(s);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(evl_socket_fd(s), fd); /* still open, for its poller */
  assert_true(fcntl(fd, F_GETFD) >= 0);
  assert_int_equal(evl_socket_wait(fd, 'r', -1), 1);
  assert_int_equal(evl_socket_receive(s, d), EVL_EEOF);
  assert_int_equal(evl_socket_idle(s), 0);
  evl_socket_shutdown(s);
  assert_int_equal(read(p->fd, &byte, 1), 0); /* the peer sees it, too */
  evl_decoder_free(d);
  evl_socket_free(s);
}
OVER_BOTH(shutdown_wakes_who_waits)

static volatile sig_atomic_t signals;

static void count_signal(int number) {
  (void)number;
  signals++;
}

/* So that Lua's hook for Ctrl-C gets its turn. SA_RESTART changes nothing. */
static void a_signal_ends_a_wait(void **state) {
  peer *p = *state;
  struct itimerval often, never;
  struct sigaction action, before;
  evl_socket *s;

  listen_unix(p);
  s = connect_to(p);
  memset(&often, 0, sizeof often);
  never = often;
  often.it_interval.tv_usec = often.it_value.tv_usec = 10000;
  memset(&action, 0, sizeof action);
  action.sa_handler = count_signal;
  action.sa_flags = SA_RESTART;
  signals = 0;
  sigaction(SIGALRM, &action, &before);
  setitimer(ITIMER_REAL, &often, NULL);
  assert_int_equal(evl_socket_wait(evl_socket_fd(s), 'r', -1), 0);
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &before, NULL);
  assert_true(signals > 0);
  evl_socket_free(s);
}

#define BOTH(name)                                                             \
  cmocka_unit_test_setup_teardown(name##_over_unix, setup, teardown),          \
      cmocka_unit_test_setup_teardown(name##_over_tcp, setup, teardown)
#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(connects),
      BOTH(freeing_closes),
      ONE(a_port_without_server_refuses),
      ONE(a_connection_under_way_is_waited_for),
      ONE(a_full_backlog_is_to_be_tried_again),
      ONE(a_port_is_not_connected_to_itself),
      ONE(is_never_inherited),
      BOTH(descriptor_0_is_one_as_any_other),
      cmocka_unit_test(an_address_is_its_own),
      cmocka_unit_test(a_name_has_addresses),
      cmocka_unit_test(what_has_no_address_says_why),
      ONE(a_path_without_socket_refuses),
      ONE(a_socket_without_server_refuses),
      ONE(a_host_that_is_none_refuses),
      ONE(a_long_path_connects_or_refuses),
      ONE(a_path_too_long_refuses),
      BOTH(sends_what_is_asked),
      BOTH(sends_in_pieces),
      BOTH(sends_to_nobody),
      BOTH(what_was_said_before_it_hung_up_is_received),
      BOTH(receives_in_pieces),
      BOTH(receives_a_part_at_a_time),
      BOTH(knows_that_its_peer_is_near),
      cmocka_unit_test(knows_that_its_peer_is_far),
      BOTH(awaits),
      BOTH(awaits_short_times_exactly),
      BOTH(looks_once),
      BOTH(awaits_so_many),
      BOTH(awaits_signals),
      BOTH(is_not_a_childs),
      BOTH(receives_the_end),
      BOTH(receives_a_reset),
      BOTH(receives_no_more_after_nonsense),
      BOTH(knows_whether_it_is_idle),
      BOTH(waits_for_what_is_asked),
      BOTH(shutdown_wakes_who_waits),
      ONE(a_signal_ends_a_wait),
  };
  return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
