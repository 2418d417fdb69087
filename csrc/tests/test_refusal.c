/* Each allocation refused in turn: of the core's own, and of what hiredis and
 * libc allocate for it. Whatever fails is an error like another; nothing leaks,
 * no descriptor stays open. */
#include "allocator.h"
#include "test_support.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Each of these uses something from new to free, and returns 1 where all went
 * well. Where it did not, it must have said why. */

static int use_url(void) {
  const char *why = NULL;
  evl_url url;
  int status =
      evl_url_parse(LIT("redis://us%65r:p%40@[::1]:6379/2"), &url, &why);

  if (status != EVL_OK) {
    assert_int_equal(status, EVL_ENOMEM);
    return 0;
  }
  assert_string_equal(url.username, "user");
  assert_string_equal(url.password, "p@");
  assert_string_equal(url.host, "::1");
  evl_url_deinit(&url);
  return 1;
}

static int use_request(void) {
  evl_request *r = evl_request_new();
  char big[3000];
  size_t len;
  int i, status;

  if (r == NULL) return 0;
  memset(big, 'x', sizeof big);
  for (i = 0; i < 4; i++) {
    const char *argv[] = {"ECHO", big};
    const size_t lens[] = {4, sizeof big};
    if (i == 3) {
      evl_request_command(r, 2, argv, lens);
      continue;
    }
    evl_request_begin(r, 2);
    evl_request_string(r, LIT("ECHO"));
    evl_request_string(r, big, sizeof big);
  }
  status = evl_request_status(r);
  evl_request_bytes(r, &len);
  if (status == EVL_OK)
    assert_int_equal(len, 4 * (4 + 10 + 7 + sizeof big + 2));
  else
    assert_int_equal(status, EVL_ENOMEM);
  evl_request_clear(r);
  assert_int_equal(evl_request_status(r), EVL_OK);
  evl_request_free(r);
  return status == EVL_OK;
}

/* Enough entries that each of the decoder's blocks grows some times. */
static int use_decoder(void) {
  static const char entry[] = "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n"
                              "$20\r\n01234567890123456789\r\n";
  evl_decoder *d = evl_decoder_new();
  size_t count, i;
  evl_cursor c;
  int status;

  if (d == NULL) return 0;
  status = evl_decoder_feed(d, LIT("*100\r\n"));
  for (i = 0; i < 100 && status == EVL_OK; i++) {
    status = evl_decoder_feed(d, entry, sizeof entry - 1);
    if (status != EVL_OK) break;
    status = evl_decoder_next(d);
    if (status == EVL_AGAIN) status = EVL_OK;
  }
  if (status == EVL_OK) {
    c = evl_cursor_start(d);
    assert_int_equal(evl_cursor_entries(&c, EVL_RANGE, &count), EVL_OK);
    assert_int_equal(count, 100);
    evl_decoder_trim(d);
  } else {
    assert_int_equal(status, EVL_ENOMEM);
    assert_int_equal(evl_decoder_next(d), EVL_ENOMEM);
    assert_int_equal(evl_decoder_feed(d, "x", 1), EVL_ENOMEM);
  }
  evl_decoder_free(d);
  return status == EVL_OK;
}

/* --- sockets ------------------------------------------------------------- */

static int listener; /* of the test at hand */
static int port;     /* 0: a Unix socket */
static char path[100];

static void listen_unix(void) {
  struct sockaddr_un address;

  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  snprintf(path, sizeof path, "/tmp/eventlog-test-%d.sock", (int)getpid());
  strcpy(address.sun_path, path);
  port = 0;
  listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address),
                   0);
  assert_int_equal(listen(listener, 128), 0);
}

static void listen_tcp(void) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;

  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  path[0] = '\0';
  listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  assert_int_equal(listen(listener, 128), 0);
  port = ntohs(address.sin_port);
}

static int stop_listening(void **state) {
  (void)state;
  close(listener);
  if (path[0] != '\0') unlink(path);
  return 0;
}

/* Whatever was connected is taken off the queue. */
static void drop_connections(void) {
  int fd;

  fcntl(listener, F_SETFL, O_NONBLOCK);
  while ((fd = accept(listener, NULL, NULL)) >= 0)
    close(fd);
}

/* hiredis and libc have words of their own for a lack of memory. */
static void assert_refused(int status, const evl_socket *s, const char *why) {
  assert_null(s);
  assert_true(status == EVL_ENOMEM || status == EVL_ECONNECT);
  assert_true(strlen(why) > 0);
}

