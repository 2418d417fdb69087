/* A Redis that does no more than answer. What it is asked is looked at as text:
 * a command by its name, a script by a word that only it has in it. */
#include "fake_redis.h"

#include "test_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS = 200, ROOM = 16384, ARGUMENTS = 64 };

typedef struct connection {
  int fd;     /* -1: free */
  int queued; /* XADDs since MULTI; -1: not in MULTI */
  int reads;  /* XREADs since MULTI, which do not wait there */
  int waits;  /* in a blocking XREAD, and answers nothing more */
  size_t len; /* of what has come and is not answered */
  char in[ROOM];
} connection;

typedef struct argument {
  const char *bytes;
  size_t len;
} argument;

static connection connections[CONNECTIONS];
static int listener = -1;
static int knows_state; /* whether scripts.state was sent whole */
static char listening_at[100];

#define ENTRY(id) "*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\nn\r\n$5\r\nvalue\r\n"
/* As scripts.state answers, but for the last item: whether an entry is gone. */
#define STATE                                                                  \
  "*7\r\n$3\r\n1-2\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n"                              \
  "$1\r\n2\r\n$1\r\n2\r\n$3\r\n0-0\r\n"

/* As XINFO STREAM FULL COUNT 1 of such a log. */
#define INFO                                                                   \
  "*10\r\n$6\r\nlength\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n1-2\r\n"     \
  "$20\r\nmax-deleted-entry-id\r\n$3\r\n0-0\r\n$13\r\nentries-added\r\n:2\r\n" \
  "$7\r\nentries\r\n*1\r\n" ENTRY("1-1")

/* Whoever asked may have left. */
static void say(connection *c, const char *text) {
  (void)send(c->fd, text, strlen(text), MSG_NOSIGNAL);
}

static int is(const argument *a, const char *text) {
  return a->len == strlen(text) && memcmp(a->bytes, text, a->len) == 0;
}

static int has(const argument *a, const char *word) {
  size_t len = strlen(word), i;

  for (i = 0; i + len <= a->len; i++)
    if (memcmp(a->bytes + i, word, len) == 0) return 1;
  return 0;
}

/* "ok" and ids, as scripts.add_once does: the 13th argument is how many names
 * and values the first entry has. */
static void answer_add_once(connection *c, const argument *argv, int argc) {
  int entries = 0, at = 12;
  char head[32];

  for (; at < argc; entries++)
    at += 1 + (int)strtol(argv[at].bytes, NULL, 10);
  snprintf(head, sizeof head, "*%d\r\n$2\r\nok\r\n", entries + 1);
  say(c, head);
  while (entries-- > 0)
    say(c, "$3\r\n1-1\r\n");
}

static void answer_state(connection *c, const argument *id) {
  knows_state = 1;
  say(c, STATE);
  say(c, is(id, "1-1") || is(id, "1-2") ? "$1\r\n0\r\n" : "$1\r\n1\r\n");
}

/* EVALSHA: scripts.state is asked for an id, and for the whole state. */
static void answer_sha(connection *c, const argument *argv, int argc) {
  if (knows_state && argc == 6 && has(&argv[4], "-") && is(&argv[5], "1"))
    answer_state(c, &argv[4]);
  else
    say(c, "-NOSCRIPT No matching script.\r\n");
}

static void answer_script(connection *c, const argument *argv, int argc) {
  const argument *body = &argv[1];

  if (has(body, "max-deleted-entry-id"))
    answer_state(c, &argv[4]);
  else if (has(body, "conflict"))
    answer_add_once(c, argv, argc);
  else if (has(body, "UNLINK"))
    say(c, ":1\r\n");
  else
    say(c, "$3\r\n1-2\r\n"); /* what an add with a TTL added */
}

static void answer_exec(connection *c) {
  int i;
  char head[32];

  snprintf(head, sizeof head, "*%d\r\n", c->reads + c->queued + 1);
  say(c, head);
  for (i = 0; i < c->reads; i++)
    say(c, "*-1\r\n");
  for (i = 0; i < c->queued; i++)
    say(c, "$3\r\n1-1\r\n");
  say(c, "$2\r\nok\r\n");
  c->queued = -1;
}

static void answer_xread(connection *c, const argument *argv, int argc) {
  if (is(&argv[argc - 1], "0-0"))
    say(c, "*1\r\n*2\r\n$3\r\nlog\r\n*2\r\n" ENTRY("1-1") ENTRY("1-2"));
  else
    c->waits = 1;
}

