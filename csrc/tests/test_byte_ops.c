/* Sockets over a table of byte operations that is not the plain one
 * (fake_tls.h): what the callers of the table make of what it says. The peer is
 * this process. spec/byte_ops_spec.lua has a real Redis behind such a table. */
#include "fake_tls.h"
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct peer {
  char path[64];
  int listener, fd;
  evl_socket *socket;
  evl_decoder *decoder;
} peer;

static void say(const peer *p, char type, const char *text) {
  unsigned char record[FAKE_TLS_HEADER + FAKE_TLS_RECORD];
  size_t len = strlen(text), i;

  record[0] = (unsigned char)type;
  record[1] = (unsigned char)(len >> 8);
  record[2] = (unsigned char)(len & 255);
  for (i = 0; i < len; i++)
    record[FAKE_TLS_HEADER + i] = (unsigned char)text[i] ^ FAKE_TLS_KEY;
  len += FAKE_TLS_HEADER;
  assert_int_equal(write(p->fd, record, len), len);
}

/* The type of the record that the client has sent; 0: none. */
static char heard(const peer *p) {
  unsigned char record[FAKE_TLS_HEADER + FAKE_TLS_RECORD];
  size_t len;

  if (recv(p->fd, record, FAKE_TLS_HEADER, MSG_DONTWAIT) != FAKE_TLS_HEADER)
    return 0;
  len = (size_t)record[1] << 8 | record[2];
  if (len > 0) assert_int_equal(read(p->fd, record + 3, len), len);
  return (char)record[0];
}

static int setup(void **state) {
  peer *p = calloc(1, sizeof *p);
  struct sockaddr_un address;
  char why[EVL_WHY_SIZE] = "";

  assert_non_null(p);
  snprintf(p->path, sizeof p->path, "/tmp/eventlog-test-%ld", (long)getpid());
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, p->path);
  p->listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(
      bind(p->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(p->listener, 1), 0);
  assert_int_equal(evl_socket_unix(p->path, &p->socket, why), EVL_OK);
  assert_true(fake_tls_use(p->socket));
  p->fd = accept(p->listener, NULL, NULL);
  p->decoder = evl_decoder_new();
  assert_non_null(p->decoder);
  *state = p;
  return 0;
}

static int teardown(void **state) {
  peer *p = *state;

  evl_decoder_free(p->decoder);
  evl_socket_free(p->socket);
  if (p->fd >= 0) close(p->fd);
  close(p->listener);
  unlink(p->path);
  free(p);
  return 0;
}

static void shake_hands(peer *p) {
  char why[EVL_WHY_SIZE] = "";

  assert_int_equal(evl_socket_finish(p->socket, why), EVL_AGAIN);
  assert_int_equal(heard(p), 'H');
  say(p, 'h', "");
  assert_int_equal(evl_socket_finish(p->socket, why), EVL_OK);
}

static void is_connected_after_the_handshake(void **state) {
  peer *p = *state;
  char why[EVL_WHY_SIZE] = "";

  assert_int_equal(evl_socket_finish(p->socket, why), EVL_AGAIN);
  assert_int_equal(evl_socket_wants(p->socket), 'r');
  assert_int_equal(evl_socket_finish(p->socket, why), EVL_AGAIN);
  assert_int_equal(heard(p), 'H');
  say(p, 'h', "");
  assert_int_equal(evl_socket_finish(p->socket, why), EVL_OK);
  assert_int_equal(heard(p), 0);
}

static void a_handshake_that_fails_says_why(void **state) {
  peer *p = *state;
  char why[EVL_WHY_SIZE] = "";

  assert_int_equal(evl_socket_finish(p->socket, why), EVL_AGAIN);
  say(p, 'C', "");
  assert_int_equal(evl_socket_finish(p->socket, why), EVL_ECONNECT);
  assert_string_equal(why, "the handshake failed");
}

static void reads_in_order_to_write(void **state) {
  peer *p = *state;
  evl_request *r = evl_request_new();
  char text[FAKE_TLS_RECORD];
  size_t left, i;

  shake_hands(p);
  memset(text, 'x', sizeof text);
  for (i = 0; i <= FAKE_TLS_PERMIT; i++)
    evl_request_string(r, text, sizeof text);
  for (i = 0; i < FAKE_TLS_PERMIT; i++)
    assert_int_equal(evl_socket_send(p->socket, r), EVL_OK);
  assert_int_equal(evl_socket_send(p->socket, r), EVL_AGAIN);
  assert_int_equal(evl_socket_wants(p->socket), 'r');
  say(p, 'p', "");
  do
    assert_int_equal(evl_socket_send(p->socket, r), EVL_OK);
  while (evl_request_bytes(r, &left), left > 0);
  evl_request_free(r);
}

