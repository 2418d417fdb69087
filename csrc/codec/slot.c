/* Cluster slots: which of the 16384 a key lies in. */
#include "eventlog.h"

#include <string.h>

/* CRC-16/XMODEM, four bits at a time. */
static unsigned crc16(const char *s, size_t len) {
  static const unsigned short table[16] = {
      0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
      0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
  unsigned crc = 0;
  size_t i;

  for (i = 0; i < len; i++) {
    unsigned byte = (unsigned char)s[i];

    crc = (crc << 4 ^ table[(crc >> 12 ^ byte >> 4) & 15]) & 0xffff;
    crc = (crc << 4 ^ table[(crc >> 12 ^ byte) & 15]) & 0xffff;
  }
  return crc;
}

const char *evl_key_tag(const char *key, size_t len, size_t *tag_len) {
  const char *open = len > 0 ? memchr(key, '{', len) : NULL, *close;

  *tag_len = len;
  if (open == NULL) return key;
  open++;
  close = memchr(open, '}', (size_t)(key + len - open));
  if (close == NULL || close == open) return key;
  *tag_len = (size_t)(close - open);
  return open;
}

int evl_key_slot(const char *key, size_t len) {
  const char *tag = evl_key_tag(key, len, &len);

  return (int)(crc16(tag, len) % EVL_SLOTS);
}

size_t evl_slot_tag(int slot, char buf[EVL_SLOT_TAG_SIZE]) {
  int64_t i;
  size_t len;
  char number[EVL_NUMBER_SIZE];

  if (slot < 0 || slot >= EVL_SLOTS) return 0;
  for (i = 0;; i++) {
    len = evl_integer_format(i, number);
    if ((int)(crc16(number, len) % EVL_SLOTS) == slot) break;
  }
  memcpy(buf, number, len);
  return len;
}
