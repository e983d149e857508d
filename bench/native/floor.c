// The C floor: what one lock and release costs with nothing around the system calls.
//   floor DIRECTORY FILES MILLISECONDS plain|record
// "record" adds the 256-byte pread and pwrite that keeping a holder record needs at least.
// Prints the mean microseconds of one lock and release.
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"

enum { record_size = 256, path_size = 512 };

static void lock_and_release(const char *path, int with_record) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) fail("open");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) fail("flock");
  if (with_record) {
    char record[record_size] = {0};
    if (pread(fd, record, record_size, 0) < 0) fail("pread");
    record[0]++;
    if (pwrite(fd, record, record_size, 0) != record_size) fail("pwrite");
  }
  if (flock(fd, LOCK_UN) != 0) fail("unlock");
  close(fd);
}

static double mean_us(char (*paths)[path_size], int files, int with_record, double us) {
  const double start = now_us();
  long done = 0;
  double elapsed = 0;
  // One look at the clock for 64 locks: it must not be part of what is measured.
  while (elapsed < us) {
    for (int i = 0; i < 64; i++) lock_and_release(paths[done++ % files], with_record);
    elapsed = now_us() - start;
  }
  return elapsed / (double)done;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const int files = atoi(argv[2]);
  const double us = atof(argv[3]) * 1000;
  const int with_record = strcmp(argv[4], "record") == 0;
  char(*paths)[path_size] = malloc((size_t)files * path_size);
  for (int i = 0; i < files; i++) snprintf(paths[i], path_size, "%s/floor-%d", argv[1], i);
  for (int i = 0; i < files; i++) lock_and_release(paths[i], with_record);  // the files exist before the clock starts
  printf("%.4f\n", mean_us(paths, files, with_record, us));
  return 0;
}
