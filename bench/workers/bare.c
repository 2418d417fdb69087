/* What a client cannot do without, and nothing else: a socket, a request that
 * is encoded once, and a look for the end of the reply. No client that asks the
 * same is faster. It spins: looks for the reply again and again, and sleeps
 * never. Prints one line of name=value.
 *
 *   bare add PORT KEY COUNT SIZE    SIZE 1: XADD; more: MULTI, so many, EXEC
 *   bare tail_n PORT KEY CALLS      XREVRANGE of the last 100, as it is sent */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <sys/socket.h>

/* Appends a command to *bytes. */
static void append(char **bytes, size_t *len, int argc, const char **argv,
                   const size_t *lens) {
  char *command;
  long long n = redisFormatCommandArgv(&command, argc, argv, lens);
  if (n < 0 || !(*bytes = realloc(*bytes, *len + (size_t)n))) die("no memory");
  memcpy(*bytes + *len, command, (size_t)n);
  *len += (size_t)n;
  free(command);
}

static void append_words(char **bytes, size_t *len, int argc,
                         const char **argv) {
  append(bytes, len, argc, argv, NULL);
}

/* Sends the request, and reads until so many lines have come: no value of ours
 * has a line's end in it. */
static void exchange(int fd, const char *bytes, size_t len, size_t lines) {
  static char room[1 << 16];
  while (len > 0) {
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    if (n <= 0) die("send");
    bytes += n;
    len -= (size_t)n;
  }
  while (lines > 0) {
    ssize_t n = recv(fd, room, sizeof room, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0 || room[0] == '-') die("recv");
    for (const char *p = room; (p = memchr(p, '\n', (size_t)(room + n - p)));
         p++)
      if (lines-- == 0) die("more than the reply");
  }
}

static void add(redisContext *c, const char *key, uint64_t count, size_t size) {
  char *bytes = NULL;
  size_t len = 0;
  xadd x;
  xadd_init(&x, key, 1);
  if (size > 1) append_words(&bytes, &len, 1, (const char *[]){"MULTI"});
  for (size_t i = 0; i < size; i++)
    append(&bytes, &len, XADD_ARGC, x.argv, x.len);
  if (size > 1) append_words(&bytes, &len, 1, (const char *[]){"EXEC"});
  size_t lines = size > 1 ? 2 + 3 * size : 2;
  for (uint64_t done = 0; done < count / 10 + 1; done += size)
    exchange(c->fd, bytes, len, lines);
  section measured = start(c);
  for (uint64_t done = 0; done < count; done += size)
    exchange(c->fd, bytes, len, lines);
  stop(&measured, c, count);
  free(bytes);
}

static void tail_n(redisContext *c, const char *key, uint64_t calls) {
  char *bytes = NULL;
  size_t len = 0, lines = 1 + 100 * (1 + 2 + 1 + 4 * FIELDS);
  double *times = times_new(calls);
  append_words(&bytes, &len, 6,
               (const char *[]){"XREVRANGE", key, "+", "-", "COUNT", "100"});
  section measured = start(c);
  for (uint64_t i = 0; i < calls; i++) {
    double sent = now();
    exchange(c->fd, bytes, len, lines);
    times[i] = now() - sent;
  }
  stop(&measured, c, calls * 100);
  percentiles(times, calls);
  free(bytes);
  free(times);
}

int main(int argc, char **argv) {
  if (argc < 6) die("bare add|tail_n PORT KEY COUNT SIZE");
  uint64_t count = strtoull(argv[4], NULL, 10);
  redisContext *c = connect_to(argv[2]);
  if (!strcmp(argv[1], "add"))
    add(c, argv[3], count, strtoull(argv[5], NULL, 10));
  else if (!strcmp(argv[1], "tail_n"))
    tail_n(c, argv[3], count);
  else
    die("no such work");
  printf("\n");
  redisFree(c);
  return 0;
}
