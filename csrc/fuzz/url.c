/* Fuzzes the URL parser.
 *
 * - What it takes apart can be put together again, and means the same.
 * - What it refuses is refused in words of its own, never in the URL's. */
#include "fuzz.h"

#include <sanitizer/allocator_interface.h>
#include <string.h>

/* --- putting together ---------------------------------------------------- */

typedef struct text {
  char *bytes;
  size_t len;
} text;

static void add(text *t, const char *s) {
  memcpy(t->bytes + t->len, s, strlen(s));
  t->len += strlen(s);
}

static void add_encoded(text *t, const char *s) {
  for (; *s != '\0'; s++) {
    char hex[4];
    snprintf(hex, sizeof hex, "%%%02x", (unsigned)(unsigned char)*s);
    add(t, hex);
  }
}

static void add_number(text *t, const char *before, int number) {
  char digits[16];

  snprintf(digits, sizeof digits, "%d", number);
  add(t, before);
  add(t, digits);
}

static size_t length(const char *s) { return s != NULL ? strlen(s) : 0; }

static text compose(const evl_url *url) {
  text t = {malloc(64 + 3 * (length(url->username) + length(url->password)) +
                   length(url->host) + length(url->path)),
            0};

  CHECK(t.bytes != NULL);
  add(&t, url->path != NULL ? "unix://" : url->tls ? "rediss://" : "redis://");
  if (url->username != NULL) add_encoded(&t, url->username);
  if (url->password != NULL) {
    add(&t, ":");
    add_encoded(&t, url->password);
  }
  if (url->username != NULL || url->password != NULL) add(&t, "@");
  if (url->path != NULL) {
    add(&t, url->path);
    if (url->db >= 0) add_number(&t, "?db=", url->db);
    return t;
  }
  if (url->host != NULL) {
    int brackets = strchr(url->host, ':') != NULL || url->host[0] == '[';
    if (brackets) add(&t, "[");
    add(&t, url->host);
    if (brackets) add(&t, "]");
  }
  if (url->port > 0) add_number(&t, ":", url->port);
  if (url->db >= 0) add_number(&t, "/", url->db);
  return t;
}

/* --- checks -------------------------------------------------------------- */

static int same(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_parts(const evl_url *url) {
  const char *p;

  CHECK(url->host == NULL || url->path == NULL);
  CHECK(url->port >= 0 && url->port <= 65535);
  CHECK(url->db >= -1);
  CHECK(url->tls == 0 || (url->tls == 1 && url->path == NULL));
  CHECK(url->path == NULL || (url->path[0] == '/' && url->path[1] != '\0'));
  CHECK(url->path == NULL || url->port == 0);
  CHECK(url->username == NULL || url->username[0] != '\0');
  CHECK(url->password == NULL || url->password[0] != '\0');
  if (url->host == NULL) return;
  CHECK(url->host[0] != '\0');
  for (p = url->host; *p != '\0'; p++)
    CHECK((unsigned char)*p > ' ' && strchr("?#/", *p) == NULL);
}

static void check_refusal(const evl_url *url, const char *why) {
  CHECK(why != NULL && *why != '\0');
  CHECK(!__sanitizer_get_ownership(why)); /* not made of the URL */
  CHECK(url->host == NULL && url->path == NULL && url->username == NULL &&
        url->password == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *why = NULL;
  evl_url url, again;
  text t;
  int status = evl_url_parse((const char *)data, size, &url, &why);

  if (status != EVL_OK) {
    CHECK(status == EVL_EINVAL);
    check_refusal(&url, why);
    return 0;
  }
  check_parts(&url);
  /* What is decoded is no longer than it was; a NUL would cut it. */
  CHECK(length(url.host) + length(url.path) + length(url.username) +
            length(url.password) <=
        size);
  t = compose(&url);
  CHECK(evl_url_parse(t.bytes, t.len, &again, &why) == EVL_OK);
  CHECK(same(url.host, again.host) && same(url.path, again.path));
  CHECK(same(url.username, again.username));
  CHECK(same(url.password, again.password));
  CHECK(url.port == again.port && url.db == again.db && url.tls == again.tls);
  evl_url_deinit(&again);
  evl_url_deinit(&url);
  free(t.bytes);
  return 0;
}
