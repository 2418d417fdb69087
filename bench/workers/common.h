/* What the C programs of the benchmark share: clocks, the server's CPU time,
 * and the entries that everybody adds and reads: 4 fields of 16 bytes. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

enum { FIELDS = 4, VALUE_LEN = 16, PAGE = 1000 };

static const char *const field_names[FIELDS] = {"event", "player", "room",
                                                "value"};

static inline void die(const char *what) {
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

/* Seconds of CLOCK_MONOTONIC, which eventlog.core.now() counts, too. */
static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of CPU that this process has taken. */
static inline double cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The most memory that this process ever had resident, in KiB. */
static inline long peak(void) {
  char line[256];
  long kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
  if (f) fclose(f);
  return kib;
}

static inline redisContext *connect_to(const char *port) {
  redisContext *c = redisConnect("127.0.0.1", atoi(port));
  if (!c || c->err) die(c ? c->errstr : "no memory");
  return c;
}

/* The reply, or the end of the program. */
static inline redisReply *checked(redisContext *c, void *reply) {
  redisReply *r = reply;
  if (!r) die(c->errstr);
  if (r->type == REDIS_REPLY_ERROR) die(r->str);
  return r;
}

static inline redisReply *next_reply(redisContext *c) {
  void *reply = NULL;
  redisGetReply(c, &reply);
  return checked(c, reply);
}

static inline double info(const redisReply *r, const char *name) {
  const char *at = strstr(r->str, name);
  return at ? atof(at + strlen(name)) : 0;
}

/* Seconds of CPU that the server has taken. */
static inline double server_cpu(redisContext *c) {
  redisReply *r = checked(c, redisCommand(c, "INFO cpu"));
  double s = info(r, "used_cpu_sys:") + info(r, "used_cpu_user:");
  freeReplyObject(r);
  return s;
}

/* What is measured, from start() to stop(), which prints it. */
typedef struct section {
  double now, cpu, server_cpu;
} section;

static inline section start(redisContext *c) {
  section s;
  s.server_cpu = server_cpu(c);
  s.cpu = cpu();
  s.now = now();
  return s;
}

static inline void stop(const section *s, redisContext *c, uint64_t entries) {
  double seconds = now() - s->now, used = cpu() - s->cpu;
  printf("entries=%" PRIu64 " seconds=%.9f cpu=%.6f server_cpu=%.6f peak=%ld",
         entries, seconds, used, server_cpu(c) - s->server_cpu, peak());
}

static inline int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Prints the median and the 99th percentile, in µs. */
static inline void percentiles(double *times, size_t count) {
  qsort(times, count, sizeof *times, ascending);
  printf(" p50=%.1f p99=%.1f", times[count / 2] * 1e6,
         times[count * 99 / 100] * 1e6);
}

static inline double *times_new(uint64_t count) {
  double *times = calloc(count, sizeof *times);
  if (!times) die("no memory");
  return times;
}

/* XADD and its arguments, for one entry. */
enum { XADD_ARGC = 3 + 2 * FIELDS };
typedef struct xadd {
  const char *argv[XADD_ARGC];
  size_t len[XADD_ARGC];
  char values[FIELDS][VALUE_LEN + 1];
} xadd;

static inline void xadd_key(xadd *x, const char *key) {
  x->argv[1] = key;
  x->len[1] = strlen(key);
}

/* The entry with this number. */
static inline void xadd_init(xadd *x, const char *key, uint64_t number) {
  x->argv[0] = "XADD";
  x->len[0] = 4;
  xadd_key(x, key);
  x->argv[2] = "*";
  x->len[2] = 1;
  for (int i = 0; i < FIELDS; i++) {
    snprintf(x->values[i], sizeof x->values[i], "%016" PRIu64,
             number * FIELDS + (uint64_t)i);
    x->argv[3 + 2 * i] = field_names[i];
    x->len[3 + 2 * i] = strlen(field_names[i]);
    x->argv[4 + 2 * i] = x->values[i];
    x->len[4 + 2 * i] = VALUE_LEN;
  }
}

/* Writes the time, in units of 100 ns, into the first field. */
static inline void xadd_stamp(xadd *x) {
  snprintf(x->values[0], sizeof x->values[0], "%016" PRIu64,
           (uint64_t)(now() * 1e7));
}

static inline void xadd_append(redisContext *c, xadd *x) {
  if (redisAppendCommandArgv(c, XADD_ARGC, x->argv, x->len) != REDIS_OK)
    die(c->errstr);
}

/* Adds them with one write, and waits for all replies. */
static inline void xadd_pipeline(redisContext *c, xadd *x, size_t count) {
  for (size_t i = 0; i < count; i++)
    xadd_append(c, &x[i]);
  for (size_t i = 0; i < count; i++)
    freeReplyObject(next_reply(c));
}

#endif
