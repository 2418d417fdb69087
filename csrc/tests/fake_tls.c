/* The client's side of fake_tls.h. */
#include "fake_tls.h"
#include "io/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { IN_SIZE = 4096, PLAIN_SIZE = 16 * 1024 };

typedef struct session {
  unsigned char in[IN_SIZE]; /* as it came */
  size_t in_len;
  char plain[PLAIN_SIZE]; /* decrypted, not read yet */
  size_t plain_len;
  unsigned char out[FAKE_TLS_HEADER + FAKE_TLS_RECORD]; /* a record, not sent */
  size_t out_at, out_len;
  size_t data;  /* bytes of the write that the record in `out` is of */
  char first;   /* the first of them */
  int is_late;  /* the record in `out` cannot be sent at once */
  int may_send; /* so many records of data */
  int is_greeted, is_open, has_ended;
  int is_deaf; /* the peer takes nothing more, but may have said something */
} session;

fake_tls_counts fake_tls_counted;

static int wait_for(evl_socket *s, char mode) {
  fake_tls_counted.waits++;
  s->wants = mode;
  return EVL_AGAIN;
}

static void encrypt(unsigned char *to, const char *from, size_t len) {
  size_t i;

  for (i = 0; i < len; i++)
    to[i] = (unsigned char)from[i] ^ FAKE_TLS_KEY;
}

/* Puts a record into the empty `out`. */
static void put_record(session *t, char type, const char *bytes, size_t len) {
  t->out[0] = (unsigned char)type;
  t->out[1] = (unsigned char)(len >> 8);
  t->out[2] = (unsigned char)(len & 255);
  if (len > 0) encrypt(t->out + FAKE_TLS_HEADER, bytes, len);
  t->out_at = 0;
  t->out_len = FAKE_TLS_HEADER + len;
}

static int flush(evl_socket *s) {
  session *t = s->state;

  if (t->is_late) {
    t->is_late = 0;
    return wait_for(s, 'w');
  }
  while (t->out_at < t->out_len) {
    ssize_t n = send(s->fd, t->out + t->out_at, t->out_len - t->out_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return wait_for(s, 'w');
    if (n < 0) {
      t->is_deaf = 1;
      return evl_socket_failed(s, strerror(errno));
    }
    t->out_at += (size_t)n;
  }
  t->out_at = t->out_len = 0;
  return EVL_OK;
}

/* Takes the record at the front of `in`, of so many bytes behind its header. */
static void take_record(session *t, size_t len) {
  size_t i;

  switch (t->in[0]) {
  case 'h': t->is_open = 1; break;
  case 'D':
    for (i = 0; i < len; i++)
      t->plain[t->plain_len++] =
          (char)(t->in[FAKE_TLS_HEADER + i] ^ FAKE_TLS_KEY);
    break;
  case 'T': fake_tls_counted.tickets++; break;
  case 'K':
    put_record(t, 'k', NULL, 0);
    t->is_late = 1;
    break;
  case 'p': t->may_send += FAKE_TLS_PERMIT; break;
  default: t->has_ended = 1; break;
  }
  t->in_len -= FAKE_TLS_HEADER + len;
  memmove(t->in, t->in + FAKE_TLS_HEADER + len, t->in_len);
}

/* Reads and takes records until the peer has sent no more: EVL_AGAIN, as a
 * rule. What is not sent yet goes first. */
static int take_in(evl_socket *s) {
  session *t = s->state;
  ssize_t n;

  for (;;) {
    int status = t->is_deaf ? EVL_OK : flush(s);

    if (status == EVL_AGAIN) return status;
    if (t->in_len >= FAKE_TLS_HEADER) {
      size_t len = (size_t)t->in[1] << 8 | t->in[2];

      /* What was read before the 'K' goes first. */
      if (PLAIN_SIZE - t->plain_len < FAKE_TLS_RECORD ||
          (t->in[0] == 'K' && t->plain_len > 0))
        return wait_for(s, 'r');
      if (t->in_len >= FAKE_TLS_HEADER + len) {
        take_record(t, len);
        continue;
      }
    }
    if (t->has_ended) return EVL_EEOF;
    n = recv(s->fd, t->in + t->in_len, IN_SIZE - t->in_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return wait_for(s, 'r');
    if (n < 0) return evl_socket_failed(s, strerror(errno));
    if (n == 0) t->has_ended = 1;
    t->in_len += (size_t)n;
  }
}

static int fake_handshake(evl_socket *s, char *why) {
  session *t = s->state;
  int status;

  if (!t->is_greeted) put_record(t, 'H', NULL, 0);
  t->is_greeted = 1;
  status = take_in(s);
  if (t->is_open) {
    fake_tls_counted.handshakes++;
    return EVL_OK;
  }
  if (status == EVL_AGAIN) return EVL_AGAIN;
  strcpy(why, "the handshake failed");
  return EVL_ECONNECT;
}

static int fake_read(evl_socket *s, char *bytes, size_t len, size_t *n) {
  session *t = s->state;
  int status = t->plain_len > 0 ? EVL_OK : take_in(s);

  if (t->plain_len == 0) {
    if (status == EVL_AGAIN && s->wants == 'w')
      fake_tls_counted.reads_that_want_write++;
    return status;
  }
  if (len > FAKE_TLS_READ) len = FAKE_TLS_READ;
  if (len > t->plain_len) len = t->plain_len;
  memcpy(bytes, t->plain, len);
  t->plain_len -= len;
  memmove(t->plain, t->plain + len, t->plain_len);
  *n = len;
  return EVL_OK;
}

static int fake_write(evl_socket *s, const char *bytes, size_t len, size_t *n) {
  session *t = s->state;
  int status = flush(s);

  if (status != EVL_OK) return status;
  if (t->data == 0) {
    if (t->may_send == 0) {
      status = take_in(s);
      if (t->may_send == 0) {
        if (status == EVL_AGAIN && s->wants == 'r')
          fake_tls_counted.writes_that_want_read++;
        return status == EVL_EEOF ? evl_socket_failed(s, "ended") : status;
      }
      if (t->out_len > 0) return wait_for(s, 'w');
    }
    t->may_send--;
    t->data = len < FAKE_TLS_RECORD ? len : FAKE_TLS_RECORD;
    t->first = bytes[0];
    put_record(t, 'D', bytes, t->data);
    status = flush(s);
    if (status != EVL_OK) return status;
  }
  if (len < t->data || bytes[0] != t->first)
    return evl_socket_failed(s, "other bytes than before EVL_AGAIN");
  *n = t->data;
  t->data = 0;
  return EVL_OK;
}

static size_t fake_pending(const evl_socket *s) {
  const session *t = s->state;

  return t->plain_len;
}

static int fake_is_idle(evl_socket *s) {
  const session *t = s->state;

  return take_in(s) == EVL_AGAIN && t->plain_len == 0;
}

static void fake_close(evl_socket *s) {
  static const unsigned char end[FAKE_TLS_HEADER] = {'C', 0, 0};

  if (evl_socket_is_own(s))
    (void)send(s->fd, end, sizeof end, MSG_NOSIGNAL | MSG_DONTWAIT);
  free(s->state);
}

static const evl_byte_ops fake_tls = {
    fake_handshake, fake_read,    evl_socket_read_within,
    fake_write,     fake_pending, fake_is_idle,
    fake_close,
};

int fake_tls_use(evl_socket *s) {
  session *t = calloc(1, sizeof *t);

  if (t == NULL) return 0;
  t->may_send = FAKE_TLS_PERMIT;
  evl_socket_use(s, &fake_tls, t);
  return 1;
}
