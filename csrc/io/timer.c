/* Timers, for event loops that wait for descriptors and know no time. */
#define _POSIX_C_SOURCE 200809L

#include "eventlog.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef __linux__

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct evl_timer {
  int fd;
};

int evl_timer_new(evl_timer **out, char *why) {
  evl_timer *t = malloc(sizeof *t);

  *out = NULL;
  if (t == NULL) return EVL_ENOMEM;
  t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (t->fd < 0) {
    snprintf(why, EVL_WHY_SIZE, "no timer: %s", strerror(errno));
    free(t);
    return EVL_ECONNECT;
  }
  *out = t;
  return EVL_OK;
}

void evl_timer_free(evl_timer *t) {
  if (t == NULL) return;
  (void)close(t->fd);
  free(t);
}

int evl_timer_fd(const evl_timer *t) { return t->fd; }

void evl_timer_set(evl_timer *t, double seconds) {
  struct itimerspec spec;

  memset(&spec, 0, sizeof spec);
  if (seconds > 1e9) seconds = 1e9;
  if (seconds >= 0) {
    spec.it_value.tv_sec = (time_t)seconds;
    /* A time of 0 would turn it off. */
    spec.it_value.tv_nsec =
        1 + (long)((seconds - (double)spec.it_value.tv_sec) * 999999998);
  }
  (void)timerfd_settime(t->fd, 0, &spec, NULL);
}

#else

int evl_timer_new(evl_timer **out, char *why) {
  *out = NULL;
  snprintf(why, EVL_WHY_SIZE, "no timer that is a descriptor");
  return EVL_EUNSUPPORTED;
}

void evl_timer_free(evl_timer *t) { (void)t; }

int evl_timer_fd(const evl_timer *t) {
  (void)t;
  return -1;
}

void evl_timer_set(evl_timer *t, double seconds) {
  (void)t;
  (void)seconds;
}

#endif