static void writes_in_order_to_read(void **state) {
  peer *p = *state;

  shake_hands(p);
  say(p, 'K', "");
  say(p, 'D', "+OK\r\n");
  assert_int_equal(evl_socket_receive(p->socket, p->decoder), EVL_AGAIN);
  assert_int_equal(evl_socket_wants(p->socket), 'w');
  assert_int_equal(heard(p), 0);
  assert_int_equal(evl_socket_receive(p->socket, p->decoder), EVL_OK);
  assert_int_equal(heard(p), 'k');
  assert_int_equal(evl_decoder_next(p->decoder), EVL_OK);
}

static void a_wait_for_a_reply_writes_meanwhile(void **state) {
  peer *p = *state;
  evl_spin spin;
  double deadline = evl_now() + 30;
  int status;

  shake_hands(p);
  evl_spin_init(&spin, 0, 0);
  say(p, 'T', "");
  say(p, 'K', "");
  say(p, 'D', "+OK\r\n");
  do
    status = evl_socket_await(p->socket, p->decoder, &spin, 0, deadline);
  while (status == EVL_AGAIN && evl_now() < deadline);
  assert_int_equal(status, EVL_OK);
  assert_int_equal(heard(p), 'k');
}

static void bytes_at_hand_need_no_descriptor(void **state) {
  peer *p = *state;
  char text[5 * FAKE_TLS_READ / 2 + 1];
  evl_spin spin;
  size_t came = FAKE_TLS_READ;

  shake_hands(p);
  evl_spin_init(&spin, 0, 0);
  memset(text, '\0', sizeof text);
  memset(text, '+', sizeof text - 1);
  assert_int_equal(evl_socket_pending(p->socket), 0);
  say(p, 'D', text);
  assert_int_equal(evl_socket_receive(p->socket, p->decoder), EVL_OK);
  assert_int_equal(evl_socket_wait(evl_socket_fd(p->socket), 'r', 0), 0);
  while (came < sizeof text - 1) {
    size_t pending = evl_socket_pending(p->socket);

    assert_int_equal(pending, sizeof text - 1 - came);
    assert_int_equal(evl_socket_idle(p->socket), 0);
    /* For longer than this test may take, if it waited. */
    assert_int_equal(
        evl_socket_await(p->socket, p->decoder, &spin, 0, evl_now() + 1000),
        EVL_OK);
    came += pending - evl_socket_pending(p->socket);
  }
  assert_int_equal(evl_socket_pending(p->socket), 0);
  assert_int_equal(evl_socket_idle(p->socket), 1);
}

static void is_idle_whatever_tickets_came(void **state) {
  peer *p = *state;

  shake_hands(p);
  assert_int_equal(evl_socket_idle(p->socket), 1);
  say(p, 'T', "");
  say(p, 'T', "");
  assert_int_equal(evl_socket_idle(p->socket), 1);
  say(p, 'D', "+OK\r\n");
  assert_int_equal(evl_socket_idle(p->socket), 0);
  assert_int_equal(evl_socket_receive(p->socket, p->decoder), EVL_OK);
  assert_int_equal(evl_socket_idle(p->socket), 1);
  say(p, 'C', "");
  assert_int_equal(evl_socket_idle(p->socket), 0);
}

static void the_end_is_the_end(void **state) {
  peer *p = *state;

  shake_hands(p);
  say(p, 'D', "+OK\r\n");
  say(p, 'C', "");
  assert_int_equal(evl_socket_receive(p->socket, p->decoder), EVL_OK);
  assert_int_equal(evl_socket_receive(p->socket, p->decoder), EVL_EEOF);
}

static void a_child_says_nothing_on_its_parents_connection(void **state) {
  peer *p = *state;
  pid_t child;
  int status;

  shake_hands(p);
  child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    int idle = evl_socket_idle(p->socket);

    evl_socket_free(p->socket);
    _exit(idle);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_int_equal(heard(p), 0);
  assert_int_equal(evl_socket_idle(p->socket), 1);
  evl_socket_free(p->socket);
  p->socket = NULL;
  assert_int_equal(heard(p), 'C');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(is_connected_after_the_handshake),
      TEST(a_handshake_that_fails_says_why),
      TEST(reads_in_order_to_write),
      TEST(writes_in_order_to_read),
      TEST(a_wait_for_a_reply_writes_meanwhile),
      TEST(bytes_at_hand_need_no_descriptor),
      TEST(is_idle_whatever_tickets_came),
      TEST(the_end_is_the_end),
      TEST(a_child_says_nothing_on_its_parents_connection),
  };
  return cmocka_run_group_tests_name("byte_ops", tests, NULL, NULL);
}
