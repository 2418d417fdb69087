/* The works as a C program on hiredis does them: blocking calls, pipelines,
 * pages into redisReply. Prints one line of name=value.
 *
 *   hiredis add PORT KEY COUNT SIZE    SIZE a pipeline; 1: one call each
 *   hiredis follow PORT KEY COUNT      from the start, in pages
 *   hiredis tail_n PORT KEY CALLS      the last 100
 *   hiredis latency PORT KEY COUNT     from the end, while a writer writes
 *   hiredis throughput PORT KEY COUNT  the same, in batches
 *
 * The path of the writer is in BENCH_WRITER. */
#define _GNU_SOURCE
#include "common.h"

static void add_calls(redisContext *c, xadd *x, uint64_t count, size_t size) {
  for (uint64_t done = 0; done < count; done += size) {
    if (size > 1) {
      xadd_pipeline(c, x, size);
      continue;
    }
    xadd *one = &x[done % PAGE];
    freeReplyObject(
        checked(c, redisCommandArgv(c, XADD_ARGC, one->argv, one->len)));
  }
}

static void add(redisContext *c, const char *key, uint64_t count, size_t size) {
  xadd *x = calloc(PAGE, sizeof *x);
  if (!x || size > PAGE) die("no memory");
  for (size_t i = 0; i < PAGE; i++)
    xadd_init(&x[i], key, i);
  add_calls(c, x, count / 10 + 1, size);
  section measured = start(c);
  add_calls(c, x, count, size);
  stop(&measured, c, count);
  free(x);
}

/* Where a reader is; and the entries of the page that it has read last. */
typedef struct reader {
  redisContext *c;
  const char *key;
  char last[64];
  redisReply *reply, *entries; /* the second is in the first; NULL: none */
} reader;

/* Reads the next page: how many entries there are. They live until the next
 * one. block: waits for the first of them. */
static size_t read_page(reader *r, int block) {
  if (r->reply) freeReplyObject(r->reply);
  r->reply = checked(
      r->c, redisCommand(r->c,
                         block ? "XREAD COUNT 1000 BLOCK 0 STREAMS %s %s"
                               : "XREAD COUNT 1000 STREAMS %s %s",
                         r->key, r->last));
  if (r->reply->type == REDIS_REPLY_NIL) return 0;
  r->entries = r->reply->element[0]->element[1];
  size_t count = r->entries->elements;
  const redisReply *id = r->entries->element[count - 1]->element[0];
  memcpy(r->last, id->str, id->len + 1);
  return count;
}

static uint64_t read_from_start(redisContext *c, const char *key,
                                uint64_t count) {
  reader r = {c, key, "0-0", NULL, NULL};
  uint64_t seen = 0;
  size_t n;
  while (seen < count && (n = read_page(&r, 0)) > 0)
    seen += n;
  freeReplyObject(r.reply);
  return seen;
}

static void follow(redisContext *c, const char *key, uint64_t count) {
  read_from_start(c, key, 20000);
  section measured = start(c);
  stop(&measured, c, read_from_start(c, key, count));
}

static void tail_n_calls(redisContext *c, const char *key, double *times,
                         uint64_t calls) {
  for (uint64_t i = 0; i < calls; i++) {
    double began = now();
    redisReply *r =
        checked(c, redisCommand(c, "XREVRANGE %s + - COUNT 100", key));
    times[i] = now() - began;
    if (r->elements != 100) die("not 100 entries");
    freeReplyObject(r);
  }
}

static void tail_n(redisContext *c, const char *key, uint64_t calls) {
  double *times = times_new(calls);
  tail_n_calls(c, key, times, calls / 10 + 1);
  section measured = start(c);
  tail_n_calls(c, key, times, calls);
  stop(&measured, c, calls * 100);
  percentiles(times, calls);
  free(times);
}

/* When an entry was stamped, of now(). */
static double stamp_of(const redisReply *entry) {
  return (double)strtoull(entry->element[1]->element[1]->str, NULL, 10) / 1e7;
}

static void spawn(const char *work, const char *port, const char *key,
                  uint64_t count) {
  char command[512];
  snprintf(command, sizeof command, "%s %s %s %s %" PRIu64 " &",
           getenv("BENCH_WRITER"), work, port, key, count);
  if (system(command) != 0) die("no writer");
}

/* Waits for all that the writer writes: how long each took to come, or from the
 * first one's stamp to the last one's arrival. */
static void wait_for(redisContext *c, const char *port, const char *key,
                     uint64_t count, int latency) {
  reader r = {c, key, "0-0", NULL, NULL};
  double *times = times_new(count);
  uint64_t seen = 0;
  section measured = start(c);
  spawn(latency ? "ticks" : "batches", port, key, count);
  while (seen < count) {
    size_t n = read_page(&r, 1);
    double arrived = now();
    if (seen == 0) measured.now = stamp_of(r.entries->element[0]);
    for (size_t i = 0; latency && i < n; i++)
      times[seen + i] = arrived - stamp_of(r.entries->element[i]);
    seen += n;
  }
  stop(&measured, c, seen);
  if (latency) percentiles(times, seen);
  freeReplyObject(r.reply);
  free(times);
}

int main(int argc, char **argv) {
  if (argc < 5)
    die("hiredis add|follow|tail_n|latency|throughput PORT KEY COUNT [SIZE]");
  const char *work = argv[1], *port = argv[2], *key = argv[3];
  uint64_t count = strtoull(argv[4], NULL, 10);
  redisContext *c = connect_to(port);
  if (!strcmp(work, "add") && argc > 5)
    add(c, key, count, strtoull(argv[5], NULL, 10));
  else if (!strcmp(work, "follow"))
    follow(c, key, count);
  else if (!strcmp(work, "tail_n"))
    tail_n(c, key, count);
  else if (!strcmp(work, "latency") || !strcmp(work, "throughput"))
    wait_for(c, port, key, count, work[0] == 'l');
  else
    die("no such work");
  printf("\n");
  redisFree(c);
  return 0;
}
