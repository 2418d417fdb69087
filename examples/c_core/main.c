/* eventlog's C core, without Lua: adds an entry to a log, and prints the log.
 * Also a program in C++.
 *
 * usage: c_core URL LOG NAME VALUE
 */
#include <eventlog.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TIMEOUT = 5; /* seconds, for each step */

static void fail(const char *what, const char *why) {
  fprintf(stderr, "c_core: %s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

/* Waits for what the socket said that it needs, until the deadline. */
static void wait_for(const evl_socket *s, double deadline) {
  double left = deadline - evl_now();

  if (left <= 0) fail("timeout", "the server does not answer");
  (void)evl_socket_wait(evl_socket_fd(s), evl_socket_wants(s), left);
}

static evl_socket *connect_to(const evl_url *url) {
  char why[EVL_WHY_SIZE] = "";
  double deadline = evl_now() + TIMEOUT;
  evl_addresses addresses;
  evl_socket *s = NULL;
  int status;

  if (url->path != NULL)
    status = evl_socket_unix(url->path, &s, why);
  else {
    const char *host = url->host != NULL ? url->host : "127.0.0.1";
    status = evl_host_resolve(host, &addresses, why);
    if (status == EVL_OK)
      status = evl_socket_tcp(addresses.text[0],
                              url->port != 0 ? url->port : 6379, &s, why);
  }
  while (status == EVL_OK) {
    status = evl_socket_finish(s, why);
    if (status == EVL_OK) return s;
    if (status != EVL_AGAIN) break;
    wait_for(s, deadline);
    status = EVL_OK;
  }
  fail(evl_strerror(status), why);
  return NULL;
}

/* Sends the request, and waits for the one reply that it has. */
static void call(evl_socket *s, evl_request *r, evl_decoder *d) {
  double deadline = evl_now() + TIMEOUT;
  size_t left;
  int status;

  if (evl_request_status(r) != EVL_OK)
    fail("request", evl_strerror(evl_request_status(r)));
  while (evl_request_bytes(r, &left), left > 0) {
    status = evl_socket_send(s, r);
    if (status == EVL_AGAIN) wait_for(s, deadline);
    if (status < 0) fail(evl_strerror(status), evl_socket_error(s));
  }
  while ((status = evl_decoder_next(d)) == EVL_AGAIN) {
    status = evl_socket_receive(s, d);
    if (status == EVL_AGAIN) wait_for(s, deadline);
    if (status < 0) fail(evl_strerror(status), evl_socket_error(s));
  }
  if (status < 0) fail(evl_strerror(status), evl_decoder_error(d));
}

/* XADD log * name value */
static void add(evl_request *r, const char *log, const char *name,
                const char *value) {
  evl_request *head = evl_request_new();
  const char *bytes;
  evl_field field;
  size_t len;

  if (head == NULL) fail("request", evl_strerror(EVL_ENOMEM));
  evl_request_string(head, "XADD", 4);
  evl_request_string(head, log, strlen(log));
  evl_request_string(head, "*", 1);
  memset(&field, 0, sizeof field);
  field.name = name;
  field.name_len = strlen(name);
  field.type = EVL_STRING;
  field.value.string.bytes = value;
  field.value.string.len = strlen(value);
  bytes = evl_request_bytes(head, &len);
  evl_request_entry(r, bytes, len, 3, &field, 1);
  evl_request_free(head);
}

static void print_entries(const evl_decoder *d) {
  evl_cursor cursor = evl_cursor_start(d);
  evl_item id, name, value;
  size_t entries, fields;

  if (evl_cursor_entries(&cursor, EVL_RANGE, &entries) != EVL_OK)
    fail("XRANGE", "not a list of entries");
  while (entries-- > 0) {
    if (evl_cursor_entry(&cursor, &id, &fields) != EVL_OK)
      fail("XRANGE", "not an entry");
    printf("%.*s", (int)id.len, id.string);
    while (fields-- > 0 && evl_cursor_field(&cursor, &name, &value) == EVL_OK)
      printf(" %.*s=%.*s", (int)name.len, name.string, (int)value.len,
             value.string);
    printf("\n");
  }
}

int main(int argc, char **argv) {
  evl_request *r = evl_request_new();
  evl_decoder *d = evl_decoder_new();
  const char *why, *range[] = {"XRANGE", "", "-", "+"};
  size_t lens[] = {6, 0, 1, 1};
  evl_cursor cursor;
  evl_socket *s;
  evl_item item;
  evl_url url;

  if (argc != 5) fail("usage", "c_core URL LOG NAME VALUE");
  if (r == NULL || d == NULL) fail("memory", evl_strerror(EVL_ENOMEM));
  if (evl_url_parse(argv[1], strlen(argv[1]), &url, &why) != EVL_OK)
    fail("URL", why);
  s = connect_to(&url);

  add(r, argv[2], argv[3], argv[4]);
  call(s, r, d);
  cursor = evl_cursor_start(d);
  if (evl_cursor_next(&cursor, &item) == EVL_OK && item.type == EVL_ITEM_ERROR)
    fail("XADD", "the server refuses it");

  range[1] = argv[2];
  lens[1] = strlen(argv[2]);
  evl_request_command(r, 4, range, lens);
  call(s, r, d);
  print_entries(d);

  evl_socket_free(s);
  evl_url_deinit(&url);
  evl_decoder_free(d);
  evl_request_free(r);
  return EXIT_SUCCESS;
}
