/* A table of byte operations that behaves as TLS does and encrypts nothing, to
 * show that nothing above the table takes a bare descriptor for granted. Its
 * bytes go in records, type (1 byte), length (2, the high one first), and so
 * many bytes, each with FAKE_TLS_KEY on it:
 *
 *   'H' the client's greeting, 'h' the server's: the handshake
 *   'D' data
 *   'T' a ticket, from the server, at any time: nobody asked for it
 *   'K' the server asks for an answer 'k', before which it sends nothing more
 *       and the client reads nothing more: who reads has to write
 *   'p' the server lets the client send FAKE_TLS_PERMIT further records of
 *       data, as many as it may send at the start: who writes has to read
 *   'C' the end
 */
#ifndef EVL_FAKE_TLS_H
#define EVL_FAKE_TLS_H

#include "io/byte_ops.h"

enum {
  FAKE_TLS_KEY = 0x5a,
  FAKE_TLS_HEADER = 3,
  FAKE_TLS_RECORD = 1000, /* the most bytes in one */
  FAKE_TLS_READ = 100,    /* the most that one read gives, whatever is there */
  FAKE_TLS_PERMIT = 4
};

/* How often what happened, in this process. */
typedef struct fake_tls_counts {
  long handshakes, tickets, reads_that_want_write, writes_that_want_read;
  long waits; /* EVL_AGAIN of any operation */
} fake_tls_counts;

extern fake_tls_counts fake_tls_counted;

/* Puts the table on a socket that is not connected yet. 0: no memory. */
int fake_tls_use(evl_socket *s);

#endif
