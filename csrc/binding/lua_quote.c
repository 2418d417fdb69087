/* Strings as messages show them. */
#include "lua_binding.h"

#include <string.h>

/* What messages show of a string, at most. */
enum { QUOTED = 200 };

/* How many bytes the UTF-8 character at s has; 0 if there is none, or only
 * half of one, or a control character. */
static size_t character(const unsigned char *s, size_t len) {
  size_t more = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1, i;

  if (*s < 0x80) return *s >= ' ' && *s != 0x7f;
  if (*s < 0xc2 || *s > 0xf4 || more >= len) return 0;
  if (*s == 0xc2 && s[1] < 0xa0) return 0;
  for (i = 1; i <= more; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  return more + 1;
}

/* Writes a byte that is no text as Lua does, \n or \000, at p; returns where
 * that ends. */
static char *put_escape(char *p, unsigned char c) {
  static const char names[] = "abtnvfr"; /* of \a to \r */

  *p++ = '\\';
  if (c >= '\a' && c <= '\r') {
    *p++ = names[c - '\a'];
    return p;
  }
  *p++ = (char)('0' + c / 100);
  *p++ = (char)('0' + c / 10 % 10);
  *p++ = (char)('0' + c % 10);
  return p;
}

void evl_binding_push_quoted(lua_State *L, const char *text, size_t len) {
  const unsigned char *s = (const unsigned char *)text;
  char quoted[4 * QUOTED + sizeof "\"xxx\"..."], *p = quoted;
  size_t i = 0;

  *p++ = '"';
  while (i < len && i < QUOTED) {
    size_t bytes = character(s + i, len - i);

    if (bytes == 0) p = put_escape(p, s[i++]);
    if (bytes == 1 && (s[i] == '"' || s[i] == '\\')) *p++ = '\\';
    for (; bytes > 0; bytes--)
      *p++ = text[i++];
  }
  *p++ = '"';
  if (i < len) {
    memcpy(p, "...", 3);
    p += 3;
  }
  lua_pushlstring(L, quoted, (size_t)(p - quoted));
}
