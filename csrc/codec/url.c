/* redis://, rediss:// and unix:// URLs. */
#include "eventlog.h"

#include <stdlib.h>
#include <string.h>

/* A piece of the URL. */
typedef struct span {
  const char *start, *end;
} span;

static size_t span_len(span s) { return (size_t)(s.end - s.start); }

/* Where c stands first in s; s.end if it does not. */
static const char *find(span s, char c) {
  const char *p = span_len(s) > 0 ? memchr(s.start, c, span_len(s)) : NULL;
  return p != NULL ? p : s.end;
}

/* Cuts s at c: what is before it is returned, s is what is behind it.
 * If there is no c, all is returned and s is empty. */
static span cut(span *s, char c) {
  span before = {s->start, find(*s, c)};
  s->start = before.end < s->end ? before.end + 1 : s->end;
  return before;
}

static int starts_with(span *s, const char *prefix) {
  size_t len = strlen(prefix);
  if (span_len(*s) < len || memcmp(s->start, prefix, len) != 0) return 0;
  s->start += len;
  return 1;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static int copy(span s, char **out) {
  char *p = malloc(span_len(s) + 1);

  if (p == NULL) return EVL_ENOMEM;
  memcpy(p, s.start, span_len(s));
  p[span_len(s)] = '\0';
  *out = p;
  return EVL_OK;
}

/* Copies a piece and decodes its %XX. */
static int decode(span s, char **out) {
  const char *from;
  char *to;
  int status = copy(s, out);

  if (status != EVL_OK) return status;
  to = *out;
  for (from = s.start; from < s.end; from++) {
    if (*from != '%') {
      *to++ = *from;
      continue;
    }
    if (s.end - from < 3 || hex(from[1]) < 0 || hex(from[2]) < 0)
      return EVL_EINVAL;
    *to = (char)(hex(from[1]) * 16 + hex(from[2]));
    if (*to++ == '\0') return EVL_EINVAL;
    from += 2;
  }
  *to = '\0';
  return EVL_OK;
}

/* Reads a decimal number from min to max. */
static int number(span s, int min, int max, int *out) {
  int64_t value = 0;

  if (s.start == s.end) return EVL_EINVAL;
  for (; s.start < s.end; s.start++) {
    if (*s.start < '0' || *s.start > '9') return EVL_EINVAL;
    value = value * 10 + (*s.start - '0');
    if (value > max) return EVL_EINVAL;
  }
  if (value < min) return EVL_EINVAL;
  *out = (int)value;
  return EVL_OK;
}

/* user[:password] */
static int parse_userinfo(span s, evl_url *url, const char **why) {
  span user = cut(&s, ':');
  int status = EVL_OK;

  *why = "user and password must be percent-encoded (%XX)";
  if (span_len(user) > 0) status = decode(user, &url->username);
  if (status == EVL_OK && span_len(s) > 0) status = decode(s, &url->password);
  return status;
}

/* host[:port] or [ipv6][:port] */
static int parse_host(span s, evl_url *url, const char **why) {
  span host;

  for (host.start = s.start; host.start < s.end; host.start++) {
    *why = "a host holds neither spaces nor ? or #";
    if ((unsigned char)*host.start <= ' ' || *host.start == '?' ||
        *host.start == '#')
      return EVL_EINVAL;
  }
  *why = "the port must be a number from 1 to 65535, "
         "and an IPv6 host must stand in brackets, as in [::1]:6379";
  if (s.start < s.end && *s.start == '[') {
    s.start++;
    if (find(s, ']') == s.end) return EVL_EINVAL;
    host = cut(&s, ']');
    if (span_len(host) == 0) return EVL_EINVAL;
  } else {
    host.start = s.start;
    host.end = s.start = find(s, ':');
  }
  if (s.start < s.end) {
    if (*s.start++ != ':') return EVL_EINVAL;
    if (number(s, 1, 65535, &url->port) != EVL_OK) return EVL_EINVAL;
  }
  return span_len(host) > 0 ? copy(host, &url->host) : EVL_OK;
}

/* [user[:password]@]host[:port][/db] */
static int parse_redis(span s, evl_url *url, const char **why) {
  span authority = {s.start, find(s, '/')};
  const char *at;
  int status = EVL_OK;

  s.start = authority.end;
  for (at = authority.end; at > authority.start && at[-1] != '@';)
    at--; /* behind the last @: one in a password may be unencoded */
  if (at > authority.start) {
    span userinfo = {authority.start, at - 1};
    status = parse_userinfo(userinfo, url, why);
    authority.start = at;
  }
  if (status == EVL_OK) status = parse_host(authority, url, why);
  if (status != EVL_OK || span_len(s) <= 1) return status;
  s.start++;
  *why = "behind the host only /db, a database number, may follow";
  return number(s, 0, 0x7fffffff, &url->db);
}

/* [user[:password]@]/path[?db=N] */
static int parse_unix(span s, evl_url *url, const char **why) {
  span userinfo = {s.start, find(s, '/')}, path;
  int status = EVL_OK;

  s.start = userinfo.end;
  if (span_len(userinfo) > 0) {
    *why = "a socket's path must be absolute: unix:///path/to.sock";
    if (*--userinfo.end != '@') return EVL_EINVAL;
    status = parse_userinfo(userinfo, url, why);
    if (status != EVL_OK) return status;
  }
  *why = "a socket's path must follow: unix:///path/to.sock";
  path.start = s.start;
  path.end = s.start = find(s, '?');
  if (span_len(path) < 2) return EVL_EINVAL;
  if (s.start < s.end) {
    s.start++;
    *why = "behind ? only db=N, a database number, may follow";
    if (!starts_with(&s, "db=")) return EVL_EINVAL;
    if (number(s, 0, 0x7fffffff, &url->db) != EVL_OK) return EVL_EINVAL;
  }
  return copy(path, &url->path);
}

int evl_url_parse(const char *text, size_t len, evl_url *url,
                  const char **why) {
  span s = {text, len > 0 ? text + len : text};
  int status = EVL_EINVAL;

  memset(url, 0, sizeof *url);
  url->db = -1;
  *why = "it must begin with redis://, rediss:// or unix://";
  if (len > 0 && memchr(text, '\0', len) != NULL)
    *why = "it must not hold a NUL byte";
  else if (starts_with(&s, "redis://"))
    status = parse_redis(s, url, why);
  else if (starts_with(&s, "unix://"))
    status = parse_unix(s, url, why);
  else if (starts_with(&s, "rediss://")) {
    url->tls = 1;
    status = parse_redis(s, url, why);
  }
  if (status != EVL_OK) evl_url_deinit(url);
  return status;
}

void evl_url_deinit(evl_url *url) {
  free(url->host);
  free(url->path);
  free(url->username);
  free(url->password);
  memset(url, 0, sizeof *url);
}
