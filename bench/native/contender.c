// One of several processes that fight for a lock with blocking flock(2), the C side of scenarios/contended.mjs.
//   contender PATH COUNTER MILLISECONDS PAUSE_US LOG
// Prints "ready", reads the common start (microseconds of the monotonic clock), runs, writes one triple of doubles
// (asked, granted, released) for each lock to LOG, and prints the CPU time it took in microseconds.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"

enum { capacity = 3000000 };

static double cpu_us(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void increment(int counter) {
  uint64_t value = 0;
  if (pread(counter, &value, sizeof value, 0) < 0) fail("pread");
  value++;
  if (pwrite(counter, &value, sizeof value, 0) != sizeof value) fail("pwrite");
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  const double run_us = atof(argv[3]) * 1000, pause = atof(argv[4]);
  double (*log)[3] = malloc(sizeof(double[3]) * capacity);
  const int counter = open(argv[2], O_RDWR | O_CLOEXEC);
  if (counter < 0) fail("counter");
  puts("ready");
  fflush(stdout);
  double start;
  if (scanf("%lf", &start) != 1) return 2;
  sleep_us(start - now_us());

  const double cpu = cpu_us(), end = start + run_us;
  size_t done = 0;
  for (double asked = now_us(); asked < end && done < capacity; asked = now_us(), done++) {
    const int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) fail("open");
    if (flock(fd, LOCK_EX) != 0) fail("flock");
    const double granted = now_us();
    increment(counter);
    const double released = now_us();
    flock(fd, LOCK_UN);
    close(fd);
    log[done][0] = asked, log[done][1] = granted, log[done][2] = released;
    sleep_us(pause);
  }
  const double spent = cpu_us() - cpu;

  FILE *out = fopen(argv[5], "wb");
  if (!out || fwrite(log, sizeof(double[3]), done, out) != done || fclose(out) != 0) fail("log");
  printf("%.0f\n", spent);
  return 0;
}