static void answer(connection *c, const argument *argv, int argc) {
  const argument *name = &argv[0];

  if (c->waits) return;
  if (is(name, "MULTI")) {
    c->queued = c->reads = 0;
    say(c, "+OK\r\n");
  } else if (is(name, "EXEC")) {
    answer_exec(c);
  } else if (c->queued >= 0) {
    c->queued +=
        is(name, "XADD") || (is(name, "EVAL") && has(&argv[1], "XADD"));
    c->reads += is(name, "XREAD");
    say(c, "+QUEUED\r\n");
  } else if (is(name, "XADD")) {
    say(c, "$3\r\n1-2\r\n");
  } else if (is(name, "XLEN")) {
    say(c, ":2\r\n");
  } else if (is(name, "XINFO")) {
    say(c, INFO);
  } else if (is(name, "XRANGE")) {
    say(c, "*2\r\n" ENTRY("1-1") ENTRY("1-2"));
  } else if (is(name, "XREVRANGE")) {
    say(c, "*2\r\n" ENTRY("1-2") ENTRY("1-1"));
  } else if (is(name, "XREAD")) {
    answer_xread(c, argv, argc);
  } else if (is(name, "EVAL")) {
    answer_script(c, argv, argc);
  } else if (is(name, "EVALSHA")) {
    answer_sha(c, argv, argc);
  } else {
    fail_msg("asked for %.*s", (int)name->len, name->bytes);
  }
}

/* Reads "<mark><number>\r\n" at *p. 0 where it is not all there. */
static int read_number(const char **p, const char *end, char mark, long *n) {
  const char *cr = memchr(*p, '\r', (size_t)(end - *p));

  if (cr == NULL || end - cr < 2) return 0;
  assert_int_equal(**p, mark);
  *n = strtol(*p + 1, NULL, 10);
  *p = cr + 2;
  return 1;
}

/* Answers one command; its length, or 0 where it is not all there. */
static size_t take_command(connection *c, const char *bytes, size_t len) {
  const char *p = bytes, *end = bytes + len;
  argument argv[ARGUMENTS];
  long argc, i, n;

  if (!read_number(&p, end, '*', &argc)) return 0;
  assert_true(argc > 0 && argc <= ARGUMENTS);
  for (i = 0; i < argc; i++) {
    if (!read_number(&p, end, '$', &n) || end - p < n + 2) return 0;
    argv[i].bytes = p;
    argv[i].len = (size_t)n;
    p += n + 2;
  }
  answer(c, argv, (int)argc);
  return (size_t)(p - bytes);
}

static void leave(connection *c) {
  close(c->fd);
  c->fd = -1;
}

static void serve(connection *c) {
  ssize_t n = recv(c->fd, c->in + c->len, ROOM - c->len, MSG_DONTWAIT);
  size_t at = 0, taken;

  if (n == 0) leave(c);
  if (n <= 0) return;
  c->len += (size_t)n;
  while (at < c->len && (taken = take_command(c, c->in + at, c->len - at)) > 0)
    at += taken;
  c->len -= at;
  memmove(c->in, c->in + at, c->len);
}

static void meet(int fd) {
  int i;

  for (i = 0; i < CONNECTIONS && connections[i].fd >= 0; i++)
    ;
  assert_true(i < CONNECTIONS);
  connections[i].fd = fd;
  connections[i].queued = -1;
  connections[i].waits = 0;
  connections[i].len = 0;
}

void fake_redis_start(const char *path) {
  struct sockaddr_un address;
  int i;

  for (i = 0; i < CONNECTIONS; i++)
    connections[i].fd = -1;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  snprintf(listening_at, sizeof listening_at, "%s", path);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address),
                   0);
  assert_int_equal(listen(listener, 16), 0);
  assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
}

void fake_redis_serve(void) {
  int fd, i;

  for (i = 0; i < CONNECTIONS; i++) /* who has left makes room */
    if (connections[i].fd >= 0) serve(&connections[i]);
  while ((fd = accept(listener, NULL, NULL)) >= 0)
    meet(fd);
  for (i = 0; i < CONNECTIONS; i++)
    if (connections[i].fd >= 0) serve(&connections[i]);
}

void fake_redis_stop(void) {
  int i;

  for (i = 0; i < CONNECTIONS; i++)
    if (connections[i].fd >= 0) leave(&connections[i]);
  close(listener);
  unlink(listening_at);
}
