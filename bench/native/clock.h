// The clock that process.hrtime reads, so that C and Node.js timestamps compare.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline void sleep_us(double us) {
  if (us <= 0) return;
  const struct timespec t = {(time_t)(us / 1e6), (long)((long long)us % 1000000) * 1000};
  nanosleep(&t, NULL);
}

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}