/* "PING" there, "+PONG" back. */
static int converse(evl_socket *s) {
  evl_request *r = evl_request_new();
  evl_decoder *d = evl_decoder_new();
  int fd = accept(listener, NULL, NULL), status = EVL_ENOMEM;
  char heard[64];

  assert_true(fd >= 0);
  if (r != NULL && d != NULL) {
    evl_request_begin(r, 1);
    evl_request_string(r, LIT("PING"));
    status = evl_request_status(r);
  }
  if (status == EVL_OK) {
    assert_int_equal(evl_socket_send(s, r), EVL_OK);
    assert_int_equal(read(fd, heard, sizeof heard), 14);
    assert_int_equal(write(fd, "+PONG\r\n", 7), 7);
    while ((status = evl_socket_receive(s, d)) == EVL_AGAIN)
      evl_socket_wait(evl_socket_fd(s), 'r', -1);
  }
  if (status == EVL_OK) status = evl_decoder_next(d);
  assert_true(status == EVL_OK || status == EVL_ENOMEM);
  evl_request_free(r);
  evl_decoder_free(d);
  close(fd);
  return status == EVL_OK;
}

/* To an address: while it looks up a name, glibc itself does not survive. */
static int use_socket(void) {
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s = (evl_socket *)(void *)why; /* must become NULL, or a socket */
  int went_well = 0, status = port != 0
                                  ? evl_socket_tcp("127.0.0.1", port, &s, why)
                                  : evl_socket_unix(path, &s, why);

  if (status != EVL_OK) {
    assert_refused(status, s, why);
  } else {
    while ((status = evl_socket_finish(s, why)) == EVL_AGAIN)
      evl_socket_wait(evl_socket_fd(s), 'w', -1);
    assert_int_equal(status, EVL_OK);
    went_well = converse(s);
  }
  evl_socket_free(s);
  drop_connections();
  return went_well;
}

static int use_silent_socket(void) {
  char why[EVL_WHY_SIZE] = "";
  evl_socket *s = (evl_socket *)(void *)why;
  int status = evl_socket_silent(&s, why);

  if (status != EVL_OK)
    assert_refused(status, s, why);
  else
    assert_int_equal(evl_socket_idle(s), 1);
  evl_socket_free(s);
  return status == EVL_OK;
}

static int use_timer(void) {
  char why[EVL_WHY_SIZE] = "";
  evl_timer *t = (evl_timer *)(void *)why;
  int status = evl_timer_new(&t, why);

  if (status == EVL_EUNSUPPORTED) skip();
  if (status != EVL_OK) {
    assert_int_equal(status, EVL_ENOMEM);
    assert_null(t);
  } else {
    evl_timer_set(t, 0);
    while (!evl_socket_wait(evl_timer_fd(t), 'r', -1))
      ;
  }
  evl_timer_free(t);
  return status == EVL_OK;
}

/* --- each in turn -------------------------------------------------------- */

static int lowest_free_fd(void) {
  int fd = dup(0);

  assert_true(fd >= 0);
  close(fd);
  return fd;
}

/* From the nth allocation on, then the nth only: what fails later must not
 * hide what failed first. */
static void assert_survives_refusals(int (*use)(void)) {
  int only_one, fd = lowest_free_fd();
  long n, refused = 1;

  assert_true(use()); /* what libc keeps, it has by now */
  for (only_one = 0; only_one <= 1; only_one++) {
    for (n = 0; n < 5000; n++) {
      size_t before = allocator_live();
      int went_well;

      allocator_refuse(n, only_one ? 1 : LONG_MAX);
      went_well = use();
      refused = allocator_relent();
      if (allocator_live() != before)
        fail_msg("%ld bytes leak where allocation %ld is refused",
                 (long)(allocator_live() - before), n);
      assert_int_equal(lowest_free_fd(), fd);
      assert_int_equal(went_well, refused == 0);
      if (refused == 0) break;
    }
    assert_int_equal(refused, 0);
    assert_true(n > 0);
  }
}

static void a_url_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_url);
}

static void a_request_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_request);
}

static void a_decoder_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_decoder);
}

static void a_unix_socket_survives_refused_memory(void **state) {
  (void)state;
  listen_unix();
  assert_survives_refusals(use_socket);
}

static void a_tcp_socket_survives_refused_memory(void **state) {
  (void)state;
  listen_tcp();
  assert_survives_refusals(use_socket);
}

static void a_silent_socket_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_silent_socket);
}

static void a_timer_survives_refused_memory(void **state) {
  (void)state;
  assert_survives_refusals(use_timer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_url_survives_refused_memory),
      cmocka_unit_test(a_request_survives_refused_memory),
      cmocka_unit_test(a_decoder_survives_refused_memory),
      cmocka_unit_test(a_silent_socket_survives_refused_memory),
      cmocka_unit_test(a_timer_survives_refused_memory),
      cmocka_unit_test_teardown(a_unix_socket_survives_refused_memory,
                                stop_listening),
      cmocka_unit_test_teardown(a_tcp_socket_survives_refused_memory,
                                stop_listening),
  };
  if (!allocator_works()) {
    puts("left out: malloc is not ours");
    return 0;
  }
  return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
