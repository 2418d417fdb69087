/* Stream ids: <milliseconds>-<sequence number>, two unsigned 64-bit numbers. */
#include "eventlog.h"

#include <string.h>

/* So many digits make no number that does not fit. */
enum { SAFE_DIGITS = 19 };

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Reads eight digits at once: 1, or 0 if they are not all digits. The first one
 * is the lowest byte; each step then puts two neighbours together. */
static inline int parse_eight(const char *p, uint64_t *value) {
  const uint64_t high = 0xf0f0f0f0f0f0f0f0, zeros = 0x3030303030303030;
  uint64_t v;

  memcpy(&v, p, sizeof v);
  /* From '0' on, and no more than '9': 6 more is below '@', too. */
  if (((v & high) ^ zeros) | (((v + 0x0606060606060606) & high) ^ zeros))
    return 0;
  v -= zeros;
  v = (v * 10 + (v >> 8)) & 0x00ff00ff00ff00ff;
  v = (v * 100 + (v >> 16)) & 0x0000ffff0000ffff;
  *value = (v * 10000 + (v >> 32)) & 0xffffffff;
  return 1;
}

#else

static inline int parse_eight(const char *p, uint64_t *value) {
  (void)p;
  (void)value;
  return 0;
}

#endif

/* Reads digits at *s, up to end; moves *s behind them. */
static inline int parse_u64(const char **s, const char *end, uint64_t *value) {
  const char *p = *s, *safe = end - p > SAFE_DIGITS ? p + SAFE_DIGITS : end;
  uint64_t v = 0, digit;

  if (end - p >= 8 && parse_eight(p, &v)) p += 8;
  for (; p < safe && (digit = (uint64_t)*p - '0') <= 9; p++)
    v = v * 10 + digit;
  if (p == safe)
    for (; p < end && (digit = (uint64_t)*p - '0') <= 9; p++) {
      if (v > (UINT64_MAX - digit) / 10) return EVL_EINVAL;
      v = v * 10 + digit;
    }
  if (p == *s) return EVL_EINVAL;
  *s = p;
  *value = v;
  return EVL_OK;
}

static size_t format_u64(uint64_t value, char *buf) {
  char digits[20];
  size_t n = 0, i;

  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  for (i = 0; i < n; i++)
    buf[i] = digits[n - 1 - i];
  return n;
}

int evl_id_parse(const char *s, size_t len, evl_id *id) {
  const char *end;
  evl_id parsed = {0, 0};

  if (len == 0) return EVL_EINVAL;
  end = s + len;
  if (parse_u64(&s, end, &parsed.ms) != EVL_OK) return EVL_EINVAL;
  if (s < end) {
    if (*s++ != '-') return EVL_EINVAL;
    if (parse_u64(&s, end, &parsed.seq) != EVL_OK) return EVL_EINVAL;
    if (s < end) return EVL_EINVAL;
  }
  *id = parsed;
  return EVL_OK;
}

size_t evl_id_format(evl_id id, char buf[EVL_ID_SIZE]) {
  size_t n = format_u64(id.ms, buf);

  buf[n++] = '-';
  return n + format_u64(id.seq, buf + n);
}

int evl_id_compare(evl_id a, evl_id b) {
  if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
  if (a.seq != b.seq) return a.seq < b.seq ? -1 : 1;
  return 0;
}

int evl_id_next(evl_id *id) {
  if (id->seq < UINT64_MAX) {
    id->seq++;
    return EVL_OK;
  }
  if (id->ms == UINT64_MAX) return EVL_ERANGE;
  id->ms++;
  id->seq = 0;
  return EVL_OK;
}

int evl_id_prev(evl_id *id) {
  if (id->seq > 0) {
    id->seq--;
    return EVL_OK;
  }
  if (id->ms == 0) return EVL_ERANGE;
  id->ms--;
  id->seq = UINT64_MAX;
  return EVL_OK;
}
