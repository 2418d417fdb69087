/* A Redis that does no more than answer: on a Unix socket, in this process, and
 * without memory of its own. It knows one log of two entries, 1-1 and 1-2. */
#ifndef EVL_FAKE_REDIS_H
#define EVL_FAKE_REDIS_H

/* Listens at this path. */
void fake_redis_start(const char *path);
/* Accepts who waits, and answers all that was asked. Never blocks. */
void fake_redis_serve(void);
void fake_redis_stop(void);

#endif
