/* What the decoder's replies are held against. */
#ifndef EVL_FUZZ_DECODER_TRUTH_H
#define EVL_FUZZ_DECODER_TRUTH_H

#include <stddef.h>

/* The replies are what the bytes say, as Redis would write it. */
void check_against_bytes(const char *bytes, size_t len);
/* hiredis's reader takes each reply, too, and reads it alike. */
void check_against_hiredis(const char *bytes, size_t len);

#endif
