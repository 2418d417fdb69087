/* Values of fields as the bytes that are stored, and the order of fields. */
#include "eventlog.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t evl_integer_format(int64_t i, char buf[EVL_NUMBER_SIZE]) {
  char digits[20];
  size_t n = 0, len = 0;
  uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

  do {
    digits[n++] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (i < 0) buf[len++] = '-';
  while (n > 0)
    buf[len++] = digits[--n];
  return len;
}

/* A decimal as printf's %e writes it, taken apart: d.ddd * 10^exponent. */
typedef struct decimal {
  char digits[20];
  int count, exponent;
} decimal;

/* Adds one to the last digit before the exponent in printf's %e text. */
static void increment(char *text) {
  char *p = strchr(text, 'e');

  while (p-- > text) {
    if (*p < '0' || *p > '9') continue; /* the decimal point */
    if (*p < '9') {
      ++*p;
      return;
    }
    *p = '0';
  }
}

/* The shortest digits that read back as d, which is positive and finite.
 * 15 digits, less trailing zeros, are the shortest wherever they read back,
 * and 17 always do; only below the normal range do fewer mean less. Above a
 * power of two there is twice the room as below it, so that 16 digits may do
 * there which are not the nearest ones.
 * The text is judged as it was printed, then the digits are picked out of it,
 * so that a locale's decimal point does not matter. */
static void shortest(double d, decimal *out) {
  char text[64];
  const char *p;
  int digits = d < 2.2250738585072014e-308 ? 1 : 15;

  for (; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*e", digits - 1, d);
    if (strtod(text, NULL) == d) break;
    if (digits < 16) continue;
    increment(text);
    if (strtod(text, NULL) == d) break;
  }
  out->count = 0;
  for (p = text; *p != 'e'; p++)
    if (*p >= '0' && *p <= '9') out->digits[out->count++] = *p;
  while (out->count > 1 && out->digits[out->count - 1] == '0')
    out->count--;
  out->exponent = atoi(p + 1);
}

static size_t put_zeros(char *buf, int count) {
  if (count <= 0) return 0;
  memset(buf, '0', (size_t)count);
  return (size_t)count;
}

size_t evl_double_format(double d, char buf[EVL_NUMBER_SIZE]) {
  decimal dec;
  size_t n = 0;
  int whole;

  if (isnan(d)) {
    memcpy(buf, "NaN", 3);
    return 3;
  }
  if (isinf(d)) {
    memcpy(buf, d > 0 ? "+Inf" : "-Inf", 4);
    return 4;
  }
  /* Whole numbers that a double holds exactly: the common case. */
  if (fabs(d) <= 9007199254740992.0 && d == floor(d) && !(d == 0 && signbit(d)))
    return evl_integer_format((int64_t)d, buf);

  if (signbit(d)) buf[n++] = '-';
  if (d == 0) {
    buf[n++] = '0';
    return n;
  }
  shortest(fabs(d), &dec);
  whole = dec.exponent + 1; /* digits before the point */
  if (whole <= 0) {
    memcpy(buf + n, "0.", 2);
    n += 2;
    n += put_zeros(buf + n, -whole);
    whole = 0;
  } else if (whole >= dec.count) {
    memcpy(buf + n, dec.digits, (size_t)dec.count);
    n += (size_t)dec.count;
    return n + put_zeros(buf + n, whole - dec.count);
  } else {
    memcpy(buf + n, dec.digits, (size_t)whole);
    n += (size_t)whole;
    buf[n++] = '.';
  }
  memcpy(buf + n, dec.digits + whole, (size_t)(dec.count - whole));
  return n + (size_t)(dec.count - whole);
}

static int compare_names(const void *left, const void *right) {
  const evl_field *a = left, *b = right;
  size_t shorter = a->name_len < b->name_len ? a->name_len : b->name_len;
  int order = shorter ? memcmp(a->name, b->name, shorter) : 0;

  if (order != 0) return order;
  return (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* A name's first 8 bytes as a number of the same order: most names differ
 * there. */
static uint64_t first_bytes(const evl_field *field) {
  const unsigned char *name = (const unsigned char *)field->name;
  size_t i, len = field->name_len < 8 ? field->name_len : 8;
  uint64_t bytes = 0;

  for (i = 0; i < len; i++)
    bytes = bytes << 8 | name[i];
  return len == 0 ? 0 : bytes << 8 * (8 - len);
}

void evl_fields_sort(evl_field *fields, size_t count) {
  enum { FEW = 16 };
  uint64_t firsts[FEW];
  size_t i, j;

  if (count > FEW) {
    qsort(fields, count, sizeof *fields, compare_names);
    return;
  }
  /* Entries are small: insertion beats qsort's calls. */
  for (i = 0; i < count; i++) {
    evl_field field = fields[i];
    uint64_t first = first_bytes(&field);
    for (j = i; j > 0; j--) {
      if (first > firsts[j - 1]) break;
      if (first == firsts[j - 1] && compare_names(&field, &fields[j - 1]) >= 0)
        break;
      fields[j] = fields[j - 1];
      firsts[j] = firsts[j - 1];
    }
    if (j < i) fields[j] = field;
    firsts[j] = first;
  }
}
