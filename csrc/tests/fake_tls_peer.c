/* The server's side of fake_tls.h, before a real Redis: a process that takes
 * clients on one Unix socket, and has for each a connection to another.
 *
 *   fake_tls_peer LISTEN TARGET     prints its process group, and stays
 */
#include "fake_tls.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A 'K' comes before each so many records of data. A permit takes so many
 * milliseconds: meanwhile a client that waits for the wrong thing is called
 * again and again. */
enum { KEY_UPDATE_EVERY = 3, PERMIT_AFTER = 2 };

static int client, server;

static int open_at(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
  return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int put(int fd, const unsigned char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n <= 0) return 0;
    bytes += n;
    len -= (size_t)n;
  }
  return 1;
}

static int get(int fd, unsigned char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = read(fd, bytes, len);
    if (n <= 0) return 0;
    bytes += n;
    len -= (size_t)n;
  }
  return 1;
}

static int send_record(char type, unsigned char *bytes, size_t len) {
  unsigned char header[FAKE_TLS_HEADER];
  size_t i;

  header[0] = (unsigned char)type;
  header[1] = (unsigned char)(len >> 8);
  header[2] = (unsigned char)(len & 255);
  for (i = 0; i < len; i++)
    bytes[i] ^= FAKE_TLS_KEY;
  return put(client, header, sizeof header) && put(client, bytes, len);
}

/* Takes one record of the client's. Returns its type; 0: the client is gone. */
static int take_record(void) {
  static int records;
  static int server_takes = 1;
  unsigned char header[FAKE_TLS_HEADER], bytes[65536];
  size_t len, i;

  if (!get(client, header, sizeof header)) return 0;
  len = (size_t)header[1] << 8 | header[2];
  if (!get(client, bytes, len)) return 0;
  for (i = 0; i < len; i++)
    bytes[i] ^= FAKE_TLS_KEY;
  if (header[0] == 'H' && !send_record('h', bytes, 0)) return 0;
  if (header[0] == 'C') return 0;
  if (header[0] != 'D') return header[0];
  /* What a server says that takes no more is still handed on. */
  if (server_takes && !put(server, bytes, len)) server_takes = 0;
  if (++records % FAKE_TLS_PERMIT != 0) return 'D';
  (void)poll(NULL, 0, PERMIT_AFTER);
  return send_record('p', bytes, 0) ? 'D' : 0;
}

/* Hands on what the server says. */
static int hand_on(void) {
  static int records;
  unsigned char bytes[FAKE_TLS_RECORD];
  ssize_t n =
      read(server, bytes, 1 + (size_t)(records * 337) % FAKE_TLS_RECORD);

  if (n <= 0) {
    (void)send_record('C', bytes, 0);
    return 0;
  }
  if (++records % KEY_UPDATE_EVERY == 0) {
    int type;

    if (!send_record('K', bytes, 0)) return 0;
    while ((type = take_record()) != 'k')
      if (type == 0) return 0;
  }
  return send_record('D', bytes, (size_t)n) && send_record('T', bytes, 0);
}

static void serve(const char *target) {
  struct sockaddr_un address;
  struct pollfd p[2];

  server = open_at(target, &address);
  if (connect(server, (const struct sockaddr *)&address, sizeof address) != 0)
    return;
  p[0].fd = client;
  p[1].fd = server;
  p[0].events = p[1].events = POLLIN;
  for (;;) {
    if (poll(p, 2, -1) < 0) return;
    if (p[0].revents != 0 && !take_record()) return;
    if (p[1].revents != 0 && !hand_on()) return;
  }
}

int main(int argc, char **argv) {
  struct sockaddr_un address;
  int listener;
  pid_t child;

  if (argc != 3) return 2;
  listener = open_at(argv[1], &address);
  if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listener, 128) != 0)
    return 1;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);
  child = fork();
  if (child < 0) return 1;
  if (child > 0) {
    printf("%ld\n", (long)child);
    return 0;
  }
  setsid();
  (void)freopen("/dev/null", "w", stdout);
  (void)freopen("/dev/null", "w", stderr);
  for (;;) {
    client = accept(listener, NULL, NULL);
    if (client >= 0 && fork() == 0) {
      close(listener);
      serve(argv[2]);
      return 0;
    }
    if (client >= 0) close(client);
  }
}
